"""Say what transactions of a database alias really get, and what TViews promise in them.

The isolation level, and what else decides about it, is set in many places: the server, the
database, the role, Django's ``OPTIONS``; poolers may drop some of it on the way. So the server is
asked, over the connection that the project itself uses.
"""

from __future__ import annotations

import os
import re
import textwrap
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from . import catalog
from .errors import TViewError
from .health import Problem, ProblemKind
from .maintenance import chosen, plan_of
from .sql.quoting import identifier
from .sql.shared import LOCK_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from django.db.backends.base.base import BaseDatabaseWrapper

    from .catalog import RoleSetting, Server
    from .registry import InstalledTView

OLDEST_SERVER: Final = 150000

_ISOLATION: Final = "default_transaction_isolation"
_REPLICATION: Final = "session_replication_role"
_READ_ONLY: Final = "default_transaction_read_only"

SETTINGS: Final = (_ISOLATION, _REPLICATION, _READ_ONLY, "lock_timeout", "deadlock_timeout")
"""The settings that decide how writers are served, and whether TViews notice them."""

_WORDS: Final = (_ISOLATION, _REPLICATION)

_ABOVE_READ_COMMITTED: Final = ("repeatable read", "serializable")

# What libpq and the server take: "-c name=value", "-cname=value", "--name=value".
_STARTUP_SETTING: Final = re.compile(r"(?:-c\s*|--)(?P<name>[\w.-]+)=(?P<value>.*)")


@dataclass(frozen=True)
class Saying:
    """What somebody says about a setting.

    Attributes:
        where: who: the server, ALTER DATABASE, ALTER ROLE, Django.
        value: what.
    """

    where: str
    value: str


@dataclass(frozen=True)
class Setting:
    """A setting: who says what, and what is in force.

    Attributes:
        name: of the setting.
        said: what is said about it; later ones win.
        in_force: what the connection really has.
    """

    name: str
    said: tuple[Saying, ...]
    in_force: str

    @property
    def dropped(self) -> bool:
        """Whether what Django has asked for is not in force; times have too many notations."""
        asked = [saying.value for saying in self.said if saying.where.startswith("Django")]
        return self.name in _WORDS and bool(asked) and asked[-1].lower() != self.in_force

    def __str__(self) -> str:
        """Write it for people: on one line, or on one more for each who says something."""
        if [saying.value for saying in self.said] == [self.in_force]:
            return f"{self.name} = {self.in_force}  ({self.said[0].where})"
        width = max(len(saying.where) for saying in self.said)
        said = [f"    {saying.where:<{width}}  {saying.value}" for saying in self.said]
        return "\n".join([f"{self.name} = {self.in_force}", *said])


@dataclass(frozen=True)
class Promise:
    """How exact a TView is in the transactions of a database alias.

    Attributes:
        label: the TView.
        when: from when on it equals its query.
        one_at_a_time: the sources whose writers lock all of it.
        unknown: why nothing can be promised, if so.
    """

    label: str
    when: str
    one_at_a_time: tuple[str, ...] = ()
    unknown: str = ""

    def __str__(self) -> str:
        """Write it for people, without the label."""
        if self.unknown:
            return f"nothing: {self.unknown}"
        if not self.one_at_a_time:
            return self.when
        return f"{self.when}; writers of {', '.join(self.one_at_a_time)} one at a time"


