"""Window functions: kept through every statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.matrix import REBUILT, Form, keep

if TYPE_CHECKING:
    from tests.harness import Database

FORMS = {
    "numbers in a partition": Form(
        "SELECT id, row_number() OVER (PARTITION BY category_id ORDER BY price, id) AS place "
        "FROM product",
        "id integer, place bigint",
    ),
    "ranks in a partition, with the column that it is by": Form(
        "SELECT id, supplier_id, rank() OVER (PARTITION BY supplier_id ORDER BY price DESC) AS r, "
        "dense_rank() OVER (PARTITION BY supplier_id ORDER BY price DESC) AS d, "
        "cume_dist() OVER (PARTITION BY supplier_id ORDER BY price DESC) AS c FROM product",
        "id integer, supplier_id integer NULL, r bigint, d bigint, c double precision",
    ),
    "partitions by a column that is never NULL": Form(
        "SELECT order_id, number, sum(quantity) OVER (PARTITION BY order_id ORDER BY number) "
        "AS running, count(*) OVER (PARTITION BY order_id) AS n FROM line",
        "order_id integer, number integer, running bigint NULL, n bigint",
        "order_id, number",
    ),
    "two partitionings": Form(
        "SELECT id, count(*) OVER (PARTITION BY category_id) AS siblings, "
        "max(price) OVER (PARTITION BY supplier_id, active) AS dearest FROM product",
        "id integer, siblings bigint, dearest numeric(10, 2) NULL",
    ),
    "neighbours": Form(
        "SELECT r.id, lag(r.body) OVER w AS before, lead(r.stars, 2, -1) OVER w AS after, "
        "first_value(r.id) OVER w AS first, last_value(r.body) OVER (w RANGE BETWEEN "
        "UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS last FROM review r "
        "WINDOW w AS (PARTITION BY r.product_id ORDER BY r.stars DESC NULLS LAST, r.id)",
        "id integer, before text NULL, after integer NULL, first integer NULL, last text NULL",
    ),
    "frames of rows": Form(
        "SELECT id, avg(stars) OVER (PARTITION BY product_id ORDER BY id "
        "ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS mean, sum(stars) OVER (PARTITION BY "
        "product_id ORDER BY stars RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES) AS near "
        "FROM review",
        "id integer, mean numeric NULL, near bigint NULL",
    ),
    "a window over joins": Form(
        "SELECT r.id, s.name, row_number() OVER (PARTITION BY p.supplier_id ORDER BY r.stars, "
        "r.id) AS place FROM review r JOIN product p ON p.id = r.product_id "
        "LEFT JOIN supplier s ON s.id = p.supplier_id WHERE p.active AND r.stars IS NOT NULL",
        "id integer, name text NULL, place bigint",
    ),
    "partitions by a parent's column": Form(
        "SELECT p.id, c.name, count(*) OVER (PARTITION BY c.name) AS n FROM product p "
        "JOIN category c ON c.id = p.category_id",
        "id integer, name text, n bigint",
    ),
    "partitions by a computed value": Form(
        "SELECT id, percent_rank() OVER (PARTITION BY left(name, 1), price > 8 ORDER BY price) AS p "
        "FROM product",
        "id integer, p double precision",
    ),
    "the first of each partition": Form(
        "SELECT x.id, x.product_id, x.stars FROM (SELECT r.id, r.product_id, r.stars, "
        "row_number() OVER (PARTITION BY r.product_id ORDER BY r.stars DESC NULLS LAST, r.id) "
        "AS place FROM review r) x WHERE x.place <= 2",
        "id integer, product_id integer NULL, stars integer NULL",
    ),
    "keyed by the partition": Form(
        "SELECT p.id, p.name, x.id AS review_id, x.n FROM product p JOIN (SELECT r.id, "
        "r.product_id, count(*) OVER (PARTITION BY r.product_id) AS n, row_number() OVER "
        "(PARTITION BY r.product_id ORDER BY r.id DESC) AS place FROM review r) x "
        "ON x.product_id = p.id AND x.place = 1",
        "id integer, name text, review_id integer, n bigint",
    ),
    "a derived table with a window that a left join may miss": Form(
        "SELECT c.id, x.name AS dearest FROM category c LEFT JOIN (SELECT name, category_id, "
        "rank() OVER (PARTITION BY category_id ORDER BY price DESC, id) AS place FROM product) x "
        "ON x.category_id = c.id AND x.place = 1",
        "id integer, dearest text NULL",
    ),
    "a window over groups": Form(
        "SELECT product_id, tag_id, count(*) AS n, sum(count(*)) OVER (PARTITION BY tag_id) AS all "
        "FROM product_tag JOIN review r USING (product_id) GROUP BY product_id, tag_id",
        "product_id integer, tag_id integer, n bigint, all numeric NULL",
        "product_id, tag_id",
    ),
    "groups ranked": Form(
        "SELECT s.country, p.active, count(*) AS n, rank() OVER (PARTITION BY s.country "
        "ORDER BY count(*) DESC, min(p.price)) AS place FROM product p "
        "JOIN supplier s ON s.id = p.supplier_id WHERE s.country IS NOT NULL "
        "GROUP BY s.country, p.active",
        "country text, active boolean, n bigint, place bigint",
        "country, active",
    ),
    "groups over a window": Form(
        "SELECT x.supplier_id, count(*) AS n, max(x.place) AS deepest FROM (SELECT supplier_id, "
        "rank() OVER (PARTITION BY category_id ORDER BY price) AS place FROM product) x "
        "WHERE x.supplier_id IS NOT NULL GROUP BY x.supplier_id",
        "supplier_id integer, n bigint, deepest bigint NULL",
        "supplier_id",
    ),
    "a window in a sublink": Form(
        "SELECT p.id, (SELECT max(x.gap) FROM (SELECT r.stars - lag(r.stars) OVER (ORDER BY r.id) "
        "AS gap FROM review r WHERE r.product_id = p.id) x) AS gap FROM product p",
        "id integer, gap integer NULL",
    ),
    "a window in one branch of a UNION": Form(
        "SELECT 'r'::text AS kind, id, count(*) OVER (PARTITION BY product_id) AS n FROM review "
        "UNION ALL SELECT 'p'::text, id, price FROM product",
        "kind text, id integer, n numeric NULL",
        "kind, id",
    ),
    "a window over a UNION": Form(
        "SELECT u.kind, u.id, count(*) OVER (PARTITION BY u.product_id) AS n FROM ("
        "SELECT 'r'::text AS kind, id, product_id FROM review "
        "UNION ALL SELECT 'l'::text, number + 100 * order_id, product_id FROM line) u",
        "kind text, id integer, n bigint",
        "kind, id",
    ),
    "windows of windows": Form(
        "SELECT y.id, y.place, sum(y.place) OVER (PARTITION BY y.category_id) AS places FROM ("
        "SELECT id, category_id, rank() OVER (PARTITION BY supplier_id ORDER BY price) AS place "
        "FROM product) y",
        "id integer, place bigint, places numeric NULL",
    ),
    "DISTINCT of a window": Form(
        "SELECT DISTINCT product_id, first_value(body) OVER (PARTITION BY product_id "
        "ORDER BY stars, id) AS body FROM review WHERE product_id IS NOT NULL",
        "product_id integer, body text NULL",
        "product_id",
    ),
    "sublinks in all parts of a window": Form(
        "SELECT p.id, sum((SELECT count(*) FROM review r WHERE r.product_id = p.id)) "
        "FILTER (WHERE EXISTS (SELECT FROM line l WHERE l.product_id = p.id)) "
        "OVER (PARTITION BY p.category_id ORDER BY (SELECT max(r.stars) FROM review r "
        "WHERE r.product_id = p.id), p.id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS n "
        "FROM product p WHERE NOT EXISTS (SELECT FROM product_tag t WHERE t.product_id = p.id "
        "AND t.tag_id = 2)",
        "id integer, n numeric NULL",
    ),
    "a sublink that decides which groups a window sees": Form(
        "SELECT p.category_id, p.active, count(*) OVER (PARTITION BY p.category_id) AS n "
        "FROM product p WHERE p.category_id IS NOT NULL GROUP BY p.category_id, p.active "
        "HAVING max((SELECT count(*) FROM review r WHERE r.product_id = p.id)) > 0",
        "category_id integer, active boolean, n bigint",
        "category_id, active",
    ),
    # Only by rebuilding
    "a window without partitions": Form(
        "SELECT id, rank() OVER (ORDER BY price DESC) AS place FROM product",
        "id integer, place bigint",
        options=REBUILT,
    ),
    "partitions by a column that a left join may miss": Form(
        "SELECT p.id, count(*) OVER (PARTITION BY c.name) AS n FROM product p "
        "LEFT JOIN category c ON c.id = p.category_id",
        "id integer, n bigint",
        options=REBUILT,
    ),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_form_is_kept_through_every_kind_of_statement(database: Database, form: Form) -> None:
    keep(database, form)
