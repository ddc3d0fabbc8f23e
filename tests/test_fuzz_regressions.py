"""What the fuzzer, and the thinking it provoked, has found; the smallest case of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from django_tviews import verify
from django_tviews.errors import ColumnMismatch, UnsupportedQuery

from .harness import database  # noqa: F401

if TYPE_CHECKING:
    from .harness import Database


@pytest.fixture
def shop(database: Database) -> Database:  # noqa: F811
    """Tables without rows: a parent, its children, and a table beside them."""
    database.execute("CREATE TABLE par (id integer PRIMARY KEY, flag integer NOT NULL, name text)")
    database.execute(
        "CREATE TABLE chi (id integer PRIMARY KEY, par_id integer, size integer, name text)"
    )
    database.execute("CREATE TABLE oth (id integer PRIMARY KEY, par_id integer, size integer)")
    return database


def test_an_aggregate_of_no_rows_without_groups_may_be_null(shop: Database) -> None:
    with pytest.raises(ColumnMismatch):
        shop.tview("SELECT 1 AS id, max(chi.id) AS top FROM chi", "id integer, top integer")


def test_a_condition_in_a_lateral_aggregate_does_not_filter_the_rows_beside_it(
    shop: Database,
) -> None:
    shop.tview(
        "SELECT p.id, d.n FROM par p CROSS JOIN LATERAL "
        "(SELECT count(*) AS n FROM chi c WHERE c.par_id = p.id AND p.flag = 1) d",
        "id integer, n bigint",
    )
    shop.run(
        "INSERT INTO par VALUES (1, 0, 'a'), (2, 1, 'b')",
        "INSERT INTO chi VALUES (1, 1, 1, 'a'), (2, 2, 1, 'b')",
        "UPDATE par SET flag = 1 - flag",
        "DELETE FROM par",
    )


def test_a_lateral_aggregate_does_not_tie_the_relations_it_reads_together(shop: Database) -> None:
    shop.tview(
        "SELECT p.id, o.id AS other, d.n FROM par p CROSS JOIN oth o CROSS JOIN LATERAL "
        "(SELECT count(*) AS n FROM chi c WHERE c.par_id = p.id AND c.size = o.size) d",
        "id integer, other integer, n bigint",
        "id, other",
        allow_rebuild=True,
    )
    shop.run(
        "INSERT INTO oth VALUES (1, 1, 1), (2, 1, 2)",
        "INSERT INTO par VALUES (1, 0, 'a'), (2, 1, 'b')",
        "INSERT INTO chi VALUES (1, 1, 1, 'a'), (2, 2, 1, 'b')",
    )


def test_conditions_of_one_side_of_a_union_do_not_bind_the_other(shop: Database) -> None:
    shop.tview(
        "SELECT p.name, sum((SELECT count(*) FROM (SELECT c.id FROM chi c WHERE c.par_id = p.id "
        "UNION ALL SELECT o.id FROM oth o WHERE o.par_id = p.id AND p.flag = 1) u)) AS n "
        "FROM par p WHERE p.name IS NOT NULL GROUP BY p.name",
        "name text, n numeric",
        "name",
    )
    shop.run(
        "INSERT INTO par VALUES (1, 0, 'a'), (2, 1, 'b')",
        "INSERT INTO chi VALUES (1, 1, 1, 'a'), (2, 2, 1, 'b')",
        "INSERT INTO oth VALUES (1, 1, 1), (2, 2, 1)",
        "UPDATE par SET flag = 1 - flag",
    )


def test_a_full_join_does_not_lead_back_to_its_own_side(shop: Database) -> None:
    shop.tview(
        "SELECT COALESCE(p.id, -1) AS p, COALESCE(c.id, -1) AS c, COALESCE(o.id, -1) AS o "
        "FROM (par p CROSS JOIN chi c) FULL JOIN oth o ON o.par_id = p.flag AND o.size = c.size",
        "p integer, c integer, o integer",
        "p, c, o",
        allow_rebuild=True,
    )
    shop.run(
        "INSERT INTO chi VALUES (1, 1, 1, 'a'), (2, 2, 2, 'b')",
        "INSERT INTO oth VALUES (1, 1, 1), (2, 2, 2)",
        "INSERT INTO par VALUES (1, 1, 'a'), (2, 3, 'b')",
        "UPDATE chi SET size = 2",
        "DELETE FROM oth WHERE id = 1",
    )


def test_an_expression_of_a_row_that_is_missing_is_null_and_not_its_value_over_nulls(
    shop: Database,
) -> None:
    shop.tview(
        "SELECT COALESCE(d.label, 'none') AS label, count(*) AS n FROM par p LEFT JOIN "
        "(SELECT c.par_id, COALESCE(c.name, 'unnamed') AS label FROM chi c) d "
        "ON d.par_id = p.id GROUP BY 1",
        "label text, n bigint",
        "label",
    )
    shop.run(
        "INSERT INTO par VALUES (1, 0, 'a'), (2, 1, 'b')",
        "INSERT INTO chi VALUES (1, 1, 1, NULL), (2, 2, 1, 'b')",
        "DELETE FROM chi WHERE id = 1",
        "DELETE FROM chi",
    )


def test_a_constant_of_a_row_that_is_missing_is_null(shop: Database) -> None:
    shop.tview(
        "SELECT COALESCE(d.found, 0) AS found, count(*) AS n FROM par p LEFT JOIN "
        "(SELECT c.par_id, 1 AS found FROM chi c) d ON d.par_id = p.id GROUP BY 1",
        "found integer, n bigint",
        "found",
    )
    shop.run(
        "INSERT INTO par VALUES (1, 0, 'a'), (2, 1, 'b')",
        "INSERT INTO chi VALUES (1, 1, 1, NULL)",
        "DELETE FROM chi WHERE id = 1",
    )


def test_an_order_is_not_settled_by_a_condition_that_need_not_hold(shop: Database) -> None:
    with pytest.raises(UnsupportedQuery) as caught:
        shop.tview(
            "SELECT 1 AS id, array_agg(c.name ORDER BY c.size) AS names FROM chi c "
            "WHERE NOT EXISTS (SELECT 1 FROM oth o WHERE o.id = c.size AND o.par_id = c.id)",
            "id integer, names text[] NULL",
        )
    assert caught.value.context["construct"] == "open-order"


def test_columns_merged_by_one_join_are_not_those_of_another(shop: Database) -> None:
    shop.execute("CREATE TABLE gra (id integer PRIMARY KEY, size integer)")
    shop.execute("CREATE TABLE lnk (id integer PRIMARY KEY, size integer)")
    shop.tview(
        "SELECT c.id AS c, o.id AS o, g.id AS g, l.id AS l FROM chi c JOIN oth o USING (size), "
        "gra g JOIN lnk l USING (size) WHERE g.id = c.id",
        "c integer, o integer, g integer, l integer",
        "c, o, g, l",
    )
    shop.run(
        "INSERT INTO chi VALUES (1, 1, 1, 'a'), (2, 2, 2, 'b')",
        "INSERT INTO oth VALUES (1, 1, 1), (2, 2, 2)",
        "INSERT INTO gra VALUES (1, 2), (2, 1)",
        "INSERT INTO lnk VALUES (1, 1), (2, 2)",
        "UPDATE lnk SET size = 3 - size",
    )


# PostgreSQL takes the first apart, and keeps the second as it is.
@pytest.mark.parametrize("operator", ["=", ">="])
def test_rows_that_are_compared_may_give_null(shop: Database, operator: str) -> None:
    with pytest.raises(ColumnMismatch):
        shop.tview(
            f"SELECT c.id, ROW(c.par_id, c.size) {operator} ROW(1, 2) AS same FROM chi c",
            "id integer, same boolean",
        )


@pytest.mark.parametrize(
    "value",
    [
        "$bulk$",
        "$function$",
        "$body$",
        "@into@",
        "@{table}",
        "50%",
        "%s",
        "a\\b",
        "it's",
        "a\n    b",
    ],
)
def test_a_literal_in_the_query_is_not_read_by_what_generates_the_functions(
    shop: Database, value: str
) -> None:
    text = value.replace("'", "''")
    shop.tview(
        f"SELECT p.id, p.name = '{text}' AS same FROM par p "
        f"WHERE EXISTS (SELECT 1 FROM chi c WHERE c.size = p.flag AND c.name = '{text}')",
        "id integer, same boolean NULL",
    )
    shop.run(
        f"INSERT INTO par VALUES (1, 1, '{text}'), (2, 2, 'other')",
        f"INSERT INTO chi VALUES (1, 1, 1, '{text}'), (2, 2, 2, '{text}')",
        f"UPDATE par SET name = '{text}' WHERE id = 2",
        "UPDATE chi SET name = 'other' WHERE id = 1",
        f"UPDATE chi SET name = '{text}'",
    )


def test_a_row_that_a_cascade_within_the_table_changes_again_is_not_taken_for_unchanged(
    shop: Database,
) -> None:
    shop.execute(
        "CREATE TABLE tree (id integer PRIMARY KEY, "
        "up integer REFERENCES tree ON DELETE CASCADE ON UPDATE CASCADE)"
    )
    shop.tview("SELECT id FROM tree", "id integer")
    shop.tview(
        "SELECT t.id, u.id AS up FROM tree t LEFT JOIN tree u ON u.id = t.up",
        "id integer, up integer NULL",
    )
    shop.run(
        "INSERT INTO tree VALUES (9, NULL), (8, 9)",
        "UPDATE tree SET id = id + 10",
        "UPDATE tree SET id = id + 1",
    )


@pytest.mark.parametrize(
    ("type_sql", "one", "other"),
    [
        ("numeric", "1.0", "1.00"),
        ("double precision", "'0'", "'-0'"),
        ("interval", "'1 day'", "'24 hours'"),
        ("jsonb", "'1.0'", "'1.00'"),
        ("numeric[]", "'{1.0}'", "'{1.00}'"),
    ],
)
def test_equal_values_that_look_different_are_not_taken_for_each_other(
    shop: Database, type_sql: str, one: str, other: str
) -> None:
    shop.execute(f"CREATE TABLE mark (id integer PRIMARY KEY, v {type_sql} NOT NULL)")
    shop.execute(f"CREATE TABLE made (id integer PRIMARY KEY, v {type_sql} NOT NULL)")
    shop.tview(
        # Not folded, so that routes are needed.
        "SELECT concat(m.v) AS look, count(DISTINCT d.id) AS n FROM mark m "
        "LEFT JOIN made d ON d.v = m.v GROUP BY concat(m.v)",
        "look text, n bigint",
        "look",
    )
    shop.run(
        f"INSERT INTO mark VALUES (1, {one})",
        f"INSERT INTO made VALUES (1, {other})",
        f"UPDATE made SET v = {one}",
        "DELETE FROM made",
    )


def test_a_sum_of_floats_is_refused(shop: Database) -> None:
    shop.execute("CREATE TABLE mass (id integer PRIMARY KEY, g integer NOT NULL, x float8)")
    with pytest.raises(UnsupportedQuery, match=r"sum\(\) is an aggregate that adds up floats"):
        shop.tview("SELECT g AS id, sum(x) AS x FROM mass GROUP BY g", "id integer, x float8 NULL")
    shop.tview(
        "SELECT g AS id, sum(x::numeric) AS x, max(x) AS top FROM mass GROUP BY g",
        "id integer, x numeric NULL, top float8 NULL",
    )
    shop.run("INSERT INTO mass VALUES (1, 1, 1e16), (2, 1, 1), (3, 1, -1e16), (4, 2, 0.1)")


def test_an_unlogged_table_which_a_crash_empties_is_refused(shop: Database) -> None:
    shop.execute("CREATE UNLOGGED TABLE volatile (id integer PRIMARY KEY)")
    with pytest.raises(UnsupportedQuery, match=r"volatile \(unlogged table\)"):
        shop.tview("SELECT id FROM volatile", "id integer")


def test_a_constant_beside_the_values_leaves_no_order_open(shop: Database) -> None:
    shop.tview(
        "SELECT par_id AS id, string_agg(name, ', ' ORDER BY name) AS names FROM chi"
        " WHERE par_id IS NOT NULL GROUP BY par_id",
        "id integer, names text NULL",
    )
    shop.run("INSERT INTO chi VALUES (1, 1, 1, 'b'), (2, 1, 1, 'a'), (3, 1, 1, 'b')")


_BOTH = (
    "SELECT c.size, c.id FROM chi c WHERE c.par_id = p.id "
    "UNION ALL SELECT o.size, o.id FROM oth o WHERE o.par_id = p.id"
)


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(
            "ARRAY(SELECT c.id FROM chi c WHERE c.par_id = p.id "
            "UNION SELECT o.id FROM oth o WHERE o.par_id = p.id)",
            id="an array",
        ),
        pytest.param(f"(SELECT sum(u.id) FROM ({_BOTH} LIMIT 1) u)", id="LIMIT"),
        pytest.param(
            f"(SELECT sum(u.id) FROM ({_BOTH} ORDER BY 1 LIMIT 1) u)",
            id="LIMIT of an order that is open",
        ),
    ],
)
def test_a_union_of_which_an_open_order_shows_is_refused(shop: Database, query: str) -> None:
    with pytest.raises(UnsupportedQuery) as caught:
        shop.tview(f"SELECT p.id, {query} AS found FROM par p", "id integer, found integer[] NULL")
    assert caught.value.context["construct"] == "open-order"


def test_a_union_in_a_complete_order_is_kept(shop: Database) -> None:
    shop.tview(
        "SELECT p.id, ARRAY(SELECT c.id FROM chi c WHERE c.par_id = p.id "
        "UNION ALL SELECT o.id FROM oth o WHERE o.par_id = p.id ORDER BY 1) AS found, "
        f"(SELECT sum(u.id) FROM ({_BOTH} ORDER BY 2, 1 LIMIT 2) u) AS total FROM par p",
        "id integer, found integer[], total numeric NULL",
    )
    shop.run(
        "INSERT INTO par VALUES (1, 0, 'a'), (2, 1, 'b')",
        "INSERT INTO chi VALUES (1, 1, 1, 'a'), (2, 2, 1, 'b'), (5, 1, 1, 'c')",
        "INSERT INTO oth VALUES (3, 1, 1), (4, 2, 1)",
        "UPDATE oth SET par_id = 3 - par_id",
        "DELETE FROM chi WHERE id = 1",
    )


def test_a_subquery_in_the_limit_of_a_union_is_read(shop: Database) -> None:
    shop.tview(
        "SELECT p.id, ARRAY(SELECT c.id FROM chi c WHERE c.par_id = p.id UNION ALL "
        "SELECT -c.id FROM chi c WHERE c.par_id = p.id ORDER BY 1 "
        "LIMIT (SELECT count(*) FROM oth o WHERE o.par_id = p.id)) AS found FROM par p",
        "id integer, found integer[]",
    )
    shop.run(
        "INSERT INTO par VALUES (1, 0, 'a')",
        "INSERT INTO chi VALUES (1, 1, 1, 'a'), (2, 1, 1, 'b')",
        "INSERT INTO oth VALUES (3, 1, 1), (4, 1, 1)",
        "DELETE FROM oth WHERE id = 4",
    )


def test_an_order_by_values_that_look_different_though_equal_is_open(shop: Database) -> None:
    shop.execute("CREATE TABLE mark (id integer PRIMARY KEY, v numeric)")
    with pytest.raises(UnsupportedQuery) as caught:
        shop.tview(
            "SELECT 1 AS id, array_agg(v ORDER BY v) AS list FROM mark",
            "id integer, list numeric[] NULL",
        )
    assert caught.value.context["construct"] == "open-order"


@pytest.mark.parametrize(
    "setting",
    ["DateStyle = 'German, DMY'", "IntervalStyle = 'sql_standard'", "TimeZone = 'Asia/Tokyo'"],
)
def test_the_settings_of_whoever_migrates_do_not_change_constants(
    shop: Database, setting: str
) -> None:
    shop.execute(
        "CREATE TABLE event (id integer PRIMARY KEY, day date, length interval, at timestamptz)"
    )
    shop.execute(f"SET {setting}")
    shop.tview(
        "SELECT p.id FROM par p WHERE EXISTS (SELECT 1 FROM event e WHERE e.id = p.flag "
        "AND (e.day < '2024-03-04' OR e.length > '1 year -2 days 03:00' OR e.at = '2024-03-04 00:00+00'))",
        "id integer",
    )
    shop.execute("RESET ALL")
    shop.execute(f"SET search_path = {shop.schema}, public")
    shop.run(
        "INSERT INTO par VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c')",
        "INSERT INTO event VALUES (1, '2024-03-03', NULL, NULL), (2, NULL, '1 year -1 days', NULL)",
        "INSERT INTO event VALUES (3, NULL, NULL, '2024-03-04 00:00+00')",
        "UPDATE event SET day = '2024-04-02' WHERE id = 1",
        "DELETE FROM event",
    )


@pytest.fixture
def marks(database: Database) -> Database:  # noqa: F811
    """Tables of values that are equal though they look different."""
    for table in ("mark", "made"):
        database.execute(f"CREATE TABLE {table} (id integer PRIMARY KEY, v numeric, x float8)")
    return database


@pytest.mark.parametrize(
    "query",
    [
        "SELECT concat(m.v) AS id FROM mark m GROUP BY m.v",
        "SELECT m.v || '' AS id, max(m.x) AS top FROM mark m GROUP BY m.v",
        "SELECT concat(u.v) AS id FROM (SELECT DISTINCT v FROM mark) u",
        "SELECT concat(u.v) AS id FROM (SELECT DISTINCT ON (v) v, x FROM mark ORDER BY v, id) u",
        "SELECT concat(u.v) AS id FROM (SELECT v FROM mark UNION SELECT v FROM made) u",
        "SELECT concat(u.v) AS id FROM (SELECT v FROM mark EXCEPT SELECT v FROM made) u",
        "SELECT concat(u.v) AS id FROM (SELECT v FROM mark EXCEPT ALL SELECT v FROM made) u",
        "SELECT concat(u.v) AS id FROM (SELECT v FROM mark INTERSECT SELECT v FROM made) u",
        "SELECT concat(u.v) AS id FROM (SELECT v, count(*) AS n FROM mark GROUP BY v) u",
        "SELECT concat(COALESCE(u.v, 0)) AS id FROM (SELECT v FROM mark GROUP BY v) u",
        "WITH u AS (SELECT v FROM mark GROUP BY v) SELECT u.v::text AS id FROM u",
        "SELECT m.id FROM mark m JOIN (SELECT DISTINCT v FROM mark) u ON concat(u.v) = '1.0'",
        "SELECT m.x AS id FROM mark m GROUP BY m.x HAVING m.x::text LIKE '1%'",
        "SELECT 1 AS id, bool_or(u.v::text = '1.0') AS found FROM (SELECT DISTINCT v FROM mark) u",
        "SELECT m.id, (SELECT max(d.v) FROM made d WHERE d.id = m.id)::text AS top FROM mark m",
        "SELECT m.id, concat((SELECT min(d.x) FROM made d WHERE d.id = m.id)) AS low FROM mark m",
        "SELECT concat(m.v) AS id, grouping(m.id) AS g, COALESCE(m.id, 0) AS m FROM mark m "
        "GROUP BY GROUPING SETS ((m.id, m.v), (m.v))",
        "SELECT g.q AS id, concat(g.q) AS label FROM "
        "(SELECT m.v / 2 AS q FROM mark m GROUP BY m.v / 2) g",
    ],
)
def test_what_looks_closer_at_one_of_several_equal_values_is_refused(
    marks: Database, query: str
) -> None:
    with pytest.raises(UnsupportedQuery) as caught:
        marks.tview(query, "id text", allow_rebuild=True)
    assert caught.value.context["construct"] == "open-look"


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("SELECT m.v AS id, count(*) AS n FROM mark m WHERE m.v <> 5 GROUP BY m.v", "n bigint"),
        ("SELECT d.v AS id, d.n FROM (SELECT v, count(*) AS n FROM mark GROUP BY v) d "
         "WHERE d.v IS NOT NULL AND d.v BETWEEN 0 AND 9", "n bigint"),
        ("SELECT COALESCE(m.v, 0) AS id, max(m.x) AS top FROM mark m GROUP BY COALESCE(m.v, 0)",
         "top float8 NULL"),
        ("SELECT u.v AS id, count(*) AS n FROM (SELECT v FROM mark UNION SELECT v FROM made) u "
         "JOIN mark m ON m.v = u.v GROUP BY u.v", "n bigint"),
        ("SELECT m.v AS id, (SELECT count(*) FROM made d WHERE d.v = m.v) AS n FROM mark m "
         "WHERE m.v IS NOT NULL GROUP BY m.v", "n bigint"),
        ("SELECT u.v AS id, u.v::numeric(12, 2)::text AS label "
         "FROM (SELECT DISTINCT v FROM mark WHERE v IS NOT NULL) u", "label text NULL"),
    ],
)  # fmt: skip
def test_one_of_several_equal_values_may_be_shown_and_compared(
    marks: Database, query: str, columns: str
) -> None:
    tview = marks.tview(query, f"id numeric, {columns}", by_value=("id", "top"))
    marks.run(
        "INSERT INTO mark VALUES (1, 1.0, 0), (2, 1.00, '-0'), (3, 2, 1)",
        "INSERT INTO made VALUES (1, 1.000, 1)",
        "DELETE FROM mark WHERE id = 1",
        "INSERT INTO mark VALUES (4, 1.0, 0)",
        "UPDATE mark SET v = 2.00 WHERE id = 2",
        "DELETE FROM made",
    )
    (report,) = verify(tview.label, using=marks.connection.alias)
    assert report.exact


def test_a_row_that_its_key_tells_may_be_looked_at(marks: Database) -> None:
    marks.tview(
        "SELECT m.id, concat(m.v, '/', m.x) AS label, count(d.id) AS n "
        "FROM mark m LEFT JOIN made d ON d.v = m.v GROUP BY m.id",
        "id integer, label text, n bigint",
    )
    marks.run(
        "INSERT INTO mark VALUES (1, 1.0, 0), (2, 1.00, '-0')",
        "INSERT INTO made VALUES (1, 1.000, 1)",
        "UPDATE mark SET v = 1.00 WHERE id = 1",
    )


def test_what_stands_in_the_place_of_a_row_may_be_subscripted(
    database: Database,  # noqa: F811
) -> None:
    """`syntax error at or near "["`, where a key reads an element of an array."""
    database.execute("""
        CREATE TABLE par (id integer PRIMARY KEY, up integer);
        CREATE TABLE gra (id integer PRIMARY KEY, marks integer[]);
    """)
    for query in (
        "SELECT p.id IS NULL AS absent, COALESCE(g.marks[1], -1) AS mark, count(*) AS n "
        "FROM gra g FULL JOIN par p ON p.up = g.id "
        "GROUP BY p.id IS NULL, COALESCE(g.marks[1], -1)",
        "SELECT GROUPING(g.marks[1]) = 1 AS absent, COALESCE(g.marks[1], -1) AS mark, "
        "count(*) AS n FROM gra g GROUP BY ROLLUP (g.marks[1])",
    ):
        database.tview(query, "absent boolean, mark integer, n bigint", "absent, mark")
    database.run(
        "INSERT INTO gra VALUES (1, '{4,5}'), (2, NULL)",
        "INSERT INTO par VALUES (1, 1), (2, NULL), (3, 1)",
        "UPDATE gra SET marks = '{6}' WHERE id = 1",
        "DELETE FROM gra",
    )
