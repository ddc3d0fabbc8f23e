"""Which rows an expression needs: where NULLs stand in their place, it is NULL, or is not TRUE.

    SELECT author.id, sum(book.pages * 2) FROM author LEFT JOIN book ON … GROUP BY author.id

For an author without books, ``book.pages * 2`` is NULL, so the sum is that of the books there are.
It would not be if it were of ``COALESCE(book.pages, 1)``.

PostgreSQL's operators give NULL for NULL (they are *strict*), but ``||`` of arrays, and so do all
of its casts; of its functions those listed in :mod:`.functions`. Of what others have defined
nothing is known: operators and functions have their schema before their names then, where a server
has written the query, and casts have none to see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_tviews.sqltypes import has_cast_of_its_own

from . import functions
from .syntax import Node, content, kind, names, type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .builder import Builder
    from .scope import Scope

_Needed = frozenset[int]


class Strictness:
    """Answers for the expressions of one query, with numbers of occurrences."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._by_kind: Mapping[str, Callable[[Node, Scope], _Needed]] = {
            "column_ref": self._of_column,
            "a_const": lambda constant, _: self._all() if constant.isnull else frozenset(),
            "type_cast": self._of_cast,
            "a_expr": self._of_operator,
            "func_call": self._of_function,
            "case_expr": self._of_case,
            "bool_expr": self._of_boolean,
            "coalesce_expr": lambda known, scope: self._in_all(known.args, scope),
            "min_max_expr": lambda known, scope: self._in_all(known.args, scope),
            "collate_clause": lambda clause, scope: self.of_value(clause.arg, scope),
        }

    def of_value(self, node: Node, scope: Scope) -> frozenset[int]:
        """Return the occurrences without a row of any of which an expression is NULL.

        Args:
            node: the expression.
            scope: what its columns mean.
        """
        if not kind(node):
            # CASE without ELSE.
            return self._all()
        known = self._by_kind.get(kind(node))
        return known(content(node), scope) if known is not None else frozenset()

    def of_condition(self, node: Node, scope: Scope) -> frozenset[int]:
        """Return the occurrences without a row of any of which a condition is not TRUE.

        Args:
            node: the condition.
            scope: what its columns mean.
        """
        from postgast import pg_query_pb2

        inner = content(node)
        match kind(node):
            case "bool_expr" if inner.boolop == pg_query_pb2.AND_EXPR:
                return frozenset().union(*(self.of_condition(each, scope) for each in inner.args))
            case "bool_expr" if inner.boolop == pg_query_pb2.OR_EXPR:
                first, *others = (self.of_condition(each, scope) for each in inner.args)
                return first.intersection(*others)
            case "null_test" if inner.nulltesttype == pg_query_pb2.IS_NOT_NULL:
                return self.of_value(inner.arg, scope)
            case "boolean_test" if inner.booltesttype == pg_query_pb2.IS_TRUE:
                return self.of_condition(inner.arg, scope)
            case "boolean_test" if inner.booltesttype == pg_query_pb2.IS_FALSE:
                return self._of_truth(inner.arg, scope)
            case "a_expr" if inner.kind == pg_query_pb2.AEXPR_OP_ANY and _is_strict(inner):
                # Of an empty array it is FALSE.
                return self.of_value(inner.lexpr, scope)
            case _:
                return self._of_truth(node, scope)

    def _of_truth(self, node: Node, scope: Scope) -> _Needed:
        """Tell it of a value where a boolean is wanted: an implicit cast to it does not show."""
        is_boolean = self._builder.types.of(node, scope) == "boolean"
        return self.of_value(node, scope) if is_boolean else frozenset()

    def _all(self) -> _Needed:
        """What is NULL anyway is NULL without whatever row."""
        return frozenset(draft.number for draft in self._builder.drafts)

    def _in_any(self, nodes: Iterable[Node], scope: Scope) -> _Needed:
        return frozenset().union(*(self.of_value(node, scope) for node in nodes))

    def _in_all(self, nodes: Iterable[Node], scope: Scope) -> _Needed:
        return self._all().intersection(*(self.of_value(node, scope) for node in nodes))

    def _of_column(self, reference: Node, scope: Scope) -> _Needed:
        column = scope.resolve(reference).expression.column
        return frozenset() if column is None else frozenset({column.occurrence})

    def _of_cast(self, cast: Node, scope: Scope) -> _Needed:
        own = has_cast_of_its_own(
            self._builder.types.of(cast.arg, scope), type_name(cast.type_name)
        )
        # A constant is cast before the query runs, and NULL is NULL of any type.
        return self.of_value(cast.arg, scope) if own or kind(cast.arg) == "a_const" else frozenset()

    def _of_operator(self, node: Node, scope: Scope) -> _Needed:
        from postgast import pg_query_pb2

        if node.kind == pg_query_pb2.AEXPR_NULLIF:
            return self.of_value(node.lexpr, scope)
        plain = (pg_query_pb2.AEXPR_OP, pg_query_pb2.AEXPR_LIKE, pg_query_pb2.AEXPR_ILIKE)
        if node.kind not in plain or not _is_strict(node):
            return frozenset()
        sides = (side for side in (node.lexpr, node.rexpr) if kind(side))
        return self._in_any(sides, scope)

    def _of_function(self, call: Node, scope: Scope) -> _Needed:
        *schema, name = names(call.funcname)
        if schema not in ([], ["pg_catalog"]) or name not in functions.STRICT:
            return frozenset()
        return self._in_any(call.args, scope)

    def _of_case(self, case: Node, scope: Scope) -> _Needed:
        needed = self.of_value(case.defresult, scope)
        for when in (each.case_when for each in case.args):
            result = self.of_value(when.result, scope)
            if not kind(case.arg):
                # Where the condition is not TRUE, this is not the result.
                result |= self.of_condition(when.expr, scope)
            needed &= result
        return needed

    def _of_boolean(self, node: Node, scope: Scope) -> _Needed:
        # FALSE AND NULL is FALSE, TRUE OR NULL is TRUE. There is one argument of NOT.
        return self._all().intersection(*(self._of_truth(each, scope) for each in node.args))


def _is_strict(node: Node) -> bool:
    """Tell whether the operator of an expression gives NULL for NULL."""
    *schema, operator = names(node.name)
    return schema in ([], ["pg_catalog"]) and operator not in functions.NOT_STRICT_OPERATORS
