"""Queries under new names of the tables and columns that they read, as text."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, connection, transaction

from django_tviews.relational.canonical import canonical_sql, same_query
from django_tviews.relational.renames import Renames, follow
from django_tviews.relational.syntax import Node, children, deparse_select, parse_select
from django_tviews.sql.quoting import identifier

from .fuzz.queries import QueryWriter
from .fuzz.schema import SchemaWriter

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = {
    (None, "product"): ("id", "name", "supplier_id", "price"),
    (None, "supplier"): ("id", "name", "city"),
    (None, "review"): ("id", "product_id", "stars"),
    ("legacy", "stock"): ("id", "amount"),
}


def renamed(query: str, *changes: str) -> str | None:
    """Follow changes like ``product.name > title``, ``product > item`` in a query."""
    tables, columns = {}, {}
    for change in changes:
        old, new = change.split(" > ")
        table, _, column = old.partition(".")
        if column:
            columns[(None, table), column] = new
        else:
            tables[None, table] = (None, new)
    return follow(query, Renames(tables, columns), COLUMNS.get)


def test_without_renames_a_query_is_as_it_was() -> None:
    assert renamed("select p.id\nfrom product as p") == "SELECT p.id FROM product p"


@pytest.mark.parametrize(
    ("query", "changes", "expected"),
    [
        pytest.param(
            "SELECT p.id, p.name FROM product p",
            ["product.name > title"],
            "SELECT p.id, p.title AS name FROM product p",
            id="an output column keeps its name",
        ),
        pytest.param(
            "SELECT p.id, p.name AS label FROM product p WHERE p.name <> ''",
            ["product.name > title"],
            "SELECT p.id, p.title AS label FROM product p WHERE p.title <> ''",
            id="an output column with a name of its own",
        ),
        pytest.param(
            "SELECT id, name::text FROM product",
            ["product.name > title"],
            "SELECT id, title::text AS name FROM product",
            id="a cast has the name of its column",
        ),
        pytest.param(
            "SELECT id, name, upper(name) AS upper FROM product WHERE name > 'a'",
            ["product.name > title"],
            "SELECT id, title AS name, upper(title) AS upper FROM product WHERE title > 'a'",
            id="names alone",
        ),
        pytest.param(
            'SELECT "product"."id" FROM "product" WHERE "product"."name" = $$product.name$$',
            ["product.name > the Title", "product > Item"],
            'SELECT "Item".id FROM "Item" WHERE "Item"."the Title" = \'product.name\'',
            id="a table without an alias, and names to quote",
        ),
        pytest.param(
            "SELECT product.id FROM public.product WHERE public.product.name = ''",
            ["product.name > title"],
            "SELECT product.id FROM public.product WHERE public.product.title = ''",
            id="a schema stays",
        ),
        pytest.param(
            "SELECT product.id FROM public.product WHERE public.product.name = ''",
            ["product > item"],
            "SELECT item.id FROM public.item WHERE item.name = ''",
            id="a table in a schema",
        ),
        pytest.param(
            "SELECT p.name, s.name AS supplier FROM product p JOIN supplier s ON s.id = p.id",
            ["supplier.name > title"],
            "SELECT p.name, s.title AS supplier FROM product p JOIN supplier s ON s.id = p.id",
            id="only the column of that table",
        ),
        pytest.param(
            "SELECT price FROM product, supplier",
            ["product.price > city"],
            "SELECT product.city AS price FROM product, supplier",
            id="a new name alone would mean two columns",
        ),
        pytest.param(
            "SELECT p.id FROM product p WHERE EXISTS (SELECT 1 FROM review WHERE price > stars)",
            ["product.price > stars"],
            "SELECT p.id FROM product p WHERE EXISTS (SELECT 1 FROM review WHERE p.stars > stars)",
            id="a new name alone would mean a column further in",
        ),
        pytest.param(
            "SELECT p.id FROM product p WHERE EXISTS (SELECT 1 FROM review WHERE price > 1)",
            ["review.stars > price"],
            "SELECT p.id FROM product p WHERE EXISTS (SELECT 1 FROM review WHERE p.price > 1)",
            id="a name that stays would mean another column",
        ),
        pytest.param(
            "SELECT a.id FROM product a WHERE a.id IN (SELECT U0.name FROM supplier U0)",
            ["supplier.name > title"],
            "SELECT a.id FROM product a WHERE a.id IN (SELECT u0.title FROM supplier u0)",
            id="nobody sees the names in an IN",
        ),
        pytest.param(
            "SELECT a.id, (SELECT s.name FROM supplier s WHERE s.id = a.id) FROM product a",
            ["supplier.name > title", "product.id > key"],
            "SELECT a.key AS id, (SELECT s.title FROM supplier s WHERE s.id = a.key) AS name "
            "FROM product a",
            id="a subquery gives its name to an output column",
        ),
        pytest.param(
            "SELECT d.name FROM (SELECT p.name, p.id FROM product p) d",
            ["product.name > title"],
            "SELECT d.name FROM (SELECT p.title AS name, p.id FROM product p) d",
            id="a derived table keeps its columns",
        ),
        pytest.param(
            "SELECT d.a FROM (SELECT p.name FROM product p) d(a)",
            ["product.name > title"],
            "SELECT d.a FROM (SELECT p.title AS name FROM product p) d(a)",
            id="a derived table with column aliases",
        ),
        pytest.param(
            "WITH c AS (SELECT name FROM product), d(x) AS (SELECT name FROM c) "
            "SELECT d.x, c.name FROM c, d",
            ["product.name > title"],
            "WITH c AS (SELECT title AS name FROM product), d(x) AS (SELECT name FROM c) "
            "SELECT d.x, c.name FROM c, d",
            id="common table expressions",
        ),
        pytest.param(
            "WITH RECURSIVE r AS (SELECT p.id, name FROM product p UNION "
            "SELECT q.id, r.name FROM r JOIN product q ON q.supplier_id = r.id WHERE r.id > 1), "
            "stop AS (SELECT s.id FROM supplier s) SELECT r.name FROM r",
            ["product.name > title", "product.supplier_id > id2", "supplier.id > key"],
            "WITH RECURSIVE r AS (SELECT p.id, title AS name FROM product p UNION "
            "SELECT q.id, r.name FROM r JOIN product q ON q.id2 = r.id WHERE r.id > 1), "
            "stop AS (SELECT s.key AS id FROM supplier s) SELECT r.name FROM r",
            id="a recursion",
        ),
        pytest.param(
            "WITH product AS (SELECT s.name FROM supplier s) SELECT p.name FROM product p",
            ["product.name > title", "product > item"],
            "WITH product AS (SELECT s.name FROM supplier s) SELECT p.name FROM product p",
            id="a common table expression of the same name",
        ),
        pytest.param(
            "SELECT p.a, p.price FROM product p(a, b, c, price) WHERE b = 1",
            ["product.name > title"],
            "SELECT p.a, p.price FROM product p(a, b, c, price) WHERE b = 1",
            id="columns with names for all of them",
        ),
        pytest.param(
            "SELECT x.id FROM product p, LATERAL (SELECT s.id FROM supplier s WHERE name = s.city"
            " AND p.price > 0) x",
            ["product.price > cost", "supplier.name > title"],
            "SELECT x.id FROM product p, LATERAL (SELECT s.id FROM supplier s "
            "WHERE title = s.city AND p.cost > 0) x",
            id="LATERAL",
        ),
        pytest.param(
            "SELECT product.id FROM product JOIN supplier USING (id, name)",
            ["product.name > title", "supplier.name > title"],
            "SELECT product.id FROM product JOIN supplier USING (id, title)",
            id="USING when both sides change alike",
        ),
        pytest.param(
            "SELECT id, name FROM product JOIN supplier USING (id, name) JOIN review USING (id)",
            ["product.name > title", "supplier.name > title"],
            "SELECT id, title AS name FROM product JOIN supplier USING (id, title) "
            "JOIN review USING (id)",
            id="the one column that USING shows",
        ),
        pytest.param(
            "SELECT review.stars FROM review NATURAL JOIN supplier WHERE city > ''",
            ["supplier.city > town"],
            "SELECT review.stars FROM review NATURAL JOIN supplier WHERE town > ''",
            id="NATURAL when the same columns are equated",
        ),
        pytest.param(
            "SELECT id FROM product ORDER BY name, price, lower(name) LIMIT 3",
            ["product.name > title"],
            "SELECT id FROM product ORDER BY title, price, lower(title) LIMIT 3",
            id="ORDER BY a column",
        ),
        pytest.param(
            "SELECT id, name FROM product ORDER BY name LIMIT 3",
            ["product.name > title"],
            "SELECT id, title AS name FROM product ORDER BY name LIMIT 3",
            id="ORDER BY an output column",
        ),
        pytest.param(
            "SELECT id, price AS title FROM product ORDER BY name LIMIT 3",
            ["product.name > title"],
            "SELECT id, price AS title FROM product ORDER BY product.title LIMIT 3",
            id="ORDER BY what would mean an output column",
        ),
        pytest.param(
            "SELECT ARRAY(SELECT name FROM supplier ORDER BY name) AS names FROM product",
            ["supplier.name > title"],
            "SELECT ARRAY(SELECT title AS name FROM supplier ORDER BY name) AS names FROM product",
            id="ORDER BY an output column that nobody else sees",
        ),
        pytest.param(
            "SELECT lower(name) AS name, count(*) FROM product GROUP BY name HAVING max(name) > ''",
            ["product.name > title"],
            "SELECT lower(title) AS name, count(*) FROM product GROUP BY title "
            "HAVING max(title) > ''",
            id="GROUP BY prefers a column",
        ),
        pytest.param(
            "SELECT lower(p.city) AS name FROM supplier p, LATERAL (SELECT 1 AS one) o "
            "GROUP BY one, p.city",
            ["supplier.city > town"],
            "SELECT lower(p.town) AS name FROM supplier p, LATERAL (SELECT 1 AS one) o "
            "GROUP BY one, p.town",
            id="GROUP BY a column of a derived table",
        ),
        pytest.param(
            "SELECT DISTINCT ON (name) name, price FROM product ORDER BY name, price",
            ["product.name > title", "product.price > cost"],
            "SELECT DISTINCT ON (name) title AS name, cost AS price FROM product "
            "ORDER BY name, price",
            id="DISTINCT ON",
        ),
        pytest.param(
            "SELECT sum(price) FILTER (WHERE name > '') AS s, "
            "rank() OVER (PARTITION BY name ORDER BY price) AS r FROM product",
            ["product.name > title", "product.price > r"],
            "SELECT sum(r) FILTER (WHERE title > '') AS s, "
            "rank() OVER (PARTITION BY title ORDER BY r) AS r FROM product",
            id="aggregates and windows name columns only",
        ),
        pytest.param(
            "SELECT p.name FROM product p UNION SELECT name FROM supplier ORDER BY name",
            ["product.name > title", "supplier.name > label"],
            "SELECT p.title AS name FROM product p UNION SELECT label FROM supplier ORDER BY name",
            id="UNION",
        ),
        pytest.param(
            "SELECT * FROM review WHERE EXISTS (SELECT * FROM product WHERE name = '')",
            ["product.name > title"],
            "SELECT * FROM review WHERE EXISTS (SELECT * FROM product WHERE title = '')",
            id="a star that shows no new name",
        ),
        pytest.param(
            "SELECT product.* FROM product",
            ["product > item"],
            "SELECT item.* FROM item",
            id="a star of a renamed table",
        ),
        pytest.param(
            "SELECT product.id FROM product, supplier s, review item",
            ["product > item"],
            "SELECT product.id FROM item product, supplier s, review item",
            id="a new table name that is taken",
        ),
        pytest.param(
            "SELECT product.id, supplier.city FROM product, supplier",
            ["product > supplier", "supplier > product"],
            "SELECT product.id, supplier.city FROM supplier product, product supplier",
            id="two tables that change names",
        ),
        pytest.param(
            "SELECT p.id, p.price, p.name FROM product p",
            ["product.price > name", "product.name > price"],
            "SELECT p.id, p.name AS price, p.price AS name FROM product p",
            id="two columns that change names",
        ),
        pytest.param(
            "SELECT product.id FROM product WHERE EXISTS (SELECT 1 FROM product WHERE name = '')",
            ["product > item", "product.name > title"],
            "SELECT item.id FROM item WHERE EXISTS (SELECT 1 FROM item WHERE title = '')",
            id="one table inside itself",
        ),
        pytest.param(
            "SELECT u.x FROM unknown u, product p WHERE u.name = p.name",
            ["product.name > title"],
            "SELECT u.x FROM unknown u, product p WHERE u.name = p.title",
            id="a table whose columns are not known",
        ),
        pytest.param(
            "SELECT name FROM product, unknown",
            ["product.name > title"],
            "SELECT product.title AS name FROM product, unknown",
            id="a new name alone might be that of an unknown column",
        ),
        pytest.param(
            "SELECT p.id, f.name FROM product p, unnest(ARRAY[p.name]) f(name)",
            ["product.name > title"],
            "SELECT p.id, f.name FROM product p, unnest(ARRAY[p.title]) f(name)",
            id="a function in FROM",
        ),
        pytest.param(
            "SELECT to_jsonb(d) AS document FROM (SELECT p.name FROM product p) d",
            ["product.name > title"],
            "SELECT to_jsonb(d) AS document FROM (SELECT p.title AS name FROM product p) d",
            id="whole rows of a derived table",
        ),
    ],
)
def test_a_query_follows(query: str, changes: list[str], expected: str) -> None:
    assert renamed(query, *changes) == canonical_sql(expected)


@pytest.mark.parametrize(
    ("query", "change"),
    [
        pytest.param("SELECT * FROM product", "product.name > title", id="a star"),
        pytest.param("SELECT p.* FROM product p", "product.name > title", id="a star of one"),
        pytest.param(
            "SELECT 1 FROM product JOIN supplier USING (name)",
            "product.name > title",
            id="USING of two names",
        ),
        pytest.param(
            "SELECT p.id FROM product p, LATERAL (SELECT name FROM unknown) u",
            "product.name > title",
            id="an unknown table further in",
        ),
        pytest.param(
            "SELECT 1 FROM product NATURAL JOIN supplier", "product.name > title", id="NATURAL"
        ),
        pytest.param(
            "SELECT 1 FROM supplier NATURAL JOIN product",
            "product.price > city",
            id="NATURAL of one column more",
        ),
        pytest.param(
            "SELECT to_jsonb(p) AS d FROM product p", "product.name > title", id="a whole row"
        ),
        pytest.param(
            "SELECT name(p) FROM product p", "product.name > title", id="a column as a function"
        ),
        pytest.param(
            "SELECT (p).name FROM product p", "product.name > title", id="a column of a whole row"
        ),
        pytest.param(
            "SELECT p.x FROM product p(x)", "product.name > title", id="names for some columns"
        ),
        pytest.param("SELECT NULL::product AS p FROM supplier", "product > item", id="a row type"),
        pytest.param(
            "SELECT 'product'::regclass AS p FROM product", "product > item", id="a name in text"
        ),
        pytest.param(
            "WITH item AS (SELECT 1) SELECT product.id FROM product, item",
            "product > item",
            id="the name of a common table expression",
        ),
        pytest.param(
            "WITH RECURSIVE r AS (SELECT p.id FROM product p UNION SELECT r.id FROM r) "
            "CYCLE id SET looped USING path SELECT r.id FROM r",
            "product.id > key",
            id="a recursion with columns of its own",
        ),
        pytest.param(
            "SELECT lower(s.city) AS town FROM supplier s GROUP BY town",
            "supplier.city > town",
            id="GROUP BY an output column that would be a column",
        ),
        pytest.param(
            "SELECT id FROM product FOR UPDATE OF product", "product > item", id="FOR UPDATE"
        ),
    ],
)
def test_a_query_whose_text_does_not_tell_is_not_followed(query: str, change: str) -> None:
    assert renamed(query, change) is None


def test_a_table_is_known_with_its_schema_or_without() -> None:
    renames = Renames(
        {("legacy", "stock"): ("archive", "stock")}, {(("legacy", "stock"), "amount"): "count"}
    )
    query = "SELECT stock.amount, legacy.stock.id FROM legacy.stock"
    assert follow(query, renames, COLUMNS.get) == (
        "SELECT stock.count AS amount, stock.id FROM archive.stock"
    )


def test_following_there_and_back_is_the_same_query() -> None:
    query = "SELECT p.id, p.name AS name FROM product p WHERE p.name > ''"
    there = renamed(query, "product.name > title", "product > item")
    renames = Renames({(None, "item"): (None, "product")}, {((None, "item"), "title"): "name"})
    back = follow(there, renames, {(None, "item"): ("id", "title")}.get)
    assert same_query(back, query)


def new_names(random: Random, tables: Mapping[str, list[str]]) -> Renames:
    """New names for some of what there is, among them names that others have or have had."""
    renames = Renames({}, {})
    free = [f"fresh {number}" for number in range(len(tables))]
    for table, columns in tables.items():
        if random.random() < 0.4:
            renames.tables[None, table] = (None, free.pop())
        spare = ["id", "name", "x", "key_1", *random.sample(columns, 1)]
        for column in random.sample(columns, random.randint(0, len(columns))):
            new = random.choice(spare)
            taken = {renames.columns.get(((None, table), each), each) for each in columns}
            if new not in taken:
                renames.columns[(None, table), column] = new
    return renames


def columns_of_tables() -> dict[str, list[str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
            " WHERE relnamespace = 'renamed'::regnamespace AND relkind IN ('r', 'p')"
            " AND attnum > 0 AND NOT attisdropped AND attrelid NOT IN"
            " (SELECT unnest(ARRAY[inhrelid, inhparent]) FROM pg_inherits)"
            " ORDER BY attrelid, attnum"
        )
        tables: dict[str, list[str]] = {}
        for table, column in cursor.fetchall():
            tables.setdefault(table, []).append(column)
    return tables


def as_seen(sql: str) -> str:
    """A query without the names of output columns that nothing outside their SELECT can use."""
    select = parse_select(sql)
    forget_unseen_names(select)
    return deparse_select(select)


def forget_unseen_names(node: Node) -> None:
    kind = node.DESCRIPTOR.name
    if kind == "SubLink":
        unseen = [node.subselect.select_stmt]
    elif kind == "SelectStmt" and node.HasField("larg"):
        unseen = [node.rarg]
    else:
        unseen = []
    while unseen:
        select = unseen.pop()
        if select.HasField("larg"):
            unseen += [select.larg, select.rarg]
        for target in select.target_list:
            target.res_target.name = ""
    for child in children(node):
        forget_unseen_names(child)


def followed_as_the_server_does(number: int) -> bool:
    """Compare the text of a random query that has followed with a view that has."""
    random = Random(f"renames {number}")
    schema = SchemaWriter(random, virtual=False)
    statements = schema.write()
    query = QueryWriter(random, list(schema.tables)).tview().sql
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA renamed; SET LOCAL search_path = renamed", None)
        for statement in statements:
            cursor.execute(statement, None)
        try:
            cursor.execute(f"CREATE VIEW before AS {query}", None)
        except DatabaseError:
            # The grammar also writes what PostgreSQL refuses.
            transaction.set_rollback(True)
            return False
        tables = columns_of_tables()
        renames = new_names(random, tables)
        followed = follow(query, renames, lambda name: tables.get(name[1]))
        for ((_, table), column), new in renames.columns.items():
            change = f"RENAME {identifier(column)} TO {identifier(new)}"
            cursor.execute(f"ALTER TABLE {identifier(table)} {change}", None)
        for (_, table), (_, new) in renames.tables.items():
            cursor.execute(f"ALTER TABLE {identifier(table)} RENAME TO {identifier(new)}", None)
        if followed is not None:
            cursor.execute(f"CREATE VIEW after AS {followed}", None)
            cursor.execute(
                "SELECT pg_get_viewdef('before'::regclass), pg_get_viewdef('after'::regclass)"
            )
            before, after = cursor.fetchone()
            assert same_query(as_seen(before), as_seen(after)), f"{query}\n{followed}"
        transaction.set_rollback(True)
    return followed is not None


def test_random_queries_follow_as_views_do(db: None) -> None:
    followed = [followed_as_the_server_does(number) for number in range(30)]
    assert sum(followed) > len(followed) / 2
