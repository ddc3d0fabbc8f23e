"""The one place where names and values become SQL text."""

from __future__ import annotations

import hashlib

from django_tviews.facts import RelationFacts

IDENTIFIER_BYTES = 63


def identifier(name: str) -> str:
    """Quote a name: ``Order`` becomes ``"Order"``."""
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str | None, name: str) -> str:
    """Quote a name with its schema."""
    return f"{identifier(schema)}.{identifier(name)}" if schema else identifier(name)


def relation_name(relation: RelationFacts) -> str:
    """Quote the name of a relation."""
    return qualified(relation.schema, relation.name)


def literal(value: str) -> str:
    """Quote a string as a literal, whatever standard_conforming_strings says."""
    quoted = value.replace("'", "''")
    if "\\" in quoted:
        return " E'" + quoted.replace("\\", "\\\\") + "'"
    return f"'{quoted}'"


def regclass(schema: str | None, name: str) -> str:
    """Write a relation as a constant of type regclass."""
    return f"{literal(qualified(schema, name))}::regclass"


def bounded(name: str) -> str:
    """Shorten a name to what PostgreSQL keeps of it, so that no two become one.

    Args:
        name: the name of an object that we create.

    Returns:
        The name; if it is longer than 63 bytes, its beginning and a digest of the whole.
    """
    if len(name.encode()) <= IDENTIFIER_BYTES:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    head = name.encode()[: IDENTIFIER_BYTES - 9].decode(errors="ignore")
    return f"{head}_{digest}"
