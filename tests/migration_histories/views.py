"""TViews and helper views as values that refer to relations and columns by key.

What is renamed below them, their text follows, as a QuerySet does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from django.db import models
from django.db.models import Q

from django_tviews.relational.canonical import canonical_sql
from tests.histories import tview

from .project import NUMBERS, TEXTS, Project, Readable, Seen, field_of, keep, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_tviews.state import TViewState


def _same(kind: str) -> str | None:
    return kind


def _upper(kind: str) -> str | None:
    return "text" if kind in TEXTS else None


def _length(kind: str) -> str | None:
    return "integer" if kind in TEXTS else None


def _number(kind: str) -> str | None:
    return kind if kind in NUMBERS else None


def _truth(kind: str) -> str | None:
    return kind if kind == "boolean" else None


def _count(kind: str) -> str | None:
    return "bigint"


def _sum(kind: str) -> str | None:
    if kind == "integer":
        return "bigint"
    return "decimal" if kind in NUMBERS else None


def _extreme(kind: str) -> str | None:
    if kind in NUMBERS:
        return kind
    return "text" if kind in TEXTS else None


SCALARS: Final[dict[str, Callable[[str], str | None]]] = {
    "{}": _same,
    "upper({})": _upper,
    "length({})": _length,
    "coalesce({}, '-')": _upper,
    "{} + 1": _number,
    "coalesce({}, 0)": _number,
    "NOT {}": _truth,
}
AGGREGATES: Final[dict[str, Callable[[str], str | None]]] = {
    "count({})": _count,
    "count(DISTINCT {})": _count,
    "sum({})": _sum,
    "max({})": _extreme,
    "min({})": _extreme,
}
NEVER_NULL: Final = ("count({})", "count(DISTINCT {})", "coalesce({}, '-')", "coalesce({}, 0)")
EXPRESSIONS: Final = SCALARS | AGGREGATES
"""What a query may do with a column: the kind of the result, None if PostgreSQL does not take it.

