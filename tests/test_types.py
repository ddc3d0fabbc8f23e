"""Columns of every type: as key, as the value shown, as what relations are joined by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from django_tviews.errors import ColumnMismatch

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
    "numeric(3,-2)": ("1200", "0", "-4500"),
    "numeric(2,4)": ("0.0012", "0", "-0.0099"),
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
    "interval day to second(0)": ("3 days 04:05:06", "0", "-1 day"),
    "uuid": tuple(f"00000000-0000-0000-0000-00000000000{digit}" for digit in "1ab"),
    "inet": ("10.0.0.1", "10.0.0.1/8", "::1"),
    "cidr": ("10.0.0.0/8", "::1/128", "10.0.0.0/9"),
    "macaddr8": ("08:00:2b:01:02:03:04:05", "08:00:2b:01:02:03:04:06", "00:00:00:00:00:00:00:00"),
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
    "numrange": ("[1.0,3)", "empty", "(,5]"),
    "tstzrange": ("[2024-07-01 00:00+02,infinity)", "empty", "(,2024-01-01 00:00+00]"),
    "spread": ("[0.5,1)", "empty", "(,-Infinity]"),
    "nummultirange": ("{[1.0,2),[3,4)}", "{}", "{(,)}"),
    "datemultirange": ("{[2024-01-01,2024-02-01)}", "{}", "{(,)}"),
    "integer[]": ("{1,2}", "{}", "{{1,2},{3,NULL}}"),
    "text[]": ('{"a,b",NULL}', "{}", '{"it\'s","\\""}'),
    "mood": ("sad", "it's ok", "happy"),
    "mood[]": ("{sad}", "{}", '{happy,"it\'s ok"}'),
    "positive": ("1", "2", "3"),
    "moods": ("{sad}", "{}", '{happy,"it\'s ok"}'),
    '"Odd Pair"': ("(1,a)", '(2,"b,c")', "(,)"),
    "citext": ("Foo", "bar", ""),
    "citext[]": ("{Foo}", "{bar,NULL}", "{}"),
    "address": ("Foo@x", "bar@x", "Baz@x"),
    "ltree": ("a.b", "a", "a.b.c"),
    "hstore": ('"a"=>"1"', "", '"a"=>NULL, "b"=>"it\'s"'),
}
# These have no order, so that no key and no GROUP BY can be made of them.
UNORDERED = {
    "json": ('{"a": 1.0}', "null", '"x"'),
    "point": ("(1,2)", "(0.1,-0)", "(3,4)"),
    "box": ("(1,2),(3,4)", "(0,0),(2,2)", "(0,0),(1,1)"),
    "aclitem[]": ("{}", "{postgres=r/postgres}", "{=w/postgres}"),
    "circle": ("<(0,0),1>", "<(9,9),1>", "<(0,0),2>"),
    "line": ("{1,-1,0}", "{1,0,2}", "{0,1,0.1}"),
    "lseg": ("[(0,0),(1,1)]", "[(1,1),(0,0)]", "[(0,0),(2,2)]"),
    "path": ("[(0,0),(1,1)]", "((0,0),(1,1))", "[(5,5),(9,9)]"),
    "polygon": ("((0,0),(1,1),(1,0))", "((1,0),(0,0),(1,1))", "((0,0))"),
    "jsonpath": ("$.a", "lax $[*]?(@ > 1)", "$"),
    "pg_snapshot": ("1:5:2", "1:1:", "3:9:4,5"),
    "refcursor": ("a", "b", ""),
    "xid8": ("1", "0", "18446744073709551615"),
}
# Equal values that look different, and one that is another. Of a group either look may be shown.
LOOKS = {
    "numeric": ("1.0", "1.00", "2"),
    "double precision": ("0", "-0", "1"),
    "interval": ("1 mon", "30 days", "1 day"),
    "jsonb": ('{"a": 1.0}', '{"a": 1.00}', "1"),
    "character(3)": ("a", "a ", "b"),
    "bpchar": ("a", "a  ", "b"),
    "citext": ("Foo", "FOO", "bar"),
    "address": ("Foo@x", "FOO@x", "bar@x"),
    "numeric[]": ("{1.0}", "{1.00}", "{2}"),
    "numrange": ("[1.0,2)", "[1.00,2)", "[2,3)"),
    "priced": ("(1.0,x)", "(1.00,x)", "(2,x)"),
}


def with_types(database: Database) -> Database:  # noqa: F811
    """Create the types that are not PostgreSQL's own."""
    database.execute("CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy')")
    database.execute("CREATE DOMAIN positive AS integer NOT NULL CHECK (value > 0)")
    database.execute('CREATE TYPE "Odd Pair" AS (a integer, b text)')
    database.execute(f"""
        CREATE EXTENSION citext SCHEMA {database.schema};
        CREATE EXTENSION ltree SCHEMA {database.schema};
        CREATE EXTENSION hstore SCHEMA {database.schema};
        CREATE DOMAIN handle AS citext;
        CREATE DOMAIN address AS handle CHECK (value LIKE '%@x');
        CREATE DOMAIN moods AS mood[];
        CREATE TYPE priced AS (price numeric, name text);
        CREATE TYPE spread AS RANGE (subtype = double precision);
    """)
    return database


