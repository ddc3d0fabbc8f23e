"""Who takes part: each keeps the results of a workload's queries in its own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.core.management import call_command
from django.db import NotSupportedError, connections

from django_tviews import installer
from django_tviews.definition import Column, Declaration
from django_tviews.relational.canonical import canonical_sql

from .sessions import ObjectSession, StatementSession
from .tables import Tables
from .workload import HAND_WRITTEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.backends.base.base import BaseDatabaseWrapper

    from .databases import Databases
    from .sessions import Session
    from .workload import View, Workload


class NotAvailableError(Exception):
    """A contender cannot take part on this server; the message says why."""


class Contender:
    """Writes to bare tables, and keeps nothing. The others are subclasses.

    Attributes:
        name: as on the command line and in reports.
        exact: its results equal the queries after every operation.
        takes_statements: it sees what SQL statements write, not objects of the ORM alone.
    """

    name: ClassVar[str] = "bare tables"
    exact: ClassVar[bool] = False
    takes_statements: ClassVar[bool] = True

    def begin(self, databases: Databases, alias: str, workload: Workload, scale: int) -> Session:
        """Keep the results of a workload's queries, and return how the tables are written to.

        Args:
            databases: where it has a database with the tables and their contents.
            alias: of that database.
            workload: what to keep.
            scale: how many rows the workload's main table has.

        Raises:
            NotAvailableError: the server does not have what it takes.
        """
        self.install(connections[alias], workload)
        following = self.following(workload)
        if workload.by_objects:
            return ObjectSession(alias, self, scale, following, self.tables(workload))
        return StatementSession(alias, self, scale, following, databases.connect(alias))

    def install(self, connection: BaseDatabaseWrapper, workload: Workload) -> None:
        """Keep the results of a workload's queries from now on.

        Raises:
            NotAvailableError: the server does not have what it takes.
        """

    def tables(self, workload: Workload) -> Tables:
        """Return the models through which objects are written."""
        from . import models

        return Tables(models.Author, models.Post, models.Comment)

    def following(self, workload: Workload) -> tuple[str, ...]:
        """Return the statements that follow each operation in its transaction."""
        return ()

    def stored(self, workload: Workload, view: View) -> str:
        """Return the query that shows what it keeps, in the order of the view's columns."""
        return f"SELECT {', '.join(view.columns)} FROM {view.name}"


class HandWritten(Contender):
    """Triggers that somebody who knows PostgreSQL has written for these very views.

    They are exact as long as every transaction is READ COMMITTED.
    """

    name = "hand-written triggers"
    exact = True

    def install(self, connection: BaseDatabaseWrapper, workload: Workload) -> None:
        for view in workload.views:
            execute(
                connection,
                view.table,
                f"INSERT INTO {view.name} {view.query}",
                *indexes_of(view),
            )
        execute(connection, self.triggers(workload))

    def triggers(self, workload: Workload) -> str:
        """Return the functions and triggers."""
        return workload.hand_written("READ COMMITTED")


class HandWrittenForAllLevels(HandWritten):
    """The same, with the locks of a TView, so that they are exact at all isolation levels."""

    name = "hand-written triggers, same locks"

    def install(self, connection: BaseDatabaseWrapper, workload: Workload) -> None:
        call_command("migrate", database=connection.alias, verbosity=0)
        super().install(connection, workload)

    def triggers(self, workload: Workload) -> str:
        return (HAND_WRITTEN / "locks.sql").read_text() + workload.hand_written("ALL LEVELS")


class TViews(Contender):
    """TViews of this package."""

    name = "django_tviews"
    exact = True
    mode: ClassVar[str] = "immediate"

    def install(self, connection: BaseDatabaseWrapper, workload: Workload) -> None:
        call_command("migrate", database=connection.alias, verbosity=0)
        for view in workload.views:
            install_tview(connection, view, self.mode)


class DeferredTViews(TViews):
    """TViews that are maintained once per transaction, at COMMIT."""

    name = "django_tviews, deferred"
    mode = "deferred"


class LocklessTViews(TViews):
    """TViews that take no locks, exact only while nobody else writes: what locks cost."""

    name = "django_tviews without locks"

    def install(self, connection: BaseDatabaseWrapper, workload: Workload) -> None:
        super().install(connection, workload)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT format('%s(%s)', oid::regproc, pg_get_function_arguments(oid))"
                " FROM pg_proc WHERE proname = 'django_tviews_lock'",
                None,
            )
            ((lock,),) = cursor.fetchall()
        execute(
            connection,
            f"CREATE OR REPLACE FUNCTION {lock} RETURNS void LANGUAGE plpgsql AS 'BEGIN END'",
        )


