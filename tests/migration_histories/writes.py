"""Random writes to whatever tables there are, in plain SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import IntegrityError

from django_tviews.errors import TViewError

from .project import quoted

if TYPE_CHECKING:
    from random import Random

    from django.db.backends.base.base import BaseDatabaseWrapper

MOST_ROWS = 6

# What Django and django_tviews keep for themselves, and TViews, are no place to write to.
COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, NULL), a.attnotnull,
           a.attidentity <> '', pointed.relname
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_constraint f
        ON f.conrelid = c.oid AND f.contype = 'f' AND f.conkey = ARRAY[a.attnum]
    LEFT JOIN pg_class pointed ON pointed.oid = f.confrelid
    WHERE c.relnamespace = current_schema::regnamespace AND c.relkind = 'r'
      AND c.relname !~ '^django_' AND NOT c.relname = ANY (%s)
    ORDER BY c.relname, a.attname
"""


class _Column(NamedTuple):
    name: str
    type: str
    required: bool
    target: str | None


class Writer:
    """Writes to the tables that a schema has at the moment.

    Args:
        connection: to the schema.
        random: where choices come from.
    """

    def __init__(self, connection: BaseDatabaseWrapper, random: Random) -> None:
        self.connection = connection
        self.random = random
        self._made = 0

    def write(self, number: int, tviews: list[str]) -> list[str]:
        """Execute some statements, and return them.

        Args:
            number: how many.
            tviews: the tables of TViews.
        """
        tables: dict[str, list[_Column]] = {}
        with self.connection.cursor() as cursor:
            cursor.execute(COLUMNS, [tviews])
            for table, name, type_name, not_null, automatic, target in cursor.fetchall():
                columns = tables.setdefault(table, [])
                if not automatic:
                    columns.append(_Column(name, type_name, not_null, target))
        statements = []
        for _ in range(number if tables else 0):
            table = self.random.choice(sorted(tables))
            statement = self._statement(table, tables[table])
            if statement and self._succeeds(statement):
                statements.append(statement)
        return statements

    def _succeeds(self, statement: str) -> bool:
        """Execute a statement; what the tables' own constraints forbid is undone."""
        start, end, undo = "BEGIN", "COMMIT", "ROLLBACK"
        if self.connection.in_atomic_block:
            start, end, undo = "SAVEPOINT w", "RELEASE w", "ROLLBACK TO w; RELEASE w"
        # What waits for COMMIT would keep the next operation from altering the table.
        checked = "SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED"
        with self.connection.cursor() as cursor:
            try:
                cursor.execute(f"{start}; {statement}; {checked}; {end}", None)
            except IntegrityError as error:
                cursor.execute(undo)
                if TViewError.from_database_error(error) is not None:
                    raise
                return False
        return True

    def _statement(self, table: str, columns: list[_Column]) -> str | None:
        name = quoted(table)
        # Where a migration has not come to the constraint yet, nobody knows what it points to.
        writable = [each for each in columns if each.target or not each.name.endswith("_id")]
        first = self.random.randrange(4)
        rows = f"id IN (SELECT id FROM {name} ORDER BY id OFFSET {first}"
        match self.random.choice(["insert", "insert", "insert", "update", "update", "delete"]):
            case "insert" if all(not each.required or each in writable for each in columns):
                return self._insert(name, writable)
            case "update" if writable:
                column = self.random.choice(writable)
                one = " LIMIT 1" if _is_unique(column) or self.random.random() < 0.6 else ""
                change = f"{quoted(column.name)} = {self._value(column)}"
                return f"UPDATE {name} SET {change} WHERE {rows}{one})"
            case "delete":
                return f"DELETE FROM {name} WHERE {rows} LIMIT 1)"
        return None

    def _insert(self, name: str, columns: list[_Column]) -> str:
        surplus = f"DELETE FROM {name} WHERE id IN (SELECT id FROM {name} OFFSET {MOST_ROWS}); "
        start = surplus if self.random.random() < 0.1 else ""
        if not columns:
            return f"{start}INSERT INTO {name} DEFAULT VALUES"
        names = ", ".join(quoted(each.name) for each in columns)
        rows = [
            f"({', '.join(self._value(each) for each in columns)})"
            for _ in range(self.random.choice([1, 1, 2]))
        ]
        return f"{start}INSERT INTO {name} ({names}) VALUES {', '.join(rows)}"

    def _value(self, column: _Column) -> str:
        if not column.required and self.random.random() < 0.25:
            return "NULL"
        if column.target:
            offset = self.random.randrange(3)
            return f"(SELECT id FROM {quoted(column.target)} ORDER BY id OFFSET {offset} LIMIT 1)"
        if _is_unique(column):
            self._made += 1
            return f"'{self._made}'"
        values: dict[str, list[Any]] = {
            "text": ["'0'", "'7'", "'12'", "'03'"],
            "character varying": ["'0'", "'7'", "'12'", "'03'"],
            "numeric": ["0", "1.50", "2.25", "7"],
            "boolean": ["true", "false"],
        }
        return self.random.choice(values.get(column.type, ["0", "1", "2", "7"]))


def _is_unique(column: _Column) -> bool:
    return column.name.startswith("code")
