"""Refresh and verify the rows of installed TViews.

Both work on what is installed in one database, named by its alias, and say what they found as
plain values. The commands only print them.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, transaction

from . import catalog, installer, planning, registry
from .errors import KeyMissing, MetadataNotFound, OutdatedTView, TViewError
from .models import TView
from .plan.plan import MAINTENANCE_ENVIRONMENT, Plan
from .sql.comparison import comparison
from .sql.quoting import identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from django.db.backends.base.base import BaseDatabaseWrapper

    from .registry import InstalledTView

LISTED: Final = 10
"""How many differing keys a `VerifyReport` lists unless told otherwise."""


class Progress(Protocol):
    """Is told how far the work has come."""

    def __call__(self, label: str, done: int, total: int) -> object:
        """Take note of it.

        Args:
            label: the TView that is worked on.
            done: how many of its steps are done.
            total: how many there are.
        """


@dataclass(frozen=True)
class Key:
    """The key of one row.

    Attributes:
        columns: the names of the key's columns.
        values: their values as PostgreSQL writes them; None is NULL.
    """

    columns: tuple[str, ...]
    values: tuple[str | None, ...]

    def __str__(self) -> str:
        """Write it for people: ``order_id=7, product_id=3``."""
        return ", ".join(
            f"{column}={'NULL' if value is None else value}"
            for column, value in zip(self.columns, self.values, strict=True)
        )


@dataclass(frozen=True)
class RefreshReport:
    """What refreshing a TView changed.

    Attributes:
        label: the TView.
        inserted: how many rows were added; None, like the next two, if the server does not count
            what it writes (``track_counts`` is off).
        updated: how many rows were changed.
        deleted: how many rows were taken away.
        seconds: how long it took.
    """

    label: str
    inserted: int | None
    updated: int | None
    deleted: int | None
    seconds: float

    @property
    def changed(self) -> bool | None:
        """Whether any row was written; None if the server does not count that."""
        counts = (self.inserted, self.updated, self.deleted)
        return None if None in counts else any(counts)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON holds it."""
        return asdict(self)

    def __str__(self) -> str:
        """Write it for people, on one line."""
        return f"{self.label}: {self.changes} ({duration(self.seconds)})"

    @property
    def changes(self) -> str:
        """What was written, in words."""
        if self.changed is None:
            return "recomputed; how many rows changed is unknown, as track_counts is off"
        if not self.changed:
            return "nothing to change"
        return ", ".join(
            f"{_rows(number)} {what}"
            for number, what in (
                (self.inserted, "inserted"),
                (self.updated, "updated"),
                (self.deleted, "deleted"),
            )
            if number
        )


class DifferenceKind(StrEnum):
    """How a TView differs from its query at one key."""

    MISSING = "missing"
    EXTRA = "extra"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Difference:
    """A key at which a TView differs from its query.

    Attributes:
        kind: the query has the row and the TView has not (missing), the TView has it and the
            query has not (extra), or both have it with other values (different).
        key: the key of the row.
        columns: for a different row, the columns that differ.
        stored: the values in the TView's table, by column: of a different row those that differ,
            of an extra row all that are not part of the key. Text as PostgreSQL writes it.
        queried: the same of the query, for a different or a missing row.
    """

    kind: DifferenceKind
    key: Key
    columns: tuple[str, ...] = ()
    stored: Mapping[str, str | None] = field(default_factory=dict)
    queried: Mapping[str, str | None] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the difference as JSON holds it."""
        return {
            "kind": self.kind,
            "key": dict(zip(self.key.columns, self.key.values, strict=True)),
            "columns": list(self.columns),
        }

    def __str__(self) -> str:
        """Write it for people, on one line."""
        columns = f": {', '.join(self.columns)}" if self.columns else ""
        return f"{self.kind:<9}  {self.key}{columns}"


@dataclass(frozen=True)
class VerifyReport:
    """Whether a TView equals its query.

    Attributes:
        label: the TView.
        rows: how many rows its table has.
        missing: how many rows of the query its table has not.
        extra: how many rows its table has that the query has not.
        different: how many keys have other values in the table than in the query.
        differences: the first of them, in the order of the key.
        seconds: how long the comparison took.
        repair: what repairing it changed, if it was asked for and needed.
    """

    label: str
    rows: int
    missing: int
    extra: int
    different: int
    differences: tuple[Difference, ...]
    seconds: float
    repair: RefreshReport | None = None

    @property
    def exact(self) -> bool:
        """Whether the table equalled the query when it was compared, before any repair."""
        return not (self.missing or self.extra or self.different)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON holds it."""
        return {
            "label": self.label,
            "exact": self.exact,
            "rows": self.rows,
            "missing": self.missing,
            "extra": self.extra,
            "different": self.different,
            "differences": [difference.as_dict() for difference in self.differences],
            "seconds": self.seconds,
            "repair": self.repair and self.repair.as_dict(),
        }

    def __str__(self) -> str:
        """Write it for people: one line, and one for each difference that is listed."""
        took = duration(self.seconds)
        if self.exact:
            return f"{self.label}: {_rows(self.rows)}, equal to the query ({took})"
        total = self.missing + self.extra + self.different
        counts = ", ".join(
            f"{number} {kind}"
            for number, kind in (
                (self.missing, DifferenceKind.MISSING),
                (self.extra, DifferenceKind.EXTRA),
                (self.different, DifferenceKind.DIFFERENT),
            )
            if number
        )
        lines = [f"{self.label}: {_rows(self.rows)}, differs from the query: {counts} ({took})"]
        lines += [f"    {difference}" for difference in self.differences]
        if total > len(self.differences):
            lines.append(f"    … and {total - len(self.differences)} more")
        if self.repair:
            lines.append(f"    repaired: {self.repair.changes} ({duration(self.repair.seconds)})")
        return "\n".join(lines)


