"""A query under new names of the tables and columns it reads.

PostgreSQL stores what a view reads by number, so a view follows ``ALTER TABLE ... RENAME`` by
itself. SQL text does not, and this is how it does: every name is resolved as in
``parse_relation.c`` (innermost scope first), under the old names and again under the new ones, and
it must mean the same both times. Output columns keep their names.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from django_tviews.facts import RelationName

from .canonical import canonical_sql, output_name
from .syntax import Node, children, content, deparse_select, kind, names, parse_select, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

ColumnsOf: TypeAlias = Callable[[RelationName], Collection[str] | None]
"""Returns the old names of a relation's columns; None if they are not known."""


@dataclass(frozen=True)
class Renames:
    """New names, by the old ones.

    Attributes:
        tables: the new name of each renamed table.
        columns: the new name of each renamed column, by the old name of its table and its own.
    """

    tables: Mapping[RelationName, RelationName] = field(default_factory=dict)
    columns: Mapping[tuple[RelationName, str], str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.tables or self.columns)

    def table(self, relation: RelationName) -> RelationName:
        """Return the new name of a table."""
        return self.tables.get(relation, relation)

    def column(self, relation: RelationName, column: str) -> str:
        """Return the new name of a column of a table that has this old name."""
        return self.columns.get((relation, column), column)


def follow(query: str, renames: Renames, columns_of: ColumnsOf) -> str | None:
    """Return a query under the new names of what it reads.

    Args:
        query: one SELECT under the old names.
        renames: what has a new name.
        columns_of: the columns of each table, by old names.

    Returns:
        Canonical SQL that gives the same result, under the same names, once the tables have their
        new names; None if the text does not tell which table a name belongs to, or the names
        cannot simply be replaced (``*`` over a renamed column, ``USING`` of two names).
    """
    if not renames:
        return canonical_sql(query)
    select = parse_select(query)
    try:
        _Rewriting(select, renames, columns_of).rewrite()
    except _CannotFollowError:
        return None
    return deparse_select(select)


class _CannotFollowError(Exception):
    """The text alone does not say what becomes of a name."""


@dataclass(eq=False)
class _Column:
    old: str
    new: str

    @property
    def renamed(self) -> bool:
        return self.old != self.new


@dataclass(eq=False)
class _Item:
    """A FROM item: the name the query uses for it, and its columns."""

    old: str
    new: str
    columns: list[_Column]
    # Whether there are no more columns than these.
    complete: bool = True
    # Its table has another name, or stands in another schema.
    moved: bool = False

    @property
    def renamed(self) -> bool:
        return self.moved or any(column.renamed for column in self.columns)


@dataclass(eq=False)
class _Merged:
    """The one column that JOIN USING shows for two."""

    column: _Column
    hidden: frozenset[_Column]


@dataclass(frozen=True)
class _Outputs:
    """The columns of a subquery."""

    names: tuple[str, ...]
    complete: bool


@dataclass(eq=False)
class _Scope:
    """What one SELECT can name: its FROM items, then those of the SELECTs around it."""

    outer: _Scope | None = None
    ctes: dict[str, _Outputs] = field(default_factory=dict)
    items: list[_Item] = field(default_factory=list)
    merged: list[_Merged] = field(default_factory=list)

    def chain(self) -> Iterator[_Scope]:
        """Yield this scope and those around it."""
        scope: _Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer


_Name: TypeAlias = Callable[[_Column | _Item], str]


def _old(named: _Column | _Item) -> str:
    return named.old


def _new(named: _Column | _Item) -> str:
    return named.new


def _column(name: str, scope: _Scope) -> _Column | None:
    """Find the column that an old name alone means."""
    return next((found for each in scope.chain() if (found := _local_column(name, each))), None)


def _local_column(name: str, scope: _Scope) -> _Column | None:
    """Find the column of one SELECT's own FROM that an old name alone means."""
    found = [column for column in _visible(scope.items, scope) if column.old == name]
    if len(found) > 1 or (not found and not all(item.complete for item in scope.items)):
        raise _CannotFollowError
    return found[0] if found else None


