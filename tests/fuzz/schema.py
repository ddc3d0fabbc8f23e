"""Random tables: keys and columns of every kind, foreign keys with every action, odd names."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
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
    "integer[]",
    "text[]",
    "json",
    "int4range",
    "mood",
    "small",
)

# Types of the case's own, which every schema has.
OWN_TYPES = (
    "CREATE TYPE mood AS ENUM ('sad', 'calm', 'glad')",
    "CREATE DOMAIN small AS integer CHECK (VALUE < 1000)",
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
    "integer[]": "integers",
    "text[]": "texts",
    "json": "json",
    "int4range": "range",
    "mood": "mood",
    "small": "integer",
}

# Families whose values have an order that a query may ask for, and look the same when equal.
SORTABLE = ("integer", "text", "numeric", "time", "date", "float", "mood")

# Those that can identify a row.
COMPARABLE = (*SORTABLE, "range")

# What the elements of an array are.
ELEMENTS = {"integers": "integer", "texts": "text"}

# Few values, so that rows meet. Equal ones look the same: a query may show any of them.
LITERALS = {
    "integer": ("1", "2", "3", "4", "5"),
    "text": ("'a'", "'b'", "'A'", "'it''s'", "'50%'"),
    "numeric": ("0.00", "1.50", "2.25", "7.00", "'NaN'::numeric"),
    "time": (
        "'2024-01-01 00:00:00+00'::timestamptz",
        "'2024-01-01 23:30:00+00'::timestamptz",
        "'2024-07-02 05:00:00+00'::timestamptz",
    ),
    "date": ("'2024-01-01'::date", "'2024-01-02'::date", "'2024-07-02'::date"),
    "boolean": ("true", "false"),
    "jsonb": ("'{\"k\": 1}'::jsonb", "'[1, 2]'::jsonb", "'null'::jsonb", '\'{"k": "a"}\'::jsonb'),
    "float": ("0.5::float8", "1.25::float8", "4::float8", "'NaN'::float8", "'-Infinity'::float8"),
    "integers": ("'{1,2}'::integer[]", "'{}'::integer[]", "'{3,NULL,3}'::integer[]"),
    "texts": ("'{a,b}'::text[]", "'{}'::text[]", "'{a,NULL}'::text[]"),
    "json": ("'{\"k\": 1}'::json", "'[1, 2]'::json"),
    "range": ("'[1,4)'::int4range", "'[3,8)'::int4range", "'empty'::int4range"),
    "mood": ("'sad'::mood", "'calm'::mood", "'glad'::mood"),
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
        generated: what it is computed by, which nobody can write to.
    """

    name: str
    type: str
    nullable: bool
    origin: tuple[str, str] | None = None
    generated: str = ""

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
        part_of: the table that a partition or an inheritance child belongs to.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] | None
    foreign_keys: tuple[ForeignKey, ...] = ()
    part_of: str = ""

    @property
    def written(self) -> tuple[Column, ...]:
        """The columns that a statement can give values to."""
        return tuple(column for column in self.columns if not column.generated)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


