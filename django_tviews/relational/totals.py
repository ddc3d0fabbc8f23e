"""Groups that show nothing but totals of their rows, and what is the same in all of these.

A *total* follows from what it was before and from the rows that have come and gone: a count, a
sum, and, as long as the extreme stays, a minimum or a maximum. So queries like these

    SELECT author_id, count(*), sum(pages) FROM book WHERE printed GROUP BY author_id
    SELECT author.country_id, count(*) FROM book JOIN author ON … GROUP BY author.country_id

need not be evaluated again when a book is added. Whether the types allow it, and which changes,
is for `django_tviews.plan.folds` to say; here is only what the text says.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from django_tviews.facts import RelationKind
from django_tviews.sqltypes import is_integer

from .canonical import output_name
from .decimals import DecimalsOf
from .grouping import has_grouping_sets
from .syntax import Node, kind, names, type_name
from .tree import Expression, Groups, Join, Total

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .builder import Builder
    from .scope import Item, Scope

_TOTALS = frozenset({"avg", "bool_and", "bool_or", "count", "every", "max", "min", "sum"})

_ZERO = re.compile(r"0(?:\.0*)?")


class Totals:
    """Looks for totals in one query."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._decimals = DecimalsOf(builder)

    def of(self, select: Node, scope: Scope) -> Groups | None:
        """Return the groups that the outermost SELECT consists of.

        Args:
            select: the SELECT, bound already.
            scope: what its columns mean.

        Returns:
            None if it is anything but groups of rows of tables.
        """
        grouped_by = scope.grouped_by
        # Functions in the select list give rows that no table has.
        if grouped_by is None or scope.unnested or not self._is_plain(select):
            return None
        # Arguments and filters are about the rows that are grouped.
        scope.grouped_by = None
        try:
            return self._groups(select, grouped_by, scope)
        finally:
            scope.grouped_by = grouped_by

    @staticmethod
    def _is_plain(select: Node) -> bool:
        return not (
            has_grouping_sets(select.group_clause)
            or select.distinct_clause
            or select.window_clause
            or any(
                select.HasField(clause)
                for clause in ("having_clause", "with_clause", "limit_count", "limit_offset")
            )
        )

    def _groups(self, select: Node, grouped_by: list[Node], scope: Scope) -> Groups | None:
        rows = self._rows(select, scope)
        if rows is None:
            return None
        conditions = [select.where_clause] if select.HasField("where_clause") else []
        filters = self._bound(conditions, scope)
        expressions = self._bound(grouped_by, scope)
        if filters is None or expressions is None:
            return None
        totals: list[Total] = []
        for target in select.target_list:
            name, value = output_name(target.res_target), target.res_target.val
            total = self._total(name, value, scope) if name is not None else None
            if total is not None:
                totals.append(total)
            elif name is None or self._builder.expressions.contains_aggregate(value):
                return None
        return Groups(
            rows,
            expressions,
            tuple(totals),
            filters[0] if filters else None,
            one=not grouped_by,
            needed=self._needed(conditions, scope),
        )

    def _bound(self, nodes: list[Node], scope: Scope) -> tuple[Expression, ...] | None:
        """Bind expressions; None if there is one that single rows do not tell."""
        bound = tuple(self._builder.expressions.bind(node, scope) for node in nodes)
        return None if any(each.opaque for each in bound) else bound

    def _needed(self, conditions: list[Node], scope: Scope) -> frozenset[int]:
        strictness = self._builder.strictness
        return frozenset().union(*(strictness.of_condition(each, scope) for each in conditions))

    def _rows(self, select: Node, scope: Scope) -> int | Join | None:
        """What a FROM clause of tables gives; None if anything else stands in the query."""
        # Whatever is read by a subquery, or by a function, is a draft more.
        if len(self._builder.drafts) != len(scope.items):
            return None
        joined: int | Join | None = None
        left = iter(scope.items)
        for node in select.from_clause:
            found = self._joined(node, left, scope)
            if found is None:
                return None
            joined = found[0] if joined is None else Join(joined, found[0], "JOIN", None)
        return joined

    def _joined(
        self, node: Node, left: Iterator[Item], scope: Scope
    ) -> tuple[int | Join, list[Item]] | None:
        """What a FROM item gives, and the items that its conditions can name.

        Args:
            node: the item.
            left: the items that have not been met yet.
            scope: what the columns of the SELECT mean.
        """
        if kind(node) == "join_expr":
            return self._join(node.join_expr, left, scope)
        item = next(left, None)
        if item is None or kind(node) != "range_var" or not item.rows or len(item.rows) != 1:
            return None
        (number,) = item.rows
        table = node.range_var
        relation = self._builder.facts.relations[table.schemaname or None, table.relname]
        # A helper view may leave out rows of what it reads, and so does ONLY.
        if relation.kind is RelationKind.VIEW or (relation.descendants and not table.inh):
            return None
        return number, [item]

    def _join(
        self, join: Node, left: Iterator[Item], scope: Scope
    ) -> tuple[Join, list[Item]] | None:
        from postgast import pg_query_pb2

        if join.is_natural or join.using_clause:
            return None
        sides = [self._joined(side, left, scope) for side in (join.larg, join.rarg)]
        if sides[0] is None or sides[1] is None:
            return None
        items = [*sides[0][1], *sides[1][1]]
        inner = replace(scope, items=items)
        conditions = [join.quals] if kind(join.quals) else []
        bound = self._bound(conditions, inner)
        if bound is None:
            return None
        condition = bound[0] if bound else None
        keyword = {
            pg_query_pb2.JOIN_LEFT: "LEFT JOIN",
            pg_query_pb2.JOIN_RIGHT: "RIGHT JOIN",
            pg_query_pb2.JOIN_FULL: "FULL JOIN",
        }.get(join.jointype, "JOIN")
        needed = self._needed(conditions, inner)
        return Join(sides[0][0], sides[1][0], keyword, condition, needed), items

    def _total(self, name: str, value: Node, scope: Scope) -> Total | None:
        node, or_zero, cast = _aggregate(value)
        if node is None:
            return None
        *schema, function = names(node.funcname)
        if schema not in ([], ["pg_catalog"]) or function not in _TOTALS:
            return None
        if node.agg_distinct or node.agg_order or node.HasField("over") or node.func_variadic:
            return None
        if or_zero and function != "sum":
            return None
        if len(node.args) > 1:
            return None
        filters = [node.agg_filter] if node.HasField("agg_filter") else []
        bound = self._bound([*node.args, *filters], scope)
        if bound is None:
            return None
        condition = bound[-1] if filters else None
        needed = self._needed(filters, scope)
        if node.agg_star:
            return None if cast else Total(name, function, None, condition, needed=needed)
        # What is summed exactly, the cast shows exactly, or refuses.
        if cast and not (
            function == "sum" and is_integer(self._builder.types.of(node.args[0], scope))
        ):
            return None
        return Total(
            name,
            function,
            bound[0],
            condition,
            or_zero,
            self._builder.types.of(node.args[0], scope),
            self._decimals.value(node.args[0], scope),
            self._builder.nullability.of(node.args[0], scope, False),
            cast,
            needed | self._builder.strictness.of_value(node.args[0], scope),
        )


