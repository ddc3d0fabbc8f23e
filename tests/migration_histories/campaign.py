"""History after history: generate, run, count; cut down what fails."""

from __future__ import annotations

import re
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field, fields, is_dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from .edits import Step, is_sensible, stale_views
from .life import Life, RefusedError
from .project import Project
from .proposals import Proposer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

REPLAYS = 1


class HistoryFailedError(Exception):
    """Something happened in a history that must not.

    Args:
        phase: when: stepping, reversing, replaying.
        message: what.
    """

    def __init__(self, phase: str, message: str) -> None:
        super().__init__(f"{phase}: {message}")
        self.phase = phase
        self.message = message

    @property
    def signature(self) -> str:
        """What must be the same for a shorter history to fail in the same way."""
        first = self.message.strip().splitlines()[0]
        what = re.sub(r'"[^"]*"|[^ ]*[0-9<({\[].*', "", first)
        return f"{self.phase} {what}"


def brief(value: object) -> str:
    """Write a value of a history as Python, without what is left to default."""
    if is_dataclass(value):
        arguments = [
            f"{each.name}={brief(given)}"
            for each in fields(value)
            if (given := getattr(value, each.name)) != each.default
        ]
        return f"{type(value).__name__}({', '.join(arguments)})"
    if type(value) is tuple:
        return f"({''.join(f'{brief(each)}, ' for each in value)})"
    return repr(value)


@dataclass(frozen=True)
class Found:
    """A failing history.

    Attributes:
        seed: what ``--history`` takes to run it again.
        steps: that lead to it.
        failure: how it failed.
        written: the migrations, as text.
        log: what has happened last.
    """

    seed: str
    steps: tuple[Step, ...]
    failure: HistoryFailedError
    written: str
    log: tuple[str, ...]

    def report(self) -> str:
        """Return everything that is needed to understand it and to run it again."""
        steps = "\n".join(map(brief, self.steps))
        log = "\n".join(self.log[-25:])
        return (
            f"{self.written}\n\n{steps}\n\n{log}\n\n{self.failure}\n\n"
            f"python -m tests.migration_histories --history {self.seed}"
        )


@dataclass
class Tally:
    """What a campaign has counted.

    Attributes:
        histories: run.
        steps: runs of makemigrations that changed something.
        operations: applied for the first time, by kind.
        refused: steps that were refused, by error.
        compared: how many times a TView equalled its query.
    """

    histories: int = 0
    steps: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    compared: int = 0

    def report(self) -> str:
        """Return the counts as text."""
        return "\n".join(
            [
                f"{self.histories} histories, {self.steps} steps, {self.compared} comparisons",
                f"operations: {dict(self.operations.most_common())}",
                f"refused: {dict(self.refused.most_common())}",
            ]
        )


class Run:
    """One random history.

    Args:
        connection: Django's connection, in autocommit mode.
        seed: where all choices come from.
        tally: what is counted.
    """

    def __init__(self, connection: BaseDatabaseWrapper, seed: str, tally: Tally) -> None:
        self.random = Random(seed)
        self.proposer = Proposer(Random(f"steps {seed}"))
        self.life = Life(connection, self.random)
        self.tally = tally
        self.project = Project()
        self.steps: list[Step] = []

    def play(self, steps: Sequence[Step] | None = None) -> None:
        """Go through steps, back, and forth and back again in other orders.

        Args:
            steps: what to do; by default something random.

        Raises:
            HistoryFailedError: something happened that must not.
        """
        try:
            with self.life.database.opened():
                self.life.begin()
                for step in self._proposed() if steps is None else steps:
                    if is_sensible(self.project, step):
                        self.steps.append(step)
                        self._step(step)
                self.life.go_back()
                for _ in range(REPLAYS):
                    self.life.go_again()
        except Exception as error:
            what = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            lines = traceback.format_exc(limit=-6)
            raise HistoryFailedError(self.life.phase, f"{what}{error}\n\n{lines}") from error
        finally:
            self.tally.compared += self.life.database.compared

    def _proposed(self) -> Iterator[Step]:
        yield self.proposer.first_step()
        for _ in range(self.random.choice([2, 3, 3, 4, 5])):
            yield self.proposer.step(self.project)

    def _step(self, step: Step) -> None:
        before, after = self.project, step.project(self.project)
        stale = {} if step.careful else stale_views(before, after)
        repaired = after.repaired()
        self.tally.steps += 1
        try:
            made = self.life.advance(
                repaired.state([(before, key) for key in stale]),
                step.renames(before),
                step.by_hand(before, repaired),
                step.edit,
                revocable=bool(stale),
            )
        except RefusedError as refused:
            self.tally.refused[type(refused.__cause__).__name__] += 1
            return
        assert not any(stale.values()), f"accepted although it breaks {stale}"
        self.tally.operations.update(type(operation).__name__ for operation in made)
        self.project = repaired


class Campaign:
    """Runs histories and counts.

    Args:
        connection: Django's connection, in autocommit mode.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.tally = Tally()

    def run(self, seeds: Iterable[str], seconds: float) -> Found | None:
        """Run histories until one fails, there are no more, or the time is over."""
        until = time.monotonic() + seconds
        for seed in seeds:
            found = self.run_history(seed)
            if found is not None or time.monotonic() > until:
                return found
        return None

    def run_history(self, seed: str, steps: Sequence[Step] | None = None) -> Found | None:
        """Generate and run the history of a seed."""
        run = Run(self.connection, seed, self.tally)
        self.tally.histories += 1
        try:
            run.play(steps)
        except HistoryFailedError as failure:
            log = tuple(run.life.database.log)
            return Found(seed, tuple(run.steps), failure, run.life.written(), log)
        return None

    def shrunk(self, found: Found, seconds: float = 120) -> Found:
        """Cut a failing history down."""
        until = time.monotonic() + seconds
        tally, self.tally = self.tally, Tally()

        def failing(steps: Sequence[Step]) -> Found | None:
            if time.monotonic() > until:
                return None
            attempt = self.run_history(found.seed, steps)
            same = attempt and attempt.failure.signature == found.failure.signature
            return attempt if same else None

        smallest = failing(found.steps) or found
        before = None
        while before is not smallest and time.monotonic() < until:
            before = smallest
            for shorter in _shorter(smallest.steps):
                if (attempt := failing(shorter)) is not None:
                    smallest = attempt
                    break
        self.tally = tally
        return smallest


def _shorter(steps: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    """Yield what is a little less than some steps."""
    for place in reversed(range(len(steps))):
        yield (*steps[:place], *steps[place + 1 :])
    for place, step in enumerate(steps):

        def instead(shorter: Step, place: int = place) -> tuple[Step, ...]:
            return (*steps[:place], shorter, *steps[place + 1 :])

        if len(step.edits) > 1:
            for number in reversed(range(len(step.edits))):
                edits = (*step.edits[:number], *step.edits[number + 1 :])
                yield instead(replace(step, edits=edits))
        if step.data:
            yield instead(replace(step, data=""))
        if not step.atomic:
            yield instead(replace(step, atomic=True))
