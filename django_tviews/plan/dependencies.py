"""Dependencies: which rows are the same for all rows of the result with one key.

**Claim.** Let :func:`rows_led_to` contain the occurrence D. Then all combinations of rows that
rows of the result with one key are made of have the same row of D, or none of them has one.

**Why.** Some key of D, unique at every moment, is equated with values that are the same in all of
these combinations: columns of the TView's key, columns that a condition of an inner join equates
with such, and columns of rows that the key leads to. Values that are the same by the equality of
one type find the same row by that of another only if the two types hash equal values alike: 2 ^ 53
and 2 ^ 53 + 1 are equal to one double precision value.

If D stands on no nullable side, every combination has a row of D, so it is that one. If it stands
on one, whether the row is there is decided by the conditions of that side alone. They must read
nothing but D and what is the same in all of the combinations. ∎
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_tviews.facts import RelationKind
from django_tviews.relational.tree import ColumnOf

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from django_tviews.facts import RelationFacts
    from django_tviews.relational.tree import Alternative, Condition, Occurrence


def rows_led_to(alternative: Alternative, key: Iterable[ColumnOf]) -> frozenset[int]:
    """Return the occurrences of which all rows of the result with one key show one row.

    Args:
        alternative: the query; single rows tell all of its conditions.
        key: the columns that the key consists of.
    """
    search = _Search(alternative, key)
    while search.widen():
        pass
    return frozenset(search.rows)


def has_key(relation: RelationFacts, columns: Collection[str]) -> bool:
    """Tell whether no two rows of a relation have the same values in some columns.

    Args:
        relation: the relation.
        columns: their names.
    """
    return any(
        all(name in columns and relation.by_name[name].deterministic for name in key)
        for key in relation.keys
    )


class _Search:
    def __init__(self, alternative: Alternative, key: Iterable[ColumnOf]) -> None:
        self.alternative = alternative
        self.known = set(key)
        self.rows: set[int] = set()

    def widen(self) -> bool:
        """Look once more at all conditions and occurrences; tell whether that found anything."""
        before = len(self.known) + len(self.rows)
        for condition in self.alternative.conditions:
            if not condition.outer_joins and not condition.full:
                self.known |= self._equated(condition)
        self.rows |= {
            each.number
            for each in self.alternative.occurrences
            if each.computed is None and self._is_led_to(each)
        }
        return len(self.known) + len(self.rows) > before

    def _is_known(self, column: ColumnOf) -> bool:
        return column in self.known or column.occurrence in self.rows

    def _equated(self, condition: Condition) -> set[ColumnOf]:
        """The columns that a condition equates with known ones."""
        equality = condition.equality
        if equality is None or condition.sublinks or not self.alternative.hash_alike(equality):
            return set()
        return set(equality) if any(map(self._is_known, equality)) else set()

    def _is_led_to(self, occurrence: Occurrence) -> bool:
        if occurrence.relation.kind is RelationKind.INHERITANCE_PARENT:
            # Its keys say nothing about the rows of its children.
            return False
        known = self.known
        if occurrence.nullable:
            decisive = [
                condition
                for condition in self.alternative.conditions
                if condition.outer_joins == occurrence.outer_joins
            ]
            read = {column for each in decisive for column in each.expression.columns}
            if len(occurrence.outer_joins) > 1 or any(
                column.occurrence != occurrence.number and not self._is_known(column)
                for column in read
            ):
                return False
            known = set().union(*map(self._equated, decisive))
        return any(
            all(
                ColumnOf(occurrence.number, name) in known
                # Values of a group may look different, and an index tell these apart.
                and occurrence.relation.by_name[name].deterministic
                for name in key
            )
            for key in occurrence.relation.keys
        )
