"""Relations that are computed: functions in FROM or in the select list, and VALUES.

Their rows follow from the rows beside them, so they never change by themselves. Each becomes an
occurrence without a base relation: a route that needs its columns joins the function itself.
What a condition demands of such a row it also demands of the rows that it is computed from, as
EXISTS, so that routes lead through it the other way round, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django_tviews.facts import ColumnFacts, RelationFacts

from . import functions
from .constructs import refuse
from .scope import BoundColumn, Item
from .syntax import Node, calls, kind, names, position, quoted_name, same, type_name
from .tree import ColumnOf, Expression

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .builder import Builder, Draft
    from .scope import Scope

ORDINALITY = "ordinality"

# What a function or VALUES gives: name, type where it is known, NOT NULL.
_Columns = tuple[functions.Column, ...]


@dataclass(frozen=True)
class _Call:
    """A call that gives rows.

    Attributes:
        name: of the function.
        expression: the call.
        columns: of its rows.
        definition: the column definitions that must follow it.
        strict: it gives no row if its first argument is NULL.
        arguments: its arguments.
    """

    name: str
    expression: Expression
    columns: _Columns
    definition: str
    strict: bool
    arguments: tuple[Expression, ...]


class ComputedRelations:
    """Binds the computed relations of one query."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder

    def bind_functions(self, node: Node, scope: Scope, outer_joins: frozenset[int]) -> Item:
        """Bind the functions of an item of FROM, which see the items to their left."""
        found = []
        for each in node.functions:
            call, definition = each.list.items
            if kind(call) != "func_call":
                refuse("unknown-syntax", "what is called in FROM", position=position(call))
            columns = node.coldeflist or (definition.list.items if kind(definition) else [])
            found.append(self._call(call.func_call, scope, columns, len(node.alias.colnames)))
        single = found[0].columns if len(found) == 1 else ()
        default_name = names(node.functions[0].list.items[0].func_call.funcname)[-1]
        alias = node.alias.aliasname or default_name
        columns = [column for call in found for column in call.columns]
        if len(single) == 1 and not single[0].name:
            columns = [replace(single[0], name=alias)]
        if node.ordinality:
            columns.append(functions.Column(ORDINALITY, "bigint", not_null=True))
        draft = self._draft(found, tuple(columns), scope, outer_joins, ordinality=node.ordinality)
        return self._item(alias, draft, names(node.alias.colnames))

    def bind_select_list(self, select: Node, scope: Scope) -> None:
        """Bind the functions that give rows in the select list, which run in step."""
        nodes = [*select.target_list, *select.group_clause, *select.sort_clause]
        found: list[Node] = []
        for node in (*nodes, *select.distinct_clause):
            for call in calls(node):
                if self.gives_rows(call) and not any(same(call, known) for known in found):
                    found.append(call)
        if not found:
            return
        bound = [self._call(call, scope, (), 1) for call in found]
        for call, node in zip(bound, found, strict=True):
            if len(call.columns) != 1:
                name = f"{names(node.funcname)[-1]}()"
                refuse("rows-in-select-list", name, position=position(node))
        columns = tuple(
            replace(call.columns[0], name=f"value_{place}")
            for place, call in enumerate(bound, start=1)
        )
        draft = self._draft(bound, columns, scope, scope.outer_joins, ordinality=False)
        item = self._item("", draft, ())
        scope.items.append(item)
        grouped_by = [call for node in select.group_clause for call in calls(node)]
        scope.unnested_first = any(self.gives_rows(call) for call in grouped_by) or any(
            kind(node) == "a_const" for node in select.group_clause
        )
        scope.unnested = list(zip(found, item.columns, strict=True))

    def bind_values(self, select: Node, scope: Scope) -> list[BoundColumn]:
        """Bind the rows of VALUES; return their columns."""
        rows = [list(row.list.items) for row in select.values_lists]
        columns = tuple(
            functions.Column(
                f"column{place + 1}",
                self._builder.types.common([row[place] for row in rows], scope),
                not any(self._builder.nullability.of(row[place], scope, False) for row in rows),
                all(self._builder.looks.deterministic(row[place], scope) for row in rows),
            )
            for place in range(len(rows[0]))
        )
        parts: list[Expression | str] = ["(VALUES "]
        for place, row in enumerate(rows):
            parts.append("), (" if place else "(")
            for number, value in enumerate(row):
                parts += [", "] if number else []
                parts.append(self._builder.expressions.bind(value, scope))
        text = _joined([*parts, "))"])
        draft = self._add("values", text, columns, scope, scope.outer_joins)
        shown = self._item("", draft, ()).columns
        # Asked of every value, so that each may be refused, once their subqueries are bound.
        looks = self._builder.looks
        opened = [[looks.open(value, scope) for value in row] for row in rows]
        return [
            replace(column, open_look=any(values))
            for column, values in zip(shown, zip(*opened, strict=True), strict=True)
        ]

    def ties_without(self, condition: Expression) -> Iterator[tuple[int, Expression]]:
        """Say of the rows that computed ones come from what a condition says of these.

        Yields:
            For each computed relation that the condition reads and that single rows tell, its
            number, and the condition as EXISTS over it.
        """
        for number in sorted(condition.occurrences):
            draft = self._builder.drafts[number - 1]
            text = draft.computed
            if text is None or text.opaque or not text.columns:
                continue
            alias = quoted_name(draft.alias)
            listed = ", ".join(quoted_name(column.name) for column in draft.relation.columns)
            parts = tuple(
                f"{alias}.{quoted_name(part.name)}"
                if isinstance(part, ColumnOf) and part.occurrence == number
                else part
                for part in condition.parts
            )
            head = ("EXISTS (SELECT FROM ", *text.parts, f" AS {alias} ({listed}) WHERE ")
            yield number, Expression((*head, *parts, ")"))

    def gives_rows(self, call: Node) -> bool:
        """Tell whether a call gives rows."""
        name = names(call.funcname)
        schema, plain = name[-2] if len(name) > 1 else None, name[-1]
        if schema in (None, "pg_catalog") and plain in functions.SET_RETURNING:
            return True
        return (schema, plain) in self._builder.facts.set_returning

    def _call(self, call: Node, scope: Scope, definitions: Sequence[Node], named: int) -> _Call:
        expressions, types = self._builder.expressions, self._builder.types
        name = names(call.funcname)
        known = functions.SET_RETURNING.get(name[-1]) if self._is_own(name) else None
        for argument in call.args:
            self._builder.looks.refuse_open(argument, scope)
        definition = ""
        if definitions:
            columns: _Columns = tuple(
                functions.Column(each.column_def.colname, type_name(each.column_def.type_name))
                for each in definitions
            )
            listed = ", ".join(f"{quoted_name(each.name)} {each.type}" for each in columns)
            definition = f" AS ({listed})"
        elif known is None:
            columns = tuple(functions.Column("") for _ in range(max(1, named)))
        elif name[-1] == "unnest":
            columns = tuple(
                functions.Column("", _element(types.of(argument, scope))) for argument in call.args
            )
        elif name[-1] == "string_to_table" and len(call.args) > 2:  # noqa: PLR2004
            # The third argument is what stands for NULL.
            columns = (functions.Column("", "text"),)
        else:
            columns = known
        deterministic = [self._builder.looks.deterministic(each, scope) for each in call.args]
        return _Call(
            name[-1],
            expressions.bind_call(call, scope),
            tuple(replace(column, deterministic=all(deterministic)) for column in columns),
            definition,
            strict=known is not None,
            arguments=tuple(expressions.bind(argument, scope) for argument in call.args),
        )

    @staticmethod
    def _is_own(name: tuple[str, ...]) -> bool:
        return len(name) == 1 or name[-2] == "pg_catalog"

    def _draft(
        self,
        found: list[_Call],
        columns: _Columns,
        scope: Scope,
        outer_joins: frozenset[int],
        *,
        ordinality: bool,
    ) -> Draft:
        parts: list[Expression | str] = ["ROWS FROM ("]
        for place, call in enumerate(found):
            parts += [", "] if place else []
            parts += [call.expression, call.definition]
        text = _joined([*parts, ") WITH ORDINALITY" if ordinality else ")"])
        if len(found) > 1:
            # The shorter ones are filled up with NULLs.
            columns = tuple(replace(each, not_null=each.name == ORDINALITY) for each in columns)
        sure = outer_joins
        if len(found) == 1 and found[0].strict:
            column = found[0].arguments[0].column
            if column is not None:
                sure |= self._builder.drafts[column.occurrence - 1].outer_joins
        missable = [self._builder.drafts[number - 1].outer_joins for number in text.occurrences] + [
            presence.outer_joins for presence in text.presences
        ]
        if not all(sides <= sure for sides in missable):
            text = Expression(text.parts, "a function over rows that an outer join may miss")
        keys = ((columns[-1].name,),) if ordinality else ()
        name = found[0].name if len(found) == 1 else "rows"
        return self._add(name, text, columns, scope, outer_joins, keys)

    def _add(
        self,
        name: str,
        text: Expression,
        columns: _Columns,
        scope: Scope,
        outer_joins: frozenset[int],
        keys: tuple[tuple[str, ...], ...] = (),
    ) -> Draft:
        shown: list[ColumnFacts] = []
        for place, column in enumerate(columns, start=1):
            taken = {each.name for each in shown}
            own = column.name if column.name and column.name not in taken else f"column_{place}"
            shown.append(ColumnFacts(own, column.type, column.not_null, column.deterministic))
        facts = RelationFacts(None, name, columns=tuple(shown), keys=keys)
        draft = self._builder.draft(facts, scope, outer_joins)
        draft.computed = text
        return draft

    def _item(self, alias: str, draft: Draft, renamed: tuple[str, ...]) -> Item:
        opaque = draft.computed.opaque if draft.computed is not None else ""
        columns = [
            BoundColumn(
                renamed[place] if place < len(renamed) else column.name,
                Expression((ColumnOf(draft.number, column.name),), opaque),
                nullable=not column.not_null or bool(draft.outer_joins),
                facts=column,
                type=column.type,
                one_look=column.one_look,
            )
            for place, column in enumerate(draft.relation.columns)
        ]
        return Item(alias, columns, frozenset({draft.number}))


def _element(array_type: str) -> str:
    return array_type.removesuffix("[]") if array_type.endswith("[]") else ""


def _joined(parts: Iterable[Expression | str]) -> Expression:
    """Put text and expressions together."""
    found: list[object] = []
    opaque = ""
    for part in parts:
        if isinstance(part, Expression):
            found += part.parts
            opaque = opaque or part.opaque
        elif part:
            found.append(part)
    return Expression(tuple(found), opaque)  # type: ignore[arg-type]
