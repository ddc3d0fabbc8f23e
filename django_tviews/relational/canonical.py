"""The canonical form of a query: what migrations store and what the autodetector compares.

Two texts are the same query when their syntax trees are equal once the names that only the
query itself can see (aliases of relations) are replaced by their order of appearance. Django
5.2 writes ``FROM "app_review" U0`` where 6.1 writes ``"U0"``: other names, the same query. The
constants of an IN list have no order, either.
"""

from __future__ import annotations

import copy
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING

from django_tviews.errors import InvalidQuery

from .syntax import (
    Node,
    children,
    content,
    deparse_expression,
    deparse_select,
    kind,
    names,
    parse_select,
    wrapped,
)

if TYPE_CHECKING:
    from django_tviews.facts import FunctionName, RelationName


def canonical_sql(sql: str) -> str:
    """Return one SELECT as the parser writes it: one line, no comments, no semicolon.

    Args:
        sql: the text as the user or Django wrote it.

    Raises:
        InvalidQuery: the text is not exactly one query.
    """
    return deparse_select(parse_select(sql))


def formatted(sql: str) -> str:
    """Lay a query out on several lines for people, if that does not change it.

    Args:
        sql: canonical SQL. Formatting reaches into literals that end with a backslash, and gives
            up on very long texts; they stay as they are.
    """
    import sqlparse
    from sqlparse.exceptions import SQLParseError

    try:
        text = sqlparse.format(sql, reindent=True)
        return str(text) if canonical_sql(text) == canonical_sql(sql) else sql
    except (SQLParseError, InvalidQuery):
        return sql


def same_query(first: str, second: str) -> bool:
    """Tell whether two texts are one query, whatever their layout and their aliases."""
    return first == second or _alpha_renamed(first) == _alpha_renamed(second)


@lru_cache(maxsize=1024)
def read_relations(sql: str) -> tuple[RelationName, ...]:
    """Return the name of every relation the query names, once each.

    Names of its own common table expressions are left out.
    """
    found: dict[RelationName, None] = {}
    _collect_relations(parse_select(sql), frozenset(), found)
    return tuple(found)


def called_functions(sql: str) -> tuple[FunctionName, ...]:
    """Return the name of every function the query calls, once each."""
    found: dict[FunctionName, None] = {}
    pending = [parse_select(sql)]
    while pending:
        message = pending.pop()
        if message.DESCRIPTOR.name == "FuncCall":
            name = names(message.funcname)
            found[name[-2] if len(name) > 1 else None, name[-1]] = None
        pending.extend(children(message))
    return tuple(found)


def output_names(sql: str) -> tuple[str | None, ...]:
    """Return the names of the output columns as far as the text tells them.

    None stands for a column whose name only PostgreSQL knows (``*``).
    """
    select = parse_select(sql)
    return tuple(output_name(target.res_target) for target in _first_arm(select).target_list)


def _first_arm(select: Node) -> Node:
    """Return the SELECT that names the output columns."""
    while select.HasField("larg"):
        select = select.larg
    return select


def output_name(target: Node) -> str | None:
    """Return the name PostgreSQL gives an output column (``FigureColname`` in parse_target.c)."""
    if target.name:
        return str(target.name)
    return _figure_name(target.val)


def _figure_name(node: Node) -> str | None:
    match kind(node):
        case "column_ref":
            last = node.column_ref.fields[-1]
            return str(last.string.sval) if kind(last) == "string" else None
        case "func_call":
            return str(node.func_call.funcname[-1].string.sval)
        case "type_cast":
            inner = _figure_name(node.type_cast.arg)
            if inner in (None, "?column?"):
                return str(node.type_cast.type_name.names[-1].string.sval)
            return inner
        case "coalesce_expr":
            return "coalesce"
        case "case_expr":
            default = node.case_expr.defresult
            inner = _figure_name(default) if kind(default) == "column_ref" else None
            return inner or "case"
        case "a_array_expr":
            return "array"
        case "min_max_expr":
            # MinMaxOp: 1 is GREATEST, 2 is LEAST.
            return "greatest" if node.min_max_expr.op == 1 else "least"
        case "sub_link":
            return _figure_sublink_name(node.sub_link)
        case _:
            return "?column?"


