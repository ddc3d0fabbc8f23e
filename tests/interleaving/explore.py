"""Every order in which the steps of several transactions can follow each other.

An order is run from its first step to its last. Where more than one session could have gone on,
the others are tried by later runs; a session that waits cannot go on. So each order that the
server allows is run once, and none that it does not allow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .sessions import Ended, Session, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psycopg

RETRIED = frozenset({"40001", "40P01"})
"""What a transaction may be told instead of being committed: serialization failure, deadlock."""

TRIES = 3
"""How often such a transaction is run again."""


@dataclass
class Course:
    """What one session has to do, and how far it is.

    Attributes:
        session: the session.
        steps: what it does.
        undo: what it does when a step has failed.
        place: the number of steps begun.
        waiting: it waits for somebody.
        failure: how a step has failed; it was the last one then.
    """

    session: Session
    steps: tuple[str, ...]
    undo: str = "ROLLBACK"
    place: int = 0
    waiting: bool = False
    failure: Ended | None = None

    @property
    def can_go_on(self) -> bool:
        """Whether there is a next step, and nothing that it must wait for."""
        more = self.place < len(self.steps) and self.failure is None
        return more and not self.session.running


@dataclass
class Run:
    """One order.

    Attributes:
        events: what happened, in words.
        waits: how many steps had to wait.
        failures: the SQLSTATEs of steps that failed.
    """

    events: list[str] = field(default_factory=list)
    waits: int = 0
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Write it, an event on each line."""
        return "\n".join(self.events)


def every_order(
    monitor: psycopg.Connection[Any],
    begin: Callable[[], Sequence[Course]],
    check: Callable[[Run], None],
) -> Iterator[Run]:
    """Run transactions in every order.

    Args:
        monitor: a connection in autocommit mode.
        begin: puts everything back to where it begins and returns what there is to do.
        check: called when a session has ended its last step, and at the end.
    """
    # For each step of the next run, who is to do it, and who is to be tried after that.
    choices: list[tuple[int, list[int]]] = []
    while True:
        yield _one_order(monitor, begin(), check, choices)
        while choices and not choices[-1][1]:
            choices.pop()
        if not choices:
            return
        _, (following, *rest) = choices.pop()
        choices.append((following, rest))


def _one_order(
    monitor: psycopg.Connection[Any],
    courses: Sequence[Course],
    check: Callable[[Run], None],
    choices: list[tuple[int, list[int]]],
) -> Run:
    run = Run()
    for position in range(sum(len(course.steps) for course in courses)):
        able = [number for number, course in enumerate(courses) if course.can_go_on]
        if not able:
            break
        if position == len(choices):
            choices.append((able[0], able[1:]))
        # Who of two in a deadlock is told so is up to the server.
        chosen = choices[position][0] if choices[position][0] in able else able[0]
        course = courses[chosen]
        step = course.steps[course.place]
        course.place += 1
        course.session.begin(step)
        _settle(monitor, courses, run, check, f"{chosen + 1}: {step}")
    assert not any(course.waiting for course in courses), f"waits for nobody\n{run}"
    _retry(monitor, courses, run, check)
    return run


def _settle(
    monitor: psycopg.Connection[Any],
    courses: Sequence[Course],
    run: Run,
    check: Callable[[Run], None],
    event: str,
) -> None:
    run.events.append(event)
    undoing = True
    while undoing:
        undoing = False
        ends = settle(monitor, [course.session for course in courses])
        for number, course in enumerate(courses, start=1):
            end = ends.get(course.session)
            if end is None or course.failure is not None:
                continue
            if end.sqlstate:
                run.events.append(f"    {number} fails: {end.sqlstate} {end.message.strip()}")
                run.failures.append(end.sqlstate)
                course.failure = end
                # What it held is free then, and others may go on.
                course.session.begin(course.undo)
                undoing = True
            elif course.place == len(course.steps):
                check(run)
    for number, course in enumerate(courses, start=1):
        if course.session.running and not course.waiting:
            run.events.append(f"    {number} waits")
            run.waits += 1
        course.waiting = course.session.running


def _retry(
    monitor: psycopg.Connection[Any],
    courses: Sequence[Course],
    run: Run,
    check: Callable[[Run], None],
) -> None:
    """Run those transactions again that failed: beside nobody they succeed within three tries.

    Other tests write to the same server. If many do so between a snapshot and the write above READ
    COMMITTED, it cannot tell whether one of them took a conflicting lock.
    """
    for number, course in enumerate(courses, start=1):
        if course.failure is None or course.failure.sqlstate not in RETRIED:
            continue
        tries = (_succeeds(monitor, courses, number, run) for _ in range(TRIES))
        assert any(tries), str(run)
        check(run)


def _succeeds(
    monitor: psycopg.Connection[Any], courses: Sequence[Course], number: int, run: Run
) -> bool:
    """Run a transaction once more; take it back if it fails."""
    course = courses[number - 1]
    sessions = [each.session for each in courses]
    for step in course.steps:
        run.events.append(f"{number} again: {step}")
        course.session.begin(step)
        ends = settle(monitor, sessions)
        if ends != {course.session: Ended()}:
            run.events.append(f"    {ends}")
            assert set(ends) == {course.session}, str(run)
            course.session.begin(course.undo)
            settle(monitor, sessions)
            return False
    return True