class Refresh(Contender):
    """Materialized views, refreshed before the writer commits."""

    name = "REFRESH MATERIALIZED VIEW"
    exact = True
    refresh: ClassVar[str] = "REFRESH MATERIALIZED VIEW"

    def install(self, connection: BaseDatabaseWrapper, workload: Workload) -> None:
        for view in workload.views:
            columns = ", ".join(
                f"{name}::{type_} AS {name}" for name, type_ in view.columns.items()
            )
            execute(
                connection,
                f"CREATE MATERIALIZED VIEW {view.name} AS SELECT {columns} FROM ({view.query}) q",
                f"CREATE UNIQUE INDEX ON {view.name} ({', '.join(view.key)})",
                *indexes_of(view),
            )

    def following(self, workload: Workload) -> tuple[str, ...]:
        return tuple(f"{self.refresh} {view.name}" for view in workload.views)


class RefreshConcurrently(Refresh):
    """Materialized views, refreshed before the writer commits while others may read them."""

    name = "REFRESH … CONCURRENTLY"
    refresh = "REFRESH MATERIALIZED VIEW CONCURRENTLY"


class PgIvm(Contender):
    """The views of pg_ivm, an extension written in C, where the server has it."""

    name = "pg_ivm"
    exact = True

    def install(self, connection: BaseDatabaseWrapper, workload: Workload) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_ivm'")
            if cursor.fetchone() is None:
                raise NotAvailableError("the server does not have the extension pg_ivm")
        execute(connection, "CREATE EXTENSION IF NOT EXISTS pg_ivm")
        for view in workload.views:
            literal = view.query.replace("'", "''")
            try:
                execute(connection, f"SELECT pgivm.create_immv('{view.name}', '{literal}')")
            except NotSupportedError as refusal:
                (message, *_) = str(refusal).splitlines()
                raise NotAvailableError(f"{view.name} of {workload.name}: {message}") from refusal
            execute(connection, *indexes_of(view))


class ComputedFields(Contender):
    """Fields of django-computedfields, which Python computes when objects are written."""

    name = "django-computedfields"
    exact = True
    takes_statements = False

    def install(self, connection: BaseDatabaseWrapper, workload: Workload) -> None:
        from .computed import models

        (view,) = workload.views
        execute(
            connection,
            models.COLUMNS[workload.queries],
            models.FILL[workload.queries].format(query=view.query),
        )

    def tables(self, workload: Workload) -> Tables:
        from .computed import models

        return Tables(*models.TABLES[workload.queries], computed=True)

    def stored(self, workload: Workload, view: View) -> str:
        from .computed import models

        return models.STORED[workload.queries]


CONTENDERS: Final[Mapping[str, Contender]] = {
    "bare": Contender(),
    "hand": HandWritten(),
    "hand_locks": HandWrittenForAllLevels(),
    "tviews": TViews(),
    "refresh": Refresh(),
    "concurrently": RefreshConcurrently(),
    "pg_ivm": PgIvm(),
    "computed": ComputedFields(),
    "lockless": LocklessTViews(),
}
"""The contenders by what they are called on the command line."""


def install_tview(connection: BaseDatabaseWrapper, view: View, mode: str = "immediate") -> None:
    """Install a TView with the query of a view, and the indexes its readers want."""
    declaration = Declaration(
        label=f"benchmarks.{view.name}",
        table=view.name,
        query=canonical_sql(view.query),
        columns=tuple(
            Column(name, type_, nullable=False, output=name) for name, type_ in view.columns.items()
        ),
        key=view.key,
        mode=mode,
    )
    with connection.schema_editor() as editor:
        installer.create(editor, declaration, lambda: editor.execute(view.table))
    execute(connection, *indexes_of(view))


def execute(connection: BaseDatabaseWrapper, *statements: str) -> None:
    """Execute SQL without parameters."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, None)


def differences(
    connection: BaseDatabaseWrapper, contender: Contender, workload: Workload
) -> dict[str, list[tuple[Any, ...]]]:
    """Return, by view, rows that a contender has and the query does not give, or the reverse."""
    found = {}
    for view in workload.views:
        columns = ", ".join(f"q.{name}::{type_}" for name, type_ in view.columns.items())
        query, stored = f"SELECT {columns} FROM ({view.query}) q", contender.stored(workload, view)
        with connection.cursor() as cursor:
            # Alike in number and sum of hashes they are alike, and millions of rows need no sort.
            cursor.execute(
                f"SELECT ({_digest(query)}) IS NOT DISTINCT FROM ({_digest(stored)})", None
            )
            if cursor.fetchone() == (True,):
                continue
            cursor.execute(
                f"({query} EXCEPT ALL {stored}) UNION ALL ({stored} EXCEPT ALL {query}) LIMIT 5",
                None,
            )
            if rows := cursor.fetchall():
                found[view.name] = rows
    return found


def indexes_of(view: View) -> list[str]:
    """Return the statements that create the indexes that readers of a view want."""
    return [f"CREATE INDEX ON {view.name} {index}" for index in view.indexes]


def _digest(query: str) -> str:
    return (
        f"SELECT format('%s %s', count(*), sum(hash_record_extended(r.*, 0))) FROM ({query}) AS r"
    )
