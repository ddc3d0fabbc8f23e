"""Folds: the totals of groups follow from what they were and from the rows that came and went.

A group of a hundred thousand rows need not be read again because one was added. Where a query
shows nothing but keys and totals of joined tables (:mod:`django_tviews.relational.totals`), the
rows that a statement has removed and added are joined with the other tables and totalled by key,
and the difference goes into the row of the group.

**Claim.** If the row of a group was right before, it is right after. *Why.* Let the statement have
changed rows of the source T and of nothing else, and let T stand in FROM once.

*The rows of the group that have a row of T differ by those that the removed and added rows of T
give alone.* So says the first claim of :mod:`.matching`, for any tree of joins around T. It needs
no key: a row of T may give several rows, or none.

*The rows of the group that have none do not matter.* Either there are none, or T stands on a
nullable side. How many there are then depends on T. But no total sees them, as for each there is a
relation that is missing without T, and whose NULLs it leaves out. Nor does anything else that
tells groups apart, or that is shown of them, read relations that T affects. So by the second claim
of :mod:`.matching` the group is there with the rows that T has and without.

*The transition tables hold what has changed*, and so do their rows as they are, without pairing
old and new ones: of a row that was changed twice they hold both changes, whose intermediate image
is added once and removed once.

*The other tables are as they were.* The statement has not changed them: it would have counted as
open twice, or have left rows of theirs in the spool. Others change nothing that these rows are
joined with from the snapshot that the fold reads to the end of this transaction. That is what
:mod:`.locks` shows for a recomputation of the key, which reads the same combinations of rows; the
fold holds the same locks, on the key as well as on places, and reads after them. So nobody else
changes the group between the state in which its row was right and the end of this transaction
either.

*It finds no other keys than those locked.* Every row that it joins is a combination that a route
of T leads from (:mod:`.routes`). Rows whose image is the same before and after have no route, and
give the same rows added and removed, so that nothing is left of them.

Then, for a group that keeps at least one row, for the one of a query without GROUP BY, and for all
of them where T stands on a nullable side:

* ``count`` grows by the rows added, less those removed;
* ``sum`` does so by their values, as long as addition is exact. It is for integers, and for
  numerics whose decimals are known; not for NaN, from which nothing leads back. Where its column
  has fewer decimals, it is the sum in another one, assigned to it as the query's would be. A sum of
  no values is NULL, not zero: a column that counts the values tells;
* ``avg`` is the sum divided by the number of values, as PostgreSQL itself divides them
  (``numeric_avg``, ``int8_avg``). No average leads back to its sum, so there are columns of both;
* ``max`` is the greater of what it was and the greatest one added, unless the extreme may have
  gone: none of the values removed was it, or one added is greater, or is as great and no row was
  changed twice, so that what was added is there. ``min`` likewise, and so are ``bool_or`` and
  ``bool_and``, as TRUE is greater than FALSE;
* what is neither a total nor a part of the key stays the same, since it is read of rows that the
  key leads to (:mod:`.dependencies`), and T is none of these.

Whatever these conditions leave open is recomputed: a group that is new, that has lost its last row,
or one of whose totals they do not settle. ∎

A group that counts some rows is there. Where sources on nullable sides are folded, too, all rows
of a group cannot be counted, since a change of those sources brings and takes some that no total
sees. Then any count tells that a group is there, and where it is zero, the group is recomputed.

A total that this asks for and no field shows has a *hidden column* (:mod:`..relational.hidden`):
the number of rows in a group, the number of values of a sum or an average, and the sum of an
average or of a column that rounds it. It is a column of the table like any other, and what writes,
compares or repairs rows knows no difference: a recomputation fills it, so a fold finds it. Only
TViews that are folded from some source have such columns, and none that fields stand for.

A source whose row the key leads to is recomputed: all rows of the group hang on that one, so the
difference would be read off the whole group, twice.

What waits in the spool, of one statement or of all that a transaction has done, is folded likewise
if it is about one source alone: the row was right before the first of these changes, and is read
under its lock. Images there are of rows that have changed, each as often as they did; of several
changes of one row the intermediate ones add up to nothing, and are taken out before extremes are
looked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from django_tviews.facts import RelationKind
from django_tviews.relational.hidden import HiddenTotal
from django_tviews.relational.tree import Decimals, Total
from django_tviews.sqltypes import (
    is_float,
    is_integer,
    is_numeric,
    is_ordered_by_looks,
    rounds_alike,
    same_type,
    scale_of,
)

from .columns import PlanColumn
from .dependencies import rows_led_to
from .matching import find_matching

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django_tviews.facts import RelationFacts
    from django_tviews.relational.tree import (
        Expression,
        Join,
        Occurrence,
        QueryTree,
    )

    from .columns import KeyColumn
    from .matching import Matching


@dataclass(frozen=True)
class FoldedColumn:
    """A column that a fold brings up to date.

    Attributes:
        name: the column.
        total: what it shows.
        nullable: it is NULL in a group without any value to total.
        may_be_nan: a value may be NaN.
        counted_by: the column that counts the values, if that is needed.
        summed_by: the column of the sum, if it is another one: of an average, or of a sum that is
            rounded here.
    """

    name: str
    total: Total
    nullable: bool = False
    may_be_nan: bool = False
    counted_by: str | None = None
    summed_by: str | None = None


@dataclass(frozen=True)
class Fold:
    """How changed rows of a source change the rows of groups.

    Attributes:
        start: the occurrence of the source.
        rows: what is grouped that has a row of it: an occurrence, by its number, or a join.
        occurrences: all of them.
        key: what the columns of the key are computed from.
        columns: the columns that are totals.
        filter: the condition on the rows that are grouped.
        row_count: a column that counts rows of a group, which is there if this is not zero; None
            if no change of the source brings a group or takes one away.
    """

    start: Occurrence
    rows: int | Join
    occurrences: tuple[Occurrence, ...]
    key: tuple[Expression, ...]
    columns: tuple[FoldedColumn, ...]
    filter: Expression | None
    row_count: str | None

    @property
    def counts_every_row(self) -> bool:
        """The column that counts rows counts all of them."""
        counted = [each.total for each in self.columns if each.name == self.row_count]
        return any(
            each.filter is None and (each.argument is None or not each.nullable) for each in counted
        )

    @property
    def joins(self) -> bool:
        """Other tables are read."""
        return len(self.occurrences) > 1


@dataclass(frozen=True)
class Folds:
    """How the rows of a TView follow from what has changed.

    Attributes:
        by_source: the sources from whose changes they do.
        hidden: the columns that the table has to have for that.
    """

    by_source: Mapping[RelationFacts, Fold] = field(default_factory=dict)
    hidden: tuple[PlanColumn, ...] = ()


def find_folds(
    tree: QueryTree,
    columns: Sequence[PlanColumn],
    key: Sequence[KeyColumn],
    output_types: Mapping[str, str],
) -> Folds:
    """Find out from which sources the rows of a TView follow from what has changed.

    Args:
        tree: its query.
        columns: the columns of its table.
        key: those of them that identify a row.
        output_types: the types of the query's output columns, as far as a server has told them.
    """
    alternative = tree.alternatives[0]
    groups = alternative.groups
    if groups is None or len(tree.alternatives) > 1:
        return Folds()
    if any(column.equality != "pg_catalog" for column in key):
        return Folds()
    outputs = {output.name: output.expression for output in tree.outputs}
    expressions = tuple(outputs[column.output] for column in key)
    totals = {total.output: total for total in groups.totals}
    if totals.keys() & {column.output for column in key}:
        return Folds()
    led_to = rows_led_to(alternative, [each.column for each in expressions if each.column])
    others = [outputs[each.output] for each in columns if each.output not in totals]
    if not all(
        each in expressions or each.occurrences <= led_to for each in (*groups.grouped_by, *others)
    ):
        return Folds()
    read = frozenset().union(*(each.occurrences for each in (*groups.grouped_by, *others)))
    starts = [
        (occurrence, matching)
        for occurrence in tree.occurrences
        if occurrence.number not in led_to
        and _is_folded(occurrence, tree)
        and (matching := find_matching(groups, occurrence.number)) is not None
        and (matching.always or _only_adds(matching, read, groups.totals))
    ]
    if not starts:
        return Folds()
    matched = [matching.always for _, matching in starts]
    shown = _Shown(
        tuple((each, totals[each.output]) for each in columns if each.output in totals),
        groups.one,
        output_types,
        counts_rows=any(matched) and not groups.one,
        every_row=all(matched),
    ).completed()
    folded = [shown.folded(column, total) for column, total in shown.totals]
    known = tuple(each for each in folded if each is not None)
    if not known or len(known) < len(folded):
        return Folds()
    return Folds(
        {
            start.relation: Fold(
                start,
                matching.rows,
                tree.occurrences,
                expressions,
                known,
                groups.filter,
                shown.row_count if shown.counts_rows and matching.always else None,
            )
            for start, matching in starts
        },
        tuple(column for column, _ in shown.totals if column.hidden is not None),
    )


def _is_folded(occurrence: Occurrence, tree: QueryTree) -> bool:
    """Tell whether changed rows of an occurrence give the changed rows of the groups."""
    relation = occurrence.relation
    return (
        relation.kind is RelationKind.TABLE
        # Triggers show rows of children, too, and not all of them.
        and relation.targets == (relation,)
        and [each.relation for each in tree.occurrences].count(relation) == 1
    )


def _only_adds(matching: Matching, read: frozenset[int], totals: Sequence[Total]) -> bool:
    """Tell whether changed rows of a nullable side change totals, and that by what they give.

    Args:
        matching: of the source.
        read: the occurrences that decide which groups there are, and what they show beside totals.
        totals: all that the query shows.
    """
    return (
        not read & matching.affected
        and bool(totals)
        and all(each.needed & matching.missing for each in totals)
    )


@dataclass(frozen=True)
class _Shown:
    """The totals that the table of a TView has.

    Attributes:
        totals: each with its column.
        one: the one group is there with rows or without.
        computed: the types of the query's output columns, as far as a server has told them; of a
            sum only those of smallint and integer are bigint.
        counts_rows: changes may leave a group without rows, which has to be noticed.
        every_row: no source is folded that stands on a nullable side, so that all rows of a group
            can be counted.
    """

    totals: tuple[tuple[PlanColumn, Total], ...]
    one: bool
    computed: Mapping[str, str]
    counts_rows: bool = True
    every_row: bool = True

    @property
    def row_count(self) -> str | None:
        """The column that counts all rows of a group, or some of them, if there is one."""
        if self.every_row:
            return self.counter(None)
        return next((each.name for each, total in self.totals if total.function == "count"), None)

    def completed(self) -> _Shown:
        """Return these totals with the hidden ones that they need to be folded."""
        shown = self
        if shown.counts_rows and shown.row_count is None:
            if shown.every_row:
                shown = shown.with_hidden(HiddenTotal("count"))
            else:
                column, total = shown.totals[0]
                shown = shown.with_hidden(HiddenTotal("count", column.output), total)
        for column, total in self.totals:
            if total.function in ("avg", "sum"):
                counted = shown.is_counted(total)
                if shown.summed_in(column, total) is None:
                    shown = shown.with_hidden(HiddenTotal("sum", column.output), total)
                    # That one is NULL without values, whatever the column shows then.
                    counted = shown.is_counted(replace(total, or_zero=False))
                if counted and shown.counter(total) is None:
                    shown = shown.with_hidden(HiddenTotal("count", column.output), total)
        return shown

    def with_hidden(self, hidden: HiddenTotal, of: Total | None = None) -> _Shown:
        name, type_sql = hidden.name, "bigint" if hidden.function == "count" else "numeric"
        total = Total(name, hidden.function, None)
        if of is not None:
            total = replace(
                of, output=name, function=hidden.function, or_zero=False, as_bigint=False
            )
        column = PlanColumn(name, type_sql, name, type_sql, compared_as=type_sql, hidden=hidden)
        return replace(self, totals=(*self.totals, (column, total)))

    def is_counted(self, total: Total) -> bool:
        """Tell whether a sum, or an average, depends on how many values there are."""
        return total.function == "avg" or (self._may_be_null(total) and not total.or_zero)

    def _may_be_null(self, total: Total) -> bool:
        return self.one or total.filter is not None or total.nullable

    def counter(self, counted: Total | None) -> str | None:
        """The column that counts the values that a total is made of, or all rows."""
        wanted = counted.filter if counted is not None else None
        every_row = counted is None or not counted.nullable
        for column, total in self.totals:
            if total.function != "count" or total.filter != wanted:
                continue
            if counted is not None and total.argument == counted.argument:
                return column.name
            if every_row and (total.argument is None or not total.nullable):
                return column.name
        return None

    def summed_in(self, column: PlanColumn, total: Total) -> tuple[PlanColumn, Total] | None:
        """The column that holds the whole sum that a column shows, rounds or divides."""
        if total.function == "sum":
            if self._is_held(column, total):
                return column, total
            # The zero of no values has decimals of its own, which a rounded column does not show.
            if not (rounds_alike(column.type) or is_float(column.type)):
                return None
        # How many decimals the sum has decides how many its quotient has.
        if total.decimals is None or not total.decimals.always:
            return None
        for other, summed in self.totals:
            same_values = (summed.argument, summed.filter) == (total.argument, total.filter)
            if summed.function == "sum" and same_values and self._is_held(other, summed):
                return other, summed
        return None

    def folded(self, column: PlanColumn, total: Total) -> FoldedColumn | None:
        """Return how a column is brought up to date; None if it cannot be.

        Args:
            column: of the TView.
            total: what it shows.
        """
        nullable = self._may_be_null(total)
        match total.function:
            case "count":
                return FoldedColumn(column.name, total) if is_integer(column.type) else None
            case "sum" | "avg":
                return self._sum(column, total, nullable=nullable and not total.or_zero)
            case "min" | "max":
                ordered = is_ordered_by_looks(total.type) and same_type(total.type, column.type)
            case _:
                ordered = same_type(column.type, "boolean")
        return FoldedColumn(column.name, total, nullable) if ordered else None

    def _sum(self, column: PlanColumn, total: Total, *, nullable: bool) -> FoldedColumn | None:
        found = self.summed_in(column, total)
        if found is None:
            return None
        holds, summed = found
        return FoldedColumn(
            column.name,
            total,
            nullable,
            not self._is_of_integers(holds, summed),
            self.counter(total) if self.is_counted(total) else None,
            None if holds == column else holds.name,
        )

    def _is_of_integers(self, column: PlanColumn, total: Total) -> bool:
        return is_integer(total.type) or self.computed.get(column.output) == "bigint"

    def _is_held(self, column: PlanColumn, total: Total) -> bool:
        """Tell whether a column of a sum has all that later sums need of the values summed."""
        integers = self._is_of_integers(column, total)
        decimals = Decimals(0) if integers else total.decimals
        if decimals is None or not is_numeric(column.type):
            return integers and is_integer(column.type)
        held = scale_of(column.type)
        if held is not None:
            return held >= decimals.most
        # Nothing but the values decides how many it shows; the zero of no values has its own.
        return decimals.always and not total.or_zero
