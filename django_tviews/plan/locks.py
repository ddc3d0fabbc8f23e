"""Locks: which transactions must not maintain the same row from snapshots that miss each other.

Two transactions that write to the sources of a TView, and do not see each other, can leave a row
that neither would have left alone. So each takes locks, and keeps them until it ends:

``K``
    exclusive, on every key that its routes lead to;
``P``
    exclusive, on every *place* that its routes look rows up at: a source, some of its columns, and
    the values looked for, whether a row is found or not;
``R``
    shared, on every place at which a route of any occurrence may look for the rows that it has
    inserted, changed or deleted, at their old and their new values.

Then it routes again, in a snapshot newer than the locks, until that leads nowhere else, and only
then recomputes the keys. Where a snapshot taken then shows the same transactions as the one before,
it would find the same, and need not. At READ COMMITTED that is sound; the other levels, whose
snapshots never get newer, also check that they see whoever has taken a conflicting lock before (see
``runtime_locks.sql``).

**Claim.** Let transactions commit in the order T(1), T(2), … and DB(i) be what the first i of them
leave behind. If the row with key k was right in DB(i-1) then it is right in DB(i).

**Why.** *Whoever changes f(k), the rows that the query gives for k, finds k.* Let T(i) change it.
By the claim of :mod:`plan.routes` a route of T(i), evaluated in DB(i-1), leads to k. It was
evaluated in an older snapshot DB(j), but at every place where it looked, P keeps away all who
would change what is found there (R), from before that snapshot until T(i) commits. So DB(j) led
to k as well.

*What it computed for k is still true when it commits.* T(i) recomputed k in a snapshot DB(m), after
it had all its locks. Suppose some T(y), m < y < i, changes what f(k) is beside T(i)'s own rows:
rows of T(y) and others combine to one that shows in k. T(y) cannot have held K on k, since T(i)
held that from before DB(m) until T(i) committed. So on the route from T(y)'s row to k there is a
first row w of the combination that T(y) did not see. Its writer T(w) needed R on the place where
T(y) had looked for w, and T(y) held P there until it committed. So T(w) got R after T(y) had
committed, hence y < w <= i. If w = i, then T(i) got a lock after DB(m): a contradiction. Otherwise
m < w < i, and T(w) is in the place of T(y), with rows in the same combination; it cannot have held
K on k either. As w > y, this ends. ∎

The claim needs nothing of the shape of the query, only that routes look rows up at places. Where a
route joins by anything but equalities of columns whose types hash equal values alike, the place is
the whole source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django_tviews.sqltypes import hashed_as

from .routes import Route

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django_tviews.facts import RelationFacts
    from django_tviews.relational.tree import ColumnOf

    from .columns import KeyColumn
    from .plan import SourcePlan

KEYS = 0
"""The number of the places that stand for keys; those of sources count from 1."""


@dataclass(frozen=True)
class Place:
    """Where routes look for rows of a source.

    Attributes:
        number: which, among those of the TView.
        relation: the source.
        columns: the columns whose values are looked for; none if any row may be meant.
    """

    number: int
    relation: RelationFacts
    columns: tuple[str, ...]

    def __str__(self) -> str:
        """Write it for people: ``shop.product (supplier_id)``."""
        return f"{self.relation.full_name} ({', '.join(self.columns) or 'any row'})"


@dataclass(frozen=True)
class Lookup:
    """A route looks for rows of a source.

    Attributes:
        place: where.
        values: the columns, of rows joined before, that hold the values looked for, in the order
            of the place's columns.
    """

    place: Place
    values: tuple[ColumnOf, ...]


def places(sources: Sequence[SourcePlan]) -> tuple[Place, ...]:
    """Return all places at which routes look for rows.

    Args:
        sources: the sources of a TView, with their routes.
    """
    found = dict.fromkeys(
        (step.occurrence.relation, tuple(column for column, _ in step.looked_up_by))
        for source in sources
        for route in source.routes
        if isinstance(route, Route)
        for step in route.steps
        if step.occurrence.computed is None
    )
    return tuple(
        Place(number, relation, columns)
        for number, (relation, columns) in enumerate(found, start=KEYS + 1)
    )


def lookups(sources: Sequence[SourcePlan], route: Route) -> Iterator[Lookup]:
    """Yield where a route looks for rows (``P``), in the order of its steps.

    Args:
        sources: the sources of the TView.
        route: a route of one of them.
    """
    known = {(place.relation, place.columns): place for place in places(sources)}
    for step in route.steps:
        if step.occurrence.computed is not None:
            # Nobody writes to what follows from the rows joined before.
            continue
        columns = tuple(column for column, _ in step.looked_up_by)
        values = tuple(value for _, value in step.looked_up_by)
        yield Lookup(known[step.occurrence.relation, columns], values)


def rows_looked_for(sources: Sequence[SourcePlan], source: SourcePlan) -> tuple[Place, ...]:
    """Return the places at which a route may look for rows of a source (``R``).

    Args:
        sources: the sources of the TView.
        source: one of them.
    """
    return tuple(place for place in places(sources) if place.relation == source.relation)


@dataclass(frozen=True)
class Locks:
    """What a writer of a source locks of the TView.

    Attributes:
        whole: everything, exclusively, since there is no route to the keys.
        looks_at: the places at which its routes look rows up, exclusively (``P``).
        looked_for: the places at which its rows may be looked for, shared (``R``).
    """

    whole: bool
    looks_at: tuple[Place, ...]
    looked_for: tuple[Place, ...]

    def __str__(self) -> str:
        """Write them for people: who excludes, and who shares."""
        if self.whole:
            return "exclusive: the whole TView"
        exclusive = ", ".join(["the keys", *map(str, self.looks_at)])
        if not self.looked_for:
            return f"exclusive: {exclusive}"
        return f"exclusive: {exclusive}; shared: {', '.join(map(str, self.looked_for))}"


def locks_of(sources: Sequence[SourcePlan], source: SourcePlan) -> Locks:
    """Return what writers of a source lock, besides sharing the lock on the whole TView.

    Args:
        sources: the sources of the TView.
        source: one of them.
    """
    looked_up = [
        lookup.place
        for route in source.routes
        if isinstance(route, Route)
        for lookup in lookups(sources, route)
    ]
    return Locks(
        any(not isinstance(route, Route) for route in source.routes),
        tuple(dict.fromkeys(looked_up)),
        rows_looked_for(sources, source),
    )


def keys_are_told_apart(key: Sequence[KeyColumn]) -> bool:
    """Tell whether writers of different keys need not wait for each other.

    Args:
        key: the key of a TView.
    """
    return all(hashed_as(column.type) is not None for column in key)
