"""Units as SQL: which of them some keys belong to, and what belongs to a unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .joins import Joins
from .quoting import equals, identifier, relation_name

if TYPE_CHECKING:
    from django_tviews.plan.plan import Plan
    from django_tviews.plan.units import Unit

# No relation can be expected to have this name.
_KEYS = identifier("keys?")


def units_of_keys(plan: Plan, unit: Unit, keys: str) -> str:
    """Return a query for the units that the current rows of some keys belong to, each once.

    Args:
        plan: of the TView.
        unit: what a unit is.
        keys: the arrays of the keys.
    """
    joins = Joins(unit.way)
    columns = ", ".join(identifier(column.name) for column in plan.key)
    found = " AND ".join(
        f"{joins.start}.{identifier(own)} {equals(column.equality)} "
        f"{_KEYS}.{identifier(column.name)}"
        for own, column in zip(unit.key, plan.key, strict=True)
    )
    names = ", ".join(_names(unit))
    values = ", ".join(
        f"({', '.join(joins.expression(each) for each in choice)})" for choice in unit.way.keys
    )
    return "\n".join(
        [
            "SELECT DISTINCT unit.*",
            f"FROM unnest({keys}) AS {_KEYS} ({columns})",
            f"JOIN {relation_name(unit.way.occurrence.relation)} AS {joins.start} ON {found}",
            *joins.lines({}),
            f"CROSS JOIN LATERAL (VALUES {values}) AS unit ({names})",
        ]
    )


def unit_matches(unit: Unit, query: str, units: str) -> str:
    """Return the condition that a row of the query belongs to a unit.

    Args:
        unit: what a unit is.
        query: the alias of the query.
        units: the alias of the units.
    """
    conditions = []
    for column, name in zip(unit.columns, _names(unit), strict=True):
        own, other = f"{query}.{identifier(column.output)}", f"{units}.{name}"
        condition = f"{own} {equals(column.equality)} {other}"
        if column.nullable:
            # ROW(NULL, NULL) IS NULL, too, but it is a value, and equal to itself.
            missing = (f"{each} IS NOT DISTINCT FROM NULL" for each in (own, other))
            condition = f"({condition} OR {' AND '.join(missing)})"
        conditions.append(condition)
    return " AND ".join(conditions)


def _names(unit: Unit) -> list[str]:
    return [f"unit_{place}" for place in range(1, len(unit.columns) + 1)]
