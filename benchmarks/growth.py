"""What a change of one row costs as the tables grow.

Tables of all sizes stand side by side and are written to in turn, so that what else the machine
does meets all of them alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .contenders import CONTENDERS
from .measure import Measurement, begin, check, run
from .workload import Cycle
from .workloads.blog import DOCUMENT, GROUPING, JOIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .databases import Databases
    from .sessions import Session

CONTENDING: Final = ("bare", "hand", "tviews")
WORKLOADS: Final = (JOIN, GROUPING, DOCUMENT)


def alias(contender: str, scale: int) -> str:
    """Return the alias of the database that a contender has for a scale."""
    return f"{contender}_{scale}"


def aliases(scales: Iterable[int]) -> list[str]:
    """Return the aliases of all databases."""
    return [alias(contender, scale) for scale in scales for contender in CONTENDING]


def measure(
    databases: Databases,
    scales: Sequence[int],
    rounds: int,
    note: Callable[[str], None],
) -> Iterator[Measurement]:
    """Measure the changes of one row for each number of rows that the main table has.

    Args:
        databases: where to.
        scales: the numbers of rows.
        rounds: how often each change is made.
        note: is told what happens.

    Raises:
        InexactError: a contender has not kept what it should have kept.
    """
    for workload in WORKLOADS:
        sessions: list[Session] = []
        whose = {alias(name, scale): (name, scale) for scale in scales for name in CONTENDING}
        try:
            for scale in scales:
                note(f"growth, {workload.name}, {scale:,} rows …")
                databases.fill(workload, scale)
                contenders = {alias(name, scale): CONTENDERS[name] for name in CONTENDING}
                sessions += begin(databases, workload, scale, contenders, note)
                databases.empty()
            cycle = Cycle(1, workload.changes)
            for operation, written, times in run(cycle, sessions, rounds):
                name, scale = whose[written]
                yield Measurement(workload.name, scale, operation, cycle.size, name, times)
            check(sessions, workload)
        finally:
            for session in sessions:
                session.close()
            databases.drop(whose)