def _means(name: str, column: _Column, scope: _Scope) -> bool:
    """Tell whether a new name alone means that column and can mean no other."""
    for each in scope.chain():
        found = [one for one in _visible(each.items, each) if one.new == name]
        complete = all(item.complete for item in each.items)
        if found or not complete:
            return complete and found == [column]
    return False


def _item(name: str, scope: _Scope, name_of: _Name) -> _Item | None:
    """Find the FROM item that a qualifier means."""
    for each in scope.chain():
        found = [item for item in each.items if name_of(item) == name]
        if len(found) > 1:
            # Tables of two schemas, which only a schema before them tells apart.
            raise _CannotFollowError
        if found:
            return found[0]
    return None


class _Rewriting:
    """One walk over one query, in place."""

    def __init__(self, select: Node, renames: Renames, columns_of: ColumnsOf) -> None:
        self.select = select
        self.renames = renames
        self.columns_of = columns_of
        # Other names than these mean what they meant.
        self.in_play = {old for _, old in renames.columns} | set(renames.columns.values())
        # The rows of a table are a type; a name in a literal is text.
        self.renamed_types = {name for _, name in renames.tables} | {"regclass"}
        self.taken = set(_relation_names(select))
        self.cte_names = set(_cte_names(select))

    def rewrite(self) -> None:
        self._block(self.select, _Scope(), keep_names=True)

    # SELECT

    def _block(self, select: Node, scope: _Scope, *, keep_names: bool) -> _Outputs:
        """Rewrite one SELECT whose surroundings are in ``scope.outer``; return its columns."""
        if select.locking_clause:
            raise _CannotFollowError
        if select.HasField("with_clause"):
            self._bind_ctes(select.with_clause, scope)
        if select.HasField("larg"):
            # An ORDER BY of both sides names the output columns of the first.
            keep_names = keep_names or bool(select.sort_clause)
            outputs, _ = (
                self._block(side, _Scope(scope.outer, scope.ctes), keep_names=kept)
                for side, kept in ((select.larg, keep_names), (select.rarg, False))
            )
            for node in (select.limit_count, select.limit_offset):
                self._walk(node, scope)
            return outputs
        for item in select.from_clause:
            self._from_item(item, scope)
        given = [output_name(target.res_target) for target in select.target_list]
        used = None if keep_names else set(filter(None, _names_of_outputs(select)))
        outputs = self._outputs(select, scope, given, used)
        for node in (*select.sort_clause, *select.distinct_clause):
            self._sorted_by(node, scope, given)
        for node in select.group_clause:
            self._grouped_by(node, scope, given)
        done = {"target_list", "from_clause", "sort_clause", "distinct_clause", "group_clause"}
        for descriptor, value in select.ListFields():
            if descriptor.message_type is None or descriptor.name in {*done, "with_clause"}:
                continue
            for node in [value] if hasattr(value, "ListFields") else value:
                self._walk(node, scope)
        return outputs

    def _bind_ctes(self, clause: Node, scope: _Scope) -> None:
        scope.ctes = dict(scope.ctes)
        if clause.recursive:
            # Each sees itself and the others, by the names that its first SELECT gives.
            scope.ctes |= {
                node.common_table_expr.ctename: _declared(node.common_table_expr)
                for node in clause.ctes
            }
        for node in clause.ctes:
            cte = node.common_table_expr
            if (
                kind(cte.ctequery) != "select_stmt"
                or cte.HasField("search_clause")
                or cte.HasField("cycle_clause")
            ):
                raise _CannotFollowError
            inner = _Scope(scope.outer, dict(scope.ctes))
            outputs = self._block(cte.ctequery.select_stmt, inner, keep_names=True)
            scope.ctes[cte.ctename] = _with_aliases(outputs, names(cte.aliascolnames))

    def _outputs(
        self, select: Node, scope: _Scope, given: list[str | None], used: set[str] | None
    ) -> _Outputs:
        """Rewrite the output columns; those whose names are used keep them, None for all."""
        shown: list[str] = []
        complete = True
        for node, name in zip(select.target_list, given, strict=True):
            target = node.res_target
            if kind(target.val) == "column_ref" and names(target.val.column_ref.fields)[-1] == "*":
                items = self._starred(target.val.column_ref, scope)
                renamed = {c.old for item in items for c in item.columns if c.renamed}
                if renamed if used is None else renamed & used:
                    raise _CannotFollowError
                complete = complete and not scope.merged and all(item.complete for item in items)
                shown += [column.old for item in items for column in item.columns]
                continue
            self._walk(target.val, scope)
            if name and (used is None or name in used) and output_name(target) != name:
                target.name = name
            shown.append(name or "")
        return _Outputs(tuple(shown), complete)

    def _starred(self, reference: Node, scope: _Scope) -> list[_Item]:
        """Return the items that a ``*`` shows, whose qualifier gets its new name."""
        qualifier = names(reference.fields)[:-1]
        if not qualifier:
            return scope.items
        if (item := _item(qualifier[-1], scope, _old)) is None:
            raise _CannotFollowError
        self._name(reference, item, "*")
        return [item]

    def _sorted_by(self, node: Node, scope: _Scope, outputs: list[str | None]) -> None:
        """Rewrite an item of ORDER BY or DISTINCT ON, where an output column comes first."""
        inner = node.sort_by.node if kind(node) == "sort_by" else node
        if (name := _bare_name(inner)) is None:
            self._walk(node, scope)
        elif name not in outputs:
            self._reference(inner.column_ref, scope, hidden_by=outputs)

    def _grouped_by(self, node: Node, scope: _Scope, outputs: list[str | None]) -> None:
        """Rewrite an item of GROUP BY, where an output column comes last."""
        name = _bare_name(node)
        if name is None or name not in outputs or name not in self.in_play:
            self._walk(node, scope)
        elif _local_column(name, scope) is not None:
            self._reference(node.column_ref, scope)
        elif any(column.new == name for column in _visible(scope.items, scope)):
            raise _CannotFollowError

    # FROM

    def _from_item(self, node: Node, scope: _Scope) -> list[_Item]:
        """Rewrite a FROM item and return the items it adds to the scope."""
        match kind(node):
            case "join_expr":
                return self._join(node.join_expr, scope)
            case "range_var":
                item = self._relation(node.range_var, scope)
            case "range_subselect":
                item = self._subselect(node.range_subselect, scope)
            case "range_function":
                item = self._function(node.range_function, scope)
            case _:
                raise _CannotFollowError
        scope.items.append(item)
        return [item]

    def _relation(self, node: Node, scope: _Scope) -> _Item:
        name, aliases = node.alias.aliasname or node.relname, names(node.alias.colnames)
        if not node.schemaname and node.relname in scope.ctes:
            return _derived(name, scope.ctes[node.relname], aliases)
        relation = self._known(node)
        columns = [
            _Column(column, self.renames.column(relation, column))
            for column in self._columns(relation)
        ]
        complete = self.columns_of(relation) is not None
        if aliases:
            # Which columns they are for is a question of order, which only the server knows.
            if len(aliases) < len(columns) and any(column.renamed for column in columns):
                raise _CannotFollowError
            complete = complete and len(aliases) >= len(columns)
            columns = [_Column(alias, alias) for alias in aliases]
        moved = self.renames.table(relation) != relation
        return _Item(name, self._rename_table(node, relation), columns, complete, moved)

    def _known(self, node: Node) -> RelationName:
        """Return the name under which a relation is known, with its schema or without."""
        qualified = (node.schemaname or None, node.relname)
        if any(self._columns(qualified)) or qualified in self.renames.tables:
            return qualified
        return (None, node.relname)

    def _columns(self, relation: RelationName) -> list[str]:
        known = self.columns_of(relation) or ()
        renamed = (column for table, column in self.renames.columns if table == relation)
        return list(dict.fromkeys([*known, *renamed]))

    def _rename_table(self, node: Node, relation: RelationName) -> str:
        """Give a relation its new name, and return what the query calls it from now on."""
        old = node.alias.aliasname or node.relname
        schema, table = self.renames.table(relation)
        if (schema, table) == relation:
            return str(old)
        if not schema and not node.schemaname and table in self.cte_names:
            raise _CannotFollowError
        if relation[0] is not None or schema is not None:
            node.schemaname = schema or ""
        node.relname = table
        if not node.alias.aliasname and table != old and table in self.taken:
            node.alias.aliasname = old
        return str(node.alias.aliasname or table)

    def _subselect(self, node: Node, scope: _Scope) -> _Item:
        # Without LATERAL the items beside it are invisible, those around the SELECT are not.
        inner = _Scope(scope if node.lateral else scope.outer, scope.ctes)
        outputs = self._block(content(node.subquery), inner, keep_names=True)
        return _derived(node.alias.aliasname, outputs, names(node.alias.colnames))

    def _function(self, node: Node, scope: _Scope) -> _Item:
        for function in node.functions:
            self._walk(function, scope)
        name = node.alias.aliasname
        shown = dict.fromkeys([name, *names(node.alias.colnames)])
        return _Item(name, name, [_Column(each, each) for each in shown if each], complete=False)

    def _join(self, node: Node, scope: _Scope) -> list[_Item]:
        if node.HasField("alias") or node.HasField("join_using_alias"):
            raise _CannotFollowError
        left, right = self._from_item(node.larg, scope), self._from_item(node.rarg, scope)
        if node.is_natural:
            if not all(item.complete for item in left + right):
                raise _CannotFollowError
            shared = _shared(left, right, scope, _old)
            if shared != _shared(left, right, scope, _new):
                raise _CannotFollowError
        else:
            shared = [
                (_shown(name, left, scope, _old), _shown(name, right, scope, _old))
                for name in names(node.using_clause)
            ]
            for part, pair in zip(node.using_clause, shared, strict=True):
                new_name = pair[0].new
                if pair != tuple(_shown(new_name, side, scope, _new) for side in (left, right)):
                    raise _CannotFollowError
                part.string.sval = new_name
        scope.merged.extend([_merged(*pair, scope) for pair in shared])
        self._walk(node.quals, scope)
        return left + right

    # Expressions

    def _walk(self, node: Node, scope: _Scope) -> None:
        """Rewrite everything in an expression."""
        if node.DESCRIPTOR.name == "TypeName":
            if self.renamed_types.intersection(names(node.names)[-1:]):
                raise _CannotFollowError
            return
        if wrapped(node):
            match kind(node):
                case "column_ref":
                    self._reference(node.column_ref, scope)
                    return
                case "sub_link":
                    self._walk(node.sub_link.testexpr, scope)
                    inner = _Scope(scope, scope.ctes)
                    self._block(content(node.sub_link.subselect), inner, keep_names=False)
                    return
        for child in children(node):
            self._walk(child, scope)

    def _reference(
        self, reference: Node, scope: _Scope, hidden_by: Collection[str | None] = ()
    ) -> None:
        """Give a column, and its qualifier, their new names.

        Args:
            reference: the column.
            scope: where it stands.
            hidden_by: output columns that a name alone would mean instead.
        """
        *qualifier, name = names(reference.fields)
        if qualifier:
            self._qualified(reference, tuple(qualifier), name, scope)
            return
        item = _item(name, scope, _old)
        whole_row = item is not None and item.renamed
        if not whole_row and name not in self.in_play:
            return
        column = _column(name, scope)
        if column is None:
            # It may be a whole row, whose columns would have other names.
            raise _CannotFollowError
        if column.new not in hidden_by and _means(column.new, column, scope):
            reference.fields[0].string.sval = column.new
        else:
            self._qualify(reference, column, scope)

    def _qualified(
        self, reference: Node, qualifier: tuple[str, ...], name: str, scope: _Scope
    ) -> None:
        item = _item(qualifier[-1], scope, _old)
        if item is None or _item(item.new, scope, _new) is not item:
            raise _CannotFollowError
        if name == "*" and any(column.renamed for column in item.columns):
            raise _CannotFollowError
        self._name(reference, item, _new_name(item, name))

    def _qualify(self, reference: Node, column: _Column, scope: _Scope) -> None:
        """Name the item of a column whose new name alone would mean another one."""
        for each in scope.chain():
            for item in each.items:
                if column in item.columns and _item(item.new, scope, _new) is item:
                    reference.fields.add().CopyFrom(reference.fields[0])
                    reference.fields[0].string.sval = item.new
                    reference.fields[1].string.sval = column.new
                    return
        raise _CannotFollowError

    @staticmethod
    def _name(reference: Node, item: _Item, column: str) -> None:
        """Write the new names of an item and its column, with a schema only if that stays."""
        if item.moved:
            del reference.fields[:-2]
            reference.fields[0].string.sval = item.new
        if column != "*":
            reference.fields[-1].string.sval = column


