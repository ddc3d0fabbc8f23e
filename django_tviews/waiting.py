"""Say in words who waits for which TView, for which rows of it, and who holds them.

The locks of writers are numbers (see `django_tviews.plan.locks`), over which keys and values are
spread by their hashes. No number tells its key; so the rows that there are, are asked which of
them have it.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections, transaction

from . import catalog
from .errors import TViewError
from .maintenance import Key, chosen, duration, plan_of
from .plan.locks import KEYS, places
from .sql.quoting import complete, identifier, qualified, relation_name
from .sql.routes import named_lock
from .sql.shared import LOCK_CLASS, LOCK_SLOTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

    from .catalog import Session, WaitingLock
    from .plan.plan import Plan
    from .registry import InstalledTView

LISTED: Final = 4
"""How many keys that share a lock are listed."""

# How long the rows of a TView or source may be searched for those that have a lock.
_PATIENCE: Final = "2s"

# Columns that the text may have, and letters of a statement.
_WIDTH: Final = 100
_STATEMENT: Final = 300


@dataclass(frozen=True)
class Locked:
    """What is locked.

    Attributes:
        tviews: the labels of the TViews concerned.
        what: the whole TView, its key, rows of a source, or a table.
        values: the keys, or values, of which one is meant; empty if they are not known.
        more: further ones share the lock.
    """

    tviews: tuple[str, ...]
    what: str
    values: tuple[Key, ...] = ()
    more: bool = False

    def __str__(self) -> str:
        """Write it for people: ``shop.ProductCard, key product_id=17``."""
        values = " or ".join(f"({value})" if self._several else str(value) for value in self.values)
        if self.more:
            values = f"{values} or another one"
        return ", ".join([*self.tviews, f"{self.what} {values}".strip()])

    @property
    def _several(self) -> bool:
        return len(self.values) > 1 and len(self.values[0].columns) > 1


@dataclass(frozen=True)
class Holder:
    """Somebody who is waited for.

    Attributes:
        session: who.
        mode: ``alone`` or ``shared``, for a table the mode of ``LOCK TABLE``; ``asked before`` for
            one who waits for it, too.
    """

    session: Session
    mode: str


@dataclass(frozen=True)
class Wait:
    """Somebody waits for a lock.

    Attributes:
        session: who.
        locked: for what.
        mode: ``alone`` or ``shared``, for a table the mode of ``LOCK TABLE``.
        seconds: for how long.
        holders: for whom.
    """

    session: Session
    locked: Locked
    mode: str
    seconds: float | None
    holders: tuple[Holder, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)

    def __str__(self) -> str:
        """Write it for people."""
        since = "just now" if self.seconds is None else f"for {duration(self.seconds)}"
        lines = [
            str(self.locked),
            *_lines(self.session, f"wants it {self.mode}, and waits {since}"),
        ]
        for holder in self.holders:
            does = "asked before it" if holder.mode == _QUEUED else f"has it {holder.mode}"
            lines += _lines(holder.session, f"{does}{_state(holder.session)}")
        return "\n".join(lines)


_QUEUED: Final = "asked before"

# What the server calls its modes, weaker ones first.
_MODES: Final = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)

_UNKNOWN_TO_ALL: Final = "of a row that is not committed yet"


def waits(*labels: str, using: str = DEFAULT_DB_ALIAS) -> list[Wait]:
    """Say who waits for TViews, and for whom.

    Args:
        *labels: TViews, such as ``"shop.ProductCard"``, or apps; by default all, and what all of
            them share.
        using: alias of the database.

    Returns:
        A wait for each session that waits for a lock on a TView, or on a table that one reads; who
        waits longest comes first.

    Raises:
        MetadataNotFound: a label is not that of an installed TView.
    """
    connection = connections[using]
    tviews = {tview.oid: tview for tview in chosen(connection, *labels)}
    readers = _readers(connection, tviews)
    classes = [*tviews] if labels else [*tviews, LOCK_CLASS]
    found = catalog.waiting_locks(connection, classes, readers)
    pids = {pid for lock in found for pid in (lock.pid, *lock.blockers)}
    sessions = catalog.sessions(connection, pids)
    return [
        Wait(
            sessions[lock.pid],
            _locked(connection, lock, tviews, readers),
            _mode(lock, [lock.mode]),
            lock.seconds,
            tuple(_holders(connection, lock, sessions)),
        )
        for lock in found
        # Who waits no more has nobody who blocks it.
        if lock.blockers and lock.pid in sessions
    ]


def locked(error: TViewError, *, using: str = DEFAULT_DB_ALIAS) -> Locked | None:
    """Say what a transaction waited for when it failed with a deadlock or a lock timeout.

    To be asked after the transaction was rolled back.

    Args:
        error: what `TViewError.from_database_error` has made of it.
        using: alias of the database.

    Returns:
        The TView with the key, or the place; None if it waited for something else, such as a row.
    """
    if "lock" not in error.context:
        return None
    connection = connections[using]
    oid, number = cast("tuple[int, int]", error.context["lock"])
    tviews = {tview.oid: tview for tview in chosen(connection) if tview.oid == oid}
    return _what(connection, tviews[oid], number) if tviews else None


def _readers(
    connection: BaseDatabaseWrapper, tviews: Mapping[int, InstalledTView]
) -> dict[int, tuple[str, ...]]:
    """Return the TViews that read each table, or are it, by OID."""
    found: dict[int, list[str]] = {oid: [tview.label] for oid, tview in tviews.items()}
    tables = {
        (trigger.schema, trigger.table, trigger.tview)
        for trigger in catalog.triggers(connection)
        if trigger.tview in tviews
    }
    oids = catalog.resolve(connection, {(schema, table) for schema, table, _ in tables})
    for schema, table, tview in sorted(tables, key=lambda each: (each[2] or 0, *each[:2])):
        if tview is not None and (schema, table) in oids:
            found.setdefault(oids[schema, table], []).append(tviews[tview].label)
    return {oid: tuple(labels) for oid, labels in found.items()}


def _holders(
    connection: BaseDatabaseWrapper, lock: WaitingLock, sessions: Mapping[int, Session]
) -> Iterator[Holder]:
    held = catalog.modes_held(connection, lock)
    for pid in dict.fromkeys(lock.blockers):
        session = sessions.get(pid) or catalog.Session(pid)
        yield Holder(session, _mode(lock, held[pid]) if pid in held else _QUEUED)


def _mode(lock: WaitingLock, modes: Iterable[str]) -> str:
    """Write the strongest of some modes; those of tables as LOCK TABLE has them."""
    strongest = max(modes, key=_MODES.index)
    if not lock.is_table:
        return "alone" if strongest == "ExclusiveLock" else "shared"
    return re.sub("(?<=[a-z])(?=[A-Z])", " ", strongest.removesuffix("Lock")).upper()


def _locked(
    connection: BaseDatabaseWrapper,
    lock: WaitingLock,
    tviews: Mapping[int, InstalledTView],
    readers: Mapping[int, tuple[str, ...]],
) -> Locked:
    if lock.is_table:
        (found,) = catalog.structures(connection, [lock.oid]).values()
        return Locked(readers[lock.oid], f"the table {found.schema}.{found.name}")
    if lock.oid == LOCK_CLASS:
        return Locked((), "what all TViews share")
    return _what(connection, tviews[lock.oid], lock.number or 0)


def _what(connection: BaseDatabaseWrapper, tview: InstalledTView, number: int) -> Locked:
    """Find what the number of a lock on a TView stands for."""
    if number == 0:
        return Locked((tview.label,), "the whole TView")
    place = (number - 1) // LOCK_SLOTS
    try:
        plan = plan_of(connection, tview)
    except TViewError:
        return Locked((tview.label,), f"lock {number}")
    if place == KEYS:
        columns = tuple(column.name for column in plan.key)
        table = qualified(plan.schema, plan.table)
        return _among(connection, plan, place, number, "key", table, columns)
    for each in places(plan.sources):
        if each.number == place:
            what = f"rows of {each.relation.full_name}"
            if not each.columns:
                return Locked((tview.label,), f"any {what}")
            table = relation_name(each.relation)
            return _among(connection, plan, place, number, f"{what} with", table, each.columns)
    return Locked((tview.label,), f"lock {number}")


def _among(
    connection: BaseDatabaseWrapper,
    plan: Plan,
    place: int,
    number: int,
    what: str,
    table: str,
    columns: Sequence[str],
) -> Locked:
    """Find the values in a table that have a lock."""
    names = [identifier(column) for column in columns]
    lock = named_lock(plan, "exclusive", place, names)
    texts = ", ".join(f"{name}::text" for name in names)
    query = f"SELECT DISTINCT {texts} FROM {table} WHERE {lock} >> 1 = {number} LIMIT {LISTED + 1}"
    try:
        with transaction.atomic(connection.alias), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [_PATIENCE])
            cursor.execute(complete(query))
            rows = cursor.fetchall()
            transaction.set_rollback(True, connection.alias)
    except OperationalError:
        return Locked((plan.label,), f"{what} {', '.join(columns)}=…")
    if not rows:
        return Locked((plan.label,), f"{what.removesuffix(' with')} {_UNKNOWN_TO_ALL}")
    values = tuple(Key(tuple(columns), tuple(row)) for row in sorted(rows[:LISTED]))
    return Locked((plan.label,), what, values, len(rows) > LISTED)


def _name(session: Session) -> str:
    if not session.pid:
        return "a prepared transaction"
    who = ", ".join(part for part in (session.application, session.role) if part)
    return f"process {session.pid} ({who})" if who else f"process {session.pid}"


def _state(session: Session) -> str:
    parts = []
    if session.transaction_seconds is not None:
        parts.append(f"in a transaction of {duration(session.transaction_seconds)}")
    if session.state and session.state_seconds is not None:
        parts.append(f"{session.state} for {duration(session.state_seconds)}")
    return "".join(f", {part}" for part in parts)


def _lines(session: Session, does: str) -> list[str]:
    text = " ".join(session.query.split())
    if len(text) > _STATEMENT:
        text = f"{text[:_STATEMENT]}…"
    indent = " " * 8
    statement = textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)
    return [f"    {_name(session)} {does}{':' if statement else ''}", *statement]
