"""Parts: what the rows of a query show, as far as it has no say in which rows there are.

    SELECT post.id, post.title, author.name FROM post JOIN author ON author.id = post.author_id

The name of an author is read by one output column and by nothing else. Whoever changes it leaves
the rows of the result and their other columns as they are. What an output column alone reads is
found by leaving out all the others: the query that is left is read like any other one.

A document that ``jsonb_build_object`` builds has parts of its own, by their paths:

    jsonb_build_object('title', post.title, 'author', jsonb_build_object('name', author.name))

These are the title and the name of the author. What is left of a query without the other parts of a
document is its document with these alone.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django_tviews.text import words

from .branches import Branches
from .builder import Builder
from .canonical import formatted, output_name, read_relations
from .syntax import Node, calls, deparse_select, kind, names, parse_select, type_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from django_tviews.facts import Facts, RelationFacts

    from .tree import Alternative, Expression, Occurrence

_TEXT = words("text pg_catalog.text")


@dataclass(frozen=True)
class Reads:
    """What a query reads.

    Attributes:
        occurrences: the base relations, each with the columns read of it.
    """

    occurrences: tuple[Occurrence, ...]

    def reads(self, relation: RelationFacts) -> bool:
        """Tell whether a relation occurs, with columns or without."""
        return any(each.relation == relation for each in self.occurrences)

    def columns(self, relation: RelationFacts) -> frozenset[str]:
        """Return the columns of a relation that are read."""
        return frozenset(
            name for each in self.occurrences if each.relation == relation for name in each.columns
        )


@dataclass(frozen=True)
class Part:
    """An output column, or a value in a document.

    Attributes:
        output: the name of the column.
        path: the keys that lead to the value in the document; none for the whole column.
        reads: what the query reads if it shows nothing else.
        value: what it is computed from; its occurrences are those of the query that shows nothing
            else.
    """

    output: str
    path: tuple[str, ...]
    reads: Reads
    value: Expression

    def reads_alone(self, relation: RelationFacts) -> bool:
        """Tell whether a row of a relation that occurs once is all that it is computed from.

        Args:
            relation: the relation.
        """
        occurrences = {each.number for each in self.reads.occurrences if each.relation == relation}
        return (
            not self.value.opaque
            and not self.value.presences
            and len(occurrences) == 1
            and self.value.occurrences == occurrences
        )


@dataclass(frozen=True)
class Member:
    """A member of an object in a document.

    Attributes:
        key: its key.
        members: those of its value that are meant; none if all of it is.
    """

    key: str
    members: tuple[Member, ...] = ()


@dataclass(frozen=True)
class Parts:
    """A query whose output columns do not decide which rows there are.

    Attributes:
        sql: the query.
        rows: what it reads to find the rows, before it shows anything of them.
        shown: the output columns, documents in parts.
        joins_tables: its rows are combinations of rows of the tables that FROM names, each there
            once; FROM has nothing else.
    """

    sql: str
    rows: Reads
    shown: tuple[Part, ...]
    joins_tables: bool = False

    def narrowed(self, shown: Mapping[str, Collection[Member]]) -> str:
        """Return the query without some of what it shows.

        Args:
            shown: the output columns that stay; of a document these members, if some are given.
        """
        select = parse_select(self.sql)
        rest = _without_outputs(select)
        for target in select.target_list:
            name = output_name(target.res_target)
            if name is not None and name in shown:
                kept = rest.target_list.add()
                kept.CopyFrom(target)
                kept.res_target.name = name
                _keep_members(kept.res_target.val, shown[name])
        return formatted(deparse_select(rest))


def find_parts(sql: str, facts: Facts) -> Parts | None:
    """Find out what each output column of a query reads.

    Args:
        sql: one SELECT that :func:`~.builder.build_tree` accepts.
        facts: the relations, views included, and the functions that it names.

    Returns:
        None if output columns decide about rows, as in DISTINCT, or rows stand for several.
    """
    select = parse_select(sql)
    if not _is_plain(select, Builder(facts, Branches())):
        return None
    # A view may be renamed while the query, whose text would stand in functions, follows by itself.
    views = any(
        (relation := facts.relations.get(name)) is not None and relation.definition
        for name in read_relations(sql)
    )
    shown = []
    for target in select.target_list:
        name = output_name(target.res_target)
        if name is None:
            return None
        values = [((), target.res_target.val)] if views else _values(target.res_target.val)
        for path, value in values:
            alone = _alone(select, value, facts)
            shown.append(Part(name, path, _reads(alone), alone.outputs[0].expression))
    return Parts(
        sql, _reads(_alone(select, None, facts)), tuple(shown), _joins_tables(select, facts)
    )


def _is_plain(select: Node, builder: Builder) -> bool:
    return not (
        select.HasField("larg")
        or select.values_lists
        or select.distinct_clause
        or kind(select.limit_count)
        or kind(select.limit_offset)
        or builder.selects.is_grouped(select)
        or any(
            builder.computed.gives_rows(call)
            for target in select.target_list
            for call in calls(target)
        )
    )


def _joins_tables(select: Node, facts: Facts) -> bool:
    """Tell whether FROM names tables and nothing else: what else gives rows may repeat them."""
    # A name may be that of a WITH.
    return not select.HasField("with_clause") and all(
        _is_of_tables(item, facts) for item in select.from_clause
    )


def _is_of_tables(item: Node, facts: Facts) -> bool:
    if kind(item) == "join_expr":
        join = item.join_expr
        return _is_of_tables(join.larg, facts) and _is_of_tables(join.rarg, facts)
    if kind(item) != "range_var":
        return False
    relation = facts.relations.get((item.range_var.schemaname or None, item.range_var.relname))
    return relation is not None and not relation.definition


def _without_outputs(select: Node) -> Node:
    rest = copy.deepcopy(select)
    # The order of the rows is no matter, and may name what is not shown any more.
    del rest.sort_clause[:]
    del rest.target_list[:]
    return rest


def _alone(select: Node, value: Node | None, facts: Facts) -> Alternative:
    """Return a query that shows one value only, or none."""
    rest = _without_outputs(select)
    if value is not None:
        target = rest.target_list.add().res_target
        target.name = "value"
        target.val.CopyFrom(value)
    return Builder(facts, Branches()).build(rest)


def _reads(alternative: Alternative) -> Reads:
    return Reads(tuple(each for each in alternative.occurrences if each.computed is None))


def _values(node: Node) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Yield the values that a document is built of, with their paths; or the value itself."""
    members = _members(node)
    if members is None:
        yield (), node
        return
    for key, value in members.items():
        for path, inner in _values(value):
            yield (key, *path), inner


