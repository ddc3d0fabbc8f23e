"""Matching: what a FROM clause gives for the rows of one relation, and what without one.

A row on the nullable side of an outer join shows in the combinations that it matches; where none
does, NULLs stand in its place. So the combinations *with* a row of a relation T are told from those
*without*.

**Claim.** The combinations with a row of T are those that :attr:`Matching.rows` gives, where T
stands on no nullable side: each row of T gives its own, whatever other rows of T there are. *Why.*
An outer join shows a row of its nullable side where it matches, as an inner join does, and rows of
the other side alone only with NULLs in the place of T.

**Claim.** Which combinations there are is the same whatever rows T has, apart from what stands in
the place of the *affected* relations, and from how often each is there; unless all of them have a
row of T (:attr:`Matching.always`). *Why.* By induction over the joins around T, from inside out. An
outer join shows every row of the side that it preserves. What its condition reads of affected
relations decides about the rows of its nullable side alone, and these are affected, too. Conditions
of inner joins, and of WHERE, leave combinations out. They may read nothing of affected relations;
or else they are not TRUE without a row of T, and then every combination that is left has one. ∎
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django_tviews.relational.tree import Join, numbers_of

if TYPE_CHECKING:
    from django_tviews.relational.tree import Groups


@dataclass(frozen=True)
class Matching:
    """What a FROM clause gives for the rows of one relation.

    Attributes:
        rows: the joins that give the combinations with a row of it.
        always: there are no others.
        affected: the relations of which rows may show or not, depending on its rows.
        missing: those of which no row shows without one of its rows.
    """

    rows: int | Join
    always: bool
    affected: frozenset[int]
    missing: frozenset[int]


def find_matching(groups: Groups, number: int) -> Matching | None:
    """Tell the combinations with a row of a relation from those without.

    Args:
        groups: what is grouped.
        number: of the relation's occurrence.

    Returns:
        None if its rows may decide whether rows of others show, in ways that are not known.
    """
    found = _joined(groups.rows, number)
    if found is None or groups.filter is None:
        return found
    return _filtered(found, groups.filter.occurrences, groups.needed)


def _joined(rows: int | Join, number: int) -> Matching | None:
    if not isinstance(rows, Join):
        return _always(rows)
    on_left = number in numbers_of(rows.left)
    found = _joined(rows.left if on_left else rows.right, number)
    if found is None or rows.keyword == "FULL JOIN":
        return None
    on_nullable = rows.keyword == ("RIGHT JOIN" if on_left else "LEFT JOIN")
    left, right = (found.rows, rows.right) if on_left else (rows.left, found.rows)
    keyword = "JOIN" if on_nullable else rows.keyword
    joined = replace(rows, left=left, right=right, keyword=keyword)
    read = rows.condition.occurrences if rows.condition is not None else frozenset()
    if rows.keyword == "JOIN":
        return _filtered(replace(found, rows=joined), read, rows.needed)
    if found.always and not on_nullable:
        return _always(joined)
    nullable = numbers_of(rows.right if rows.keyword == "LEFT JOIN" else rows.left)
    return Matching(
        joined,
        always=False,
        affected=found.affected | (nullable if read & found.affected else frozenset()),
        missing=found.missing | (nullable if rows.needed & found.missing else frozenset()),
    )


def _always(rows: int | Join) -> Matching:
    """Every combination has a row of it, so there is nothing to say of those without."""
    return Matching(rows, True, numbers_of(rows), numbers_of(rows))


def _filtered(found: Matching, read: frozenset[int], needed: frozenset[int]) -> Matching | None:
    """What a condition leaves that leaves combinations out."""
    if found.always or needed & found.missing:
        return _always(found.rows)
    return None if read & found.affected else found
