"""Case after case: generate, run, count; cut down what fails."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING

from .case import Case, TViewText
from .playground import (
    CaseFailedError,
    NotValidError,
    Playground,
    RefusedError,
    TooSlowError,
    playground,
    replay,
)
from .queries import QueryWriter, relation_of
from .schema import Relation, SchemaWriter, quote
from .shrink import Shrinker
from .statements import StatementWriter

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


@dataclass(frozen=True)
class Found:
    """A failing case.

    Attributes:
        seed: what ``--case`` takes to run it again.
        case: what was run until it failed.
        failure: how it failed.
    """

    seed: str
    case: Case
    failure: CaseFailedError

    def report(self) -> str:
        """Return everything that is needed to run it again."""
        return f"{self.failure}\n\n{self.case.script()}\n\npython -m tests.fuzz --case {self.seed}"


@dataclass
class Tally:
    """What a campaign has counted.

    Attributes:
        cases: run.
        slow: cases that were given up because a statement took too long.
        compared: how many times a TView equalled its query after a statement.
        moved: how many times of these it was not what it was before.
        accepted: queries, by feature.
        refused: queries, by feature.
        rebuilt: accepted queries that need ``allow_rebuild``.
        strategies: of the sources of accepted queries, for each event.
        constructs: refusals, by construct.
        invalid: queries that PostgreSQL itself does not take.
        errors: of statements, by SQLSTATE, in both schemas alike.
        explained: errors that maintenance had to raise, because the queries do.
    """

    cases: int = 0
    slow: int = 0
    compared: int = 0
    moved: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    constructs: Counter[str] = field(default_factory=Counter)
    rebuilt: int = 0
    strategies: Counter[str] = field(default_factory=Counter)
    invalid: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def count(self, ground: Playground) -> None:
        """Add what a playground has counted."""
        self.cases += 1
        self.compared += ground.compared
        self.moved += ground.moved
        self.errors += ground.errors
        self.explained += ground.explained

    def report(self) -> str:
        """Return the counts as text."""
        features = sorted(self.accepted.keys() | self.refused.keys())
        lines = [
            f"{self.cases} cases, {self.slow} of them given up as too slow",
            f"{self.accepted['query']} queries accepted, {self.rebuilt} of them to be rebuilt",
            f"{self.refused['query']} queries refused, {self.invalid} not valid",
            f"{self.compared} comparisons of a TView with its query after a statement",
            f"{self.moved} of them after it had changed",
            f"statements that failed with and without TViews: {dict(self.errors.most_common())}",
            f"statements that failed as their queries do: {dict(self.explained.most_common())}",
            f"strategies of sources, for each event: {dict(self.strategies.most_common())}",
            "refusals:",
            *(f"    {number:6} {name}" for name, number in self.constructs.most_common()),
            "accepted and refused, by feature:",
            *(f"    {self.accepted[name]:6} {self.refused[name]:6} {name}" for name in features),
        ]
        return "\n".join(lines)


class Campaign:
    """Runs cases and counts.

    Args:
        connection: Django's connection, in autocommit mode.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.tally = Tally()

    def run(self, seed: int, minutes: float) -> Found | None:
        """Run cases until one fails or the time is over."""
        until = time.monotonic() + minutes * 60
        number = 0
        while time.monotonic() < until:
            found = self.run_case(f"{seed}:{number}")
            if found is not None:
                return found
            number += 1
        return None

    def run_case(self, seed: str) -> Found | None:
        """Generate and run the case of a seed, in a session of its own.

        One that has seen the tables of many cases come and go is slow, and large.
        """
        self.connection.close()
        random = Random(seed)
        threshold = random.choice([1, 1, 2, 3, 100, 100])
        definitions: list[str | TViewText] = []
        statements: list[str] = []
        try:
            with playground(self.connection, threshold) as ground:
                try:
                    self._play(ground, random, definitions, statements)
                finally:
                    self.tally.count(ground)
        except CaseFailedError as failure:
            return Found(seed, Case(tuple(definitions), tuple(statements), threshold), failure)
        except TooSlowError:
            self.tally.slow += 1
        return None

    def shrunk(self, found: Found, seconds: float = 180) -> Found:
        """Cut a failing case down."""

        def fails(case: Case) -> bool:
            failure = replay(self.connection, case)
            return failure is not None and failure.signature == found.failure.signature

        if not fails(found.case):
            return found
        case = Shrinker(fails, seconds).shrink(found.case)
        return replace(found, case=case, failure=replay(self.connection, case) or found.failure)

    def _play(
        self,
        ground: Playground,
        random: Random,
        definitions: list[str | TViewText],
        statements: list[str],
    ) -> None:
        schema = SchemaWriter(random, virtual=self.connection.pg_version >= 18_00_00)
        for ddl in schema.write():
            definitions.append(ddl)
            ground.define(ddl)
        writes = StatementWriter(random, schema.tables)
        for statement in writes.fill():
            # A user's trigger may make of a row what a foreign key does not allow.
            with suppress(NotValidError):
                ground.define(statement)
                definitions.append(statement)
        queries = QueryWriter(random, list(schema.tables))
        self._define(ground, queries, random, definitions)
        read = " ".join(
            each.query if isinstance(each, TViewText) else each
            for each in definitions
            if isinstance(each, TViewText) or each.startswith("CREATE VIEW")
        )
        preferred = [table for table in schema.tables if f" {quote(table.name)} " in read]
        writes.preferred = preferred or schema.tables
        for statement in writes.statements(random.randint(60, 180)):
            statements.append(statement)
            ground.step(statement)
        ground.compare_tables()

    def _define(
        self,
        ground: Playground,
        queries: QueryWriter,
        random: Random,
        definitions: list[str | TViewText],
    ) -> None:
        """Define helper views and TViews, each of which the later ones may read."""
        wanted = random.randint(2, 4)
        made = 0
        for attempt in range(60):
            if made == wanted:
                break
            if random.random() < 0.25:
                name, select = f"hv_{attempt}", queries.view()
                view = f"CREATE VIEW {quote(name)} AS {select.sql}"
                try:
                    ground.define(view)
                except NotValidError as invalid:
                    self._invalid(invalid)
                    continue
                definitions.append(view)
                queries.relations.append(relation_of(name, select))
                continue
            select = queries.tview()
            deferred = random.random() < 0.2
            tview = TViewText(
                f"tv_{attempt}",
                select.sql,
                select.key,
                mode="deferred" if deferred else "immediate",
                features=frozenset(
                    queries.features | {"deferred"} if deferred else queries.features
                ),
            )
            accepted = self._install(ground, tview, random, definitions)
            if accepted:
                made += 1
                queries.relations.append(_without_origins(relation_of(tview.name, select)))

    def _install(
        self,
        ground: Playground,
        tview: TViewText,
        random: Random,
        definitions: list[str | TViewText],
    ) -> bool:
        if random.random() < 0.8 and ground.is_empty(tview.query):
            # Over a result that stays empty every maintenance is right.
            return False
        definitions.append(tview)
        try:
            ground.define(tview)
        except NotValidError as invalid:
            definitions.pop()
            self._invalid(invalid)
            return False
        except RefusedError as refused:
            definitions.pop()
            if (
                refused.construct == "no-route"
                and not tview.allow_rebuild
                and random.random() < 0.3
            ):
                return self._install(
                    ground, replace(tview, allow_rebuild=True), random, definitions
                )
            self.tally.constructs[refused.construct] += 1
            self.tally.examples.setdefault(refused.construct, f"{refused.__cause__}\n{tview.query}")
            self.tally.refused.update(["query", *tview.features])
            return False
        self.tally.accepted.update(["query", *tview.features])
        self.tally.rebuilt += tview.allow_rebuild
        self.tally.strategies += ground.strategies_of_the_last()
        return True

    def _invalid(self, invalid: NotValidError) -> None:
        self.tally.invalid += 1
        self.tally.examples.setdefault(f"invalid {str(invalid)[:40]}", str(invalid))


def _without_origins(relation: Relation) -> Relation:
    return replace(
        relation, columns=tuple(replace(column, origin=None) for column in relation.columns)
    )
