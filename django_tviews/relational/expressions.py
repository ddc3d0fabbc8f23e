"""Binding expressions: every column to its occurrence, every node known or refused."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING

from django_tviews.facts import Volatility
from django_tviews.sqltypes import is_varchar
from django_tviews.text import words

from . import functions
from .constructs import refuse, refuse_function
from .syntax import (
    Node,
    children,
    deparse_expression,
    kind,
    names,
    position,
    type_name,
    wrapped,
)
from .tree import ColumnOf, Expression, Presence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .builder import Builder
    from .scope import BoundColumn, Scope

# A control character cannot come from a query: the parser would have refused it.
_PLACEHOLDER = re.compile('"\x01(\\d+)"')

# Expression nodes that are nothing but their children.
_TRANSPARENT = words(
    """
    a_array_expr a_const a_indices a_indirection a_star bit_string bool_expr boolean
    boolean_test case_expr case_when coalesce_expr collate_clause float integer list
    min_max_expr named_arg_expr null_test row_expr sort_by string type_cast
    """
)


class Expressions:
    """Binds the expressions of one query."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def bind(self, node: Node, scope: Scope) -> Expression:
        """Bind an expression: every column to its occurrence, every node known."""
        bound = copy.deepcopy(node)
        references: list[Expression] = []
        opaque = self._walk(bound, scope, references)
        if self._builder.completing:
            # What was added belongs to the query, not to the copy.
            for completed, sublink in zip(_sublinks(bound), _sublinks(node), strict=True):
                sublink.CopyFrom(completed)
        self._builder.looks.open(node, scope)
        text = deparse_expression(bound) if kind(bound) != "sort_by" else ""
        return self._filled(text, references, opaque)

    def bind_call(self, call: Node, scope: Scope) -> Expression:
        """Bind a call that gives rows; its arguments are values."""
        from postgast import pg_query_pb2

        opaque = self._function(call)
        bound = pg_query_pb2.Node()
        bound.func_call.CopyFrom(call)
        references: list[Expression] = []
        for child in children(bound.func_call):
            opaque = self._walk(child, scope, references) or opaque
        return self._filled(deparse_expression(bound), references, opaque)

    def compared(
        self, operator: tuple[str, ...], left: list[Expression], right: list[Expression]
    ) -> Expression:
        """Return the comparison of two values, or of two rows of several.

        Args:
            operator: its name, perhaps with its schema.
            left: what stands on its left.
            right: what stands on its right.
        """
        from postgast import pg_query_pb2

        comparison = pg_query_pb2.Node()
        comparison.a_expr.kind = pg_query_pb2.AEXPR_OP
        for part in operator:
            comparison.a_expr.name.add().string.sval = part
        references = [*left, *right]
        places = range(len(references))
        for node, half in (
            (comparison.a_expr.lexpr, places[: len(left)]),
            (comparison.a_expr.rexpr, places[len(left) :]),
        ):
            if len(half) > 1:
                node.row_expr.row_format = pg_query_pb2.COERCE_EXPLICIT_CALL
            for place in half:
                value = node.row_expr.args.add() if len(half) > 1 else node
                self._replace_by_placeholder(value, place)
        return self._filled(deparse_expression(comparison), references, "")

    @staticmethod
    def _filled(text: str, references: list[Expression], opaque: str) -> Expression:
        """Put what they stand for in the place of placeholders."""
        parts: list[str | ColumnOf | Presence] = []
        for place, piece in enumerate(_PLACEHOLDER.split(text)):
            if place % 2 == 0:
                parts.append(piece)
            else:
                inner = references[int(piece)]
                opaque = opaque or inner.opaque
                parts.extend(inner.parenthesised().parts)
        return Expression(tuple(part for part in parts if part != ""), opaque)

    def _walk(self, node: Node, scope: Scope, references: list[Expression] | None) -> str:
        """Check and bind everything below a node, in place; return what makes it opaque.

        Columns are replaced by placeholders that stand for ``references``.
        """
        opaque = ""
        if wrapped(node):
            constant = self._in_grouping_set(node, scope)
            if constant is not None:
                if references is not None:
                    self._replace_by_placeholder(node, len(references))
                    references.append(constant)
                return constant.opaque
            match kind(node):
                case "column_ref":
                    column = scope.resolve(node.column_ref)
                    self._builder.note_read(column.expression)
                    if references is not None:
                        self._replace_by_placeholder(node, len(references))
                        references.append(column.expression)
                    return column.expression.opaque
                case "sub_link":
                    self._builder.predicates.sublink(node.sub_link, scope, filtering=False)
                    return "a subquery"
                case "func_call":
                    unnested = scope.unnested_column(node.func_call)
                    if unnested is not None:
                        if references is not None:
                            self._replace_by_placeholder(node, len(references))
                            references.append(unnested.expression)
                        return unnested.expression.opaque
                    self._refuse_rows(node.func_call)
                    self._refuse_outer_aggregate(node.func_call, scope)
                    opaque = self._function(node.func_call)
                case _:
                    self._check(node, scope)
        for child in children(node):
            if child.DESCRIPTOR.name != "TypeName":
                opaque = self._walk(child, scope, references) or opaque
        return opaque

    def _in_grouping_set(self, node: Node, scope: Scope) -> Expression | None:
        """Return what an expression is where a grouping set makes it a constant."""
        if kind(node) == "grouping_func":
            level = scope.grouping.level(node.grouping_func.args, scope) if scope.grouping else 0
            return Expression((str(level),))
        if scope.grouping is None or kind(node) == "" or not scope.grouping.lacks(node, scope):
            return None
        scope.grouping, grouping = None, scope.grouping
        value = self.bind(node, scope)
        scope.grouping = grouping
        nothing = self.nothing_of(value)
        if nothing is None:
            return Expression((), "a grouping by what has no known type")
        return Expression(nothing)

    def nothing_of(self, expression: Expression) -> tuple[str, ...] | None:
        """Write a NULL of the expression's type without reading any row, if the type is known."""
        if expression.opaque:
            return None
        parts: list[str] = []
        for part in expression.parts:
            if isinstance(part, ColumnOf):
                type_sql = self._builder.facts_of(part).type
                if not type_sql:
                    return None
                # In parentheses, since the column may be subscripted.
                parts.append(f"(CAST(NULL AS {type_sql}))")
            else:
                parts.append("true" if isinstance(part, Presence) else part)
        return ("CASE WHEN false THEN ", *parts, " END")

    def _check(self, node: Node, scope: Scope) -> None:
        """Refuse a node that is not known, or that compares without naming its operator."""
        match kind(node):
            case "a_expr":
                self._operator(node.a_expr, scope)
            case "sqlvalue_function":
                what = deparse_expression(node).upper()
                refuse("time-dependent", what, position=position(node))
            case "case_expr" if kind(node.case_expr.arg):
                column = self.column(node.case_expr.arg, scope)
                self.refuse_foreign_equality("CASE x WHEN", (column,), position(node))
            case other if other and other not in _TRANSPARENT:
                refuse("unknown-syntax", other.replace("_", " "), position=position(node))

    @staticmethod
    def _replace_by_placeholder(node: Node, number: int) -> None:
        del node.column_ref.fields[:]
        node.column_ref.fields.add().string.sval = f"\x01{number}"

    def _function(self, call: Node) -> str:
        """Refuse what may not be called; return what the call makes of the expression."""
        name = names(call.funcname)
        schema, plain = name[-2] if len(name) > 1 else None, name[-1]
        where = position(call)
        if schema in (None, "pg_catalog"):
            if plain in functions.TIME_DEPENDENT:
                refuse("time-dependent", f"{plain}()", position=where)
            if plain in functions.VOLATILE:
                refuse("volatile-function", f"{plain}()", position=where)
            if len(call.args) < functions.LEAST_ARGUMENTS.get(plain, 0):
                refuse("default-argument", f"{plain}()", position=where)
        volatility = self._builder.facts.functions.get((schema, plain), Volatility.IMMUTABLE)
        if not functions.may_be_called(schema, plain, volatility):
            refuse_function(plain, volatility, position=where)
        if call.HasField("over"):
            return "a window function"
        return "an aggregate" if self.is_aggregate(name) else ""

    def _refuse_rows(self, call: Node) -> None:
        """Refuse a function that gives rows where one value is wanted."""
        name = names(call.funcname)
        if self._builder.computed.gives_rows(call):
            refuse("set-returning-function", f"{name[-1]}()", position=position(call))

    def _refuse_outer_aggregate(self, call: Node, scope: Scope) -> None:
        """Refuse an aggregate of the rows of a query around the subquery that it stands in."""
        if call.HasField("over") or not self.is_aggregate(names(call.funcname)):
            return
        read = [names(each.fields) for each in _references(call)]
        if read and all("*" not in name and scope.own_column(name, None) is None for name in read):
            what = f"{names(call.funcname)[-1]}() over the query around a subquery"
            refuse("unknown-syntax", what, position=position(call))

    def _operator(self, node: Node, scope: Scope) -> None:
        from postgast import pg_query_pb2

        unnamed = {
            pg_query_pb2.AEXPR_DISTINCT: "IS DISTINCT FROM",
            pg_query_pb2.AEXPR_NOT_DISTINCT: "IS NOT DISTINCT FROM",
            pg_query_pb2.AEXPR_NULLIF: "NULLIF",
        }
        if node.kind in unnamed:
            sides = (self.column(node.lexpr, scope), self.column(node.rexpr, scope))
            self.refuse_foreign_equality(unnamed[node.kind], sides, position(node))

    def refuse_foreign_equality(
        self, what: str, columns: Iterable[BoundColumn | None], where: int | None
    ) -> None:
        """Refuse a comparison without an operator name over a type that is not PostgreSQL's own.

        Read back under the pinned search path it would pick another operator: citext would be
        compared as text.
        """
        for column in columns:
            facts = column.facts if column is not None else None
            if facts is not None and facts.type in self._builder.facts.equality_schemas:
                refuse("foreign-equality", f"{what} over {facts.type}", position=where)

    def column(self, node: Node, scope: Scope) -> BoundColumn | None:
        """The column, if the expression is one."""
        if kind(node) == "column_ref":
            return scope.resolve(node.column_ref)
        return None

    def compared_column(self, node: Node, scope: Scope) -> BoundColumn | None:
        """The column, if the expression is one, or what PostgreSQL compares in place of one.

        It has no operators for varchar, and writes the casts to text that it has added.
        """
        if kind(node) == "type_cast" and type_name(node.type_cast.type_name) == "text":
            column = self.column(node.type_cast.arg, scope)
            return column if column is not None and is_varchar(column.type) else None
        return self.column(node, scope)

    def contains_aggregate(self, node: Node) -> bool:
        """Tell whether an aggregate of this query level stands in the expression."""
        if wrapped(node) and kind(node) == "sub_link":
            return False
        if (
            node.DESCRIPTOR.name == "FuncCall"
            and not node.HasField("over")
            and self.is_aggregate(names(node.funcname))
        ):
            return True
        return any(self.contains_aggregate(child) for child in children(node))

    def depends_on_order(self, name: tuple[str, ...]) -> bool:
        """Tell whether an aggregate may give another result when the rows come in another order.

        Nothing is known of one that is not PostgreSQL's own.
        """
        schema, plain = name[-2] if len(name) > 1 else None, name[-1]
        if schema in (None, "pg_catalog") and plain in functions.AGGREGATES:
            return plain in functions.ORDER_SENSITIVE_AGGREGATES
        return (schema, plain) in self._builder.facts.aggregates

    def is_aggregate(self, name: tuple[str, ...]) -> bool:
        """Tell whether a function name is that of an aggregate."""
        schema, plain = name[-2] if len(name) > 1 else None, name[-1]
        if schema in (None, "pg_catalog") and plain in functions.AGGREGATES:
            return True
        return (schema, plain) in self._builder.facts.aggregates


def _references(message: Node) -> Iterator[Node]:
    """Yield the columns that an expression names, but not those in its subqueries."""
    if message.DESCRIPTOR.name == "ColumnRef":
        yield message
    elif message.DESCRIPTOR.name != "SubLink":
        for child in children(message):
            yield from _references(child)


def _sublinks(message: Node) -> Iterator[Node]:
    """Yield the subqueries in an expression, but not those in one of them."""
    if message.DESCRIPTOR.name == "SubLink":
        yield message
        return
    for child in children(message):
        yield from _sublinks(child)
