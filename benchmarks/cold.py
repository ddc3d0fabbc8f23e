"""What the first write on a new connection costs, with more and more TViews on its table.

Django closes its connection after every request by default (``CONN_MAX_AGE = 0``), so that each
request compiles the trigger functions it fires and plans their statements again.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from django.core.management import call_command
from django.db import connections

from .contenders import install_tview
from .measure import Measurement
from .workloads.blog import JOIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psycopg

    from .databases import Databases

ALIAS = "tviews"
LATER = 10
"""How many writes on the same connection come before the one that counts as a later one."""


def measure(
    databases: Databases, scale: int, repeat: int, numbers: Sequence[int]
) -> Iterator[Measurement]:
    """Measure the first and a later write of connections, for each number of TViews.

    Args:
        databases: where to.
        scale: how many rows the table has.
        repeat: how many connections are opened for each number.
        numbers: of TViews, ascending.
    """
    (view,) = JOIN.views
    databases.fill(JOIN, scale)
    databases.copy(ALIAS)
    call_command("migrate", database=ALIAS, verbosity=0)
    installed = 0
    for number in numbers:
        for next_number in range(installed, number):
            install_tview(connections[ALIAS], replace(view, name=f"{view.name}_{next_number}"))
        installed = max(installed, number)
        first, later = [], []
        for repetition in range(repeat):
            with databases.connect(ALIAS) as connection:
                first.append(_write(connection, 1 + repetition % scale))
                for _ in range(LATER):
                    _write(connection, 1 + repetition % scale)
                later.append(_write(connection, 1 + repetition % scale))
        for operation, times in (("first write", first), ("later write", later)):
            yield Measurement(
                "connections",
                scale,
                f"{operation}, {number} TViews",
                1,
                ALIAS if number else "bare",
                tuple(times),
            )
    databases.drop([ALIAS])


def _write(connection: psycopg.Connection, row: int) -> float:
    """Give a post another title; return the milliseconds it took."""
    title = f"post at {time.time_ns()}"
    started = time.perf_counter()
    connection.execute("UPDATE post SET title = %s WHERE id = %s", [title, row])
    return (time.perf_counter() - started) * 1000
