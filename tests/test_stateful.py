"""Every kept form under statements that hypothesis chooses, and shrinks where one fails.

The queries are those of the documentation, so that what hypothesis has to draw is small: rows,
and the order of statements. Random queries are the business of `tests.fuzz`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from django.db import DatabaseError, transaction
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from support.kept_forms import SCHEMA, kept_forms
from support.query_reference import declare, install

from .harness import Installed, branch

if TYPE_CHECKING:
    from django_tviews.definition import Declaration

    from .harness import Database

FORMS = {form.title: form for form in kept_forms()}
NUMBERED = {title: (number, FORMS[title]) for number, title in enumerate(FORMS, start=1)}

# What a column of a type is given; few values, so that rows meet.
VALUES = {
    "bigint": ("1", "2", "3", "4"),
    "integer": ("1", "2", "3", "5"),
    "text": ("'a'", "'b'", "''", "'Kitchen'"),
    "numeric": ("1", "30", "45.50", "90"),
    # No zero: a form divides by a sum.
    "numeric(10,2)": ("5.00", "30.00", "45.50", "'NaN'"),
    "boolean": ("true", "false"),
    "date": ("'2031-01-01'", "'2031-02-28'"),
    "timestamp with time zone": ("'2031-01-01 00:00Z'", "'2031-01-31 23:30Z'", "'2031-03-01Z'"),
    "text[]": ("'{}'", "'{a,b}'", "'{b,NULL,b}'"),
    "integer[]": ("'{}'", "'{1,2}'", "'{2,NULL,2}'"),
    "jsonb": ("'{}'", "'[1, 2]'", """'{"k": 1, "l": [2]}'""", "'null'"),
}

ROWS_AT_FIRST = """
INSERT INTO category VALUES (1, 'Kitchen', NULL), (2, 'a', 1);
INSERT INTO product (id, name, price, category_id, created_at)
VALUES (1, 'a', 30, 1, '2031-01-01'), (2, 'b', 45.5, 2, '2031-01-31'), (3, 'b', 5, NULL, '2031-03-01');
INSERT INTO review VALUES (1, 1, 5, 'a'), (2, 1, 3, NULL), (3, 2, 5, 'b');
"""

# Statements that the tables refuse, whatever reads them.
_INTEGRITY = ("22003", "23502", "23503", "23505", "23514", "21000", "428C9")

TABLES = """
    SELECT class.relname, attribute.attname, attribute.attnotnull,
        format_type(attribute.atttypid, attribute.atttypmod),
        attribute.attnum = ANY (COALESCE(constrained.conkey, '{}'))
    FROM pg_class AS class
    JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid
    LEFT JOIN pg_constraint AS constrained ON conrelid = class.oid AND contype = 'p'
    WHERE class.relnamespace = current_schema()::regnamespace AND class.relkind IN ('r', 'p')
        AND attnum > 0 AND attgenerated = '' AND class.relname NOT LIKE 'django_tviews%'
    ORDER BY class.relname, attribute.attnum
