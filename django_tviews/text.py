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