Django sees no more of an expression than SQL text, so text is what it is here."""

CONDITIONS: Final[dict[str, Callable[[str], str | None]]] = {
    "{} IS NOT NULL": _same,
    "{} <> '7'": _upper,
    "{} > 1": _number,
    "{} = 2": _number,
    "{}": _truth,
}


@dataclass(frozen=True)
class Source:
    """One relation in FROM.

    Attributes:
        alias: in the query.
        relation: the key of what it reads.
        join: ``"JOIN"`` or ``"LEFT JOIN"``; "" for the first one.
        to: the alias that it is joined with.
        to_column: the key of the column there that must be equal ...
        column: ... to the column with this key here.
    """

    alias: str
    relation: str
    join: str = ""
    to: str = ""
    to_column: str = ""
    column: str = ""


@dataclass(frozen=True)
class Output:
    """One field of a TView besides its primary key.

    Attributes:
        key: stays when the field is renamed.
        name: of the field.
        template: one of `EXPRESSIONS`.
        alias: of the source whose column it shows.
        column: the key of the column.
        counted: a relation and its column that points to ``column``: how many rows do.
        output: the name in the query, if ``Maintenance.columns`` gives it another one.
        pointing: whether it is a ForeignKey.
        wide: whether the field holds more than the query gives at present.
        strict: whether the field is NOT NULL where the query cannot give NULL.
        verbose: a ``verbose_name``, which only the state sees.
    """

    key: str
    name: str
    template: str
    alias: str
    column: str
    counted: tuple[str, str] | None = None
    output: str | None = None
    pointing: bool = False
    wide: bool = False
    strict: bool = False
    verbose: str | None = None

    @property
    def column_name(self) -> str:
        """The name of the column in the database."""
        return f"{self.name}_id" if self.pointing else self.name


@dataclass(frozen=True)
class View:
    """A TView.

    Attributes:
        key: stays when the TView is renamed.
        app: its app label.
        name: of the model.
        sources: what it reads; the first one is the first in FROM.
        identity: alias and column key of the primary key; None for a single row.
        outputs: the other fields.
        identity_name: the name of the primary key.
        grouped: whether the query groups by the primary key.
        conditions: of WHERE: one of `CONDITIONS`, an alias, the key of a column.
        db_table: as in Meta.
        indexed: the key of an output with an index in Meta.
        unique: the key of an output that, with the primary key, is unique.
        checked: whether there is a check constraint.
        comment: ``db_table_comment`` in Meta.
        allow_rebuild: as in Maintenance.
    """

    key: str
    app: str
    name: str
    sources: tuple[Source, ...]
    identity: tuple[str, str] | None
    outputs: tuple[Output, ...] = ()
    identity_name: str = "id"
    grouped: bool = False
    conditions: tuple[tuple[str, str, str], ...] = ()
    db_table: str | None = None
    indexed: str | None = None
    unique: str | None = None
    checked: bool = False
    comment: str = ""
    allow_rebuild: bool = False

    @property
    def label(self) -> str:
        """The label of the model."""
        return f"{self.app}.{self.name}"

    @property
    def sql_name(self) -> str:
        """The name of the table in the database."""
        return self.db_table or f"{self.app}_{self.name.lower()}"

    def reads(self) -> set[str]:
        """Return the keys of everything that it reads."""
        counted = {output.counted[0] for output in self.outputs if output.counted}
        return {source.relation for source in self.sources} | counted

    def column(self, alias: str, key: str, readables: dict[str, Readable]) -> Seen | None:
        """Return a column as the query sees it, None if it is not there."""
        for source in self.sources:
            if source.alias == alias and source.relation in readables:
                return readables[source.relation].columns.get(key)
        return None

    def _seen_identity(self, readables: dict[str, Readable]) -> Seen | None:
        if self.identity is None:
            return Seen("", "integer")
        return self.column(*self.identity, readables)

    def columns(self, readables: dict[str, Readable]) -> dict[str, Seen]:
        """Return its columns by key, as other queries see them."""
        found: dict[str, Seen] = {}
        identity = self._seen_identity(readables)
        if identity is not None:
            found["id"] = identity._replace(name=self.identity_name, null=False)
        for output in self.outputs:
            kind, null = self._kind(output, readables)
            if kind is not None:
                found[output.key] = Seen(output.column_name, self._stored(output, kind), null)
        return found

    def _stored(self, output: Output, kind: str) -> str:
        wider = {"char": "text", "integer": "bigint"} if output.wide else {}
        return wider.get(kind, kind)

    def _kind(self, output: Output, readables: dict[str, Readable]) -> tuple[str | None, bool]:
        """Return the kind of an output, None if it is not possible; and whether it may be NULL."""
        column = self.column(output.alias, output.column, readables)
        if output.counted:
            relation, key = output.counted
            there = relation in readables and key in readables[relation].columns
            return ("bigint" if column and there else None), True
        if column is None or (output.pointing and column.kind != "fk"):
            return None, True
        outer = any(each.join == "LEFT JOIN" for each in self.sources if each.alias == output.alias)
        null = output.template not in NEVER_NULL and (
            column.null or outer or output.template in AGGREGATES
        )
        kind = EXPRESSIONS[output.template](column.kind)
        return kind, null or not output.strict

    def query(self, readables: dict[str, Readable]) -> str:
        """Return the query as SQL text."""

        def written(alias: str, key: str) -> str:
            column = self.column(alias, key, readables)
            assert column is not None
            return f"{alias}.{quoted(column.name)}"

        seen = self._seen_identity(readables)
        assert seen is not None
        identity = written(*self.identity) if self.identity else "1"
        selected = [f"{identity} AS {quoted(self.identity_name)}"]
        for output in self.outputs:
            expression = output.template.format(written(output.alias, output.column))
            if output.counted:
                child = readables[output.counted[0]]
                column = child.columns[output.counted[1]].name
                expression = (
                    f"(SELECT count(*) FROM {quoted(child.name)} c "
                    f"WHERE c.{quoted(column)} = {written(output.alias, output.column)})"
                )
            name = output.output or output.column_name
            selected.append(f"{expression} AS {quoted(name)}")
        tables = []
        for source in self.sources:
            table = f"{quoted(readables[source.relation].name)} {source.alias}"
            if source.join:
                table = (
                    f"{source.join} {table} ON {source.alias}."
                    f"{quoted(readables[source.relation].columns[source.column].name)}"
                    f" = {written(source.to, source.to_column)}"
                )
            tables.append(table)
        query = f"SELECT {', '.join(selected)} FROM {' '.join(tables)}"
        conditions = [
            template.format(written(alias, key)) for template, alias, key in self.conditions
        ]
        if seen.null:
            conditions.append(f"{identity} IS NOT NULL")
        if conditions:
            query += f" WHERE {' AND '.join(conditions)}"
        if self.grouped and self.identity:
            query += f" GROUP BY {identity}"
        return query

    def state(self, project: Project, readables: dict[str, Readable]) -> TViewState:
        """The model as the autodetector sees it."""
        seen = self._seen_identity(readables)
        assert seen is not None
        fields: dict[str, models.Field[Any, Any]] = {
            self.identity_name: field_of(
                "bigint" if seen.kind == "fk" else seen.kind,
                primary_key=True,
                **({"db_collation": seen.collation} if seen.collation else {}),
            )
        }
        mapped = {}
        for output in self.outputs:
            kind, null = self._kind(output, readables)
            assert kind is not None
            options: dict[str, Any] = {"null": null, "verbose_name": output.verbose}
            if output.pointing:
                relation = next(s.relation for s in self.sources if s.alias == output.alias)
                target = project.target_of(relation, output.column)
                assert target is not None
                fields[output.name] = models.ForeignKey(
                    project.table(target).label,
                    models.DO_NOTHING,
                    db_constraint=False,
                    related_name="+",
                    **options,
                )
            else:
                stored = self._stored(output, "bigint" if kind == "fk" else kind)
                fields[output.name] = field_of(stored, **options)
            if output.output:
                mapped[output.name] = output.output
        names = {output.key: output.name for output in self.outputs}
        meta: dict[str, Any] = {"default_permissions": ("view",)}
        if self.db_table:
            meta["db_table"] = self.db_table
        if self.comment:
            meta["db_table_comment"] = self.comment
        if self.indexed:
            name = f"{self.key}_index"
            meta["indexes"] = [models.Index(fields=[names[self.indexed]], name=name)]
        if self.checked:
            condition = Q(**{f"{self.identity_name}__isnull": False})
            check = models.CheckConstraint(condition=condition, name=f"{self.key}_check")
            meta.setdefault("constraints", []).append(check)
        if self.unique:
            meta.setdefault("constraints", []).append(
                models.UniqueConstraint(
                    fields=[self.identity_name, names[self.unique]],
                    name=f"{self.key}_unique",
                    deferrable=models.Deferrable.DEFERRED,
                )
            )
        maintenance: dict[str, Any] = {"columns": mapped} if mapped else {}
        if self.allow_rebuild:
            maintenance["allow_rebuild"] = True
        query = canonical_sql(self.query(readables))
        return tview(self.label, query, fields, meta, **maintenance)

    def without_what_is_gone(self, project: Project) -> View | None:
        """Return the TView without what it can no longer read; None if nothing is left of it."""
        readables = project.readables()
        sources: list[Source] = []
        for source in self.sources:
            known = replace(self, sources=tuple(sources))
            if source.relation not in readables:
                continue
            if source.join:
                here = readables[source.relation].columns.get(source.column)
                there = known.column(source.to, source.to_column, readables)
                if not here or not there or not {here.kind, there.kind} <= {"fk", "bigint"}:
                    continue
            sources.append(source)
        if not sources or sources[0] != self.sources[0]:
            return None
        left = replace(self, sources=tuple(sources))
        if left._seen_identity(readables) is None:
            return None
        left = replace(
            left,
            outputs=keep(left.outputs, lambda output: left._kind(output, readables)[0]),
            conditions=keep(
                left.conditions,
                lambda condition: (
                    (column := left.column(condition[1], condition[2], readables))
                    and CONDITIONS[condition[0]](column.kind)
                ),
            ),
        )
        if left.identity is None and not left.outputs:
            # Only an aggregate makes one row of all.
            return None
        keys = {output.key for output in left.outputs}
        return replace(
            left,
            indexed=left.indexed if left.indexed in keys else None,
            unique=left.unique if left.unique in keys else None,
        )


@dataclass(frozen=True)
class Helper:
    """A plain view, made by RunSQL in a migration of its app.

    Attributes:
        key: of the view.
        app: whose migration makes it.
        name: of the view.
        table: the key of the table that it reads.
        columns: its columns by key, as queries see them.
        read: the keys of the columns that it reads.
        definition: the query as SQL text, as it was when it was made.
    """

    key: str
    app: str
    name: str
    table: str
    columns: tuple[tuple[str, Seen], ...]
    read: tuple[str, ...]
    definition: str
