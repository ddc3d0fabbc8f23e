"""LIMIT: which rows take part in whether a row shows.

    FROM post CROSS JOIN LATERAL (
        SELECT * FROM comment WHERE comment.post_id = post.id ORDER BY likes, id LIMIT 3) AS top

Whether a row is among the first few depends on all the others that the SELECT finds beside it, as
the value of `row_number()` over them would. So it is flattened as a window function without
PARTITION BY is: the FROM items of the SELECT are added again, as a sublink. In LATERAL its
conditions tie these rows to the row that they are looked for; then a change of one of them leads to
that row, and from there to all that show beside it.

Elsewhere nothing ties them, and what shows through the LIMIT leads nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .ordering import named_expression
from .syntax import Node, kind
from .windows import window_calls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .builder import Builder
    from .scope import Scope


class Limits:
    """Binds the limits of one query."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def bind(self, select: Node, scope: Scope) -> bool:
        """Add the rows that take part in a LIMIT; tell whether they are all there is to it.

        Windows and functions that give rows order and count more than the rows of FROM. In a
        sublink nothing that shows leads to a key.
        """
        lateral = scope.outer is not None and not self._builder.in_sublink(scope)
        if not lateral or scope.unnested or any(window_calls(select)):
            return False
        self._builder.selects.bind_again(select, scope, self._decides(select))
        if not scope.sublinks:
            self._builder.partitions.append(frozenset(scope.columns_around()))
        return True

    @staticmethod
    def _decides(select: Node) -> Iterable[Node]:
        """Yield what decides about the order of the rows, and about which there are."""
        items = [*select.sort_clause, *select.distinct_clause]
        for item in items:
            node = item.sort_by.node if kind(item) == "sort_by" else item
            if kind(node):
                yield named_expression(node, select)
        if select.distinct_clause:
            for target in select.target_list:
                yield target.res_target.val
