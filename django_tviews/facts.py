"""What the compiler needs to know about a database, as plain values.

``catalog`` reads them from a server, ``definition`` derives them from Django's migration state,
tests write them by hand. Nothing here opens a connection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from .sqltypes import has_one_look

if TYPE_CHECKING:
    from collections.abc import Mapping

RelationName: TypeAlias = tuple[str | None, str]
"""Schema, None if the text leaves it to the search path, and name of a relation, unquoted."""

FunctionName: TypeAlias = tuple[str | None, str]
"""The same of a function, whatever its arguments."""


class RelationKind(StrEnum):
    """What a relation is, in the words of the error messages."""

    TABLE = "table"
    VIEW = "view"
    PARTITIONED_TABLE = "partitioned table"
    PARTITION = "partition"
    INHERITANCE_PARENT = "table with inheritance children"
    MATERIALIZED_VIEW = "materialized view"
    FOREIGN_TABLE = "foreign table"
    TEMPORARY_TABLE = "temporary table"
    UNLOGGED_TABLE = "unlogged table"
    SYSTEM_CATALOG = "system catalog"


# The kinds that fire statement triggers and keep their rows.
KINDS_WITH_TRIGGERS = frozenset(
    {
        RelationKind.TABLE,
        RelationKind.PARTITIONED_TABLE,
        RelationKind.PARTITION,
        RelationKind.INHERITANCE_PARENT,
    }
)


class Volatility(StrEnum):
    """``pg_proc.provolatile``: what a function's result may depend on."""

    IMMUTABLE = "immutable"
    STABLE = "stable"
    VOLATILE = "volatile"


@dataclass(frozen=True)
class ColumnFacts:
    """A column of a relation.

    Attributes:
        name: the column's name, unquoted.
        type: the type with its modifier as SQL that needs no search path: ``numeric(12,2)``,
            ``public.citext``.
        not_null: the column itself is declared NOT NULL (or belongs to a primary key).
        deterministic: equal values look the same; false under a nondeterministic collation.
        generation: of a generated column that is not stored (PostgreSQL 18), the expression over
            the other columns of its row; transition tables show NULL in its place.
        base: of a domain, the type that it stands on; ``anyenum`` for an enum, or a domain over
            one; else, and where that is not known, empty.
        collation: as SQL that needs no search path; empty for none, or the default of the database.
    """

    name: str
    type: str
    not_null: bool = False
    deterministic: bool = True
    generation: str | None = None
    base: str = ""
    collation: str = ""

    @property
    def one_look(self) -> bool:
        """Equal values of the column look the same, as far as its type is known."""
        return self.deterministic and has_one_look(self.base or self.type)


@dataclass(frozen=True)
class RelationFacts:
    """A relation that a query reads.

    Attributes:
        schema: the schema it stands in; None while only the migration state knows it.
        name: its name, unquoted.
        kind: what it is.
        columns: its columns, in order.
        keys: the column sets that identify a row, unique and not null, the primary key first.
        definition: for a view, its query with every name resolved.
        row_security: row-level security would filter what the TView's owner sees.
        descendants: its partitions or inheritance children, at every level; their rows are rows
            of it, too.
        ancestors: the tables that it is a partition or inheritance child of, at every level, the
            nearest first; a statement may change its rows through them.
    """

    schema: str | None
    name: str
    kind: RelationKind = RelationKind.TABLE
    columns: tuple[ColumnFacts, ...] = ()
    keys: tuple[tuple[str, ...], ...] = ()
    definition: str | None = None
    row_security: bool = False
    descendants: tuple[RelationFacts, ...] = field(default=(), hash=False)
    ancestors: tuple[RelationFacts, ...] = field(default=(), hash=False)

    @property
    def targets(self) -> tuple[RelationFacts, ...]:
        """The relations that a statement may name to change rows of this one, itself first.

        Statement triggers fire on the relation that the statement names, and on no other.
        """
        return (self, *self.descendants, *self.ancestors)

    @property
    def outermost(self) -> RelationFacts:
        """The table that this one is a part of, at however many levels, or itself."""
        return self.ancestors[-1] if self.ancestors else self

    @cached_property
    def by_name(self) -> Mapping[str, ColumnFacts]:
        """The columns by their names."""
        return {column.name: column for column in self.columns}

    @property
    def full_name(self) -> str:
        """The name as messages show it: ``shop.product``."""
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True)
class Facts:
    """All that is known about the relations, functions and types of one query.

    Attributes:
        relations: by the names that the query writes.
        functions: the volatility of functions outside ``pg_catalog``; the worst of the overloads.
        aggregates: those of ``functions`` that are aggregates.
        equality_schemas: for types whose equality operator stands outside ``pg_catalog``
            (``public.citext``), the schema of that operator.
        set_returning: those of ``functions`` that give rows.
        tview_depths: for relations that are TViews, how many TViews lie below them.
        container_types: of the types of the TView's own columns, those that are ``an array`` or
            ``a row``.
    """

    relations: Mapping[RelationName, RelationFacts] = field(default_factory=dict)
    functions: Mapping[FunctionName, Volatility] = field(default_factory=dict)
    aggregates: frozenset[FunctionName] = frozenset()
    equality_schemas: Mapping[str, str] = field(default_factory=dict)
    tview_depths: Mapping[RelationName, int] = field(default_factory=dict)
    set_returning: frozenset[FunctionName] = frozenset()
    container_types: Mapping[str, str] = field(default_factory=dict)
