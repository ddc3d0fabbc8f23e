"""Folds: totals of groups follow from what they were, or the group is recomputed."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import hypothesis
import pytest
from django.db import DataError, IntegrityError
from hypothesis import strategies as st

from django_tviews.plan.plan import Strategy

from .harness import branch, fresh_database
from .plans import planned

if TYPE_CHECKING:
    from .harness import Database


def strategy(query: str, types: str) -> Strategy:
    """Plan a query over one table and return how its changes are applied."""
    return planned(query, types).sources[0].strategy_of("UPDATE")


@pytest.mark.parametrize(
    ("query", "types"),
    [
        ("SELECT maker_id AS k, count(*) AS n FROM product GROUP BY maker_id", "bigint, bigint"),
        (
            "SELECT product_id AS k, count(body) FILTER (WHERE stars > 3) AS n FROM review "
            "WHERE stars IS NOT NULL GROUP BY product_id",
            "bigint, integer",
        ),
        (
            "SELECT product_id AS k, sum(stars) AS n, COALESCE(sum(stars), 0) AS z, "
            "sum(stars * 2) AS d FROM review GROUP BY product_id",
            "bigint, bigint, bigint, bigint",
        ),
        (
            "SELECT maker_id AS k, max(created_at) AS a, min(category_id) AS b FROM product "
            "GROUP BY maker_id",
            "bigint, timestamp with time zone, bigint",
        ),
        ("SELECT lower(name) AS k, count(*) AS n FROM maker GROUP BY 1", "text, bigint"),
        (
            "SELECT 1 AS k, count(*) AS n, sum(stars) AS s, max(stars) AS m FROM review "
            "WHERE product_id > 2",
            "integer, bigint, bigint, integer",
        ),
        ("SELECT 1 AS k, max(id) AS m, 2 AS two FROM maker", "integer, bigint, integer"),
        (
            "SELECT maker_id AS k, bool_and(id > 3) AS a, bool_or(price > 3) AS o, "
            "every(code IS NULL) FILTER (WHERE id > 1) AS e FROM product GROUP BY 1",
            "bigint, boolean, boolean, boolean",
        ),
        # Extremes and sums of what is computed.
        (
            "SELECT maker_id AS k, max(id * 2) AS m, min(CAST(price AS numeric(8,2))) AS p, "
            "max(date_trunc('day', created_at)) AS d FROM product GROUP BY 1",
            "bigint, bigint, numeric(8,2), timestamp with time zone",
        ),
        *(
            (f"SELECT maker_id AS k, sum({value}) AS n FROM product GROUP BY 1", f"bigint, {held}")
            for value, held in (
                ("CAST(price AS numeric(8,2)) * id", "numeric(20,2)"),
                ("CAST(price AS numeric(8,2)) * id", "numeric"),
                ("CAST(price AS numeric(8,2)) * (1 - 0.125)", "numeric(20,5)"),
                ("- CAST(price AS numeric(8,2)) + id * .5", "numeric"),
                ("coalesce(CAST(price AS numeric(8,2)), 0)", "numeric(20,2)"),
                ("CASE WHEN id > 3 THEN CAST(price AS numeric(8,2)) END", "numeric"),
                ("CASE WHEN id > 3 THEN CAST(price AS numeric(8,2)) ELSE 0.5 END", "numeric(9,3)"),
                ("greatest(id, CAST(id AS numeric))", "numeric"),
            )
        ),
        # A cast that loses nothing of an integer.
        (
            "SELECT maker_id AS k, sum(id)::bigint AS n, COALESCE(sum(id), 0)::bigint AS z, "
            "COALESCE(sum(id)::bigint, 0) AS c FROM product GROUP BY 1",
            "bigint, bigint, bigint, numeric(20,2)",
        ),
        ("SELECT maker_id AS k FROM product GROUP BY 1", "bigint"),
        # A column that rounds its sum, or writes it as a float.
        (
            "SELECT maker_id AS k, sum(CAST(price AS numeric(8,2)) * 0.125) AS n, "
            "sum(CAST(price AS numeric(8,2)) * id) AS m FROM product GROUP BY 1",
            "bigint, numeric(20,4), double precision",
        ),
        # An average, beside its sum and its count and without.
        ("SELECT maker_id AS k, avg(category_id) AS n FROM product GROUP BY 1", "bigint, numeric"),
        (
            "SELECT product_id AS k, avg(stars) AS a, sum(stars) AS s, count(*) AS n "
            "FROM review GROUP BY 1",
            "bigint, numeric, bigint, bigint",
        ),
        (
            "SELECT product_id AS k, avg(stars) AS a, sum(stars) FILTER (WHERE id > 3) AS s, "
            "count(stars) AS n FROM review GROUP BY 1",
            "bigint, numeric, bigint, bigint",
        ),
        (
            "SELECT product_id AS k, avg(stars) AS a, sum(stars) AS s, count(stars) AS n "
            "FROM review GROUP BY 1",
            "bigint, numeric(3,1), bigint, bigint",
        ),
        (
            "SELECT maker_id AS k, avg(id) AS a, COALESCE(sum(id), 0.00) AS s, count(*) AS n "
            "FROM product GROUP BY 1",
            "bigint, double precision, numeric(20,0), bigint",
        ),
        (
            "SELECT product_id AS k, avg(stars * 0.5) FILTER (WHERE id > 3) AS a, "
            "sum(stars * 0.5) FILTER (WHERE id > 3) AS s, "
            "count(stars * 0.5) FILTER (WHERE id > 3) AS n FROM review GROUP BY 1",
            "bigint, numeric, numeric, bigint",
        ),
    ],
)
def test_keys_and_totals_of_one_table_are_folded(query: str, types: str) -> None:
    assert strategy(query, types) is Strategy.FOLD


@pytest.mark.parametrize(
    ("query", "types"),
    [
        # Addition of these is not exact, or how many decimals it gives depends on the rows.
        pytest.param(
            "SELECT maker_id AS k, sum(price) AS n FROM product GROUP BY 1",
            "bigint, numeric",
            id="numeric of any number of decimals",
        ),
        pytest.param(
            "SELECT maker_id AS k, sum(price * 2) AS n FROM product GROUP BY 1",
            "bigint, numeric",
            id="a product of such",
        ),
        pytest.param(
            "SELECT maker_id AS k, sum(category_id) AS n FROM product GROUP BY 1",
            "bigint, numeric(12,-2)",
            id="a sum held with fewer decimals than it has",
        ),
        *(
            pytest.param(
                f"SELECT maker_id AS k, sum({value}) AS n FROM product GROUP BY 1",
                f"bigint, {held}",
                id=value,
            )
            for value, held in (
                ("CAST(price AS numeric(8,2)) / id", "numeric(20,2)"),
                ("CAST(price AS numeric(8,2)) * weight", "numeric(20,2)"),
                ("CAST(price AS numeric(8,2)) OPERATOR(shop.*) id", "numeric(20,2)"),
                ("coalesce(CAST(price AS numeric(8,2)), 0)", "numeric"),
                ("id * 1e-5", "numeric"),
                ("CAST(weight AS numeric)", "numeric(20,2)"),
            )
        ),
        pytest.param(
            "SELECT product_id AS k, COALESCE(sum(stars), 0.00) AS n FROM review GROUP BY 1",
            "bigint, numeric",
            id="COALESCE with decimals",
        ),
        # A cast that does.
        pytest.param(
            "SELECT maker_id AS k, sum(CAST(price AS numeric(8,2)))::bigint AS n FROM product "
            "GROUP BY 1",
            "bigint, bigint",
            id="a cast of the sum to an integer",
        ),
        pytest.param(
            "SELECT maker_id AS k, sum(id)::integer AS n FROM product GROUP BY 1",
            "bigint, bigint",
            id="a narrower cast of the sum",
        ),
        pytest.param(
            "SELECT maker_id AS k, avg(coalesce(CAST(price AS numeric(8,2)), 0)) AS a, "
            "sum(coalesce(CAST(price AS numeric(8,2)), 0)) AS s, count(*) AS n "
            "FROM product GROUP BY 1",
            "bigint, numeric, numeric(20,2), bigint",
            id="an average of what may have other decimals",
        ),
        # Not totals.
        pytest.param(
            "SELECT maker_id AS k, count(DISTINCT name) AS n FROM product GROUP BY 1",
            "bigint, bigint",
            id="count(DISTINCT)",
        ),
        pytest.param(
            "SELECT maker_id AS k, count(*) + 1 AS n FROM product GROUP BY 1",
            "bigint, bigint",
            id="a total in an expression",
        ),
        pytest.param(
            "SELECT maker_id AS k, max(name) AS n FROM product GROUP BY 1",
            "bigint, text",
            id="an extreme of texts that are equal but differ",
        ),
        # Something else decides on the groups.
        pytest.param(
            "SELECT maker_id AS k, count(*) AS n FROM product GROUP BY 1 HAVING count(*) > 2",
            "bigint, bigint",
            id="HAVING",
        ),
        pytest.param(
            "SELECT maker_id AS k, category_id AS c, count(*) AS n FROM product GROUP BY 1, 2",
            "bigint, bigint, bigint",
            id="a column that is no key",
        ),
        pytest.param(
            "SELECT maker_id AS k, count(*) AS n FROM product p WHERE EXISTS "
            "(SELECT FROM review r WHERE r.product_id = p.id) GROUP BY 1",
            "bigint, bigint",
            id="a sublink",
        ),
        pytest.param(
            "SELECT maker_id AS k, count(*) AS n FROM "
            "(SELECT DISTINCT maker_id, name FROM product) AS p GROUP BY 1",
            "bigint, bigint",
            id="a subquery in FROM",
        ),
        pytest.param(
            "WITH product AS (SELECT DISTINCT maker_id FROM product) "
            "SELECT maker_id AS k, count(*) AS n FROM product GROUP BY 1",
            "bigint, bigint",
            id="WITH",
        ),
        pytest.param(
            "SELECT maker_id AS k, count(*) AS n FROM product WHERE maker_id = 1 GROUP BY 1 "
            "UNION ALL SELECT 2, 3",
            "bigint, bigint",
            id="UNION",
        ),
        pytest.param(
            "SELECT 1 AS k, count(*) AS n FROM maker HAVING count(*) > 1",
            "integer, bigint",
            id="HAVING of one group",
        ),
    ],
)
def test_anything_else_is_recomputed(query: str, types: str) -> None:
    assert strategy(query, types) is Strategy.RECOMPUTE


SALES = (
    "CREATE TABLE sale (id integer PRIMARY KEY, shop integer, day date NOT NULL, "
    "pieces integer NOT NULL, bonus integer, price numeric(8,2) NOT NULL, tip numeric(6,3), "
    "void boolean NOT NULL DEFAULT false, note text, "
    "follows integer REFERENCES sale ON DELETE CASCADE ON UPDATE CASCADE)"
)

# Each: the query, the columns and the key.
TOTALS = {
    "counted": (
        "SELECT shop, count(*) AS sales, count(bonus) AS bonuses, "
        "count(*) FILTER (WHERE void) AS voided, sum(pieces) AS pieces, sum(bonus) AS bonus, "
        "COALESCE((sum(bonus::bigint) FILTER (WHERE NOT void))::bigint, 0) AS paid, "
        "sum(pieces * bonus) AS product, min(day) AS opened, max(day) FILTER (WHERE void) AS voids "
        "FROM sale WHERE shop IS NOT NULL GROUP BY shop",
        "shop integer, sales bigint, bonuses bigint, voided integer, pieces bigint NULL, "
        "bonus bigint NULL, paid bigint, product bigint NULL, opened date NULL, voids date NULL",
        "shop",
    ),
    "uncounted": (
        "SELECT shop, day, sum(price) AS price, sum(tip) AS tip, "
        "COALESCE(sum(tip), 0) AS tips, max(price) AS best, min(bonus) AS least FROM sale "
        "WHERE NOT void AND shop > 0 GROUP BY shop, day",
        "shop integer, day date, price numeric NULL, tip numeric NULL, tips numeric(20,4), "
        "best numeric(8,2) NULL, least integer NULL",
        "shop, day",
    ),
    "averages": (
        "SELECT shop, count(*) AS sales, sum(pieces) AS pieces, avg(pieces) AS mean, "
        "sum(tip) AS tip, count(tip) AS tips, avg(tip) AS mean_tip, "
        "sum(price * pieces) FILTER (WHERE NOT void) AS paid, sum(price * (1 - tip)) AS net, "
        "COALESCE(sum(CASE WHEN void THEN price ELSE 0 END), 0) AS refunded, "
        "bool_and(void) AS all_void, bool_or(bonus > 3) AS some_bonus, max(day + pieces) AS last "
        "FROM sale WHERE shop IS NOT NULL GROUP BY shop",
        "shop integer, sales integer, pieces numeric NULL, mean double precision NULL, "
        "tip numeric(20,5) NULL, tips bigint, mean_tip numeric NULL, paid numeric NULL, "
        "net numeric NULL, refunded numeric(20,2), all_void boolean NULL, "
        "some_bonus boolean NULL, last date NULL",
        "shop",
    ),
    "one": (
        "SELECT 1 AS id, count(*) AS n, sum(pieces) AS pieces, COALESCE(sum(bonus), 0) AS paid, "
        "min(day) AS opened, max(price) AS best FROM sale WHERE NOT void",
        "id integer, n bigint, pieces bigint NULL, paid bigint, opened date NULL, "
        "best numeric(8,2) NULL",
        "id",
    ),
    "by_expression": (
        "SELECT COALESCE(lower(note), 'none') AS note, sum(id::bigint)::bigint AS ids, "
        "count(*) AS n FROM sale "
        "GROUP BY COALESCE(lower(note), 'none')",
        "note text, ids bigint NULL, n bigint",
        "note",
    ),
}

STATEMENTS = (
    "INSERT INTO sale VALUES (1, 1, '2026-01-01', 3, NULL, 9.99, NULL, false, 'A', NULL), "
    "(2, 1, '2026-01-02', 4, 5, 1.10, 0.125, true, 'a', 1), "
    "(3, 2, '2026-01-02', 1, NULL, 0, NULL, false, NULL, 2), "
    "(4, NULL, '2026-01-03', 1, 1, 5, 1, false, NULL, 3), "
    "(5, 2, '2026-01-02', 6, 2, 7.5, 0.001, false, 'b', NULL)",
    "INSERT INTO sale VALUES (6, 2, '2026-01-02', 2, 4, 2.25, NULL, false, 'b', NULL)",
    "INSERT INTO sale SELECT g, 3, '2026-02-01', g, NULL, g, NULL, false, 'bulk', NULL "
    "FROM generate_series(100, 120) AS g",
    "UPDATE sale SET pieces = pieces + 1",
    "UPDATE sale SET bonus = NULL WHERE shop = 2",
    "UPDATE sale SET bonus = 7 WHERE id = 3",
    "UPDATE sale SET bonus = coalesce(bonus, 0) + 1 WHERE id IN (3, 5)",
    "UPDATE sale SET price = 'NaN' WHERE id = 5",
    "UPDATE sale SET pieces = 9 WHERE id = 6",
    "UPDATE sale SET price = 3 WHERE id = 5",
    "UPDATE sale SET shop = 1 WHERE id = 3",
    "UPDATE sale SET shop = 4 WHERE shop = 2",
    "UPDATE sale SET void = NOT void WHERE id IN (1, 2, 3)",
    "UPDATE sale SET day = day + 1 WHERE id = 1",
    "UPDATE sale SET day = '2025-12-31' WHERE id = 2",
    "UPDATE sale SET day = '2027-12-31' WHERE id = 2",
    "UPDATE sale SET note = 'x'",
    "UPDATE sale SET tip = id / 7.0 WHERE id < 5",
    # Rows that refer to it are updated by the same statement, in the same transition tables.
    "UPDATE sale SET id = id + 1000 WHERE id < 3",
    "UPDATE sale SET shop = shop + 10, pieces = -pieces",
    "DELETE FROM sale WHERE id BETWEEN 105 AND 110",
    "DELETE FROM sale WHERE shop = 13",
    "INSERT INTO sale VALUES (7, 4, '2026-03-01', 1, 1, 1, 1, false, NULL, NULL) "
    "ON CONFLICT (id) DO UPDATE SET shop = 5",
    "MERGE INTO sale USING (VALUES (7), (8)) AS given (id) ON sale.id = given.id "
    "WHEN MATCHED THEN UPDATE SET pieces = 50 "
    "WHEN NOT MATCHED THEN INSERT VALUES (given.id, 4, '2026-03-01', 1, 1, 1, 1)",
    "WITH gone AS (DELETE FROM sale WHERE id = 8 RETURNING *) "
    "INSERT INTO sale SELECT 9, shop, day, pieces, bonus, price, tip FROM gone",
    "DELETE FROM sale WHERE follows IS NULL",
    "TRUNCATE sale",
)


SALE_OF_ANOTHER_DAY = (
    "INSERT INTO sale (id, shop, day, pieces, price) VALUES (1, 9, '2026-05-01', 1, 5)"
)


@pytest.mark.parametrize("size", ["small", "bulk"])
def test_totals_stay_exact_whatever_happens_to_the_rows(database: Database, size: str) -> None:
    database.execute(SALES)
    with branch(size):
        for name, (query, columns, key) in TOTALS.items():
            database.tview(query, columns, key, table=name)
    for name in TOTALS:
        assert "Add to the groups" in database.value(
            "SELECT prosrc FROM pg_proc WHERE proname = %s AND pronamespace = %s::regnamespace",
            f"tviews_{name}_on_sale_update",
            database.schema,
        )
    database.run(*STATEMENTS)


def test_a_total_is_added_to_and_not_read_again(database: Database) -> None:
    database.execute(SALES)
    query, columns, key = TOTALS["by_expression"]
    database.tview(query, columns, key, table="folded")
    database.run("INSERT INTO sale VALUES (1, 1, '2026-01-01', 1, 1, 1, 1, false, 'a', NULL)")
    with database.rolled_back():
        # What is wrong before stays wrong by as much: nothing has evaluated the query.
        database.execute("SET LOCAL session_replication_role = replica")
        database.execute("UPDATE folded SET n = 41")
        database.execute("SET LOCAL session_replication_role = origin")
        database.execute(
            "INSERT INTO sale (id, day, pieces, price, note) VALUES (2, '2026-01-01', 1, 1, 'A')"
        )
        assert database.value("SELECT n FROM folded") == 42


def test_rows_that_a_users_trigger_changes_again_are_counted_once(database: Database) -> None:
    database.execute(SALES)
    query, columns, key = TOTALS["counted"]
    database.tview(query, columns, key, table="counted")
    database.execute(
        "CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "UPDATE sale SET pieces = pieces * 2 WHERE id = NEW.id AND pieces < 100; RETURN NULL; "
        "END $$"
    )
    database.execute(
        "CREATE TRIGGER again AFTER INSERT OR UPDATE ON sale FOR EACH ROW EXECUTE FUNCTION again()"
    )
    database.run(
        "INSERT INTO sale (id, shop, day, pieces, price) VALUES (1, 1, '2026-01-01', 3, 1)",
        "UPDATE sale SET pieces = 40",
        "UPDATE sale SET shop = 2",
        "DELETE FROM sale",
    )


def test_a_group_that_nothing_counts_goes_with_its_last_row(database: Database) -> None:
    database.execute(SALES)
    database.tview(
        "SELECT shop, sum(pieces) AS pieces FROM sale WHERE shop IS NOT NULL GROUP BY shop",
        "shop integer, pieces bigint NULL",
        "shop",
    )
    database.run(
        "INSERT INTO sale (id, shop, day, pieces, price) VALUES (1, 1, '2026-01-01', 1, 1), "
        "(2, 1, '2026-01-01', 2, 2), (3, 2, '2026-01-01', 3, 3)",
        "DELETE FROM sale WHERE id = 1",
        "UPDATE sale SET shop = 2 WHERE id = 2",
        "DELETE FROM sale",
    )


def test_a_sum_is_a_number_again_once_no_nan_is_left(database: Database) -> None:
    database.execute(SALES)
    database.tview(
        "SELECT shop, count(*) AS sales, sum(price) AS price, avg(price) AS mean FROM sale "
        "WHERE shop IS NOT NULL GROUP BY shop",
        "shop integer, sales bigint, price numeric NULL, mean numeric NULL",
        "shop",
    )
    database.run(
        "INSERT INTO sale (id, shop, day, pieces, price) VALUES (1, 1, '2026-01-01', 1, 1), "
        "(2, 1, '2026-01-01', 1, 'NaN'), (3, 1, '2026-01-01', 1, 2)",
        "UPDATE sale SET price = 5 WHERE id = 1",
        "UPDATE sale SET price = 7 WHERE id = 2",
        "UPDATE sale SET price = 'NaN' WHERE id > 1",
        "DELETE FROM sale WHERE id = 2",
        "DELETE FROM sale WHERE id = 3",
    )


def test_nan_that_comes_and_goes_hides_nothing_else(database: Database) -> None:
    database.execute(SALES)
    database.tview(
        "SELECT shop, count(*) AS sales, sum(price) AS price, avg(price) AS mean FROM sale "
        "WHERE shop IS NOT NULL GROUP BY shop",
        "shop integer, sales bigint, price numeric NULL, mean numeric NULL",
        "shop",
        mode="deferred",
    )
    sale = "INSERT INTO sale (id, shop, day, pieces, price) VALUES ({}, 1, '2026-01-01', 1, {})"
    database.run(sale.format(1, 1))
    with database.transaction():
        database.execute(sale.format(2, "'NaN'"))
        database.execute("DELETE FROM sale WHERE id = 2")
        database.execute(sale.format(3, "1.10"))
    database.check("NaN came and went")


@pytest.mark.parametrize("mode", ["immediate", "deferred"])
@pytest.mark.parametrize(
    ("query", "columns"),
    [
        (
            "SELECT COALESCE(100 / a, 0) AS id, count(*) AS n FROM item WHERE a <> 0 GROUP BY 1",
            "id integer, n bigint",
        ),
        (
            "SELECT a AS id, count(*) AS n FROM item WHERE a < 100 GROUP BY a",
            "id smallint, n bigint",
        ),
        (
            "SELECT a AS id, sum(CAST(t AS numeric(8, 2))) FILTER (WHERE a = 1) AS n "
            "FROM item GROUP BY a",
            "id integer, n numeric(20, 2) NULL",
        ),
    ],
    ids=["a key that fails", "a key that is too large", "an argument that fails"],
)
def test_nothing_is_computed_of_rows_that_the_query_leaves_out(
    database: Database, mode: str, query: str, columns: str
) -> None:
    database.execute(
        "CREATE TABLE item (id integer PRIMARY KEY, a integer NOT NULL, t text NOT NULL)"
    )
    database.tview(query, columns, mode=mode)
    database.run(
        "INSERT INTO item VALUES (1, 1, '5')",
        "INSERT INTO item VALUES (2, 1, '6'), (3, 0, 'x'), (4, 100000, 'x')",
    )


def test_a_group_that_loses_and_gets_the_same_rows_is_left_alone(database: Database) -> None:
    database.execute(SALES)
    database.tview(
        "SELECT shop, count(*) AS sales, sum(price) AS price, max(price) AS best FROM sale "
        "WHERE shop IS NOT NULL GROUP BY shop",
        "shop integer, sales bigint, price numeric NULL, best numeric(8,2) NULL",
        "shop",
    )
    database.run(
        "INSERT INTO sale (id, shop, day, pieces, price) VALUES (1, 1, '2026-01-01', 1, 1), "
        "(2, 2, '2026-01-01', 1, 1), (3, 2, '2026-01-01', 1, 'NaN')"
    )
    with database.rolled_back():
        # Nobody holds the lock on group 2: others may be at work there.
        database.execute("SET LOCAL session_replication_role = replica")
        database.execute("UPDATE tview_1 SET sales = 41 WHERE shop = 2")
        database.execute("SET LOCAL session_replication_role = origin")
        database.execute("UPDATE sale SET price = CASE id WHEN 1 THEN 5 ELSE price END")
        assert database.execute("SELECT shop, sales, price::text FROM tview_1 ORDER BY shop") == [
            (1, 1, "5.00"),
            (2, 41, "NaN"),
        ]


def test_one_row_among_others_that_look_alike_is_updated(database: Database) -> None:
    database.execute(
        "CREATE TABLE coin (box integer NOT NULL, value integer NOT NULL, more integer)"
    )
    database.execute("INSERT INTO coin VALUES (1, 5, 0), (1, 5, 0), (1, 5, 0), (1, 5, 7)")
    database.tview(
        "SELECT box, count(*) AS n, sum(value) AS total FROM coin GROUP BY box",
        "box integer, n bigint, total bigint",
        "box",
    )
    database.run("UPDATE coin SET value = value + more")


@pytest.mark.parametrize("key", ["PRIMARY KEY", "UNIQUE"])
def test_an_extreme_that_a_cascade_replaces_at_once_is_none(database: Database, key: str) -> None:
    database.execute(
        f"CREATE TABLE node (id integer {key}, tree integer NOT NULL, "
        "above integer REFERENCES node (id) ON UPDATE CASCADE)"
    )
    for mode in ("immediate", "deferred"):
        database.tview(
            "SELECT tree, max(above) AS above, count(*) AS nodes FROM node GROUP BY tree",
            "tree integer, above integer NULL, nodes bigint",
            "tree",
            table=mode,
            mode=mode,
        )
    database.run(
        "INSERT INTO node VALUES (7, 1, NULL), (20, 2, NULL), (8, 1, 7)",
        # 8 is put under 20, which the same statement makes 10.
        "UPDATE node SET id = id - 10, above = 20 WHERE id IN (8, 20)",
    )


@pytest.mark.parametrize("size", ["small", "bulk"])
@pytest.mark.parametrize("statements_in_one", [1, 3])
def test_deferred_totals_are_folded_once_for_a_transaction(
    database: Database, size: str, statements_in_one: int
) -> None:
    database.execute(SALES)
    with branch(size):
        for name, (query, columns, key) in TOTALS.items():
            database.tview(query, columns, key, table=name, mode="deferred")
    for first in range(0, len(STATEMENTS), statements_in_one):
        with database.transaction():
            for statement in STATEMENTS[first : first + statements_in_one]:
                database.execute(statement)
        database.check(statement)
    # What nothing but changes of rows has made, nothing has evaluated the query for.
    database.execute(SALE_OF_ANOTHER_DAY)
    with database.rolled_back():
        database.execute("SET LOCAL session_replication_role = replica")
        database.execute("UPDATE counted SET sales = 41")
        database.execute("SET LOCAL session_replication_role = origin")
        database.execute(SALE_OF_ANOTHER_DAY.replace("(1,", "(2,"))
        database.execute("UPDATE sale SET pieces = 5 WHERE id = 2")
        database.execute("SET CONSTRAINTS ALL IMMEDIATE")
        assert database.value("SELECT sales FROM counted") == 42


def test_an_extreme_that_a_transaction_brings_and_takes_is_none(database: Database) -> None:
    database.execute(SALES)
    query, columns, key = TOTALS["uncounted"]
    database.tview(query, columns, key, table="uncounted", mode="deferred")
    database.run(*(SALE_OF_ANOTHER_DAY.replace("(1,", f"({number},") for number in (1, 2)))
    with database.transaction():
        # The best price of both is 100 for a while, and neither keeps it.
        for number in (1, 2):
            database.execute(f"UPDATE sale SET price = 100 WHERE id = {number}")
            database.execute(f"UPDATE sale SET price = {number} WHERE id = {number}")
    database.check()
    with database.transaction():
        database.execute("UPDATE sale SET price = 1 WHERE id = 2")
        database.execute("UPDATE sale SET price = 2 WHERE id = 1")
        database.execute("UPDATE sale SET price = 1 WHERE id = 1")
    database.check()


VALUES = st.sampled_from(["NULL", "0", "1", "-1", "2", "7"])
PRICES = st.sampled_from(["NULL", "0", "1.10", "-2.5", "9.99", "'NaN'"])
CONDITIONS = st.sampled_from(
    ["a > 0", "a IS NULL", "b <> 0", "k IS NOT NULL AND d < '2026-01-03'", "false", "a % 2 = 1"]
)
ROWS = st.tuples(
    st.sampled_from(["NULL", "1", "2", "3"]),
    VALUES,
    PRICES,
    st.sampled_from(["'2026-01-01'", "'2026-01-02'", "'2026-01-05'", "NULL"]),
)
ASSIGNMENTS = st.one_of(
    st.sampled_from(["k = k + 1", "k = NULL", "k = 1", "a = a + 1", "a = -a", "b = b * 2"]),
    VALUES.map("a = {}".format),
    PRICES.map("b = {}".format),
    st.sampled_from(["d = d + 1", "d = NULL", "d = '2026-01-02'", "a = k, k = a", "id = -id"]),
)
TARGETS = st.one_of(
    st.sampled_from(["true", "k = 1", "k = 2", "a IS NULL", "b = 'NaN'", "d > '2026-01-01'"]),
    st.integers(1, 12).map("id % 12 = {}".format),
)
CHANGES = st.one_of(
    st.lists(ROWS, min_size=1, max_size=4).map(
        lambda rows: (
            "INSERT INTO item (k, a, b, d) VALUES "
            + ", ".join(f"({', '.join(row)})" for row in rows)
        )
    ),
    st.tuples(ASSIGNMENTS, TARGETS).map(lambda two: f"UPDATE item SET {two[0]} WHERE {two[1]}"),
    TARGETS.map("DELETE FROM item WHERE {}".format),
)
AGGREGATES = (
    ("count(*)", "bigint"),
    ("count(a)", "bigint"),
    ("count(b)", "integer"),
    ("sum(a)", "bigint NULL"),
    ("sum(a * k)", "bigint NULL"),
    ("sum(id)", "bigint NULL"),
    ("sum(b)", "numeric NULL"),
    ("sum(b)", "numeric(20,4) NULL"),
    ("max(d)", "date NULL"),
    ("min(a)", "integer NULL"),
    ("max(b)", "numeric(8,2) NULL"),
    ("max(a - k)", "integer NULL"),
    ("sum(a * b)", "numeric NULL"),
    ("sum(b * 0.125 - k)", "numeric(30,6) NULL"),
    ("sum(CASE WHEN a > 0 THEN b ELSE 0 END)", "numeric(20,2) NULL"),
    ("bool_and(a > 0)", "boolean NULL"),
    ("bool_or(d > '2026-01-02')", "boolean NULL"),
    ("every(b IS NULL)", "boolean NULL"),
    # These follow from hidden columns.
    ("avg(a)", "numeric NULL"),
    ("avg(b)", "numeric(9,1) NULL"),
    ("avg(a * b)", "double precision NULL"),
    ("sum(b)", "numeric(12,1) NULL"),
    ("sum(b * 1.5)", "double precision NULL"),
    # An average follows from its sum and its count.
    ("avg(a), sum(a), count(a)", "numeric NULL, bigint NULL, integer"),
    ("avg(a), sum(a), count(a)", "numeric(6,1) NULL, numeric NULL, bigint"),
    ("avg(id), sum(id), count(*)", "double precision NULL, bigint NULL, bigint"),
    ("avg(b), sum(b), count(b)", "numeric NULL, numeric(40,7) NULL, bigint"),
    ("avg(b * 3.50), sum(b * 3.50), count(b * 3.50)", "numeric NULL, numeric NULL, bigint"),
)


@st.composite
def groupings(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a query over items, and its columns."""
    chosen = draw(st.lists(st.sampled_from(AGGREGATES), min_size=1, max_size=5))
    outputs, columns = [], []
    for place, (aggregates, types) in enumerate(chosen):
        condition = f" FILTER (WHERE {draw(CONDITIONS)})" if draw(st.booleans()) else ""
        for part, (aggregate, type_sql) in enumerate(
            zip(aggregates.split(", "), types.split(", "), strict=True)
        ):
            total, declared = aggregate + condition, type_sql
            if aggregate.startswith("sum") and type_sql != "numeric NULL" and draw(st.booleans()):
                total, declared = f"COALESCE({total}, 0)", type_sql.removesuffix(" NULL")
            outputs.append(f"{total} AS total_{place}_{part}")
            columns.append(f"total_{place}_{part} {declared}")
    key, grouped = draw(
        st.sampled_from([("k", " GROUP BY k"), ("k % 2", " GROUP BY k % 2"), ("1", "")])
    )
    known = "" if key == "1" else " WHERE k IS NOT NULL"
    if draw(st.booleans()):
        known += (" AND " if known else " WHERE ") + f"({draw(CONDITIONS)})"
    return (
        f"SELECT {key} AS id, {', '.join(outputs)} FROM item{known}{grouped}",
        ", ".join(["id integer", *columns]),
    )


