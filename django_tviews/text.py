"""Small helpers for text that several rooms use."""

from __future__ import annotations

import hashlib
from typing import Final

IDENTIFIER_BYTES: Final = 63
"""The longest identifier PostgreSQL keeps (NAMEDATALEN - 1), in bytes."""


def words(text: str) -> frozenset[str]:
    """Return the set of the words of a text, for tables that read better as prose."""
    return frozenset(text.split())


def indented(text: str) -> str:
    """Indent every line by four blanks; unlike textwrap's, only a line feed ends a line."""
    return "\n".join(f"    {line}" if line else line for line in text.split("\n"))


def bounded(name: str, suffix: str = "") -> str:
    """Shorten a name to what PostgreSQL keeps of it, so that no two become one.

    PostgreSQL itself would cut two long names with the same beginning to the same name.

    Args:
        name: the name of an object that we create.
        suffix: an end that is not cut off, such as ``"_query"``.

    Returns:
        Both; if that is longer than 63 bytes, the beginning, a digest of the whole, and the end.
    """
    whole = f"{name}{suffix}"
    if len(whole.encode()) <= IDENTIFIER_BYTES:
        return whole
    tail = f"_{hashlib.sha256(whole.encode()).hexdigest()[:8]}{suffix}"
    head = name.encode()[: IDENTIFIER_BYTES - len(tail.encode())].decode(errors="ignore")
    return f"{head}{tail}"


def object_name(table: str, suffix: str) -> str:
    """Name a database object that belongs to a table, within PostgreSQL's 63 bytes.

    Args:
        table: the name of the table the object belongs to.
        suffix: what the object is, such as ``"query"``.

    Returns:
        ``<table>_<suffix>``, or a shortened form of it.
    """
    return bounded(table, f"_{suffix}")
