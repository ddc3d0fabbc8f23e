"""What a query demands of its rows: the conjuncts of WHERE and ON, and subqueries in them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django_tviews.sqltypes import has_equality

from .constructs import refuse
from .scope import Scope
from .syntax import Node, content, kind, names, position
from .tree import Condition, Expression

if TYPE_CHECKING:
    from .builder import Builder
    from .scope import BoundColumn
    from .tree import Output


class Predicates:
    """Binds the conditions of one query."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def conjuncts(self, node: Node, scope: Scope, *, prove: bool) -> None:
        """Add the conjuncts of a predicate that the rows of this scope must satisfy."""
        from postgast import pg_query_pb2

        if kind(node) == "bool_expr" and node.bool_expr.boolop == pg_query_pb2.AND_EXPR:
            for argument in node.bool_expr.args:
                self.conjuncts(argument, scope, prove=prove)
            return
        if kind(node) == "sub_link":
            self.sublink(node.sub_link, scope, filtering=True)
            return
        if _is_operator(node, "=") and _are_rows(node.a_expr.lexpr, node.a_expr.rexpr):
            for argument in _equalities(node.a_expr):
                self.conjuncts(argument, scope, prove=prove)
            return
        expression = self._builder.expressions.bind(node, scope)
        first, second = self._equated(node, scope)
        equated = (first.expression, second.expression) if first and second else None
        self.condition(expression, equated, scope, scope.outer_joins)
        if prove:
            self._prove(node, scope)

    def condition(
        self,
        expression: Expression,
        equated: tuple[Expression, Expression] | None,
        scope: Scope,
        outer_joins: frozenset[int],
    ) -> None:
        """Add a condition, if it can be evaluated on single rows.

        Args:
            expression: the predicate.
            equated: what it demands the equality of.
            scope: of the SELECT that it is a conjunct of.
            outer_joins: those whose nullable side it belongs to.
        """
        if expression.opaque:
            return
        equality = None
        if equated is not None:
            left, right = equated[0].column, equated[1].column
            if left is not None and right is not None:
                equality = (left, right)
        condition = Condition(
            expression.parenthesised(),
            equality,
            scope.sublinks,
            outer_joins - scope.full,
            scope.full,
        )
        self._builder.conditions.append(condition)
        for number, tie in self._builder.computed.ties_without(expression):
            self._builder.conditions.append(
                replace(condition, expression=tie, equality=None, instead_of=number)
            )

    def _equated(self, node: Node, scope: Scope) -> tuple[BoundColumn | None, BoundColumn | None]:
        """The two columns of ``a = b``; PostgreSQL's own ``=`` and that of an extension alike."""
        if not _is_operator(node, "="):
            return None, None
        columns = self._builder.expressions.compared_column
        return columns(node.a_expr.lexpr, scope), columns(node.a_expr.rexpr, scope)

    def _prove(self, node: Node, scope: Scope) -> None:
        from postgast import pg_query_pb2

        proven: list[Node] = []
        if kind(node) == "null_test":
            if node.null_test.nulltesttype == pg_query_pb2.IS_NOT_NULL:
                proven = [node.null_test.arg]
        elif _is_operator(node, "=", "<>", "<", ">", "<=", ">="):
            proven = [node.a_expr.lexpr, node.a_expr.rexpr]
        columns = [self._builder.expressions.compared_column(each, scope) for each in proven]
        scope.proven.extend(column for column in columns if column is not None)

    def sublink(self, sublink: Node, scope: Scope, *, filtering: bool) -> None:
        """Bind a subquery in an expression.

        Args:
            sublink: the ``SubLink`` node.
            scope: of the SELECT it stands in.
            filtering: it stands where only TRUE lets a row pass, so that IN demands a match.
        """
        from postgast import pg_query_pb2

        inner = Scope(
            outer=scope,
            ctes=scope.ctes,
            sublinks=self._builder.inside(scope),
            outer_joins=scope.outer_joins,
            order_matters=sublink.sub_link_type != pg_query_pb2.EXISTS_SUBLINK,
            rows_in_order=sublink.sub_link_type == pg_query_pb2.ARRAY_SUBLINK,
        )
        before = len(self._builder.drafts)
        outputs = self._builder.selects.bind(content(sublink.subselect), inner).outputs
        own = range(before, len(self._builder.drafts))
        if any(output.open_look for output in outputs):
            scope.open_sublinks.add(sublink.location)
        match sublink.sub_link_type:
            case (
                pg_query_pb2.EXPR_SUBLINK | pg_query_pb2.EXISTS_SUBLINK | pg_query_pb2.ARRAY_SUBLINK
            ):
                return
            case pg_query_pb2.ANY_SUBLINK | pg_query_pb2.ALL_SUBLINK:
                self._quantified(sublink, outputs, own, scope, inner, filtering=filtering)
            case _:
                refuse("unknown-syntax", "this kind of subquery", position=position(sublink))

    def _quantified(
        self,
        sublink: Node,
        outputs: list[Output],
        own: range,
        scope: Scope,
        inner: Scope,
        *,
        filtering: bool,
    ) -> None:
        """Add what ties a row of the subquery of IN, ANY or ALL to the rows around it.

        ANY is an OR over the rows of the subquery: a row for which the comparison is FALSE has no
        part in it. ALL is an AND, in which one that is TRUE has no part. Where ANY filters, only
        TRUE makes a difference.
        """
        from postgast import pg_query_pb2

        expressions = self._builder.expressions
        tests = _members(sublink.testexpr)
        pairs = [
            (expressions.bind(test, scope), output.expression)
            for test, output in zip(tests, outputs, strict=True)
        ]
        nullable = [
            side
            for test, output, pair in zip(tests, outputs, pairs, strict=True)
            for side, may_be in (
                (pair[0], self._builder.nullability.of(test, scope, False)),
                (pair[1], output.nullable),
            )
            if may_be
        ]
        operator = names(sublink.oper_name)
        if not operator:
            tested = [expressions.column(test, scope) for test in tests]
            expressions.refuse_foreign_equality("IN", tested, position(sublink))
            operator = ("pg_catalog", "=")
        every = sublink.sub_link_type == pg_query_pb2.ALL_SUBLINK
        equal = (*operator[:-1], "=")
        if operator[-1] == "=" and not every:
            if filtering or not nullable:
                for pair in pairs:
                    self._ties([pair], equal, inner, scope)
            else:
                self._ties_or_null(pairs, nullable, equal, own, inner, scope)
        elif (
            operator[-1] == "<>"
            and every
            and self._is_negation(operator)
            and all(
                self._can_be_equal(test, output, scope)
                for test, output in zip(tests, outputs, strict=True)
            )
        ):
            self._ties_or_null(pairs, nullable, equal, own, inner, scope)
        else:
            compared = self._compared(pairs, operator)
            if every or (nullable and not filtering):
                parts = ("(", *compared.parts, f") IS NOT {'TRUE' if every else 'FALSE'}")
                compared = Expression(parts, compared.opaque)
            self.condition(compared, None, inner, scope.outer_joins)

    def _is_negation(self, operator: tuple[str, ...]) -> bool:
        """Tell whether ``<>`` is the negation of the ``=`` beside it."""
        schemas = {"pg_catalog", *self._builder.facts.equality_schemas.values()}
        return len(operator) == 1 or operator[0] in schemas

    def _can_be_equal(self, test: Node, output: Output, scope: Scope) -> bool:
        """Tell whether an ``=`` stands beside the ``<>`` of two values; points have none."""
        types = {self._builder.types.of(test, scope), output.type}
        return any(
            has_equality(each) or each in self._builder.facts.equality_schemas for each in types
        )

    def _compared(self, pairs: list[_Pair], operator: tuple[str, ...]) -> Expression:
        tested, found = ([pair[side] for pair in pairs] for side in (0, 1))
        return self._builder.expressions.compared(operator, tested, found)

    def _ties(
        self, pairs: list[_Pair], operator: tuple[str, ...], inner: Scope, scope: Scope
    ) -> None:
        equated = pairs[0] if len(pairs) == 1 else None
        self.condition(self._compared(pairs, operator), equated, inner, scope.outer_joins)

    def _ties_or_null(
        self,
        pairs: list[_Pair],
        nullable: list[Expression],
        operator: tuple[str, ...],
        own: range,
        inner: Scope,
        scope: Scope,
    ) -> None:
        """Tie equal rows, and, each in an alternative, those where one side is NULL.

        A comparison with NULL is neither TRUE nor FALSE, so such a row has a part everywhere.
        """
        taken = self._builder.branches.choose(1 + len(nullable))
        if taken == 0:
            self._ties(pairs, operator, inner, scope)
            return
        self._builder.leave_out_all_but(own)
        self._builder.far_reaching = True
        side = nullable[taken - 1]
        unknown = Expression((*side.parenthesised().parts, " IS NULL"), side.opaque)
        self.condition(unknown, None, inner, scope.outer_joins)


