"""The columns of a TView's table: those that fields show, and those that only maintenance reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_tviews.relational.hidden import HiddenTotal


@dataclass(frozen=True)
class PlanColumn:
    """A column of the TView's table.

    Attributes:
        name: the column.
        type: its declared SQL type.
        output: the output column of the query that feeds it.
        computed: the type of that; the type of the column itself if no server has told it.
        value_equal: of equal values any may be stored (a grouping column), so that only a
            difference in value counts as one.
        compared_as: what to cast a value to, to see whether assigning it would change the column;
            None if only assigning it tells.
        hidden: the total that maintenance keeps in it for itself; None if a field shows it.
    """

    name: str
    type: str
    output: str
    computed: str
    value_equal: bool = False
    compared_as: str | None = None
    hidden: HiddenTotal | None = None


@dataclass(frozen=True)
class KeyColumn:
    """A column of the TView's key.

    Attributes:
        name: the column.
        type: its declared SQL type.
        output: the output column of the query that feeds it.
        equality: the schema of the type's equality operator.
    """

    name: str
    type: str
    output: str
    equality: str = "pg_catalog"