@pytest.fixture
def things(database: Database) -> Database:  # noqa: F811
    return with_types(database)


@pytest.fixture
def things_of_both_branches(maintained: Database) -> Database:  # noqa: F811
    return with_types(maintained)


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
    "type_sql", [name for name in VALUES if "[" not in name and name not in ('"Odd Pair"', "moods")]
)
def test_a_key_of_any_type(things_of_both_branches: Database, type_sql: str) -> None:
    things = things_of_both_branches
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


def test_a_key_that_contains_further_values_is_refused(things: Database) -> None:
    things.execute("CREATE DOMAIN bargain AS priced")
    kinds = {"priced": "a row", "bargain": "a row", "moods": "an array", "mood[]": "an array"}
    for type_sql, kind in kinds.items():
        things.execute(f"CREATE TABLE thing (v {type_sql} NOT NULL)")
        with pytest.raises(ColumnMismatch, match=f"is {kind}, which cannot be a key"):
            things.tview(
                "SELECT v, count(*) AS n FROM thing GROUP BY v", f"v {type_sql}, n bigint", "v"
            )
        things.execute("DROP TABLE thing")


# What the server has no hash, no order or no equality for may stand in fewer places.
COMPARABLE = VALUES | {name: UNORDERED[name] for name in ("circle", "lseg", "xid8")}


@pytest.mark.parametrize("type_sql", COMPARABLE)
def test_a_column_of_any_type_joins_and_filters(things: Database, type_sql: str) -> None:
    one, two, three = literals(COMPARABLE[type_sql])
    things.execute(f"CREATE TABLE thing (id integer PRIMARY KEY, v {type_sql})")
    things.execute(f"CREATE TABLE other (id integer PRIMARY KEY, v {type_sql})")
    things.tview(
        "SELECT t.id, o.id AS other FROM thing t JOIN other o ON o.v = t.v",
        "id integer, other integer",
        "id, other",
    )
    things.tview(
        "SELECT t.id, (SELECT count(*) FROM other o WHERE o.v = t.v) AS n FROM thing t",
        "id integer, n bigint",
    )
    things.tview(
        f"SELECT id FROM thing WHERE v = CAST({one} AS {type_sql}) OR v IS NULL", "id integer"
    )
    things.run(
        f"INSERT INTO thing VALUES (1, {one}), (2, {two}), (3, {one}), (4, {three})",
        f"INSERT INTO other VALUES (1, {one}), (2, {two})",
        f"UPDATE thing SET v = {two} WHERE id = 1",
        f"UPDATE other SET v = {one}",
        f"WITH a AS (UPDATE thing SET v = {one} RETURNING 1) DELETE FROM other WHERE id = 1",
        "DELETE FROM thing WHERE id < 3",
    )


