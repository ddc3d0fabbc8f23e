"""Measuring: every operation in turn on every contender, and what came out of it."""

from __future__ import annotations

import gc
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connections

from .contenders import NotAvailableError, differences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from .contenders import Contender
    from .databases import Databases
    from .sessions import Session
    from .workload import Cycle, Workload

PATIENCE = 8.0
"""Seconds that a contender may spend on one cycle before it sits out the rest of the rounds."""

FEWEST = 3
"""Rounds of operations on however many rows, if so many are asked for at all."""


class InexactError(AssertionError):
    """What a contender keeps is not what the query gives, so that its times mean nothing."""


@dataclass(frozen=True)
class Measurement:
    """How long one operation took on one contender.

    Attributes:
        workload: its name.
        scale: how many rows its main table had.
        operation: its name.
        size: how many rows it concerned.
        contender: who ran it.
        times: milliseconds at the client, COMMIT included, of every run.
    """

    workload: str
    scale: int
    operation: str
    size: int
    contender: str
    times: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median, in milliseconds."""
        return statistics.median(self.times)

    @property
    def fastest(self) -> float:
        """The time of the fastest run, which other load on the machine disturbs least."""
        return min(self.times)


def rounds_for(size: int, rounds: int) -> int:
    """Return how often operations of a size are run, if those of one row are run `rounds` times."""
    return max(min(FEWEST, rounds), round(rounds / (1 + size / 100)))


def measure(
    databases: Databases,
    workload: Workload,
    scale: int,
    contenders: Mapping[str, Contender],
    sizes: Sequence[int],
    rounds: int,
    note: Callable[[str], None],
) -> Iterator[Measurement]:
    """Measure every operation of a workload on every contender.

    Args:
        databases: where to.
        workload: what.
        scale: how many rows its main table has.
        contenders: by the alias of their database.
        sizes: the numbers of rows to change at once.
        rounds: how often operations on one row are run.
        note: is told which contender cannot take part, and why.

    Raises:
        InexactError: a contender has not kept what it should have kept.
    """
    databases.fill(workload, scale)
    sessions = list(begin(databases, workload, scale, contenders, note))
    try:
        for cycle in workload.cycles(scale, sizes):
            for operation, alias, times in run(cycle, sessions, rounds_for(cycle.size, rounds)):
                yield Measurement(workload.name, scale, operation, cycle.size, alias, times)
            for session in sessions:
                session.tidy()
            check(sessions, workload)
    finally:
        for session in sessions:
            session.close()
        databases.drop(contenders)


def check(sessions: Iterable[Session], workload: Workload) -> None:
    """Compare what every contender keeps with the queries.

    Raises:
        InexactError: they differ.
    """
    for session in sessions:
        if session.contender.exact and (
            found := differences(connections[session.alias], session.contender, workload)
        ):
            raise InexactError(
                f"{session.contender.name} differs from the queries of {workload.name}: {found}"
            )


def begin(
    databases: Databases,
    workload: Workload,
    scale: int,
    contenders: Mapping[str, Contender],
    note: Callable[[str], None],
) -> Iterator[Session]:
    """Give every contender that can take part a copy of the contents, and let it begin.

    Args:
        databases: with the contents of the workload.
        workload: what is kept.
        scale: how many rows its main table has.
        contenders: by the alias of their database.
        note: is told which contender cannot take part, and why.
    """
    for alias, contender in contenders.items():
        if workload.by_objects or contender.takes_statements:
            databases.copy(alias)
            try:
                session = contender.begin(databases, alias, workload, scale)
            except NotAvailableError as missing:
                note(f"{contender.name} takes no part: {missing}.")
                continue
            session.tidy()
            yield session


def run(
    cycle: Cycle, sessions: Sequence[Session], rounds: int
) -> Iterator[tuple[str, str, tuple[float, ...]]]:
    """Run a cycle on all sessions in turn.

    Args:
        cycle: the operations.
        sessions: on whom.
        rounds: how often, as far as their patience lasts.

    Yields:
        The name of an operation, the alias of a session, and the milliseconds of its runs.
    """
    times: dict[tuple[str, str], list[float]] = {
        (operation.name, session.alias): []
        for operation in cycle.operations
        for session in sessions
    }
    spent = dict.fromkeys((session.alias for session in sessions), 0.0)
    gc.disable()
    try:
        for number in range(rounds + 1):
            taking_part = [
                session
                for session in _rotated(sessions, number)
                if spent[session.alias] < PATIENCE * 1000
            ]
            for operation in cycle.operations:
                for session in taking_part:
                    taken = session.run(operation, cycle.parameters(session.scale, number))
                    spent[session.alias] += taken
                    times[operation.name, session.alias].append(taken)
    finally:
        gc.enable()
    for (operation_name, alias), found in times.items():
        # The first round makes plans, which counts only for those who take seconds anyway.
        yield operation_name, alias, tuple(found[1:] or found)


def _rotated(sessions: Sequence[Session], number: int) -> list[Session]:
    """Let another one begin each time, so that nobody always comes after the slowest."""
    first = number % len(sessions) if sessions else 0
    return [*sessions[first:], *sessions[:first]]
