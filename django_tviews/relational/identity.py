"""Which output columns identify a row of a query, by its structure and the keys of what it reads.

This is the theory of functional dependencies: a key of a relation determines its row, a row its
columns, an equality of an inner join or of WHERE each side the other. A set of output columns
identifies a row if what it determines includes the row of every FROM item, or all that the rows
are grouped by.

Unlike the builder this refuses nothing. Where it meets what it does not know it finds no key, so
what it finds is certain, and what it misses may be a key all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Final, TypeAlias

from django_tviews.sqltypes import are_equal_alike
from django_tviews.text import words

from . import functions
from .canonical import output_name
from .syntax import Node, children, content, deparse_expression, kind, names, parse_select, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from django_tviews.facts import Facts

Keys: TypeAlias = "tuple[frozenset[str], ...]"
"""Minimal sets of output columns, each of which identifies a row; the empty set of the only one."""

Attribute: TypeAlias = tuple[int, str]
"""A column of a FROM item, by the item's number; "" is the whole row."""

_MOST_COLUMNS: Final = 3
"""The largest set of columns for which all combinations are tried."""

_DISTINCT_ROWS: Final = words(
    """
    generate_series jsonb_each jsonb_each_text jsonb_object_keys
    """
)
"""Functions of PostgreSQL's own that give no two rows with the same first column."""


def row_keys(sql: str, facts: Facts) -> Keys:
    """Return the minimal sets of output columns that identify a row, the smallest first.

    Args:
        sql: one SELECT, with every name resolved, as PostgreSQL writes the query of a view.
        facts: the relations it names, helper views included.

    Returns:
        None if no set is certain; one empty set if the query has at most one row.
    """
    return _Shapes(facts).of(parse_select(sql), {}).keys


@dataclass(frozen=True)
class _Shape:
    """What a SELECT shows.

    Attributes:
        columns: the names of its output columns.
        keys: those sets of them that identify a row.
        constants: for a column that shows constants only, which ones.
        types: for a column that shows one of a table, its type.
    """

    columns: tuple[str, ...]
    keys: Keys = ()
    constants: Mapping[str, frozenset[object]] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)

    def renamed(self, columns: Sequence[str]) -> _Shape:
        """Give the first columns other names, as an alias does."""
        if len(columns) > len(self.columns):
            return _Shape(tuple(columns))
        new = (*columns, *self.columns[len(columns) :])
        names = dict(zip(self.columns, new, strict=True))
        return _Shape(
            new,
            tuple(frozenset(names[name] for name in key) for key in self.keys),
            {names[name]: values for name, values in self.constants.items()},
            {names[name]: type_sql for name, type_sql in self.types.items()},
        )


_Ctes: TypeAlias = "Mapping[str, tuple[Node, _Ctes]]"


