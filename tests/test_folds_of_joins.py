"""Folds of joined tables: what changed rows give with the others is the difference of the groups."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import hypothesis
import pytest
from django.db import IntegrityError
from hypothesis import strategies as st

from django_tviews.plan.plan import Strategy

from .harness import branch, fresh_database, strategies
from .plans import folded, planned

if TYPE_CHECKING:
    from collections.abc import Collection

    from .harness import Database


@pytest.mark.parametrize(
    ("query", "types", "sources"),
    [
        # The key leads to the category; the rows of the group are those of the other two.
        pytest.param(
            "SELECT c.id AS k, c.name AS c, count(*) AS n, sum(r.stars) AS s FROM review r "
            "JOIN product p ON p.id = r.product_id JOIN category c ON c.id = p.category_id "
            "WHERE p.maker_id > 3 GROUP BY c.id, c.name",
            "bigint, text, bigint, bigint",
            "review, product",
            id="the key of a row beside those that are counted",
        ),
        # Which category a product has, is the same for all of its reviews.
        pytest.param(
            "SELECT r.product_id AS k, upper(c.name) AS c, count(*) AS n FROM review r "
            "JOIN product p ON p.id = r.product_id JOIN category c ON c.id = p.category_id "
            "GROUP BY r.product_id, upper(c.name)",
            "bigint, text, bigint",
            "review",
            id="an output of rows beside those that are counted",
        ),
        pytest.param(
            "SELECT r.product_id AS k, p.name AS p, count(*) AS n FROM review r "
            "LEFT JOIN product p ON p.id = r.product_id AND p.maker_id > 3 "
            "GROUP BY r.product_id, p.name",
            "bigint, text, bigint",
            "review",
            id="a nullable side that is shown",
        ),
        # A row of a nullable side decides what is shown in place of NULLs.
        pytest.param(
            "SELECT coalesce(c.name, 'none') AS k, count(*) AS n, count(c.id) AS c FROM product p "
            "LEFT JOIN category c ON c.id = p.category_id GROUP BY 1",
            "text, bigint, bigint",
            "product",
            id="a nullable side in the key",
        ),
        pytest.param(
            "SELECT r.product_id AS k, count(*) AS n FROM maker m RIGHT JOIN (review r "
            "LEFT JOIN product p ON p.id = r.product_id) ON m.id = p.maker_id GROUP BY 1",
            "bigint, bigint",
            "review",
            id="a chain of outer joins",
        ),
        # Neither the number of rows that a row gives matters, nor how they are found.
        pytest.param(
            "SELECT d.id AS k, count(*) AS n FROM product p JOIN discount d "
            "ON p.price BETWEEN d.low AND d.high GROUP BY d.id",
            "bigint, bigint",
            "product",
            id="a range of a row beside those that are counted",
        ),
        pytest.param(
            "SELECT 1 AS k, count(*) AS n FROM review r, tag t WHERE t.product_id = r.product_id",
            "integer, bigint",
            "review, tag",
            id="one group",
        ),
        # Twice in FROM: the changed rows meet each other.
        pytest.param(
            "SELECT c.id AS k, count(*) AS n FROM product p JOIN category c ON c.id = p.category_id "
            "LEFT JOIN category d ON d.id = c.parent_id GROUP BY c.id",
            "bigint, bigint",
            "product",
            id="a table of which only one occurrence is counted",
        ),
        pytest.param(
            "SELECT a.maker_id AS k, count(*) AS n FROM product a JOIN product b "
            "ON b.category_id = a.category_id GROUP BY a.maker_id",
            "bigint, bigint",
            "",
            id="a join with itself",
        ),
        pytest.param(
            "SELECT c.id AS k, count(*) AS n FROM partition c GROUP BY 1",
            "bigint, bigint",
            "",
            id="a partition",
        ),
    ],
)
def test_what_changed_rows_give_with_the_others_is_folded(
    query: str, types: str, sources: str
) -> None:
    assert folded(planned(query, types)) == sources


@pytest.mark.parametrize(
    ("query", "types"),
    [
        # Another row may have matched: what is shown for the key is not the same in the group.
        pytest.param(
            "SELECT r.product_id AS k, p.name AS p, count(*) AS n FROM review r "
            "LEFT JOIN product p ON p.id = r.product_id AND r.stars > 3 "
            "GROUP BY r.product_id, p.name",
            "bigint, text, bigint",
            id="a nullable side that other rows may match",
        ),
        pytest.param(
            "SELECT r.product_id AS k, t.name AS t, count(*) AS n FROM review r "
            "JOIN tag t ON t.product_id = r.product_id GROUP BY 1, 2",
            "bigint, text, bigint",
            id="an output of several rows",
        ),
        # Two products may have weights, or numbers, that are equal to one key.
        pytest.param(
            "SELECT e.weight AS k, p.name AS p, count(*) AS n FROM event e "
            "JOIN product p ON p.id = p.weight AND e.weight = p.weight "
            "WHERE e.weight IS NOT NULL GROUP BY 1, 2",
            "integer, text, bigint",
            id="a key that several rows may equal",
        ),
        # Two rows may have names that are equal in one collation and not in another.
        pytest.param(
            "SELECT f.id AS k, f.name AS f, count(*) AS n FROM event e JOIN folded f "
            "ON f.name = e.kind GROUP BY 1, 2",
            "text, text, bigint",
            id="a key that another collation may tell apart",
        ),
        # Only part of what FROM gives is told by tables.
        pytest.param(
            "SELECT l.product_id AS k, count(*) AS n FROM liked l "
            "WHERE l.product_id IS NOT NULL GROUP BY 1",
            "bigint, bigint",
            id="a view",
        ),
        pytest.param(
            "SELECT l.product_id AS k, count(*) AS n FROM (SELECT product_id FROM review "
            "WHERE stars > 3) AS l WHERE l.product_id IS NOT NULL GROUP BY 1",
            "bigint, bigint",
            id="a subquery in FROM",
        ),
        pytest.param(
            "SELECT r.product_id AS k, count(*) AS n FROM review r JOIN LATERAL "
            "generate_series(1, r.stars) AS g ON true GROUP BY 1",
            "bigint, bigint",
            id="a function in FROM",
        ),
        pytest.param(
            "SELECT r.product_id AS k, count(*) AS n FROM review r JOIN product p "
            "USING (id) GROUP BY 1",
            "bigint, bigint",
            id="USING",
        ),
        pytest.param(
            "SELECT r.product_id AS k, count(*) AS n FROM review r JOIN product p "
            "ON p.id = r.product_id AND EXISTS (SELECT FROM maker) GROUP BY 1",
            "bigint, bigint",
            id="a sublink in a condition",
        ),
        pytest.param(
            "SELECT p.maker_id AS k, count(v.mean) AS n FROM product p JOIN rated v "
            "ON v.id = p.id GROUP BY 1",
            "bigint, bigint",
            id="a view that groups",
        ),
    ],
)
def test_any_other_join_is_recomputed(query: str, types: str) -> None:
    assert folded(planned(query, types, allow_rebuild=True)) == ""


TABLES = (
    "CREATE TABLE category (id integer PRIMARY KEY, name text NOT NULL, region text)",
    "CREATE TABLE product (id integer PRIMARY KEY, category_id integer, name text NOT NULL, "
    "price numeric(8,2), active boolean NOT NULL DEFAULT true)",
    "CREATE TABLE line (id integer PRIMARY KEY, product_id integer, quantity integer NOT NULL, "
    "discount numeric(6,3), day date, "
    "follows integer REFERENCES line ON DELETE CASCADE ON UPDATE CASCADE)",
    "CREATE TABLE band (low integer NOT NULL, high integer NOT NULL, name text NOT NULL)",
)

# Each: the query, the columns, the key, and the sources that are folded.
TOTALS = {
    "by_category": (
        "SELECT c.id, c.name, count(*) AS lines, sum(l.quantity) AS pieces, "
        "count(l.discount) AS discounts, min(l.day) AS opened, max(p.price) AS best, "
        "sum(p.price) AS prices, COALESCE(sum(l.discount) FILTER (WHERE l.quantity > 3), 0) AS big "
        "FROM line l JOIN product p ON p.id = l.product_id JOIN category c ON c.id = p.category_id "
        "WHERE p.active AND l.quantity > 0 GROUP BY c.id, c.name",
        "id integer, name text, lines bigint, pieces bigint NULL, discounts bigint, "
        "opened date NULL, best numeric(8,2) NULL, prices numeric NULL, big numeric(12,3)",
        "id",
        {"line", "product"},
    ),
    "by_product": (
        "SELECT l.product_id AS id, p.name, c.region, count(p.id) AS found, sum(p.price) AS prices, "
        "max(l.quantity) AS most FROM line l LEFT JOIN product p ON p.id = l.product_id "
        "LEFT JOIN category c ON c.id = p.category_id "
        "WHERE l.product_id IS NOT NULL GROUP BY l.product_id, p.name, c.region",
        "id integer, name text NULL, region text NULL, found bigint, prices numeric(20,2) NULL, "
        "most integer NULL",
        "id",
        {"line"},
    ),
    "by_region": (
        "SELECT COALESCE(c.region, 'none') AS region, p.active, count(*) AS n, "
        "sum(l.quantity) AS pieces, min(c.id) AS least FROM (category c "
        "RIGHT JOIN product p ON c.id = p.category_id) JOIN line l ON p.id = l.product_id "
        "GROUP BY 1, 2",
        "region text, active boolean, n bigint, pieces bigint NULL, least integer NULL",
        "region, active",
        {"line", "product"},
    ),
    "by_band": (
        "SELECT b.name, sum(l.quantity) AS pieces, max(l.day) AS last FROM line l, band b "
        "WHERE l.quantity BETWEEN b.low AND b.high GROUP BY b.name",
        "name text, pieces bigint NULL, last date NULL",
        "name",
        {"line", "band"},
    ),
    "one": (
        "SELECT 1 AS id, count(*) AS n, sum(l.quantity) AS pieces, COALESCE(sum(p.price), 0) AS paid, "
        "max(p.price) AS best FROM line l JOIN product p ON p.id = l.product_id",
        "id integer, n bigint, pieces bigint NULL, paid numeric(20,2), best numeric(8,2) NULL",
        "id",
        {"line", "product"},
    ),
}

STATEMENTS = (
    "INSERT INTO category VALUES (1, 'nuts', 'north'), (2, 'bolts', 'south'), (3, 'nails', NULL)",
    "INSERT INTO band VALUES (0, 5, 'few'), (3, 9, 'some'), (5, 100, 'many'), (0, 3, 'few')",
    "INSERT INTO product VALUES (1, 1, 'a', 9.99), (2, 1, 'b', 1.10), (3, 2, 'c', NULL), "
    "(4, NULL, 'd', 7), (5, 9, 'e', 2)",
    # Product 6 comes later, if at all.
    "INSERT INTO line VALUES (1, 1, 3, 0.125, '2026-01-01', NULL), (2, 1, 4, NULL, '2026-01-02', 1), "
    "(3, 2, 1, 1, NULL, 2), (4, 3, 6, NULL, '2026-01-03', NULL), (5, 6, 2, 0.5, '2026-01-04', NULL), "
    "(6, NULL, 8, NULL, NULL, NULL), (7, 4, 5, 2, '2026-02-01', NULL), "
    "(8, 5, 5, 2, '2026-02-02', NULL)",
    "INSERT INTO line SELECT g, g % 5 + 1, g % 7, g / 7.0, date '2026-03-01' + g "
    "FROM generate_series(100, 125) AS g",
    "UPDATE line SET quantity = quantity + 1",
    "UPDATE line SET product_id = 2 WHERE id IN (1, 4)",
    "UPDATE line SET product_id = product_id % 6 + 1",
    "UPDATE line SET quantity = 0 WHERE id < 5",
    "UPDATE line SET discount = NULL WHERE id % 2 = 0",
    "UPDATE line SET id = id + 1000 WHERE id < 3",
    "INSERT INTO product VALUES (6, 2, 'f', 3.50, false)",
    "UPDATE product SET price = price + 1, name = name || name",
    "UPDATE product SET price = 'NaN' WHERE id = 2",
    "UPDATE product SET price = price WHERE id IN (1, 3)",
    "UPDATE product SET active = NOT active WHERE id IN (1, 6)",
    "UPDATE line SET quantity = 4 WHERE product_id = 2",
    "UPDATE product SET price = 4 WHERE id = 2",
    "UPDATE product SET category_id = 3 WHERE id = 1",
    "UPDATE product SET category_id = coalesce(category_id, 0) % 3 + 1",
    "UPDATE product SET id = id + 10 WHERE id IN (3, 4)",
    "UPDATE category SET name = upper(name), region = 'west' WHERE id > 1",
    "UPDATE category SET id = 9 WHERE id = 2",
    "UPDATE band SET high = high + 2 WHERE name = 'few'",
    "INSERT INTO line VALUES (4, 2, 9, 1, '2026-05-01'), (9, 2, 9, 1, '2025-05-01') "
    "ON CONFLICT (id) DO UPDATE SET product_id = 1, quantity = 3",
    "MERGE INTO line USING (VALUES (9), (10)) AS given (id) ON line.id = given.id "
    "WHEN MATCHED THEN UPDATE SET quantity = 50 "
    "WHEN NOT MATCHED THEN INSERT VALUES (given.id, 2, 4, 1, '2026-03-01')",
    "WITH priced AS (UPDATE product SET price = 8, category_id = 1 RETURNING id) "
    "INSERT INTO line SELECT 50 + id, id, 2, NULL, NULL FROM priced",
    "DELETE FROM product WHERE id = 1",
    "DELETE FROM line WHERE product_id = 2",
    "DELETE FROM line WHERE follows IS NULL AND id < 200",
    "DELETE FROM band WHERE low = 3",
    "DELETE FROM category",
    "TRUNCATE product",
    "DELETE FROM line",
)


@pytest.mark.parametrize("size", ["small", "bulk"])
def test_totals_of_joins_stay_exact_whatever_happens_to_the_rows(
    database: Database, size: str
) -> None:
    for table in TABLES:
        database.execute(table)
    with branch(size):
        for name, (query, columns, key, _) in TOTALS.items():
            database.tview(query, columns, key, table=name)
    for name, (_, _, _, sources) in TOTALS.items():
        assert database.folding(name) == sources
    database.run(*STATEMENTS)


@pytest.mark.parametrize(("size", "statements_in_one"), [("small", 1), ("bulk", 3)])
def test_deferred_totals_of_joins_stay_exact_whatever_a_transaction_does(
    database: Database, size: str, statements_in_one: int
) -> None:
    for table in TABLES:
        database.execute(table)
    with branch(size):
        for name, (query, columns, key, _) in TOTALS.items():
            database.tview(query, columns, key, table=name, mode="deferred")
    for first in range(0, len(STATEMENTS), statements_in_one):
        with database.transaction():
            for statement in STATEMENTS[first : first + statements_in_one]:
                database.execute(statement)
        database.check(statement)


@pytest.mark.parametrize("allowed", [set(Strategy), set(Strategy) - {Strategy.FOLD}])
def test_no_strategy_can_be_told_from_another_by_what_it_leaves(
    database: Database, allowed: Collection[Strategy]
) -> None:
    for table in TABLES:
        database.execute(table)
    with strategies(*allowed):
        for name, (query, columns, key, _) in TOTALS.items():
            database.tview(query, columns, key, table=name)
    folds = Strategy.FOLD in allowed
    for name, (_, _, _, sources) in TOTALS.items():
        assert database.folding(name) == (sources if folds else set())
    database.run(*STATEMENTS[:8])


@pytest.mark.parametrize("mode", ["immediate", "deferred"])
def test_a_group_of_a_join_is_added_to_and_not_read_again(database: Database, mode: str) -> None:
    for table in TABLES:
        database.execute(table)
    database.tview(
        "SELECT c.id, c.name, count(*) AS lines, sum(l.quantity) AS pieces FROM line l "
        "JOIN product p ON p.id = l.product_id JOIN category c ON c.id = p.category_id "
        "GROUP BY c.id, c.name",
        "id integer, name text, lines bigint, pieces bigint NULL",
        table="by_category",
        mode=mode,
    )
    database.run(*STATEMENTS[:4])
    for change, lines in (
        ("INSERT INTO line VALUES (9, 1, 1)", 44),
        ("UPDATE line SET product_id = 3 WHERE id = 1", 42),
        ("DELETE FROM line WHERE id = 3", 42),
        ("INSERT INTO line VALUES (9, 6, 1)", 43),
        ("UPDATE product SET price = 3 WHERE id = 1", 43),
        ("UPDATE product SET category_id = 2 WHERE id = 2", 42),
    ):
        with database.rolled_back():
            # What is wrong before stays wrong by as much: nothing has evaluated the query.
            database.execute("SET LOCAL session_replication_role = replica")
            database.execute("UPDATE by_category SET lines = 43 WHERE id = 1")
            database.execute("SET LOCAL session_replication_role = origin")
            database.execute(change)
            database.execute("SET CONSTRAINTS ALL IMMEDIATE")
            assert database.value("SELECT lines FROM by_category WHERE id = 1") == lines, change


FIGURES = ("NULL", "0", "1", "-1", "2", "3")
# Of each table: its columns beside the identifier, with what they are set to.
COLUMNS = {
    "item": {"shop_id": ("NULL", "1", "2", "3"), "a": FIGURES, "b": ("NULL", "1.10", "0", "'NaN'")},
    "shop": {"town_id": ("NULL", "1", "2"), "v": FIGURES, "w": ("NULL", "-0.125", "7.5")},
    "town": {"n": FIGURES},
}
JOINS = (
    "item i JOIN shop s ON s.id = i.shop_id",
    "item i LEFT JOIN shop s ON s.id = i.shop_id AND s.v > 0",
    "item i JOIN shop s ON s.v <= i.a",
    "item i JOIN shop s ON s.id = i.shop_id LEFT JOIN town t ON t.id = s.town_id",
    "item i LEFT JOIN (shop s JOIN town t ON t.id = s.town_id) ON s.id = i.shop_id",
    "town t RIGHT JOIN shop s ON t.id = s.town_id JOIN item i ON i.shop_id = s.id",
    "item i, shop s JOIN town t ON t.id = s.town_id",
)
# Items stand on the nullable side.
OUTER_JOINS = (
    "shop s LEFT JOIN item i ON i.shop_id = s.id",
    "item i RIGHT JOIN shop s ON i.shop_id = s.id AND i.a > 0 LEFT JOIN town t ON t.id = s.town_id",
    "town t LEFT JOIN shop s ON s.town_id = t.id LEFT JOIN item i ON i.shop_id = s.id",
    "town t LEFT JOIN (shop s LEFT JOIN item i ON i.shop_id = s.id) ON s.town_id = t.id",
    "town t LEFT JOIN (shop s JOIN item i ON i.shop_id = s.id) ON s.town_id = t.id",
    "shop s LEFT JOIN item i ON i.shop_id = s.id LEFT JOIN town t ON t.n = COALESCE(i.a, s.v)",
    "shop s LEFT JOIN item i ON i.shop_id = s.id JOIN town t ON t.id = s.town_id",
)
KEYS = (
    "i.shop_id",
    "COALESCE(s.id, 0)",
    "COALESCE(s.town_id, 0)",
    "COALESCE(s.v, i.a, 0)",
    "COALESCE(i.a, 7)",
    "1",
)
TOTALLED = (
    ("count(*)", "bigint"),
    ("count(s.id)", "bigint"),
    ("count(i.id)", "bigint"),
    ("sum(i.a)", "bigint NULL"),
    ("sum(i.b)", "numeric(30,1) NULL"),
    ("sum(CASE WHEN i.a > s.v THEN i.b END)", "numeric NULL"),
    ("max(i.a)", "integer NULL"),
    ("sum(i.a * s.w)", "numeric NULL"),
    ("sum(i.b * s.w)", "numeric(30,5) NULL"),
    ("avg(i.a), sum(i.a), count(i.a)", "numeric NULL, bigint NULL, bigint"),
    ("avg(s.w), sum(s.w), count(s.w)", "numeric NULL, numeric NULL, bigint"),
    ("max(s.v)", "integer NULL"),
    ("min(s.w)", "numeric(6,3) NULL"),
    ("bool_or(s.v > i.a)", "boolean NULL"),
)


@st.composite
def grouped_joins(draw: st.DrawFn) -> tuple[str, str]:
    """Draw totals of a join, and their columns."""
    rows, key = draw(st.sampled_from(JOINS + OUTER_JOINS)), draw(st.sampled_from(KEYS))
    outputs, columns = [], ["id integer"]
    conditions = ["i.shop_id IS NOT NULL"] if key == "i.shop_id" else []
    if "," in rows:
        conditions.append("i.shop_id = s.id")
    if draw(st.booleans()):
        conditions.append(
            draw(
                st.sampled_from(["i.a > 0", "s.v IS NULL", "s.v <> 1", "(i.id IS NULL OR i.a > 0)"])
            )
        )
    for aggregates, types in draw(st.lists(st.sampled_from(TOTALLED), min_size=1, max_size=4)):
        condition = " FILTER (WHERE i.a > s.v)" if draw(st.booleans()) else ""
        for aggregate, type_sql in zip(aggregates.split(", "), types.split(", "), strict=True):
            name = f"total_{len(outputs)}"
            outputs.append(f"{aggregate}{condition} AS {name}")
            columns.append(f"{name} {type_sql}")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    grouped = "" if key == "1" else f" GROUP BY {key}"
    return (
        f"SELECT {key} AS id, {', '.join(outputs)} FROM {rows}{where}{grouped}",
        ", ".join(columns),
    )


@st.composite
def changes(draw: st.DrawFn) -> str:
    """Draw a statement that writes to one of the tables, or to two."""
    table = draw(st.sampled_from([*COLUMNS, "item"]))
    column = draw(st.sampled_from(sorted(COLUMNS[table])))
    value = draw(st.sampled_from(COLUMNS[table][column]))
    row = draw(st.integers(1, 4))
    values = st.tuples(*map(st.sampled_from, COLUMNS[table].values()))
    rows = ", ".join(
        f"({number}, {', '.join(draw(values))})"
        for number in draw(st.lists(st.integers(1, 9), min_size=1, max_size=4, unique=True))
    )
    update = f"UPDATE {table} SET {column} = {value}"
    return draw(
        st.sampled_from(
            [
                f"INSERT INTO {table} VALUES {rows} ON CONFLICT DO NOTHING",
                f"INSERT INTO {table} VALUES {rows} ON CONFLICT (id) DO UPDATE SET {column} = {value}",
                update,
                f"{update} WHERE id = {row}",
                f"UPDATE {table} SET id = id + 4 WHERE id = {row}",
                f"DELETE FROM {table} WHERE id = {row}",
                f"DELETE FROM {table} WHERE id > {row}",
                f"WITH moved AS ({update} RETURNING id) "
                "UPDATE item SET shop_id = 1 FROM moved WHERE moved.id = item.shop_id",
            ]
        )
    )


@pytest.mark.usefixtures("database")
@hypothesis.settings(
    max_examples=int(os.environ.get("TVIEWS_FOLD_EXAMPLES", "8")),
    suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(
    queries=st.lists(grouped_joins(), min_size=1, max_size=4),
    size=st.sampled_from(["small", "bulk"]),
    statements=st.lists(changes(), min_size=6, max_size=16),
)
def test_folded_totals_of_joins_equal_their_query_after_any_statement(
    queries: list[tuple[str, str]], size: str, statements: list[str]
) -> None:
    with fresh_database() as database:
        database.execute(
            "CREATE TABLE item (id integer PRIMARY KEY, shop_id integer, a integer, b numeric(8,2))"
        )
        database.execute(
            "CREATE TABLE shop (id integer PRIMARY KEY, town_id integer, v integer, w numeric(6,3))"
        )
        database.execute("CREATE TABLE town (id integer PRIMARY KEY, n integer)")
        with branch(size):
            for place, (query, columns) in enumerate(queries):
                database.tview(query, columns, table=f"totals_{place}", allow_rebuild=True)
                if not any(each in query for each in OUTER_JOINS):
                    assert "item" in database.folding(f"totals_{place}")
        for table, columns_of in COLUMNS.items():
            values = ", ".join(str(found[-1]) for found in columns_of.values())
            database.run(f"INSERT INTO {table} SELECT g, {values} FROM generate_series(1, 5) AS g")
        for statement in statements:
            with contextlib.suppress(IntegrityError):
                database.execute(statement)
            database.check(statement)


@pytest.mark.parametrize(
    ("query", "columns", "read", "change"),
    [
        (
            "SELECT p.author AS id, count(*) AS n FROM comment c JOIN post p ON p.id = c.post_id "
            "GROUP BY p.author",
            "id integer, n bigint",
            "post",
            "UPDATE comment SET post_id = post_id + 1 WHERE id <= {}",
        ),
        (
            "SELECT id, title FROM post",
            "id integer, title text NULL",
            "shown",
            "UPDATE post SET title = title || '!' WHERE id <= {}",
        ),
    ],
    ids=["routes and folds", "patches"],
)
def test_a_plan_made_for_many_rows_reads_no_whole_table_for_one(
    database: Database, query: str, columns: str, read: str, change: str
) -> None:
    database.execute(
        "CREATE TABLE post (id integer PRIMARY KEY, author integer NOT NULL, title text)"
    )
    database.execute("CREATE TABLE comment (id integer PRIMARY KEY, post_id integer)")
    database.execute("INSERT INTO post SELECT g, g % 9, 'one' FROM generate_series(1, 4000) AS g")
    database.execute("INSERT INTO comment SELECT g, g FROM generate_series(1, 4000) AS g")
    database.tview(query, columns, table="shown")
    for table in ("post", "comment", "shown"):
        database.execute(f"ANALYZE {table}")
    scans = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relid = %s::regclass"
    with database.rolled_back():
        database.execute(change.format(900))
        before = database.value(scans, read)
        database.execute(change.format(1))
        assert database.value(scans, read) == before
