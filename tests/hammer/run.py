"""Writers in threads, and a checker that compares TViews with their queries in one snapshot."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import IsolationLevel

from tests.oracle import difference, with_hidden_columns

from .shapes import SCHEMA, SHAPES, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.harness import Database

LEVELS = {
    "read committed": IsolationLevel.READ_COMMITTED,
    "repeatable read": IsolationLevel.REPEATABLE_READ,
    "serializable": IsolationLevel.SERIALIZABLE,
}
RETRIED = frozenset({"40001", "40P01"})
"""What a transaction may be told instead of being committed: serialization failure, deadlock."""


@dataclass
class Outcome:
    """What a run has seen.

    Attributes:
        commits: transactions committed.
        snapshots: how often a TView was compared with its query.
        errors: other ends of transactions, by SQLSTATE.
        drift: TViews that differed, with the rows.
    """

    commits: int = 0
    snapshots: int = 0
    errors: Counter[str | None] = field(default_factory=Counter)
    drift: list[tuple[str, list[tuple[Any, ...]]]] = field(default_factory=list)

    def __str__(self) -> str:
        """Write it on one line."""
        errors = ", ".join(f"{state}: {count}" for state, count in sorted(self.errors.items()))
        return (
            f"{self.commits} commits, {self.snapshots} comparisons, {len(self.drift)} differing, "
            f"errors {{{errors}}}"
        )

    def add(self, other: Outcome) -> None:
        """Add what another run has seen."""
        self.commits += other.commits
        self.snapshots += other.snapshots
        self.errors += other.errors
        self.drift += other.drift


def with_what_they_read(shapes: Sequence[Shape]) -> list[Shape]:
    """Return shapes and those they read, in the order in which they are installed."""
    names = {name for shape in shapes for name in (shape.name, *shape.reads)}
    return [shape for shape in SHAPES if shape.name in names]


def install(database: Database, shapes: Sequence[Shape], mode: str = "immediate") -> None:
    """Create the tables and TViews of a mode."""
    database.execute(SCHEMA)
    create(database, with_what_they_read(shapes), mode)


def create(database: Database, shapes: Sequence[Shape], mode: str) -> None:
    """Create the TViews of some shapes, those that others read first."""
    for shape in shapes:
        database.tview(
            shape.query,
            shape.columns,
            shape.key,
            table=shape.name,
            allow_rebuild=shape.allow_rebuild,
            mode=shape.mode or mode,
        )


class Hammer:
    """One run.

    Args:
        database: with the tables and TViews.
        levels: the isolation level of each writer.
        seconds: how long.
        seed: of everything random.
        ids: how many rows each table may have; few, so that writers meet.
        statements: how many there may be in one transaction.
        pause: the longest time between two statements, or before COMMIT, in seconds.
    """

    def __init__(
        self,
        database: Database,
        levels: Sequence[str],
        seconds: float,
        *,
        seed: int = 0,
        ids: int = 5,
        statements: int = 3,
        pause: float = 0.003,
    ) -> None:
        self.database = database
        self.levels = levels
        self.seed = seed
        self.ids = ids
        self.statements = statements
        self.pause = pause
        self.end = time.monotonic() + seconds
        self.declarations = [
            with_hidden_columns(database.connection, tview.declaration) for tview in database.tviews
        ]
        self.outcome = Outcome()
        self.lock = threading.Lock()

    def run(self) -> Outcome:
        """Let them run until the time is over."""
        threads = [
            threading.Thread(target=self._write, args=(self._session(level), number))
            for number, level in enumerate(self.levels)
        ]
        threads.append(threading.Thread(target=self._compare))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.outcome

    def _session(self, level: str) -> psycopg.Connection[Any]:
        connection = self.database.connect()
        connection.autocommit = False
        connection.isolation_level = LEVELS[level]
        return connection

    def _write(self, connection: psycopg.Connection[Any], number: int) -> None:
        chance = random.Random(f"{self.seed} {number}")
        while time.monotonic() < self.end:
            try:
                for _ in range(chance.randint(1, self.statements)):
                    connection.execute(self._statement(chance))
                    time.sleep(chance.random() * self.pause)
                connection.commit()
                with self.lock:
                    self.outcome.commits += 1
            except psycopg.Error as error:
                connection.rollback()
                with self.lock:
                    self.outcome.errors[error.sqlstate] += 1

    def _statement(self, chance: random.Random) -> str:
        table = chance.choice(("country", "supplier", "product", "author", "review", "note"))
        row, other = (chance.randint(1, self.ids) for _ in range(2))
        name = f"'{chance.choice('abc')}'"
        nullable = chance.choice([str(other), str(chance.randint(1, self.ids)), "NULL"])
        values = {
            "country": (f"{row}, {name}", "name"),
            "supplier": (f"{row}, {name}, {nullable}", "name, country_id"),
            "product": (
                f"{row}, {name}, {nullable}, {name}, {other}",
                "name, supplier_id, category, price",
            ),
            "author": (f"{row}, {name}, {nullable}", "name, country_id"),
            "review": (f"{row}, {other}, {nullable}, {row % 4}", "product_id, author_id, stars"),
            "note": (f"{row}, {other}, {name}", "review_id, body"),
        }[table]
        columns = values[1].split(", ")
        changed = chance.choice(columns)
        value = {"supplier_id": nullable, "country_id": nullable, "author_id": nullable}.get(
            changed, str(other)
        )
        return chance.choice(
            [
                f"INSERT INTO {table} VALUES ({values[0]}) ON CONFLICT (id) DO UPDATE SET "
                + ", ".join(f"{column} = excluded.{column}" for column in columns),
                # The only INSERT that is alone, so that it may be folded.
                f"INSERT INTO {table} VALUES ({values[0]}) ON CONFLICT (id) DO NOTHING",
                f"UPDATE {table} SET {changed} = {value} WHERE id = {row}",
                f"UPDATE {table} SET {changed} = {value} WHERE id IN ({row}, {other})",
                f"DELETE FROM {table} WHERE id = {row}",
            ]
        )

    def _compare(self) -> None:
        connection = self._session("repeatable read")
        while time.monotonic() < self.end:
            for declaration in self.declarations:
                differing = connection.execute(difference(declaration)).fetchall()
                if differing:
                    self.outcome.drift.append((declaration.label, differing))
                self.outcome.snapshots += 1
                connection.rollback()
            # Leave the processors to the writers.
            time.sleep(0.005)