def _new_name(item: _Item, name: str) -> str:
    return next((column.new for column in item.columns if column.old == name), name)


def _names_of_outputs(select: Node) -> list[str | None]:
    """Return the names that may mean output columns in the SELECT itself."""
    clauses = (*select.sort_clause, *select.distinct_clause, *select.group_clause)
    return [_bare_name(node.sort_by.node if kind(node) == "sort_by" else node) for node in clauses]


def _bare_name(node: Node) -> str | None:
    """Return the name, if an expression is nothing but one."""
    if kind(node) != "column_ref" or len(node.column_ref.fields) > 1:
        return None
    return names(node.column_ref.fields)[0]


def _declared(cte: Node) -> _Outputs:
    """Return the columns of a common table expression before its query has been looked at."""
    select = content(cte.ctequery)
    while select.DESCRIPTOR.name == "SelectStmt" and select.HasField("larg"):
        select = select.larg
    if select.DESCRIPTOR.name != "SelectStmt":
        raise _CannotFollowError
    given = [output_name(target.res_target) for target in select.target_list]
    complete = None not in given and not select.values_lists
    outputs = _Outputs(tuple(name or "" for name in given), complete)
    return _with_aliases(outputs, names(cte.aliascolnames))


def _with_aliases(outputs: _Outputs, aliases: tuple[str, ...]) -> _Outputs:
    return _Outputs((*aliases, *outputs.names[len(aliases) :]), outputs.complete)


