"""Groups that show nothing but their key and totals of their rows.

A *total* follows from what it was before and from the rows that have come and gone: a count, a
sum, and, as long as the extreme stays, a minimum or a maximum. So a query like

    SELECT author_id, count(*), sum(pages) FROM book WHERE printed GROUP BY author_id

need not be evaluated again when a book is added. Whether the types allow it, is for
`django_tviews.plan.folds` to say; here is only what the text says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_tviews.facts import RelationKind

from .canonical import output_name
from .grouping import has_grouping_sets
from .syntax import Node, kind, names, same
from .tree import Expression, Groups, Total

if TYPE_CHECKING:
    from .builder import Builder
    from .scope import Scope

_TOTALS = frozenset({"count", "max", "min", "sum"})


class Totals:
    """Looks for totals in one query."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def of(self, select: Node, scope: Scope) -> Groups | None:
        """Return the groups that the outermost SELECT consists of.

        Args:
            select: the SELECT, bound already.
            scope: what its columns mean.

        Returns:
            None if it is anything but groups of the rows of one table.
        """
        grouped_by = scope.grouped_by
        if grouped_by is None or not self._is_plain(select):
            return None
        # Arguments and filters are about the rows that are grouped.
        scope.grouped_by = None
        try:
            return self._groups(select, grouped_by, scope)
        finally:
            scope.grouped_by = grouped_by

    def _is_plain(self, select: Node) -> bool:
        if len(select.from_clause) != 1 or kind(select.from_clause[0]) != "range_var":
            return False
        node = select.from_clause[0].range_var
        relation = self._builder.facts.relations.get((node.schemaname or None, node.relname))
        return (
            relation is not None
            and relation.kind is RelationKind.TABLE
            # Triggers show rows of children, too, and not all of them.
            and relation.targets == (relation,)
            and len(self._builder.drafts) == 1
            and not has_grouping_sets(select.group_clause)
            and not (select.distinct_clause or select.window_clause)
            and not any(
                select.HasField(clause)
                for clause in ("having_clause", "with_clause", "limit_count", "limit_offset")
            )
        )

    def _groups(self, select: Node, grouped_by: list[Node], scope: Scope) -> Groups | None:
        condition = None
        if select.HasField("where_clause"):
            condition = self._builder.expressions.bind(select.where_clause, scope)
            if condition.opaque:
                return None
        keys: list[str] = []
        shown: list[Node] = []
        totals: list[Total] = []
        for target in select.target_list:
            name, value = output_name(target.res_target), target.res_target.val
            if name is None:
                return None
            if any(same(value, node) for node in grouped_by):
                keys.append(name)
                shown.append(value)
                continue
            total = self._total(name, value, scope)
            if total is not None:
                totals.append(total)
            elif not grouped_by and self._is_constant(value, scope):
                keys.append(name)
            else:
                return None
        if not all(any(same(node, value) for value in shown) for node in grouped_by):
            return None
        return Groups(frozenset(keys), tuple(totals), condition, one=not grouped_by)

    def _is_constant(self, node: Node, scope: Scope) -> bool:
        expression = self._builder.expressions.bind(node, scope)
        return not (expression.opaque or expression.columns or expression.presences)

    def _total(self, name: str, value: Node, scope: Scope) -> Total | None:
        or_zero = _or_zero(value)
        call = value if or_zero is None else or_zero
        if kind(call) != "func_call":
            return None
        node = call.func_call
        *schema, function = names(node.funcname)
        if schema not in ([], ["pg_catalog"]) or function not in _TOTALS:
            return None
        if node.agg_distinct or node.agg_order or node.HasField("over") or node.func_variadic:
            return None
        if or_zero is not None and function != "sum":
            return None
        argument: Expression | None = None
        if not node.agg_star:
            if len(node.args) != 1:
                return None
            argument = self._builder.expressions.bind(node.args[0], scope)
        condition: Expression | None = None
        if node.HasField("agg_filter"):
            condition = self._builder.expressions.bind(node.agg_filter, scope)
        if any(part is not None and part.opaque for part in (argument, condition)):
            return None
        return Total(name, function, argument, condition, or_zero is not None)


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
        written == "sval" and zero.a_const.sval.sval == "0"
    )
    return value if is_zero else None
