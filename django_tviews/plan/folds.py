"""Folds: the totals of groups follow from what they were and from the rows that came and went.

A group of a hundred thousand rows need not be read again because one was added. Where a query
shows nothing but keys and totals of one table (:mod:`django_tviews.relational.totals`), the rows
that a statement has removed and added are totalled by key, and the difference goes into the row of
the group.

**Claim.** If the row of a group was right before, it is right after. *Why.* Under the lock on its
key (:mod:`.locks`) nobody else changes the group between the state in which its row was right and
the end of this transaction, so the group differs by the rows of this statement alone. The
transition tables hold them, and so do their rows as they are, without pairing old and new ones: of
a row that was changed twice they hold both changes, whose intermediate image is added once and
removed once. Then, for a group that keeps at least one row, and for the one of
a query without GROUP BY:

* ``count`` grows by the rows added, less those removed;
* ``sum`` does so by their values, as long as addition is exact. It is for integers, and for
  numerics of a declared scale that the column holds; not for NaN, from which nothing leads back.
  A sum of no values is NULL, not zero: it may become so only if values were lost;
* ``max`` is the greater of what it was and the greatest one added, unless the extreme may have
  gone: none of the values removed was it, or one added is at least as great. ``min`` likewise.

Whatever these conditions leave open is recomputed: a group that is new, that may have lost its
last row, or one of whose totals they do not settle. ∎

A fold may replace a recomputation only where one statement changed nothing but this table; what
waited in the spool is recomputed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django_tviews.sqltypes import is_integer, is_numeric, is_ordered_by_looks, same_type, scale_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django_tviews.facts import RelationFacts
    from django_tviews.relational.tree import Expression, Groups, QueryTree, Total

    from .plan import KeyColumn, PlanColumn


@dataclass(frozen=True)
class FoldedColumn:
    """A column that a fold brings up to date.

    Attributes:
        name: the column.
        total: what it shows.
        nullable: a group may have no value to total.
        may_be_nan: a value may be NaN.
    """

    name: str
    total: Total
    nullable: bool = False
    may_be_nan: bool = False


@dataclass(frozen=True)
class Fold:
    """How changed rows of the one source change the rows of their groups.

    Attributes:
        columns: the columns that are not the key.
        filter: the condition on the rows that are grouped.
        row_count: the column that counts all rows of a group, if there is one.
        one: the one group is there with rows or without.
    """

    columns: tuple[FoldedColumn, ...]
    filter: Expression | None
    row_count: str | None
    one: bool = False


def find_fold(
    tree: QueryTree,
    columns: Sequence[PlanColumn],
    key: Sequence[KeyColumn],
    output_types: Mapping[str, str],
) -> Fold | None:
    """Find out whether the rows of a TView can be brought up to date by what has changed.

    Args:
        tree: its query.
        columns: the columns of its table.
        key: those of them that identify a row.
        output_types: the types of the query's output columns, as far as a server has told them.
    """
    groups = tree.alternatives[0].groups
    if groups is None or len(tree.alternatives) > 1:
        return None
    if groups.keys != {column.output for column in key}:
        return None
    if any(column.equality != "pg_catalog" for column in key):
        return None
    relation = tree.occurrences[0].relation
    totals = {total.output: total for total in groups.totals}
    folded = []
    for column in columns:
        if column.output in totals:
            total = totals[column.output]
            found = _folded(column, groups, total, relation, output_types.get(column.output, ""))
            if found is None:
                return None
            folded.append(found)
    if not folded:
        return None
    row_counts = (column.name for column in folded if _counts_rows(column.total, relation))
    return Fold(tuple(folded), groups.filter, next(row_counts, None), groups.one)


def _counts_rows(total: Total, relation: RelationFacts) -> bool:
    if total.function != "count" or total.filter is not None:
        return False
    return total.argument is None or _never_null(total.argument, relation)


def _never_null(expression: Expression, relation: RelationFacts) -> bool:
    column = expression.column
    return column is not None and relation.by_name[column.name].not_null


def _folded(
    column: PlanColumn, groups: Groups, total: Total, relation: RelationFacts, computed: str
) -> FoldedColumn | None:
    if total.function == "count":
        return FoldedColumn(column.name, total) if is_integer(column.type) else None
    if total.argument is None:
        return None
    read = total.argument.column
    type_sql = relation.by_name[read.name].type if read is not None else ""
    never_null = _never_null(total.argument, relation)
    nullable = groups.one or total.filter is not None or not never_null
    if total.function == "sum":
        if not _adds_exactly(column.type, total, type_sql, computed):
            return None
        return FoldedColumn(
            column.name, total, nullable and not total.or_zero, is_numeric(type_sql)
        )
    if is_ordered_by_looks(type_sql) and same_type(type_sql, column.type):
        return FoldedColumn(column.name, total, nullable)
    return None


def _adds_exactly(declared: str, total: Total, type_sql: str, computed: str) -> bool:
    """Tell whether a sum in a column is all that later sums need of the rows summed.

    Args:
        declared: the type of the column.
        total: the sum.
        type_sql: the type of what is summed, if that is a column.
        computed: the type of the sum; only those of smallint and integer are bigint.
    """
    if is_integer(type_sql) or (not type_sql and computed == "bigint"):
        return is_integer(declared) or (is_numeric(declared) and (scale_of(declared) or 0) >= 0)
    scale, held = scale_of(type_sql), scale_of(declared)
    if not is_numeric(type_sql) or not is_numeric(declared) or scale is None or scale < 0:
        return False
    # A zero that stands for no values has no decimals, unless the column gives it some.
    return held >= scale if held is not None else not total.or_zero
