"""WITH RECURSIVE: kept, but only by rebuilding.

A row may be made of any number of rows of the same relation, so no join of a fixed length leads
from one of them to the key. The terms are bound like subqueries whose columns no single row tells:
every construct in them is checked, what they read is a source, and a change of it has no route.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .constructs import refuse
from .scope import Block, BoundColumn, Cte, Scope
from .syntax import Node, children, names, position
from .tree import Expression, Output

if TYPE_CHECKING:
    from .builder import Builder

_OPAQUE = "WITH RECURSIVE"


class Recursion:
    """Binds the recursive CTEs of one query."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def bind(self, cte: Cte, scope: Scope) -> Block:
        """Bind the terms of a recursive CTE; return its outputs.

        Args:
            cte: which.
            scope: where it is read.
        """
        node = cte.node
        if node.HasField("search_clause") or node.HasField("cycle_clause"):
            refuse("unknown-syntax", "SEARCH or CYCLE", position=position(node))
        select = node.ctequery.select_stmt
        if not select.HasField("larg") or select.sort_clause or select.limit_option > 1:
            refuse("unknown-syntax", f"WITH RECURSIVE {node.ctename}", position=position(node))
        builder = self._builder
        inside = builder.inside(scope)
        before = len(builder.drafts)
        # No branch is taken and none left out: what any of them reads may affect everything.
        with builder.branches.not_taken():
            first = builder.selects.bind(select.larg, _term(cte.visible, inside, scope))
            shown = self._shown(cte, first.outputs, merges=not select.all)
            while True:
                visible = {**cte.visible, node.ctename: Cte(node, cte.visible, shown=shown)}
                mark = builder.mark()
                again = builder.selects.bind(select.rarg, _term(visible, inside, scope))
                worse = [
                    replace(
                        column,
                        nullable=column.nullable or output.nullable,
                        open_look=column.open_look or output.open_look,
                    )
                    for column, output in zip(shown, again.outputs, strict=True)
                ]
                if worse == shown:
                    break
                # What this term shows to itself is less certain than it seemed.
                shown = worse
                builder.rewind(mark)
        builder.keep_all(range(before, len(builder.drafts)))
        return Block([column.output for column in shown], rows=None)

    def _shown(self, cte: Cte, outputs: list[Output], *, merges: bool) -> list[BoundColumn]:
        """What a recursive term sees of the CTE, as far as the other one tells.

        The two have the same types and collations.
        """
        renamed = names(cte.node.aliascolnames)
        return [
            BoundColumn(
                renamed[place] if place < len(renamed) else output.name,
                Expression((), _OPAQUE),
                output.nullable,
                type=output.type,
                one_look=output.one_look,
                open_look=output.open_look or (merges and not output.one_look),
            )
            for place, output in enumerate(outputs)
        ]


def refers_to_itself(cte: Node) -> bool:
    """Tell whether a CTE reads what has its name."""
    return _reads(cte.ctequery, cte.ctename)


def _reads(message: Node, name: str) -> bool:
    if message.DESCRIPTOR.name == "RangeVar":
        return not message.schemaname and bool(message.relname == name)
    return any(_reads(child, name) for child in children(message))


def _term(visible: dict[str, Cte], inside: tuple[int, ...], scope: Scope) -> Scope:
    return Scope(outer=scope.outer, ctes=visible, sublinks=inside, outer_joins=scope.outer_joins)
