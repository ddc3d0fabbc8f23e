"""Rows of a TView that come and go with one row of a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError

from django_tviews.plan.roots import Root

from .plans import planned

if TYPE_CHECKING:
    from .harness import Database


def roots(query: str, types: str, key: str) -> list[str]:
    """Plan a query and write after which events a whole row is patched: ``product INSERT DELETE``."""
    return [
        " ".join([source.relation.name, *events])
        for source in planned(query, types, key, allow_rebuild=True).sources
        if (
            events := [
                event
                for event in ("INSERT", "UPDATE", "DELETE")
                if isinstance(source.shortcut_of(event), Root)
            ]
        )
    ]


_BOTH = ["product INSERT DELETE"]
_DELETE = ["product DELETE"]


@pytest.mark.parametrize(
    ("query", "types", "expected"),
    [
        pytest.param("SELECT id, name FROM product", "bigint, text", _BOTH, id="a table"),
        pytest.param(
            "SELECT p.id, m.name FROM product p JOIN maker m ON m.id = p.maker_id "
            "LEFT JOIN category c ON c.id = p.category_id",
            "bigint, text",
            _BOTH,
            id="parents",
        ),
        pytest.param(
            "SELECT p.id, (SELECT count(*) FROM review r WHERE r.product_id = p.id) AS n "
            "FROM product p WHERE EXISTS (SELECT FROM tag t WHERE t.product_id = p.id)",
            "bigint, bigint",
            _BOTH,
            id="subqueries",
        ),
        pytest.param(
            "SELECT p.id, p.name, count(r.id) AS n FROM product p "
            "LEFT JOIN review r ON r.product_id = p.id GROUP BY p.id, p.name",
            "bigint, text, bigint",
            _BOTH,
            id="groups of children",
        ),
        pytest.param(
            "SELECT p.id, m.name FROM product p JOIN maker m ON m.id = p.id",
            "bigint, text",
            _BOTH,
            id="a row beside it",
        ),
        pytest.param(
            "SELECT p.id, t.name FROM product p JOIN tag t ON t.product_id = p.id",
            "bigint, text",
            _DELETE,
            id="children",
        ),
        pytest.param(
            "SELECT p.id, m.name FROM product p JOIN maker m ON m.id > p.maker_id",
            "bigint, text",
            _DELETE,
            id="any number of parents",
        ),
        pytest.param(
            "SELECT p.id, g AS n FROM product p, generate_series(1, 2) AS g",
            "bigint, integer",
            _DELETE,
            id="a function",
        ),
        pytest.param(
            "SELECT p.id, generate_series(1, 2) AS n FROM product p",
            "bigint, integer",
            _DELETE,
            id="a function that is shown",
        ),
        pytest.param(
            "WITH RECURSIVE maker (i) AS "
            "(SELECT 1 UNION ALL SELECT maker.i + 1 FROM maker WHERE maker.i < 3) "
            "SELECT p.id, p.name FROM product p, maker",
            "bigint, text",
            _DELETE,
            id="recursion",
        ),
        pytest.param(
            "SELECT p.id, x.n FROM product p, "
            "LATERAL (SELECT count(*) AS n, generate_series(1, 2) FROM review r "
            "WHERE r.product_id = p.id) AS x",
            "bigint, bigint",
            _DELETE,
            id="a derived table",
        ),
        pytest.param("SELECT DISTINCT id FROM product", "bigint", _DELETE, id="DISTINCT"),
        pytest.param("SELECT maker_id AS id FROM product", "bigint", [], id="no key of a source"),
        pytest.param("SELECT id + 1 AS id FROM product", "bigint", [], id="a computed key"),
        pytest.param(
            "SELECT id FROM product UNION SELECT id FROM maker", "bigint", [], id="another source"
        ),
        pytest.param(
            "SELECT p.id FROM maker m LEFT JOIN product p ON p.maker_id = m.id "
            "WHERE p.id IS NOT NULL",
            "bigint",
            [],
            id="a nullable side",
        ),
        pytest.param(
            "SELECT a.id, (SELECT count(*) FROM product b WHERE b.category_id = a.id) AS n "
            "FROM product a",
            "bigint, bigint",
            [],
            id="another occurrence",
        ),
    ],
)
def test_rows_come_and_go_with_those_of_a_source(
    query: str, types: str, expected: list[str]
) -> None:
    assert roots(query, types, "id") == expected


_TVIEWS = (
    (
        "SELECT p.id, p.title, a.name FROM post p JOIN author a ON a.id = p.author "
        "WHERE p.title <> 'hidden'",
        "id integer, title text, name text",
    ),
    (
        "SELECT p.id, p.title, (SELECT count(*) FROM note n WHERE n.post = p.id) AS notes FROM post p",
        "id integer, title text, notes bigint",
    ),
    (
        "SELECT p.id, count(n.id) AS notes, min(p.title) AS title FROM post p "
        "LEFT JOIN note n ON n.post = p.id GROUP BY p.id",
        "id integer, notes bigint, title text NULL",
    ),
    (
        "SELECT n.post, n.id, n.body FROM note n WHERE n.post IS NOT NULL",
        "post integer, id integer, body text NULL",
        "post, id",
    ),
    (
        "SELECT f.id, string_agg(f.body, ',' ORDER BY f.body) AS bodies FROM folder f GROUP BY f.id",
        "id integer, bodies text NULL",
    ),
    ("SELECT r.id, r.note FROM reply r", "id integer, note integer NULL"),
    ("SELECT e.id, e.day, e.what FROM event e", "id integer, day integer, what text", "id, day"),
)

_STATEMENTS = (
    "INSERT INTO post VALUES (3, 1, 'third')",
    "INSERT INTO post VALUES (4, 9, 'without an author')",
    "INSERT INTO post VALUES (5, 1, 'hidden')",
    "INSERT INTO author VALUES (9, 'late')",
    "DELETE FROM post WHERE id = 4",
    "DELETE FROM post WHERE id = 5",
    "DELETE FROM post WHERE id = 1",
    "INSERT INTO post VALUES (1, 2, 'again')",
    "INSERT INTO post VALUES (1, 2, 'twice') ON CONFLICT (id) DO UPDATE SET title = 'upserted'",
    "INSERT INTO post VALUES (1, 2, 'not at all') ON CONFLICT DO NOTHING",
    "MERGE INTO post USING (VALUES (1), (8)) AS v (id) ON v.id = post.id "
    "WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (v.id, 1, 'merged')",
    "WITH gone AS (DELETE FROM post WHERE id = 8 RETURNING *) "
    "INSERT INTO post SELECT id + 1, author, title FROM gone",
    "WITH gone AS (DELETE FROM note WHERE post = 2 RETURNING *) DELETE FROM post WHERE id = 2",
    "UPDATE post SET id = 20 WHERE id = 9",
    "INSERT INTO note VALUES (7, 20, 'one')",
    "INSERT INTO note VALUES (8, 3, 'two')",
    "DELETE FROM note WHERE id = 7",
    "INSERT INTO reply VALUES (1, 8)",
    # What cascades goes first.
    "DELETE FROM note WHERE id = 8",
    "DELETE FROM post WHERE id = 3",
    # Triggers: what they put back, move or take away, before and after.
    "INSERT INTO post VALUES (30, 1, 'moves')",
    "DELETE FROM post WHERE id = 30",
    "INSERT INTO post VALUES (31, 1, 'vanishes')",
    "INSERT INTO post VALUES (32, 1, 'stays')",
    "DELETE FROM post WHERE id = 32",
    # A key of the one table may be one of the other, too.
    "INSERT INTO folder VALUES (1, 'a')",
    "INSERT INTO subfolder VALUES (1, 'b')",
    "DELETE FROM subfolder WHERE id = 1",
    "INSERT INTO subfolder VALUES (1, 'c')",
    "DELETE FROM ONLY folder WHERE id = 1",
    "INSERT INTO event VALUES (1, 1, 'early'), (1, 20, 'late')",
    "INSERT INTO event_late VALUES (2, 21, 'direct')",
    "DELETE FROM event WHERE id = 2",
    "DELETE FROM event_early WHERE id = 1",
    "UPDATE event SET day = 2 WHERE day = 20",
    "DELETE FROM event",
)


@pytest.fixture
def posts(database: Database) -> Database:
    database.execute(
        """
        CREATE TABLE author (id integer PRIMARY KEY, name text NOT NULL);
        CREATE TABLE post (id integer PRIMARY KEY, author integer NOT NULL, title text NOT NULL);
        CREATE TABLE note (id integer PRIMARY KEY, post integer, body text);
        CREATE TABLE reply (id integer PRIMARY KEY, note integer REFERENCES note ON DELETE CASCADE);
        CREATE TABLE folder (id integer PRIMARY KEY, body text);
        CREATE TABLE subfolder (PRIMARY KEY (id)) INHERITS (folder);
        CREATE TABLE event (id integer, day integer, what text NOT NULL, PRIMARY KEY (id, day))
            PARTITION BY RANGE (day);
        CREATE TABLE event_early PARTITION OF event FOR VALUES FROM (0) TO (10);
        CREATE TABLE event_late PARTITION OF event FOR VALUES FROM (10) TO (100);
        CREATE FUNCTION on_post() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' AND OLD.title = 'stays' THEN
                INSERT INTO post VALUES (OLD.id, OLD.author, 'put back');
            ELSIF TG_OP = 'INSERT' AND NEW.title = 'moves' THEN
                UPDATE post SET author = 2, title = 'moved' WHERE id = NEW.id;
            ELSIF TG_OP = 'INSERT' AND NEW.title = 'vanishes' THEN
                DELETE FROM post WHERE id = NEW.id;
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER on_post AFTER INSERT OR DELETE ON post
            FOR EACH ROW EXECUTE FUNCTION on_post();
    """.replace("    body text, post", "    post")
    )
    database.execute("INSERT INTO author VALUES (1, 'Ada'), (2, 'Bob')")
    database.execute("INSERT INTO post VALUES (1, 1, 'first'), (2, 2, 'second')")
    for form in _TVIEWS:
        database.tview(*form)
    return database


def test_rows_are_exact_whatever_brings_those_of_their_source_and_takes_them(
    posts: Database,
) -> None:
    posts.run(*_STATEMENTS)


def test_a_row_stays_with_one_that_was_put_back_behind_our_back(posts: Database) -> None:
    posts.execute("""
        CREATE FUNCTION put_back() RETURNS trigger LANGUAGE plpgsql
            SET session_replication_role = replica
        AS $$
        BEGIN
            INSERT INTO post VALUES (OLD.id, 2, 'put back');
            RETURN NULL;
        END $$;
        CREATE TRIGGER put_back AFTER DELETE ON post FOR EACH ROW EXECUTE FUNCTION put_back();
    """)
    posts.run("DELETE FROM post WHERE id = 1")


def test_a_row_that_is_there_already_is_brought_up_to_date(posts: Database) -> None:
    for statement in ("DELETE FROM post WHERE id = 2", "INSERT INTO author VALUES (9, 'late')"):
        posts.execute("SET session_replication_role = replica")
        posts.execute(statement)
        posts.execute("SET session_replication_role = origin")
    posts.execute("INSERT INTO post VALUES (2, 9, 'another')")
    posts.check("a row that nobody has taken away")


def test_a_new_row_with_two_rows_for_its_key_is_refused_by_name(posts: Database) -> None:
    posts.tview(
        "SELECT p.id, a.name FROM post p JOIN author a ON a.id > p.author", "id integer, name text"
    )
    posts.execute("INSERT INTO post VALUES (3, 2, 'none')")
    posts.execute("INSERT INTO post VALUES (4, 1, 'one')")
    posts.check("no row and one row")
    with pytest.raises(DatabaseError, match="several rows for one key"):
        posts.execute("INSERT INTO post VALUES (5, 0, 'two')")
