"""SELECT: its clauses, its groups and its output columns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django_tviews.errors import DependencyResolutionFailed, InvalidQuery

from .canonical import output_name
from .constructs import refuse
from .grouping import Grouping, expressions_of, grouping_sets, has_grouping_sets
from .ordering import named_expression, settle_order
from .recursion import refers_to_itself
from .scope import Block, Cte, Scope
from .syntax import Node, kind, names, position, same
from .tree import Expression, Output

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .builder import Builder


class Selects:
    """Binds the SELECTs of one query."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def bind(self, select: Node, scope: Scope) -> Block:
        """Bind one SELECT whose surroundings are in ``scope.outer``; return its outputs."""
        self._refuse_clauses(select)
        if select.HasField("with_clause"):
            self._bind_ctes(select.with_clause, scope)
        if select.HasField("larg"):
            return self._builder.set_operations.bind(select, scope)
        if select.values_lists:
            return self._values(select, scope)
        grouped = self.is_grouped(select)
        self.bind_rows(select, scope)
        self._builder.windows.bind(select, scope)
        self._builder.computed.bind_select_list(select, scope)
        if scope.unnested and has_grouping_sets(select.group_clause):
            refuse("grouping-sets", "this grouping", position=position(select))
        self.bind_groups(select, scope)
        self._bind_items([*select.sort_clause, *select.distinct_clause], select, scope)
        beyond_limit = self.bind_limit(select, scope) and not self._builder.limits.bind(
            select, scope
        )
        settle_order(self._builder, select, scope)
        barriers = self._barriers(select, beyond_limit=beyond_limit)
        outputs = [
            output
            for target, barrier in zip(select.target_list, barriers, strict=True)
            for output in self._outputs(target.res_target, scope, select, barrier)
        ]
        rows: frozenset[int] | None = frozenset()
        for item in scope.items:
            rows = None if rows is None or item.rows is None else rows | item.rows
        if select.distinct_clause:
            outputs = self._builder.looks.merged(outputs, self._distinct_on(select), scope)
        return Block(outputs, None if grouped or select.distinct_clause else rows)

    def bind_groups(self, select: Node, scope: Scope) -> None:
        """Bind GROUP BY and HAVING."""
        items = expressions_of(select.group_clause)
        scope.grouping, grouping = None, scope.grouping
        self._bind_items(items, select, scope)
        scope.grouping = grouping
        if self.is_grouped(select):
            scope.grouped_by = [self._grouped_by(node, select, scope) for node in items]
        if select.HasField("having_clause"):
            self._builder.expressions.bind(select.having_clause, scope)

    def bind_again(self, select: Node, scope: Scope, computed: Iterable[Node]) -> Scope:
        """Add the rows of a SELECT once more, as a sublink: any of them may matter to each of them.

        Args:
            select: the SELECT.
            scope: its own.
            computed: what is computed of these rows besides FROM, WHERE, GROUP BY and HAVING.

        Returns:
            The scope in which they stand.
        """
        inner = Scope(
            outer=scope.outer,
            ctes=scope.ctes,
            sublinks=self._builder.inside(scope),
            outer_joins=scope.outer_joins,
        )
        self.bind_rows(select, inner)
        self.bind_groups(select, inner)
        for node in computed:
            self._builder.expressions.bind(node, inner)
        return inner

    def _values(self, select: Node, scope: Scope) -> Block:
        limited = self.bind_limit(select, scope)
        if limited or (scope.rows_in_order and len(select.values_lists) > 1):
            refuse("open-order", "a part of VALUES", position=position(select))
        columns = self._builder.computed.bind_values(select, scope)
        return Block([column.output for column in columns], rows=None)

    def bind_limit(self, select: Node, scope: Scope) -> bool:
        """Bind LIMIT and OFFSET; tell whether there is one."""
        limits = [each for each in (select.limit_count, select.limit_offset) if kind(each)]
        for limit in limits:
            self._builder.expressions.bind(limit, scope)
        return bool(limits)

    def bind_rows(self, select: Node, scope: Scope) -> None:
        """Bind FROM and WHERE."""
        sets: tuple[tuple[Node, ...], ...] = ()
        taken = 0
        if has_grouping_sets(select.group_clause):
            sets = grouping_sets(select.group_clause)
            taken = self._builder.branches.choose(len(sets))
        elif not select.group_clause and self.is_grouped(select):
            sets = ((),)
        if sets and not sets[taken]:
            # One group, whatever there is to group.
            way = self._builder.elsewhere if len(sets) > 1 else self._builder.inside
            scope.sublinks = way(scope)
        for item in select.from_clause:
            self._builder.from_clause.bind(item, scope, scope.outer_joins)
        if select.HasField("where_clause"):
            self._builder.predicates.conjuncts(select.where_clause, scope, prove=True)
        if has_grouping_sets(select.group_clause):
            named = tuple(
                tuple(self._grouped_by(node, select, scope) for node in each) for each in sets
            )
            scope.grouping = Grouping(named, taken)

    def _grouped_by(self, node: Node, select: Node, scope: Scope) -> Node:
        if self.names_output(node, select, scope):
            return named_expression(node, select)
        return node

    def _bind_items(self, items: Iterable[Node], select: Node, scope: Scope) -> None:
        """Bind the items of a clause that may name output columns instead."""
        for node in items:
            if not self.names_output(node, select, scope):
                self._builder.expressions.bind(node, scope)

    def groups(self, select: Node, scope: Scope) -> list[Node] | None:
        """Return what the rows of a SELECT are grouped by; None if they are not."""
        if not self.is_grouped(select):
            return None
        return [self._grouped_by(node, select, scope) for node in select.group_clause]

    def _refuse_clauses(self, select: Node) -> None:
        if select.locking_clause:
            refuse("row-locking", "FOR UPDATE or FOR SHARE")
        if select.HasField("into_clause"):
            refuse("select-into", "INTO")

    def _bind_ctes(self, clause: Node, scope: Scope) -> None:
        scope.ctes = dict(scope.ctes)
        for node in clause.ctes:
            cte = node.common_table_expr
            if kind(cte.ctequery) != "select_stmt":
                refuse("modifying-cte", f"WITH {cte.ctename}", position=position(cte))
            recursive = bool(clause.recursive) and refers_to_itself(cte)
            scope.ctes[cte.ctename] = Cte(cte, dict(scope.ctes), scope.outer, recursive=recursive)

    def _barriers(self, select: Node, *, beyond_limit: bool) -> list[str]:
        """Name for each item of the select list what keeps single rows from telling its value.

        LIMIT may make all of them depend on rows that no condition ties together. DISTINCT ON shows
        the first row of a group, but what it groups by is the same in all of them.
        """
        if beyond_limit:
            return ["LIMIT"] * len(select.target_list)
        grouped_by = self._distinct_on(select)
        if grouped_by is None:
            return [""] * len(select.target_list)
        return [
            "" if any(same(target.res_target.val, node) for node in grouped_by) else "DISTINCT ON"
            for target in select.target_list
        ]

    @staticmethod
    def _distinct_on(select: Node) -> list[Node] | None:
        """Return the expressions of DISTINCT ON; None if there are none."""
        if not any(kind(node) for node in select.distinct_clause):
            return None
        return [named_expression(node, select) for node in select.distinct_clause]

    def is_grouped(self, select: Node) -> bool:
        """Tell whether rows of a SELECT stand for groups of rows."""
        return bool(
            select.group_clause
            or select.HasField("having_clause")
            or any(
                self._builder.expressions.contains_aggregate(target)
                for target in select.target_list
            )
        )

    @staticmethod
    def _has_rows(select: Node, scope: Scope) -> bool:
        """Tell whether groups have at least one row."""
        if scope.grouping is not None and scope.grouping.may_have_no_row:
            return False
        return bool(select.group_clause)

    def names_output(self, node: Node, select: Node, scope: Scope) -> bool:
        """Tell whether an item of ORDER BY, GROUP BY or DISTINCT ON stands for an output column.

        It does as a number, as a name that no column in FROM has, or as the empty item of a
        plain DISTINCT.
        """
        inner = node.sort_by.node if kind(node) == "sort_by" else node
        if kind(inner) in ("", "a_const"):
            return True
        if kind(inner) != "column_ref" or len(inner.column_ref.fields) > 1:
            return False
        name = names(inner.column_ref.fields)
        return (
            any(output_name(target.res_target) == name[0] for target in select.target_list)
            and scope.own_column(name, None) is None
        )

    def _outputs(self, target: Node, scope: Scope, select: Node, barrier: str) -> Iterable[Output]:
        if kind(target.val) == "column_ref" and names(target.val.column_ref.fields)[-1] == "*":
            yield from self._expanded_star(target.val.column_ref, scope, barrier)
            return
        name = output_name(target)
        if name is None:
            raise InvalidQuery("An output column has no name.", hint="Give it one with AS.")
        expression = self._builder.expressions.bind(target.val, scope)
        yield Output(
            name,
            Expression(expression.parts, expression.opaque or barrier),
            # Without GROUP BY an aggregate may find no row at all.
            self._builder.nullability.of(target.val, scope, self._has_rows(select, scope)),
            self._builder.types.of(target.val, scope),
            self._builder.looks.one_look(target.val, scope),
            self._builder.looks.open(target.val, scope),
        )

    def _expanded_star(self, reference: Node, scope: Scope, barrier: str) -> Iterable[Output]:
        qualifier = names(reference.fields)[:-1]
        if len(qualifier) > 1 or scope.merged:
            refuse("star", deparse_expression_of(reference), position=position(reference))
        items = [
            item
            for item in scope.items
            if item.alias and (not qualifier or item.alias == qualifier[0])
        ]
        if not items:
            raise DependencyResolutionFailed(
                f'Nothing in FROM is called "{qualifier[0]}".' if qualifier else "* needs a FROM.",
                hint="Check the aliases of the query.",
            )
        for item in items:
            for column in item.columns:
                self._builder.note_read(column.expression)
                opaque = column.expression.opaque or barrier
                yield replace(
                    column.output,
                    expression=Expression(column.expression.parts, opaque),
                    nullable=self._builder.nullability.of_column(column, scope),
                )


def deparse_expression_of(reference: Node) -> str:
    """Write a column reference that stands outside a ``Node`` wrapper."""
    return ".".join(names(reference.fields))
