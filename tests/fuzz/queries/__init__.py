"""A grammar of SELECT: what the compiler should keep, and some of what it should refuse.

A query is written from the inside out: FROM items, which may be queries themselves, then
predicates and outputs over the fields they show. The grammar knows which fields identify a row,
so that most queries have a key.
"""

from __future__ import annotations

from .from_items import FromItems
from .groups import Groups
from .parts import Select, relation_of
from .predicates import Predicates
from .sets import Sets
from .shortcuts import Shortcuts
from .sublinks import Sublinks
from .values import Values
from .whole import WholeQueries
from .windows import Windows

__all__ = ["QueryWriter", "Select", "relation_of"]


class QueryWriter(
    WholeQueries, Shortcuts, Sets, FromItems, Predicates, Sublinks, Values, Groups, Windows
):
    """Writes random queries over given relations.

    Args:
        random: where choices come from.
        relations: what can be read.
    """
