"""Window functions: which rows take part in the value that a row shows.

The value of a window function over a row depends on the rows of its partition. So it is what a
subquery computes, over the FROM items of the SELECT once more, tied to the row by equal values in
PARTITION BY. That is how windows are flattened: each partitioning adds the FROM items again, as a
sublink whose rows satisfy the WHERE of the SELECT. Without PARTITION BY nothing ties them, and
every row takes part everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .syntax import Node, calls, same
from .tree import Expression

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .builder import Builder
    from .scope import Scope

# FRAMEOPTION_ constants of PostgreSQL's parsenodes.h.
_ROWS = 0x00004
_START_UNBOUNDED_PRECEDING = 0x00020
_END_UNBOUNDED_FOLLOWING = 0x00100
_EXCLUSION = 0x08000 | 0x10000 | 0x20000


@dataclass(frozen=True)
class Window:
    """What OVER says, with what the windows it refers to say.

    Attributes:
        partition: the expressions of PARTITION BY.
        order: the items of ORDER BY.
        frame: PostgreSQL's frame options.
        named: it is, or refers to, a window of the WINDOW clause.
    """

    partition: list[Node] = field(default_factory=list)
    order: list[Node] = field(default_factory=list)
    frame: int = 0
    named: bool = False

    @property
    def excludes(self) -> bool:
        """The frame leaves out the current row, or rows tied with it."""
        return bool(self.frame & _EXCLUSION)

    @property
    def counts_rows(self) -> bool:
        """Of rows tied in the ORDER BY some may be in the frame and some not."""
        everything = _START_UNBOUNDED_PRECEDING | _END_UNBOUNDED_FOLLOWING
        return bool(self.frame & _ROWS) and (self.frame & everything != everything or self.excludes)

    @property
    def starts_with_the_first(self) -> bool:
        """The first row of the frame is the first one of the partition."""
        return bool(self.frame & _START_UNBOUNDED_PRECEDING) and not self.excludes


def window_calls(select: Node) -> Iterable[Node]:
    """Yield the calls of window functions at the level of a SELECT."""
    for clause in (select.target_list, select.sort_clause, select.distinct_clause):
        for node in clause:
            for call in calls(node):
                if call.HasField("over"):
                    yield call


def window_of(call: Node, select: Node) -> Window:
    """Return what the OVER clause of a call stands for."""
    named = {node.window_def.name: node.window_def for node in select.window_clause}
    return _window(call.over, call.over.name or call.over.refname, named)


def _window(definition: Node, name: str, named: dict[str, Node]) -> Window:
    inherited = _window(named[name], named[name].refname, named) if name else Window()
    referred = bool(definition.name) and definition is not named.get(definition.name)
    return Window(
        inherited.partition or list(definition.partition_clause),
        list(definition.order_clause) or inherited.order,
        inherited.frame if referred else definition.frame_options,
        named=bool(name),
    )


class Windows:
    """Binds the windows of one query."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def bind(self, select: Node, scope: Scope) -> None:
        """Add the rows that take part in the window functions of a SELECT."""
        for node in select.window_clause:
            for item in (*node.window_def.partition_clause, *node.window_def.order_clause):
                self._builder.expressions.bind(item, scope)
        partitionings: list[tuple[list[Node], list[Node]]] = []
        for call in window_calls(select):
            window = window_of(call, select)
            computed = [*call.args, *window.order]
            if call.HasField("agg_filter"):
                computed.append(call.agg_filter)
            for partition, nodes in partitionings:
                if _same_list(window.partition, partition):
                    nodes.extend(computed)
                    break
            else:
                partitionings.append((window.partition, computed))
        for partition, computed in partitionings:
            self._bind_partition(partition, computed, select, scope)

    def _bind_partition(
        self, partition: list[Node], computed: list[Node], select: Node, scope: Scope
    ) -> None:
        """Add the rows of a partition, and what is computed of each of them."""
        builder = self._builder
        before = len(builder.drafts)
        inner = builder.selects.bind_again(select, scope, computed)
        own = range(before, len(builder.drafts))
        for node in partition:
            self._tie(node, own, scope, inner)
        if not scope.sublinks:
            columns = (builder.expressions.bind(node, scope).column for node in partition)
            builder.partitions.append(frozenset(each for each in columns if each is not None))

    def _tie(self, node: Node, own: range, scope: Scope, inner: Scope) -> None:
        """Demand that two rows are in one partition, as far as an expression of it decides that."""
        builder = self._builder
        pair = tuple(builder.expressions.bind(node, side) for side in (scope, inner))
        first, second = pair
        column = builder.expressions.column(node, scope)
        if column is None or column.facts is None or not column.facts.type:
            # Whatever the type is, records know how to compare it, NULLs included.
            parts = ("CAST(ROW(", *first.parts, ") AS record) OPERATOR(pg_catalog.=) ")
            parts += ("CAST(ROW(", *second.parts, ") AS record)")
            tie = Expression(parts, first.opaque or second.opaque)
            builder.predicates.condition(tie, None, inner, scope.outer_joins)
            return
        nullable = builder.nullability.of(node, scope, False)
        if nullable and builder.branches.choose(2) == 1:
            builder.leave_out_all_but(own)
            parts = (*first.parts, " IS NULL AND ", *second.parts, " IS NULL")
            tie = Expression(parts, first.opaque or second.opaque)
            builder.predicates.condition(tie, None, inner, scope.outer_joins)
            return
        schema = builder.facts.equality_schemas.get(column.facts.type, "pg_catalog")
        tie = builder.expressions.compared((schema, "="), [first], [second])
        builder.predicates.condition(tie, (first, second), inner, scope.outer_joins)


def _same_list(first: list[Node], second: list[Node]) -> bool:
    return len(first) == len(second) and all(map(same, first, second))
