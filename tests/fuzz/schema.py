"""Random tables: keys of every kind, foreign keys with every action, odd names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

PLAIN_TABLES = ("par", "chi", "gra", "tag", "lnk")
# Names that the generated SQL uses itself, that need quotes, or that Python's % would read.
ODD_TABLES = ("delta", "states", "Order", "query", "affected", "fresh", "new_rows", "50%", "näme")
PLAIN_COLUMNS = ("name", "price", "rank", "seen", "flag", "data", "code", "size")
ODD_COLUMNS = ("key_1", "Name", "inserted", "image", "select", "removed", "tview", "a b", "spool")

TYPES = (
    "integer",
    "integer",
    "text",
    "text",
    "numeric(8,2)",
    "bigint",
    "varchar(12)",
    "timestamp with time zone",
    "date",
    "boolean",
    "jsonb",
    "double precision",
)

# Types whose values may be compared with each other.
FAMILIES = {
    "integer": "integer",
    "bigint": "integer",
    "text": "text",
    "varchar(12)": "text",
    "numeric(8,2)": "numeric",
    "numeric": "numeric",
    "timestamp with time zone": "time",
    "date": "date",
    "boolean": "boolean",
    "jsonb": "jsonb",
    "double precision": "float",
}

# Few values, so that rows meet; floats are exact, so that a sum does not depend on the order.
LITERALS = {
    "integer": ("1", "2", "3", "4", "5"),
    "text": ("'a'", "'b'", "'A'", "'it''s'", "'50%'"),
    "numeric": ("0.00", "1.50", "2.25", "7.00"),
    "time": (
        "'2024-01-01 00:00:00+00'::timestamptz",
        "'2024-01-01 23:30:00+00'::timestamptz",
        "'2024-07-02 05:00:00+00'::timestamptz",
    ),
    "date": ("'2024-01-01'::date", "'2024-01-02'::date", "'2024-07-02'::date"),
    "boolean": ("true", "false"),
    "jsonb": ("'{\"k\": 1}'::jsonb", "'[1, 2]'::jsonb", "'null'::jsonb", '\'{"k": "a"}\'::jsonb'),
    "float": ("0.5::float8", "1.25::float8", "4::float8"),
}

_PLAIN = re.compile("[a-z_][a-z0-9_]*")
_RESERVED = frozenset({"order", "select"})


def quote(name: str) -> str:
    """Write a name as SQL."""
    if _PLAIN.fullmatch(name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def quoted(names: tuple[str, ...]) -> str:
    """Write several names as SQL."""
    return ", ".join(quote(name) for name in names)


@dataclass(frozen=True)
class Column:
    """A column of a relation of the case.

    Attributes:
        name: unquoted.
        type: as SQL.
        nullable: it can be NULL.
        origin: the column of a table whose values it shows, as (table, column); None for the
            output of an expression.
    """

    name: str
    type: str
    nullable: bool
    origin: tuple[str, str] | None = None

    @property
    def family(self) -> str:
        return FAMILIES.get(self.type, "other")


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key: which columns, to which of which table, and what happens."""

    columns: tuple[str, ...]
    table: str
    targets: tuple[str, ...]
    actions: str


