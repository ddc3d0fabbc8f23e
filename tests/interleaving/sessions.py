"""Sessions that execute a statement without waiting for its end."""

from __future__ import annotations

import select
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import pq

if TYPE_CHECKING:
    from collections.abc import Sequence

# Which of two that wait for each other is told so is decided sooner than by default.
DEADLOCK_TIMEOUT = "15ms"
# Nothing that moves takes as long, in seconds.
PATIENCE = 20.0
_GLANCE = 0.001
CONNECTION_LOST = "08006"


class HangError(AssertionError):
    """A session neither ended its step nor waited for another session."""


@dataclass(frozen=True)
class Ended:
    """How a step ended.

    Attributes:
        sqlstate: of the error; empty if there was none.
        message: of the error.
    """

    sqlstate: str = ""
    message: str = ""


class Session:
    """A session that executes SQL.

    Args:
        connection: used for nothing else.

    Attributes:
        pid: of its backend.
        running: a step has begun and not ended.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.pid = connection.info.backend_pid
        self.running = False
        self._libpq = connection.pgconn
        self._end = Ended()

    def begin(self, step: str) -> None:
        """Begin to execute statements."""
        self._libpq.send_query(step.encode())
        self.running, self._end = True, Ended()

    def ended(self, seconds: float) -> Ended | None:
        """Return how they have ended, None if they have not."""
        self._libpq.flush()
        select.select([self._libpq.socket], [], [], seconds)
        try:
            self._libpq.consume_input()
        except psycopg.OperationalError as error:
            self.running = False
            return Ended(CONNECTION_LOST, str(error))
        while not self._libpq.is_busy():
            result = self._libpq.get_result()
            if result is None:
                self.running = False
                return self._end
            if result.status == pq.ExecStatus.FATAL_ERROR:
                sqlstate = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
                self._end = Ended(sqlstate.decode(), result.get_error_message())
        return None


def settle(monitor: psycopg.Connection[Any], sessions: Sequence[Session]) -> dict[Session, Ended]:
    """Wait until every session has ended its step, or waits for somebody.

    Args:
        monitor: a connection in autocommit mode.
        sessions: all that there are.

    Returns:
        How those have ended that were running; who still runs waits.

    Raises:
        HangError: one does neither, or two wait for each other and none is told.
    """
    ends: dict[Session, Ended] = {}
    give_up = time.monotonic() + PATIENCE
    while True:
        for session in sessions:
            if session.running and (end := session.ended(_GLANCE)) is not None:
                ends[session] = end
        running = [session.pid for session in sessions if session.running]
        waits_for = _waits_for(monitor, running, {session.pid for session in sessions})
        # Who waits in a circle is about to be told so.
        if all(waits_for[pid] and pid not in _reached(pid, waits_for) for pid in running):
            return ends
        if time.monotonic() > give_up:
            raise HangError(f"no end, and nobody to wait for: {_activity(monitor, running)}")


def _waits_for(
    monitor: psycopg.Connection[Any], running: list[int], sessions: set[int]
) -> dict[int, set[int]]:
    if not running:
        return {}
    rows = monitor.execute(
        "SELECT pid, pg_blocking_pids(pid) FROM unnest(%s::integer[]) AS pid", [running]
    )
    # Others, such as autovacuum, go away by themselves; a prepared transaction has no process.
    return {pid: set(blockers) & (sessions | {0}) for pid, blockers in rows}


def _reached(start: int, waits_for: dict[int, set[int]]) -> set[int]:
    found: set[int] = set()
    ahead = list(waits_for[start])
    while ahead:
        pid = ahead.pop()
        if pid not in found:
            found.add(pid)
            ahead += waits_for.get(pid, ())
    return found


def _activity(monitor: psycopg.Connection[Any], pids: list[int]) -> list[tuple[Any, ...]]:
    return monitor.execute(
        "SELECT pid, state, wait_event_type, wait_event, query FROM pg_stat_activity"
        " WHERE pid = ANY(%s)",
        [pids],
    ).fetchall()
