"""UNION, INTERSECT, EXCEPT, DISTINCT ON, quantified comparisons: kept through every statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.matrix import REBUILT, Form, keep

if TYPE_CHECKING:
    from tests.harness import Database

FORMS = {
    "UNION": Form("SELECT name FROM category UNION SELECT name FROM supplier", "name text", "name"),
    "UNION ALL with a column that tells the branches apart": Form(
        "SELECT 'category'::text AS kind, id, name FROM category "
        "UNION ALL SELECT 'supplier', s.id, s.name || coalesce(s.country, '') FROM supplier s "
        "UNION ALL SELECT 'product', id, name FROM product WHERE active",
        "kind text, id integer, name text NULL",
        "kind, id",
    ),
    "UNION of joins": Form(
        "SELECT p.id, s.name FROM product p JOIN supplier s ON s.id = p.supplier_id "
        "UNION SELECT p.id, b.name FROM product p JOIN supplier b ON b.id = p.backup_id",
        "id integer, name text",
        "id, name",
    ),
    "UNION of types that differ": Form(
        "SELECT price AS value FROM product UNION SELECT id FROM review "
        "UNION SELECT quantity::smallint FROM line",
        "value numeric",
        "value",
    ),
    "UNION of a grouping with its total": Form(
        "SELECT coalesce(category_id, -1) AS id, count(*) AS n FROM product "
        "GROUP BY coalesce(category_id, -1) UNION ALL SELECT 0, count(*) FROM product",
        "id integer, n bigint",
    ),
    "EXCEPT": Form("SELECT id FROM product EXCEPT SELECT product_id FROM line", "id integer"),
    "EXCEPT ALL": Form(
        "SELECT id FROM product EXCEPT ALL SELECT product_id FROM line WHERE quantity > 1",
        "id integer",
    ),
    "EXCEPT of joins, to the left of both": Form(
        "SELECT p.id, c.name FROM product p JOIN category c ON c.id = p.category_id "
        "EXCEPT SELECT p.id, c.name FROM product p JOIN category c ON c.id > p.category_id "
        "EXCEPT SELECT r.product_id, r.body FROM review r",
        "id integer, name text",
        "id, name",
    ),
    "EXCEPT in an EXCEPT": Form(
        "SELECT id FROM product EXCEPT (SELECT product_id FROM review WHERE product_id IS NOT NULL "
        "EXCEPT SELECT product_id FROM line)",
        "id integer",
    ),
    "INTERSECT": Form(
        "SELECT product_id FROM review INTERSECT SELECT product_id FROM line",
        "product_id integer",
        "product_id",
    ),
    "INTERSECT of a UNION": Form(
        "(SELECT supplier_id AS id FROM product UNION SELECT backup_id FROM product) "
        "INTERSECT SELECT id FROM supplier WHERE country IS NOT NULL",
        "id integer",
    ),
    "a derived table of a UNION": Form(
        "SELECT s.id, s.name, u.how, u.id AS product_id FROM supplier s JOIN ("
        "SELECT id, supplier_id, 'first'::text AS how FROM product "
        "UNION ALL SELECT id, backup_id, 'second'::text FROM product) u ON u.supplier_id = s.id",
        "id integer, name text, how text, product_id integer",
        "id, how, product_id",
    ),
    "groups over a UNION": Form(
        "SELECT u.product_id, count(*) AS n, sum(u.points) AS points FROM ("
        "SELECT product_id, stars AS points FROM review WHERE product_id IS NOT NULL "
        "UNION ALL SELECT product_id, quantity FROM line) u GROUP BY u.product_id",
        "product_id integer, n bigint, points bigint NULL",
        "product_id",
    ),
    "a UNION that a left join may miss": Form(
        "SELECT p.id, coalesce(u.label, 'none') AS label, count(*) AS n FROM product p LEFT JOIN ("
        "SELECT product_id, body AS label FROM review UNION "
        "SELECT t.product_id, g.label FROM product_tag t JOIN tag g ON g.id = t.tag_id) u "
        "ON u.product_id = p.id GROUP BY 1, 2",
        "id integer, label text, n bigint",
        "id, label",
    ),
    "an EXCEPT that a left join may miss": Form(
        "SELECT c.id, x.id AS product_id FROM category c LEFT JOIN ("
        "SELECT p.id, p.category_id FROM product p EXCEPT SELECT r.product_id, p.category_id "
        "FROM review r JOIN product p ON p.id = r.product_id) x ON x.category_id = c.id "
        "WHERE x.id IS NOT NULL",
        "id integer, product_id integer",
        "id, product_id",
    ),
    "UNION in EXISTS": Form(
        "SELECT p.id FROM product p WHERE EXISTS (SELECT 1 FROM review r WHERE r.product_id = p.id "
        "UNION ALL SELECT 1 FROM line l WHERE l.product_id = p.id)",
        "id integer",
    ),
    "UNION in IN": Form(
        "SELECT p.id FROM product p WHERE p.id IN (SELECT product_id FROM review "
        "UNION SELECT product_id FROM line)",
        "id integer",
    ),
    "EXCEPT in a scalar sublink": Form(
        "SELECT p.id, (SELECT count(*) FROM (SELECT r.stars FROM review r "
        "WHERE r.product_id = p.id EXCEPT SELECT l.quantity FROM line l "
        "WHERE l.product_id = p.id) x) AS n FROM product p",
        "id integer, n bigint",
    ),
    "a UNION read twice": Form(
        "WITH u AS (SELECT supplier_id AS id FROM product UNION SELECT backup_id FROM product) "
        "SELECT a.id, b.id AS other FROM u a JOIN u b ON b.id > a.id",
        "id integer, other integer",
        "id, other",
    ),
    "LIMIT of a UNION": Form(
        "(SELECT name FROM category UNION SELECT name FROM supplier) ORDER BY name LIMIT 2",
        "name text",
        "name",
        REBUILT,
    ),
    # DISTINCT ON
    "DISTINCT ON": Form(
        "SELECT DISTINCT ON (category_id) category_id, id, price FROM product "
        "WHERE category_id IS NOT NULL ORDER BY category_id, price DESC, id",
        "category_id integer, id integer, price numeric(10, 2)",
        "category_id",
    ),
    "DISTINCT ON over a join": Form(
        "SELECT DISTINCT ON (coalesce(c.name, ''), p.active) coalesce(c.name, '') AS category, "
        "p.active, p.id, r.stars FROM product p LEFT JOIN category c ON c.id = p.category_id "
        "LEFT JOIN review r ON r.product_id = p.id "
        "ORDER BY coalesce(c.name, ''), p.active, r.stars DESC NULLS LAST, r.id, p.id, c.id",
        "category text, active boolean, id integer, stars integer NULL",
        "category, active",
    ),
    "a derived table with DISTINCT ON": Form(
        "SELECT p.id, p.name, d.stars, d.body FROM product p LEFT JOIN ("
        "SELECT DISTINCT ON (product_id) product_id, stars, body FROM review "
        "ORDER BY product_id, stars DESC NULLS LAST, id) d ON d.product_id = p.id",
        "id integer, name text, stars integer NULL, body text NULL",
    ),
    "DISTINCT ON what only rebuilding can tell": Form(
        "SELECT DISTINCT ON (category_id) category_id, id FROM product ORDER BY category_id, id",
        "category_id integer NULL, id integer",
        options=REBUILT,
    ),
    # Quantified comparisons
    "NOT IN with NULLs on both sides": Form(
        "SELECT p.id FROM product p WHERE p.category_id NOT IN (SELECT c.parent_id FROM category c "
        "WHERE c.name <> 'toys')",
        "id integer",
    ),
    "NOT IN with NULLs, correlated": Form(
        "SELECT p.id, p.supplier_id NOT IN (SELECT q.backup_id FROM product q "
        "WHERE q.category_id = p.category_id) AS own FROM product p",
        "id integer, own boolean NULL",
    ),
    "IN a row": Form(
        "SELECT p.id FROM product p WHERE (p.id, p.supplier_id) IN (SELECT l.product_id, "
        "l.quantity FROM line l)",
        "id integer",
    ),
    "NOT IN a row": Form(
        "SELECT p.id FROM product p WHERE (p.id, p.supplier_id) NOT IN (SELECT r.product_id, "
        "r.stars FROM review r)",
        "id integer",
    ),
    "ALL": Form(
        "SELECT p.id FROM product p WHERE p.id > ALL (SELECT r.stars FROM review r "
        "WHERE r.product_id = p.id)",
        "id integer",
    ),
    "ALL without correlation": Form(
        "SELECT p.id, p.price >= ALL (SELECT q.price FROM product q) AS dearest FROM product p",
        "id integer, dearest boolean NULL",
    ),
    "differs from ALL": Form(
        "SELECT p.id FROM product p WHERE p.supplier_id <> ALL (SELECT q.backup_id FROM product q)",
        "id integer",
    ),
    "ANY by an inequality": Form(
        "SELECT p.id, p.id < ANY (SELECT r.stars FROM review r) AS topped FROM product p "
        "WHERE p.price > ANY (SELECT q.price FROM product q WHERE q.supplier_id = p.backup_id)",
        "id integer, topped boolean NULL",
    ),
    "rows compared": Form(
        "SELECT p.id, l.number FROM product p JOIN line l ON (l.product_id, l.quantity) = "
        "(p.id, 1) AND (l.order_id, l.number) >= (1, 1)",
        "id integer, number integer",
        "id, number",
    ),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_form_is_kept_through_every_kind_of_statement(database: Database, form: Form) -> None:
    keep(database, form)
