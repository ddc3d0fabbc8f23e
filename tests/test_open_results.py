"""What a query leaves open, and what decides it besides rows: refused, or settled.

Equal values with several looks, the order in which rows are aggregated, the clock, the catalog,
the settings of a session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from django_tviews.errors import UnsupportedQuery

from .plans import tree_of

if TYPE_CHECKING:
    from .harness import Database


def refused(database: Database, query: str, columns: str) -> str:
    with pytest.raises(UnsupportedQuery) as caught:
        database.tview(query, columns)
    return str(caught.value.context["construct"])


@pytest.mark.parametrize(
    "expression",
    [
        # -0.0 and 0.0, of integers
        "id::double precision * 0",
        # 1 mon and 30 days, of times
        "age(created_at, created_at)",
        # 1.5000 and 1.500000, of integers: the scale of a quotient follows its operands
        "id / (category_id * 1.0)",
        "to_jsonb(id / 2.0)",
        "(SELECT max(r.stars::numeric) FROM review r WHERE r.product_id = product.id)",
        # Foo and foo, of a text that PostgreSQL compares exactly
        'name COLLATE public."insensitive"',
        'lower(name COLLATE public."insensitive")',
        "CASE WHEN id > 1 THEN age(created_at, created_at) END",
    ],
)
def test_a_computed_value_may_have_several_looks_whatever_it_is_computed_from(
    expression: str,
) -> None:
    grouped = f"SELECT concat({expression}) AS id, count(*) AS n FROM product GROUP BY {expression}"
    derived = f"SELECT concat(d.x) AS id FROM (SELECT DISTINCT {expression} AS x FROM product) AS d"
    for query in (grouped, derived):
        with pytest.raises(UnsupportedQuery) as caught:
            tree_of(query)
        assert caught.value.context["construct"] == "open-look"


def test_the_default_of_lag_may_have_more_decimals_than_what_it_stands_in_for() -> None:
    lag = "lag(price::numeric(10, 2), 1, {}) OVER (PARTITION BY category_id ORDER BY id)"
    query = f"SELECT concat(d.x) AS id FROM (SELECT DISTINCT {lag} AS x FROM product) AS d"
    tree_of(query.format("0::numeric(10, 2)"))
    with pytest.raises(UnsupportedQuery) as caught:
        tree_of(query.format("0.000"))
    assert caught.value.context["construct"] == "open-look"


@pytest.mark.parametrize("rows", ["(d.x)", "(1.0), (d.x)", "((SELECT d.x))"])
def test_a_value_of_several_looks_keeps_them_in_values(rows: str) -> None:
    query = (
        "SELECT d.x AS id, {} AS shown FROM (SELECT DISTINCT id / 2.0 AS x FROM product) AS d"
        f" CROSS JOIN LATERAL (VALUES {rows}) AS v (y)"
    )
    tree_of(query.format("v.y"))
    looked_at = query.replace("VALUES ", "VALUES (d.x), (concat(d.x)::numeric), ")
    for closer in (query.format("concat(v.y)"), looked_at.format("v.y")):
        with pytest.raises(UnsupportedQuery) as caught:
            tree_of(closer)
        assert caught.value.context["construct"] == "open-look"


@pytest.mark.parametrize(
    "expression",
    [
        "lower(name)",
        "upper(left(name, 3)) || '!'",
        "date_trunc('month', created_at)",
        "COALESCE(category_id, 0) + 1",
        "name = 'Lamp'",
        "data ->> 'colour'",
        'name COLLATE "C"',
        "labels",
        "CASE WHEN id > 1 THEN name ELSE 'none' END",
    ],
)
def test_a_computed_value_that_has_one_look_may_be_looked_at(expression: str) -> None:
    grouped = f"SELECT concat({expression}) AS id, count(*) AS n FROM product GROUP BY {expression}"
    derived = f"SELECT concat(d.x) AS id FROM (SELECT DISTINCT {expression} AS x FROM product) AS d"
    for query in (grouped, derived):
        assert tree_of(query).outputs[0].name == "id"


@pytest.mark.parametrize("join", ["LEFT", "FULL"])
def test_what_an_outer_join_demands_does_not_order_the_rows_that_it_does_not_match(
    join: str,
) -> None:
    query = (
        "SELECT COALESCE(p.maker_id, 0) AS id, array_agg(p.name ORDER BY r.id) AS names "
        f"FROM product p {join} JOIN review r ON r.product_id = p.id GROUP BY 1"
    )
    with pytest.raises(UnsupportedQuery) as refusal:
        tree_of(query)
    assert refusal.value.context["construct"] == "open-order"
    assert tree_of(query.replace(f"{join} JOIN", "JOIN")).outputs


def test_enums_domains_and_ranges_of_whole_numbers_have_one_look(maintained: Database) -> None:
    maintained.execute("CREATE TYPE mood AS ENUM ('sad', 'glad')")
    maintained.execute("CREATE DOMAIN positive AS integer CHECK (VALUE > 0)")
    maintained.execute("CREATE DOMAIN small AS positive")
    maintained.execute(
        "CREATE TABLE visit (id integer PRIMARY KEY, mood mood NOT NULL, size small NOT NULL, "
        "days int4range NOT NULL)"
    )
    maintained.tview(
        "SELECT concat(mood, size, days) AS id, count(*) AS n, max(mood)::text AS top "
        "FROM visit GROUP BY mood, size, days",
        "id text, n bigint, top text",
    )
    maintained.run(
        "INSERT INTO visit VALUES (1, 'sad', 1, '[1,2]'), (2, 'sad', 1, '[1,3)'), "
        "(3, 'glad', 2, '[1,3)')",
        "UPDATE visit SET mood = 'glad' WHERE id = 2",
        "UPDATE visit SET size = 2, days = '(0,2]'",
        "DELETE FROM visit WHERE id = 1",
    )


def test_a_domain_over_a_type_with_several_looks_has_several(database: Database) -> None:
    database.execute("CREATE DOMAIN weight AS numeric")
    database.execute("CREATE TABLE part (id integer PRIMARY KEY, weight weight NOT NULL)")
    query = "SELECT concat(weight) AS id, count(*) AS n FROM part GROUP BY weight"
    assert refused(database, query, "id text, n bigint") == "open-look"


def test_nothing_is_known_of_the_order_in_which_a_users_aggregate_wants_rows(
    database: Database,
) -> None:
    database.execute("CREATE TABLE part (id integer PRIMARY KEY, box integer, label text)")
    database.execute(
        "CREATE AGGREGATE joined (text) (SFUNC = textcat, STYPE = text, INITCOND = '')"
    )
    grouped = "FROM part WHERE box IS NOT NULL GROUP BY box"
    columns = "id integer, labels text NULL"
    query = f"SELECT box AS id, joined(label) AS labels {grouped}"
    assert refused(database, query, columns) == "open-order"
    windowed = "SELECT id, joined(label) OVER (PARTITION BY box) AS labels FROM part"
    assert refused(database, windowed, columns) == "open-order"
    database.tview(f"SELECT box AS id, joined(label ORDER BY id) AS labels {grouped}", columns)
    database.run(
        "INSERT INTO part VALUES (2, 1, 'b'), (1, 1, 'a'), (3, 2, 'c')",
        "UPDATE part SET id = 10 - id",
    )


@pytest.mark.parametrize(
    "sublink",
    [
        "(SELECT string_agg(product.name, ','))",
        "(SELECT max(product.id) FROM category)",
        "(SELECT count(product.id) FROM category WHERE category.id = 1)",
    ],
)
def test_an_aggregate_of_the_query_around_a_subquery_is_refused(sublink: str) -> None:
    query = f"SELECT maker_id AS id, {sublink} AS value FROM product GROUP BY maker_id"
    with pytest.raises(UnsupportedQuery) as caught:
        tree_of(query)
    assert "over the query around a subquery" in str(caught.value)


@pytest.mark.parametrize(
    "type_sql", ["tstzrange", "timestamptz[]", "datemultirange", "day", "stay", "stay[]"]
)
def test_a_cast_of_text_to_what_holds_a_time_is_refused(database: Database, type_sql: str) -> None:
    database.execute("CREATE DOMAIN day AS date")
    database.execute("CREATE TYPE stay AS (room integer, days daterange)")
    database.execute("CREATE TABLE part (id integer PRIMARY KEY, label text)")
    query = f"SELECT id, (label::{type_sql})::text AS moment FROM part"
    assert refused(database, query, "id integer, moment text NULL") == "text-to-time"


@pytest.mark.parametrize(
    "expression",
    [
        "class::text",
        "label::regtype::oid::integer",
        "classes::text",
        "label::regrole::oid::integer",
    ],
)
def test_the_names_of_database_objects_are_no_values(database: Database, expression: str) -> None:
    database.execute(
        "CREATE TABLE part (id integer PRIMARY KEY, label text, class regclass, classes regclass[])"
    )
    query = f"SELECT id, ({expression})::text AS named FROM part"
    assert refused(database, query, "id integer, named text NULL") == "unpinned-function"


def test_a_text_search_configuration_is_looked_up_by_its_name(database: Database) -> None:
    database.execute("CREATE TABLE part (id integer PRIMARY KEY, language text, label text)")
    database.tview(
        "SELECT id, to_tsvector(language::regconfig, label) AS words FROM part",
        "id integer, words tsvector NULL",
    )
    database.run("INSERT INTO part VALUES (1, 'pg_catalog.english', 'the lamps')")


def test_the_blanks_at_the_end_of_a_string_without_a_length_reach_the_spool(
    database: Database,
) -> None:
    database.execute("CREATE TABLE part (id integer PRIMARY KEY, label bpchar NOT NULL)")
    database.execute("CREATE TABLE box (id integer PRIMARY KEY, part_id integer)")
    database.tview(
        "SELECT octet_length(p.label) AS id, count(b.id) AS n FROM part p "
        "LEFT JOIN box b ON b.part_id = p.id GROUP BY octet_length(p.label)",
        "id integer, n bigint",
        mode="deferred",
    )
    database.run(
        "INSERT INTO part VALUES (1, 'a  '), (2, 'a')",
        "UPDATE part SET label = 'long' WHERE id = 1",
        "DELETE FROM part",
    )


@pytest.mark.parametrize(
    ("setting", "expression"),
    [
        # Constants and casts of arrays: whether NULL in their text stands for a NULL.
        ("array_nulls = off", "(label::text[])[1] IS NULL"),
        # IMMUTABLE, as PostgreSQL says.
        ("quote_all_identifiers = on", "quote_ident('x' || md5(label)) = 'x' || md5(label)"),
        (
            "timezone_abbreviations = 'Australia'",
            "extract(hour FROM '2024-01-01 12:00+00'::timestamptz AT TIME ZONE 'EST') < id + 10",
        ),
    ],
)
def test_what_an_immutable_function_makes_of_a_setting_is_settled(
    database: Database, setting: str, expression: str
) -> None:
    database.execute("CREATE TABLE part (id integer PRIMARY KEY, label text NOT NULL)")
    database.tview(
        f"SELECT id, {expression} AS answer FROM part", "id integer, answer boolean NULL"
    )
    database.execute(f"SET {setting}")
    database.run("INSERT INTO part VALUES (1, '{NULL}'), (2, '{name}')")


@pytest.mark.parametrize("expression", ["enum_last(mood)::text", "cardinality(enum_range(mood))"])
def test_what_a_new_value_of_an_enum_changes_is_refused(
    database: Database, expression: str
) -> None:
    database.execute("CREATE TYPE mood AS ENUM ('calm', 'glad')")
    database.execute("CREATE TABLE part (id integer PRIMARY KEY, mood mood NOT NULL)")
    query = f"SELECT id, {expression} AS shown FROM part"
    assert refused(database, query, "id integer, shown text NULL") == "unpinned-function"


def test_an_abbreviation_of_a_time_zone_is_settled_wherever_the_query_reads_it(
    database: Database,
) -> None:
    database.execute("""
        CREATE TABLE part (id integer PRIMARY KEY, label text NOT NULL, at timestamptz NOT NULL,
            path jsonpath NOT NULL DEFAULT '$.datetime("HH24:MI TZ")');
        CREATE VIEW local AS SELECT id, at AT TIME ZONE label AS at FROM part;
    """)
    database.tview("SELECT id, at FROM local", "id integer, at timestamp NULL")
    database.tview(
        "SELECT id, jsonb_path_query_first(to_jsonb('12:00 ' || label), path) AS at FROM part",
        "id integer, at jsonb NULL",
    )
    if database.server_has("CREATE TABLE v (a date, b date GENERATED ALWAYS AS (a) VIRTUAL)"):
        database.execute(
            "ALTER TABLE part ADD eastern timestamp "
            "GENERATED ALWAYS AS (at AT TIME ZONE 'EST') VIRTUAL"
        )
        database.tview("SELECT id, eastern FROM part", "id integer, eastern timestamp NULL")
    database.execute("SET timezone_abbreviations = 'Australia'")
    database.run(
        "INSERT INTO part VALUES (1, 'EST', '2024-01-01 12:00+00')",
        "UPDATE part SET at = at + interval '1 day'",
    )


def test_an_index_gives_all_that_it_finds(database: Database) -> None:
    database.execute("CREATE TABLE part (id integer PRIMARY KEY, label text NOT NULL)")
    database.execute("CREATE TABLE tag (id integer PRIMARY KEY, labels text[] NOT NULL)")
    database.execute("INSERT INTO tag SELECT n, '{a}' FROM generate_series(1, 20000) AS n")
    database.execute("CREATE INDEX ON tag USING gin (labels) WITH (fastupdate = off)")
    database.tview(
        "SELECT p.id, (SELECT count(*) FROM tag t WHERE t.labels @> ARRAY[p.label]) AS n FROM part p",
        "id integer, n bigint NULL",
    )
    database.execute("SET gin_fuzzy_search_limit = 10; SET enable_seqscan = off")
    database.run("INSERT INTO part VALUES (1, 'a')")
