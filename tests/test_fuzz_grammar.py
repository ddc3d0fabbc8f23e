"""What the fuzzer can write: every form that is kept, and every kind of statement.

A construct that its grammar never writes is never compared with its query.
"""

from __future__ import annotations

import re
from itertools import chain, count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from support.kept_forms import kept_forms

from .fuzz.playground import REFUSED_WRITES
from .fuzz.queries import QueryWriter
from .fuzz.schema import SchemaWriter
from .fuzz.statements import StatementWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

# In how many random schemas everything is to be found.
SCHEMAS = 150


def syntax_of(sql: str) -> set[str]:
    """Name every syntax node of a query, and every choice within one: ``JoinExpr.jointype=…``."""
    import postgast

    found = set()
    pending: list[Any] = [postgast.parse(sql)]
    while pending:
        message = pending.pop()
        for descriptor, value in message.ListFields():
            name = f"{message.DESCRIPTOR.name}.{descriptor.name}"
            if descriptor.enum_type is not None:
                found.add(f"{name}={descriptor.enum_type.values_by_number[value].name}")
            elif descriptor.message_type is not None:
                found.add(name)
                pending.extend([value] if hasattr(value, "ListFields") else value)
            elif isinstance(value, bool):
                found.add(name)
    return found


def schemas(purpose: str) -> Iterator[tuple[Random, SchemaWriter, list[str]]]:
    for number in range(SCHEMAS):
        random = Random(f"{purpose} {number}")
        schema = SchemaWriter(random, virtual=True)
        yield random, schema, schema.write()


def test_the_grammar_writes_the_syntax_of_every_kept_form() -> None:
    missing = {form.title: syntax_of(form.sql) for form in kept_forms()}
    for random, schema, _ in schemas("queries"):
        writer = QueryWriter(random, list(schema.tables))
        written = syntax_of(writer.tview().sql) | syntax_of(writer.view().sql)
        missing = {title: wanted - written for title, wanted in missing.items() if wanted - written}
        if not missing:
            break
    assert not missing


def test_the_grammar_writes_queries_to_the_depth_of_four() -> None:
    def depth(sql: str) -> int:
        opened, deepest = [], 0
        for token in re.findall(r"\(SELECT|\(|\)", sql):
            if token == ")":
                opened.pop()
            else:
                opened.append(token != "(")
                deepest = max(deepest, sum(opened))
        return deepest + 1

    assert depth("SELECT (SELECT 1 FROM (SELECT (2)) t)") == 3
    queries = (
        QueryWriter(random, list(schema.tables)).tview().sql
        for random, schema, _ in schemas("depths")
    )
    assert any(depth(sql) >= 4 for sql in queries)


@pytest.mark.parametrize(
    "pattern",
    [
        r"INSERT INTO .* UNION ALL",
        r"INSERT INTO .* ON CONFLICT DO NOTHING",
        r"INSERT INTO .* ON CONFLICT \(.*\) DO NOTHING",
        r"INSERT INTO .* DO UPDATE SET .* WHERE",
        r"^UPDATE .* SET \S+ = NULL",
        r"^UPDATE .* SET \(.*\) = \(SELECT",
        r"^UPDATE \S+ SET id = id \+ 10",
        r"^UPDATE [^;]* FROM",
        r"^WITH placed AS .* UPDATE",
        r"^DELETE FROM \S+$",
        r"^DELETE FROM [^;]* USING",
        r"^WITH gone AS \(DELETE .* INSERT",
        r"^WITH w0 AS .*, w1 AS .*, w2 AS",
        r"^MERGE INTO .* THEN DELETE",
        r"^MERGE INTO .* WHEN MATCHED THEN UPDATE",
        r"^MERGE INTO .* WHEN NOT MATCHED THEN INSERT",
        r"^MERGE INTO .* BY SOURCE",
        r"^MERGE INTO .* DO NOTHING",
        r"^TRUNCATE [^,]* CASCADE",
        r"^TRUNCATE .*, .* CASCADE",
        r"^COPY .* FROM STDIN",
        r"^DO \$do\$ .* EXCEPTION",
        r"^SET LOCAL",
        r"^SET CONSTRAINTS ALL IMMEDIATE",
        r"^SET CONSTRAINTS ALL DEFERRED",
        r"^BEGIN$",
        r"^COMMIT$",
        r"^ROLLBACK$",
        r"^SAVEPOINT",
        r"^RELEASE SAVEPOINT",
        r"^ROLLBACK TO SAVEPOINT",
        r'(INSERT INTO|UPDATE|MERGE INTO) "\w+ (low|high)"',
    ],
)
def test_the_grammar_writes_every_kind_of_statement(pattern: str) -> None:
    statements = chain.from_iterable(
        StatementWriter(random, schema.tables).statements(100)
        for random, schema, _ in schemas("statements")
    )
    assert any(re.search(pattern, statement, re.DOTALL) for statement in statements)


@pytest.mark.parametrize(
    "pattern",
    [
        r"PRIMARY KEY \(id\)",
        r"PRIMARY KEY \(a, b\)",
        r"^CREATE TABLE \S+ \((?!.*PRIMARY KEY)",
        r"FOREIGN KEY \(\w+, \w+\)",
        r"ON DELETE CASCADE",
        r"ON DELETE SET NULL",
        r"ON UPDATE CASCADE",
        r"REFERENCES .* DEFERRABLE INITIALLY DEFERRED",
        r"UNIQUE \(\S+\) DEFERRABLE INITIALLY DEFERRED",
        r"STORED",
        r"VIRTUAL",
        r"PARTITION BY RANGE",
        r"INHERITS",
        r"CREATE TRIGGER \w+ BEFORE .* FOR EACH ROW",
        r"CREATE TRIGGER \w+ AFTER .* FOR EACH ROW",
        r"CREATE TRIGGER \w+ BEFORE .* FOR EACH STATEMENT",
        r"CREATE TRIGGER \w+ AFTER .* FOR EACH STATEMENT",
        r'CREATE TABLE "',
    ],
)
def test_the_grammar_writes_every_kind_of_table(pattern: str) -> None:
    definitions = chain.from_iterable(ddl for _, _, ddl in schemas("tables"))
    assert any(re.search(pattern, each) for each in definitions)


def test_a_table_refers_to_one_that_refers_to_a_third() -> None:
    def deepest(schema: SchemaWriter) -> int:
        steps = {table.name: {key.table for key in table.foreign_keys} for table in schema.tables}
        reached = set(steps)
        for length in count():
            reached = {target for name in reached for target in steps[name] if target != name}
            if not reached:
                return length
        raise AssertionError

    assert any(deepest(schema) >= 2 for _, schema, _ in schemas("chains"))


def test_the_documentation_names_what_a_write_may_fail_with() -> None:
    page = (Path(__file__).parent.parent / "docs" / "reference" / "errors.md").read_text()
    (_, section) = page.split("## Writes that fail because of a TView")
    section = section.split("## All errors")[0]
    assert [error.__name__ for error in REFUSED_WRITES if error.__name__ not in section] == []
