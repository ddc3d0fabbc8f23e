"""The functions that derive rows from the query again: those of some keys, or all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .comparison import would_change
from .quoting import identifier
from .templates import render
from .units import unit_matches, units_of_keys

if TYPE_CHECKING:
    from .phrases import Phrases

# The row of one key, as the query has it. No column can be expected to have this name.
_FRESH = identifier("fresh?")


def recompute(phrases: Phrases) -> str:
    """Return the statement that creates the function for affected keys."""
    plan = phrases.plan
    many = phrases.render("evaluate_whole")
    unit = plan.unit
    if plan.by_key:
        of_more = render(
            "few_or_many",
            few=phrases.values["few_keys"],
            of_few=phrases.render("evaluate_by_key"),
            of_many=many,
        )
        one = f"{phrases.values['number_of_keys']} = 1"
        evaluation = phrases.one_or_more(_write_one(phrases), of_more, one)
        return phrases.render("recompute", declarations=f"{_FRESH} record;", evaluation=evaluation)
    if unit is not None:
        units = units_of_keys(plan, unit, str(phrases.values["key_variables"]))
        few = phrases.render("few_units", units=units)
        evaluate_few = phrases.render(
            "evaluate_by_unit",
            units=units,
            unit_matches_query=unit_matches(unit, "query", "units"),
        )
        evaluation = render("few_or_many", few=few, of_few=evaluate_few, of_many=many)
        return phrases.render("recompute", declarations="", evaluation=evaluation)
    return phrases.render("recompute", declarations="", evaluation=f"{many};")


def _write_one(phrases: Phrases) -> str:
    """Return the statements that recompute the row with one key."""
    plan = phrases.plan
    columns = [identifier(column.name) for column in plan.columns]
    return phrases.render(
        "write_one",
        assignments=", ".join(f"{name} = {_FRESH}.{name}" for name in columns),
        fresh=_FRESH,
        fresh_columns=", ".join(f"{_FRESH}.{name}" for name in columns),
        types=phrases.types(),
        rows_found="1" if plan.single else "count(*) OVER ()",
        stored=identifier("stored?"),
        different=identifier("different?"),
        differs=would_change(plan.columns, "evaluated"),
        first_key_column=phrases.key[0],
        refuse_repeated=phrases.refuse_repeated(_FRESH),
    )


def rebuild(phrases: Phrases) -> str:
    """Return the statement that creates the function that compares everything."""
    return phrases.render("rebuild")


def rekey(phrases: Phrases) -> str:
    """Return the statement that creates its stand-in for while the table has no key."""
    return phrases.render(
        "rekey",
        refuse_repeated=phrases.refuse_repeated("fresh"),
        fresh_key=", ".join(f"fresh.{name}" for name in phrases.key),
        fresh_differs=would_change(phrases.plan.columns, "fresh"),
        key_matches_kept=phrases.match("kept", "fresh"),
    )
