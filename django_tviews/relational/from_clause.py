"""FROM: what a query reads, and how it joins it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django_tviews.errors import DependencyResolutionFailed
from django_tviews.facts import KINDS_WITH_TRIGGERS, ColumnFacts, RelationFacts, RelationKind

from .constructs import refuse
from .scope import Block, BoundColumn, Item, Merged, Scope
from .syntax import Node, content, kind, names, parse_select, position
from .tree import HIDDEN, ColumnOf, Expression, Output, Presence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .builder import Builder


class FromClause:
    """Binds the FROM items of one query."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def bind(self, node: Node, scope: Scope, outer_joins: frozenset[int]) -> list[Item]:
        """Bind a FROM item and return the items it adds to the scope."""
        match kind(node):
            case "range_var":
                items = [self._relation(node.range_var, scope, outer_joins)]
            case "range_subselect":
                items = [self._subselect(node.range_subselect, scope, outer_joins)]
            case "join_expr":
                return self._join(node.join_expr, scope, outer_joins)
            case "range_function":
                computed = self._builder.computed
                items = [computed.bind_functions(node.range_function, scope, outer_joins)]
            case "range_table_sample":
                refuse("tablesample", "TABLESAMPLE", position=position(node))
            case other:
                refuse("unknown-syntax", other.replace("_", " "), position=position(node))
        scope.items.extend(items)
        return items

    def _relation(self, node: Node, scope: Scope, outer_joins: frozenset[int]) -> Item:
        alias = node.alias.aliasname or node.relname
        if not node.schemaname and node.relname in scope.ctes:
            return self._cte(alias, node, scope, outer_joins)
        relation = self._builder.facts.relations.get((node.schemaname or None, node.relname))
        if relation is None:
            raise DependencyResolutionFailed(
                f"The query reads {node.relname!r}, which does not exist.",
                hint="Check the name and the search_path, and that its migration comes first.",
                relation=node.relname,
            )
        if not node.inh and relation.kind in (RelationKind.VIEW, RelationKind.PARTITIONED_TABLE):
            refuse("unknown-syntax", f"ONLY {relation.full_name}", position=position(node))
        if relation.kind is RelationKind.VIEW:
            return self._helper_view(node, relation, scope, outer_joins)
        for target in relation.targets:
            if target.kind not in KINDS_WITH_TRIGGERS:
                refuse(
                    "relation-kind",
                    f"{target.full_name} ({target.kind})",
                    position=position(node),
                )
        if relation.row_security:
            refuse("row-security", relation.full_name, position=position(node))
        draft = self._builder.draft(relation, scope, outer_joins)
        column_names = names(node.alias.colnames)
        columns = [
            BoundColumn(
                column_names[place] if place < len(column_names) else column.name,
                Expression((ColumnOf(draft.number, column.name),)),
                nullable=not column.not_null or bool(outer_joins),
                facts=column,
                type=column.type,
                one_look=column.one_look,
            )
            for place, column in enumerate(relation.columns)
        ]
        return Item(alias, columns, frozenset({draft.number}))

    def _cte(self, alias: str, node: Node, scope: Scope, outer_joins: frozenset[int]) -> Item:
        cte = scope.ctes[node.relname]
        inner = Scope(
            outer=cte.outer, ctes=cte.visible, sublinks=scope.sublinks, outer_joins=outer_joins
        )
        column_names = _renamed(node, names(cte.node.aliascolnames))
        if cte.shown is not None:
            outputs = [
                Output(
                    each.name,
                    each.expression,
                    each.nullable,
                    each.type,
                    each.one_look,
                    each.open_look,
                )
                for each in cte.shown
            ]
            return self._item(alias, Block(outputs, rows=None), inner, column_names)
        if cte.recursive:
            block = self._builder.recursion.bind(cte, inner)
            return self._item(alias, block, inner, column_names)
        return self._derived(alias, cte.node.ctequery.select_stmt, inner, column_names)

    def _helper_view(
        self, node: Node, relation: RelationFacts, scope: Scope, outer_joins: frozenset[int]
    ) -> Item:
        inner = Scope(sublinks=scope.sublinks, outer_joins=outer_joins)
        column_names = _renamed(node, tuple(column.name for column in relation.columns))
        alias = node.alias.aliasname or node.relname
        definition = parse_select(relation.definition or "")
        return self._derived(alias, definition, inner, column_names)

    def _subselect(self, node: Node, scope: Scope, outer_joins: frozenset[int]) -> Item:
        # Without LATERAL the items beside it are invisible, those around the SELECT are not.
        outer = scope if node.lateral else scope.outer
        inner = Scope(
            outer=outer, ctes=scope.ctes, sublinks=scope.sublinks, outer_joins=outer_joins
        )
        column_names = names(node.alias.colnames)
        return self._derived(node.alias.aliasname, content(node.subquery), inner, column_names)

    def _derived(
        self, alias: str, select: Node, inner: Scope, column_names: tuple[str, ...]
    ) -> Item:
        return self._item(alias, self._builder.selects.bind(select, inner), inner, column_names)

    def _item(self, alias: str, block: Block, inner: Scope, column_names: tuple[str, ...]) -> Item:
        columns = [
            BoundColumn(
                column_names[place] if place < len(column_names) else output.name,
                self._if_present(output.expression, inner.outer_joins),
                output.nullable or bool(inner.outer_joins),
                self._facts(output.expression),
                output.type,
                output.one_look,
                output.open_look,
            )
            for place, output in enumerate(block.outputs)
        ]
        return Item(alias, columns, block.rows)

    def _facts(self, expression: Expression) -> ColumnFacts | None:
        base = replace(expression, opaque="").column
        if base is None:
            return None
        return self._builder.facts_of(base)

    def _if_present(self, expression: Expression, outer_joins: frozenset[int]) -> Expression:
        """What a FROM item shows of an expression: NULL where an outer join misses the item.

        A column of a row on the same nullable sides is NULL there by itself.
        """
        column = expression.column
        if not outer_joins:
            return expression
        if column is not None:
            own = self._builder.drafts[column.occurrence - 1].outer_joins
            if outer_joins <= own:
                return expression
        parts = ("CASE WHEN ", Presence(outer_joins), " THEN ", *expression.parts, " END")
        return Expression(parts, expression.opaque)

    def _join(self, node: Node, scope: Scope, outer_joins: frozenset[int]) -> list[Item]:
        from postgast import pg_query_pb2

        if node.HasField("alias") or node.HasField("join_using_alias"):
            refuse("unknown-syntax", "an alias of a whole join", position=position(node))
        left_joins = right_joins = outer_joins
        if node.jointype in (pg_query_pb2.JOIN_RIGHT, pg_query_pb2.JOIN_FULL):
            left_joins = self._builder.nullable_side(outer_joins)
        if node.jointype in (pg_query_pb2.JOIN_LEFT, pg_query_pb2.JOIN_FULL):
            right_joins = self._builder.nullable_side(outer_joins)
        left = self.bind(node.larg, scope, left_joins)
        right = self.bind(node.rarg, scope, right_joins)
        inside = left_joins | right_joins
        full = node.jointype == pg_query_pb2.JOIN_FULL
        on_scope = replace(
            scope, outer_joins=inside, full=inside - outer_joins if full else frozenset()
        )
        shared = names(node.using_clause)
        if node.is_natural:
            known = {column.name for item in left for column in item.columns}
            shared = tuple(
                column.name for item in right for column in item.columns if column.name in known
            )
        if any(name.startswith(HIDDEN) for name in shared):
            raise DependencyResolutionFailed(
                "NATURAL JOIN would compare the hidden columns of two TViews.",
                hint="Write the join condition with ON, or name the columns with USING.",
            )
        for name in shared:
            self._merge(name, node, left, right, on_scope)
        if kind(node.quals):
            prove = inside == scope.outer_joins
            self._builder.predicates.conjuncts(node.quals, on_scope, prove=prove)
        return left + right

    def _merge(
        self,
        name: str,
        node: Node,
        left: list[Item],
        right: list[Item],
        scope: Scope,
    ) -> None:
        """Add the equality that JOIN USING demands of a column, and the column it shows."""
        from postgast import pg_query_pb2

        first = _only(left, name, scope.merged)
        second = _only(right, name, scope.merged)
        if first is None or second is None:
            raise DependencyResolutionFailed(
                f'JOIN USING ("{name}"): not exactly one column of that name on each side.',
                hint="Write the join condition with ON.",
            )
        expressions = self._builder.expressions
        expressions.refuse_foreign_equality("JOIN USING", (first, second), position(node))
        self._builder.note_read(first.expression)
        self._builder.note_read(second.expression)
        equated = (first.expression, second.expression)
        equality = expressions.compared(("pg_catalog", "="), [equated[0]], [equated[1]])
        self._builder.predicates.condition(equality, equated, scope, scope.outer_joins)
        shown = first
        if node.jointype == pg_query_pb2.JOIN_RIGHT:
            shown = second
        if node.jointype == pg_query_pb2.JOIN_FULL:
            merged = ("COALESCE(", *first.expression.parts, ", ", *second.expression.parts, ")")
            shown = BoundColumn(
                name,
                Expression(merged, equality.opaque),
                nullable=True,
                type=first.type if first.type == second.type else "",
                one_look=first.one_look and second.one_look and first.type == second.type,
                open_look=first.open_look or second.open_look,
            )
        scope.merged.append(Merged(replace(shown, name=name), left + right))


def _renamed(item: Node, column_names: tuple[str, ...]) -> tuple[str, ...]:
    """The column names of a FROM item, whose alias may rename the first of them."""
    renamed = names(item.alias.colnames)
    return renamed + column_names[len(renamed) :]


def _only(items: list[Item], name: str, merged: Iterable[Merged]) -> BoundColumn | None:
    """The one column of that name on one side of a JOIN USING, if it is one."""
    found = [column for item in items if (column := item.column(name)) is not None]
    if len(found) == 1:
        return found[0]
    for each in merged:
        if each.column.name == name and all(item in items for item in each.items):
            found = [each.column]
    return found[0] if len(found) == 1 else None
