"""Columns of every type: as key, as the value shown, as what relations are joined by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .harness import database, maintained  # noqa: F401

if TYPE_CHECKING:
    from .harness import Database

# A type, and three values of it that differ.
VALUES = {
    "smallint": ("1", "2", "-3"),
    "integer": ("1", "2", "-3"),
    "bigint": ("1", "2", "-9223372036854775808"),
    "numeric": ("1.50", "NaN", "-Infinity"),
    "numeric(8,2)": ("1.50", "0", "-2.25"),
    "real": ("0.1", "NaN", "1e-30"),
    "double precision": ("0.1", "-Infinity", "1.7976931348623157e308"),
    "money": ("1.50", "-3", "0"),
    "boolean": ("true", "false", "true"),
    "text": ("", "it's", "a\\b"),
    "varchar(5)": ("a", "a ", "b"),
    "character(5)": ("a", "b", ""),
    "bpchar": ("a", "b", ""),
    '"char"': ("a", "\\201", ""),
    "name": ("a", "b", ""),
    "bytea": ("\\x00", "\\xff", ""),
    "date": ("2024-02-29", "infinity", "0044-03-15 BC"),
    "time": ("00:00", "24:00", "12:34:56.789012"),
    "time with time zone": ("00:00+02", "00:00-11:30", "12:00Z"),
    "timestamp": ("2024-02-29 12:00", "infinity", "0044-03-15 12:00 BC"),
    "timestamp with time zone": ("2024-07-01 00:00+02", "-infinity", "1900-01-01 00:00:00.5+00"),
    "timestamp(0) with time zone": ("2024-07-01 00:00+02", "-infinity", "1900-01-01 00:00+00"),
    "interval": ("1 mon -1 day +00:00:01", "-1 year", "1 day"),
    "uuid": tuple(f"00000000-0000-0000-0000-00000000000{digit}" for digit in "1ab"),
    "inet": ("10.0.0.1", "10.0.0.1/8", "::1"),
    "cidr": ("10.0.0.0/8", "::1/128", "10.0.0.0/9"),
    "macaddr": ("08:00:2b:01:02:03", "08:00:2b:01:02:04", "00:00:00:00:00:00"),
    "bit(3)": ("101", "000", "111"),
    "bit varying": ("1", "10", ""),
    "jsonb": ('{"a": [1, null]}', "null", '"x"'),
    "oid": ("1", "4294967295", "0"),
    "regclass": ("pg_class", "pg_type", "-"),
    "pg_lsn": ("16/B374D848", "0/0", "0/1"),
    "tsvector": ("'a' 'b'", "", "'it''s':1A"),
    "tsquery": ("'a' & 'b'", "'a'", "!'c'"),
    "int4range": ("[1,3)", "empty", "(,)"),
    "datemultirange": ("{[2024-01-01,2024-02-01)}", "{}", "{(,)}"),
    "integer[]": ("{1,2}", "{}", "{{1,2},{3,NULL}}"),
    "text[]": ('{"a,b",NULL}', "{}", '{"it\'s","\\""}'),
    "mood": ("sad", "it's ok", "happy"),
    "mood[]": ("{sad}", "{}", '{happy,"it\'s ok"}'),
    "positive": ("1", "2", "3"),
    '"Odd Pair"': ("(1,a)", '(2,"b,c")', "(,)"),
}
# These have no order, so that no key and no GROUP BY can be made of them.
UNORDERED = {
    "json": ('{"a": 1.0}', "null", '"x"'),
    "point": ("(1,2)", "(0.1,-0)", "(3,4)"),
    "box": ("(1,2),(3,4)", "(0,0),(2,2)", "(0,0),(1,1)"),
    "aclitem[]": ("{}", "{postgres=r/postgres}", "{=w/postgres}"),
}


@pytest.fixture
def things(maintained: Database) -> Database:  # noqa: F811
    maintained.execute("CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy')")
    maintained.execute("CREATE DOMAIN positive AS integer NOT NULL CHECK (value > 0)")
    maintained.execute('CREATE TYPE "Odd Pair" AS (a integer, b text)')
    return maintained


def literals(values: tuple[str, ...]) -> list[str]:
    return ["'" + value.replace("'", "''") + "'" for value in values]


@pytest.mark.parametrize("type_sql", [*VALUES, *UNORDERED])
def test_a_value_of_any_type_is_shown_and_changes(things: Database, type_sql: str) -> None:
    one, two, three = literals((VALUES | UNORDERED)[type_sql])
    things.execute(
        f"CREATE TABLE thing (id integer PRIMARY KEY, v {type_sql}, up integer REFERENCES thing ON UPDATE CASCADE)"
    )
    things.tview("SELECT id, v FROM thing", f"id integer, v {type_sql} NULL")
    things.tview(
        "SELECT t.id, u.v FROM thing t LEFT JOIN thing u ON u.id = t.up",
        f"id integer, v {type_sql} NULL",
    )
    things.run(
        f"INSERT INTO thing VALUES (1, {one}, NULL), (2, {two}, 1), (3, {three}, 2), (4, {one}, 4)",
        f"UPDATE thing SET v = {two} WHERE id = 1",
        # A cascade: the images of rows go through the spool.
        f"UPDATE thing SET id = id + 10, v = {three}",
        f"WITH a AS (UPDATE thing SET v = {one} WHERE id = 11 RETURNING 1) "
        "DELETE FROM thing WHERE id = 13",
    )


@pytest.mark.parametrize(
    "type_sql", [name for name in VALUES if "[" not in name and "Pair" not in name]
)
def test_a_key_of_any_type(things: Database, type_sql: str) -> None:
    one, two, three = literals(VALUES[type_sql])
    # A domain that is NOT NULL cannot be what an outer join may miss.
    base = {"positive": "integer"}.get(type_sql, type_sql)
    things.execute(f"CREATE TABLE thing (id integer PRIMARY KEY, v {type_sql} NOT NULL)")
    things.execute(f"CREATE TABLE other (id integer PRIMARY KEY, v {type_sql} NOT NULL)")
    things.tview(
        "SELECT t.v, count(*) AS n FROM thing t GROUP BY t.v", f"v {type_sql}, n bigint", "v"
    )
    things.tview(
        "SELECT t.v, count(o.id) AS n FROM thing t LEFT JOIN other o ON o.v = t.v GROUP BY t.v",
        f"v {type_sql}, n bigint",
        "v",
    )
    things.tview(
        f"SELECT t.id, CAST(COALESCE(o.v, {one}) AS {base}) AS v "
        "FROM thing t LEFT JOIN other o ON o.id = t.id",
        f"id integer, v {base}",
        "id, v",
    )
    things.run(
        f"INSERT INTO thing VALUES (1, {one}), (2, {two})",
        f"INSERT INTO other VALUES (1, {one}), (2, {one}), (3, {three})",
        f"UPDATE thing SET v = {three} WHERE id = 1",
        f"WITH a AS (UPDATE thing SET v = {two} RETURNING 1), "
        f"b AS (UPDATE other SET v = {two} WHERE id = 1 RETURNING 1) SELECT",
        "DELETE FROM other",
        "DELETE FROM thing",
    )