def refresh(
    *labels: str,
    keys: Iterable[object] | None = None,
    using: str = DEFAULT_DB_ALIAS,
    progress: Progress | None = None,
) -> list[RefreshReport]:
    """Recompute TViews from their queries and write the rows that differ.

    PostgreSQL keeps TViews equal to their queries without this. It is for what PostgreSQL cannot
    see, such as a function that was replaced. TViews that read a refreshed one follow.

    Args:
        *labels: TViews, such as ``"shop.ProductCard"``, or apps; by default all.
        keys: of one TView, the keys to recompute: values, or tuples of them if the key has
            several columns. By default all rows are compared.
        using: alias of the database.
        progress: is told after each TView.

    Returns:
        A report for each TView, those that others read first.

    Raises:
        MetadataNotFound: a label is not that of an installed TView.
        django.db.DataError: PostgreSQL cannot read a key as the type of its column.
        KeyMissing: a key has not as many values as the key has columns.
        ValueError: keys are given for more than one TView.
        RefreshFailed: the query or the table could not take a value.
        LockTimeout: somebody had the keys for longer than the session's ``lock_timeout``; the
            context has the ``keys`` that were given. The same of the next two.
        Deadlock: another transaction waited for this one.
        SerializationConflict: another one came first, above READ COMMITTED.
    """
    connection = connections[using]
    tviews = chosen(connection, *labels)
    if keys is not None and len(tviews) != 1:
        raise ValueError(f"Keys can be given for one TView, not for {len(tviews)}.")
    given = None if keys is None else list(keys)
    reports = []
    for number, tview in enumerate(tviews):
        _tell(progress, tview, number, len(tviews))
        reports.append(_refresh(connection, tview, given))
        _tell(progress, tview, number + 1, len(tviews))
    return reports


def apply_pending(*, using: str = DEFAULT_DB_ALIAS) -> None:
    """Maintain deferred TViews for what the running transaction has changed, before it commits.

    What is changed later waits for COMMIT again. Outside of a transaction nothing ever waits.

    Args:
        using: alias of the database.

    Raises:
        TViewError: a TView could not be maintained. The transaction has to be rolled back.
    """
    with installer.explained():
        installer.apply_pending(connections[using])


