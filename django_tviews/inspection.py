"""Write the class of a TView for a query, as ``inspectdb`` writes models for tables.

The query is compiled as ``migrate`` compiles it, in a transaction that is rolled back: what is
refused there is refused here. What a class needs besides its query is inferred: the fields from
the types of the output columns, their null-ness from the structure of the query, the primary key
from the keys of what it reads.
"""

from __future__ import annotations

import textwrap
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from . import catalog, planning
from .definition import Column, Declaration
from .errors import KeyMissing, UnsupportedQuery
from .inspected_fields import (
    Described,
    InspectedField,
    arguments_of,
    call,
    db_type,
    may_be_key,
    plain_field,
    quoted,
    with_names,
    with_relations,
)
from .query import SQLFile, refuse_unusable_names, with_total_orders
from .relational.builder import build_tree, complete_order
from .relational.canonical import canonical_sql, formatted, output_names
from .relational.identity import row_keys
from .sql.quoting import identifier
from .text import object_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper

    from .facts import RelationFacts
    from .relational.identity import Keys
    from .relational.tree import Output, QueryTree

_TABLE: Final = "tview_inspect"
"""What the temporary objects are named after."""

_VIEW: Final = object_name(_TABLE, "query")
"""The temporary view of the query, under the name that a backing view would have."""

_WIDTH: Final = 88
"""The longest line of the class, if it can be broken."""


