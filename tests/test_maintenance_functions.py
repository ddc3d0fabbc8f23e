"""Functions that give rows, and VALUES: kept through every statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.matrix import REBUILT, SCHEMA, SEED, Form, branch, keep

if TYPE_CHECKING:
    from tests.harness import Database

FORMS = {
    "VALUES beside a table": Form(
        "SELECT p.id, v.label, p.price * v.factor AS price FROM product p CROSS JOIN "
        "(VALUES ('net'::text, 1::numeric), ('gross', 1.19)) AS v (label, factor)",
        "id integer, label text, price numeric(12, 2)",
        "id, label",
    ),
    "VALUES that a column joins": Form(
        "SELECT c.id, v.title, count(p.id) AS n FROM category c JOIN (VALUES ('books'::text, "
        "'Books & more'::text), ('toys', 'Toys'), ('toys', 'Games')) AS v (name, title) "
        "ON v.name = c.name LEFT JOIN product p ON p.category_id = c.id GROUP BY c.id, v.title",
        "id integer, title text, n bigint",
        "id, title",
    ),
    "VALUES that a left join may miss": Form(
        "SELECT r.id, coalesce(v.word, 'none') AS word FROM review r "
        "LEFT JOIN (VALUES (1, 'bad'::text), (5, 'good')) AS v (stars, word) ON v.stars = r.stars",
        "id integer, word text",
        "id, word",
    ),
    "VALUES of a row's own columns": Form(
        "SELECT p.id, v.kind, v.supplier_id FROM product p CROSS JOIN LATERAL "
        "(VALUES ('first'::text, p.supplier_id), ('backup', p.backup_id)) AS v (kind, supplier_id)",
        "id integer, kind text, supplier_id integer NULL",
        "id, kind",
    ),
    "VALUES in a UNION": Form(
        "SELECT id, name FROM category UNION ALL VALUES (-1, 'none'), (-2, 'all')",
        "id integer, name text",
    ),
    "IN VALUES": Form(
        "SELECT id FROM product WHERE (category_id, active) IN (VALUES (2, true), (3, false))",
        "id integer",
    ),
    "generate_series": Form(
        "SELECT l.order_id, l.number, g.place FROM line l CROSS JOIN "
        "generate_series(1, l.quantity) AS g (place)",
        "order_id integer, number integer, place integer",
        "order_id, number, place",
    ),
    "a calendar of constants": Form(
        "SELECT d.day::date AS day, count(p.id) AS n FROM generate_series("
        "'2024-01-01'::timestamp, '2024-01-03'::timestamp, '1 day'::interval) AS d (day) "
        "LEFT JOIN product p ON (p.added AT TIME ZONE 'UTC')::date = d.day::date GROUP BY 1",
        "day date NULL, n bigint",
        "day",
    ),
    "regexp_split_to_table as a group": Form(
        "SELECT w.word, count(*) AS n FROM review r CROSS JOIN "
        "regexp_split_to_table(r.body, '\\s+') AS w (word) GROUP BY w.word",
        "word text, n bigint",
        "word",
    ),
    "string_to_table in the select list, grouped": Form(
        "SELECT string_to_table(name, 'a') AS part, count(*) AS n, max(id) AS last "
        "FROM product GROUP BY 1",
        "part text, n bigint, last integer",
        "part",
    ),
    "two functions in step": Form(
        "SELECT x.id, coalesce(x.a, 0) AS a, coalesce(x.b, 0) AS b FROM (SELECT id, "
        "generate_series(1, quantity) AS a, generate_series(5, 6) AS b FROM ("
        "SELECT order_id * 100 + number AS id, quantity FROM line) l) x",
        "id integer, a integer, b integer",
        "id, a, b",
    ),
    "a function over rows that a left join may miss": Form(
        "SELECT p.id, g.n FROM product p LEFT JOIN review r ON r.product_id = p.id "
        "CROSS JOIN LATERAL generate_series(r.stars, 5) AS g (n) GROUP BY p.id, g.n",
        "id integer, n integer",
        "id, n",
    ),
    "a left join of a function": Form(
        "SELECT p.id, coalesce(w.word, '') AS word, count(*) AS n FROM product p "
        "LEFT JOIN review r ON r.product_id = p.id "
        "LEFT JOIN LATERAL string_to_table(r.body, ' ') AS w (word) ON length(w.word) > 2 "
        "GROUP BY 1, 2",
        "id integer, word text, n bigint",
        "id, word",
    ),
    "a function that leads to another table": Form(
        "SELECT r.id, t.id AS tag_id FROM review r CROSS JOIN string_to_table(r.body, ' ') "
        "AS w (word) JOIN tag t ON t.label = w.word",
        "id integer, tag_id integer",
        "id, tag_id",
    ),
    "a function in a sublink": Form(
        "SELECT t.id, (SELECT count(*) FROM review r, string_to_table(r.body, 'e') w "
        "WHERE w = left(t.label, 1)) AS n FROM tag t",
        "id integer, n bigint",
    ),
    "IN the rows of a function": Form(
        "SELECT p.id FROM product p WHERE p.id IN (SELECT generate_series(l.order_id, l.quantity) "
        "FROM line l WHERE l.product_id <> p.id)",
        "id integer",
    ),
    "a window over the rows of a function": Form(
        "SELECT r.id, w.n, w.word, count(*) OVER (PARTITION BY w.word) AS uses FROM review r "
        "CROSS JOIN string_to_table(r.body, ' ') WITH ORDINALITY AS w (word, n)",
        "id integer, n bigint, word text NULL, uses bigint",
        "id, n",
    ),
    "an aggregate over the rows of a function, in order": Form(
        "SELECT r.product_id, array_agg(w.word ORDER BY r.id, w.n) AS words FROM review r "
        "CROSS JOIN string_to_table(r.body, ' ') WITH ORDINALITY AS w (word, n) "
        "WHERE r.product_id IS NOT NULL GROUP BY r.product_id",
        "product_id integer, words text[]",
        "product_id",
    ),
    "a function over aggregated values": Form(
        "SELECT product_id, n FROM (SELECT product_id, generate_series(1, count(*)) AS n "
        "FROM review WHERE product_id IS NOT NULL GROUP BY product_id) x WHERE n IS NOT NULL",
        "product_id integer, n bigint",
        "product_id, n",
        REBUILT,
    ),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_form_is_kept_through_every_kind_of_statement(database: Database, form: Form) -> None:
    keep(database, form)


@pytest.fixture
def labelled(maintained: Database) -> Database:
    """Rows with arrays and documents."""
    maintained.execute("""
        CREATE TABLE page (id integer PRIMARY KEY, labels text[], data jsonb);
        CREATE TABLE label (name text PRIMARY KEY, title text NOT NULL);
        INSERT INTO page VALUES (1, '{a,b}', '{"x": [1, 2], "y": null}'), (2, '{}', '{}'),
            (3, NULL, NULL), (4, '{b,NULL,c}', '{"x": ["1", {"z": 2}]}');
        INSERT INTO label VALUES ('a', 'Alpha'), ('b', 'Beta');
    """)
    return maintained


@pytest.mark.parametrize(
    ("query", "columns", "key"),
    [
        (
            "SELECT p.id, l.n, l.name FROM page p CROSS JOIN unnest(p.labels) WITH ORDINALITY "
            "AS l (name, n)",
            "id integer, n bigint, name text NULL",
            "id, n",
        ),
        (
            "SELECT l AS label, count(*) AS n FROM page p, unnest(p.labels) l "
            "WHERE l IS NOT NULL GROUP BY l",
            "label text, n bigint",
            "label",
        ),
        (
            "SELECT x.label, array_agg(x.id ORDER BY x.id) AS pages FROM (SELECT id, "
            "unnest(labels) AS label FROM page) x JOIN label l ON l.name = x.label GROUP BY 1",
            "label text, pages integer[]",
            "label",
        ),
        (
            "SELECT l.name, l.title, (SELECT count(*) FROM page p, unnest(p.labels) AS x (name) "
            "WHERE x.name = l.name) AS n FROM label l",
            "name text, title text, n bigint",
            "name",
        ),
        (
            "SELECT p.id, j.key, j.value, k.title FROM page p CROSS JOIN LATERAL "
            "jsonb_each_text(p.data) j LEFT JOIN label k ON k.name = j.key",
            "id integer, key text, value text NULL, title text NULL",
            "id, key",
        ),
        (
            "SELECT p.id, e.place, e.value FROM page p LEFT JOIN LATERAL jsonb_array_elements("
            "p.data -> 'x') WITH ORDINALITY AS e (value, place) ON true WHERE e.place IS NOT NULL",
            "id integer, place bigint, value jsonb NULL",
            "id, place",
        ),
        (
            "SELECT id, jsonb_object_keys(data) AS key FROM page",
            "id integer, key text",
            "id, key",
        ),
        (
            "SELECT jsonb_object_keys(data) AS key, count(*) AS n, max(id) AS last FROM page "
            "GROUP BY jsonb_object_keys(data)",
            "key text, n bigint, last integer",
            "key",
        ),
        (
            "SELECT j.key, count(*) AS n FROM page p, jsonb_each(p.data) AS j GROUP BY j.key",
            "key text, n bigint",
            "key",
        ),
        (
            "SELECT p.id, o.id AS other FROM page p CROSS JOIN LATERAL (SELECT x.id FROM page x "
            "WHERE x.labels && p.labels AND x.id <> p.id ORDER BY x.id LIMIT 2) o",
            "id integer, other integer",
            "id, other",
        ),
        (
            "SELECT p.id, u.n, u.a, u.b FROM page p, ROWS FROM (unnest(p.labels), "
            "jsonb_object_keys(p.data)) WITH ORDINALITY AS u (a, b, n)",
            "id integer, n bigint, a text NULL, b text NULL",
            "id, n",
        ),
    ],
)
def test_the_elements_of_values_are_rows(
    labelled: Database, query: str, columns: str, key: str
) -> None:
    labelled.tview(query, columns, key)
    labelled.run(
        "INSERT INTO page VALUES (5, '{c,d}', '{\"x\": [[]]}')",
        "INSERT INTO label VALUES ('c', 'Gamma'), ('x', 'Ex')",
        "UPDATE page SET labels = labels || '{e}', data = data || '{\"q\": 1}'",
        "UPDATE page SET labels = '{c,NULL}' WHERE id = 4",
        "UPDATE label SET name = 'e' WHERE name = 'b'",
        "UPDATE page SET labels = NULL, data = data - 'x' WHERE id < 3",
        "UPDATE page SET id = id + 10",
        "WITH x AS (DELETE FROM page WHERE id = 15 RETURNING id), "
        "y AS (UPDATE label SET name = name || name) INSERT INTO page SELECT 15, '{aa}', NULL FROM x",
        "DELETE FROM label",
        "DELETE FROM page",
    )


def test_an_update_that_keeps_the_elements_still_sees_them(database: Database) -> None:
    database.execute(SCHEMA)
    database.execute(SEED)
    with branch("bulk"):
        database.tview(
            "SELECT p.id, n FROM product p CROSS JOIN generate_series(1, 2) AS g (n)",
            "id integer, n integer",
            "id, n",
        )
    database.run("UPDATE product SET id = id + 100", "DELETE FROM product WHERE id > 103")