@pytest.mark.usefixtures("database")
@hypothesis.settings(
    max_examples=int(os.environ.get("TVIEWS_FOLD_EXAMPLES", "12")),
    suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(
    queries=st.lists(groupings(), min_size=1, max_size=4),
    size=st.sampled_from(["small", "bulk"]),
    over=st.sampled_from(["item", "a TView of items"]),
    mode=st.sampled_from(["immediate", "deferred"]),
    transactions=st.lists(st.lists(CHANGES, min_size=1, max_size=4), min_size=2, max_size=8),
)
def test_folded_totals_equal_their_query_after_any_transaction(
    queries: list[tuple[str, str]],
    size: str,
    over: str,
    mode: str,
    transactions: list[list[str]],
) -> None:
    with fresh_database() as database:
        database.execute(
            "CREATE TABLE item (id integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, "
            "k integer, a integer, b numeric(8,2), d date)"
        )
        with branch(size):
            if over != "item":
                database.tview(
                    "SELECT id, k, a, b, d FROM item",
                    "id integer, k integer NULL, a integer NULL, b numeric(8,2) NULL, d date NULL",
                    table="copied",
                )
                queries = [(query.replace(" item", " copied"), types) for query, types in queries]
            for place, (query, columns) in enumerate(queries):
                database.tview(query, columns, table=f"totals_{place}", mode=mode)
        folded = (
            "SELECT count(*) FROM pg_proc WHERE prosrc LIKE %s AND pronamespace = %s::regnamespace"
        )
        # The drain, and, of immediate ones, the functions of three events.
        folding = len(queries) * (1 if mode == "deferred" else 4)
        assert database.value(folded, "%Add to the groups%", database.schema) == folding
        for changes in transactions:
            with contextlib.suppress(DataError, IntegrityError), database.transaction():
                for change in changes:
                    with contextlib.suppress(DataError, IntegrityError), database.transaction():
                        database.execute(change)
                    if mode == "immediate":
                        database.check(change)
            database.check("; ".join(changes))


@pytest.mark.parametrize("total", ["sum", "avg"])
def test_a_value_is_not_computed_where_the_filter_is_null(database: Database, total: str) -> None:
    database.execute(
        "CREATE TABLE sale (id integer PRIMARY KEY, shop integer NOT NULL, u numeric, ok boolean)"
    )
    database.tview(
        f"SELECT shop, {total}(CAST(u AS numeric(3,1))) FILTER (WHERE ok) AS n "
        "FROM sale GROUP BY shop",
        "shop integer, n numeric NULL",
        "shop",
    )
    database.run("INSERT INTO sale VALUES (1, 1, 1, true)", "INSERT INTO sale VALUES (2, 1, 1000)")


@pytest.mark.parametrize("type_sql", ["numeric NULL", "real NULL"])
def test_a_sum_that_its_cast_refuses_is_refused(database: Database, type_sql: str) -> None:
    database.execute("CREATE TABLE sale (id integer PRIMARY KEY, shop integer NOT NULL, n bigint)")
    database.tview(
        "SELECT shop, sum(n)::bigint AS n FROM sale GROUP BY shop",
        f"shop integer, n {type_sql}",
        "shop",
    )
    database.run("INSERT INTO sale VALUES (1, 1, 9223372036854775807)")
    with pytest.raises(DataError):
        database.execute("INSERT INTO sale VALUES (2, 1, 1)")
    database.check("what was refused")
