"""Published workloads are kept as the report says, and stay equal under their writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .workloads import tpch
from .workloads.workload import Upkeep, declared, upkeep_of

if TYPE_CHECKING:
    from .harness import Database
    from .workloads.workload import View


def install(database: Database, view: View) -> None:
    declaration = declared(database, view)
    database.install(declaration)
    assert upkeep_of(database, declaration) is view.upkeep, view.name
    assert database.rows(declaration), f"{view.name} has no rows to keep"


def test_tpch(database: Database) -> None:
    database.execute(tpch.SCHEMA)
    for statement in tpch.Generator().contents():
        database.execute(statement)
    for view in tpch.VIEWS:
        install(database, view)
    database.run(*tpch.WRITES)


def test_most_of_tpch_is_kept_by_affected_keys() -> None:
    kept = [view.name for view in tpch.VIEWS if view.upkeep is Upkeep.KEYS]
    # The inner query of 13 does not count.
    assert len(kept) - 1 >= 15
