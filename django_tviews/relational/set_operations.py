"""UNION, INTERSECT and EXCEPT: which branch a row comes from, and what type its columns have.

Each branch becomes an :class:`~.tree.Alternative` of its own, which reads the output columns off
that branch. In every alternative all branches are walked through, so that occurrences have the
same numbers; a branch that is not taken counts as a subquery about which nothing is asked.

INTERSECT and EXCEPT show rows of their left side. A row of the right side decides about one of
the left side that has equal values, so the values of the right side stand for it; but only to
follow changes of the right side itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_tviews.sqltypes import same_type

from .constructs import refuse
from .ordering import settle_order_of_rows
from .scope import Block, Scope
from .syntax import Node, kind, position
from .tree import Expression, Output

if TYPE_CHECKING:
    from .builder import Builder

_TITLES = ("", "", "UNION", "INTERSECT", "EXCEPT")
_UNION, _INTERSECT, _EXCEPT = 2, 3, 4


class SetOperations:
    """Binds the set operations of one query."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def bind(self, select: Node, scope: Scope) -> Block:
        """Bind both sides of a set operation; return the outputs of the side that is taken."""
        title = _TITLES[select.op]
        taken = self._builder.branches.choose(2)
        sides = [
            self._side(side, scope, taken=place == taken, shows=place == 0 or select.op == _UNION)
            for place, side in enumerate((select.larg, select.rarg))
        ]
        for node in select.sort_clause:
            if kind(node.sort_by.node) not in ("a_const", "column_ref"):
                refuse("unknown-syntax", f"ORDER BY of a {title}", position=position(node))
        limited = self._builder.selects.bind_limit(select, scope)
        settle_order_of_rows(title, select, len(sides[0].outputs), scope)
        outputs = [
            self._output(select, pair, taken, "LIMIT" if limited else "")
            for pair in zip(sides[0].outputs, sides[1].outputs, strict=True)
        ]
        return Block(outputs, rows=None)

    def _side(self, select: Node, scope: Scope, *, taken: bool, shows: bool) -> Block:
        builder = self._builder
        before = len(builder.drafts)
        inner = Scope(
            outer=scope.outer,
            ctes=scope.ctes,
            sublinks=scope.sublinks if taken else builder.elsewhere(scope),
            outer_joins=scope.outer_joins,
        )
        if not taken:
            with builder.branches.not_taken():
                block = builder.selects.bind(select, inner)
            builder.leave_out(range(before, len(builder.drafts)))
            return block
        block = builder.selects.bind(select, inner)
        if not shows:
            builder.leave_out_all_but(range(before, len(builder.drafts)))
        return block

    def _output(
        self, select: Node, pair: tuple[Output, Output], taken: int, barrier: str
    ) -> Output:
        left, right = pair
        operation = select.op
        nullable = {
            _UNION: left.nullable or right.nullable,
            _INTERSECT: left.nullable and right.nullable,
            _EXCEPT: left.nullable,
        }[operation]
        expression = pair[taken].expression
        same = left.type if left.type and same_type(left.type, right.type) else ""
        if not expression.opaque and not same:
            expression = self._in_common_type(pair, taken, _TITLES[operation])
        opaque = expression.opaque or barrier
        # UNION ALL shows its rows as they are.
        merges = not (operation == _UNION and select.all)
        one_look = bool(same) and left.one_look and right.one_look
        open_look = (merges and not one_look) or left.open_look or right.open_look
        return Output(
            left.name, Expression(expression.parts, opaque), nullable, same, one_look, open_look
        )

    def _in_common_type(self, pair: tuple[Output, Output], taken: int, title: str) -> Expression:
        """Write the value of one side so that PostgreSQL finds the type as in the query.

        COALESCE resolves the type of its arguments as a set operation does, in the same order.
        """
        other = self._builder.expressions.nothing_of(pair[1 - taken].expression)
        if other is None:
            return Expression((), opaque=f"a {title} of columns whose common type is not known")
        value = pair[taken].expression.parenthesised().parts
        arguments = (value, other) if taken == 0 else (other, value)
        return Expression(("COALESCE(", *arguments[0], ", ", *arguments[1], ")"))
