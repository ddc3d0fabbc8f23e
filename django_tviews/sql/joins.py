"""The rows of several relations, joined, as SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .quoting import identifier, kept_apart, relation_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from django_tviews.facts import RelationFacts
    from django_tviews.plan.columns import KeyColumn
    from django_tviews.plan.routes import Route, Step
    from django_tviews.relational.tree import ColumnOf, Expression, Occurrence


class Rows:
    """Rows of several occurrences under their aliases."""

    def __init__(self, occurrences: Iterable[Occurrence]) -> None:
        self._aliases = {each.number: identifier(each.alias) for each in occurrences}

    def alias(self, number: int) -> str:
        """Write the alias of an occurrence."""
        return self._aliases[number]

    def column(self, column: ColumnOf) -> str:
        """Write a column of one of the relations."""
        return f"{self.alias(column.occurrence)}.{identifier(column.name)}"

    def expression(self, expression: Expression) -> str:
        """Write an expression over the relations."""
        # The line breaks of an expression stand in its literals: it was written on one line.
        return kept_apart(expression.render(self.column))

    def key(self, expressions: Iterable[Expression], key: Iterable[KeyColumn]) -> list[str]:
        """Write what the columns of a key are computed from, each as the type of its column."""
        return [
            f"CAST({self.expression(expression)} AS {column.type})"
            for expression, column in zip(expressions, key, strict=True)
        ]


class Row(Rows):
    """A row of one relation under some name."""

    def __init__(self, name: str) -> None:
        super().__init__(())
        self.name = name

    def column(self, column: ColumnOf) -> str:
        """Write a column of the row."""
        return f"{self.name}.{identifier(column.name)}"


class Joins(Rows):
    """The relations of a route under their aliases."""

    def __init__(self, route: Route) -> None:
        super().__init__([route.occurrence, *(step.occurrence for step in route.steps)])
        self._route = route

    @property
    def start(self) -> str:
        """The alias of the relation that the route starts from."""
        return self.alias(self._route.occurrence.number)

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
        alias = self.alias(occurrence.number)
        if occurrence.computed is None:
            relation = occurrence.relation
            return f"{states.get(relation, relation_name(relation))} AS {alias}"
        # All columns get their names here; a table has its own.
        listed = ", ".join(identifier(column.name) for column in occurrence.relation.columns)
        return f"LATERAL {self.expression(occurrence.computed)} AS {alias} ({listed})"