@dataclass(frozen=True)
class IsolationReport:
    """What transactions of a database alias get, and what TViews promise in them.

    Attributes:
        alias: the alias in ``DATABASES``.
        server: the server's version.
        name: the name of the database.
        role: the role that logs in.
        in_transactions: the isolation level inside of ``transaction.atomic()``.
        asked: the one that Django asks for there, by ``OPTIONS["isolation_level"]``; None for
            that of single statements.
        in_autocommit: that of a statement outside of any.
        settings: who says what.
        notes: what else is worth knowing, in sentences.
        promises: one for each TView.
        problems: what goes past TViews, or cannot work.
    """

    alias: str
    server: str
    name: str
    role: str
    in_transactions: str
    asked: str | None
    in_autocommit: str
    settings: tuple[Setting, ...]
    notes: tuple[str, ...]
    promises: tuple[Promise, ...]
    problems: tuple[Problem, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON holds it."""
        parts = asdict(self)
        return {"database": parts.pop("alias"), **parts}

    def __str__(self) -> str:
        """Write it for people."""
        where = f"database {self.name}, role {self.role}"
        asked = '  (Django, OPTIONS["isolation_level"])' if self.asked else ""
        width = max((len(promise.label) for promise in self.promises), default=0)
        parts = (
            [f'Database "{self.alias}": PostgreSQL {self.server}, {where}'],
            [
                f"in transactions    {self.in_transactions.upper()}{asked}",
                f"single statements  {self.in_autocommit.upper()}",
            ],
            [str(setting) for setting in self.settings],
            [f"{promise.label:<{width}}  {promise}" for promise in self.promises],
            [textwrap.fill(note, 100) for note in self.notes],
            [str(problem) for problem in self.problems],
        )
        return "\n\n".join("\n".join(part) for part in parts if part)


def isolation(*labels: str, using: str = DEFAULT_DB_ALIAS) -> IsolationReport:
    """Say what transactions of a database alias really get, and what TViews promise in them.

    Args:
        *labels: TViews, such as ``"shop.ProductCard"``, or apps; by default all.
        using: alias of the database.

    Returns:
        The report. Its problems are what goes past TViews, so that they would not be kept.

    Raises:
        MetadataNotFound: a label is not that of an installed TView.
    """
    connection = connections[using]
    tviews = chosen(connection, *labels)
    in_autocommit = catalog.settings_in_force(connection, [_ISOLATION])[_ISOLATION][0]
    with transaction.atomic(using):
        in_transactions = catalog.isolation_level(connection)
    server = catalog.server(connection)
    settings = _settings(connection, server)
    return IsolationReport(
        alias=using,
        server=server.version,
        name=server.database,
        role=server.role,
        in_transactions=in_transactions,
        asked=_asked(connection),
        in_autocommit=in_autocommit,
        settings=settings,
        notes=tuple(_notes(connection, server, settings, in_transactions)),
        promises=tuple(_promise(connection, tview, in_transactions) for tview in tviews),
        problems=tuple(problems(connection, tviews)),
    )


def problems(
    connection: BaseDatabaseWrapper, tviews: Iterable[InstalledTView]
) -> Iterator[Problem]:
    """Yield what writes past TViews, and what cannot work.

    Args:
        connection: of the alias.
        tviews: the TViews concerned.
    """
    tviews = list(tviews)
    if not tviews:
        return
    server = catalog.server(connection)
    yield from _server_problems(server)
    yield from _replica_problems(connection, server)
    for tview in tviews:
        yield from _subscription_problems(connection, tview)


def startup_settings(options: str) -> dict[str, str]:
    """Read the settings in what libpq sends to the server when a connection begins.

    Args:
        options: such as ``-c default_transaction_isolation=serializable``.
    """
    words = re.sub(r"(^|\s)-c\s+", r"\1-c", options)
    found = {}
    for word in re.split(r"(?<!\\)\s+", words):
        if match := _STARTUP_SETTING.fullmatch(re.sub(r"\\(.)", r"\1", word)):
            found[match["name"].replace("-", "_").lower()] = match["value"]
    return found


def _settings(connection: BaseDatabaseWrapper, server: Server) -> tuple[Setting, ...]:
    in_force = catalog.settings_in_force(connection, SETTINGS)
    by_roles = [each for each in catalog.role_settings(connection, SETTINGS) if each.applies]
    by_django = list(_said_by_django(connection))
    settings = []
    for name in SETTINGS:
        value, from_server = in_force[name]
        said = [Saying("server", value)] if from_server else []
        said += [Saying(_whose(each, server), each.value) for each in by_roles if each.name == name]
        said += [saying for about, saying in by_django if about == name]
        if not said:
            said = [Saying("session", value)]
        settings.append(Setting(name, tuple(said), value))
    return tuple(settings)


def _whose(setting: RoleSetting, server: Server) -> str:
    role = "" if setting.role is None else f"role {setting.role}"
    database = f"database {server.database}" if setting.here_only else ""
    return " in ".join(part for part in (role, database) if part) or "all roles"


def _said_by_django(connection: BaseDatabaseWrapper) -> Iterator[tuple[str, Saying]]:
    options: Mapping[str, Any] = connection.settings_dict["OPTIONS"]
    startup = options.get("options")
    where = 'Django, OPTIONS["options"]'
    if startup is None:
        startup, where = os.environ.get("PGOPTIONS", ""), "Django, environment PGOPTIONS"
    for name, value in startup_settings(startup).items():
        yield name, Saying(where, value)


def _asked(connection: BaseDatabaseWrapper) -> str | None:
    if "isolation_level" not in connection.settings_dict["OPTIONS"]:
        return None
    level: Any = getattr(connection, "isolation_level", None)
    return str(level.name).replace("_", " ").lower()


def _notes(
    connection: BaseDatabaseWrapper,
    server: Server,
    settings: Iterable[Setting],
    in_transactions: str,
) -> Iterator[str]:
    if in_transactions in _ABOVE_READ_COMMITTED:
        yield (
            "A writer that comes after another one of the same rows of a TView fails with 40001, "
            "and succeeds when its transaction is run again."
        )
        yield (
            "Refused with 25001: creating and altering TViews, also by tview_sync, and changing "
            "the type of what they read. Run migrate at READ COMMITTED."
        )
    else:
        yield "A writer waits for another one of the same rows of a TView, and goes on after it."
    process = connection.connection.info.backend_pid
    if process != server.process:
        yield (
            "The connection leads through a pooler. TViews need nothing of a session, but startup "
            "options may not reach the server, which knows the role of the pooler."
        )
    for setting in settings:
        if setting.dropped:
            yield (
                f"{setting.name} is not what Django has asked for: a pooler dropped it, or "
                "something has set it since."
            )
    if connection.settings_dict["ATOMIC_REQUESTS"]:
        yield (
            "ATOMIC_REQUESTS is on: what a request locks of a TView stays locked to the end of it."
        )
    if server.in_recovery:
        yield "The server is a standby: TViews are what the primary has made them."


def _promise(connection: BaseDatabaseWrapper, tview: InstalledTView, level: str) -> Promise:
    try:
        plan = plan_of(connection, tview)
    except TViewError as error:
        return Promise(tview.label, "", unknown=f"{error.message} Run tview_check.")
    when = "exact after each statement"
    if plan.deferred:
        when = "exact at COMMIT"
        if level in _ABOVE_READ_COMMITTED:
            when += ", which may fail with 40001"
    sources = dict.fromkeys(source.relation.full_name for source, _ in plan.rebuilds)
    return Promise(tview.label, when, tuple(sources))


def _server_problems(server: Server) -> Iterator[Problem]:
    if server.version_number < OLDEST_SERVER:
        yield Problem(
            ProblemKind.UNSUPPORTED,
            "",
            "server_version",
            f"PostgreSQL {server.version} is too old for TViews.",
            f"Upgrade to PostgreSQL {OLDEST_SERVER // 10000} or later.",
        )
    if server.lock_table < LOCK_LIMIT:
        yield Problem(
            ProblemKind.UNSUPPORTED,
            "",
            "max_locks_per_transaction",
            f"The server has room for {server.lock_table} locks, and a transaction may take "
            f"{LOCK_LIMIT}: writes would fail, out of shared memory.",
            "Raise max_locks_per_transaction, and restart the server.",
        )


def _replica_problems(connection: BaseDatabaseWrapper, server: Server) -> Iterator[Problem]:
    message = "session_replication_role is replica {}: such writes fire no triggers, so TViews "
    message += "do not follow."
    value, _ = catalog.settings_in_force(connection, [_REPLICATION])[_REPLICATION]
    said = [
        each
        for each in catalog.role_settings(connection, [_REPLICATION])
        if each.value.lower() == "replica"
    ]
    if value == "replica" and not any(each.applies for each in said):
        yield Problem(
            ProblemKind.BYPASSED,
            "",
            _REPLICATION,
            message.format("on this connection"),
            "Find out who sets it: OPTIONS, a signal handler, or the server's configuration.",
        )
    for each in said:
        role = "ALL" if each.role is None else identifier(each.role)
        database = f" IN DATABASE {identifier(server.database)}" if each.here_only else ""
        reset = f"ALTER ROLE {role}{database} RESET {_REPLICATION};"
        if each.role is None and each.here_only:
            reset = f"ALTER DATABASE {identifier(server.database)} RESET {_REPLICATION};"
        yield Problem(
            ProblemKind.BYPASSED,
            "",
            _REPLICATION,
            message.format(f"for {_whose(each, server)}"),
            f"{reset} Afterwards tview_verify --repair.",
        )


def _subscription_problems(
    connection: BaseDatabaseWrapper, tview: InstalledTView
) -> Iterator[Problem]:
    sources = {
        (each.schema, each.table)
        for each in catalog.triggers(connection)
        if each.tview == tview.oid
    }
    tables = catalog.resolve(connection, sources)
    found = catalog.subscribed(connection, [*tables.values(), tview.oid])
    if tview.oid in found:
        # Its rows come from where they are kept.
        return
    for (schema, table), oid in sorted(tables.items(), key=lambda item: item[1]):
        for subscription in found.get(oid, ()):
            yield Problem(
                ProblemKind.BYPASSED,
                tview.label,
                f"{schema}.{table}",
                f"the subscription {subscription} writes to {schema}.{table} past its triggers.",
                "Keep the TView where the table is written, and replicate its table as well.",
            )
