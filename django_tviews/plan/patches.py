"""Patches: a recomputation narrowed to the columns that can have changed.

An author has a new name. The cards of his posts show it in one column, and everything else in them
is as it was, so that only this column is evaluated and written.

**Claim.** Let *N* be columns of a TView, none of them of its key, and let a statement change
nothing that the query reads if it shows all columns but *N*. If the row of a key was right before,
it is right after its columns *N* have been evaluated again. *Why.* Take two TViews in place of one:
one shows the key and *N*, the other the key and the rest. Both have rows for the same keys, since
output columns have no say in that (:mod:`django_tviews.relational.parts`). To the second one the
statement is one that changes nothing it reads: there is nothing to maintain, however others write
at the same time. The first one is recomputed for the keys that the routes lead to, under the locks
of :mod:`.locks`, as it would be by itself; and as the second one has a row where it had one before,
so has the first. ∎

Which columns are *N* depends on the source:

* where only output columns read it, in subqueries, *N* are those that do, whatever becomes of its
  rows;
* where it is also read to find the rows, or in the key, some of its columns *decide*. As long as an
  UPDATE leaves them alone, *N* are the output columns that read others of its columns. The rows
  before and after it are paired by a key of the source, none of them changed twice; if they look
  the same in all columns that decide, then whatever reads only these is as it was.

Where such a column is a document (see there), *N* may be some of its values: the claim is about
them as if each had a column of its own, and what is evaluated is the query without the others.

A patch may replace a recomputation only where one statement changed nothing but this table; what
waited in the spool is recomputed. It evaluates the query, so it shows the rows as they are, not as
the transition tables show them; or it need not evaluate anything, if the values stand in the
changed row.

**Claim.** Let *N* be computed from one row d of a source D that FROM names once, on no nullable
side, and let the key lead to d (:mod:`.dependencies`). Let the route from D have no step, or one,
which by itself leads from its row to d. Then every row of the TView that the route leads to from a
changed row shows, in *N*, what its new image gives. *Why.* All combinations that a row of the
result is made of have one row d of D, and, if the route has a step, one row e of the relation
joined. The route has come to this row's key: by an e' with the values that e is unique by, so that
e' = e, and from a d' that has what e says d is unique by, so that d' = d. The transition tables
show d as it is: the updating transaction has it locked, and if a statement inside of this one had
changed it again, rows would have waited in the spool. ∎
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django_tviews.facts import RelationKind
from django_tviews.relational.parts import Member

from .dependencies import has_key, rows_led_to
from .routes import Route

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from django_tviews.relational.parts import Part, Parts
    from django_tviews.relational.tree import QueryTree

    from .columns import PlanColumn
    from .plan import SourcePlan


@dataclass(frozen=True)
class PatchedColumn:
    """A column that changed rows can change.

    Attributes:
        column: the column.
        members: those of its document that are meant; none if all of it is.
    """

    column: PlanColumn
    members: tuple[Member, ...] = ()

    def __str__(self) -> str:
        """Write it for people: ``name``, or ``data (author.name, title)``."""
        if not self.members:
            return self.column.name
        return f"{self.column.name} ({', '.join(_paths(self.members))})"


@dataclass(frozen=True)
class Given:
    """Patched columns whose values stand in the changed rows.

    Attributes:
        route: from a changed row to the rows of the TView that show it.
        parts: what they show of it: columns, or values in documents by their paths.
    """

    route: Route
    parts: tuple[Part, ...]

    @property
    def by_changed_row(self) -> bool:
        """The changed row has the key of the row of the TView that shows it."""
        return not self.route.steps


@dataclass(frozen=True)
class Patch:
    """How changed rows of a source change some columns of the TView.

    Attributes:
        columns: these columns.
        query: what evaluates them, where that is less than columns of the backing view.
        decides: which rows there are depends on the source, so that it is for UPDATE only.
        deciding: the columns of the source that an UPDATE must leave alone.
        given: how the changed rows alone give the new values, if they do.
    """

    columns: tuple[PatchedColumn, ...]
    query: str
    decides: bool
    deciding: tuple[str, ...]
    given: Given | None = None

    def is_for(self, event: str) -> bool:
        """Tell whether it may serve after such an event."""
        return event == "UPDATE" or (event in ("INSERT", "DELETE") and not self.decides)


def find_patch(
    tree: QueryTree,
    parts: Parts,
    source: SourcePlan,
    columns: Sequence[PlanColumn],
    key: Collection[str],
) -> Patch | None:
    """Find out which columns of a TView the changes of a source are confined to.

    Args:
        tree: its query.
        parts: what the output columns of its query read.
        source: the source.
        columns: the columns of its table.
        key: the output columns that identify a row.
    """
    relation = source.relation
    finding = [parts.rows, *(part.reads for part in parts.shown if part.output in key)]
    if not any(reads.reads(relation) for reads in finding):
        affected = [part for part in parts.shown if part.reads.reads(relation)]
        deciding: frozenset[str] = frozenset()
        decides = False
    else:
        deciding = frozenset().union(*(reads.columns(relation) for reads in finding))
        affected = [part for part in parts.shown if part.reads.columns(relation) - deciding]
        decides = True
    # Without a key nothing tells which rows belong together; where several sources change, or none
    # leads to keys, everything is recomputed.
    if not affected or (deciding and not source.identity) or source.overlaps or not source.routed:
        return None
    patched = tuple(
        PatchedColumn(column, _members(parts, affected, column))
        for column in columns
        if any(part.output == column.output for part in affected)
    )
    query = ""
    if any(each.members for each in patched):
        shown: dict[str, tuple[Member, ...]] = dict.fromkeys(key, ())
        query = parts.narrowed(shown | {each.column.output: each.members for each in patched})
    return Patch(
        patched,
        query,
        decides,
        tuple(name for name, _ in source.columns if name in deciding),
        _given(tree, affected, source, key)
        if decides
        and all(each.members or _is_all(parts, affected, each.column) for each in patched)
        else None,
    )


def _given(
    tree: QueryTree, affected: Sequence[Part], source: SourcePlan, key: Collection[str]
) -> Given | None:
    """Find out whether what is patched follows from the changed rows."""
    route = source.routes[0]
    if len(source.routes) > 1 or not isinstance(route, Route) or len(route.keys) > 1:
        return None
    relation, start = source.relation, route.occurrence
    alternative = tree.alternatives[0]
    keys = [output.expression.column for output in alternative.outputs if output.name in key]
    key_columns = [column for column in keys if column is not None]
    if (
        len(tree.alternatives) > 1
        or [each.relation for each in tree.occurrences].count(relation) > 1
        or relation.kind is not RelationKind.TABLE
        or relation.targets != (relation,)
        or start.outer_joins
        or start.sublinks
        or len(key_columns) < len(keys)
        or not all(part.reads_alone(relation) for part in affected)
    ):
        return None
    led_to = rows_led_to(alternative, key_columns)
    if start.number not in led_to:
        return None
    if route.steps:
        (step, *more) = route.steps
        joined = step.occurrence
        if more or joined.outer_joins or joined.sublinks or joined.number not in led_to:
            return None
        leads_back = {value.name for _, value in step.looked_up_by}
        if not has_key(relation, leads_back):
            return None
    else:
        joined = start
    shown = {column.name for column in key_columns if column.occurrence == joined.number}
    return Given(route, tuple(affected)) if has_key(joined.relation, shown) else None


def _members(parts: Parts, affected: Sequence[Part], column: PlanColumn) -> tuple[Member, ...]:
    """Return the members of a document that are affected; none if it is all or none."""
    if column.type != "jsonb" or _is_all(parts, affected, column):
        return ()
    return _grouped(part.path for part in affected if part.output == column.output)


def _is_all(parts: Parts, affected: Sequence[Part], column: PlanColumn) -> bool:
    """Tell whether all parts of a column are affected."""
    return all(part in affected for part in parts.shown if part.output == column.output)


def _grouped(paths: Iterable[tuple[str, ...]]) -> tuple[Member, ...]:
    by_key: dict[str, list[tuple[str, ...]]] = {}
    for path in paths:
        if path:
            by_key.setdefault(path[0], []).append(path[1:])
    return tuple(Member(key, _grouped(rest)) for key, rest in by_key.items())


def _paths(members: Iterable[Member]) -> Iterator[str]:
    for member in members:
        yield from (f"{member.key}.{path}" for path in _paths(member.members))
        if not member.members:
            yield member.key
