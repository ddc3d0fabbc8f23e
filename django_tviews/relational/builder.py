"""From canonical SQL and facts to the relational tree.

The builder walks a SELECT once, from the outside in. Every syntax node it meets is either known
to it or refused by name; nothing is accepted by falling through.

Sources: the parse nodes are those of PostgreSQL's ``parsenodes.h`` and ``primnodes.h``; names
are resolved as in ``parse_relation.c`` (innermost scope first).
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django_tviews.errors import DependencyResolutionFailed, InvalidQuery
from django_tviews.facts import ColumnFacts, Facts, RelationFacts, RelationKind, Volatility
from django_tviews.text import words

from . import functions
from .canonical import output_name
from .constructs import refuse, refuse_function
from .nullability import Nullability
from .ordering import settle_order, settle_order_of_rows
from .syntax import (
    Node,
    children,
    content,
    deparse_expression,
    deparse_select,
    kind,
    names,
    parse_select,
    position,
    wrapped,
)
from .tree import ColumnOf, Condition, Expression, Occurrence, Output, Presence, QueryTree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# A control character cannot come from a query: the parser would have refused it.
_PLACEHOLDER = re.compile('"\x01(\\d+)"')

_SYSTEM_COLUMNS = words(
    """
    cmax cmin ctid tableoid xmax xmin
    """
)

# Expression nodes that are nothing but their children.
_TRANSPARENT = words(
    """
    a_array_expr a_const a_indices a_indirection a_star bit_string bool_expr boolean
    boolean_test case_expr case_when coalesce_expr collate_clause float integer list
    min_max_expr named_arg_expr null_test row_expr sort_by string type_cast
    """
)


def build_tree(sql: str, facts: Facts) -> QueryTree:
    """Flatten a query into its relational tree.

    Args:
        sql: one SELECT; helper views are looked through by means of ``facts``.
        facts: the relations, views included, and the functions that the query names.

    Returns:
        The tree, every column bound to its occurrence.

    Raises:
        UnsupportedQuery: a construct that cannot be kept, by name.
        DependencyResolutionFailed: a relation or column that the facts do not know.
        InvalidQuery: the text is not one query, or its output columns have no names.
    """
    return Builder(facts).build(parse_select(sql))


def complete_order(sql: str, facts: Facts) -> str:
    """Make every ORDER BY that decides a result total, by adding primary keys to it.

    ``array_agg(name)`` has no defined order, so evaluating it twice may give two answers. Where
    the aggregated relation's key is known it is added, visibly: ``array_agg(name ORDER BY id)``.

    Args:
        sql: one SELECT.
        facts: the relations it names, as far as they are known.

    Returns:
        The canonical SQL with the additions, or of the query as it is.
    """
    select = parse_select(sql)
    Builder(facts, completing=True).build(select)
    return deparse_select(select)


@dataclass(frozen=True)
class BoundColumn:
    """A column as a FROM item shows it to the expressions around it."""

    name: str
    expression: Expression
    nullable: bool
    facts: ColumnFacts | None = None


@dataclass
class Item:
    """A FROM item: its name and its columns, in order."""

    alias: str
    columns: list[BoundColumn]
    # The occurrences whose rows make up its rows; None where groups stand for rows.
    rows: frozenset[int] | None

    def column(self, name: str) -> BoundColumn | None:
        """Return the column of that name."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass
class Merged:
    """The one column that JOIN USING shows for two, and the items it hides."""

    column: BoundColumn
    items: list[Item]


@dataclass
class Scope:
    """What one SELECT can name: its own FROM items, then those of the SELECTs around it."""

    items: list[Item] = field(default_factory=list)
    # Columns merged by JOIN USING, which hide those of the items; inner joins before outer ones.
    merged: list[Merged] = field(default_factory=list)
    outer: Scope | None = None
    ctes: dict[str, tuple[Node, dict[str, Any]]] = field(default_factory=dict)
    sublinks: tuple[int, ...] = ()
    outer_joins: frozenset[int] = frozenset()
    # In the ON clause of a FULL JOIN: its two sides.
    full: frozenset[int] = frozenset()
    # Which row comes first decides nothing here: EXISTS.
    order_matters: bool = True
    # The rows of this SELECT in their order are its value: ARRAY(SELECT ...).
    rows_in_order: bool = False
    # Columns that a top-level conjunct of WHERE proves to be not NULL.
    proven: list[BoundColumn] = field(default_factory=list)


