"""Forms put together from those of the other modules: kept through every statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.matrix import Form, keep

if TYPE_CHECKING:
    from tests.harness import Database

FORMS = {
    "an aggregated WITH that is read twice": Form(
        "WITH t AS (SELECT category_id, count(*) AS n, sum(price) AS total FROM product "
        "GROUP BY category_id) SELECT c.id, own.n, own.total, above.n AS beside FROM category c "
        "LEFT JOIN t own ON own.category_id = c.id LEFT JOIN t above "
        "ON above.category_id = c.parent_id",
        "id integer, n bigint NULL, total numeric(12, 2) NULL, beside bigint NULL",
    ),
    "groups of groups of groups": Form(
        "SELECT x.country, count(*) AS suppliers, sum(x.n) AS reviews FROM (SELECT s.country, s.id, "
        "sum(r.n) AS n FROM supplier s LEFT JOIN (SELECT p.supplier_id, p.id, q.n FROM product p "
        "LEFT JOIN (SELECT product_id, count(*) AS n FROM review GROUP BY product_id) q "
        "ON q.product_id = p.id) r ON r.supplier_id = s.id GROUP BY s.country, s.id) x "
        "WHERE x.country IS NOT NULL GROUP BY x.country",
        "country text, suppliers bigint, reviews numeric NULL",
        "country",
    ),
    "a FULL JOIN of a grouping and a UNION": Form(
        "SELECT coalesce(g.product_id, u.product_id, 0) AS id, g.n, u.names FROM "
        "(SELECT product_id, count(*) AS n FROM review GROUP BY product_id) g FULL JOIN "
        "(SELECT product_id, count(*) AS names FROM (SELECT product_id, tag_id FROM product_tag "
        "UNION SELECT product_id, quantity FROM line) x GROUP BY product_id) u "
        "ON u.product_id = g.product_id WHERE coalesce(g.product_id, u.product_id) IS NOT NULL",
        "id integer, n bigint NULL, names bigint NULL",
    ),
    "NATURAL FULL JOIN of derived tables": Form(
        "SELECT product_id, g.n, l.most FROM (SELECT product_id, count(*) AS n FROM review "
        "GROUP BY product_id) g NATURAL FULL JOIN (SELECT product_id, max(quantity) AS most "
        "FROM line GROUP BY product_id) l WHERE product_id IS NOT NULL",
        "product_id integer, n bigint NULL, most integer NULL",
        "product_id",
    ),
    "FULL JOIN by USING twice": Form(
        "SELECT product_id, count(*) AS n, max(tag_id) AS tag, max(quantity) AS quantity "
        "FROM review FULL JOIN product_tag USING (product_id) FULL JOIN line USING (product_id) "
        "WHERE product_id IS NOT NULL GROUP BY product_id",
        "product_id integer, n bigint, tag integer NULL, quantity integer NULL",
        "product_id",
    ),
    "RIGHT JOIN of a derived table": Form(
        "SELECT s.id, x.n FROM (SELECT supplier_id, count(*) AS n FROM product WHERE active "
        "GROUP BY supplier_id) x RIGHT JOIN supplier s ON s.id = x.supplier_id",
        "id integer, n bigint NULL",
    ),
    "the first two of each by LATERAL": Form(
        "SELECT p.id, top.id AS review_id, top.stars FROM product p CROSS JOIN LATERAL "
        "(SELECT r.id, r.stars FROM review r WHERE r.product_id = p.id "
        "ORDER BY r.stars DESC NULLS LAST, r.id LIMIT 2) top",
        "id integer, review_id integer, stars integer NULL",
        "id, review_id",
    ),
    "the first two of each by LATERAL in one branch of two": Form(
        "SELECT p.id, top.id AS other, top.stars FROM product p CROSS JOIN LATERAL "
        "(SELECT r.id, r.stars FROM review r WHERE r.product_id = p.id "
        "ORDER BY r.stars, r.id LIMIT 2) top "
        "UNION ALL SELECT -s.id, c.id, length(s.name) FROM supplier s "
        "JOIN category c ON c.name = s.name",
        "id integer, other integer, stars integer NULL",
        "id, other",
    ),
    "the first two of each by LATERAL in ROLLUP": Form(
        "SELECT coalesce(p.category_id, 0) AS id, grouping(p.category_id) AS level, "
        "count(*) AS n FROM product p CROSS JOIN LATERAL (SELECT r.stars FROM review r "
        "WHERE r.product_id = p.id ORDER BY r.stars, r.id LIMIT 2) top "
        "JOIN supplier s ON s.id = p.supplier_id WHERE top.stars > 2 "
        "GROUP BY ROLLUP (p.category_id)",
        "id integer, level integer, n bigint",
        "id, level",
    ),
    "the first of each by LATERAL, or none": Form(
        "SELECT c.id, coalesce(top.id, 0) AS product_id, top.name FROM category c "
        "LEFT JOIN LATERAL (SELECT p.id, p.name, p.price FROM product p JOIN supplier s "
        "ON s.id = p.supplier_id WHERE p.category_id = c.id AND s.country IS DISTINCT FROM c.name "
        "ORDER BY (SELECT count(*) FROM review r WHERE r.product_id = p.id) DESC, p.id LIMIT 1) top "
        "ON top.price > 5",
        "id integer, product_id integer, name text NULL",
        "id, product_id",
    ),
    "the first groups of each by LATERAL": Form(
        "SELECT s.id, top.stars, top.n FROM supplier s CROSS JOIN LATERAL (SELECT r.stars, "
        "count(*) AS n FROM review r JOIN product p ON p.id = r.product_id "
        "WHERE p.supplier_id = s.id AND r.stars IS NOT NULL GROUP BY r.stars "
        "HAVING count(*) < 3 ORDER BY count(*) DESC, r.stars FETCH FIRST 2 ROWS ONLY) top",
        "id integer, stars integer, n bigint",
        "id, stars",
    ),
    "the first different ones of each by LATERAL": Form(
        "SELECT p.id, top.label, top.below FROM product p CROSS JOIN LATERAL (SELECT DISTINCT "
        "q.name AS label, q.price < 8 AS below FROM product q WHERE q.price < p.price "
        "AND q.category_id = p.category_id ORDER BY 1, 2 LIMIT 2 OFFSET 1) top",
        "id integer, label text, below boolean",
        "id, label, below",
    ),
    "the first of the first of each by LATERAL": Form(
        "SELECT x.review_id, x.category_id, x.name FROM (SELECT c.id AS category_id, a.name, "
        "b.id AS review_id FROM category c CROSS JOIN LATERAL (SELECT p.id, p.name FROM product p "
        "WHERE p.category_id = c.id ORDER BY p.price DESC, p.id LIMIT 2) a CROSS JOIN LATERAL "
        "(SELECT r.id FROM review r WHERE r.product_id = a.id ORDER BY r.stars, r.id LIMIT 2) b) x",
        "review_id integer, category_id integer, name text",
        "review_id",
    ),
    "the second of each by LATERAL, or none": Form(
        "SELECT c.id, top.name, top.n FROM category c LEFT JOIN LATERAL (SELECT p.name, "
        "count(r.id) AS n FROM product p LEFT JOIN review r ON r.product_id = p.id "
        "WHERE p.category_id = c.id GROUP BY p.id ORDER BY count(r.id) DESC, p.id "
        "LIMIT 1 OFFSET 1) top ON true",
        "id integer, name text NULL, n bigint NULL",
    ),
    "a star of three dimensions": Form(
        "SELECT s.name AS supplier, coalesce(c.name, '') AS category, t.label, count(*) AS n, "
        "sum(p.price) AS total FROM product_tag pt JOIN product p ON p.id = pt.product_id "
        "JOIN tag t ON t.id = pt.tag_id JOIN supplier s ON s.id = p.supplier_id "
        "LEFT JOIN category c ON c.id = p.category_id GROUP BY s.name, coalesce(c.name, ''), t.label",
        "supplier text, category text, label text, n bigint, total numeric(12, 2)",
        "supplier, category, label",
    ),
    "a star without groups": Form(
        "SELECT l.order_id, s.id AS supplier_id, t.id AS tag_id, count(*) AS n, max(l.number) AS last "
        "FROM line l JOIN product p ON p.id = l.product_id JOIN supplier s ON s.id = p.supplier_id "
        "JOIN product_tag pt ON pt.product_id = p.id JOIN tag t ON t.id = pt.tag_id "
        "GROUP BY l.order_id, s.id, t.id",
        "order_id integer, supplier_id integer, tag_id integer, n bigint, last integer",
        "order_id, supplier_id, tag_id",
    ),
    "a cross join of two that change in one statement": Form(
        "SELECT p.id, s.id AS supplier_id, p.name || s.name AS name, s.id = p.supplier_id AS own "
        "FROM product p CROSS JOIN supplier s WHERE p.active",
        "id integer, supplier_id integer, name text, own boolean NULL",
        "id, supplier_id",
    ),
    "a cross join of groups": Form(
        "SELECT a.product_id, b.tag_id, a.n * b.n AS n FROM (SELECT product_id, count(*) AS n "
        "FROM review WHERE product_id IS NOT NULL GROUP BY product_id) a CROSS JOIN "
        "(SELECT tag_id, count(*) AS n FROM product_tag GROUP BY tag_id) b",
        "product_id integer, tag_id integer, n bigint",
        "product_id, tag_id",
    ),
    "joined by an inequality and grouped": Form(
        "SELECT p.id, count(q.id) AS dearer, max(q.name) AS last FROM product p LEFT JOIN product q "
        "ON q.price > p.price AND q.category_id IS NOT DISTINCT FROM p.category_id GROUP BY p.id",
        "id integer, dearer bigint, last text NULL",
    ),
    "CASE and rows as keys": Form(
        "SELECT CASE WHEN s.id IS NULL THEN 'none' WHEN s.country = 'de' THEN 'home' ELSE 'abroad' "
        "END AS place, (p.price, p.id) > (7, 4) AS dear, count(*) AS n FROM product p "
        "LEFT JOIN supplier s ON s.id = p.supplier_id GROUP BY 1, 2",
        "place text, dear boolean, n bigint",
        "place, dear",
    ),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_form_is_kept_through_every_kind_of_statement(database: Database, form: Form) -> None:
    keep(database, form)
