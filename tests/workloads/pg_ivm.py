"""What pg_ivm's documentation says its views cannot contain, each as a query of its own.

The list is that of the README ("Supported View Definitions and Restriction", and the sections on
aggregates, subqueries and CTEs) and of the release notes up to 1.15 (outer joins, EXISTS).
"""

from __future__ import annotations

from .workload import Upkeep, View

SCHEMA = """
CREATE TABLE maker (id integer PRIMARY KEY, name text NOT NULL);
CREATE TABLE item (
    id integer PRIMARY KEY, name text NOT NULL, kind integer NOT NULL, price numeric NOT NULL,
    weight double precision, maker_id integer, data json, made timestamp NOT NULL
);
CREATE TABLE review (id integer PRIMARY KEY, item_id integer, stars integer NOT NULL, body text);
CREATE INDEX ON item (maker_id);
CREATE INDEX ON review (item_id);
CREATE VIEW cheap AS SELECT id, name, price FROM item WHERE price < 50;
CREATE TABLE sale (id integer, year integer, amount numeric NOT NULL, PRIMARY KEY (id, year))
    PARTITION BY RANGE (year);
CREATE TABLE sale_2024 PARTITION OF sale FOR VALUES FROM (2024) TO (2025);
CREATE TABLE sale_rest PARTITION OF sale DEFAULT;
CREATE TABLE place (id integer NOT NULL, name text NOT NULL);
CREATE TABLE city (mayor text) INHERITS (place);
CREATE MATERIALIZED VIEW frozen AS SELECT 1 AS id;
CREATE AGGREGATE longest (text) (sfunc = pg_catalog.text_larger, stype = text);
"""

# What stands in no schema.
FOREIGN = """
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE remote (id integer NOT NULL) SERVER nowhere;
"""

CONTENTS = (
    "INSERT INTO maker SELECT n, 'maker ' || n FROM generate_series(1, 4) AS n",
    """
    INSERT INTO item SELECT n, 'item ' || n, n % 3, n * 7, n / 2.0, 1 + nullif(n % 4, 0), '{"a": 1}',
        timestamp '2024-01-01' + n * interval '40 days'
    FROM generate_series(1, 15) AS n
    """,
    """
    INSERT INTO review SELECT n, nullif(1 + n * 7 % 16, 16), 1 + n % 5, 'text ' || n
    FROM generate_series(1, 40) AS n
    """,
    "INSERT INTO sale SELECT n, 2022 + n % 4, n FROM generate_series(1, 12) AS n",
    "INSERT INTO place VALUES (1, 'hill'), (2, 'dale')",
    "INSERT INTO city VALUES (3, 'Graz', 'Ann'), (4, 'Wien', 'Bob')",
)

_GLOBAL = "Every row depends on all rows."

