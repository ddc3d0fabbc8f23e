"""Every form of query, kept through every kind of statement, by both branches of maintenance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.matrix import REBUILT, Form, keep

if TYPE_CHECKING:
    from tests.harness import Database

FORMS = {
    # Joins to parents
    "one table": Form(
        "SELECT id, name, price FROM product", "id integer, name text, price numeric(10, 2)"
    ),
    "one table under WHERE": Form(
        "SELECT id, name FROM product WHERE active AND price > 5", "id integer, name text"
    ),
    "inner join": Form(
        "SELECT p.id, p.name, s.name AS supplier FROM product p JOIN supplier s "
        "ON s.id = p.supplier_id",
        "id integer, name text, supplier text",
    ),
    "left join": Form(
        "SELECT p.id, c.name AS category FROM product p LEFT JOIN category c "
        "ON c.id = p.category_id",
        "id integer, category text NULL",
    ),
    "parents at three levels": Form(
        "SELECT r.id, p.name, c.name AS category, g.name AS above FROM review r "
        "JOIN product p ON p.id = r.product_id LEFT JOIN category c ON c.id = p.category_id "
        "LEFT JOIN category g ON g.id = c.parent_id",
        "id integer, name text, category text NULL, above text NULL",
    ),
    "inner join below a left join": Form(
        "SELECT r.id, x.name, x.category FROM review r LEFT JOIN (SELECT p.id, p.name, "
        "c.name AS category FROM product p JOIN category c ON c.id = p.category_id) x "
        "ON x.id = r.product_id",
        "id integer, name text NULL, category text NULL",
    ),
    "left join of a join": Form(
        "SELECT r.id, p.name, c.name AS category FROM review r LEFT JOIN (product p "
        "JOIN category c ON c.id = p.category_id) ON p.id = r.product_id",
        "id integer, name text NULL, category text NULL",
    ),
    "the same table twice": Form(
        "SELECT p.id, s.name AS first, b.name AS second FROM product p "
        "JOIN supplier s ON s.id = p.supplier_id LEFT JOIN supplier b ON b.id = p.backup_id",
        "id integer, first text, second text NULL",
    ),
    "self reference": Form(
        "SELECT c.id, c.name, u.name AS above, t.name AS top FROM category c "
        "LEFT JOIN category u ON u.id = c.parent_id LEFT JOIN category t ON t.id = u.parent_id",
        "id integer, name text, above text NULL, top text NULL",
    ),
    "WHERE over a parent": Form(
        "SELECT p.id, s.country FROM product p JOIN supplier s ON s.id = p.supplier_id "
        "WHERE s.country IS NOT NULL AND p.active",
        "id integer, country text",
    ),
    "WHERE over parent and child of a left join": Form(
        "SELECT p.id, c.name FROM product p LEFT JOIN category c ON c.id = p.category_id "
        "WHERE coalesce(c.name, '') <> p.name AND (c.parent_id IS NULL OR p.price > 6)",
        "id integer, name text NULL",
    ),
    "a condition in the ON of a left join": Form(
        "SELECT p.id, s.name FROM product p LEFT JOIN supplier s "
        "ON s.id = p.supplier_id AND s.country = 'de' AND p.active",
        "id integer, name text NULL",
    ),
    "OR in the join condition": Form(
        "SELECT p.id, s.id AS supplier_id FROM product p JOIN supplier s "
        "ON s.id = p.supplier_id OR s.id = p.backup_id",
        "id integer, supplier_id integer",
        "id, supplier_id",
    ),
    "a range in the join condition": Form(
        "SELECT p.id, q.id AS cheaper FROM product p JOIN product q ON q.price < p.price",
        "id integer, cheaper integer",
        "id, cheaper",
    ),
    "anti-join": Form(
        "SELECT p.id FROM product p LEFT JOIN review r ON r.product_id = p.id WHERE r.id IS NULL",
        "id integer",
    ),
    "anti-join with a condition": Form(
        "SELECT p.id FROM product p LEFT JOIN review r ON r.product_id = p.id AND r.stars > 3 "
        "WHERE r.id IS NULL AND p.active",
        "id integer",
    ),
    "right join": Form(
        "SELECT s.id, p.name, p.id AS product_id FROM product p RIGHT JOIN supplier s "
        "ON s.id = p.supplier_id AND p.price > 8 WHERE p.id IS NULL OR p.id = 6",
        "id integer, name text NULL, product_id integer NULL",
    ),
    "full join": Form(
        "SELECT coalesce(p.id, 0) AS id, coalesce(s.id, 0) AS supplier_id, p.name, "
        "s.name AS supplier FROM product p FULL JOIN supplier s ON s.id = p.supplier_id",
        "id integer, supplier_id integer, name text NULL, supplier text NULL",
        "id, supplier_id",
    ),
    "full join with USING": Form(
        "SELECT product_id, count(*) AS n, sum(quantity) AS quantity, max(stars) AS best "
        "FROM line FULL JOIN review USING (product_id) WHERE product_id IS NOT NULL "
        "GROUP BY product_id",
        "product_id integer, n bigint, quantity bigint NULL, best integer NULL",
        "product_id",
    ),
    "join with USING": Form(
        "SELECT product_id, tag_id, r.id AS review_id FROM product_tag JOIN review r "
        "USING (product_id)",
        "product_id integer, tag_id integer, review_id integer",
        "product_id, tag_id, review_id",
    ),
    "cross join with both keys": Form(
        "SELECT c.id, t.id AS tag_id, c.name || t.label AS label FROM category c CROSS JOIN tag t",
        "id integer, tag_id integer, label text",
        "id, tag_id",
    ),
    # Expressions
    "expressions over parents": Form(
        "SELECT p.id, upper(p.name) || coalesce(' by ' || s.name, '') AS title, "
        "CASE WHEN p.price > 10 THEN 'dear' WHEN s.country IS NULL THEN 'unknown' ELSE 'cheap' END "
        "AS kind, p.price * 2 AS twice, p.added::date AS day "
        "FROM product p LEFT JOIN supplier s ON s.id = p.supplier_id",
        "id integer, title text NULL, kind text, twice numeric(12, 2), day date",
    ),
    "a document with a timestamp": Form(
        "SELECT p.id, jsonb_build_object('name', p.name, 'added', p.added, 'supplier', "
        "CASE WHEN s.id IS NOT NULL THEN jsonb_build_object('id', s.id, 'name', s.name) END) "
        "AS data FROM product p LEFT JOIN supplier s ON s.id = p.supplier_id",
        "id integer, data jsonb",
    ),
    "a narrower type": Form(
        "SELECT id, price * 1.005 AS rounded, name FROM product",
        "id bigint, rounded numeric(8, 1), name varchar(40)",
    ),
    "a uuid key": Form(
        "SELECT code, name FROM product WHERE active", "code uuid, name text", "code"
    ),
    "a text key": Form("SELECT 'p' || p.id AS id, p.name FROM product p", "id text, name text"),
    "a composite key": Form(
        "SELECT l.order_id, l.number, p.name FROM line l JOIN product p ON p.id = l.product_id",
        "order_id integer, number integer, name text",
        "order_id, number",
    ),
    "a key over a parent": Form(
        "SELECT p.id, coalesce(c.name, 'none') AS category FROM product p "
        "LEFT JOIN category c ON c.id = p.category_id",
        "id integer, category text",
        "id, category",
    ),
    # Sublinks
    "scalar sublink": Form(
        "SELECT p.id, (SELECT s.name FROM supplier s WHERE s.id = p.supplier_id) AS supplier "
        "FROM product p",
        "id integer, supplier text NULL",
    ),
    "counting sublink": Form(
        "SELECT p.id, (SELECT count(*) FROM review r WHERE r.product_id = p.id) AS n, "
        "(SELECT coalesce(sum(r.stars), 0) FROM review r WHERE r.product_id = p.id "
        "AND r.stars > 1) AS stars FROM product p",
        "id integer, n bigint, stars bigint",
    ),
    "sublink two levels away": Form(
        "SELECT c.id, (SELECT count(*) FROM review r JOIN product p ON p.id = r.product_id "
        "WHERE p.category_id = c.id AND p.active) AS n FROM category c",
        "id integer, n bigint",
    ),
    "sublink in a sublink": Form(
        "SELECT c.id, (SELECT jsonb_agg(jsonb_build_object('name', p.name, 'n', (SELECT count(*) "
        "FROM review r WHERE r.product_id = p.id)) ORDER BY p.id) FROM product p "
        "WHERE p.category_id = c.id) AS products FROM category c",
        "id integer, products jsonb NULL",
    ),
    "EXISTS": Form(
        "SELECT p.id FROM product p WHERE EXISTS (SELECT 1 FROM review r WHERE r.product_id = p.id "
        "AND r.stars >= 4)",
        "id integer",
    ),
    "EXISTS as Django writes it": Form(
        "SELECT p.id FROM product p WHERE EXISTS (SELECT 1 AS a FROM review u "
        "WHERE u.product_id = (p.id) LIMIT 1)",
        "id integer",
    ),
    "EXISTS as a value": Form(
        "SELECT p.id, EXISTS (SELECT FROM review r WHERE r.product_id = p.id AND r.stars = 5) "
        "AS loved FROM product p",
        "id integer, loved boolean",
    ),
    "NOT EXISTS": Form(
        "SELECT p.id FROM product p WHERE NOT EXISTS (SELECT FROM product_tag t "
        "JOIN tag g ON g.id = t.tag_id WHERE t.product_id = p.id AND g.label <> 'green')",
        "id integer",
    ),
    "EXISTS under OR": Form(
        "SELECT p.id FROM product p WHERE p.price > 50 OR EXISTS (SELECT FROM review r "
        "WHERE r.product_id = p.id AND r.stars IS NULL)",
        "id integer",
    ),
    "ARRAY": Form(
        "SELECT p.id, ARRAY(SELECT r.stars FROM review r WHERE r.product_id = p.id ORDER BY r.id) "
        "AS stars FROM product p",
        "id integer, stars integer[]",
    ),
    "IN": Form(
        "SELECT p.id FROM product p WHERE p.id IN (SELECT r.product_id FROM review r "
        "WHERE r.stars > 3)",
        "id integer",
    ),
    "IN over a join": Form(
        "SELECT s.id FROM supplier s WHERE s.id IN (SELECT p.supplier_id FROM product p "
        "JOIN review r ON r.product_id = p.id)",
        "id integer",
    ),
    "NOT IN with NULLs": Form(
        "SELECT p.id FROM product p WHERE p.id NOT IN (SELECT r.product_id FROM review r)",
        "id integer",
    ),
    "IN as a value with NULLs": Form(
        "SELECT p.id, p.id IN (SELECT r.product_id FROM review r) AS reviewed FROM product p",
        "id integer, reviewed boolean NULL",
    ),
    "NOT IN without NULLs": Form(
        "SELECT p.id FROM product p WHERE p.id NOT IN (SELECT l.product_id FROM line l)",
        "id integer",
    ),
    "an uncorrelated sublink": Form(
        "SELECT p.id, p.price - (SELECT avg(q.price) FROM product q) AS above FROM product p",
        "id integer, above numeric NULL",
        options=REBUILT,
    ),
    "a correlated sublink beside an OR": Form(
        "SELECT p.id, (SELECT count(*) FROM product q WHERE q.supplier_id = p.supplier_id "
        "OR q.backup_id = p.supplier_id) AS n FROM product p",
        "id integer, n bigint",
    ),
    # Children and many-to-many
    "children as a document": Form(
        "SELECT p.id, coalesce((SELECT jsonb_agg(jsonb_build_object('stars', r.stars, 'body', "
        "r.body) ORDER BY r.id) FROM review r WHERE r.product_id = p.id), '[]') AS reviews "
        "FROM product p",
        "id integer, reviews jsonb",
    ),
    "many-to-many as an array": Form(
        "SELECT p.id, ARRAY(SELECT t.label FROM tag t JOIN product_tag pt ON pt.tag_id = t.id "
        "WHERE pt.product_id = p.id ORDER BY t.label, t.id) AS labels, coalesce((SELECT "
        "string_agg(t.label, ',' ORDER BY t.label, t.id) FROM tag t, product_tag pt "
        "WHERE pt.tag_id = t.id AND pt.product_id = p.id), '') AS listed FROM product p",
        "id integer, labels text[], listed text",
    ),
    "a card with everything": Form(
        "SELECT p.id, p.name, jsonb_build_object('price', p.price, 'category', c.name, "
        "'path', ARRAY[g.name, c.name], 'reviews', (SELECT count(*) FROM review r "
        "WHERE r.product_id = p.id), 'recent', (SELECT coalesce(jsonb_agg(x.body ORDER BY x.id), "
        "'[]') FROM (SELECT r.id, r.body FROM review r WHERE r.product_id = p.id "
        "ORDER BY r.id DESC LIMIT 2) x), 'tags', ARRAY(SELECT t.label FROM tag t "
        "JOIN product_tag pt ON pt.tag_id = t.id WHERE pt.product_id = p.id ORDER BY t.id)) "
        "AS data FROM product p LEFT JOIN category c ON c.id = p.category_id "
        "LEFT JOIN category g ON g.id = c.parent_id WHERE p.active",
        "id integer, name text, data jsonb",
    ),
    "left join and group, as Django counts": Form(
        "SELECT p.id, p.name, count(r.id) AS n, count(DISTINCT r.stars) AS kinds FROM product p "
        "LEFT JOIN review r ON r.product_id = p.id GROUP BY p.id",
        "id integer, name text, n bigint, kinds bigint",
    ),
    # Groups
    "every aggregate over one table": Form(
        "SELECT product_id, count(*) AS n, count(stars) AS rated, sum(stars) AS total, "
        "avg(stars) AS mean, min(stars) AS low, max(stars) AS high, "
        "string_agg(body, '|' ORDER BY id) AS bodies, array_agg(stars ORDER BY id DESC) AS list, "
        "jsonb_agg(body ORDER BY id) AS document, bool_and(stars > 2) AS fine, "
        "count(*) FILTER (WHERE stars = 5) AS five, count(DISTINCT stars) AS kinds, "
        "array_agg(DISTINCT stars) AS distinct_stars, stddev_pop(stars) AS deviation, "
        "jsonb_object_agg(id, stars ORDER BY id) AS by_id "
        "FROM review WHERE product_id IS NOT NULL GROUP BY product_id",
        "product_id integer, n bigint, rated bigint, total bigint NULL, mean numeric NULL, "
        "low integer NULL, high integer NULL, bodies text, list integer[], document jsonb, "
        "fine boolean NULL, five bigint, kinds bigint, distinct_stars integer[], "
        "deviation numeric NULL, by_id jsonb",
        "product_id",
    ),
    "groups over a join": Form(
        "SELECT s.id, s.name, count(*) AS n, sum(p.price) AS total, max(r.stars) AS best "
        "FROM supplier s JOIN product p ON p.supplier_id = s.id "
        "LEFT JOIN review r ON r.product_id = p.id GROUP BY s.id, s.name",
        "id integer, name text, n bigint, total numeric(12, 2), best integer NULL",
    ),
    "groups by a parent's column": Form(
        "SELECT c.name, count(*) AS n, avg(p.price) AS mean FROM product p "
        "JOIN category c ON c.id = p.category_id GROUP BY c.name",
        "name text, n bigint, mean numeric",
        "name",
    ),
    "groups by an expression over a left join": Form(
        "SELECT coalesce(c.name, 'none') AS category, count(*) AS n FROM product p "
        "LEFT JOIN category c ON c.id = p.category_id GROUP BY coalesce(c.name, 'none')",
        "category text, n bigint",
        "category",
    ),
    "groups by columns of two parents": Form(
        "SELECT coalesce(c.name, '') AS category, s.name AS supplier, count(*) AS n FROM product p "
        "LEFT JOIN category c ON c.id = p.category_id JOIN supplier s ON s.id = p.supplier_id "
        "GROUP BY coalesce(c.name, ''), s.name",
        "category text, supplier text, n bigint",
        "category, supplier",
    ),
    "HAVING": Form(
        "SELECT category_id, count(*) AS n FROM product WHERE category_id IS NOT NULL "
        "GROUP BY category_id HAVING count(*) > 1 AND sum(price) > 5",
        "category_id integer, n bigint",
        "category_id",
    ),
    "HAVING with a sublink": Form(
        "SELECT p.category_id, count(*) AS n FROM product p WHERE p.category_id IS NOT NULL "
        "GROUP BY p.category_id HAVING EXISTS (SELECT FROM category c "
        "WHERE c.id = p.category_id AND c.parent_id IS NOT NULL)",
        "category_id integer, n bigint",
        "category_id",
    ),
    "pairs of a self join": Form(
        "SELECT a.product_id AS first, b.product_id AS second, count(*) AS n FROM line a "
        "JOIN line b ON a.order_id = b.order_id AND a.product_id < b.product_id "
        "GROUP BY a.product_id, b.product_id",
        "first integer, second integer, n bigint",
        "first, second",
    ),
    "one row": Form(
        "SELECT 1 AS id, count(*) AS n, coalesce(sum(p.price), 0) AS total, max(c.name) AS last "
        "FROM product p LEFT JOIN category c ON c.id = p.category_id",
        "id integer, n bigint, total numeric(12, 2), last text NULL",
    ),
    "one row of sublinks": Form(
        "SELECT 1 AS id, (SELECT count(*) FROM product) AS products, "
        "(SELECT count(*) FROM review) AS reviews",
        "id integer, products bigint, reviews bigint",
    ),
    "DISTINCT": Form(
        "SELECT DISTINCT c.name, p.active FROM product p JOIN category c ON c.id = p.category_id",
        "name text, active boolean",
        "name, active",
    ),
    # Layers
    "a helper view": Form(
        "SELECT a.id, a.name, s.name AS supplier FROM active_product a "
        "LEFT JOIN supplier s ON s.id = a.supplier_id",
        "id integer, name text, supplier text NULL",
    ),
    "aggregated helper views": Form(
        "SELECT r.id, r.name, r.n, r.mean, c.name AS category FROM rated_product r "
        "LEFT JOIN category c ON c.id = r.category_id",
        "id integer, name text, n bigint, mean numeric NULL, category text NULL",
    ),
    "groups of aggregated helper views": Form(
        "SELECT category_id, sum(n) AS n, max(mean) AS best FROM rated_product "
        "WHERE category_id IS NOT NULL GROUP BY category_id",
        "category_id integer, n numeric NULL, best numeric NULL",
        "category_id",
    ),
    "a derived table of groups": Form(
        "SELECT p.id, coalesce(x.n, 0) AS n FROM product p LEFT JOIN (SELECT product_id, "
        "count(*) AS n FROM review WHERE stars > 2 GROUP BY product_id) x ON x.product_id = p.id",
        "id integer, n bigint",
    ),
    "common table expressions": Form(
        "WITH good AS (SELECT product_id, stars FROM review WHERE stars > 2), "
        "best AS (SELECT product_id, max(stars) AS stars FROM good GROUP BY product_id) "
        "SELECT p.id, b.stars, c.name AS category FROM product p JOIN best b "
        "ON b.product_id = p.id LEFT JOIN category c ON c.id = p.category_id",
        "id integer, stars integer, category text NULL",
    ),
    "LATERAL with LIMIT": Form(
        "SELECT p.id, l.body, l.stars FROM product p LEFT JOIN LATERAL (SELECT r.body, r.stars "
        "FROM review r WHERE r.product_id = p.id ORDER BY r.stars DESC NULLS LAST, r.id LIMIT 1) l "
        "ON true",
        "id integer, body text NULL, stars integer NULL",
    ),
    "LATERAL with groups": Form(
        "SELECT c.id, l.n, l.total FROM category c CROSS JOIN LATERAL (SELECT count(*) AS n, "
        "sum(p.price) AS total FROM product p WHERE p.category_id = c.id) l",
        "id integer, n bigint, total numeric NULL",
    ),
    # Only by rebuilding
    "top of the table": Form(
        "SELECT id, name, price FROM product ORDER BY price DESC, id LIMIT 3",
        "id integer, name text, price numeric(10, 2)",
        options=REBUILT,
    ),
    "a recursive WITH": Form(
        "WITH RECURSIVE up (id, above, depth) AS (SELECT id, parent_id, 1 FROM category "
        "WHERE parent_id IS NOT NULL UNION ALL SELECT u.id, c.parent_id, u.depth + 1 FROM up u "
        "JOIN category c ON c.id = u.above WHERE c.parent_id IS NOT NULL AND u.depth < 9) "
        "SELECT p.id, u.depth, c.name FROM product p JOIN up u ON u.id = p.category_id "
        "JOIN category c ON c.id = u.above",
        "id integer, depth integer, name text",
        "id, depth",
        REBUILT,
    ),
    "cross join with a filter": Form(
        "SELECT p.id FROM product p CROSS JOIN (SELECT avg(price) AS mean FROM product) m "
        "WHERE p.price > m.mean",
        "id integer",
        options=REBUILT,
    ),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_form_is_kept_through_every_kind_of_statement(database: Database, form: Form) -> None:
    keep(database, form)