class SchemaWriter:
    """Writes random tables.

    Args:
        random: where choices come from.
        virtual: the server has virtual generated columns.
    """

    def __init__(self, random: Random, *, virtual: bool = False) -> None:
        self.random = random
        self.virtual = virtual
        self.tables: list[Relation] = []
        odd = random.random() < 0.25
        self.table_names = list(ODD_TABLES if odd else PLAIN_TABLES)
        self.column_names = list(ODD_COLUMNS if odd else PLAIN_COLUMNS)
        if odd:
            random.shuffle(self.table_names)

    def write(self) -> list[str]:
        """Return DDL; `tables` tells what it makes."""
        statements = [*OWN_TYPES]
        for number in range(self.random.randint(3, 5)):
            linking = number >= 2 and self.random.random() < 0.25
            statements += self._link_table() if linking else self._table()
        statements += self._triggers()
        return statements

    def _name(self) -> str:
        return self.table_names[sum(not table.part_of for table in self.tables)]

    def _table(self) -> list[str]:
        name = self._name()
        key, columns, constraints = self._key(name)
        foreign_keys = self._foreign_keys(name, key, columns)
        for _ in range(self.random.randint(1, 4)):
            free = [each for each in self.column_names if each not in {c.name for c in columns}]
            chosen = self.random.choice(free)
            nullable = self.random.random() < 0.6
            columns.append(Column(chosen, self.random.choice(TYPES), nullable, (name, chosen)))
        if self.random.random() < 0.15:
            unique = self.random.choice([c for c in columns if c.family in COMPARABLE])
            later = self.random.choice(["", "", " DEFERRABLE INITIALLY DEFERRED"])
            constraints.append(f"UNIQUE ({quote(unique.name)}){later}")
        elif self.random.random() < 0.2:
            columns += self._generated(name, columns)
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
        targets = [table for table in self.tables if table.key and not table.part_of]
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
            while new in {c.name for c in columns}:
                new += "_"
            columns.append(Column(new, target.column(target_name).type, nullable, (name, new)))
            names.append(new)
        deletes = ["CASCADE", "CASCADE", "NO ACTION"] + ["SET NULL"] * 2 * nullable
        updates = ["CASCADE", "CASCADE", "NO ACTION"] + ["SET NULL"] * nullable
        actions = f"ON DELETE {self.random.choice(deletes)} ON UPDATE {self.random.choice(updates)}"
        if self.random.random() < 0.2:
            actions += " DEFERRABLE INITIALLY DEFERRED"
        return ForeignKey(tuple(names), target.name, target.key or (), actions)

    def _generated(self, table: str, columns: list[Column]) -> list[Column]:
        """Write a column that is computed from others of its row."""
        sources = [column for column in columns if column.type in ("integer", "bigint", "text")]
        if not sources:
            return []
        chosen = self.random.choice(sources)
        computed = {
            "integer": (f"({quote(chosen.name)} % 3)", "integer"),
            "text": (f"upper({quote(chosen.name)})", "text"),
        }
        sql, type_ = computed[chosen.family]
        kind = self.random.choice(["STORED", "VIRTUAL"]) if self.virtual else "STORED"
        generated = f"GENERATED ALWAYS AS ({sql}) {kind}"
        return [Column("made", type_, True, (table, "made"), generated)]

    def _link_table(self) -> list[str]:
        """Write a many-to-many table; its key is the pair, or there is none."""
        name = self._name()
        targets = [table for table in self.tables if table.key and not table.part_of]
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
    ) -> list[str]:
        table = Relation(name, tuple(columns), key, tuple(foreign_keys))
        self.tables.append(table)
        parts = [
            f"{quote(column.name)} {column.type}{'' if column.nullable else ' NOT NULL'}"
            f" {column.generated}".rstrip()
            for column in columns
        ]
        parts += constraints
        parts += [
            f"FOREIGN KEY ({quoted(each.columns)}) REFERENCES {quote(each.table)} "
            f"({quoted(each.targets)}) {each.actions}"
            for each in foreign_keys
        ]
        clause, further = self._parts(table, unique=any("UNIQUE" in each for each in constraints))
        return [f"CREATE TABLE {quote(name)} ({', '.join(parts)}){clause}", *further]

    def _parts(self, table: Relation, *, unique: bool) -> tuple[str, list[str]]:
        """Partition a table, or let another inherit from it; most often neither."""
        name, by = table.name, table.columns[0]
        names = [f"{name} low", f"{name} high"]
        parts = [replace(table, name=each, part_of=name) for each in names]
        if self.random.random() > 0.1 or unique or by.family != "integer":
            return "", []
        if table.key is None and self.random.random() < 0.5:
            self.tables.append(parts[0])
            return "", [f"CREATE TABLE {quote(names[0])} () INHERITS ({quote(name)})"]
        self.tables += parts
        bounds = ["FROM (MINVALUE) TO (5)", "FROM (5) TO (MAXVALUE)"]
        return f" PARTITION BY RANGE ({quote(by.name)})", [
            f"CREATE TABLE {quote(part)} PARTITION OF {quote(name)} FOR VALUES {bound}"
            for part, bound in zip(names, bounds, strict=True)
        ]

    def _triggers(self) -> list[str]:
        """Write triggers as users have them: they change the row at hand, or write elsewhere."""
        statements: list[str] = []
        while self.random.random() < 0.25:
            kind = self.random.choice([self._row_changing_trigger, self._writing_trigger])
            statements += kind(len(statements))
        return statements

    def _row_changing_trigger(self, number: int) -> list[str]:
        table = self.random.choice(self.tables)
        referring = {name for key in table.foreign_keys for name in key.columns}
        texts = [c for c in table.written if c.type == "text" and c.name not in referring]
        if not texts:
            return []
        column = quote(self.random.choice(texts).name)
        body = f"NEW.{column} := upper(NEW.{column}); RETURN NEW;"
        event = self.random.choice(["INSERT", "UPDATE", "INSERT OR UPDATE"])
        return self._trigger(f"users_{number}", f"BEFORE {event}", table, "ROW", body)

    def _writing_trigger(self, number: int) -> list[str]:
        """Write a trigger that updates a number in another table, or in the same one."""
        written, other = self.random.choice(self.tables), self.random.choice(self.tables)
        referring = {name for key in other.foreign_keys for name in key.columns}
        numbers = [
            column
            for column in other.columns
            if column.type in ("integer", "bigint")
            and not column.generated
            and column.name not in (*referring, *(other.key or ()))
        ]
        if not numbers:
            return []
        column = quote(self.random.choice(numbers).name)
        body = f"UPDATE {quote(other.name)} SET {column} = COALESCE({column}, 0) % 5 + 1;"
        # Before and after those of the package, in the order of names.
        name = self.random.choice(["a", "users", "zz"]) + f"_{number}"
        timing = self.random.choice(["BEFORE", "AFTER", "AFTER"])
        level = self.random.choice(["ROW", "STATEMENT"])
        event = self.random.choice(["INSERT", "UPDATE", "DELETE", "INSERT OR UPDATE"])
        if level == "ROW" and timing == "BEFORE":
            timing = "AFTER"
        return self._trigger(name, f"{timing} {event}", written, level, f"{body} RETURN NULL;")

    def _trigger(self, name: str, when: str, table: Relation, level: str, body: str) -> list[str]:
        # Updates of its own table must not set it off for ever.
        depth = self.random.choice([1, 1, 2])
        result = "NEW" if when.startswith("BEFORE") and level == "ROW" else "NULL"
        guarded = f"IF pg_trigger_depth() <= {depth} THEN {body} END IF; RETURN {result};"
        function = f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql"
        trigger = f"CREATE TRIGGER {name} {when} ON {quote(table.name)} FOR EACH {level}"
        return [
            f"{function} AS $body$ BEGIN {guarded} END $body$",
            f"{trigger} EXECUTE FUNCTION {name}()",
        ]