def _figure_sublink_name(sublink: Node) -> str | None:
    from postgast import pg_query_pb2

    match sublink.sub_link_type:
        case pg_query_pb2.EXISTS_SUBLINK:
            return "exists"
        case pg_query_pb2.ARRAY_SUBLINK:
            return "array"
        case pg_query_pb2.EXPR_SUBLINK:
            return output_name(content(sublink.subselect).target_list[0].res_target)
        case _:
            return "?column?"


def _alpha_renamed(sql: str) -> str:
    select = copy.deepcopy(parse_select(sql))
    for target in _first_arm(select).target_list:
        # "name" and "name AS name" are one output column.
        target.res_target.name = output_name(target.res_target) or ""
    _rename(select, {}, count(1))
    _sort_in_lists(select)
    return deparse_select(select)


def _sort_in_lists(message: Node) -> None:
    """Put the constants of each IN list in one order: Django writes a set in any."""
    from postgast import pg_query_pb2

    for child in children(message):
        _sort_in_lists(child)
    if message.DESCRIPTOR.name != "A_Expr" or message.kind != pg_query_pb2.AEXPR_IN:
        return
    items = list(message.rexpr.list.items)
    if all(kind(item) == "a_const" for item in items):
        del message.rexpr.list.items[:]
        message.rexpr.list.items.extend(sorted(items, key=deparse_expression))


def _rename(select: Node, outer: dict[str, str], numbers: count[int]) -> None:
    """Rename the aliases of one SELECT and of everything in it, in place."""
    if select.HasField("larg"):
        _rename(select.larg, outer, numbers)
        _rename(select.rarg, outer, numbers)
    scope = dict(outer)
    for item in select.from_clause:
        _rename_from_item(item, scope, numbers)
    for child in children(select):
        if child is not select.larg and child is not select.rarg:
            _rename_references(child, scope, numbers)


def _rename_from_item(item: Node, scope: dict[str, str], numbers: count[int]) -> None:
    match kind(item):
        case "join_expr":
            _rename_from_item(item.join_expr.larg, scope, numbers)
            _rename_from_item(item.join_expr.rarg, scope, numbers)
        case "range_var":
            relation = item.range_var
            name = relation.alias.aliasname or relation.relname
            relation.alias.aliasname = scope[name] = f"r{next(numbers)}"
        case "range_subselect" | "range_function":
            alias = content(item).alias
            if alias.aliasname:
                name = alias.aliasname
                alias.aliasname = scope[name] = f"r{next(numbers)}"


def _rename_references(message: Node, scope: dict[str, str], numbers: count[int]) -> None:
    if wrapped(message):
        match kind(message):
            case "":
                return
            case "select_stmt":
                _rename(message.select_stmt, scope, numbers)
                return
            case "column_ref":
                first = message.column_ref.fields[0]
                # A name alone is a column (or a whole row, which the compiler refuses).
                if len(message.column_ref.fields) > 1:
                    first.string.sval = scope.get(first.string.sval, first.string.sval)
                return
    for child in children(message):
        _rename_references(child, scope, numbers)


def _collect_relations(
    message: Node, hidden: frozenset[str], found: dict[RelationName, None]
) -> None:
    if message.DESCRIPTOR.name == "SelectStmt" and message.HasField("with_clause"):
        hidden = hidden | {item.common_table_expr.ctename for item in message.with_clause.ctes}
    if message.DESCRIPTOR.name == "RangeVar":
        if message.schemaname or message.relname not in hidden:
            found[message.schemaname or None, message.relname] = None
        return
    for child in children(message):
        _collect_relations(child, hidden, found)
