"""GROUPING SETS, ROLLUP and CUBE: one grouping after the other.

A query with several grouping sets gives what a UNION ALL of queries with one GROUP BY each gives,
where the columns that a set leaves out are NULL. So each set makes an alternative of its own, in
which expressions over these columns, and GROUPING() over any, are computed as in that query.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain, combinations, product
from typing import TYPE_CHECKING

from .syntax import Node, content, kind, same
from .tree import Expression

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .scope import BoundColumn, Scope

_Set = tuple[Node, ...]


@dataclass(frozen=True)
class Grouping:
    """The grouping sets of a SELECT, and the one that an alternative takes.

    Attributes:
        sets: the expressions of each.
        taken: the place of the one taken.
    """

    sets: tuple[_Set, ...]
    taken: int

    @property
    def may_have_no_row(self) -> bool:
        """A set without expressions has a group even if there are no rows."""
        return any(not each for each in self.sets)

    def lacks(self, node: Node, scope: Scope) -> bool:
        """Tell whether an expression is grouped by, but not in the set that is taken."""
        return self._is_in(node, chain.from_iterable(self.sets), scope) and not self._is_in(
            node, self.sets[self.taken], scope
        )

    def may_lack(self, node: Node, scope: Scope) -> bool:
        """Tell whether an expression is grouped by, but not in every set."""
        found = [self._is_in(node, each, scope) for each in self.sets]
        return any(found) and not all(found)

    def level(self, arguments: Iterable[Node], scope: Scope) -> int:
        """Return what GROUPING() gives: a bit for each argument, set if the set lacks it."""
        number = 0
        for node in arguments:
            number = 2 * number + (not self._is_in(node, self.sets[self.taken], scope))
        return number

    def seen_from_below(self, column: BoundColumn, scope: Scope) -> BoundColumn:
        """Return a column as a subquery sees it: not at all, if the set that is taken lacks it."""
        for node in chain.from_iterable(self.sets):
            if kind(node) == "column_ref" and scope.resolve(node.column_ref) is column:
                lacking = "a column that a grouping set leaves out"
                opaque = lacking if self.lacks(node, scope) else column.expression.opaque
                nullable = column.nullable or self.may_lack(node, scope)
                expression = Expression(column.expression.parts, opaque)
                return replace(column, expression=expression, nullable=nullable)
        return column

    @staticmethod
    def _is_in(node: Node, expressions: Iterable[Node], scope: Scope) -> bool:
        if kind(node) != "column_ref":
            return any(same(node, each) for each in expressions)
        column = scope.resolve(node.column_ref)
        return any(
            kind(each) == "column_ref" and scope.resolve(each.column_ref) is column
            for each in expressions
        )


def has_grouping_sets(clause: Sequence[Node]) -> bool:
    """Tell whether GROUP BY has more than expressions."""
    return any(kind(node) == "grouping_set" for node in clause)


def expressions_of(clause: Iterable[Node]) -> list[Node]:
    """Return the expressions of GROUP BY, each as often as it is written."""
    return list(chain.from_iterable(chain.from_iterable(_expanded(node) for node in clause)))


def grouping_sets(clause: Sequence[Node]) -> tuple[_Set, ...]:
    """Return the sets that a GROUP BY stands for: every choice of one from each of its items."""
    return tuple(tuple(chain.from_iterable(choice)) for choice in product(*map(_expanded, clause)))


def _expanded(node: Node) -> list[_Set]:
    from postgast import pg_query_pb2

    if kind(node) != "grouping_set":
        return [_members(node)]
    items = list(content(node).content)
    match content(node).kind:
        case pg_query_pb2.GROUPING_SET_EMPTY:
            return [()]
        case pg_query_pb2.GROUPING_SET_ROLLUP:
            parts = [_members(item) for item in items]
            return [tuple(chain.from_iterable(parts[:size])) for size in range(len(parts), -1, -1)]
        case pg_query_pb2.GROUPING_SET_CUBE:
            parts = [_members(item) for item in items]
            return [
                tuple(chain.from_iterable(choice))
                for size in range(len(parts), -1, -1)
                for choice in combinations(parts, size)
            ]
        case _:
            return list(chain.from_iterable(_expanded(item) for item in items))


def _members(node: Node) -> _Set:
    """The expressions of ``(a, b)``, or the one."""
    from postgast import pg_query_pb2

    if kind(node) == "row_expr" and node.row_expr.row_format == pg_query_pb2.COERCE_IMPLICIT_CAST:
        return tuple(node.row_expr.args)
    return (node,)