def verify(
    *labels: str,
    using: str = DEFAULT_DB_ALIAS,
    repair: bool = False,
    limit: int = LISTED,
    progress: Progress | None = None,
) -> list[VerifyReport]:
    """Compare TViews with their queries, each in one snapshot, so that writers may go on.

    In a transaction that has changed what deferred TViews read, these are maintained first.

    Args:
        *labels: TViews, such as ``"shop.ProductCard"``, or apps; by default all.
        using: alias of the database.
        repair: refresh those that differ.
        limit: how many differing keys to list for each.
        progress: is told after each TView.

    Returns:
        A report for each TView, those that others read first.

    Raises:
        MetadataNotFound: a label is not that of an installed TView.
        OutdatedTView: the table or the view of a TView is gone.
    """
    connection = connections[using]
    tviews = chosen(connection, *labels)
    apply_pending(using=using)
    reports = []
    for number, tview in enumerate(tviews):
        _tell(progress, tview, number, len(tviews))
        report = _compare(connection, tview, limit)
        if repair and not report.exact:
            report = replace(report, repair=_refresh(connection, tview, None))
        reports.append(report)
        _tell(progress, tview, number + 1, len(tviews))
    return reports


def chosen(connection: BaseDatabaseWrapper, *labels: str) -> list[InstalledTView]:
    """Return the installed TViews that labels name, each once, those that others read first.

    Args:
        connection: to the database.
        *labels: of TViews or of apps, in any case; none means all TViews.

    Raises:
        MetadataNotFound: a label is not that of an installed TView; the hint has those near it.
    """
    installed = registry.installed(connection)
    known = {tview.label for tview in installed}
    wanted = named(labels, known, lambda label: _not_installed(connection, label, known))
    return [tview for tview in installed if tview.label in wanted]


def named(
    labels: Collection[str],
    known: Collection[str],
    unknown: Callable[[str], MetadataNotFound] | None = None,
) -> set[str]:
    """Return the labels of the TViews that others name.

    Args:
        labels: of TViews or of apps, in any case; none means all TViews.
        known: the labels there are.
        unknown: makes the error for a label that names none of them.

    Raises:
        MetadataNotFound: a label names no TView; the hint has those near it.
    """
    wanted: set[str] = set()
    for label in labels:
        found = {
            each
            for each in known
            if label.lower() in (each.lower(), each.lower().partition(".")[0])
        }
        if not found:
            if unknown is not None:
                raise unknown(label)
            raise MetadataNotFound.near(f'No TView is called "{label}".', label, known)
        wanted |= found
    return wanted if labels else set(known)


def _not_installed(
    connection: BaseDatabaseWrapper, label: str, known: Collection[str]
) -> MetadataNotFound:
    message = f'No TView called "{label}" is installed in database "{connection.alias}".'
    error = MetadataNotFound.near(message, label, known)
    with suppress(MetadataNotFound):
        named([label], {each._meta.label for each in apps.get_models() if issubclass(each, TView)})
        error.hint = f"The project declares it: run migrate --database {connection.alias}."
    return error


def plan_of(connection: BaseDatabaseWrapper, tview: InstalledTView) -> Plan:
    """Plan an installed TView again, from what the database has of it.

    Args:
        connection: to the database.
        tview: the TView.

    Raises:
        OutdatedTView: its table or its backing view is gone.
        TViewError: its query cannot be kept any more.
    """
    view = tview.declaration.view
    if tview.schema is None or not catalog.resolve(connection, [(tview.schema, view)]):
        gone = "table" if tview.schema is None else f"view {view}"
        raise OutdatedTView(
            f"The {gone} of {tview.label} is gone.",
            hint="Was a table it reads dropped with CASCADE? tview_check says what is left.",
            tview=tview.label,
        )
    return planning.plan_of(connection, tview.declaration, tview.schema)


def _tell(progress: Progress | None, tview: InstalledTView, done: int, total: int) -> None:
    if progress is not None:
        progress(tview.label, done, total)


def _refresh(
    connection: BaseDatabaseWrapper, tview: InstalledTView, keys: list[object] | None
) -> RefreshReport:
    asked = None
    if keys is not None:
        asked = json.dumps([_key_values(tview, key) for key in keys])
        _require_types(connection, tview, asked)
    runtime = identifier(catalog.runtime_schema(connection) or "")
    started = time.perf_counter()
    try:
        with transaction.atomic(connection.alias), connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {runtime}.django_tviews_refresh (tview, keys)"
                " VALUES (%s::oid::regclass, %s::jsonb) RETURNING inserted, updated, deleted",
                [tview.oid, asked],
            )
            inserted, updated, deleted = cursor.fetchone()
    except DatabaseError as error:
        explained = TViewError.from_database_error(error)
        if explained is None:
            raise
        explained.tview = tview.label
        if keys is not None:
            explained.context["keys"] = keys
        raise explained from error
    return RefreshReport(
        tview.label, inserted, updated, deleted, seconds=time.perf_counter() - started
    )