@pytest.mark.parametrize("type_sql", LOOKS)
def test_equal_values_that_look_different(things: Database, type_sql: str) -> None:
    one, same, other = literals(LOOKS[type_sql])
    things.execute(f"CREATE TABLE thing (id integer PRIMARY KEY, v {type_sql})")
    things.execute(f"CREATE TABLE mark (id integer PRIMARY KEY, v {type_sql})")
    if type_sql not in ("numeric[]", "priced"):
        things.tview(
            "SELECT v, count(*) AS n FROM thing WHERE v IS NOT NULL GROUP BY v",
            f"v {type_sql}, n bigint",
            "v",
            by_value=("v",),
        )
        things.tview(
            "SELECT v FROM thing WHERE v IS NOT NULL INTERSECT SELECT v FROM mark",
            f"v {type_sql}",
            "v",
            by_value=("v",),
        )
    things.tview(
        "SELECT t.id, m.id AS mark, t.v FROM thing t LEFT JOIN mark m ON m.v = t.v "
        "WHERE m.id IS NOT NULL",
        f"id integer, mark integer, v {type_sql} NULL",
        "id, mark",
    )
    things.tview(
        "SELECT t.id, count(*) OVER (PARTITION BY t.v) AS n FROM thing t", "id integer, n bigint"
    )
    things.run(
        f"INSERT INTO thing VALUES (1, {one}), (2, {same}), (3, {other}), (4, NULL)",
        f"INSERT INTO mark VALUES (1, {same}), (2, {other})",
        f"UPDATE thing SET v = {same} WHERE id = 1",
        f"UPDATE thing SET v = {other} WHERE id = 2",
        f"UPDATE mark SET v = {one} WHERE id = 1",
        f"WITH a AS (UPDATE mark SET v = {same} WHERE id = 2 RETURNING 1) "
        f"UPDATE thing SET v = {one} WHERE id = 3",
        "DELETE FROM thing WHERE id = 1",
        f"DELETE FROM mark WHERE v = CAST({one} AS {type_sql})",
    )


def test_a_row_of_nulls_is_a_value_though_it_is_null(
    maintained: Database,  # noqa: F811
) -> None:
    maintained.execute("""
        CREATE TYPE pair AS (x integer, y text);
        CREATE TABLE thing (k pair PRIMARY KEY, id integer NOT NULL, n integer);
        INSERT INTO thing VALUES (ROW(1, NULL), 1, 1), (ROW(NULL, NULL), 2, 2);
        CREATE TABLE mark (id integer PRIMARY KEY, p pair);
        INSERT INTO mark VALUES (1, ROW(NULL, NULL)), (2, NULL), (3, ROW(1, NULL));
    """)
    maintained.tview(
        "SELECT m.id, (SELECT sum(t.id) FROM thing t WHERE t.n = m.id) AS total FROM mark m",
        "id integer, total bigint NULL",
    )
    maintained.tview(
        "SELECT id, p, count(*) OVER (PARTITION BY p) AS n FROM mark",
        "id integer, p pair NULL, n bigint",
    )
    maintained.run(
        "UPDATE thing SET n = n + 1",
        "UPDATE mark SET p = NULL WHERE id = 3",
        "UPDATE mark SET p = ROW(NULL, NULL) WHERE id > 1",
    )


def test_columns_that_are_compared_as_text_are_joined_like_those_of_text(
    maintained: Database,  # noqa: F811
) -> None:
    maintained.execute("""
        CREATE TABLE country (code varchar(3) PRIMARY KEY, name varchar(20));
        CREATE TABLE city (id integer PRIMARY KEY, country varchar(3), region text);
        INSERT INTO country VALUES ('nl', 'Netherlands'), ('be', 'Belgium');
        INSERT INTO city VALUES (1, 'nl', 'be'), (2, 'be', 'be'), (3, NULL, NULL);
    """)
    # The order is complete only if a city tells its country.
    maintained.tview(
        "SELECT o.code, array_agg(i.id || o.name ORDER BY i.id) AS cities "
        "FROM country o JOIN city i ON i.country = o.code GROUP BY o.code",
        "code varchar(3), cities text[]",
        "code",
    )
    maintained.tview(
        "SELECT i.country, count(*) AS n FROM city i JOIN country o ON o.code = i.region "
        "WHERE i.country <> 'x' GROUP BY i.country",
        "country varchar(3), n bigint",
        "country",
    )
    maintained.run(
        "INSERT INTO city VALUES (4, 'nl', 'nl'), (5, 'x', 'be')",
        "UPDATE city SET country = 'nl' WHERE id > 1",
        "UPDATE country SET name = NULL WHERE code = 'nl'",
        "UPDATE country SET code = 'x' WHERE code = 'nl'",
        "UPDATE city SET country = 'be', region = 'x' WHERE id < 3",
        "DELETE FROM country WHERE code = 'x'",
    )


