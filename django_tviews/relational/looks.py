"""Values that are equal though they look different: 1.0 and 1.00, the citexts Foo and foo.

GROUP BY, DISTINCT, UNION, INTERSECT and EXCEPT put equal values together and show one of them.
Which one is open, and so is what ``min`` returns when several rows have it. That makes no
difference as long as such an *open look* is only shown, stored and compared. What looks closer (a
cast to text, a function, arithmetic on intervals) would give a result that depends on the plan of
the query, so it is refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django_tviews.sqltypes import has_one_look, is_string, rounds_alike

from . import functions
from .constructs import refuse
from .ordering import determined
from .syntax import (
    Node,
    children,
    content,
    deparse_expression,
    kind,
    names,
    same,
    type_name,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .builder import Builder
    from .scope import BoundColumn, Scope
    from .tree import Output


class Looks:
    """Answers for the expressions of one query."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def open(self, node: Node, scope: Scope) -> bool:
        """Tell whether the look of an expression's value is open.

        Args:
            node: the expression, its subqueries bound.
            scope: what its columns mean.

        Raises:
            UnsupportedQuery: it looks closer at a value whose look is open.
        """
        return self._open(node, scope, scope.grouped_by)

    def refuse_open(self, node: Node, scope: Scope) -> None:
        """Refuse an expression, of which a function looks at the value, if its look is open."""
        if self.open(node, scope):
            self._refuse(node)

    def one_look(self, node: Node, scope: Scope) -> bool:
        """Tell whether values of an expression that are equal look the same, as far as is known.

        Args:
            node: the expression.
            scope: what its columns mean.
        """
        if kind(node) == "a_const":
            return True
        if kind(node) == "column_ref":
            return scope.resolve(node.column_ref).one_look
        type_sql = self._builder.types.of(node, scope)
        return has_one_look(type_sql) and (
            not is_string(type_sql) or self.deterministic(node, scope)
        )

    def deterministic(self, node: Node, scope: Scope) -> bool:
        """Tell whether a string is equal only to itself, by the collation that it is computed with.

        Args:
            node: what computes it.
            scope: what its columns mean.
        """
        if kind(node) == "sub_link":
            return False
        if kind(node) == "column_ref":
            column = scope.resolve(node.column_ref)
            is_one = column.one_look if is_string(column.type.removesuffix("[]")) else True
            return is_one and column.type != ""
        if kind(node) == "collate_clause":
            # Those of PostgreSQL itself are; one of the user's need not be.
            *schema, _ = names(node.collate_clause.collname)
            if schema not in ([], ["pg_catalog"]):
                return False
        return all(self.deterministic(part, scope) for part in _parts(content(node)))

    def merged(
        self, outputs: list[Output], groups: list[Node] | None, scope: Scope
    ) -> list[Output]:
        """Return the outputs of a SELECT DISTINCT, of whose equal values one is shown.

        Args:
            outputs: of the SELECT.
            groups: what DISTINCT ON puts together; None if all of the outputs.
            scope: what they are computed from.
        """
        if groups is None:
            keys = {output.expression.column for output in outputs}
        else:
            keys = {scope.resolve(g.column_ref).base for g in groups if kind(g) == "column_ref"}
        _, whole = determined(self._builder, scope, {each for each in keys if each is not None})
        return [
            replace(output, open_look=True)
            if (groups is None or not output.expression.opaque)
            and not output.one_look
            and not (
                output.expression.columns
                and all(column.occurrence in whole for column in output.expression.columns)
            )
            else output
            for output in outputs
        ]

    def _open(self, node: Node, scope: Scope, groups: list[Node] | None) -> bool:
        """As :meth:`open`; ``groups`` is what rows are grouped by, None before they are."""
        if groups is not None and kind(node) != "column_ref":
            for group in groups:
                if same(node, group):
                    return not self.one_look(node, scope)
        match kind(node):
            case "":
                return False
            case "column_ref":
                return self._of_column(node, scope, groups)
            case "sub_link":
                self._open(node.sub_link.testexpr, scope, groups)
                return node.sub_link.location in scope.open_sublinks
            case "a_expr":
                return self._of_operator(node, scope, groups)
            case "func_call":
                return self._of_function(node, scope, groups)
            case "type_cast":
                return self._of_cast(node, scope, groups)
            case "case_expr":
                return self._of_case(node.case_expr, scope, groups)
            case "null_test" | "bool_expr" | "boolean_test":
                self._any(_parts(content(node)), scope, groups)
                return False
            case _:
                # COALESCE, GREATEST, rows, arrays, ORDER BY: they hold values without a look.
                return self._any(_parts(content(node)), scope, groups)

    def _any(self, nodes: Iterable[Node], scope: Scope, groups: list[Node] | None) -> bool:
        """Ask about every one of several expressions, so that each may be refused."""
        answers = [self._open(node, scope, groups) for node in nodes]
        return any(answers)

    def _of_column(self, node: Node, scope: Scope, groups: list[Node] | None) -> bool:
        column = scope.resolve(node.column_ref)
        if column.open_look:
            return True
        in_group = groups is not None and not self.one_look(node, scope)
        return in_group and not self._determined(column, groups or [], scope)

    def _of_case(self, case: Node, scope: Scope, groups: list[Node] | None) -> bool:
        whens = [when.case_when for when in case.args]
        self._any((case.arg, *(when.expr for when in whens)), scope, groups)
        return self._any((*(when.result for when in whens), case.defresult), scope, groups)

    def _of_operator(self, node: Node, scope: Scope, groups: list[Node] | None) -> bool:
        from postgast import pg_query_pb2

        opened = self._any((node.a_expr.lexpr, node.a_expr.rexpr), scope, groups)
        likes = (pg_query_pb2.AEXPR_LIKE, pg_query_pb2.AEXPR_ILIKE, pg_query_pb2.AEXPR_SIMILAR)
        if node.a_expr.kind == pg_query_pb2.AEXPR_NULLIF:
            return opened
        compares = names(node.a_expr.name)[-1] in functions.COMPARISONS or node.a_expr.kind not in (
            pg_query_pb2.AEXPR_OP,
            pg_query_pb2.AEXPR_OP_ANY,
            pg_query_pb2.AEXPR_OP_ALL,
            *likes,
        )
        if opened and not compares:
            self._refuse(node)
        return False

    def _of_cast(self, node: Node, scope: Scope, groups: list[Node] | None) -> bool:
        opened = self._open(node.type_cast.arg, scope, groups)
        # Equal numbers, rounded to the same number of digits, look the same.
        if opened and not rounds_alike(type_name(node.type_cast.type_name)):
            self._refuse(node)
        return False

    def _of_function(self, node: Node, scope: Scope, groups: list[Node] | None) -> bool:
        call = node.func_call
        name = names(call.funcname)
        aggregate = self._builder.expressions.is_aggregate(name)
        inside = groups if call.HasField("over") or not aggregate else None
        arguments = list(call.args)
        opened = self._any(arguments, scope, inside)
        ordered = [item.sort_by.node for item in call.agg_order]
        self._any([*ordered, call.agg_filter], scope, inside)
        if call.HasField("over"):
            definition = call.over
            within = [item.sort_by.node for item in definition.order_clause]
            self._any([*within, *definition.partition_clause], scope, groups)
        if name[-1] == "count":
            return False
        if opened and name[-1] not in functions.RESPECTING_EQUALITY:
            self._refuse(node)
        picked = ordered if call.agg_within_group else arguments
        picks = name[-1] in functions.PICKING_AGGREGATES or call.agg_distinct
        return opened or (picks and not all(self.one_look(each, scope) for each in picked))

    def _determined(self, column: BoundColumn, groups: list[Node], scope: Scope) -> bool:
        """Tell whether all rows of a group show the column of one and the same row."""
        base = column.base
        if base is None:
            return False
        if scope.grouping is not None:
            groups = list(scope.grouping.sets[scope.grouping.taken])
        keys = {
            known
            for group in groups
            if kind(group) == "column_ref"
            and (known := scope.resolve(group.column_ref).base) is not None
        }
        _, whole = determined(self._builder, scope, keys)
        return base.occurrence in whole

    @staticmethod
    def _refuse(node: Node) -> None:
        refuse("open-look", deparse_expression(node))


def _parts(message: Node) -> Iterable[Node]:
    """Yield the expressions directly below a syntax node."""
    for child in children(message):
        if wrapped(child):
            yield child
        elif child.DESCRIPTOR.name not in ("TypeName", "SelectStmt"):
            yield from _parts(child)
