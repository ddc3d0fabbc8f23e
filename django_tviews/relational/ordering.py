"""Results that depend on the order of rows: total orders only.

``array_agg(name)``, ``ARRAY(SELECT ...)`` and ``LIMIT`` give another result when the rows come
in another order, so a query may use them only with an ORDER BY that leaves no two rows tied
unless they are interchangeable. An order is total when it *determines* every relation in FROM:
starting from the columns ordered by, a relation whose key is determined has all its columns
determined, and an equality carries that over to the other side.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import functions
from .constructs import refuse
from .syntax import Node, calls, kind, names, position, same
from .tree import ColumnOf
from .windows import window_of

if TYPE_CHECKING:
    from .builder import Builder, Draft
    from .scope import Item, Scope


def settle_order(builder: Builder, select: Node, scope: Scope) -> None:
    """Refuse what an open order leaves open, or, when completing, close it in place."""
    groups = builder.selects.groups(select, scope)
    for call in _calls(select):
        plain = names(call.funcname)[-1]
        if call.HasField("over"):
            _settle_window(builder, call, select, scope, groups)
        elif builder.expressions.depends_on_order(names(call.funcname)) and not call.agg_distinct:
            aggregated = _Sorted(
                call.agg_order,
                list(call.args),
                f"{plain}()",
                position(call),
                # What WITHIN GROUP orders by are arguments.
                completable=not call.agg_within_group,
                grouped=True,
            )
            _settle(builder, scope, aggregated)
    limited = kind(select.limit_count) or kind(select.limit_offset)
    distinct_on = any(kind(node) for node in select.distinct_clause)
    if scope.rows_in_order or (scope.order_matters and (limited or distinct_on)):
        what = "LIMIT" if limited else "DISTINCT ON" if distinct_on else "ARRAY(SELECT ...)"
        targets = [target.res_target.val for target in select.target_list]
        shown = _Sorted(
            select.sort_clause,
            targets,
            what,
            position(select),
            select,
            groups,
            # An aggregated DISTINCT row has no place to order by but its outputs.
            completable=not select.distinct_clause,
        )
        _settle(builder, scope, shown)


def _settle_window(
    builder: Builder, call: Node, select: Node, scope: Scope, groups: list[Node] | None
) -> None:
    """Settle the order of a window whose function tells tied rows apart."""
    plain = names(call.funcname)[-1]
    window = window_of(call, select)
    sensitive = builder.expressions.depends_on_order(names(call.funcname))
    numbering = plain in functions.NUMBERING_WINDOW_FUNCTIONS
    picking = plain in functions.PICKING_WINDOW_FUNCTIONS
    if plain in functions.RANKING_WINDOW_FUNCTIONS:
        return
    if not (numbering or picking or sensitive or window.counts_rows):
        return
    by_value = not numbering and not window.counts_rows and not window.excludes
    _settle(
        builder,
        scope,
        _Sorted(
            window.order if window.named else call.over.order_clause,
            list(call.args) if by_value else [],
            f"{plain}() OVER",
            position(call),
            groups=groups,
            partition=window.partition,
            # To add to the order must not change which rows are in the frame.
            completable=not window.named
            and (
                numbering
                or (window.counts_rows and not window.excludes)
                or (plain == "first_value" and window.starts_with_the_first)
            ),
        ),
    )


def settle_order_of_rows(what: str, select: Node, outputs: int, scope: Scope) -> None:
    """Refuse a UNION, INTERSECT or EXCEPT of which an order that is left open shows.

    It has no key to order by, so nothing less than all of its columns will do.

    Args:
        what: the operation, as it stands in the query.
        select: the operation.
        outputs: how many columns it has.
        scope: what it stands in.
    """
    limited = kind(select.limit_count) or kind(select.limit_offset)
    ordered = {
        item.sort_by.node.a_const.ival.ival
        if kind(item.sort_by.node) == "a_const"
        else names(item.sort_by.node.column_ref.fields)
        for item in select.sort_clause
    }
    if (scope.rows_in_order or (scope.order_matters and limited)) and len(ordered) < outputs:
        refuse("open-order", f"LIMIT of {what}" if limited else what, position=position(select))


@dataclass(frozen=True)
class _Sorted:
    """Rows in an order, and what depends on it.

    Attributes:
        order: the items of ORDER BY, to be completed in place.
        values: what is taken of each row; if the order tells all of it, ties do not matter.
        what: the construct, for messages.
        where: its position.
        select: the SELECT whose outputs the items may name.
        groups: the rows are groups by these expressions; None if they are rows of FROM.
        partition: what is the same in all of the rows.
        completable: the meaning stays if the order is completed.
        grouped: they are the rows of a group.
    """

    order: Node
    values: list[Node]
    what: str
    where: int | None
    select: Node | None = None
    groups: list[Node] | None = None
    partition: list[Node] = field(default_factory=list)
    completable: bool = True
    grouped: bool = False


def _settle(builder: Builder, scope: Scope, rows: _Sorted) -> None:
    ordered = [named_expression(item.sort_by.node, rows.select) for item in rows.order]
    ordered += rows.partition
    values = [value for value in rows.values if not _is_constant(value)]
    # The citexts Foo and foo sort as equal and may not stand for each other, nor 1.0 and 1.00.
    if values and all(
        any(same(value, item) for item in ordered) and builder.looks.one_look(value, scope)
        for value in values
    ):
        return
    columns = {
        column
        for item in ordered
        if kind(item) == "column_ref"
        and (column := scope.resolve(item.column_ref).base) is not None
    }
    known_columns, whole = determined(builder, scope, columns)
    missing: list[Node] = []
    if rows.groups is not None:
        for node in rows.groups:
            known = (
                kind(node) == "column_ref" and scope.resolve(node.column_ref).base in known_columns
            )
            if not known and not any(same(node, item) for item in ordered):
                missing.append(node)
        certain = all(kind(node) != "grouping_set" for node in missing)
    else:
        items = [
            each
            for each in scope.items
            if (each.rows is None or not each.rows <= whole)
            # A function in the select list runs after rows are grouped, unless it groups them.
            and (each.alias or scope.unnested_first or not rows.grouped)
        ]
        keys = [(item.alias, _key(builder, item)) for item in items]
        missing = [_reference(alias, name) for alias, key in keys for name in key]
        certain = all(key for _, key in keys)
    if not missing and certain:
        return
    if not builder.completing or not certain or not rows.completable:
        refuse("open-order", rows.what, position=rows.where)
    for node in missing:
        _append(rows.order, node)


def _is_constant(node: Node) -> bool:
    return kind(node) == "a_const" or (
        kind(node) == "type_cast" and _is_constant(node.type_cast.arg)
    )


def named_expression(node: Node, select: Node | None) -> Node:
    """Return what an item of ORDER BY or DISTINCT ON stands for.

    A number or the name of an output column stands for what that is computed from.

    Args:
        node: the item.
        select: the SELECT; None for the ORDER BY of an aggregate, which names no outputs.
    """
    if select is None:
        return node
    if kind(node) == "a_const" and node.a_const.ival.ival:
        return select.target_list[node.a_const.ival.ival - 1].res_target.val
    if kind(node) == "column_ref" and len(node.column_ref.fields) == 1:
        name = names(node.column_ref.fields)[0]
        for target in select.target_list:
            if target.res_target.name == name:
                return target.res_target.val
    return node


def determined(
    builder: Builder, scope: Scope, columns: set[ColumnOf]
) -> tuple[set[ColumnOf], set[int]]:
    """Return which columns, and rows of which occurrences, the values of some columns determine.

    Args:
        builder: of the query.
        scope: of the SELECT whose rows are meant.
        columns: the columns whose values are known.
    """
    known = set(columns)
    # Rows of the SELECTs around this one are fixed while it is evaluated.
    fixed = set(scope.rows_around())
    whole: set[int] = set()
    grown = True
    while grown:
        grown = False
        for draft in builder.drafts:
            if draft.number in whole:
                continue
            if draft.number in fixed or _identified(draft, known):
                whole.add(draft.number)
                known |= {ColumnOf(draft.number, column.name) for column in draft.relation.columns}
                grown = True
        for condition in builder.conditions:
            if condition.equality is None or condition.full:
                continue
            # What another sublink asks of its own rows need not be so here.
            if condition.sublinks != scope.sublinks[: len(condition.sublinks)]:
                continue
            for first, second in (condition.equality, condition.equality[::-1]):
                # A row extended with NULLs keeps its own columns, whatever the other side is.
                follows = builder.drafts[second.occurrence - 1].outer_joins
                if first in known and second not in known and condition.outer_joins <= follows:
                    known.add(second)
                    grown = True
    return known, whole


def _identified(draft: Draft, determined: set[ColumnOf]) -> bool:
    """Tell whether what is determined leaves one row of an occurrence.

    Of a computed relation, rows that are equal in all that they show may stand for each other.
    """
    keys = draft.relation.keys
    if draft.computed is not None:
        if draft.computed.opaque or not draft.computed.columns <= determined:
            return False
        if all(column.one_look for column in draft.relation.columns):
            keys = (*keys, tuple(column.name for column in draft.relation.columns))
    return any(all(ColumnOf(draft.number, name) in determined for name in key) for key in keys)


def _key(builder: Builder, item: Item) -> tuple[str, ...]:
    """The key of an occurrence in FROM, by the names under which the item shows it."""
    if item.rows is None or len(item.rows) != 1:
        return ()
    (number,) = item.rows
    shown = {column.base: column.name for column in item.columns}
    for key in builder.drafts[number - 1].relation.keys:
        columns = [ColumnOf(number, name) for name in key]
        if all(column in shown for column in columns):
            return tuple(shown[column] for column in columns)
    return ()


def _reference(alias: str, column: str) -> Node:
    from postgast import pg_query_pb2

    node = pg_query_pb2.Node()
    for name in (alias, column):
        node.column_ref.fields.add().string.sval = name
    return node


def _append(order: Node, node: Node) -> None:
    from postgast import pg_query_pb2

    sort = order.add().sort_by
    sort.sortby_dir = pg_query_pb2.SORTBY_DEFAULT
    sort.sortby_nulls = pg_query_pb2.SORTBY_NULLS_DEFAULT
    sort.node.CopyFrom(node)


def _calls(select: Node) -> list[Node]:
    nodes = [*select.target_list, *select.sort_clause, *select.distinct_clause]
    if select.HasField("having_clause"):
        nodes.append(select.having_clause)
    return [call for node in nodes for call in calls(node)]
