"""Cuts a failing case down: fewer statements, fewer definitions, then less of each text.

Texts are cut as syntax trees, so that every attempt is SQL again. An attempt is kept if the case
still fails in the same way.
"""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .case import Case, TViewText

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# Fields of parse nodes that may be left out, and lists that may lose an element.
_OPTIONAL = (
    "where_clause",
    "having_clause",
    "with_clause",
    "limit_count",
    "limit_offset",
    "agg_filter",
    "on_conflict_clause",
    "condition",
)
_LISTS = (
    "target_list",
    "from_clause",
    "group_clause",
    "sort_clause",
    "distinct_clause",
    "agg_order",
    "ctes",
    "values_lists",
    "table_elts",
    "merge_when_clauses",
)
# Nodes that one of the nodes below them may take the place of.
_HOISTED = {
    "join_expr": ("larg", "rarg"),
    "bool_expr": ("args",),
    "coalesce_expr": ("args",),
    "func_call": ("args",),
    "a_expr": ("lexpr", "rexpr"),
    "type_cast": ("arg",),
    "null_test": ("arg",),
}


class Shrinker:
    """Makes a failing case smaller.

    Args:
        fails: tells whether a case still fails in the way that matters.
        seconds: after which the smallest case so far is good enough.
    """

    def __init__(self, fails: Callable[[Case], bool], seconds: float) -> None:
        self._fails = fails
        self._until = time.monotonic() + seconds

    def shrink(self, case: Case) -> Case:
        """Return the smallest case found."""
        before = None
        while before != case and time.monotonic() < self._until:
            before = case
            case = self._fewer(case, "statements")
            case = self._fewer(case, "definitions")
            case = self._less_text(case)
        return case

    def _try(self, case: Case) -> bool:
        return time.monotonic() < self._until and self._fails(case)

    def _fewer(self, case: Case, what: str) -> Case:
        """Leave out statements, or definitions: many at once, then one by one."""
        size = max(len(getattr(case, what)) // 2, 1)
        while size:
            start = len(getattr(case, what))
            while start > 0:
                parts: Sequence[Any] = getattr(case, what)
                start = max(start - size, 0)
                attempt = replace(case, **{what: (*parts[:start], *parts[start + size :])})
                if len(getattr(attempt, what)) < len(parts) and self._try(attempt):
                    case = attempt
            size //= 2
        return case

    def _less_text(self, case: Case) -> Case:
        for what in ("definitions", "statements"):
            for place in range(len(getattr(case, what))):
                case = self._less_of(case, what, place)
        return case

    def _less_of(self, case: Case, what: str, place: int) -> Case:
        number = 0
        while time.monotonic() < self._until:
            parts = getattr(case, what)
            part = parts[place]
            text = part.query if isinstance(part, TViewText) else part
            edited = _edited(text, number)
            if edited is None:
                break
            number += 1
            if edited == text:
                continue
            shorter = replace(part, query=edited) if isinstance(part, TViewText) else edited
            attempt = replace(case, **{what: (*parts[:place], shorter, *parts[place + 1 :])})
            if self._try(attempt):
                case = attempt
                number -= 1
        return case


def _edited(text: str, number: int) -> str | None:
    """Return a text after the edit with a number; None if it has no so many."""
    import postgast

    try:
        tree = postgast.parse(text)
    except postgast.PgQueryError:
        return None
    edits = list(_edits(tree))
    if number >= len(edits):
        return None
    edits[number]()
    try:
        return postgast.deparse(tree)
    except postgast.PgQueryError:
        return text


def _edits(message: Any) -> Iterator[Callable[[], None]]:
    """Yield what can be cut, the largest pieces first."""
    pending = [message]
    while pending:
        current = pending.pop(0)
        for descriptor, value in current.ListFields():
            if descriptor.message_type is None:
                continue
            if hasattr(value, "ListFields"):
                if descriptor.name in _OPTIONAL:
                    yield _clearing(current, descriptor.name)
                pending.append(value)
            else:
                if descriptor.name in _LISTS:
                    yield from _shortenings(descriptor.name, value)
                pending.extend(value)
        yield from _replacements(current)


def _shortenings(name: str, values: Any) -> Iterator[Callable[[], None]]:
    # A query without outputs would be SQL, but no query to keep.
    if len(values) > (name in ("target_list", "table_elts")):
        for place in range(len(values)):
            yield _deleting(values, place)


def _replacements(message: Any) -> Iterator[Callable[[], None]]:
    """Yield how a part can take the place of the whole."""
    if message.DESCRIPTOR.name == "Node":
        kind = message.WhichOneof("node")
        for name in _HOISTED.get(kind or "", ()):
            below = getattr(getattr(message, kind), name)
            for child in [below] if hasattr(below, "ListFields") else below:
                if child.WhichOneof("node"):
                    yield _hoisting(message, child)
    if message.DESCRIPTOR.name == "SelectStmt" and message.HasField("larg"):
        yield _hoisting(message, message.larg)
        yield _hoisting(message, message.rarg)


def _clearing(message: Any, name: str) -> Callable[[], None]:
    return lambda: message.ClearField(name)


def _deleting(values: Any, place: int) -> Callable[[], None]:
    def edit() -> None:
        del values[place]

    return edit


def _hoisting(message: Any, child: Any) -> Callable[[], None]:
    return lambda: message.CopyFrom(deepcopy(child))