VIEWS = (
    View(
        "another aggregate than count, sum, avg, min, max",
        "SELECT kind, string_agg(name, ', ' ORDER BY id) AS names, bool_or(price > 50) AS dear "
        "FROM item GROUP BY kind",
        "kind integer, names text, dear boolean",
        "kind",
    ),
    View(
        "an aggregate of the user's",
        "SELECT kind, longest(name ORDER BY id) AS name FROM item GROUP BY kind",
        "kind integer, name text NULL",
        "kind",
    ),
    View(
        "an expression that contains an aggregate",
        "SELECT kind, sum(price) * 2 + count(*) AS total FROM item GROUP BY kind",
        "kind integer, total numeric",
        "kind",
    ),
    View(
        "FILTER and DISTINCT in an aggregate",
        "SELECT kind, count(*) FILTER (WHERE price > 50) AS dear, "
        "count(DISTINCT maker_id) AS makers FROM item GROUP BY kind",
        "kind integer, dear bigint, makers bigint",
        "kind",
    ),
    View(
        "a grouping expression that is not shown",
        "SELECT count(*) AS n FROM item GROUP BY kind",
        "kind integer, n bigint",
        "kind",
        Upkeep.REFUSED,
        "A row of a TView has a key, and this one has none.",
    ),
    View(
        "GROUP BY without an aggregate",
        "SELECT kind FROM item GROUP BY kind",
        "kind integer",
        "kind",
    ),
    View(
        "HAVING",
        "SELECT kind, count(*) AS n FROM item GROUP BY kind HAVING count(*) > 4",
        "kind integer, n bigint",
        "kind",
    ),
    View("ORDER BY", "SELECT id, name FROM item ORDER BY name", "id integer, name text"),
    View(
        "LIMIT and OFFSET",
        "SELECT id, name FROM item ORDER BY price, id LIMIT 5 OFFSET 2",
        "id integer, name text",
        upkeep=Upkeep.REBUILD,
        remark=_GLOBAL,
    ),
    View(
        "a window function",
        "SELECT id, rank() OVER (PARTITION BY kind ORDER BY price) AS place FROM item",
        "id integer, place bigint NULL",
    ),
    View(
        "a window function over all rows",
        "SELECT id, rank() OVER (ORDER BY price) AS place FROM item",
        "id integer, place bigint NULL",
        upkeep=Upkeep.REBUILD,
        remark=_GLOBAL,
    ),
    View(
        "UNION, INTERSECT and EXCEPT",
        "SELECT id FROM item UNION SELECT item_id FROM review WHERE item_id IS NOT NULL "
        "EXCEPT (SELECT id FROM maker INTERSECT SELECT kind FROM item)",
        "id integer",
    ),
    View(
        "DISTINCT ON",
        "SELECT DISTINCT ON (kind) kind, name, price FROM item ORDER BY kind, price DESC, id",
        "kind integer, name text, price numeric",
        "kind",
    ),
    View(
        "GROUPING SETS",
        "SELECT coalesce(kind, -1) AS kind, count(*) AS n FROM item GROUP BY ROLLUP (kind)",
        "kind integer, n bigint",
        "kind",
    ),
    View(
        "TABLESAMPLE",
        "SELECT id FROM item TABLESAMPLE SYSTEM (50)",
        "id integer",
        upkeep=Upkeep.REFUSED,
        remark="A sample is another each time.",
        construct="tablesample",
    ),
    View(
        "VALUES",
        "SELECT i.id, v.label FROM item i JOIN (VALUES (0, 'a'), (1, 'b')) AS v (kind, label) "
        "ON v.kind = i.kind",
        "id integer, label text NULL",
    ),
    View(
        "FOR UPDATE and FOR SHARE",
        "SELECT id FROM item FOR UPDATE",
        "id integer",
        upkeep=Upkeep.REFUSED,
        remark="It asks for locks, not for rows.",
        construct="row-locking",
    ),
    View(
        "a subquery in FROM with an aggregate",
        "SELECT m.id, m.name, i.n FROM maker m "
        "JOIN (SELECT maker_id, count(*) AS n FROM item GROUP BY maker_id) AS i ON i.maker_id = m.id",
        "id integer, name text, n bigint",
    ),
    View(
        "a subquery in FROM with DISTINCT",
        "SELECT m.id, d.kind FROM maker m "
        "JOIN (SELECT DISTINCT maker_id, kind FROM item) AS d ON d.maker_id = m.id",
        "id integer, kind integer",
        "id, kind",
    ),
    View(
        "a subquery in the target list",
        "SELECT id, (SELECT avg(stars) FROM review r WHERE r.item_id = i.id) AS stars FROM item i",
        "id integer, stars numeric NULL",
    ),
    View(
        "a subquery in an argument of a function",
        "SELECT id, abs((SELECT sum(stars) FROM review r WHERE r.item_id = i.id)) AS stars FROM item i",
        "id integer, stars bigint NULL",
    ),
    View(
        "IN, ANY and ALL with a subquery",
        "SELECT id FROM item i WHERE id IN (SELECT item_id FROM review WHERE stars > 3) "
        "AND price > ANY (SELECT stars FROM review r WHERE r.item_id = i.id) "
        "AND kind < ALL (SELECT stars FROM review r WHERE r.item_id = i.id)",
        "id integer",
    ),
    View(
        "a scalar subquery in WHERE",
        "SELECT id FROM item i WHERE 3 < (SELECT max(stars) FROM review r WHERE r.item_id = i.id)",
        "id integer",
    ),
    View(
        "a scalar subquery over everything",
        "SELECT id FROM item WHERE price > (SELECT avg(price) FROM item)",
        "id integer",
        upkeep=Upkeep.REBUILD,
        remark=_GLOBAL,
    ),
    View(
        "EXISTS under OR and NOT",
        "SELECT id FROM item i WHERE kind = 1 "
        "OR NOT EXISTS (SELECT FROM review r WHERE r.item_id = i.id)",
        "id integer",
    ),
    View(
        "EXISTS within EXISTS",
        "SELECT id FROM maker m WHERE EXISTS (SELECT FROM item i WHERE i.maker_id = m.id "
        "AND EXISTS (SELECT FROM review r WHERE r.item_id = i.id AND r.stars > 4))",
        "id integer",
    ),
    View(
        "EXISTS beside an aggregate, and in the target list",
        "SELECT maker_id, count(*) AS n, bool_or(EXISTS (SELECT FROM review r "
        "WHERE r.item_id = i.id)) AS reviewed FROM item i WHERE maker_id IS NOT NULL "
        "AND EXISTS (SELECT FROM maker m WHERE m.id = i.maker_id) GROUP BY maker_id",
        "maker_id integer, n bigint, reviewed boolean NULL",
        "maker_id",
    ),
    View(
        "WITH an aggregate or DISTINCT",
        "WITH totals AS (SELECT maker_id, sum(price) AS price FROM item WHERE maker_id IS NOT NULL "
        "GROUP BY maker_id), "
        "kinds AS (SELECT DISTINCT maker_id, kind FROM item) "
        "SELECT t.maker_id, k.kind, t.price FROM totals t JOIN kinds k ON k.maker_id = t.maker_id",
        "maker_id integer, kind integer, price numeric NULL",
        "maker_id, kind",
    ),
    View(
        "WITH that nothing refers to",
        "WITH unused AS (SELECT 1 AS one) SELECT id FROM item",
        "id integer",
    ),
    View(
        "WITH inside EXISTS",
        "SELECT id FROM item i WHERE EXISTS (WITH r AS (SELECT item_id FROM review) "
        "SELECT FROM r WHERE r.item_id = i.id)",
        "id integer",
    ),
    View(
        "WITH RECURSIVE",
        "WITH RECURSIVE t (id) AS (SELECT id FROM item UNION SELECT i.maker_id FROM item i "
        "JOIN t ON t.id = i.id WHERE i.maker_id IS NOT NULL) SELECT id FROM t",
        "id integer",
        upkeep=Upkeep.REBUILD,
        remark="Rows of any number make one row.",
    ),
    View(
        "LATERAL",
        "SELECT i.id, best.stars FROM item i CROSS JOIN LATERAL (SELECT stars FROM review r "
        "WHERE r.item_id = i.id ORDER BY stars DESC, id LIMIT 1) AS best",
        "id integer, stars integer",
    ),
    View(
        "an outer join with an aggregate",
        "SELECT m.id, count(i.id) AS n FROM maker m LEFT JOIN item i ON i.maker_id = m.id "
        "GROUP BY m.id",
        "id integer, n bigint",
    ),
    View(
        "an outer join with a subquery",
        "SELECT i.id, r.n FROM item i LEFT JOIN (SELECT item_id, count(*) AS n FROM review "
        "GROUP BY item_id) AS r ON r.item_id = i.id",
        "id integer, n bigint NULL",
    ),
    View(
        "an outer join by another condition than one equality",
        "SELECT i.id, m.id AS maker FROM item i LEFT JOIN maker m "
        "ON m.id = i.maker_id AND i.price > 20 AND m.name <> 'maker 2'",
        "id integer, maker integer NULL",
    ),
    View(
        "an outer join whose columns are not shown",
        "SELECT i.id, m.name FROM item i LEFT JOIN maker m ON m.id = i.maker_id",
        "id integer, name text NULL",
    ),
    View(
        "CASE and COALESCE over an outer join",
        "SELECT i.id, coalesce(m.name, 'nobody') AS maker, "
        "CASE WHEN m.id IS NULL THEN 0 ELSE 1 END AS made FROM item i "
        "LEFT JOIN maker m ON m.id = i.maker_id",
        "id integer, maker text, made integer",
    ),
    View(
        "WHERE that keeps NULLs of an outer join",
        "SELECT m.id FROM maker m LEFT JOIN item i ON i.maker_id = m.id WHERE i.id IS NULL",
        "id integer",
    ),
    View("a view", "SELECT id, price FROM cheap", "id integer, price numeric"),
    View(
        "another view that is maintained",
        "SELECT maker, count(*) AS n FROM case_and_coalesce_over_an_outer_join GROUP BY maker",
        "maker text, n bigint",
        "maker",
    ),
    View(
        "a materialized view",
        "SELECT id FROM frozen",
        "id integer",
        upkeep=Upkeep.REFUSED,
        remark="It changes without triggers.",
        construct="relation-kind",
    ),
    View(
        "a foreign table",
        "SELECT id FROM remote",
        "id integer",
        upkeep=Upkeep.REFUSED,
        remark="It changes without triggers.",
        construct="relation-kind",
    ),
    View(
        "a partitioned table",
        "SELECT year, sum(amount) AS amount FROM sale GROUP BY year",
        "year integer, amount numeric",
        "year",
    ),
    View(
        "a partition",
        "SELECT id, amount FROM sale_2024",
        "id integer, amount numeric",
    ),
    View(
        "an inheritance parent",
        "SELECT id, count(*) AS n FROM place GROUP BY id",
        "id integer, n bigint",
    ),
    View(
        "a type without an order",
        "SELECT id, data FROM item",
        "id integer, data json NULL",
    ),
    View(
        "a STABLE function",
        "SELECT id, to_char(made, 'YYYY-MM') AS month FROM item",
        "id integer, month text NULL",
        remark="Those that depend on settings only, which maintenance fixes.",
    ),
    View(
        "a system column",
        "SELECT id, ctid::text AS place FROM item",
        "id integer, place text",
        upkeep=Upkeep.REFUSED,
        remark="It changes without triggers.",
        construct="system-column",
    ),
    View(
        "sum and avg of floats",
        "SELECT kind, sum(weight) AS weight FROM item GROUP BY kind",
        "kind integer, weight double precision NULL",
        "kind",
        upkeep=Upkeep.REFUSED,
        remark="pg_ivm takes them and may drift; cast them to numeric.",
        construct="float-aggregate",
    ),
)