@dataclass(frozen=True)
class InspectedTView:
    """A TView for a query.

    Attributes:
        name: of the class.
        query: the value of ``query``, as SQL text or in a file.
        fields: its fields, in the order of the output columns.
        key: the names of the columns that identify a row.
        certain: the structure of the query proves that they do.
        rebuilds: why a change may recompute the whole table; empty if none does.
        comments: what else there is to know.
    """

    name: str
    query: str | SQLFile
    fields: tuple[InspectedField, ...]
    key: tuple[str, ...]
    certain: bool
    rebuilds: str = ""
    comments: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the TView as JSON holds it, with its source."""
        found = asdict(self)
        found["query"] = self.query if isinstance(self.query, str) else self.query.path
        found["source"] = str(self)
        return found

    def __str__(self) -> str:
        """Write the module that declares it."""
        return "\n".join([*self._imports(), "", "", f"class {self.name}(TView):", *self._body()])

    def _imports(self) -> Iterator[str]:
        names: dict[str, set[str]] = {}
        for module, name in (each.imported for each in self.fields):
            names.setdefault(module, set()).add(name)
        for module in sorted(names):
            yield f"from {module} import {', '.join(sorted(names[module]))}"
        yield ""
        own = "SQLFile, TView" if isinstance(self.query, SQLFile) else "TView"
        yield f"from django_tviews import {own}"

    def _body(self) -> Iterator[str]:
        for comment in self.comments:
            yield from _comment(comment)
        if not self.certain:
            yield from _comment(
                "The structure of the query does not tell which columns identify a row. Check that "
                f"{' and '.join(self.key)} cannot be the same in two rows."
            )
        if len(self.key) > 1:
            parts = [
                quoted(each.attribute)
                for name in self.key
                for each in self.fields
                if each.column == name
            ]
            yield f"    pk = models.CompositePrimaryKey({', '.join(parts)})"
        for each in self.fields:
            yield from _field(each)
        yield ""
        yield from _query(self.query)
        if self.rebuilds:
            yield ""
            yield "    class Maintenance:"
            yield from _comment(self.rebuilds, indent=8)
            yield "        allow_rebuild = True"


def inspect_query(
    sql: str,
    *,
    name: str = "NewTView",
    file: SQLFile | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> InspectedTView:
    """Return a TView for a query. The database is asked, and left as it is.

    Args:
        sql: one SELECT.
        name: of the class.
        file: where the text stands, for the class to refer to.
        using: alias of a database that has the relations which the query reads.

    Raises:
        InvalidQuery: the text is not one query whose output columns all have names.
        UnsupportedQuery: it has a construct that cannot be kept, at a position in ``sql``.
        KeyMissing: no output column can be part of a primary key.
        django.db.ProgrammingError: PostgreSQL does not take the query.
    """
    connection = connections[using]
    canonical = canonical_sql(sql)
    refuse_unusable_names(output_names(canonical))
    with _rolled_back(connection):
        settled, as_written = _settled(connection, sql)
        with connection.cursor() as cursor:
            # None, so that a percent sign in the query is one.
            cursor.execute(f"CREATE TEMPORARY VIEW {identifier(_VIEW)} AS {settled}", None)
        inspected = _inspected(connection, name)
    if as_written:
        return replace(inspected, query=file or sql)
    return replace(
        inspected,
        query=formatted(settled),
        comments=("Each ORDER BY that left rows tied is completed by a primary key.",),
    )


@contextmanager
def _rolled_back(connection: BaseDatabaseWrapper) -> Iterator[None]:
    with transaction.atomic(connection.alias):
        yield
        transaction.set_rollback(True, connection.alias)


def _settled(connection: BaseDatabaseWrapper, sql: str) -> tuple[str, bool]:
    """Return the query as a migration would store it, and whether the author's text leads to it.

    makemigrations completes an ORDER BY by what the models declare. Where they do not tell enough,
    the class has to have the complete text.
    """
    facts = planning.read_facts(connection, sql)
    # Refuses what cannot be kept, at its place in the author's own text.
    completed = complete_order(sql, facts)
    try:
        settled = with_total_orders(canonical_sql(sql))
        build_tree(settled, facts)
    except UnsupportedQuery:
        return completed, False
    return settled, True


def _inspected(connection: BaseDatabaseWrapper, name: str) -> InspectedTView:
    (oid,) = catalog.resolve(connection, [(None, _VIEW)]).values()
    relation = catalog.relations(connection, [oid])[oid]
    query = relation.definition or ""
    facts = planning.read_facts(connection, query)
    tree = build_tree(query, facts)
    described = _described(connection, [column.type for column in relation.columns])
    plain = [
        plain_field(connection, each, output)
        for each, output in zip(described, tree.outputs, strict=True)
    ]
    keys = row_keys(query, facts)
    key, certain = _chosen(keys, plain, tree.outputs)
    outputs = [(output, _shown_relation(tree, output)) for output in tree.outputs]
    fields = with_relations(plain, outputs, key)
    fields = [
        replace(each, arguments={"primary_key": True, **each.arguments})
        if (each.column,) == key
        else replace(each, arguments={**each.arguments, "null": True})
        if each.nullable
        else each
        for each in fields
    ]
    return InspectedTView(
        name=name,
        query="",
        fields=tuple(with_names(fields)),
        key=key,
        certain=certain,
        rebuilds=_rebuilds(connection, name, relation.schema or "", plain, key),
    )


def _described(connection: BaseDatabaseWrapper, types: Sequence[str]) -> list[Described]:
    """Let Django's introspection describe the output columns, without a row being computed."""
    with connection.cursor() as cursor:
        rows = _introspected(cursor, "rows", f"SELECT * FROM {identifier(_VIEW)}")
        arrays = [row for row, type_sql in zip(rows, types, strict=True) if type_sql.endswith("]")]
        names = [identifier(row.name) for row in arrays]
        elements: dict[str, Any] = {}
        if names:
            parts = ", ".join(f"{name}[1] AS {name}" for name in names)
            found = _introspected(cursor, "elements", f"SELECT {parts} FROM {identifier(_VIEW)}")
            elements = {row.name: row for row in found}
    return [
        Described(row, elements.get(row.name), type_sql)
        for row, type_sql in zip(rows, types, strict=True)
    ]


def _introspected(cursor: CursorWrapper, suffix: str, query: str) -> list[Any]:
    table = object_name(_TABLE, suffix)
    # Introspection reads a row, and in a table without rows that costs nothing.
    cursor.execute(f"CREATE TEMPORARY TABLE {identifier(table)} AS {query} WITH NO DATA", None)
    described: list[Any] = cursor.db.introspection.get_table_description(cursor, table)
    return described


