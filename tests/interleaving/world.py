"""A database in which a scenario is run, in every order."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import psycopg

from tests.hammer.run import create
from tests.hammer.shapes import SCHEMA
from tests.harness import strategies
from tests.oracle import column_names, difference, quoted, with_hidden_columns

from .explore import RETRIED, Course, Run, every_order
from .scenarios import COMMITTED
from .sessions import DEADLOCK_TIMEOUT, Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.harness import Database

    from .scenarios import Scenario


class World:
    """The tables and TViews of a scenario.

    Args:
        database: an empty schema with the runtime.
        scenario: what is to be run.
        mode: of the TViews.
    """

    def __init__(self, database: Database, scenario: Scenario, mode: str) -> None:
        self.database = database
        self.scenario = scenario
        self.mode = mode
        self.monitor = self._connect()
        self.monitor.execute("SET lock_timeout = '50ms'")
        database.execute(SCHEMA)
        for statement in scenario.tables:
            database.execute(statement)
        with strategies() if scenario.recomputed else nullcontext():
            create(database, scenario.shapes, mode)
        self._declarations = [
            with_hidden_columns(database.connection, tview.declaration) for tview in database.tviews
        ]
        self._reset = self._statement_that_resets()
        self._compare = " UNION ALL ".join(
            f"(SELECT '{declaration.label}', to_jsonb(differing)::text"
            f" FROM ({difference(declaration)}) AS differing)"
            for declaration in self._declarations
        )

    def orders(self, levels: Sequence[str]) -> Iterator[Run]:
        """Run the scenario in every order.

        Args:
            levels: the isolation level of each session.

        Raises:
            AssertionError: a TView differs from its query, or something failed that must not.
        """
        sessions = [Session(self._connect()) for _ in levels]

        def begin() -> list[Course]:
            self.monitor.execute(self._reset)
            return [
                Course(session, self._steps(number, level))
                for number, (session, level) in enumerate(zip(sessions, levels, strict=True))
            ]

        for run in every_order(self.monitor, begin, self.check):
            unexpected = set(run.failures) - self._may_fail_with(levels)
            assert not unexpected, f"{unexpected}\n{run}"
            assert not self.database.value("SELECT count(*) FROM django_tviews_spool"), run
            yield run

    def check(self, run: Run) -> None:
        """Compare all TViews with their queries, in a snapshot that is newer than the last step."""
        try:
            differing = self.monitor.execute(self._compare).fetchall()
        except psycopg.errors.LockNotAvailable:
            # Nobody can look at a table while its TRUNCATE has not been committed.
            return
        assert not differing, f"{run}\n{differing}"

    def _connect(self) -> psycopg.Connection[Any]:
        connection = self.database.connect()
        connection.execute(f"SET deadlock_timeout = '{DEADLOCK_TIMEOUT}'")
        return connection

    def _steps(self, number: int, level: str) -> tuple[str, ...]:
        first, *others = self.scenario.transactions[number]
        if number in self.scenario.autocommit:
            return (first, *others)
        # Else COMMIT would be one step, and so would be all that deferred TViews do.
        maintain = ("SET CONSTRAINTS ALL IMMEDIATE",) if self.mode == "deferred" else ()
        return (f"BEGIN ISOLATION LEVEL {level}; {first}", *others, *maintain, "COMMIT")

    def _may_fail_with(self, levels: Sequence[str]) -> frozenset[str]:
        if self.scenario.may_deadlock:
            return RETRIED
        return frozenset() if set(levels) == {COMMITTED} else RETRIED - {"40P01"}

    def _statement_that_resets(self) -> str:
        # Not through our triggers: whatever the last order has left behind, this begins afresh.
        tables = self.database.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition"
            " AND relname <> 'django_tviews_registry'",
            self.database.schema,
        )
        deletes = "; ".join(f"DELETE FROM {quoted(name)}" for (name,) in tables)
        fills = "; ".join(
            f"INSERT INTO {declaration.table} ({column_names(declaration)})"
            f" SELECT {column_names(declaration)} FROM ({declaration.query}) AS query"
            for declaration in self._declarations
        )
        return (
            "BEGIN; SET LOCAL session_replication_role = replica;"
            f" {deletes}; {self.scenario.rows}; {fills};"
            f" {self.scenario.drifted}; COMMIT"
        )