class _Shapes:
    """Finds the shapes of queries over some relations."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    def of(self, select: Node, ctes: _Ctes) -> _Shape:
        """Return the shape of one SELECT."""
        visible = dict(ctes)
        if select.HasField("with_clause"):
            for node in select.with_clause.ctes:
                cte = node.common_table_expr
                # A recursive one does not find itself, so what it shows is unknown.
                visible[cte.ctename] = (cte, dict(visible))
        if select.HasField("larg"):
            return self._of_set_operation(select, visible)
        if select.values_lists:
            return _of_values(select)
        columns = tuple(output_name(target.res_target) or "" for target in select.target_list)
        if len(set(columns)) < len(columns):
            return _Shape(columns)
        constants = {
            name: frozenset({value})
            for name, target in zip(columns, select.target_list, strict=True)
            if (value := _constant(target.res_target.val)) is not None
        }
        bound = _Select(self, select, visible)
        return _Shape(columns, bound.keys(), constants, bound.types())

    def _of_set_operation(self, select: Node, ctes: _Ctes) -> _Shape:
        from postgast import pg_query_pb2

        left, right = (self.of(side, ctes) for side in (select.larg, select.rarg))
        if len(left.columns) != len(right.columns):
            return _Shape(left.columns)
        right = right.renamed(left.columns)
        keys: list[frozenset[str]] = []
        if select.op == pg_query_pb2.SETOP_UNION:
            # A constant that says which side a row comes from, and what identifies it there.
            both = left.constants.keys() & right.constants.keys()
            for name in both:
                if left.constants[name].isdisjoint(right.constants[name]):
                    keys += [one | other | {name} for one in left.keys for other in right.keys]
            constants = {name: left.constants[name] | right.constants[name] for name in both}
        else:
            keys += left.keys
            constants = dict(left.constants)
        if select.op == pg_query_pb2.SETOP_INTERSECT:
            keys += right.keys
        if not select.all:
            keys.append(frozenset(left.columns))
        return _Shape(left.columns, _minimal(keys, left.columns), constants)

    def of_relation(self, relation: Node, ctes: _Ctes) -> _Shape:
        """Return what a relation in FROM shows: a table, a helper view, a CTE."""
        renamed = names(relation.alias.colnames)
        if not relation.schemaname and relation.relname in ctes:
            cte, visible = ctes[relation.relname]
            shape = self.of(content(cte.ctequery), visible)
            return shape.renamed(names(cte.aliascolnames)).renamed(renamed)
        facts = self.facts.relations.get((relation.schemaname or None, relation.relname))
        if facts is None:
            return _Shape(())
        columns = tuple(column.name for column in facts.columns)
        if facts.definition is not None:
            shape = self.of(parse_select(facts.definition), {}).renamed(columns)
        else:
            shape = _Shape(
                columns,
                tuple(frozenset(key) for key in facts.keys),
                types={column.name: column.type for column in facts.columns},
            )
        return shape.renamed(renamed)


@dataclass
class _Dependencies:
    """Which attributes determine which others."""

    _of: list[tuple[frozenset[Attribute], frozenset[Attribute]]] = field(default_factory=list)

    def add(self, determining: Iterable[Attribute], determined: Iterable[Attribute]) -> None:
        self._of.append((frozenset(determining), frozenset(determined)))

    def closure(self, attributes: Iterable[Attribute]) -> frozenset[Attribute]:
        """Return all that some attributes determine."""
        known, before = set(attributes), -1
        while before < len(known):
            before = len(known)
            for determining, determined in self._of:
                if determining <= known:
                    known |= determined
        return frozenset(known)

    def determining(self) -> frozenset[Attribute]:
        """Return the attributes that take part in determining others."""
        return frozenset().union(*(determining for determining, _ in self._of))


class _Select:
    """One plain SELECT."""

    def __init__(self, shapes: _Shapes, select: Node, ctes: _Ctes) -> None:
        self.shapes = shapes
        self.select = select
        self.ctes = ctes
        self.items: list[tuple[str, _Shape]] = []
        self.dependencies = _Dependencies()
        for item in select.from_clause:
            self._from_item(item)
        if select.HasField("where_clause"):
            self._equalities(select.where_clause)
        self.outputs = {
            output_name(target.res_target) or "": target.res_target.val
            for target in select.target_list
        }

    # What determines what

    def _from_item(self, node: Node) -> list[int]:
        """Note the dependencies of a FROM item; return the numbers of the items in it."""
        match kind(node):
            case "range_var":
                relation = node.range_var
                shape = self.shapes.of_relation(relation, self.ctes)
                return [self._item(relation.alias.aliasname or relation.relname, shape)]
            case "range_subselect":
                derived = node.range_subselect
                shape = self.shapes.of(content(derived.subquery), self.ctes)
                shape = shape.renamed(names(derived.alias.colnames))
                # A LATERAL one has its keys for each row of the items before it.
                around = range(len(self.items)) if derived.lateral else ()
                return [self._item(derived.alias.aliasname, shape, around)]
            case "range_function":
                # A function sees the items before it, too.
                shape = _of_function(node.range_function)
                alias = node.range_function.alias.aliasname
                return [self._item(alias, shape, range(len(self.items)))]
            case "join_expr":
                return self._join(node.join_expr)
            case _:
                return [self._item("", _Shape(()))]

    def _item(self, alias: str, shape: _Shape, around: Iterable[int] = ()) -> int:
        number = len(self.items)
        self.items.append((alias, shape))
        row = (number, "")
        rows_around = [(other, "") for other in around]
        for key in shape.keys:
            self.dependencies.add([*((number, name) for name in key), *rows_around], [row])
        self.dependencies.add([row], [(number, name) for name in shape.columns])
        return number

    def _join(self, join: Node) -> list[int]:
        from postgast import pg_query_pb2

        left, right = self._from_item(join.larg), self._from_item(join.rarg)
        match join.jointype:
            case pg_query_pb2.JOIN_INNER:
                preserved: list[int] | None = None
            case pg_query_pb2.JOIN_LEFT:
                preserved = left
            case pg_query_pb2.JOIN_RIGHT:
                preserved = right
            case _:
                return [*left, *right]
        if kind(join.quals):
            self._equalities(join.quals, preserved)
        for name in names(join.using_clause):
            sides = [self._columns_called(name, side) for side in (left, right)]
            if all(len(side) == 1 for side in sides):
                self._equal(sides[0][0], sides[1][0], preserved)
        return [*left, *right]

    def _equalities(self, condition: Node, preserved: list[int] | None = None) -> None:
        """Note what the conjuncts of a condition make equal.

        Args:
            condition: of WHERE or ON.
            preserved: of an outer join, the items whose rows show with or without a match.
        """
        from postgast import pg_query_pb2

        match kind(condition):
            case "bool_expr" if condition.bool_expr.boolop == pg_query_pb2.AND_EXPR:
                for argument in condition.bool_expr.args:
                    self._equalities(argument, preserved)
            case "null_test" if preserved is None:
                test = condition.null_test
                if test.nulltesttype == pg_query_pb2.IS_NULL and (column := self._column(test.arg)):
                    self.dependencies.add((), [column])
            case "a_expr":
                comparison = condition.a_expr
                if comparison.kind != pg_query_pb2.AEXPR_OP or names(comparison.name)[-1] != "=":
                    return
                sides = [self._column(side) for side in (comparison.lexpr, comparison.rexpr)]
                constant = [_is_constant(side) for side in (comparison.lexpr, comparison.rexpr)]
                if sides[0] and sides[1]:
                    self._equal(sides[0], sides[1], preserved)
                elif preserved is None and any(constant):
                    self.dependencies.add((), [side for side in sides if side])

    def _equal(self, first: Attribute, second: Attribute, preserved: list[int] | None) -> None:
        if not are_equal_alike(self._type(first), self._type(second)):
            # Equal values of one type may be equal to different ones of another: citext and text.
            return
        for one, other in ((first, second), (second, first)):
            if preserved is None:
                self.dependencies.add([one], [other])
            elif one[0] in preserved and other[0] not in preserved:
                # Whether there is a match, the preserved row decides as a whole.
                self.dependencies.add([(number, "") for number in preserved], [other])

    # Names

    def _column(self, node: Node) -> Attribute | None:
        """Return the column of a FROM item that an expression is, if it is one."""
        if kind(node) != "column_ref":
            return None
        name = names(node.column_ref.fields)
        if len(name) > 1:
            found = [
                (number, name[-1])
                for number, (alias, shape) in enumerate(self.items)
                if alias == name[-2] and name[-1] in shape.columns
            ]
        else:
            found = self._columns_called(name[0], range(len(self.items)))
        # Several are the one column of a JOIN USING, if each determines the others.
        if found and all(set(found) <= self.dependencies.closure([each]) for each in found):
            return found[0]
        return None

    def _columns_called(self, name: str, items: Iterable[int]) -> list[Attribute]:
        return [(number, name) for number in items if name in self.items[number][1].columns]

    def _type(self, attribute: Attribute) -> str:
        """Return the type of a column; one that is equal to no other if it is not known."""
        number, name = attribute
        return self.items[number][1].types.get(name, f"{number}.{name}")

    def types(self) -> dict[str, str]:
        """Return the types of the output columns that are columns of a table."""
        shown = {name: self._column(node) for name, node in self.outputs.items()}
        types = {
            name: self.items[column[0]][1].types.get(column[1])
            for name, column in shown.items()
            if column
        }
        return {name: type_sql for name, type_sql in types.items() if type_sql}

    # Keys

    def keys(self) -> Keys:
        """Return the sets of output columns that identify a row."""
        computed = [name for name, node in self.outputs.items() if self._multiplies(node)]
        if computed:
            return self._keys_of_computed_rows(computed)
        if self._is_one_group():
            return (frozenset(),)
        goals = [self._groups()] if self.select.group_clause else [self._rows()]
        if self.select.distinct_clause:
            distinct = [node for node in self.select.distinct_clause if kind(node)]
            goals.append([_Expression(node) for node in distinct or self.outputs.values()])
        return _minimal(
            (key for goal in goals if goal is not None for key in self._identifying(goal)),
            tuple(self.outputs),
        )

    def _keys_of_computed_rows(self, computed: list[str]) -> Keys:
        """Return the keys where a function in the select list gives several rows for each."""
        call = self.outputs[computed[0]]
        if len(computed) > 1 or not _gives_distinct_rows(call) or self.select.group_clause:
            return ()
        goal = self._rows()
        return tuple(key | {computed[0]} for key in self._identifying(goal))

    def _multiplies(self, message: Node) -> bool:
        """Tell whether a function in an expression gives several rows for one."""
        if wrapped(message) and kind(message) == "sub_link":
            return False
        if message.DESCRIPTOR.name == "FuncCall":
            *schema, plain = names(message.funcname)
            own = not schema and plain in functions.SET_RETURNING
            if own or (schema[-1] if schema else None, plain) in self.shapes.facts.set_returning:
                return True
        return any(self._multiplies(child) for child in children(message))

    def _rows(self) -> list[_Expression | Attribute]:
        return [(number, "") for number in range(len(self.items))]

    def _groups(self) -> list[_Expression | Attribute] | None:
        groups = list(self.select.group_clause)
        if any(kind(node) in ("grouping_set", "a_const") for node in groups):
            return None
        return [_Expression(node) for node in groups]

    def _is_one_group(self) -> bool:
        return not self.select.group_clause and (
            self.select.HasField("having_clause")
            or any(self._aggregates(target) for target in self.select.target_list)
        )

    def _aggregates(self, message: Node) -> bool:
        if wrapped(message) and kind(message) == "sub_link":
            return False
        if message.DESCRIPTOR.name == "FuncCall" and not message.HasField("over"):
            *schema, plain = names(message.funcname)
            own = schema in ([], ["pg_catalog"]) and plain in functions.AGGREGATES
            if own or (schema[-1] if schema else None, plain) in self.shapes.facts.aggregates:
                return True
        return any(self._aggregates(child) for child in children(message))

    def _identifying(self, goal: Sequence[_Expression | Attribute]) -> Iterator[frozenset[str]]:
        """Yield sets of outputs that determine all of the goal; at most one of them is large."""
        shown = {deparse_expression(each): name for name, each in self.outputs.items()}
        wanted = {each.text for each in goal if isinstance(each, _Expression)}
        determining = self.dependencies.determining()
        useful = [
            name
            for name, expression in self.outputs.items()
            if self._column(expression) in determining or deparse_expression(expression) in wanted
        ]
        found: list[frozenset[str]] = []
        for size in range(_MOST_COLUMNS + 1):
            for chosen in combinations(useful, size):
                key = frozenset(chosen)
                smaller = any(each <= key for each in found)
                if not smaller and self._determine(key, goal, shown):
                    found.append(key)
        if not found and self._determine(frozenset(useful), goal, shown):
            rest = set(useful)
            for name in reversed(useful):
                if self._determine(frozenset(rest - {name}), goal, shown):
                    rest.remove(name)
            found.append(frozenset(rest))
        yield from found

    def _determine(
        self,
        chosen: frozenset[str],
        goal: Iterable[_Expression | Attribute],
        shown: Mapping[str, str],
    ) -> bool:
        columns = [self._column(self.outputs[name]) for name in chosen]
        known = self.dependencies.closure(column for column in columns if column)
        return all(
            each in known
            if isinstance(each, tuple)
            else shown.get(each.text) in chosen or self._is_computed_from(each.node, known)
            for each in goal
        )

    def _is_computed_from(self, node: Node, known: frozenset[Attribute]) -> bool:
        """Tell whether an expression has one value where the known attributes have one each."""
        match kind(node):
            case "column_ref":
                return self._column(node) in known
            case "sub_link":
                return False
        return all(
            self._is_computed_from(each, known)
            for child in children(node)
            for each in _nodes(child)
        )


class _Expression:
    """An expression that rows are grouped by."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.text = deparse_expression(node)