def test_points_that_differ_have_no_operator_for_those_that_do_not(
    maintained: Database,  # noqa: F811
) -> None:
    maintained.execute("""
        CREATE TABLE thing (id integer PRIMARY KEY, p point);
        CREATE TABLE mark (id integer PRIMARY KEY, p point);
        INSERT INTO thing VALUES (1, '(0,0)'), (2, '(1,2)');
    """)
    maintained.tview(
        "SELECT id, p <> ALL (SELECT m.p FROM mark m) AS alone FROM thing",
        "id integer, alone boolean NULL",
    )
    maintained.run(
        "INSERT INTO mark VALUES (1, '(1,2)')",
        "UPDATE mark SET p = NULL",
        "UPDATE thing SET p = '(3,4)'",
        "DELETE FROM mark",
    )


@pytest.mark.parametrize("mode", ["immediate", "deferred"])
def test_what_waits_in_the_spool_keeps_the_collation_of_its_column(
    database: Database,  # noqa: F811
    mode: str,
) -> None:
    # One of the two is not that of the database, and "C" alone changes no letter but ASCII.
    for name, collation in (("plain", "C"), ("unicode", "C.utf8")):
        database.execute(
            f"CREATE TABLE {name} ("
            f'id integer PRIMARY KEY, word text COLLATE "{collation}" NOT NULL)'
        )
        database.tview(f"SELECT id FROM {name} WHERE upper(word) = 'É'", "id integer", mode=mode)
        database.tview(
            f"SELECT 1 AS id, count(*) FILTER (WHERE upper(word) = 'É') AS n FROM {name}",
            "id integer, n bigint",
            mode=mode,
        )
        upsert = (
            f"INSERT INTO {name} VALUES (1, 'é'), (2, 'É') "
            "ON CONFLICT (id) DO UPDATE SET word = 'e'"
        )
        database.run(upsert, upsert)


@pytest.mark.parametrize("mode", ["immediate", "deferred"])
def test_keys_that_a_collation_does_not_tell_apart_are_one_key_in_the_spool(
    database: Database,  # noqa: F811
    mode: str,
) -> None:
    ci = "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
    if not database.server_has(ci):
        # Built without ICU, as the private server is; PostgreSQL 15 of tox has it.
        return
    database.execute(ci)
    database.execute("CREATE TABLE word (id integer PRIMARY KEY, text text COLLATE ci NOT NULL)")
    database.tview(
        "SELECT text AS id, count(*) AS n FROM word GROUP BY text",
        "id text, n bigint",
        mode=mode,
        collations={"id": "ci"},
        by_value=("id",),
    )
    database.run(
        "INSERT INTO word VALUES (1, 'a'), (2, 'A')",
        "INSERT INTO word VALUES (1, 'b'), (3, 'A'), (4, 'a') "
        "ON CONFLICT (id) DO UPDATE SET text = 'B'",
    )


def test_a_key_whose_blanks_its_column_would_take_away_is_refused(
    database: Database,  # noqa: F811
) -> None:
    database.execute("CREATE TABLE item (id integer PRIMARY KEY, k text NOT NULL)")
    with pytest.raises(ColumnMismatch, match="assignment may change"):
        database.tview(
            "SELECT k AS id, count(*) AS n FROM item GROUP BY k", "id character(5), n bigint"
        )
