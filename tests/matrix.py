"""A schema, its rows, and every kind of statement: what forms of queries are kept through."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from django_tviews.errors import UnsupportedQuery
from tests.harness import branch

if TYPE_CHECKING:
    from tests.harness import Database

SCHEMA = """
    CREATE TABLE category (
        id integer PRIMARY KEY,
        name text NOT NULL,
        parent_id integer REFERENCES category ON DELETE CASCADE ON UPDATE CASCADE
    );
    CREATE TABLE supplier (
        id integer PRIMARY KEY,
        name text NOT NULL,
        country text
    );
    CREATE TABLE product (
        id integer PRIMARY KEY,
        name text NOT NULL,
        price numeric(10, 2) NOT NULL,
        active boolean NOT NULL DEFAULT true,
        category_id integer REFERENCES category ON DELETE SET NULL ON UPDATE CASCADE,
        supplier_id integer REFERENCES supplier ON DELETE SET NULL,
        backup_id integer REFERENCES supplier ON DELETE SET NULL,
        code uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
        added timestamptz NOT NULL DEFAULT '2024-01-01 12:00+00'
    );
    CREATE TABLE review (
        id integer PRIMARY KEY,
        product_id integer REFERENCES product ON DELETE CASCADE ON UPDATE CASCADE,
        stars integer,
        body text NOT NULL DEFAULT ''
    );
    CREATE TABLE tag (
        id integer PRIMARY KEY,
        label text NOT NULL
    );
    CREATE TABLE product_tag (
        product_id integer REFERENCES product ON DELETE CASCADE ON UPDATE CASCADE,
        tag_id integer REFERENCES tag ON DELETE CASCADE,
        PRIMARY KEY (product_id, tag_id)
    );
    CREATE TABLE line (
        order_id integer,
        number integer,
        product_id integer NOT NULL REFERENCES product ON DELETE CASCADE ON UPDATE CASCADE,
        quantity integer NOT NULL,
        PRIMARY KEY (order_id, number)
    );
    CREATE VIEW active_product AS
        SELECT id, name, price, category_id, supplier_id FROM product WHERE active;
    CREATE VIEW rating AS
        SELECT product_id, count(*) AS n, avg(stars) AS mean FROM review GROUP BY product_id;
    CREATE VIEW rated_product AS
        SELECT p.id, p.name, p.category_id, coalesce(r.n, 0) AS n, r.mean
        FROM active_product AS p LEFT JOIN rating AS r ON r.product_id = p.id;
"""

SEED = """
    INSERT INTO category VALUES
        (1, 'root', NULL), (2, 'books', 1), (3, 'toys', 1), (4, 'novels', 2), (5, 'empty', NULL);
    INSERT INTO supplier VALUES (1, 'acme', 'de'), (2, 'best', NULL), (3, 'core', 'fr');
    INSERT INTO product (id, name, price, active, category_id, supplier_id, backup_id) VALUES
        (1, 'atlas', 10.00, true, 2, 1, 2), (2, 'bear', 20.50, true, 3, 1, 1),
        (3, 'cube', 5.00, false, 3, 2, NULL), (4, 'diary', 7.25, true, 4, NULL, 1),
        (5, 'epic', 10.00, true, 4, 3, 3), (6, 'flute', 99.99, true, NULL, 3, 2),
        (7, 'glue', 1.00, false, NULL, NULL, NULL);
    INSERT INTO review VALUES
        (1, 1, 5, 'fine'), (2, 1, 3, 'so so'), (3, 2, 4, 'good'), (4, 3, NULL, 'hm'),
        (5, 4, 1, 'bad'), (6, 4, 5, 'great'), (7, NULL, 2, 'lost'), (8, 5, 5, 'fine');
    INSERT INTO tag VALUES (1, 'new'), (2, 'sale'), (3, 'green');
    INSERT INTO product_tag VALUES (1, 1), (1, 2), (2, 2), (4, 1), (4, 3);
    INSERT INTO line VALUES (1, 1, 1, 2), (1, 2, 2, 1), (2, 1, 1, 1), (2, 2, 2, 5), (2, 3, 4, 1),
        (3, 1, 6, 1);
