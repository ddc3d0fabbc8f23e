"""The types of expressions, as far as the text of the query tells them.

Only the server knows them all. What is told here is certain: of PostgreSQL's own functions and
operators, over columns and casts whose types are known, those whose result type does not depend
on anything else. An empty string stands for what is not known.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from django_tviews.sqltypes import is_string, same_type, wider_integer
from django_tviews.text import words

from .functions import COMPARISONS
from .syntax import Node, content, kind, names, type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .scope import Scope

_TIMESTAMPS = ("timestamp with time zone", "timestamp without time zone")

_OF_FUNCTIONS = {
    name: type_sql
    for type_sql, listed in (
        (
            "text",
            """
            chr concat concat_ws encode format initcap left lpad md5 quote_ident quote_literal
            quote_nullable regexp_replace repeat replace right rpad split_part to_char to_hex
            translate
            """,
        ),
        ("integer", "array_length array_upper ascii cardinality char_length character_length"),
        (
            "integer",
            "jsonb_array_length json_array_length length num_nonnulls num_nulls position strpos",
        ),
        ("bigint", "count dense_rank rank row_number"),
        ("boolean", "bool_and bool_or every isfinite starts_with"),
        ("date", "make_date to_date"),
        ("timestamp with time zone", "to_timestamp"),
    )
    for name in words(listed)
}
# Of the type of their first argument, and those that are only where that is a string: there are
# lower() of a range and substr() of a bytea.
_OF_FIRST_ARGUMENT = words(
    """
    any_value first_value lag last_value lead max min nth_value string_agg
    """
)
_OF_STRINGS = words(
    """
    btrim lower ltrim reverse rtrim substr substring upper
    """
)


class Types:
    """Answers for the expressions of one query."""

    def __init__(self) -> None:
        self._by_kind: Mapping[str, Callable[[Node, Scope], str]] = {
            "a_const": self._of_constant,
            "a_expr": self._of_operator,
            "func_call": self._of_function,
            "case_expr": self._of_case,
            "column_ref": lambda reference, scope: scope.resolve(reference).type,
            "type_cast": lambda cast, _: type_name(cast.type_name),
            "collate_clause": lambda clause, scope: self.of(clause.arg, scope),
            "coalesce_expr": lambda known, scope: self.common(known.args, scope),
            "min_max_expr": lambda known, scope: self.common(known.args, scope),
            "bool_expr": lambda *_: "boolean",
            "boolean_test": lambda *_: "boolean",
            "null_test": lambda *_: "boolean",
        }

    def of(self, node: Node, scope: Scope) -> str:
        """Return the type of an expression where the text tells it, else an empty string.

        Args:
            node: the expression.
            scope: what its columns mean.
        """
        known = self._by_kind.get(kind(node))
        return known(content(node), scope) if known is not None else ""

    def common(self, nodes: Iterable[Node], scope: Scope) -> str:
        """Return the one type that several values have, if that is known.

        Args:
            nodes: expressions; constants without a type take that of the others.
            scope: what their columns mean.
        """
        types = {self.of(node, scope) for node in nodes if not _takes_any_type(node)}
        return types.pop() if len(types) == 1 else reduce(wider_integer, types) if types else ""

    def _of_case(self, case: Node, scope: Scope) -> str:
        results = [when.case_when.result for when in case.args]
        return self.common([*results, *([case.defresult] if kind(case.defresult) else [])], scope)

    @staticmethod
    def _of_constant(constant: Node, _: Scope) -> str:
        return {"ival": "integer", "boolval": "boolean"}.get(constant.WhichOneof("val") or "", "")

    def _of_operator(self, node: Node, scope: Scope) -> str:
        from postgast import pg_query_pb2

        if node.kind == pg_query_pb2.AEXPR_NULLIF:
            return self.of(node.lexpr, scope)
        if node.kind != pg_query_pb2.AEXPR_OP:
            return "boolean"
        *schema, name = names(node.name)
        if schema not in ([], ["pg_catalog"]):
            return ""
        if name in COMPARISONS:
            return "boolean"
        if name in ("->>", "#>>"):
            return "text"
        left, right = self.of(node.lexpr, scope), self.of(node.rexpr, scope)
        if name == "||":
            return self._of_concatenation((node.lexpr, left), (node.rexpr, right))
        if not kind(node.lexpr):
            left = right
        return _of_arithmetic(name, left, right)

    @staticmethod
    def _of_concatenation(*sides: tuple[Node, str]) -> str:
        # text || anything but an array is text.
        strings = [is_string(type_sql) for _, type_sql in sides]
        known = [
            (type_sql and not type_sql.endswith("]")) or _takes_any_type(node)
            for node, type_sql in sides
        ]
        return "text" if any(strings) and all(known) else ""

    def _of_function(self, call: Node, scope: Scope) -> str:
        unnested = scope.unnested_column(call)
        if unnested is not None:
            return unnested.type
        *schema, name = names(call.funcname)
        if schema not in ([], ["pg_catalog"]):
            return ""
        types = [self.of(argument, scope) for argument in call.args]
        if name in _OF_FIRST_ARGUMENT and types:
            # The default of lag() and lead() may have more decimals than what it stands in for.
            return self.common([call.args[0], *call.args[2:]], scope)
        if name in _OF_STRINGS and types and is_string(types[0]):
            return "text"
        if name == "date_trunc" and len(types) > 1 and types[1] in _TIMESTAMPS:
            return types[1]
        if name == "date_trunc" and len(types) > 1 and types[1] == "date":
            return _TIMESTAMPS[0]
        return _OF_FUNCTIONS.get(name, "")


def _of_arithmetic(operator: str, left: str, right: str) -> str:
    """The type of a sum, a difference, a product or a quotient."""
    widest = wider_integer(left, right)
    if operator in ("+", "-", "*", "/", "%") and widest:
        return widest
    if operator == "-" and left == right == "date":
        return "integer"
    if operator in ("+", "-") and left == "date" and wider_integer(right, right):
        return "date"
    if operator in ("+", "-") and right.startswith("interval"):
        if left in _TIMESTAMPS:
            return left
        if same_type(left, "date"):
            return _TIMESTAMPS[1]
    return ""


def _takes_any_type(node: Node) -> bool:
    """Tell whether an expression is a constant that takes the type that is expected of it."""
    return kind(node) == "a_const" and (
        bool(node.a_const.isnull) or node.a_const.WhichOneof("val") == "sval"
    )
