"""The one place where names and values become SQL text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django_tviews.text import indented, words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_tviews.facts import RelationFacts

_PLAIN = re.compile("[a-z_][a-z0-9_]*")

# Every word that PostgreSQL 18 does not take everywhere as a name (pg_get_keywords, all but
# category U). Quoting more than needed is harmless, so the list serves older versions, too.
_KEYWORDS = words(
    """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary
    bit boolean both case cast char character check coalesce collate collation column
    concurrently constraint create cross current_catalog current_date current_role
    current_schema current_time current_timestamp current_user dec decimal default
    deferrable desc distinct do else end except exists extract false fetch float for foreign
    freeze from full grant greatest group grouping having ilike in initially inner inout int
    integer intersect interval into is isnull join json json_array json_arrayagg json_exists
    json_object json_objectagg json_query json_scalar json_serialize json_table json_value
    lateral leading least left like limit localtime localtimestamp merge_action national
    natural nchar none normalize not notnull null nullif numeric offset on only or order out
    outer overlaps overlay placing position precision primary real references returning
    right row select session_user setof similar smallint some substring symmetric
    system_user table tablesample then time timestamp to trailing treat trim true union
    unique user using values varchar variadic verbose when where window with xmlattributes
    xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot
    xmlserialize xmltable
    """
)


# Stands for a line break inside a name or a literal until the statement is complete, so that
# indenting the SQL around it leaves it alone. PostgreSQL's text cannot contain it.
_LINE_BREAK = "\0"


def kept_apart(text: str) -> str:
    """Protect the line breaks of names and literals from being indented."""
    return text.replace("\n", _LINE_BREAK)


def on_one_line(text: str) -> str:
    """Write SQL text so that it fits into a comment to the end of the line."""
    return " ".join(text.replace(_LINE_BREAK, "\n").splitlines())


def complete(statement: str) -> str:
    """Undo :func:`kept_apart` in a finished statement."""
    return statement.replace(_LINE_BREAK, "\n")


def identifier(name: str) -> str:
    """Write a name, quoted if it has to be: ``Order`` becomes ``"Order"``."""
    if _PLAIN.fullmatch(name) and name not in _KEYWORDS:
        return name
    return kept_apart('"' + name.replace('"', '""') + '"')


def subquery(query: str) -> str:
    """Write a query to stand in FROM, with its text as it is."""
    return f"(\n{indented(kept_apart(query))}\n)"


def typed(columns: Iterable[tuple[str, str]]) -> str:
    """Write columns with their types.

    Args:
        columns: the name and the type of each, the type as SQL.
    """
    return ", ".join(f"{identifier(name)} {type_sql}" for name, type_sql in columns)


def qualified(schema: str | None, name: str) -> str:
    """Quote a name with its schema."""
    return f"{identifier(schema)}.{identifier(name)}" if schema else identifier(name)


def equals(schema: str) -> str:
    """Write the equality operator of a schema; maintenance finds ``pg_catalog`` by itself."""
    return "=" if schema == "pg_catalog" else f"OPERATOR({identifier(schema)}.=)"


def relation_name(relation: RelationFacts) -> str:
    """Quote the name of a relation."""
    return qualified(relation.schema, relation.name)


def literal(value: str) -> str:
    """Quote a string as a literal, whatever standard_conforming_strings says."""
    quoted = kept_apart(value.replace("'", "''"))
    if "\\" in quoted:
        return " E'" + quoted.replace("\\", "\\\\") + "'"
    return f"'{quoted}'"


def regclass(schema: str | None, name: str) -> str:
    """Write a relation as a constant of type regclass."""
    return f"{literal(qualified(schema, name))}::regclass"
