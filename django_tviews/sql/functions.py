"""The functions that keep a TView: a plan as PL/pgSQL."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django_tviews.facts import RelationFacts

from .created import Function
from .draining import drain
from .events import events_of, rows_move
from .names import function_name, source_function
from .phrases import Phrases
from .quoting import complete, literal
from .reactions import Reaction, on_row, stranger
from .recomputing import rebuild, recompute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_tviews.plan.plan import Plan


def functions_of(plan: Plan) -> Iterator[Function]:
    """Yield the functions that keep a TView, callees first."""

    def function(name: str, create: str, arguments: str = "") -> Function:
        return Function(plan.schema, name, arguments, complete(create))

    phrases = Phrases(plan)
    key_types = ", ".join(f"{column.type}[]" for column in plan.key)
    yield function(function_name(plan, "recompute"), recompute(phrases), key_types)
    yield function(function_name(plan, "rebuild"), rebuild(phrases))
    yield replace(function(function_name(plan, "drain"), drain(phrases)), called_by_shared=True)
    yield function(function_name(plan, "truncated"), _truncated(phrases))
    for source in plan.sources:
        for event in events_of(source):
            reaction = Reaction(phrases, source, event)
            yield function(source_function(plan, source, event), reaction.function())
        if rows_move(source.relation):
            yield function(source_function(plan, source, "row"), on_row(phrases, source))


def _truncated(phrases: Phrases) -> str:
    """Return the statement that creates the function that TRUNCATE calls."""
    plan = phrases.plan
    own = RelationFacts(plan.schema, plan.table)
    relations = (own, *(source.relation for source in plan.sources))
    return phrases.render(
        "truncated",
        stranger="\nAND ".join(map(stranger, relations)),
        spooled=phrases.everything(),
        function_literal=literal(function_name(plan, "truncated")),
    )
