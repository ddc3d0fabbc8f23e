"""The parser's syntax trees: reading, writing and walking them.

Every other module of this room works on the messages that this one hands out. They are the
protobuf form of the parse nodes in PostgreSQL's ``src/include/nodes/parsenodes.h``.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from django_tviews.errors import InvalidQuery

if TYPE_CHECKING:
    from collections.abc import Iterator

# The messages are built at run time from a descriptor, so they have no static type.
Node = Any


def parse_select(sql: str) -> Node:
    """Return the ``SelectStmt`` of a text that holds exactly one SELECT (or WITH, VALUES, TABLE).

    Every ``location`` in it counts characters.

    Args:
        sql: SQL text; a trailing semicolon is allowed.

    Raises:
        InvalidQuery: the text does not parse, or is not exactly one query.
    """
    statements = _parsed(sql, "query")
    if len(statements) != 1 or statements[0].stmt.WhichOneof("node") != "select_stmt":
        raise InvalidQuery(
            f"The query must be one SELECT statement; this text holds {_statements(statements)}.",
            hint="Write a single SELECT (a WITH clause is fine).",
        )
    select = statements[0].stmt.select_stmt
    if not sql.isascii():
        _count_characters(select, sql.encode())
    return select


def parse_statements(sql: str) -> list[tuple[str, str]]:
    """Return the statements of a text, each with its kind, such as ``update_stmt``.

    Args:
        sql: SQL text; what is between semicolons may be empty, or a comment.

    Raises:
        InvalidQuery: the text does not parse.
    """
    # The parser counts bytes; a length of 0 is what is left.
    text = sql.encode()
    return [
        (
            text[each.stmt_location :][: each.stmt_len or None].decode().strip(),
            each.stmt.WhichOneof("node"),
        )
        for each in _parsed(sql, "statement")
    ]


def _parsed(sql: str, what: str) -> Node:
    import postgast

    try:
        return postgast.parse(sql).stmts
    except postgast.PgQueryError as error:
        raise InvalidQuery(
            f"The {what} is not valid SQL: {error.message}, at character {error.cursorpos}.",
            hint=f"Run the {what} in psql to see what PostgreSQL makes of it.",
            position=error.cursorpos - 1,
        ) from error


def _count_characters(message: Node, text: bytes) -> None:
    """Turn the offsets of nodes, which the parser counts in bytes of UTF-8, into characters."""
    if "location" in message.DESCRIPTOR.fields_by_name and message.location > 0:
        message.location = len(text[: message.location].decode())
    for child in children(message):
        _count_characters(child, text)


def _statements(statements: Node) -> str:
    kinds = [statement.stmt.WhichOneof("node") for statement in statements]
    if not kinds:
        return "no statement"
    if len(kinds) > 1:
        return f"{len(kinds)} statements"
    return f"a {kinds[0].removesuffix('_stmt').replace('_', ' ')} statement"


def deparse_select(select: Node) -> str:
    """Write a ``SelectStmt`` back as SQL text on one line."""
    import postgast
    from postgast import pg_query_pb2

    tree = pg_query_pb2.ParseResult()
    tree.stmts.add().stmt.select_stmt.CopyFrom(select)
    text: str = postgast.deparse(tree)
    return text


def deparse_expression(node: Node) -> str:
    """Write one expression (a ``Node`` wrapper) as SQL text."""
    from postgast import pg_query_pb2

    select = pg_query_pb2.SelectStmt()
    select.limit_option = pg_query_pb2.LIMIT_OPTION_DEFAULT
    select.op = pg_query_pb2.SETOP_NONE
    select.target_list.add().res_target.val.CopyFrom(node)
    return deparse_select(select).removeprefix("SELECT ")


def type_name(name: Node) -> str:
    """Write the type that a cast names."""
    from postgast import pg_query_pb2

    node = pg_query_pb2.Node()
    node.type_cast.arg.a_const.isnull = True
    node.type_cast.type_name.CopyFrom(name)
    return deparse_expression(node).removeprefix("NULL::")


def quoted_name(name: str) -> str:
    """Write a name, quoted if it has to be."""
    from postgast import pg_query_pb2

    node = pg_query_pb2.Node()
    node.column_ref.fields.add().string.sval = name
    return deparse_expression(node)


def kind(node: Node) -> str:
    """Return the name of what a ``Node`` wrapper holds, such as ``column_ref``; '' when empty."""
    which: str | None = node.WhichOneof("node")
    return which or ""


def content(node: Node) -> Node:
    """Return what a ``Node`` wrapper holds."""
    return getattr(node, kind(node))


def names(fields: Node) -> tuple[str, ...]:
    """Return a list of String nodes (a qualified name) as Python strings; ``*`` for A_Star."""
    return tuple(field.string.sval if kind(field) == "string" else "*" for field in fields)


def children(message: Node) -> Iterator[Node]:
    """Yield the messages directly below one, ``Node`` wrappers included, in field order."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        if hasattr(value, "ListFields"):
            yield value
        else:
            yield from value


def wrapped(message: Node) -> bool:
    """Tell whether a message is the generic ``Node`` wrapper."""
    return bool(message.DESCRIPTOR.name == "Node")


def calls(node: Node) -> Iterator[Node]:
    """Yield the function calls in an expression, those in its subqueries left out."""
    if wrapped(node):
        if kind(node) == "sub_link":
            return
        if kind(node) == "func_call":
            yield node.func_call
    for child in children(node):
        yield from calls(child)


def same(first: Node, second: Node) -> bool:
    """Compare two nodes, leaving out where in the text they stood."""
    return bool(without_positions(first) == without_positions(second))


def without_positions(message: Node) -> Node:
    """Return a copy of a message with every ``location`` cleared."""
    bare = copy.deepcopy(message)
    _clear_positions(bare)
    return bare


def _clear_positions(message: Node) -> None:
    if "location" in message.DESCRIPTOR.fields_by_name:
        message.ClearField("location")
    for child in children(message):
        _clear_positions(child)


def position(message: Node) -> int | None:
    """Return the zero-based place of a node in its text, in characters, where the parser kept one.

    A wrapper, or a message without a place of its own, has the place of its first child.
    """
    if "location" in message.DESCRIPTOR.fields_by_name and message.location > 0:
        return int(message.location)
    for child in children(message):
        if (found := position(child)) is not None:
            return found
    return None
