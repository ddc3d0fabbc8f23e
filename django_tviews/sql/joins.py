"""The joins of a route as SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .quoting import identifier, kept_apart, relation_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django_tviews.facts import RelationFacts
    from django_tviews.plan.routes import Route, Step
    from django_tviews.relational.tree import ColumnOf, Expression


class Joins:
    """The relations of a route under their aliases."""

    def __init__(self, route: Route) -> None:
        self._route = route
        occurrences = [route.occurrence, *(step.occurrence for step in route.steps)]
        self._aliases = {each.number: identifier(each.alias) for each in occurrences}

    @property
    def start(self) -> str:
        """The alias of the relation that the route starts from."""
        return self._aliases[self._route.occurrence.number]

    def column(self, column: ColumnOf) -> str:
        """Write a column of one of the relations."""
        return f"{self._aliases[column.occurrence]}.{identifier(column.name)}"

    def expression(self, expression: Expression) -> str:
        """Write an expression over the relations."""
        # The line breaks of an expression stand in its literals: it was written on one line.
        return kept_apart(expression.render(self.column))

    def lines(self, states: Mapping[RelationFacts, str]) -> Iterator[str]:
        """Yield a join for each step of the route.

        Args:
            states: what to join in place of some relations.
        """
        for step in self._route.steps:
            conditions = " AND ".join(map(self.expression, step.conditions)) or "true"
            yield f"LEFT JOIN {self._joined(step, states)} ON {conditions}"

    def _joined(self, step: Step, states: Mapping[RelationFacts, str]) -> str:
        occurrence = step.occurrence
        alias = self._aliases[occurrence.number]
        if occurrence.computed is None:
            relation = occurrence.relation
            return f"{states.get(relation, relation_name(relation))} AS {alias}"
        # All columns get their names here; a table has its own.
        listed = ", ".join(identifier(column.name) for column in occurrence.relation.columns)
        return f"LATERAL {self.expression(occurrence.computed)} AS {alias} ({listed})"