"""

# Each is one transaction; the oracle is asked after each.
HISTORY = {
    "insert one child": "INSERT INTO review VALUES (20, 1, 4, 'new')",
    "insert one root": "INSERT INTO product VALUES (10, 'harp', 12.00, true, 2, 2, 1)",
    "insert several children": "INSERT INTO review SELECT 30 + g, 1 + g % 8, g % 6, 'r' || g "
    "FROM generate_series(1, 12) AS g WHERE 1 + g % 8 <> 8",
    "insert no row": "INSERT INTO review SELECT * FROM review WHERE false",
    "insert a child without a parent": "INSERT INTO review VALUES (21, NULL, 3, 'nowhere')",
    "change what no query reads": "UPDATE supplier SET name = name",
    "change one child": "UPDATE review SET stars = 2, body = 'changed' WHERE id = 1",
    "change to NULL": "UPDATE review SET stars = NULL WHERE id = 3",
    "change from NULL": "UPDATE review SET stars = 5 WHERE id = 4",
    "change a parent": "UPDATE supplier SET name = 'ACME', country = NULL WHERE id = 1",
    "change all parents": "UPDATE category SET name = name || '!'",
    "change no row": "UPDATE product SET name = 'none' WHERE false",
    "leave the WHERE": "UPDATE product SET active = false WHERE id IN (1, 5)",
    "enter the WHERE": "UPDATE product SET active = NOT active",
    "all enter": "UPDATE product SET active = true",
    "move a child to another parent": "UPDATE review SET product_id = 2 WHERE id = 2",
    "move a child away from its parent": "UPDATE review SET product_id = NULL WHERE id = 5",
    "move a child to a parent": "UPDATE review SET product_id = 6 WHERE id = 7",
    "move roots between parents": "UPDATE product SET category_id = 2 WHERE category_id = 3",
    "swap two parents": "UPDATE product SET supplier_id = backup_id, backup_id = supplier_id",
    "set a parent to NULL": "UPDATE product SET category_id = NULL WHERE id = 4",
    "change a root's price": "UPDATE product SET price = price + 1 WHERE id = 2",
    "change the scale of nothing": "UPDATE product SET price = price * 1.0",
    "re-key a root": "UPDATE product SET id = 101 WHERE id = 1",
    "re-key roots onto each other": "UPDATE product SET id = id + 200 WHERE id > 100",
    "re-key a parent": "UPDATE category SET id = 22 WHERE id = 2",
    "re-key children": "UPDATE review SET id = id + 1000",
    "re-key a composite": "UPDATE line SET order_id = 3, number = number + 10 WHERE order_id = 2",
    "move a subtree": "UPDATE category SET parent_id = 3 WHERE id = 4",
    "make a root category": "UPDATE category SET parent_id = NULL WHERE id = 3",
    "insert a link": "INSERT INTO product_tag VALUES (5, 2)",
    "delete a link": "DELETE FROM product_tag WHERE product_id = 4 AND tag_id = 1",
    "rename what is linked": "UPDATE tag SET label = upper(label)",
    "delete what is linked": "DELETE FROM tag WHERE id = 2",
    "upsert": "INSERT INTO product (id, name, price, category_id) "
    "VALUES (2, 'BEAR', 21, 22), (50, 'ink', 3, 3) ON CONFLICT (id) DO UPDATE "
    "SET name = excluded.name, price = excluded.price, category_id = excluded.category_id",
    "upsert that does nothing": "INSERT INTO tag VALUES (1, 'again') ON CONFLICT DO NOTHING",
    "upsert children": "INSERT INTO review VALUES (1001, 50, 1, 'moved'), (51, 50, 2, 'fresh') "
    "ON CONFLICT (id) DO UPDATE SET product_id = excluded.product_id, stars = excluded.stars",
    "merge": "MERGE INTO product AS p USING (VALUES (2, 'm'), (4, ''), (60, 'jam')) AS s (id, name) "
    "ON s.id = p.id WHEN MATCHED AND s.name = '' THEN DELETE "
    "WHEN MATCHED THEN UPDATE SET name = s.name, category_id = 3 "
    "WHEN NOT MATCHED THEN INSERT (id, name, price) VALUES (s.id, s.name, 4)",
    "merge children": "MERGE INTO review AS r USING product AS p ON r.product_id = p.id "
    "WHEN MATCHED AND r.stars = 5 THEN DELETE WHEN MATCHED THEN UPDATE SET stars = r.stars + 1 "
    "WHEN NOT MATCHED THEN INSERT VALUES (p.id + 5000, p.id, 3, 'merged')",
    "change several tables at once": "WITH p AS (UPDATE product SET name = name || '+', "
    "category_id = 3 WHERE id IN (2, 5) RETURNING id), "
    "c AS (UPDATE category SET name = 'renamed' WHERE id IN (3, 22) RETURNING id), "
    "s AS (UPDATE supplier SET name = 'shared' RETURNING id), "
    "r AS (DELETE FROM review WHERE product_id IN (SELECT id FROM p) RETURNING id) "
    "INSERT INTO review SELECT 7000 + id, 50, 4, 'moved' FROM p",
    "delete and insert the same key": "WITH d AS (DELETE FROM review WHERE id < 1010 "
    "RETURNING *) INSERT INTO review SELECT id + 1, product_id, stars, 'again' FROM d "
    "WHERE product_id IS NOT NULL ORDER BY id OFFSET 100",
    "delete a child": "DELETE FROM review WHERE id = 1020",
    "delete a parent that children lose": "DELETE FROM supplier WHERE id = 1",
    "delete a root with its children": "DELETE FROM product WHERE id = 2",
    "delete a subtree": "DELETE FROM category WHERE id = 3",
    "insert into the tree again": "INSERT INTO category VALUES (70, 'new', 1), (71, 'leaf', 70)",
    "fill the tree": "UPDATE product SET category_id = 70 + id % 2",
    "delete all reviews": "DELETE FROM review",
    "insert reviews again": "INSERT INTO review SELECT id, id, 3, name FROM product",
    "truncate children": "TRUNCATE review",
    "write after TRUNCATE": "INSERT INTO review SELECT id, id, 4, name FROM product",
    "delete the roots": "DELETE FROM product",
    "truncate everything": "TRUNCATE category, supplier, product, review, tag, product_tag, line",
    "insert into empty tables": SEED,
    "truncate a parent with what refers to it": "TRUNCATE category CASCADE",
    "seed the leaves": "INSERT INTO review VALUES (1, NULL, 1, 'x') ON CONFLICT DO NOTHING",
}


@dataclass(frozen=True)
class Form:
    """A form of query, and the table declared over it."""

    query: str
    columns: str
    key: str = "id"
    options: dict[str, Any] = field(default_factory=dict)


REBUILT = {"allow_rebuild": True}


def keep(database: Database, form: Form) -> None:
    """Install a form once for each branch of maintenance, and ask the oracle after each step.

    What is kept only by rebuilding is refused otherwise.
    """
    database.execute(SCHEMA)
    database.execute(SEED)
    if form.options == REBUILT:
        with pytest.raises(UnsupportedQuery) as refusal:
            database.tview(form.query, form.columns, form.key)
        assert refusal.value.context["construct"] == "no-route"
    for name in ("small", "bulk"):
        with branch(name):
            database.tview(form.query, form.columns, form.key, table=name, **form.options)
    for step, statement in HISTORY.items():
        database.execute(statement)
        database.check(step)
