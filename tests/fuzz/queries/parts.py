"""What the grammar passes around: fields, FROM items, outputs and finished queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.fuzz.schema import COMPARABLE, FAMILIES, Column, Relation

if TYPE_CHECKING:
    from collections.abc import Sequence

# What stands for NULL in a key: a value that no row has.
ABSENT = {
    "integer": "-1",
    "text": "'~'",
    "numeric": "-1.00",
    "time": "'1900-01-01 00:00:00+00'::timestamptz",
    "date": "'1900-01-01'::date",
    "boolean": "false",
    "float": "(-1)::float8",
    "mood": "'sad'::mood",
    "range": "'empty'::int4range",
}

# Literals that a careless template would stumble over.
TRAPS = ("'$bulk$'", "'$function$'", "'@into@'", "'@{table}'", "'100%'", "'%s'", r"'a\b'")

# Families whose values can be compared with a literal.
EQUATED = (*COMPARABLE, "integers", "texts")


@dataclass(frozen=True)
class Field:
    """A column that an expression can name."""

    sql: str
    type: str
    nullable: bool
    origin: tuple[str, str] | None = None

    @property
    def family(self) -> str:
        return FAMILIES.get(self.type, "other")


@dataclass(frozen=True)
class Joined:
    """Part of a FROM clause.

    Attributes:
        sql: its text.
        fields: the columns it shows.
        key: those that identify a row; None if none do.
        single: it is one item, whose key is worth comparing with a join condition.
    """

    sql: str
    fields: tuple[Field, ...]
    key: tuple[Field, ...] | None
    single: bool = True


@dataclass(frozen=True)
class Output:
    """An output column of a query."""

    name: str
    sql: str
    type: str
    in_key: bool = False
    origin: tuple[str, str] | None = None
    nullable: bool = True


@dataclass
class Select:
    """A finished query."""

    sql: str
    outputs: list[Output]
    # It has a key, which the outputs marked so make up; without any of them there is one row.
    keyed: bool = True

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(output.name for output in self.outputs if output.in_key)


def relation_of(name: str, select: Select) -> Relation:
    """Return the relation that a query is, under a name."""
    columns = tuple(
        Column(output.name, output.type, output.nullable, output.origin)
        for output in select.outputs
    )
    return Relation(name, columns, select.key if select.keyed else None)


def joined_by_and(conditions: Sequence[str]) -> str:
    """Return a WHERE clause, or nothing."""
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""
