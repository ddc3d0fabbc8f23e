"""What a workload is: tables, contents, queries, and writes after which the oracle is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from django_tviews import planning

if TYPE_CHECKING:
    from django_tviews.definition import Declaration
    from tests.harness import Database


class Upkeep(StrEnum):
    """How a query is kept, in the words of the report."""

    KEYS = "by affected keys"
    ONE_ROW = "its one row as a whole"
    REBUILD = "only with `allow_rebuild`"
    REFUSED = "refused"


@dataclass(frozen=True)
class View:
    """A query of a workload.

    Attributes:
        name: what the workload calls it.
        query: the query.
        columns: its columns, as `harness.columns` reads them.
        key: those that identify a row.
        upkeep: how it is kept.
        remark: why it is not kept by affected keys, or what was changed about the query.
        construct: the construct by which it is refused.
    """

    name: str
    query: str
    columns: str
    key: str = "id"
    upkeep: Upkeep = Upkeep.KEYS
    remark: str = ""
    construct: str = ""

    @property
    def table(self) -> str:
        """The TView's table."""
        return re.sub(r"\W+", "_", self.name.lower())


def declared(database: Database, view: View) -> Declaration:
    """Declare the TView of a query."""
    return database.declare(
        view.query,
        view.columns,
        view.key,
        table=view.table,
        allow_rebuild=view.upkeep is Upkeep.REBUILD,
    )


def upkeep_of(database: Database, declaration: Declaration) -> Upkeep:
    """Tell how an installed TView is kept."""
    plan = planning.plan_of(database.connection, declaration, database.schema)
    if any(plan.rebuilds):
        return Upkeep.REBUILD
    keys = {
        part.columns
        for source in plan.sources
        for route in source.routes
        for key in route.keys
        for part in key
    }
    return Upkeep.KEYS if any(keys) else Upkeep.ONE_ROW
