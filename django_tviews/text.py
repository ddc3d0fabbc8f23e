"""Small helpers for text that several rooms use."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """Return the set of the words of a text, for tables that read better as prose."""
    return frozenset(text.split())


def indented(text: str) -> str:
    """Indent every line by four blanks; unlike textwrap's, only a line feed ends a line."""
    return "\n".join(f"    {line}" if line else line for line in text.split("\n"))