@dataclass
class _Draft:
    """An occurrence while its columns are still being collected."""

    number: int
    alias: str
    relation: RelationFacts
    sublinks: tuple[int, ...]
    outer_joins: frozenset[int]
    columns: set[str] = field(default_factory=set)


@dataclass
class Block:
    """The outputs of one SELECT, and the occurrences whose rows make up its rows."""

    outputs: list[Output]
    rows: frozenset[int] | None


class Builder:
    """One walk over one query; use :func:`build_tree`."""

    def __init__(self, facts: Facts, *, completing: bool = False) -> None:
        self.facts = facts
        # Add to an open ORDER BY what makes it total, instead of refusing it.
        self.completing = completing
        self.drafts: list[_Draft] = []
        self.conditions: list[Condition] = []
        self.sublink_count = 0
        self.outer_join_count = 0
        self.nullability = Nullability(self)

    def build(self, select: Node) -> QueryTree:
        """Bind the outermost SELECT."""
        block = self.block(select, Scope())
        return QueryTree(
            occurrences=tuple(self._finished(draft) for draft in self.drafts),
            conditions=tuple(self.conditions),
            outputs=tuple(block.outputs),
            grouped=block.rows is None,
        )

    def _finished(self, draft: _Draft) -> Occurrence:
        columns = tuple(
            column.name for column in draft.relation.columns if column.name in draft.columns
        )
        return Occurrence(
            draft.number, draft.alias, draft.relation, columns, draft.sublinks, draft.outer_joins
        )

    # Blocks

    def block(self, select: Node, scope: Scope) -> Block:
        """Bind one SELECT whose surroundings are in ``scope.outer``; return its outputs."""
        self._refuse_clauses(select)
        if select.HasField("with_clause"):
            self._bind_ctes(select.with_clause, scope)
        if select.HasField("larg"):
            return self._set_operation(select, scope)
        grouped = self._is_grouped(select)
        if grouped and not select.group_clause:
            scope.sublinks = self._inside(scope)
        self._bind_rows(select, scope)
        barrier = self._barrier(select)
        for clause in (select.group_clause, select.sort_clause, select.distinct_clause):
            for node in clause:
                if not self.names_output(node, select, scope):
                    self.expression(node, scope)
        if select.HasField("having_clause"):
            self.expression(select.having_clause, scope)
        for limit in (select.limit_count, select.limit_offset):
            if kind(limit):
                self.expression(limit, scope)
        settle_order(self, select, scope)
        outputs = [
            output
            for target in select.target_list
            for output in self._outputs(target.res_target, scope, select, barrier)
        ]
        rows: frozenset[int] | None = frozenset()
        for item in scope.items:
            rows = None if rows is None or item.rows is None else rows | item.rows
        return Block(outputs, None if grouped or select.distinct_clause else rows)

    def _bind_rows(self, select: Node, scope: Scope) -> None:
        """Bind FROM and WHERE."""
        for item in select.from_clause:
            self._from_item(item, scope, scope.outer_joins)
        if select.HasField("where_clause"):
            self._where(select.where_clause, scope)

    def _refuse_clauses(self, select: Node) -> None:
        if select.locking_clause:
            refuse("row-locking", "FOR UPDATE or FOR SHARE")
        if select.HasField("into_clause"):
            refuse("select-into", "INTO")
        if select.values_lists:
            refuse("values", "VALUES", position=position(select.values_lists[0]))

    def _bind_ctes(self, clause: Node, scope: Scope) -> None:
        if clause.recursive:
            refuse("recursive-cte", "WITH RECURSIVE", position=position(clause))
        scope.ctes = dict(scope.ctes)
        for node in clause.ctes:
            cte = node.common_table_expr
            if kind(cte.ctequery) != "select_stmt":
                refuse("modifying-cte", f"WITH {cte.ctename}", position=position(cte))
            scope.ctes[cte.ctename] = (cte, dict(scope.ctes))

    def _set_operation(self, select: Node, scope: Scope) -> Block:
        """UNION, INTERSECT, EXCEPT: bind both sides; which side a row comes from is open."""
        title = ("", "UNION", "INTERSECT", "EXCEPT")[select.op - 1]
        sides = [
            self.block(
                side,
                Scope(
                    outer=scope.outer,
                    ctes=scope.ctes,
                    sublinks=self._inside(scope),
                    outer_joins=scope.outer_joins,
                ),
            )
            for side in (select.larg, select.rarg)
        ]
        for node in select.sort_clause:
            if kind(node.sort_by.node) not in ("a_const", "column_ref"):
                refuse("unknown-syntax", f"ORDER BY of a {title}", position=position(node))
        for limit in (select.limit_count, select.limit_offset):
            if kind(limit):
                self.expression(limit, scope)
        settle_order_of_rows(title, select, len(sides[0].outputs), scope)
        outputs = [
            Output(left.name, Expression((), opaque=title), left.nullable or right.nullable)
            for left, right in zip(sides[0].outputs, sides[1].outputs, strict=True)
        ]
        return Block(outputs, rows=None)

    def _inside(self, scope: Scope) -> tuple[int, ...]:
        """The way to a subquery that the rows around it show with or without."""
        self.sublink_count += 1
        return (*scope.sublinks, self.sublink_count)

    def _barrier(self, select: Node) -> str:
        """Name what makes every output depend on rows that no condition ties together."""
        if kind(select.limit_count) or kind(select.limit_offset):
            return "LIMIT"
        if any(kind(node) for node in select.distinct_clause):
            return "DISTINCT ON"
        return ""

    def _is_grouped(self, select: Node) -> bool:
        return bool(
            select.group_clause
            or select.HasField("having_clause")
            or any(self.contains_aggregate(target) for target in select.target_list)
        )

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
            and self._resolve_in(name, scope, None) is None
        )

    def contains_aggregate(self, node: Node) -> bool:
        """Tell whether an aggregate of this query level stands in the expression."""
        if wrapped(node) and kind(node) == "sub_link":
            return False
        if (
            node.DESCRIPTOR.name == "FuncCall"
            and not node.HasField("over")
            and self.is_aggregate(names(node.funcname))
        ):
            return True
        return any(self.contains_aggregate(child) for child in children(node))

    def is_aggregate(self, name: tuple[str, ...]) -> bool:
        """Tell whether a function name is that of an aggregate."""
        schema, plain = name[-2] if len(name) > 1 else None, name[-1]
        if schema in (None, "pg_catalog") and plain in functions.AGGREGATES:
            return True
        return (schema, plain) in self.facts.aggregates

    def _outputs(self, target: Node, scope: Scope, select: Node, barrier: str) -> Iterable[Output]:
        if kind(target.val) == "column_ref" and names(target.val.column_ref.fields)[-1] == "*":
            yield from self._expanded_star(target.val.column_ref, scope, barrier)
            return
        name = output_name(target)
        if name is None:
            raise InvalidQuery("An output column has no name.", hint="Give it one with AS.")
        expression = self.expression(target.val, scope)
        yield Output(
            name,
            Expression(expression.parts, expression.opaque or barrier),
            # Without GROUP BY an aggregate may find no row at all.
            self.nullability.of(target.val, scope, bool(select.group_clause)),
        )

    def _expanded_star(self, reference: Node, scope: Scope, barrier: str) -> Iterable[Output]:
        qualifier = names(reference.fields)[:-1]
        if len(qualifier) > 1 or scope.merged:
            refuse("star", deparse_expression_of(reference), position=position(reference))
        items = [item for item in scope.items if not qualifier or item.alias == qualifier[0]]
        if not items:
            raise DependencyResolutionFailed(
                f'Nothing in FROM is called "{qualifier[0]}".' if qualifier else "* needs a FROM.",
                hint="Check the aliases of the query.",
            )
        for item in items:
            for column in item.columns:
                self.note_read(column.expression)
                yield Output(
                    column.name,
                    Expression(column.expression.parts, column.expression.opaque or barrier),
                    self.nullability.of_column(column, scope),
                )

    # FROM

    def _from_item(self, node: Node, scope: Scope, outer_joins: frozenset[int]) -> list[Item]:
        """Bind a FROM item and return the items it adds to the scope."""
        match kind(node):
            case "range_var":
                items = [self._relation(node.range_var, scope, outer_joins)]
            case "range_subselect":
                items = [self._subselect(node.range_subselect, scope, outer_joins)]
            case "join_expr":
                return self._join(node.join_expr, scope, outer_joins)
            case "range_function":
                refuse("set-returning-function", "a function in FROM", position=position(node))
            case "range_table_sample":
                refuse("tablesample", "TABLESAMPLE", position=position(node))
            case other:
                refuse("unknown-syntax", other.replace("_", " "), position=position(node))
        scope.items.extend(items)
        return items

    def _relation(self, node: Node, scope: Scope, outer_joins: frozenset[int]) -> Item:
        alias = node.alias.aliasname or node.relname
        if not node.schemaname and node.relname in scope.ctes:
            cte, visible = scope.ctes[node.relname]
            inner = Scope(ctes=visible, sublinks=scope.sublinks, outer_joins=outer_joins)
            column_names = _renamed(node, names(cte.aliascolnames))
            return self._derived(alias, cte.ctequery.select_stmt, inner, column_names)
        relation = self.facts.relations.get((node.schemaname or None, node.relname))
        if relation is None:
            raise DependencyResolutionFailed(
                f"The query reads {node.relname!r}, which does not exist.",
                hint="Check the name and the search_path, and that its migration comes first.",
                relation=node.relname,
            )
        if not node.inh and relation.kind is not RelationKind.TABLE:
            refuse("unknown-syntax", f"ONLY {relation.full_name}", position=position(node))
        if relation.kind is RelationKind.VIEW:
            return self._helper_view(node, relation, scope, outer_joins)
        if relation.kind is not RelationKind.TABLE:
            refuse(
                "relation-kind",
                f"{relation.full_name} ({relation.kind})",
                position=position(node),
            )
        if relation.row_security:
            refuse("row-security", relation.full_name, position=position(node))
        draft = self._occurrence(relation, scope, outer_joins)
        column_names = names(node.alias.colnames)
        columns = [
            BoundColumn(
                column_names[place] if place < len(column_names) else column.name,
                Expression((ColumnOf(draft.number, column.name),)),
                nullable=not column.not_null or bool(outer_joins),
                facts=column,
            )
            for place, column in enumerate(relation.columns)
        ]
        return Item(alias, columns, frozenset({draft.number}))

    def _occurrence(
        self, relation: RelationFacts, scope: Scope, outer_joins: frozenset[int]
    ) -> _Draft:
        taken = {draft.alias for draft in self.drafts}
        alias, suffix = relation.name, 1
        while alias in taken:
            suffix += 1
            tail = f"_{suffix}"
            alias = relation.name.encode()[: 63 - len(tail)].decode(errors="ignore") + tail
        draft = _Draft(len(self.drafts) + 1, alias, relation, scope.sublinks, outer_joins)
        self.drafts.append(draft)
        return draft

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
        block = self.block(select, inner)
        columns = [
            BoundColumn(
                column_names[place] if place < len(column_names) else output.name,
                self._if_present(output.expression, inner.outer_joins),
                output.nullable or bool(inner.outer_joins),
            )
            for place, output in enumerate(block.outputs)
        ]
        return Item(alias, columns, block.rows)

    def _if_present(self, expression: Expression, outer_joins: frozenset[int]) -> Expression:
        """What a FROM item shows of an expression: NULL where an outer join misses the item.

        A column of a row on the same nullable sides is NULL there by itself.
        """
        column = expression.column
        if column is not None and outer_joins <= self.drafts[column.occurrence - 1].outer_joins:
            return expression
        if not outer_joins:
            return expression
        parts = ("CASE WHEN ", Presence(outer_joins), " THEN ", *expression.parts, " END")
        return Expression(parts, expression.opaque)

    def _join(self, node: Node, scope: Scope, outer_joins: frozenset[int]) -> list[Item]:
        from postgast import pg_query_pb2

        if node.HasField("alias") or node.HasField("join_using_alias"):
            refuse("unknown-syntax", "an alias of a whole join", position=position(node))
        left_joins = right_joins = outer_joins
        if node.jointype in (pg_query_pb2.JOIN_RIGHT, pg_query_pb2.JOIN_FULL):
            left_joins = self._nullable_side(outer_joins)
        if node.jointype in (pg_query_pb2.JOIN_LEFT, pg_query_pb2.JOIN_FULL):
            right_joins = self._nullable_side(outer_joins)
        left = self._from_item(node.larg, scope, left_joins)
        right = self._from_item(node.rarg, scope, right_joins)
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
        for name in shared:
            self._merge(name, node, left, right, on_scope)
        if kind(node.quals):
            self._conjuncts(node.quals, on_scope, prove=inside == scope.outer_joins)
        return left + right

    def _nullable_side(self, outer_joins: frozenset[int]) -> frozenset[int]:
        self.outer_join_count += 1
        return outer_joins | {self.outer_join_count}

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
        self._refuse_foreign_equality("JOIN USING", (first, second), position(node))
        parts = (*first.expression.parts, " OPERATOR(pg_catalog.=) ", *second.expression.parts)
        self.note_read(first.expression)
        self.note_read(second.expression)
        opaque = first.expression.opaque or second.expression.opaque
        self._condition(Expression(parts, opaque), first, second, scope, scope.outer_joins)
        shown = first
        if node.jointype == pg_query_pb2.JOIN_RIGHT:
            shown = second
        if node.jointype == pg_query_pb2.JOIN_FULL:
            merged = ("COALESCE(", *first.expression.parts, ", ", *second.expression.parts, ")")
            shown = BoundColumn(name, Expression(merged, opaque), nullable=True)
        scope.merged.append(Merged(replace(shown, name=name), left + right))

    # Conditions

    def _where(self, node: Node, scope: Scope) -> None:
        self._conjuncts(node, scope, prove=True)

    def _conjuncts(self, node: Node, scope: Scope, *, prove: bool) -> None:
        """Add the conjuncts of a predicate that the rows of this scope must satisfy."""
        from postgast import pg_query_pb2

        if kind(node) == "bool_expr" and node.bool_expr.boolop == pg_query_pb2.AND_EXPR:
            for argument in node.bool_expr.args:
                self._conjuncts(argument, scope, prove=prove)
            return
        if kind(node) == "sub_link":
            self._sublink(node.sub_link, scope, filtering=True)
            return
        expression = self.expression(node, scope)
        first, second = self._equated(node, scope)
        self._condition(expression, first, second, scope, scope.outer_joins)
        if prove:
            self._prove(node, scope)

    def _condition(
        self,
        expression: Expression,
        first: BoundColumn | None,
        second: BoundColumn | None,
        scope: Scope,
        outer_joins: frozenset[int],
    ) -> None:
        if expression.opaque:
            return
        equality = None
        if first is not None and second is not None:
            left, right = first.expression.column, second.expression.column
            if left is not None and right is not None:
                equality = (left, right)
        self.conditions.append(
            Condition(
                _parenthesised(expression),
                equality,
                scope.sublinks,
                outer_joins - scope.full,
                scope.full,
            )
        )

    def _equated(self, node: Node, scope: Scope) -> tuple[BoundColumn | None, BoundColumn | None]:
        """The two columns of ``a = b``; PostgreSQL's own ``=`` and that of an extension alike."""
        from postgast import pg_query_pb2

        if kind(node) != "a_expr" or node.a_expr.kind != pg_query_pb2.AEXPR_OP:
            return None, None
        if names(node.a_expr.name)[-1] != "=":
            return None, None
        return self._column(node.a_expr.lexpr, scope), self._column(node.a_expr.rexpr, scope)

    def _column(self, node: Node, scope: Scope) -> BoundColumn | None:
        """The column, if the expression is one (a cast that only relabels it included)."""
        if kind(node) == "column_ref":
            return self.resolve(node.column_ref, scope)
        return None

    def _prove(self, node: Node, scope: Scope) -> None:
        from postgast import pg_query_pb2

        proven: list[BoundColumn | None] = []
        if kind(node) == "null_test":
            if node.null_test.nulltesttype == pg_query_pb2.IS_NOT_NULL:
                proven = [self._column(node.null_test.arg, scope)]
        elif (
            kind(node) == "a_expr"
            and node.a_expr.kind == pg_query_pb2.AEXPR_OP
            and names(node.a_expr.name)[-1] in ("=", "<>", "<", ">", "<=", ">=")
        ):
            proven = [self._column(side, scope) for side in (node.a_expr.lexpr, node.a_expr.rexpr)]
        scope.proven.extend(column for column in proven if column is not None)

    # Sublinks

    def _sublink(self, sublink: Node, scope: Scope, *, filtering: bool) -> None:
        """Bind a subquery in an expression.

        Args:
            sublink: the ``SubLink`` node.
            scope: of the SELECT it stands in.
            filtering: it stands where only TRUE lets a row pass, so that IN demands a match.
        """
        from postgast import pg_query_pb2

        inner = Scope(
            outer=scope,
            ctes=scope.ctes,
            sublinks=self._inside(scope),
            outer_joins=scope.outer_joins,
            order_matters=sublink.sub_link_type != pg_query_pb2.EXISTS_SUBLINK,
            rows_in_order=sublink.sub_link_type == pg_query_pb2.ARRAY_SUBLINK,
        )
        outputs = self.block(content(sublink.subselect), inner).outputs
        match sublink.sub_link_type:
            case (
                pg_query_pb2.EXPR_SUBLINK | pg_query_pb2.EXISTS_SUBLINK | pg_query_pb2.ARRAY_SUBLINK
            ):
                return
            case pg_query_pb2.ANY_SUBLINK:
                self._any_sublink(sublink, outputs, scope, inner, filtering=filtering)
            case _:
                refuse("quantified-comparison", "ALL", position=position(sublink))

    def _any_sublink(
        self, sublink: Node, outputs: list[Output], scope: Scope, inner: Scope, *, filtering: bool
    ) -> None:
        operator = names(sublink.oper_name)
        if operator and operator[-1] != "=":
            refuse("quantified-comparison", f"{operator[-1]} ANY", position=position(sublink))
        if kind(sublink.testexpr) == "row_expr":
            refuse("row-comparison-sublink", "a row IN a subquery", position=position(sublink))
        tested = self.expression(sublink.testexpr, scope)
        column = self._column(sublink.testexpr, scope)
        self._refuse_foreign_equality("IN", (column,), position(sublink))
        found = outputs[0]
        certain = not found.nullable and not self.nullability.of(sublink.testexpr, scope, False)
        # Elsewhere a NULL on either side decides between FALSE and NULL for every row.
        if (filtering or certain) and not found.expression.opaque and not tested.opaque:
            parts = (*tested.parts, " OPERATOR(pg_catalog.=) ", *found.expression.parts)
            shown = BoundColumn(found.name, found.expression, found.nullable)
            self._condition(Expression(parts), column, shown, inner, scope.outer_joins)

    # Expressions

    def expression(self, node: Node, scope: Scope) -> Expression:
        """Bind an expression: every column to its occurrence, every node known."""
        bound = copy.deepcopy(node)
        references: list[Expression] = []
        opaque = self._walk(bound, scope, references)
        if self.completing:
            # What was added belongs to the query, not to the copy.
            for completed, sublink in zip(_sublinks(bound), _sublinks(node), strict=True):
                sublink.CopyFrom(completed)
        text = deparse_expression(bound) if kind(bound) != "sort_by" else ""
        parts: list[str | ColumnOf | Presence] = []
        for place, piece in enumerate(_PLACEHOLDER.split(text)):
            if place % 2 == 0:
                parts.append(piece)
            else:
                inner = references[int(piece)]
                opaque = opaque or inner.opaque
                parts.extend(inner.parts if inner.column else _parenthesised(inner).parts)
        return Expression(tuple(part for part in parts if part != ""), opaque)

    def _walk(self, node: Node, scope: Scope, references: list[Expression] | None) -> str:
        """Check and bind everything below a node, in place; return what makes it opaque.

        Columns are replaced by placeholders that stand for ``references``.
        """
        opaque = ""
        if wrapped(node):
            match kind(node):
                case "column_ref":
                    column = self.resolve(node.column_ref, scope)
                    self.note_read(column.expression)
                    if references is not None:
                        self._replace_by_placeholder(node, len(references))
                        references.append(column.expression)
                    return column.expression.opaque
                case "sub_link":
                    self._sublink(node.sub_link, scope, filtering=False)
                    return "a subquery"
                case "func_call":
                    opaque = self._function(node.func_call)
                case _:
                    self._check(node, scope)
        for child in children(node):
            if child.DESCRIPTOR.name != "TypeName":
                opaque = self._walk(child, scope, references) or opaque
        return opaque

    def _check(self, node: Node, scope: Scope) -> None:
        """Refuse a node that is not known, or that compares without naming its operator."""
        match kind(node):
            case "a_expr":
                self._operator(node.a_expr, scope)
            case "sqlvalue_function":
                what = deparse_expression(node).upper()
                refuse("time-dependent", what, position=position(node))
            case "case_expr" if kind(node.case_expr.arg):
                column = self._column(node.case_expr.arg, scope)
                self._refuse_foreign_equality("CASE x WHEN", (column,), position(node))
            case "grouping_set" | "grouping_func":
                refuse("grouping-sets", "this grouping", position=position(node))
            case other if other and other not in _TRANSPARENT:
                refuse("unknown-syntax", other.replace("_", " "), position=position(node))

    @staticmethod
    def _replace_by_placeholder(node: Node, number: int) -> None:
        del node.column_ref.fields[1:]
        node.column_ref.fields[0].string.sval = f"\x01{number}"

    def _function(self, call: Node) -> str:
        """Refuse what may not be called; return what the call makes of the expression."""
        name = names(call.funcname)
        schema, plain = name[-2] if len(name) > 1 else None, name[-1]
        where = position(call)
        if schema in (None, "pg_catalog"):
            if plain in functions.TIME_DEPENDENT:
                refuse("time-dependent", f"{plain}()", position=where)
            if plain in functions.VOLATILE:
                refuse("volatile-function", f"{plain}()", position=where)
            if len(call.args) < functions.LEAST_ARGUMENTS.get(plain, 0):
                refuse("default-argument", f"{plain}()", position=where)
            if plain in functions.SET_RETURNING:
                refuse("set-returning-function", f"{plain}()", position=where)
        volatility = self.facts.functions.get((schema, plain), Volatility.IMMUTABLE)
        if not functions.may_be_called(schema, plain, volatility):
            refuse_function(plain, volatility, position=where)
        if call.HasField("over"):
            refuse("window-function", f"{plain}() OVER", position=where)
        return "an aggregate" if self.is_aggregate(name) else ""

    def _operator(self, node: Node, scope: Scope) -> None:
        from postgast import pg_query_pb2

        unnamed = {
            pg_query_pb2.AEXPR_DISTINCT: "IS DISTINCT FROM",
            pg_query_pb2.AEXPR_NOT_DISTINCT: "IS NOT DISTINCT FROM",
            pg_query_pb2.AEXPR_NULLIF: "NULLIF",
        }
        if node.kind in unnamed:
            sides = (self._column(node.lexpr, scope), self._column(node.rexpr, scope))
            self._refuse_foreign_equality(unnamed[node.kind], sides, position(node))

    def _refuse_foreign_equality(
        self, what: str, columns: Iterable[BoundColumn | None], where: int | None
    ) -> None:
        """Refuse a comparison without an operator name over a type that is not PostgreSQL's own.

        Read back under the pinned search path it would pick another operator: citext would be
        compared as text.
        """
        for column in columns:
            facts = column.facts if column is not None else None
            if facts is not None and facts.type in self.facts.equality_schemas:
                refuse("foreign-equality", f"{what} over {facts.type}", position=where)

    # Names

    def resolve(self, reference: Node, scope: Scope) -> BoundColumn:
        """Find the column a reference names, in the innermost scope that knows it."""
        name = names(reference.fields)
        if name[-1] == "*":
            refuse("whole-row", ".".join(name), position=position(reference))
        looked_in: Scope | None = scope
        while looked_in is not None:
            found = self._resolve_in(name, looked_in, position(reference))
            if found is not None:
                return found
            looked_in = looked_in.outer
        if name[-1] in _SYSTEM_COLUMNS:
            refuse("system-column", ".".join(name), position=position(reference))
        if len(name) == 1 and self._names_an_item(name[0], scope):
            refuse("whole-row", name[0], position=position(reference))
        raise DependencyResolutionFailed(
            f"The query reads column {'.'.join(name)!r}, which does not exist.",
            hint="Check the column's name, and that the migration that adds it comes first.",
            column=name[-1],
        )

    @staticmethod
    def _names_an_item(name: str, scope: Scope) -> bool:
        looked_in: Scope | None = scope
        while looked_in is not None:
            if any(item.alias == name for item in looked_in.items):
                return True
            looked_in = looked_in.outer
        return False

    @staticmethod
    def _resolve_in(name: tuple[str, ...], scope: Scope, where: int | None) -> BoundColumn | None:
        if len(name) > 1:
            for item in scope.items:
                if item.alias == name[-2] and (column := item.column(name[-1])) is not None:
                    return column
            return None
        for merged in reversed(scope.merged):
            if merged.column.name == name[0]:
                return merged.column
        found = [column for item in scope.items if (column := item.column(name[0])) is not None]
        if len(found) > 1:
            raise InvalidQuery(
                f"Column {name[0]!r} is ambiguous.",
                hint="Write the alias of its relation before it.",
                position=where,
            )
        return found[0] if found else None

    def note_read(self, expression: Expression) -> None:
        """Record that the query depends on these columns."""
        for column in expression.columns:
            draft = self.drafts[column.occurrence - 1]
            if draft.relation.by_name[column.name].virtual:
                refuse("virtual-column", f"{draft.relation.full_name}.{column.name}")
            draft.columns.add(column.name)


def _sublinks(message: Node) -> Iterator[Node]:
    """Yield the subqueries in an expression, but not those in one of them."""
    if message.DESCRIPTOR.name == "SubLink":
        yield message
        return
    for child in children(message):
        yield from _sublinks(child)


def _renamed(item: Node, column_names: tuple[str, ...]) -> tuple[str, ...]:
    """The column names of a FROM item, whose alias may rename the first of them."""
    renamed = names(item.alias.colnames)
    return renamed + column_names[len(renamed) :]


def deparse_expression_of(reference: Node) -> str:
    """Write a column reference that stands outside a ``Node`` wrapper."""
    return ".".join(names(reference.fields))


def _only(items: list[Item], name: str, merged: Iterable[Merged]) -> BoundColumn | None:
    """The one column of that name on one side of a JOIN USING, if it is one."""
    found = [column for item in items if (column := item.column(name)) is not None]
    if len(found) == 1:
        return found[0]
    for each in merged:
        if each.column.name == name and all(item in items for item in each.items):
            found = [each.column]
    return found[0] if len(found) == 1 else None


def _parenthesised(expression: Expression) -> Expression:
    if expression.column is not None:
        return expression
    return Expression(("(", *expression.parts, ")"), expression.opaque)
