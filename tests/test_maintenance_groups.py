"""GROUPING SETS, ROLLUP and CUBE: kept through every statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.matrix import REBUILT, Form, keep

if TYPE_CHECKING:
    from tests.harness import Database

FORMS = {
    "ROLLUP": Form(
        "SELECT coalesce(category_id, 0) AS id, grouping(category_id) AS level, count(*) AS n, "
        "sum(price) AS total FROM product GROUP BY ROLLUP (category_id)",
        "id integer, level integer, n bigint, total numeric(12, 2) NULL",
        "id, level",
    ),
    "CUBE over a join": Form(
        "SELECT coalesce(s.country, '?') AS country, coalesce(p.active::text, '*') AS active, "
        "grouping(s.country, p.active) AS level, count(*) AS n, max(r.stars) AS best "
        "FROM product p LEFT JOIN supplier s ON s.id = p.supplier_id "
        "LEFT JOIN review r ON r.product_id = p.id WHERE p.price > 3 "
        "GROUP BY CUBE (s.country, p.active)",
        "country text, active text, level integer, n bigint, best integer NULL",
        "country, active, level",
    ),
    "GROUPING SETS of expressions": Form(
        "SELECT coalesce(left(p.name, 1), '') AS letter, coalesce(c.name, '') AS category, "
        "grouping(left(p.name, 1), c.name) AS level, count(*) AS n FROM product p "
        "JOIN category c ON c.id = p.category_id "
        "GROUP BY GROUPING SETS ((left(p.name, 1)), (c.name))",
        "letter text, category text, level integer, n bigint",
        "letter, category, level",
    ),
    "grouping sets in a derived table": Form(
        "SELECT s.id, x.active, x.n FROM supplier s JOIN (SELECT supplier_id, active, "
        "count(*) AS n FROM product GROUP BY supplier_id, ROLLUP (active)) x "
        "ON x.supplier_id = s.id WHERE x.active IS NULL",
        "id integer, active boolean NULL, n bigint",
    ),
    "a window over grouping sets": Form(
        "SELECT supplier_id, coalesce(active::text, 'all') AS active, count(*) AS n, "
        "rank() OVER (PARTITION BY supplier_id ORDER BY count(*)) AS place FROM product "
        "WHERE supplier_id IS NOT NULL GROUP BY supplier_id, ROLLUP (active)",
        "supplier_id integer, active text, n bigint, place bigint",
        "supplier_id, active",
    ),
    "HAVING of grouping sets": Form(
        "SELECT coalesce(product_id, 0) AS product_id, coalesce(stars, -1) AS stars, "
        "grouping(product_id, stars) AS level, count(*) AS n FROM review "
        "GROUP BY GROUPING SETS ((product_id), (stars)) HAVING count(*) > 1",
        "product_id integer, stars integer, level integer, n bigint",
        "product_id, stars, level",
    ),
    "subqueries beside grouping sets": Form(
        "SELECT coalesce(p.category_id, 0) AS category_id, coalesce(p.supplier_id, 0) "
        "AS supplier_id, grouping(p.category_id, p.supplier_id) AS level, (SELECT count(*) "
        "FROM category c WHERE c.parent_id IS NOT DISTINCT FROM p.category_id) AS n, "
        "(SELECT s.name FROM supplier s WHERE s.id = p.supplier_id) AS supplier FROM product p "
        "GROUP BY CUBE (p.category_id, p.supplier_id)",
        "category_id integer, supplier_id integer, level integer, n bigint, supplier text NULL",
        "category_id, supplier_id, level",
        REBUILT,
    ),
    "a total in a derived table": Form(
        "SELECT x.id, x.n, p.name FROM (SELECT coalesce(product_id, 0) AS id, count(*) AS n "
        "FROM line GROUP BY ROLLUP (product_id)) x LEFT JOIN product p ON p.id = x.id",
        "id integer, n bigint, name text NULL",
    ),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_form_is_kept_through_every_kind_of_statement(database: Database, form: Form) -> None:
    keep(database, form)