def _nodes(message: Node) -> Iterator[Node]:
    """Yield the nearest ``Node`` wrappers in a message, itself if it is one."""
    if wrapped(message):
        yield message
        return
    for child in children(message):
        yield from _nodes(child)


def _is_constant(node: Node) -> bool:
    if kind(node) == "type_cast":
        return _is_constant(node.type_cast.arg)
    return kind(node) == "a_const"


def _constant(node: Node) -> object:
    """Return a constant as a value that differs from others just where PostgreSQL's ``=`` does."""
    if kind(node) == "type_cast":
        # Casts to other types may make different constants equal.
        if names(node.type_cast.type_name.names)[-1] not in ("text", "varchar"):
            return None
        node = node.type_cast.arg
    if kind(node) == "a_const" and node.a_const.WhichOneof("val") in ("sval", "ival"):
        value = node.a_const.sval.sval or node.a_const.ival.ival
        return (node.a_const.WhichOneof("val"), value)
    return None


def _gives_distinct_rows(call: Node) -> bool:
    return kind(call) == "func_call" and names(call.func_call.funcname)[0] in _DISTINCT_ROWS


def _of_function(item: Node) -> _Shape:
    """Return what functions in FROM show; PostgreSQL writes the names of all their columns."""
    columns = names(item.alias.colnames) or (item.alias.aliasname,)
    if item.ordinality:
        return _Shape(columns, (frozenset(columns[-1:]),))
    calls = [function.list.items[0] for function in item.functions]
    if len(calls) == 1 and _gives_distinct_rows(calls[0]):
        return _Shape(columns, (frozenset(columns[:1]),))
    return _Shape(columns)


def _of_values(select: Node) -> _Shape:
    """Return what VALUES shows: a column of different constants is a key."""
    rows = [[_constant(value) for value in row.list.items] for row in select.values_lists]
    columns = tuple(f"column{place}" for place in range(1, len(rows[0]) + 1))
    shown = dict(zip(columns, zip(*rows, strict=True), strict=True))
    return _Shape(
        columns,
        tuple(
            frozenset({name})
            for name, values in shown.items()
            if None not in values and len(set(values)) == len(values)
        ),
    )


def _minimal(keys: Iterable[frozenset[str]], columns: tuple[str, ...]) -> Keys:
    """Leave out keys that contain others; the smallest first, then in the order of the columns."""

    def places(key: frozenset[str]) -> tuple[int, list[int]]:
        return len(key), sorted(columns.index(name) for name in key)

    found: list[frozenset[str]] = []
    for key in sorted(set(keys), key=places):
        if not any(smaller <= key for smaller in found):
            found.append(key)
    return tuple(found)