"""


@dataclass(frozen=True)
class Column:
    """A column that statements write to."""

    name: str
    not_null: bool
    type: str
    in_key: bool

    def values(self) -> st.SearchStrategy[str]:
        chosen = st.sampled_from(VALUES[self.type])
        return chosen if self.not_null else st.one_of(chosen, st.just("NULL"))


def tables_of(database: Database) -> dict[str, tuple[Column, ...]]:
    found: dict[str, list[Column]] = {}
    for table, *column in database.execute(TABLES):
        found.setdefault(table, []).append(Column(*column))
    return {table: tuple(columns) for table, columns in found.items()}


def with_those_read(titles: list[str]) -> list[str]:
    """Add the forms whose TViews the chosen ones read; keep the order of the page."""
    chosen = set(titles)
    for title in titles:
        read = (
            other for other, form in FORMS.items() if form.table and form.table in FORMS[title].sql
        )
        chosen.update(read)
    return [title for title in FORMS if title in chosen]


ANY_TABLE = st.runner().flatmap(lambda machine: st.sampled_from(sorted(machine.tables)))


class KeptForms(RuleBasedStateMachine):
    """A transaction, rolled back in the end, in which some of the forms are kept.

    Attributes:
        database: where; the tables are there.
        tables: the columns of each of them that can be written to.
    """

    database: Database
    tables: dict[str, tuple[Column, ...]]

    def __init__(self) -> None:
        super().__init__()
        self.savepoints: list[str] = []
        self.whole = transaction.atomic(self.database.connection.alias)
        self.whole.__enter__()
        self.database.execute(ROWS_AT_FIRST)

    @initialize(
        titles=st.lists(st.sampled_from(list(FORMS)), min_size=1, max_size=6, unique=True),
        threshold=st.sampled_from(["small", "bulk"]),
    )
    def install_forms(self, titles: list[str], threshold: str) -> None:
        with branch(threshold):
            for title in with_those_read(titles):
                number, form = NUMBERED[title]
                declaration: Declaration = declare(self.database.connection, form, number)
                install(self.database.connection, declaration)
                self.database.tviews.append(Installed(declaration))
        self.database.check("creation")

    def run(self, statement: str) -> None:
        try:
            with transaction.atomic(self.database.connection.alias):
                self.database.execute(statement)
                self.database.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except DatabaseError as error:
            diagnosis = error.__cause__.diag
            assert diagnosis.sqlstate in _INTEGRITY, statement
            assert diagnosis.table_name in (None, *self.tables), statement
        self.database.check(statement)

    @rule(table=ANY_TABLE, number=st.integers(1, 3), data=st.data())
    def insert(self, table: str, number: int, data: Any) -> None:
        rows = ", ".join(self.a_row(table, data.draw) for _ in range(number))
        self.run(f"INSERT INTO {table} ({self.names(table)}) VALUES {rows} ON CONFLICT DO NOTHING")

    @rule(table=ANY_TABLE, everywhere=st.booleans(), data=st.data())
    def update(self, table: str, everywhere: bool, data: Any) -> None:
        column = data.draw(st.sampled_from(self.tables[table]))
        where = "" if everywhere else self.where(table, data)
        self.run(f"UPDATE {table} SET {column.name} = {data.draw(column.values())}{where}")

    @rule(table=ANY_TABLE, data=st.data())
    def change_places(self, table: str, data: Any) -> None:
        column = data.draw(st.sampled_from([c for c in self.tables[table] if c.type == "bigint"]))
        self.run(f"UPDATE {table} SET {column.name} = 4 - {column.name}")

    @rule(table=ANY_TABLE, data=st.data())
    def upsert(self, table: str, data: Any) -> None:
        key = ", ".join(each.name for each in self.tables[table] if each.in_key)
        column = data.draw(st.sampled_from(self.tables[table])).name
        self.run(
            f"INSERT INTO {table} ({self.names(table)}) VALUES {self.a_row(table, data.draw)} "
            f"ON CONFLICT ({key}) DO UPDATE SET {column} = excluded.{column}"
        )

    @rule(table=ANY_TABLE, data=st.data())
    def merge(self, table: str, data: Any) -> None:
        matches = " AND ".join(
            f"target.{each.name} = source.{each.name}" for each in self.tables[table] if each.in_key
        )
        column = data.draw(st.sampled_from(self.tables[table]))
        inserted = ", ".join(f"source.{each.name}" for each in self.tables[table])
        self.run(
            f"MERGE INTO {table} AS target USING (VALUES {self.a_row(table, data.draw)}) "
            f"AS source ({self.names(table)}) ON {matches} "
            f"WHEN MATCHED AND target.{column.name} IS NULL THEN DELETE "
            f"WHEN MATCHED THEN UPDATE SET {column.name} = source.{column.name} "
            f"WHEN NOT MATCHED THEN INSERT ({self.names(table)}) VALUES ({inserted})"
        )

    @rule(table=ANY_TABLE, data=st.data())
    def delete(self, table: str, data: Any) -> None:
        self.run(f"DELETE FROM {table}{self.where(table, data)}")

    @rule(first=ANY_TABLE, second=ANY_TABLE, data=st.data())
    def several(self, first: str, second: str, data: Any) -> None:
        column = data.draw(st.sampled_from(self.tables[second]))
        self.run(
            f"WITH gone AS (DELETE FROM {first}{self.where(first, data)}), "
            f"changed AS (UPDATE {second} SET {column.name} = {data.draw(column.values())}) "
            f"INSERT INTO {first} ({self.names(first)}) VALUES {self.a_row(first, data.draw)} "
            f"ON CONFLICT DO NOTHING"
        )

    @rule(table=ANY_TABLE)
    def truncate(self, table: str) -> None:
        self.run(f"TRUNCATE {table} CASCADE")

    @rule()
    def savepoint(self) -> None:
        self.savepoints.append(f"s{len(self.savepoints)}")
        self.database.execute(f"SAVEPOINT {self.savepoints[-1]}")

    @precondition(lambda self: self.savepoints)
    @rule()
    def rollback_to_savepoint(self) -> None:
        self.database.execute(f"ROLLBACK TO SAVEPOINT {self.savepoints[-1]}")
        self.database.check("ROLLBACK TO SAVEPOINT")

    @precondition(lambda self: self.savepoints)
    @rule()
    def release_savepoint(self) -> None:
        self.database.execute(f"RELEASE SAVEPOINT {self.savepoints.pop()}")

    def a_row(self, table: str, draw: Any) -> str:
        values = (f"CAST({draw(each.values())} AS {each.type})" for each in self.tables[table])
        return f"({', '.join(values)})"

    def names(self, table: str) -> str:
        return ", ".join(each.name for each in self.tables[table])

    def where(self, table: str, data: Any) -> str:
        column = data.draw(st.sampled_from([c for c in self.tables[table] if c.type == "bigint"]))
        return f" WHERE {column.name} = {data.draw(st.sampled_from(VALUES['bigint']))}"

    def teardown(self) -> None:
        self.database.tviews.clear()
        transaction.set_rollback(True, self.database.connection.alias)
        self.whole.__exit__(None, None, None)


@pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
def test_kept_forms_stay_equal_under_any_statements(database: Database, known: bool) -> None:
    database.execute(SCHEMA)
    found = type("Kept", (KeptForms,), {"database": database, "tables": tables_of(database)})
    if known:
        found = seed(20260727)(found)
    run_state_machine_as_test(
        found,
        settings=settings(
            max_examples=8,
            stateful_step_count=20,
            phases=[Phase.generate, Phase.shrink],
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
