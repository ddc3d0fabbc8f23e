"""Roots: sources with whose rows the rows of the TView come and go.

    SELECT post.id, post.title, author.name FROM post JOIN author ON author.id = post.author_id

A post that has come may have a row now that it had not before; the row of one that has gone is
gone, too.

**Claim.** Let all columns of the TView's key show columns of one occurrence T, on no nullable side
and in no subquery. As long as the relation of T has no row with the values of a key, the query has
no row with this key. *Why.* Each row of the result is made of a combination with a row of T, and
shows its values. So to see that a row of the TView has to go, it suffices to look for the row of T,
which costs less than the query. If a trigger has put it back, the query is asked.

**Claim.** Let the query have at most one row for a key. If it gives a row for a key that the TView
has no row for, that row is all that is missing for this key. *Why.* What the query gives for a key
and what the TView has are the two sides of the comparison; there is nothing else on either. So it
may be inserted by one statement, which neither counts rows nor compares them; if it inserts
nothing, the query is asked again.

The two leave everything as a recomputation does, under the locks that it takes. They pay where a
key of T is part of the TView's: then no other row has the key of one that has gone, and there was
no row with that of one that has come. ∎
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .dependencies import has_key, rows_led_to
from .routes import Route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_tviews.relational.parts import Parts
    from django_tviews.relational.tree import ColumnOf, QueryTree

    from .plan import SourcePlan


@dataclass(frozen=True)
class Root:
    """With rows of a source rows of the TView come and go.

    Attributes:
        columns: the columns of the source that the key shows, in the order of the key.
        single: the query has at most one row for a key.
    """

    columns: tuple[str, ...]
    single: bool

    def is_for(self, event: str) -> bool:
        """Tell whether it spares anything after such an event."""
        return event == "DELETE" or (event == "INSERT" and self.single)


def has_single_rows(tree: QueryTree, parts: Parts | None, key: Sequence[str]) -> bool:
    """Tell whether a query has at most one row for a key.

    **Claim.** It has if it shows groups that the key tells apart (:mod:`.group_parts`), or if it
    shows combinations of rows of tables, and the key leads to the row of each table. *Why.* Then
    all combinations for a key are one (:mod:`.dependencies`), and each is there once. ∎

    Args:
        tree: the query.
        parts: what its output columns read, if each row is one combination, or one group.
        key: the names of its output columns that identify a row.
    """
    if parts is None or len(tree.alternatives) > 1:
        return False
    (alternative,) = tree.alternatives
    if alternative.groups is not None:
        return True
    led_to = rows_led_to(alternative, _columns(tree, key) or ())
    combined = {each.number for each in alternative.occurrences if not each.sublinks}
    return parts.joins_tables and combined <= led_to


def find_root(
    tree: QueryTree, source: SourcePlan, key: Sequence[str], *, single: bool
) -> Root | None:
    """Find out whether rows of the TView come and go with those of a source.

    Args:
        tree: the query.
        source: the source.
        key: the names of its output columns that identify a row.
        single: it has at most one row for a key.
    """
    columns = _columns(tree, key)
    if columns is None or len(tree.alternatives) > 1 or len(source.routes) != 1 or source.overlaps:
        return None
    (route,) = source.routes
    if not isinstance(route, Route) or route.steps:
        return None
    start = route.occurrence
    names = [column.name for column in columns]
    if (
        start.nullable
        or start.sublinks
        or any(column.occurrence != start.number for column in columns)
        or not has_key(start.relation, names)
    ):
        return None
    return Root(tuple(names), single)


def _columns(tree: QueryTree, key: Sequence[str]) -> list[ColumnOf] | None:
    """Return the columns that a key shows; None if it shows anything else."""
    outputs = [tree.output(name) for name in key]
    columns = [each.expression.column for each in outputs if each is not None]
    found = [column for column in columns if column is not None]
    return found if len(found) == len(key) else None