@dataclass(frozen=True)
class Relation:
    """A table, view or TView of the case.

    Attributes:
        name: unquoted.
        columns: its columns.
        key: the columns that identify a row; None if there are none.
        foreign_keys: of a table.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] | None
    foreign_keys: tuple[ForeignKey, ...] = ()

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


class SchemaWriter:
    """Writes random tables."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.tables: list[Relation] = []
        odd = random.random() < 0.25
        self.table_names = list(ODD_TABLES if odd else PLAIN_TABLES)
        self.column_names = list(ODD_COLUMNS if odd else PLAIN_COLUMNS)
        if odd:
            random.shuffle(self.table_names)

    def write(self) -> list[str]:
        """Return DDL; `tables` tells what it makes."""
        statements = []
        for number in range(self.random.randint(3, 5)):
            linking = number >= 2 and self.random.random() < 0.25
            statements.append(self._link_table() if linking else self._table())
        statements += self._triggers()
        return statements

    def _table(self) -> str:
        name = self.table_names[len(self.tables)]
        key, columns, constraints = self._key(name)
        foreign_keys = self._foreign_keys(name, key, columns)
        for _ in range(self.random.randint(1, 4)):
            free = [each for each in self.column_names if each not in {c.name for c in columns}]
            chosen = self.random.choice(free)
            nullable = self.random.random() < 0.6
            columns.append(Column(chosen, self.random.choice(TYPES), nullable, (name, chosen)))
        if self.random.random() < 0.15:
            unique = self.random.choice([c for c in columns if c.family != "jsonb"])
            constraints.append(f"UNIQUE ({quote(unique.name)})")
        return self._create(name, columns, key, foreign_keys, constraints)

    def _key(self, table: str) -> tuple[tuple[str, ...] | None, list[Column], list[str]]:
        choice = self.random.choice(["id"] * 6 + ["text", "pair", "pair", "none"])
        match choice:
            case "id":
                names, types = ("id",), (self.random.choice(["integer", "integer", "bigint"]),)
            case "text":
                names, types = ("code",), ("text",)
            case "pair":
                names, types = ("a", "b"), ("integer", self.random.choice(["integer", "text"]))
            case _:
                columns = [Column("id", "integer", True, (table, "id"))]
                return None, columns, []
        columns = [
            Column(name, type_, False, (table, name))
            for name, type_ in zip(names, types, strict=True)
        ]
        return names, columns, [f"PRIMARY KEY ({quoted(names)})"]

    def _foreign_keys(
        self, name: str, key: tuple[str, ...] | None, columns: list[Column]
    ) -> list[ForeignKey]:
        """Add the columns of some foreign keys."""
        targets = [table for table in self.tables if table.key]
        foreign_keys = []
        for number in range(self.random.choice([0, 1, 1, 2]) if targets else 0):
            target = self.random.choice(targets)
            prefix = "ref" if number == 0 else "other"
            foreign_keys.append(self._foreign_key(name, target, prefix, columns))
        if key and self.random.random() < 0.3:
            own = Relation(name, tuple(columns), key)
            foreign_keys.append(self._foreign_key(name, own, "up", columns, nullable=True))
        return foreign_keys

    def _foreign_key(
        self,
        name: str,
        target: Relation,
        prefix: str,
        columns: list[Column],
        nullable: bool | None = None,
    ) -> ForeignKey:
        if nullable is None:
            nullable = self.random.random() < 0.6
        names = []
        for place, target_name in enumerate(target.key or (), start=1):
            # Sometimes both sides have one name, for USING.
            new = f"{prefix}_{place}"
            if target_name not in {c.name for c in columns} and self.random.random() < 0.2:
                new = target_name
            columns.append(Column(new, target.column(target_name).type, nullable, (name, new)))
            names.append(new)
        deletes = ["CASCADE", "CASCADE", "NO ACTION"] + ["SET NULL"] * 2 * nullable
        updates = ["CASCADE", "CASCADE", "NO ACTION"] + ["SET NULL"] * nullable
        actions = f"ON DELETE {self.random.choice(deletes)} ON UPDATE {self.random.choice(updates)}"
        if self.random.random() < 0.2:
            actions += " DEFERRABLE INITIALLY DEFERRED"
        return ForeignKey(tuple(names), target.name, target.key or (), actions)

    def _link_table(self) -> str:
        """Write a many-to-many table; its key is the pair, or there is none."""
        name = self.table_names[len(self.tables)]
        targets = [table for table in self.tables if table.key]
        if not targets:
            return self._table()
        columns: list[Column] = []
        foreign_keys = [
            self._foreign_key(name, self.random.choice(targets), prefix, columns, nullable=False)
            for prefix in ("left", "right")
        ]
        key = tuple(column.name for column in columns) if self.random.random() < 0.7 else None
        if self.random.random() < 0.4:
            columns.append(Column("size", "integer", True, (name, "size")))
        constraints = [f"PRIMARY KEY ({quoted(key)})"] if key else []
        return self._create(name, columns, key, foreign_keys, constraints)

    def _create(
        self,
        name: str,
        columns: list[Column],
        key: tuple[str, ...] | None,
        foreign_keys: list[ForeignKey],
        constraints: list[str],
    ) -> str:
        self.tables.append(Relation(name, tuple(columns), key, tuple(foreign_keys)))
        parts = [
            f"{quote(column.name)} {column.type}{'' if column.nullable else ' NOT NULL'}"
            for column in columns
        ]
        parts += constraints
        parts += [
            f"FOREIGN KEY ({quoted(each.columns)}) REFERENCES {quote(each.table)} "
            f"({quoted(each.targets)}) {each.actions}"
            for each in foreign_keys
        ]
        return f"CREATE TABLE {quote(name)} ({', '.join(parts)})"

    def _triggers(self) -> list[str]:
        """Write triggers as users have them: they write elsewhere, or change the row at hand."""
        statements: list[str] = []
        while self.random.random() < 0.2:
            written = self.random.choice(self.tables)
            other = self.random.choice(self.tables)
            number = len(statements)
            if self.random.random() < 0.6:
                column = self.random.choice(other.columns)
                if other.key is None or column.name in other.key or column.family != "integer":
                    break
                timing, value = "AFTER", f"COALESCE({quote(column.name)}, 0) % 5 + 1"
                body = (
                    f"UPDATE {quote(other.name)} SET {quote(column.name)} = {value}; RETURN NULL;"
                )
            else:
                texts = [c for c in written.columns if c.type == "text"]
                if not texts:
                    break
                column = self.random.choice(texts)
                timing = "BEFORE"
                body = f"NEW.{quote(column.name)} := upper(NEW.{quote(column.name)}); RETURN NEW;"
            event = self.random.choice(["INSERT", "UPDATE", "INSERT OR UPDATE"])
            # A trigger that updates its own table must not set itself off for ever.
            name = f"users_{number}"
            statements += [
                (
                    f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql "
                    f"AS $body$ BEGIN {body} END $body$"
                ),
                (
                    f"CREATE TRIGGER {name} {timing} {event} ON {quote(written.name)} FOR EACH "
                    f"ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION {name}()"
                ),
            ]
        return statements
