"""Small helpers for text that several rooms use."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """Return the set of the words of a text, for tables that read better as prose."""
    return frozenset(text.split())
