"""A grammar of writes: everything that changes the rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .schema import COMPARABLE, LITERALS, Column, ForeignKey, Relation, quote, quoted

if TYPE_CHECKING:
    from random import Random

# What a writer's session may be set to: how text looks, and how statements are planned.
SETTINGS = (
    "TimeZone = 'Asia/Tokyo'",
    "DateStyle = 'German, DMY'",
    "IntervalStyle = 'iso_8601'",
    "extra_float_digits = -10",
    "bytea_output = 'escape'",
    "enable_hashjoin = off",
    "enable_nestloop = off",
    "enable_mergejoin = off",
    "enable_hashagg = off",
    "enable_sort = off",
    "enable_seqscan = off",
    "plan_cache_mode = 'force_generic_plan'",
    "plan_cache_mode = 'force_custom_plan'",
    "transform_null_equals = on",
    "standard_conforming_strings = off",
    "quote_all_identifiers = on",
)


class StatementWriter:
    """Writes random statements over given tables.

    Args:
        random: where choices come from.
        tables: what can be written to.

    Attributes:
        preferred: tables that are written to more often, because TViews read them.
    """

    def __init__(self, random: Random, tables: list[Relation]) -> None:
        self.random = random
        self.tables = tables
        self.preferred = tables
        self._in_transaction = False
        self._savepoints: list[str] = []

    def fill(self) -> list[str]:
        """Return statements that give every table some rows."""
        return [
            self._insert_rows(
                table, 1 if table.part_of else self.random.randint(3, 7), conflict="DO NOTHING"
            )
            for table in self.tables
        ]

    def statements(self, number: int) -> list[str]:
        """Return statements, some of them in transactions with savepoints."""
        written: list[str] = []
        while len(written) < number:
            written.append(self._next())
            if "TRUNCATE" in written[-1] or self._chance(0.1):
                # Lest the tables run empty.
                written += self.fill()
        if self._in_transaction:
            written.append(self.random.choice(["COMMIT", "ROLLBACK"]))
            self._in_transaction = False
        return written

    def _next(self) -> str:
        if not self._in_transaction and self._chance(0.08):
            self._in_transaction = True
            self._savepoints = []
            return "BEGIN"
        if self._in_transaction and self._chance(0.35):
            return self._control()
        statement = self._write()
        if self._chance(0.06) and not statement.startswith("COPY"):
            statement = f"SET LOCAL {self.random.choice(SETTINGS)}; {statement}"
        return statement

    def _control(self) -> str:
        choice = self.random.choice(["end", "end", "savepoint", "savepoint", "release", "rollback"])
        if self._chance(0.1):
            return f"SET CONSTRAINTS ALL {self.random.choice(['IMMEDIATE', 'DEFERRED'])}"
        if choice == "end":
            self._in_transaction = False
            return self.random.choice(["COMMIT", "COMMIT", "ROLLBACK"])
        if choice == "savepoint" or not self._savepoints:
            self._savepoints.append(f"s{len(self._savepoints)}")
            return f"SAVEPOINT {self._savepoints[-1]}"
        if choice == "release":
            return f"RELEASE SAVEPOINT {self._savepoints.pop()}"
        return f"ROLLBACK TO SAVEPOINT {self._savepoints[-1]}"

    def _chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def _write(self) -> str:
        table = self.random.choice(self.preferred if self._chance(0.75) else self.tables)
        kinds = {
            self._insert: 16,
            self._update: 30,
            self._update_key: 6,
            self._delete: 8,
            self._upsert: 8,
            self._merge: 7,
            self._several: 10,
            self._truncate: 1,
            self._copy: 2,
            self._block: 4,
            self._update_from: 5,
            self._update_from_itself: 2,
            self._move: 3,
        }
        return self.random.choices(list(kinds), list(kinds.values()))[0](table)

    # Values

    def _salt(self) -> str:
        return str(self.random.randint(0, 99))

    def _value(self, column: Column) -> str:
        if column.nullable and self._chance(0.2):
            return "NULL"
        return self.random.choice(LITERALS[column.family])

    def _key_value(self, column: Column) -> str:
        if column.family == "integer":
            return str(self.random.randint(1, 12))
        if column.family == "text":
            return f"'{self.random.choice('abcdefghijkl')}'"
        return self._value(column)

    def _some(self, table: Relation, most: int) -> str:
        """Write a condition that some rows satisfy, always the same for the same rows."""
        columns = table.key or tuple(column.name for column in table.columns)
        text = " || '/' || ".join(f"COALESCE({quote(name)}::text, '')" for name in columns)
        order = f"md5({text} || '{self._salt()}'), {quoted(columns)}"
        subquery = f"SELECT {quoted(columns)} FROM {quote(table.name)} ORDER BY {order}"
        if table.key is None:
            # Equal rows share their fate.
            return f"length(md5({text} || '{self._salt()}')) > 0 AND {self._condition(table)}"
        return f"({quoted(columns)}) IN ({subquery} LIMIT {most})"

    def _condition(self, table: Relation, prefix: str = "") -> str:
        column = self.random.choice([c for c in table.columns if c.family in COMPARABLE])
        if column.nullable and self._chance(0.3):
            return f"{prefix}{quote(column.name)} IS NULL"
        operator = self.random.choice(["=", "=", "<", ">="])
        value = self.random.choice(LITERALS[column.family])
        return f"{prefix}{quote(column.name)} {operator} {value}"

    def _where(self, table: Relation) -> str:
        kind = self.random.choices(["some", "condition", "all", "exists"], [55, 25, 12, 8])[0]
        match kind:
            case "some":
                return f" WHERE {self._some(table, self.random.choice([1, 1, 1, 2, 3]))}"
            case "condition":
                return f" WHERE {self._condition(table)}"
            case "exists":
                other = self.random.choice(self.tables)
                found = f"SELECT 1 FROM {quote(other.name)} WHERE {self._condition(other)}"
                return f" WHERE EXISTS ({found})"
        return ""

    def _target(self, table: Relation, key: ForeignKey) -> str:
        """Write a subquery for the foreign key values of some row that exists."""
        text = " || '/' || ".join(f"{quote(name)}::text" for name in key.targets)
        return (
            f"SELECT {quoted(key.targets)} FROM {quote(key.table)} "
            f"ORDER BY md5({text} || '{self._salt()}'), {quoted(key.targets)} LIMIT 1"
        )

    # Statements

    def _insert(self, table: Relation) -> str:
        number = self.random.choice([1, 1, 1, 2, 4, 9])
        conflict = self.random.choice(["", "DO NOTHING", "DO NOTHING"])
        return self._insert_rows(table, number, conflict=conflict)

    def _insert_rows(self, table: Relation, number: int, *, conflict: str) -> str:
        names = tuple(column.name for column in table.written)
        rows = [self._row(table) for _ in range(number)]
        suffix = f" ON CONFLICT {conflict}" if conflict else ""
        return (
            f"INSERT INTO {quote(table.name)} ({quoted(names)}) "
            + " UNION ALL ".join(rows)
            + suffix
        )

    def _row(self, table: Relation) -> str:
        """Write a SELECT of one new row, its foreign keys taken from rows that exist."""
        values = {column.name: self._value(column) for column in table.written}
        # Keys are chosen from more values, so that some of them are new.
        values |= {name: self._key_value(table.column(name)) for name in table.key or ()}
        froms = []
        for number, key in enumerate(table.foreign_keys):
            nullable = table.column(key.columns[0]).nullable
            if nullable and self._chance(0.25):
                values |= dict.fromkeys(key.columns, "NULL")
                continue
            alias = f"f{number}"
            froms.append(f"({self._target(table, key)}) {alias}")
            values |= {
                column: f"{alias}.{quote(target)}"
                for column, target in zip(key.columns, key.targets, strict=True)
            }
        for column in table.written:
            if values[column.name] == "NULL":
                values[column.name] = f"NULL::{column.type}"
            elif "." not in values[column.name] or column.family in ("numeric", "float"):
                values[column.name] += f"::{column.type}"
        text = f"SELECT {', '.join(values.values())}"
        if froms:
            text += f" FROM {' CROSS JOIN '.join(froms)}"
        return f"({text})"

    def _assignments(self, table: Relation) -> list[str]:
        """Write assignments to columns outside the key, foreign keys as a whole."""
        assignments = []
        keys = {name: key for key in table.foreign_keys for name in key.columns}
        columns = [c for c in table.written if c.name not in (table.key or ())]
        if not columns:
            return []
        done: set[str] = set()
        for column in self.random.sample(columns, min(len(columns), self.random.choice([1, 1, 2]))):
            if column.name in done:
                continue
            if column.name in keys:
                key = keys[column.name]
                if any(name in (table.key or ()) or name in done for name in key.columns):
                    continue
                done |= set(key.columns)
                if column.nullable and self._chance(0.3):
                    assignments += [f"{quote(name)} = NULL" for name in key.columns]
                else:
                    assignments.append(f"({quoted(key.columns)}) = ({self._target(table, key)})")
                continue
            done.add(column.name)
            assignments.append(f"{quote(column.name)} = {self._new_value(column)}")
        return assignments

    def _new_value(self, column: Column) -> str:
        if self._chance(0.5):
            match column.family:
                case "integer" | "numeric" | "float":
                    return (
                        f"{quote(column.name)} % 5 + 1"
                        if column.family == "integer"
                        else f"{quote(column.name)} + 1"
                    )
                case "text":
                    return f"upper({quote(column.name)})"
                case "boolean":
                    return f"NOT {quote(column.name)}"
        return self._value(column)

    def _update(self, table: Relation) -> str:
        assignments = self._assignments(table)
        if not assignments:
            return self._delete(table)
        return f"UPDATE {quote(table.name)} SET {', '.join(assignments)}{self._where(table)}"

    def _update_key(self, table: Relation) -> str:
        """Change keys: to a new value, or moving all of them along."""
        column = table.column(table.key[0]) if table.key else table.columns[0]
        name = quote(column.name)
        if any(column.name in key.columns for key in table.foreign_keys):
            return self._update(table)
        if column.family == "integer":
            value = self.random.choice([f"{name} + 10", f"7 - {name}", f"{name} + 1", "2"])
        else:
            value = self.random.choice([f"{name} || 'x'", f"left({name}, 1) || length({name})"])
            if column.family != "text":
                value = self._value(column)
        return f"UPDATE {quote(table.name)} SET {name} = {value}{self._where(table)}"

    def _delete(self, table: Relation) -> str:
        where = self._where(table)
        if self._chance(0.7):
            where = f" WHERE {self._some(table, 1)}"
        return f"DELETE FROM {quote(table.name)}{where}"

    def _upsert(self, table: Relation) -> str:
        if not table.key:
            return self._insert(table)
        others = [c for c in table.written if c.name not in table.key]
        action = "DO NOTHING"
        if others:
            column = quote(self.random.choice(others).name)
            action = f"DO UPDATE SET {column} = EXCLUDED.{column}"
            if self._chance(0.2):
                action += f" WHERE {self._condition(table, f'{quote(table.name)}.')}"
        number = self.random.choice([1, 2, 3])
        return self._insert_rows(table, number, conflict=f"({quoted(table.key)}) {action}")

    def _merge(self, table: Relation) -> str:
        if not table.key:
            return self._update(table)
        names = [column.name for column in table.written]
        # Other names than the target's, so that plain names in the branches mean the target.
        offered = {name: f"n{place}" for place, name in enumerate(names)}
        key = ", ".join(offered[name] for name in table.key)
        rows = " UNION ALL ".join(self._row(table) for _ in range(self.random.randint(1, 4)))
        source = (
            f"SELECT DISTINCT ON ({key}) * FROM ({rows}) AS new ({', '.join(offered.values())}) "
            f"ORDER BY {', '.join([key, *(f'{each}::text' for each in offered.values())])}"
        )
        on = " AND ".join(f"target.{quote(name)} = source.{offered[name]}" for name in table.key)
        branches = []
        if self._chance(0.4):
            branches.append(f"WHEN MATCHED AND {self._condition(table)} THEN DELETE")
        assignments = self._assignments(table)
        if assignments:
            branches.append(f"WHEN MATCHED THEN UPDATE SET {', '.join(assignments)}")
        if self._chance(0.7) or not branches:
            values = ", ".join(f"source.{each}" for each in offered.values())
            branches.append(
                f"WHEN NOT MATCHED THEN INSERT ({quoted(tuple(names))}) VALUES ({values})"
            )
        if self._chance(0.1):
            branches.insert(0, "WHEN MATCHED AND false THEN DO NOTHING")
        if self._chance(0.15):
            # From PostgreSQL 17 on.
            action = f"UPDATE SET {', '.join(assignments)}" if assignments else "DELETE"
            branches.append(
                f"WHEN NOT MATCHED BY SOURCE AND {self._condition(table)} THEN {action}"
            )
        return (
            f"MERGE INTO {quote(table.name)} AS target USING ({source}) AS source ON {on} "
            + " ".join(branches)
        )

    def _several(self, table: Relation) -> str:
        """Write one statement that changes several tables."""
        parts = []
        tables = self.random.sample(
            self.tables, min(len(self.tables), self.random.choice([2, 2, 3]))
        )
        for number, each in enumerate(tables):
            kind = self.random.choice([self._insert, self._update, self._update, self._delete])
            parts.append(f"w{number} AS ({kind(each)})")
        return f"WITH {', '.join(parts)} SELECT 1"

    def _truncate(self, table: Relation) -> str:
        others = self.random.sample(self.tables, self.random.choice([0, 0, 1]))
        names = dict.fromkeys(quote(each.name) for each in (table, *others))
        return f"TRUNCATE {', '.join(names)} CASCADE"

    def _move(self, table: Relation) -> str:
        """Write a statement that deletes rows and inserts them again, changed."""
        names = quoted(tuple(column.name for column in table.written))
        column = table.written[-1]
        changed = {column.name: self._value(column)} if column.name not in (table.key or ()) else {}
        values = ", ".join(changed.get(c.name, quote(c.name)) for c in table.written)
        number = self.random.choice([1, 2, 3])
        return (
            f"WITH gone AS (DELETE FROM {quote(table.name)} WHERE {self._some(table, number)} "
            f"RETURNING *) INSERT INTO {quote(table.name)} ({names}) SELECT {values} FROM gone"
        )

    def _update_from_itself(self, table: Relation) -> str:
        """Write an update that takes values from other rows of the same table."""
        referring = {name for key in table.foreign_keys for name in key.columns}
        plain = [c for c in table.written if c.name not in (*(table.key or ()), *referring)]
        if not table.key or not plain:
            return self._update(table)
        column = quote(self.random.choice(plain).name)
        # One partner each: the next key, or the first after the last.
        key = quoted(table.key)
        pairs = f"SELECT *, row_number() OVER (ORDER BY {key}) AS place FROM {quote(table.name)}"
        same = " AND ".join(f"target.{quote(name)} = mine.{quote(name)}" for name in table.key)
        return (
            f"WITH placed AS ({pairs}) UPDATE {quote(table.name)} AS target "
            f"SET {column} = other.{column} FROM placed AS mine JOIN placed AS other "
            f"ON other.place = mine.place % (SELECT count(*) FROM placed) + 1 WHERE {same}"
        )

    def _copy(self, table: Relation) -> str:
        """Write COPY with its data after the first line."""
        if table.foreign_keys or any(c.family not in ("integer", "text") for c in table.written):
            return self._insert(table)
        lines = []
        for _ in range(self.random.randint(1, 4)):
            values = [self.random.choice(LITERALS[c.family]).strip("'") for c in table.written]
            lines.append("\t".join(value.replace("''", "'") for value in values))
        data = "\n".join(lines)
        names = quoted(tuple(column.name for column in table.written))
        return f"COPY {quote(table.name)} ({names}) FROM STDIN\n{data}\n"

    def _block(self, table: Relation) -> str:
        """Write a PL/pgSQL block: several statements in one, some undone by an exception."""
        first, second = self._update(table), self._delete(self.random.choice(self.tables))
        third = self._insert_rows(self.random.choice(self.tables), 2, conflict="")
        undo = self.random.choice(["RAISE EXCEPTION 'undo';", "", f"{third};"])
        return (
            f"DO $do$ BEGIN {first}; BEGIN {second}; {undo} "
            "EXCEPTION WHEN raise_exception OR integrity_constraint_violation THEN NULL; END; "
            f"{self._update(table)}; END $do$"
        )

    def _update_from(self, table: Relation) -> str:
        """Write an update, or a deletion, of the rows that another table has a match for."""
        for key in table.foreign_keys:
            on = " AND ".join(
                f"target.{quote(column)} = other.{quote(name)}"
                for column, name in zip(key.columns, key.targets, strict=True)
            )
            if self._chance(0.3):
                return (
                    f"DELETE FROM {quote(table.name)} AS target USING {quote(key.table)} AS other "
                    f"WHERE {on} AND {self._some_of('other', key)}"
                )
            plain = [
                column
                for column in table.written
                if column.name not in (table.key or ())
                and not any(column.name in each.columns for each in table.foreign_keys)
            ]
            if plain:
                column = self.random.choice(plain)
                return (
                    f"UPDATE {quote(table.name)} AS target SET {quote(column.name)} = "
                    f"{self._value(column)} FROM {quote(key.table)} AS other "
                    f"WHERE {on} AND {self._some_of('other', key)}"
                )
        return self._update(table)

    def _some_of(self, alias: str, key: ForeignKey) -> str:
        text = " || '/' || ".join(f"{alias}.{quote(name)}::text" for name in key.targets)
        return f"ascii(md5({text} || '{self._salt()}')) % 2 = 0"