def _members(node: Node) -> dict[str, Node] | None:
    """Return the members of an object that is built here, each under a key of its own."""
    if kind(node) != "func_call":
        return None
    call = node.func_call
    *schema, function = names(call.funcname)
    if function != "jsonb_build_object" or schema not in ([], ["pg_catalog"]):
        return None
    if call.func_variadic or not call.args:
        return None
    keys = [_text(key) for key in call.args[::2]]
    found = {key: value for key, value in zip(keys, call.args[1::2], strict=False) if key}
    # Of two members with one key the last one counts.
    return found if 2 * len(found) == len(call.args) else None


def _text(node: Node) -> str | None:
    """Return the text that a node is a constant of, if it is."""
    if kind(node) == "type_cast" and type_name(node.type_cast.type_name) in _TEXT:
        node = node.type_cast.arg
    if kind(node) != "a_const" or node.a_const.WhichOneof("val") != "sval":
        return None
    return str(node.a_const.sval.sval)


def _keep_members(node: Node, members: Collection[Member]) -> None:
    """Take all members but some out of an object that is built here."""
    if not members:
        return
    call = node.func_call
    kept = {member.key: member for member in members}
    arguments = [
        copy.deepcopy(argument)
        for key, value in zip(call.args[::2], call.args[1::2], strict=True)
        if _text(key) in kept
        for argument in (key, value)
    ]
    del call.args[:]
    call.args.extend(arguments)
    for key, value in zip(call.args[::2], call.args[1::2], strict=True):
        _keep_members(value, kept[_text(key) or ""].members)