def _derived(name: str, outputs: _Outputs, aliases: tuple[str, ...]) -> _Item:
    shown = _with_aliases(outputs, aliases)
    return _Item(name, name, [_Column(each, each) for each in shown.names], shown.complete)


def _merged(left: _Column, right: _Column, scope: _Scope) -> _Merged:
    """Return the column that a join shows for two, which may be such columns themselves."""
    hidden = {left, right}
    for each in scope.merged:
        if each.column in (left, right):
            hidden |= each.hidden
    return _Merged(_Column(left.old, left.new), frozenset(hidden))


def _visible(items: list[_Item], scope: _Scope) -> list[_Column]:
    """Return the columns that FROM items, or one side of a join, show under a name alone."""
    columns = [column for item in items for column in item.columns]
    own = set(columns)
    merged = [each for each in scope.merged if own.intersection(each.hidden)]
    hidden = {column for each in merged for column in each.hidden}
    return [each for each in [*(one.column for one in merged), *columns] if each not in hidden]


def _shown(name: str, side: list[_Item], scope: _Scope, name_of: _Name) -> _Column:
    """Return the one column of that name on one side of a join."""
    found = [column for column in _visible(side, scope) if name_of(column) == name]
    if len(found) != 1:
        raise _CannotFollowError
    return found[0]


def _shared(
    left: list[_Item], right: list[_Item], scope: _Scope, name_of: _Name
) -> list[tuple[_Column, _Column]]:
    """Return the pairs of columns that a NATURAL JOIN equates."""
    return [
        (first, second)
        for first in _visible(left, scope)
        for second in _visible(right, scope)
        if name_of(first) == name_of(second)
    ]


def _relation_names(message: Node) -> Iterator[str]:
    """Yield every name that a query uses for a relation."""
    if message.DESCRIPTOR.name == "RangeVar":
        yield message.relname
    if message.DESCRIPTOR.name == "Alias":
        yield message.aliasname
    if message.DESCRIPTOR.name == "CommonTableExpr":
        yield message.ctename
    for child in children(message):
        yield from _relation_names(child)


def _cte_names(message: Node) -> Iterator[str]:
    if message.DESCRIPTOR.name == "CommonTableExpr":
        yield message.ctename
    for child in children(message):
        yield from _cte_names(child)
