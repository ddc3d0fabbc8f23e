"""How many decimals the values of an expression have, as far as the text of the query tells.

Addition, subtraction and multiplication of numerics are exact: a sum has as many decimals as the
operand that has more, a product as many as both together (``add_var`` and ``mul_var`` in
PostgreSQL's ``numeric.c``). Quotients are rounded, and floats have no decimals to count.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django_tviews.sqltypes import is_integer, is_numeric, scale_of

from .syntax import Node, content, kind, names, type_name
from .tree import Decimals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .builder import Builder
    from .scope import Scope

# More of them than a numeric can have are rounded; nobody has half as many.
_MOST = 1000
_WRITTEN = re.compile(r"-?(?:\d+(?:\.(\d*))?|\.(\d+))")


class DecimalsOf:
    """Answers for the expressions of one query."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def value(self, node: Node, scope: Scope) -> Decimals | None:
        """Return the decimals of an expression's values; None if they are not known.

        Args:
            node: the expression.
            scope: what its columns mean.
        """
        found = self._by_kind(node, scope)
        return found if found is not None and found.most <= _MOST else None

    def _by_kind(self, node: Node, scope: Scope) -> Decimals | None:
        inner = content(node) if kind(node) else node
        match kind(node):
            case "a_const":
                return _of_constant(inner)
            case "a_expr":
                return self._of_operator(node, scope)
            case "type_cast":
                return self._of_cast(inner, scope)
            case "coalesce_expr" | "min_max_expr":
                return self._of_one_of(inner.args, scope)
            case "case_expr":
                results = [when.case_when.result for when in inner.args]
                if kind(inner.defresult):
                    results.append(inner.defresult)
                return self._of_one_of(results, scope)
            case _:
                return _of_type(self._builder.types.of(node, scope))

    def _of_operator(self, node: Node, scope: Scope) -> Decimals | None:
        integer = _of_type(self._builder.types.of(node, scope))
        if integer is not None:
            return integer
        *schema, operator = names(node.a_expr.name)
        right = self.value(node.a_expr.rexpr, scope)
        if schema not in ([], ["pg_catalog"]) or right is None:
            return None
        if not kind(node.a_expr.lexpr):
            return right if operator in ("+", "-") else None
        left = self.value(node.a_expr.lexpr, scope)
        if left is None:
            return None
        if operator == "*":
            return Decimals(left.most + right.most, left.always and right.always)
        if operator in ("+", "-"):
            most = max(left.most, right.most)
            return Decimals(most, any(each == Decimals(most) for each in (left, right)))
        return None

    def _of_cast(self, cast: Node, scope: Scope) -> Decimals | None:
        type_sql = type_name(cast.type_name)
        if type_sql == "numeric":
            return self.value(cast.arg, scope)
        return _of_type(type_sql)

    def _of_one_of(self, nodes: Iterable[Node], scope: Scope) -> Decimals | None:
        """What values have that are those of one expression or another, or NULL."""
        found = [self.value(node, scope) for node in nodes if not _is_null(node)]
        known = [each for each in found if each is not None]
        if not known or len(known) < len(found):
            return None
        most = max(each.most for each in known)
        return Decimals(most, all(each == Decimals(most) for each in known))


def _of_constant(constant: Node) -> Decimals | None:
    match constant.WhichOneof("val"):
        case "ival":
            return Decimals(0)
        case "fval":
            written = _WRITTEN.fullmatch(constant.fval.fval)
            return Decimals(len(written[1] or written[2] or "")) if written else None
        case _:
            return None


def _of_type(type_sql: str) -> Decimals | None:
    if is_integer(type_sql):
        return Decimals(0)
    scale = scale_of(type_sql)
    return Decimals(scale) if is_numeric(type_sql) and scale is not None and scale >= 0 else None


def _is_null(node: Node) -> bool:
    if kind(node) == "type_cast":
        return _is_null(node.type_cast.arg)
    return kind(node) == "a_const" and bool(node.a_const.isnull)
