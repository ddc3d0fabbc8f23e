"""What it costs to build a TView, beside ``CREATE TABLE AS`` of its query and the same indexes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from django.core.management import call_command
from django.db import connections, transaction

from .contenders import execute, indexes_of, install_tview
from .measure import FEWEST, PATIENCE, Measurement
from .workloads.blog import DERIVED, DOCUMENT, GROUPING, JOIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper

    from .databases import Databases
    from .workload import View

ALIAS: Final = "tviews"
WORKLOADS: Final = (JOIN, GROUPING, DOCUMENT, DERIVED)


def measure(databases: Databases, scale: int) -> Iterator[Measurement]:
    """Build the view of each workload in both ways, in turn.

    Args:
        databases: where to.
        scale: how many rows the main table has.
    """
    for workload in WORKLOADS:
        (view,) = workload.views
        databases.fill(workload, scale)
        databases.copy(ALIAS)
        call_command("migrate", database=ALIAS, verbosity=0)
        times: dict[str, list[float]] = {"bare": [], "tviews": []}
        # The first time fills caches and is not counted.
        for number in range(FEWEST + 1):
            for contender, build in (("bare", _create_table_as), ("tviews", install_tview)):
                taken = _time(connections[ALIAS], view, build)
                if number:
                    times[contender].append(taken)
            if number and sum(map(sum, times.values())) > PATIENCE * 1000:
                break
        for contender, found in times.items():
            yield Measurement(workload.name, scale, "build", scale, contender, tuple(found))
        databases.drop([ALIAS])


def _create_table_as(connection: BaseDatabaseWrapper, view: View) -> None:
    columns = ", ".join(f"q.{name}::{type_} AS {name}" for name, type_ in view.columns.items())
    execute(
        connection,
        f"CREATE TABLE {view.name} AS SELECT {columns} FROM ({view.query}) AS q",
        f"ALTER TABLE {view.name} ADD PRIMARY KEY ({', '.join(view.key)})",
        *indexes_of(view),
    )


def _time(
    connection: BaseDatabaseWrapper,
    view: View,
    build: Callable[[BaseDatabaseWrapper, View], None],
) -> float:
    """Build in a transaction that is taken back; return the milliseconds."""
    with transaction.atomic(using=connection.alias):
        started = time.perf_counter()
        build(connection, view)
        taken = time.perf_counter() - started
        transaction.set_rollback(True, using=connection.alias)
    return taken * 1000
