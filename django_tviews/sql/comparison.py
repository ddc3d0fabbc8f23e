"""The statement that tells how a TView differs from its query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_tviews.sqltypes import unbounded

from .names import query_relation
from .quoting import complete, identifier, qualified
from .templates import render

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_tviews.plan.columns import PlanColumn
    from django_tviews.plan.plan import Plan


def comparison(plan: Plan, limit: int) -> str:
    """Return the statement that compares a TView with its query.

    Its one row has the number of rows in the table, the numbers of missing, extra and different
    rows, and the first of them in JSON: kind, key as text, the positions of the columns that
    differ, and both rows as text, a row that is not there as NULLs.

    Args:
        plan: of the TView.
        limit: how many differences to list.
    """
    columns = {f"c{place}": column for place, column in enumerate(plan.columns)}
    names = {column.name: name for name, column in columns.items()}
    key = {names[column.name]: column for column in plan.key}
    differs = {name: _differs(name, column) for name, column in columns.items()}
    text = render(
        "compare",
        table=qualified(plan.schema, plan.table),
        query=query_relation(plan),
        stored=_listed(
            f"tview.{identifier(column.name)} AS {name}" for name, column in columns.items()
        ),
        queried=_listed(
            f"CAST(query.{identifier(column.output)} AS {unbounded(column.type)}) AS {name}"
            for name, column in columns.items()
        ),
        key=_listed(key),
        key_texts=_listed(f"{name}::text" for name in key),
        stored_texts=_listed(f"(listed.stored).{name}::text" for name in columns),
        queried_texts=_listed(f"(listed.queried).{name}::text" for name in columns),
        either_key=_listed(f"coalesce(stored.{name}, queried.{name}) AS {name}" for name in key),
        key_matches=" AND ".join(
            f"queried.{name} OPERATOR({identifier(column.equality)}.=) stored.{name}"
            for name, column in key.items()
        ),
        different=" OR ".join(differs.values()),
        different_columns=_listed(
            f"CASE WHEN {condition} THEN {place} END"
            for place, condition in enumerate(differs.values())
        ),
        limit=limit,
    )
    return complete(text)


def would_change(columns: Iterable[PlanColumn], relation: str) -> str:
    """Return a condition: to assign the values of a relation would change the row of the TView.

    Args:
        columns: those assigned to.
        relation: the alias of what gives the values, its columns named like the TView's.
    """
    casts = {identifier(column.name): column.compared_as for column in columns}
    if None in casts.values():
        return "true"
    stored = ", ".join(f"tview.{name}" for name in casts)
    given = ", ".join(f"CAST({relation}.{name} AS {type_sql})" for name, type_sql in casts.items())
    return f"record_image_ne(ROW({stored}), ROW({given}))"


def _differs(name: str, column: PlanColumn) -> str:
    # Both take the type's own operators, whatever is on the search path.
    function = "record_ne" if column.value_equal else "record_image_ne"
    return f"{function}(ROW(stored.{name}), ROW(queried.{name}))"


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(parts)