def _chosen(
    keys: Keys, plain: Sequence[InspectedField], outputs: Sequence[Output]
) -> tuple[tuple[str, ...], bool]:
    """Choose a primary key, and tell whether it is certain that it identifies a row."""
    usable = [each.column for each in plain if may_be_key(each)]
    for key in keys:
        if key and key <= set(usable):
            return tuple(name for name in usable if name in key), True
    by_name = {output.name: output.expression for output in outputs}
    only = frozenset() in keys
    opaque = [name for name in by_name if by_name[name].opaque]
    single = [name for name in usable if only or name not in opaque or len(opaque) == len(outputs)]
    if opaque and single and not only:
        # Beside what is computed from many rows stands what these rows have in common.
        return tuple(single), False
    likely = sorted(
        single,
        key=lambda name: (
            # Any column identifies the only row; a constant is what says so.
            only and bool(by_name[name].columns or by_name[name].opaque),
            name != "id",
            not name.endswith("_id"),
        ),
    )
    if not likely:
        raise KeyMissing(
            "No output column of the query can be a primary key: each may be NULL, or is of a "
            "type that cannot tell rows apart.",
            hint="Select a column that is NOT NULL in every state of the tables, such as the "
            "primary key of the first of them; COALESCE or CAST it if need be.",
        )
    return (likely[0],), only


def _shown_relation(tree: QueryTree, output: Output) -> RelationFacts | None:
    """Return the relation of which an output shows a column as it is."""
    column = output.expression.column
    if column is None:
        return None
    return next(
        (each.relation for each in tree.occurrences if each.number == column.occurrence), None
    )


def _rebuilds(
    connection: BaseDatabaseWrapper,
    name: str,
    schema: str,
    plain: Sequence[InspectedField],
    key: tuple[str, ...],
) -> str:
    """Plan the TView; return why it has to be rebuilt at some changes, if it has to."""
    declaration = Declaration(
        label=name,
        table=_TABLE,
        query="",
        columns=tuple(
            Column(each.column, db_type(each) or each.computed, each.nullable, each.column)
            for each in plain
        ),
        key=key,
    )
    try:
        planning.plan_of(connection, declaration, schema)
    except UnsupportedQuery as error:
        if error.context.get("construct") != "no-route":
            raise
        planning.plan_of(connection, replace(declaration, allow_rebuild=True), schema)
        return error.message.removeprefix(f"{name}: ")
    return ""


def _field(field: InspectedField) -> Iterator[str]:
    for note in field.notes:
        yield from _comment(note)
    written = call(field.type, field.positional, field.arguments)
    line = f"    {field.name} = {written}"
    if len(line) <= _WIDTH:
        yield line
        return
    arguments = arguments_of(field.positional, field.arguments)
    together = f"        {', '.join(arguments)}"
    yield f"    {field.name} = {field.type}("
    if len(together) <= _WIDTH:
        yield together
    else:
        yield from (f"        {argument}," for argument in arguments)
    yield "    )"


def _comment(text: str, indent: int = 4) -> Iterator[str]:
    prefix = f"{' ' * indent}# "
    capitalised = f"{text[:1].upper()}{text[1:]}"
    yield from textwrap.wrap(
        capitalised,
        _WIDTH,
        initial_indent=prefix,
        subsequent_indent=prefix,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _query(query: str | SQLFile) -> Iterator[str]:
    if isinstance(query, SQLFile):
        yield f"    query = SQLFile({quoted(query.path)})"
        return
    text = textwrap.dedent(query).strip()
    indented = textwrap.indent(text, " " * 8)
    # A literal over several lines stays as it is.
    if canonical_sql(indented) != canonical_sql(text):
        indented = text
    escaped = indented.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    yield '    query = """'
    yield escaped
    yield '    """'
