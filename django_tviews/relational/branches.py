"""Which branch of each set operation an alternative of a query takes.

A query is built once for each :class:`~.tree.Alternative`. On its way through the text the builder
asks here at every fork; the answers are remembered, so that the next time it takes another way.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from .constructs import refuse

if TYPE_CHECKING:
    from collections.abc import Iterator

# More flat queries than this have more routes than anybody wants to have maintained.
LIMIT = 64


class Branches:
    """The ways through a query, taken one after the other, in reading order."""

    def __init__(self) -> None:
        self._taken: list[int] = []
        self._offered: list[int] = []
        self._place = 0
        self._ways = 0
        self._off_the_way = 0

    def start(self) -> None:
        """Begin at the top of the query again."""
        self._place = 0
        self._ways += 1

    def choose(self, branches: int) -> int:
        """Return which of several branches to take; the first where none is being taken at all."""
        if self._off_the_way:
            return 0
        if self._place == len(self._taken):
            self._taken.append(0)
            self._offered.append(branches)
        self._place += 1
        return self._taken[self._place - 1]

    @contextmanager
    def not_taken(self) -> Iterator[None]:
        """Walk through a branch that is only looked at."""
        self._off_the_way += 1
        yield
        self._off_the_way -= 1

    def another(self) -> bool:
        """Turn to the next way; tell whether there is one.

        Raises:
            UnsupportedQuery: there are too many.
        """
        while self._taken and self._taken[-1] + 1 == self._offered[-1]:
            self._taken.pop()
            self._offered.pop()
        if not self._taken:
            return False
        if self._ways == LIMIT:
            refuse("too-many-branches", f"more than {LIMIT} ways through set operations")
        self._taken[-1] += 1
        return True