WRITES = (
    "INSERT INTO item VALUES (30, 'new', 1, 5, 1, 1, '[]', '2025-01-01'), "
    "(31, 'x', 9, 99, 1, NULL, NULL, '2025-02-01')",
    "INSERT INTO review VALUES (100, 30, 5, 'a'), (101, 31, 1, 'b'), (102, 3, 5, 'c')",
    "UPDATE item SET price = price / 2, kind = kind + 1 WHERE id % 2 = 0",
    "UPDATE item SET maker_id = 4, name = name || '!', data = '{}', made = made - interval '1 year' "
    "WHERE id % 3 = 0",
    "UPDATE review SET stars = 6 - stars, item_id = item_id + 1 WHERE id % 3 = 0",
    "UPDATE review SET item_id = NULL WHERE id % 10 = 0",
    "UPDATE maker SET name = name || '?'",
    "UPDATE maker SET id = id + 1 WHERE id = 4",
    "INSERT INTO sale VALUES (50, 2024, 1), (51, 1999, 2)",
    "UPDATE sale SET year = year + 1 WHERE id % 3 = 0",
    "DELETE FROM sale_2024 WHERE id < 6",
    "INSERT INTO city VALUES (1, 'Graz', 'Eve')",
    "UPDATE place SET id = 1 WHERE id < 3",
    "WITH a AS (DELETE FROM maker WHERE id = 1), b AS (DELETE FROM item WHERE id % 4 = 0) "
    "DELETE FROM review WHERE id % 4 = 0",
    "DELETE FROM item WHERE kind < 2",
    "TRUNCATE item",
)
