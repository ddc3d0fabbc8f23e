"""Results that depend on the order of rows: total orders only.

``array_agg(name)``, ``ARRAY(SELECT ...)`` and ``LIMIT`` give another result when the rows come
in another order, so a query may use them only with an ORDER BY that leaves no two rows tied
unless they are interchangeable. An order is total when it *determines* every relation in FROM:
starting from the columns ordered by, a relation whose key is determined has all its columns
determined, and an equality carries that over to the other side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import functions
from .constructs import refuse
from .syntax import Node, children, kind, names, position, same, wrapped
from .tree import ColumnOf

if TYPE_CHECKING:
    from .builder import Builder
    from .scope import Item, Scope


def settle_order(builder: Builder, select: Node, scope: Scope) -> None:
    """Refuse what an open order leaves open, or, when completing, close it in place."""
    for call in _aggregate_calls(select):
        plain = names(call.funcname)[-1]
        if plain not in functions.ORDER_SENSITIVE_AGGREGATES or call.agg_distinct:
            continue
        _settle(builder, scope, call.agg_order, list(call.args), f"{plain}()", position(call))
    limited = kind(select.limit_count) or kind(select.limit_offset)
    distinct_on = any(kind(node) for node in select.distinct_clause)
    if scope.rows_in_order or (scope.order_matters and (limited or distinct_on)):
        what = "LIMIT" if limited else "DISTINCT ON" if distinct_on else "ARRAY(SELECT ...)"
        targets = [target.res_target.val for target in select.target_list]
        _settle(builder, scope, select.sort_clause, targets, what, position(select), select)


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


def _settle(
    builder: Builder,
    scope: Scope,
    order: Node,
    values: list[Node],
    what: str,
    where: int | None,
    select: Node | None = None,
) -> None:
    ordered = [named_expression(item.sort_by.node, select) for item in order]
    values = [value for value in values if not _is_constant(value)]
    if values and all(
        any(same(value, item) for item in ordered) and _has_one_look(scope, value)
        for value in values
    ):
        return
    columns = {
        column
        for item in ordered
        if kind(item) == "column_ref"
        and (column := scope.resolve(item.column_ref).base) is not None
    }
    open_items = _undetermined(builder, scope, columns)
    if not open_items:
        return
    if not builder.completing or any(not _key(builder, item) for item in open_items):
        refuse("open-order", what, position=where)
    # An aggregated DISTINCT row has no place to order by but its outputs.
    if select is not None and select.distinct_clause:
        refuse("open-order", what, position=where)
    for item in open_items:
        for name in _key(builder, item):
            _append(order, item.alias, name)


def _has_one_look(scope: Scope, value: Node) -> bool:
    """Tell whether values that sort as equal may stand for each other.

    The citexts Foo and foo may not, nor the numerics 1.0 and 1.00.
    """
    if kind(value) != "column_ref":
        return True
    facts = scope.resolve(value.column_ref).facts
    return facts is None or facts.one_look


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


def _undetermined(builder: Builder, scope: Scope, columns: set[ColumnOf]) -> list[Item]:
    """The FROM items of this SELECT that the given columns do not determine."""
    determined = set(columns)
    # Rows of the SELECTs around this one are fixed while it is evaluated.
    fixed = set(scope.rows_around())
    whole: set[int] = set()
    grown = True
    while grown:
        grown = False
        for draft in builder.drafts:
            if draft.number in whole:
                continue
            if draft.number in fixed or any(
                all(ColumnOf(draft.number, name) in determined for name in key)
                for key in draft.relation.keys
            ):
                whole.add(draft.number)
                determined |= {
                    ColumnOf(draft.number, column.name) for column in draft.relation.columns
                }
                grown = True
        for condition in builder.conditions:
            if condition.equality is None or condition.full:
                continue
            # What another sublink asks of its own rows need not be so here.
            if condition.sublinks != scope.sublinks[: len(condition.sublinks)]:
                continue
            for known, equal in (condition.equality, condition.equality[::-1]):
                # A row extended with NULLs keeps its own columns, whatever the other side is.
                follows = builder.drafts[equal.occurrence - 1].outer_joins
                if (
                    known in determined
                    and equal not in determined
                    and condition.outer_joins <= follows
                ):
                    determined.add(equal)
                    grown = True
    return [item for item in scope.items if item.rows is None or not item.rows <= whole]


def _key(builder: Builder, item: Item) -> tuple[str, ...]:
    """The key of a base relation in FROM that shows it under its own name."""
    if item.rows is None or len(item.rows) != 1:
        return ()
    (number,) = item.rows
    for key in builder.drafts[number - 1].relation.keys:
        shown = [item.column(name) for name in key]
        if all(
            column is not None and column.base == ColumnOf(number, name)
            for column, name in zip(shown, key, strict=True)
        ):
            return key
    return ()


def _append(order: Node, alias: str, column: str) -> None:
    from postgast import pg_query_pb2

    sort = order.add().sort_by
    sort.sortby_dir = pg_query_pb2.SORTBY_DEFAULT
    sort.sortby_nulls = pg_query_pb2.SORTBY_NULLS_DEFAULT
    for name in (alias, column):
        sort.node.column_ref.fields.add().string.sval = name


def _aggregate_calls(select: Node) -> list[Node]:
    found: list[Node] = []
    for clause in (select.target_list, select.sort_clause):
        for node in clause:
            _collect_calls(node, found)
    if select.HasField("having_clause"):
        _collect_calls(select.having_clause, found)
    return found


def _collect_calls(node: Node, found: list[Node]) -> None:
    if wrapped(node):
        if kind(node) == "sub_link":
            return
        if kind(node) == "func_call":
            found.append(node.func_call)
    for child in children(node):
        _collect_calls(child, found)