# What a quantified comparison compares: a value of the rows around, and one of the subquery.
_Pair = tuple[Expression, Expression]


def _members(node: Node) -> list[Node]:
    """The values of a row, or the one value."""
    return list(node.row_expr.args) if kind(node) == "row_expr" else [node]


def _are_rows(*nodes: Node) -> bool:
    return all(kind(node) == "row_expr" for node in nodes)


def _equalities(comparison: Node) -> list[Node]:
    """Write ``ROW(a, b) = ROW(c, d)`` as one comparison for each pair."""
    found = []
    pairs = zip(comparison.lexpr.row_expr.args, comparison.rexpr.row_expr.args, strict=True)
    for left, right in pairs:
        node = comparison.lexpr.__class__()
        node.a_expr.CopyFrom(comparison)
        node.a_expr.lexpr.CopyFrom(left)
        node.a_expr.rexpr.CopyFrom(right)
        found.append(node)
    return found


def _is_operator(node: Node, *operators: str) -> bool:
    """Tell whether an expression is one of the operators, of whatever schema, applied to two."""
    from postgast import pg_query_pb2

    return (
        kind(node) == "a_expr"
        and node.a_expr.kind == pg_query_pb2.AEXPR_OP
        and names(node.a_expr.name)[-1] in operators
    )
