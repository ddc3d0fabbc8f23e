"""Which expressions can never be NULL, by the structure of the query.

Only what holds in every state of the database counts: the NOT NULL of a column that no outer
join replaces, COALESCE with a value, count(). A foreign key does not count, since deferred keys
and loaddata leave it unfulfilled between two statements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import functions
from .syntax import Node, children, content, kind, names, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .builder import Builder
    from .scope import BoundColumn, Scope


class Nullability:
    """Answers for the expressions of one query."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._by_kind: Mapping[str, Callable[[Node, Scope, bool], bool]] = {
            "type_cast": self._of_cast,
            "case_expr": self._of_case,
            "a_expr": self._of_operator,
            "func_call": self._of_function,
            "sub_link": lambda sublink, scope, _: self._of_sublink(sublink, scope),
            "collate_clause": lambda clause, scope, grouped: self.of(clause.arg, scope, grouped),
        }

    def of_column(self, column: BoundColumn, scope: Scope) -> bool:
        """Tell whether a column can be NULL where ``scope`` shows it."""
        return column.nullable and not any(
            # The very column, or another name of the same one of a base relation.
            column is known or column.expression.column == known.expression.column is not None
            for known in scope.proven
        )

    def of(self, node: Node, scope: Scope, grouped: bool) -> bool:
        """Tell whether an expression can be NULL.

        Args:
            node: the expression.
            scope: what its columns mean.
            grouped: it belongs to a SELECT with groups, each of at least one row.
        """
        if scope.grouping is not None and kind(node) and scope.grouping.may_lack(node, scope):
            return True
        match kind(node):
            case "grouping_func":
                return False
            case "column_ref":
                return self.of_column(scope.resolve(node.column_ref), scope)
            case "a_const":
                return bool(node.a_const.isnull)
            case "null_test" | "boolean_test" | "a_array_expr" | "row_expr":
                return False
            case "coalesce_expr" | "min_max_expr" as known:
                return all(self.of(each, scope, grouped) for each in getattr(node, known).args)
            case "bool_expr":
                return any(self.of(each, scope, grouped) for each in node.bool_expr.args)
            case known if known in self._by_kind:
                return self._by_kind[known](content(node), scope, grouped)
            case _:
                return True

    def _of_cast(self, cast: Node, scope: Scope, grouped: bool) -> bool:
        if kind(cast.arg) == "column_ref":
            column = scope.resolve(cast.arg.column_ref)
            # From PostgreSQL 18 on a JSON null casts to an SQL NULL.
            if column.facts is None or column.facts.type in ("json", "jsonb"):
                return True
        return self.of(cast.arg, scope, grouped)

    def _of_case(self, case: Node, scope: Scope, grouped: bool) -> bool:
        # Where there is no ELSE, nothing is known of it.
        results = [when.case_when.result for when in case.args]
        return any(self.of(result, scope, grouped) for result in (*results, case.defresult))

    def _of_operator(self, node: Node, scope: Scope, grouped: bool) -> bool:
        from postgast import pg_query_pb2

        if node.kind in (pg_query_pb2.AEXPR_DISTINCT, pg_query_pb2.AEXPR_NOT_DISTINCT):
            return False
        plain = (pg_query_pb2.AEXPR_OP, pg_query_pb2.AEXPR_LIKE, pg_query_pb2.AEXPR_ILIKE)
        name = names(node.name)
        if (
            node.kind not in plain
            or (len(name) > 1 and name[0] != "pg_catalog")
            or name[-1] not in functions.OPERATORS_KEEPING_NOT_NULL
        ):
            return True
        compared = [
            member
            for side in (node.lexpr, node.rexpr)
            if kind(side)
            for member in (side.row_expr.args if kind(side) == "row_expr" else [side])
        ]
        return any(self.of(member, scope, grouped) for member in compared)

    def _of_function(self, call: Node, scope: Scope, grouped: bool) -> bool:
        name = names(call.funcname)
        plain = name[-1]
        unnested = scope.unnested_column(call)
        if unnested is not None:
            return self.of_column(unnested, scope)
        if len(name) > 1 and name[0] != "pg_catalog":
            return True
        if call.HasField("over"):
            return plain not in functions.NEVER_NULL_OVER_WINDOWS
        if plain == "count" or plain in functions.NEVER_NULL:
            return False
        if self._builder.expressions.is_aggregate(name):
            if not grouped or call.HasField("agg_filter"):
                return True
            if plain in functions.AGGREGATES_OF_ROWS:
                return False
            if plain not in functions.AGGREGATES_KEEPING_NOT_NULL:
                return True
        elif plain not in functions.NEVER_NULL_FROM_VALUES:
            return True
        elif plain in ("lower", "upper") and self._may_be_range(call, scope):
            # An empty range has no bounds.
            return True
        return any(self.of(argument, scope, grouped) for argument in call.args)

    def _may_be_range(self, node: Node, scope: Scope) -> bool:
        """Tell whether something in an expression may be of a range type."""
        if node.DESCRIPTOR.name == "FuncCall" and names(node.funcname)[-1].endswith("range"):
            return True
        if wrapped(node) and kind(node) in ("column_ref", "type_cast"):
            type_sql = self._builder.types.of(node, scope)
            if type_sql.endswith("range") or "." in type_sql:
                return True
        return any(self._may_be_range(child, scope) for child in children(node))

    def _of_sublink(self, sublink: Node, scope: Scope) -> bool:
        from postgast import pg_query_pb2

        if sublink.sub_link_type in (pg_query_pb2.EXISTS_SUBLINK, pg_query_pb2.ARRAY_SUBLINK):
            return False
        if sublink.sub_link_type != pg_query_pb2.EXPR_SUBLINK:
            return True
        select = content(sublink.subselect)
        one_row = (
            len(select.target_list) == 1
            and self._builder.expressions.contains_aggregate(select.target_list[0])
            and not select.group_clause
            and not select.HasField("having_clause")
            and not kind(select.limit_count)
            and not kind(select.limit_offset)
        )
        # Ungrouped, so its columns stand inside aggregates, whose arguments are not asked for.
        return not one_row or self.of(select.target_list[0].res_target.val, scope, False)
