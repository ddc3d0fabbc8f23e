"""Units: how much of a query has to be evaluated to know the rows of a few keys.

Of most queries PostgreSQL evaluates only what a key is made of, because the condition on the key
reaches through joins and groups. Through a window function it reaches only as a condition on the
columns of PARTITION BY: the value of a row needs its whole partition. So where the key is not
among those columns, the partitions of the affected keys are looked up first, and the query is
evaluated for each of them once.

**Claim.** That finds the current rows of the keys. *Why.* Every output column of a unit is a column
of the combination that a row is made of. The way to it starts at the relation that has the key and
is a route, so it finds the combination (see :mod:`.routes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .routes import Route, find_way

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_tviews.facts import Facts
    from django_tviews.relational.tree import Alternative, ColumnOf, Output, QueryTree


@dataclass(frozen=True)
class UnitColumn:
    """A column of the unit.

    Attributes:
        output: the output column of the query.
        equality: the schema of the equality operator of its type.
        nullable: it may be NULL.
    """

    output: str
    equality: str
    nullable: bool


@dataclass(frozen=True)
class Unit:
    """What rows of the query share that cannot be evaluated without each other.

    Attributes:
        columns: the output columns that tell one unit from another.
        key: the columns of the relation where ``way`` begins, in the order of the key.
        way: from the rows with a key to the columns of the unit.
    """

    columns: tuple[UnitColumn, ...]
    key: tuple[str, ...]
    way: Route


def evaluated_by_key(tree: QueryTree, key: Sequence[str]) -> bool:
    """Tell whether a condition on the key reaches everything that the query computes.

    Args:
        tree: the query.
        key: the names of its output columns that identify a row.
    """
    return all(
        any(_equal_columns(alternative, column) & partition for column in columns)
        for alternative in tree.alternatives
        if (columns := _columns(alternative, key)) is not None
        for partition in alternative.partitions
    )


def find_unit(tree: QueryTree, key: Sequence[str], facts: Facts) -> Unit | None:
    """Find the unit of a query with windows, if its output columns tell it.

    Args:
        tree: the query.
        key: the names of its output columns that identify a row.
        facts: about the types of columns.
    """
    first = tree.alternatives[0]
    if any(alternative.outputs != first.outputs for alternative in tree.alternatives):
        return None
    columns = _columns(first, key)
    if not columns or len(columns) != len(key) or len({each.occurrence for each in columns}) != 1:
        return None
    start = first.occurrences[columns[0].occurrence - 1]
    shared = [output for output in first.outputs if _is_shared(tree, output)]
    if not shared or start.nullable or start.computed is not None:
        return None
    way = find_way(first, start.number, [output.expression for output in shared])
    if not isinstance(way, Route):
        return None
    return Unit(
        tuple(_unit_column(first, output, facts) for output in shared),
        tuple(column.name for column in columns),
        way,
    )


def _unit_column(alternative: Alternative, output: Output, facts: Facts) -> UnitColumn:
    column = output.expression.column
    type_sql = alternative.facts_of(column).type if column is not None else ""
    schema = facts.equality_schemas.get(type_sql, "pg_catalog")
    return UnitColumn(output.name, schema, output.nullable)


def _columns(alternative: Alternative, names: Sequence[str]) -> list[ColumnOf] | None:
    """The columns that outputs consist of; those that are computed are left out."""
    outputs = [alternative.output(name) for name in names]
    return [
        column
        for output in outputs
        if output is not None and (column := output.expression.column) is not None
    ]


def _is_shared(tree: QueryTree, output: Output) -> bool:
    column = output.expression.column
    return column is not None and all(
        _equal_columns(alternative, column) & partition
        for alternative in tree.alternatives
        for partition in alternative.partitions
    )


def _equal_columns(alternative: Alternative, column: ColumnOf) -> frozenset[ColumnOf]:
    """The columns that are equal to one in every row of the result."""
    found = frozenset({column})
    grown = True
    while grown:
        grown = False
        for condition in alternative.conditions:
            if condition.equality is None or condition.outer_joins or condition.full:
                continue
            if not condition.sublinks and found & {*condition.equality}:
                grown = grown or not {*condition.equality} <= found
                found |= {*condition.equality}
    return found