def _key_values(tview: InstalledTView, key: object) -> list[str | None]:
    columns = tview.declaration.key
    values = list(key) if isinstance(key, tuple | list) else [key]
    if len(values) != len(columns):
        raise KeyMissing(
            f"The key of {tview.label} is {', '.join(columns)}; {key!r} does not fit it.",
            hint="Give one value for each column.",
            tview=tview.label,
        )
    return [_as_text(value) for value in values]


def _require_types(connection: BaseDatabaseWrapper, tview: InstalledTView, keys: str) -> None:
    """Let PostgreSQL read the keys; a failure here is the caller's, not the query's."""
    types = {column.name: column.type for column in tview.declaration.columns}
    values = ", ".join(
        f"CAST(given.key ->> {place} AS {types[name]})"
        for place, name in enumerate(tview.declaration.key)
    )
    with transaction.atomic(connection.alias), connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM jsonb_array_elements(%s::jsonb) AS given (key)"
            f" WHERE ROW({values}) IS NULL",
            [keys],
        )


def _as_text(value: object) -> str | None:
    """Write a value as PostgreSQL reads it."""
    match value:
        case None:
            return None
        case bytes() | bytearray() | memoryview():
            return rf"\x{bytes(value).hex()}"
        case dt.date() | dt.time():
            return value.isoformat()
        case _:
            return str(value)


def _compare(connection: BaseDatabaseWrapper, tview: InstalledTView, limit: int) -> VerifyReport:
    plan = _with_stored_types(connection, tview, plan_of(connection, tview))
    started = time.perf_counter()
    with (
        installer.explained(),
        _maintenance_environment(connection),
        connection.cursor() as cursor,
    ):
        cursor.execute(comparison(plan, limit))
        rows, missing, extra, different, listed = cursor.fetchone()
    return VerifyReport(
        label=tview.label,
        rows=rows,
        missing=missing,
        extra=extra,
        different=different,
        differences=tuple(_difference(plan, *each) for each in json.loads(listed)),
        seconds=time.perf_counter() - started,
    )


def _difference(
    plan: Plan,
    kind: DifferenceKind,
    key: list[str | None],
    places: list[int],
    stored: list[str | None],
    queried: list[str | None],
) -> Difference:
    names = tuple(column.name for column in plan.columns)
    key_names = tuple(column.name for column in plan.key)
    different = tuple(names[place] for place in places)

    def told(values: list[str | None]) -> dict[str, str | None]:
        return {
            name: value
            for name, value in zip(names, values, strict=True)
            if (name in different if different else name not in key_names)
        }

    return Difference(
        DifferenceKind(kind),
        Key(key_names, tuple(key)),
        different,
        stored={} if kind == DifferenceKind.MISSING else told(stored),
        queried={} if kind == DifferenceKind.EXTRA else told(queried),
    )


def _with_stored_types(connection: BaseDatabaseWrapper, tview: InstalledTView, plan: Plan) -> Plan:
    """Take the types of the table's columns as the database names them.

    The declared name of an extension's type is not found in the maintenance environment.
    """
    stored = catalog.relations(connection, [tview.oid])[tview.oid].by_name
    for column in plan.columns:
        if column.name not in stored:
            raise OutdatedTView(
                f'The table of {tview.label} has no column "{column.name}".',
                hint=f"Run tview_sync {tview.label}."
                if column.hidden
                else "Was it altered by hand? Run tview_check.",
                tview=tview.label,
                column=column.name,
            )
    return replace(
        plan,
        columns=tuple(replace(column, type=stored[column.name].type) for column in plan.columns),
    )


@contextmanager
def _maintenance_environment(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Read in the environment in which TViews are maintained; nothing written in it stays."""
    with transaction.atomic(connection.alias):
        with connection.cursor() as cursor:
            for name, value in MAINTENANCE_ENVIRONMENT:
                cursor.execute("SELECT set_config(%s, %s, true)", [name, value])
        yield
        # Gives the settings back their values, also in a transaction that goes on.
        transaction.set_rollback(True, connection.alias)


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number:,} rows"


def duration(seconds: float) -> str:
    """Write a duration with three digits that mean something."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.3g} s"