def call_of(value: Node) -> Node | None:
    """Return the call of an aggregate that an output column shows, or shows unless it is NULL.

    Args:
        value: what the column shows.
    """
    return _aggregate(value)[0]


def _aggregate(value: Node) -> tuple[Node | None, bool, bool]:
    """Return the call that an output column shows, if it has a zero instead of NULL, and a cast."""
    or_zero = _or_zero(value)
    call, cast = _uncast(value if or_zero is None else or_zero)
    if or_zero is None and cast:
        or_zero = _or_zero(call)
        call = call if or_zero is None else or_zero
    node = call.func_call if kind(call) == "func_call" else None
    return node, or_zero is not None, cast


def _uncast(node: Node) -> tuple[Node, bool]:
    """Return what stands in a cast to ``bigint``, which a sum of these does not have by itself."""
    if kind(node) != "type_cast" or type_name(node.type_cast.type_name) != "bigint":
        return node, False
    return node.type_cast.arg, True


def _or_zero(node: Node) -> Node | None:
    """Return what stands before the zero in ``COALESCE(…, 0)``."""
    if kind(node) != "coalesce_expr":
        return None
    value, *others = node.coalesce_expr.args
    if len(others) != 1:
        return None
    (zero,) = others
    while kind(zero) == "type_cast":
        zero = zero.type_cast.arg
    if kind(zero) != "a_const" or zero.a_const.isnull:
        return None
    written = zero.a_const.WhichOneof("val")
    is_zero = (written == "ival" and zero.a_const.ival.ival == 0) or (
        written in ("fval", "sval")
        and _ZERO.fullmatch(getattr(getattr(zero.a_const, written), written)) is not None
    )
    return value if is_zero else None
