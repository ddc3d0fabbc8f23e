"""Patches: only the columns that can have changed are evaluated and written."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING

import hypothesis
import pytest
from django.db import IntegrityError
from hypothesis import strategies as st

from django_tviews.definition import Column, Declaration
from django_tviews.plan.plan import Strategy
from django_tviews.plan.planner import make_plan
from django_tviews.relational.parts import find_parts

from .harness import branch, fresh_database, strategies
from .plans import FACTS, tree_of

if TYPE_CHECKING:
    from django_tviews.plan.plan import Plan

    from .harness import Database


def patches(query: str, key: str = "id", mode: str = "immediate") -> list[str]:
    """Plan a query and write what becomes of changes of each source that are not recomputed.

    ``maker name, country UNLESS id``: the columns that are patched after an UPDATE, and those of the
    source that must not have changed; ``review n ALWAYS`` where INSERT and DELETE are the same.
    """
    plan = planned(query, key, mode)
    found = []
    for source in plan.sources:
        if source.patch is not None:
            columns = ", ".join(map(str, source.patch.columns))
            unless = ", ".join(source.patch.deciding)
            end = f"UNLESS {unless}" if source.patch.decides else "ALWAYS"
            found.append(f"{source.relation.name} {columns} {end}")
    return found


def planned(query: str, key: str, mode: str = "immediate") -> Plan:
    """Plan a query whose columns are bigint, or jsonb if called data."""
    tree = tree_of(query)
    return make_plan(
        Declaration(
            "shop.Card",
            "card",
            query,
            tuple(
                Column(
                    each.name,
                    "jsonb" if each.name == "data" else "bigint",
                    each.name not in key.split(", "),
                    each.name,
                )
                for each in tree.outputs
            ),
            tuple(key.split(", ")),
            mode=mode,
        ),
        tree,
        FACTS,
        schema="shop",
        runtime_schema="public",
        parts=find_parts(query, FACTS),
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            "SELECT p.id, p.name, m.name AS maker, upper(m.country) AS land "
            "FROM product p JOIN maker m ON m.id = p.maker_id",
            ["product name UNLESS id, maker_id", "maker maker, land UNLESS id"],
        ),
        # A nullable side, and one that is joined twice.
        (
            "SELECT p.id, c.name AS category, parent.name || c.name AS both_names FROM product p "
            "LEFT JOIN category c ON c.id = p.category_id "
            "LEFT JOIN category parent ON parent.id = c.parent_id",
            ["category category, both_names UNLESS id, parent_id"],
        ),
        # What finds the rows of one occurrence decides, whatever the other one reads.
        (
            "SELECT p.id, m.country, other.name FROM product p JOIN maker m ON m.id = p.maker_id "
            "LEFT JOIN maker other ON other.country = m.country",
            ["maker name UNLESS id, country"],
        ),
        # A condition, and an order that decides nothing.
        (
            "SELECT p.id, p.name, p.weight FROM product p WHERE p.price > 3 AND p.weight > 1 "
            "ORDER BY p.name",
            ["product name UNLESS id, price, weight"],
        ),
        # What groups show of a row that all of theirs have.
        *(
            (
                f"SELECT m.id, m.name, upper(m.country) AS land, {total} AS n FROM maker m "
                f"LEFT JOIN product p ON {condition} GROUP BY m.id, m.name, upper(m.country)",
                expected,
            )
            for total, condition, expected in (
                ("count(p.id)", "p.maker_id = m.id", ["maker name, land UNLESS id"]),
                (
                    "count(p.id || m.name)",
                    "p.maker_id = m.id",
                    ["maker land UNLESS id, name"],
                ),
                (
                    "count(p.id) FILTER (WHERE m.country = 'fr')",
                    "p.maker_id = m.id",
                    ["maker name UNLESS id, country"],
                ),
                (
                    "max(p.id)",
                    "p.maker_id = m.id AND m.name <> p.name",
                    ["maker land UNLESS id, name"],
                ),
            )
        ),
        (
            "SELECT r.product_id AS id, p.name, count(*) AS n FROM review r JOIN product p "
            "ON p.id = r.product_id WHERE p.price > 3 GROUP BY r.product_id, p.name",
            ["product name UNLESS id, price"],
        ),
        (
            "SELECT p.maker_id AS id, p.category_id, count(*) AS n FROM product p GROUP BY 1, 2",
            [],
        ),
        (
            "SELECT m.id, m.name, count(*) AS n FROM maker m GROUP BY 1, 2 HAVING count(*) > 3",
            [],
        ),
        # Read in subqueries only.
        (
            "SELECT p.id, p.name, (SELECT count(*) FROM review r WHERE r.product_id = p.id) AS n, "
            "(SELECT max(t.name) FROM tag t WHERE t.product_id = p.id) AS tag FROM product p",
            ["product name UNLESS id", "review n ALWAYS", "tag tag ALWAYS"],
        ),
        ("SELECT 1 AS id, (SELECT count(*) FROM maker) AS n", ["maker n ALWAYS"]),
        # Read in a subquery and to find the rows.
        (
            "SELECT p.id, (SELECT count(*) FROM product q WHERE q.maker_id = p.maker_id "
            "AND q.weight > 1) AS n FROM product p",
            ["product n UNLESS id"],
        ),
        # A subquery that reads more of the outer row than what finds the rows.
        (
            "SELECT p.id, (SELECT m.name FROM maker m WHERE m.id = p.maker_id) AS maker "
            "FROM product p",
            ["product maker UNLESS id", "maker maker ALWAYS"],
        ),
        # A derived table reads what it groups, whether that is shown or not.
        (
            "SELECT p.id, p.name, r.n, r.stars FROM product p LEFT JOIN (SELECT product_id, "
            "count(*) AS n, max(stars) AS stars FROM review GROUP BY product_id) r "
            "ON r.product_id = p.id",
            ["product name UNLESS id"],
        ),
        (
            "WITH made AS (SELECT p.maker_id, count(*) AS n FROM product p GROUP BY p.maker_id) "
            "SELECT m.id, m.name, (SELECT made.n FROM made WHERE made.maker_id = m.id) AS n "
            "FROM maker m",
            ["maker name UNLESS id", "product n ALWAYS"],
        ),
        # Documents, by their paths.
        (
            "SELECT p.id, jsonb_build_object('name'::text, p.name, 'maker', jsonb_build_object('id', m.id, "
            "'name', m.name, 'country', CASE WHEN m.country <> '' THEN jsonb_build_object('code', "
            "m.country) END), 'reviews', (SELECT jsonb_agg(r.stars ORDER BY r.id) FROM review r "
            "WHERE r.product_id = p.id)) AS data, m.name AS maker "
            "FROM product p JOIN maker m ON m.id = p.maker_id",
            [
                "product data (name) UNLESS id, maker_id",
                "maker data (maker.name, maker.country), maker UNLESS id",
                "review data (reviews) ALWAYS",
            ],
        ),
        # Of two members with one key the last one counts; a key that is computed may be any.
        (
            "SELECT p.id, jsonb_build_object('name', p.name, 'n', p.weight, 'n', p.id) AS data "
            "FROM product p",
            ["product data UNLESS id"],
        ),
        (
            "SELECT p.id, jsonb_build_object(p.name, p.id, 'weight', p.weight) AS data "
            "FROM product p",
            ["product data UNLESS id"],
        ),
        (
            "SELECT p.id, json_build_object('name', p.name, 'id', p.id) AS data, "
            "jsonb_build_object(VARIADIC ARRAY['id', p.name]) AS other FROM product p",
            ["product data, other UNLESS id"],
        ),
        (
            "SELECT p.id, jsonb_build_object('name', p.name, 'id', p.id) AS other FROM product p",
            ["product other UNLESS id"],
        ),
        # A view is looked through, though not written into functions.
        (
            "SELECT p.id, jsonb_build_object('name', p.name, 'id', p.id) AS data FROM product p "
            "JOIN rated r ON r.id = p.id",
            ["product data UNLESS id, category_id"],
        ),
        # All of a document.
        (
            "SELECT p.id, jsonb_build_object('name', p.name, 'weight', p.weight) AS data "
            "FROM product p",
            ["product data UNLESS id"],
        ),
    ],
    ids=[
        "a join",
        "nullable sides",
        "two occurrences",
        "conditions",
        "groups",
        "a total reads it",
        "a filter of a total reads it",
        "a join of groups reads it",
        "groups of a parent",
        "groups that it tells apart",
        "groups by HAVING",
        "subqueries",
        "figures",
        "a subquery of its own table",
        "a subquery that reads more",
        "a derived table",
        "a common table expression",
        "paths",
        "keys that are equal",
        "keys that are computed",
        "other functions",
        "another type",
        "a view",
        "all of a document",
    ],
)
def test_what_only_output_columns_read_is_patched(query: str, expected: list[str]) -> None:
    assert patches(query) == expected


@pytest.mark.parametrize(
    ("query", "key"),
    [
        # Output columns decide about rows.
        ("SELECT DISTINCT p.id, p.name FROM product p", "id"),
        ("SELECT p.id, p.name FROM product p UNION ALL SELECT m.id, m.name FROM maker m", "id"),
        ("SELECT p.maker_id AS id, max(p.name) AS n FROM product p GROUP BY p.maker_id", "id"),
        ("SELECT p.id, p.name, generate_series(1, p.id) AS label FROM product p", "id, label"),
        # Nothing is read by output columns only.
        ("SELECT p.id FROM product p WHERE p.name <> ''", "id"),
        ("SELECT p.id, p.name FROM product p", "id, name"),
        # The value of a row needs others, which no condition on the key reaches.
        (
            "SELECT p.id, p.name, rank() OVER (PARTITION BY p.maker_id ORDER BY p.weight) AS r "
            "FROM product p",
            "id",
        ),
    ],
)
def test_anything_else_is_recomputed(query: str, key: str) -> None:
    assert patches(query, key) == []


def test_without_a_key_nothing_pairs_the_rows_of_an_update() -> None:
    query = "SELECT p.id, e.kind FROM product p JOIN event e ON e.weight = p.weight"
    assert patches(query) == []
    query = "SELECT p.id, (SELECT max(e.kind) FROM event e WHERE e.weight = p.id) AS kind "
    assert patches(query + "FROM product p") == ["event kind ALWAYS"]


def test_what_waits_until_commit_is_recomputed() -> None:
    assert patches("SELECT id, name FROM maker", mode="deferred") == []


SHOP = (
    "CREATE TABLE author (id integer PRIMARY KEY, name text, code integer, "
    "born date DEFAULT '1900-01-01', follows integer REFERENCES author ON UPDATE CASCADE)",
    "CREATE TABLE post (id integer PRIMARY KEY, title text NOT NULL, rank numeric(6,2), "
    "author_id integer, shown boolean NOT NULL DEFAULT true)",
    "CREATE TABLE comment (id integer PRIMARY KEY, post_id integer, body text, stars integer)",
)

# Each: the query, and its columns.
CARDS = {
    "joined": (
        "SELECT p.id, p.title, a.name, p.rank * 2 AS twice, p.author_id FROM post p "
        "JOIN author a ON a.id = p.author_id WHERE p.shown",
        "id integer, title varchar(20), name varchar(12) NULL, twice numeric(6,1) NULL, "
        "author_id integer",
    ),
    "outer_joined": (
        "SELECT p.id, COALESCE(a.name, p.title) AS name, b.name AS idol, a.born FROM post p "
        "LEFT JOIN author a ON a.id = p.author_id LEFT JOIN author b ON b.id = a.follows",
        "id integer, name text, idol char(3) NULL, born date NULL",
    ),
    "by_code": (
        "SELECT a.id, a.name, b.name AS namesake FROM author a LEFT JOIN author b ON b.code = a.id",
        "id integer, name text NULL, namesake text NULL",
    ),
    "computed": (
        "SELECT p.id, p.title, (SELECT count(*) FROM comment c WHERE c.post_id = p.id) AS n, "
        "(SELECT string_agg(c.body, ',' ORDER BY c.id) FROM comment c "
        "WHERE c.post_id = p.id AND c.stars > 1) AS bodies, "
        "(SELECT a.name FROM author a WHERE a.id = p.author_id) AS name FROM post p",
        "id integer, title text, n bigint, bodies text NULL, name text NULL",
    ),
    "documented": (
        "SELECT p.id, jsonb_build_object('title', p.title, 'rank', p.rank, 'fixed', 1.50, "
        "'author', jsonb_build_object('name', a.name, 'born', a.born, "
        "'it''s', jsonb_build_object('id', a.id, 'a\\b', a.name || '!')), "
        "'idol', CASE WHEN b.id IS NOT NULL THEN jsonb_build_object('id', b.id, 'name', b.name) "
        "END, 'comments', COALESCE((SELECT jsonb_agg(jsonb_build_object('id', c.id, 'body', "
        "c.body) ORDER BY c.id) FROM comment c WHERE c.post_id = p.id), '[]'), "
        "'stars', (SELECT max(c.stars) FROM comment c WHERE c.post_id = p.id)) AS data, "
        "jsonb_build_object('names', jsonb_build_object('first', a.name)) AS names FROM post p "
        "LEFT JOIN author a ON a.id = p.author_id LEFT JOIN author b ON b.id = a.follows "
        "WHERE p.shown",
        "id integer, data jsonb NULL, names jsonb NULL",
    ),
    "figures": (
        "SELECT 1 AS id, (SELECT count(*) FROM author) AS authors, "
        "(SELECT max(c.stars) FROM comment c) AS stars",
        "id integer, authors bigint, stars integer NULL",
    ),
}

STATEMENTS = (
    "INSERT INTO author (id, name, code) VALUES (1, 'Ann', 2), (2, 'Bob', 3), (3, NULL, 4)",
    "INSERT INTO post VALUES (1, 'one', 1.5, 1, true), (2, 'two', NULL, 1, true), "
    "(3, 'three', 3.3, 2, false), (4, 'four', 4.44, 9, true), (5, 'five', 0, NULL, true)",
    "INSERT INTO comment SELECT g, g % 5, 'body ' || g, g % 3 FROM generate_series(1, 20) AS g",
    "UPDATE author SET name = 'Ann' WHERE id = 1",
    "UPDATE author SET name = 'Amy' WHERE id = 1",
    "UPDATE author SET name = NULL WHERE id = 1",
    "UPDATE author SET name = 'A' || id, born = born + 1",
    "UPDATE author SET follows = 2 WHERE id = 1",
    "UPDATE author SET follows = 1, name = 'Cid' WHERE id = 3",
    "UPDATE author SET code = 5 - code, name = name || '!'",
    "UPDATE post SET title = 'x' || id, rank = rank + 0.25",
    "UPDATE post SET title = upper(title) WHERE id = 1",
    "UPDATE post SET title = 'both', author_id = 2 WHERE id < 3",
    "UPDATE post SET title = 'hidden', shown = NOT shown WHERE id IN (2, 3)",
    "UPDATE comment SET stars = stars + 1, body = lower(body)",
    "UPDATE comment SET post_id = 1, body = 'moved' WHERE id = 7",
    "DELETE FROM comment WHERE id IN (2, 4, 6, 11)",
    "INSERT INTO comment VALUES (30, 2, 'late', 5)",
    # Rows that refer to it are updated by the same statement, in the same transition tables.
    "UPDATE author SET id = id + 10, name = 'renumbered ' || id WHERE id = 2",
    "UPDATE author SET id = -id, name = 'turned' WHERE id IN (1, 12)",
    "UPDATE post SET id = id + 100, title = 'renumbered'",
    "INSERT INTO author (id, name) VALUES (1, 'Dora'), (9, 'Eve') ON CONFLICT (id) "
    "DO UPDATE SET name = excluded.name",
    "MERGE INTO author USING (VALUES (9), (10)) AS given (id) ON author.id = given.id "
    "WHEN MATCHED THEN UPDATE SET name = 'merged' WHEN NOT MATCHED THEN INSERT VALUES (given.id)",
    "WITH renamed AS (UPDATE author SET name = 'by WITH' RETURNING id) "
    "UPDATE post SET author_id = 9 FROM renamed WHERE renamed.id = post.author_id",
    "DELETE FROM author WHERE id = 9",
    "TRUNCATE comment",
)


@pytest.mark.parametrize("size", ["small", "bulk", "whole"])
def test_cards_stay_exact_whatever_happens_to_the_rows(database: Database, size: str) -> None:
    for statement in SHOP:
        database.execute(statement)
    with branch(size):
        for name, (query, columns) in CARDS.items():
            database.tview(query, columns, table=name)
    assert patched_functions(database) == {
        "tviews_joined_on_post_update",
        "tviews_joined_on_author_update",
        "tviews_outer_joined_on_post_update",
        "tviews_outer_joined_on_author_update",
        "tviews_by_code_on_author_update",
        "tviews_computed_on_post_update",
        "tviews_documented_on_post_update",
        "tviews_documented_on_author_update",
        *(f"tviews_documented_on_comment_{event}" for event in ("insert", "update", "delete")),
        *(f"tviews_computed_on_comment_{event}" for event in ("insert", "update", "delete")),
        *(f"tviews_computed_on_author_{event}" for event in ("insert", "update", "delete")),
        *(f"tviews_figures_on_author_{event}" for event in ("insert", "update", "delete")),
        *(f"tviews_figures_on_comment_{event}" for event in ("insert", "update", "delete")),
    }
    database.run(*STATEMENTS)


def patched_functions(database: Database) -> set[str]:
    """Return the names of the functions that patch."""
    found = database.execute(
        "SELECT proname FROM pg_proc WHERE prosrc LIKE %s AND pronamespace = %s::regnamespace",
        "%Only these columns can have changed%",
        database.schema,
    )
    return {name for (name,) in found}


def test_other_columns_are_neither_evaluated_nor_written(database: Database) -> None:
    for statement in SHOP:
        database.execute(statement)
    query, columns = CARDS["joined"]
    database.tview(query, columns, table="joined")
    database.run(
        "INSERT INTO author (id, name) VALUES (1, 'Ann')",
        "INSERT INTO post VALUES (1, 'one', 1, 1), (2, 'two', 2, 1)",
    )
    with database.rolled_back():
        # What is wrong before stays wrong.
        database.execute("SET LOCAL session_replication_role = replica")
        database.execute("UPDATE joined SET title = 'wrong'")
        database.execute("SET LOCAL session_replication_role = origin")
        database.execute("UPDATE author SET name = 'Amy'")
        database.execute("UPDATE post SET rank = 5 WHERE id = 1")
        assert database.execute("SELECT title, name, twice FROM joined ORDER BY id") == [
            ("one", "Amy", 10),
            ("wrong", "Amy", 4),
        ]


def test_other_parts_of_a_document_are_neither_evaluated_nor_written(database: Database) -> None:
    for statement in SHOP:
        database.execute(statement)
    query, columns = CARDS["documented"]
    database.tview(query, columns, table="documented")
    database.run(
        "INSERT INTO author (id, name) VALUES (1, 'Ann')",
        "INSERT INTO post VALUES (1, 'one', 1, 1)",
        "INSERT INTO comment VALUES (1, 1, 'first', 1)",
    )
    with database.rolled_back():
        database.execute("SET LOCAL session_replication_role = replica")
        database.execute("""UPDATE documented SET data = data || '{"fixed": "wrong"}'""")
        database.execute("SET LOCAL session_replication_role = origin")
        database.execute("UPDATE author SET name = NULL")
        database.execute("UPDATE post SET rank = 5 WHERE id = 1")
        database.execute("INSERT INTO comment VALUES (2, 1, NULL, 5)")
        assert json.loads(database.value("SELECT data FROM documented")) == {
            "title": "one",
            "rank": 5,
            "fixed": "wrong",
            "author": {"name": None, "born": "1900-01-01", "it's": {"id": 1, "a\\b": None}},
            "idol": None,
            "comments": [{"id": 1, "body": "first"}, {"id": 2, "body": None}],
            "stars": 5,
        }


def given(query: str) -> list[str]:
    """Plan a query and name the sources whose changed rows show themselves what is patched."""
    return [
        f"{source.relation.name} {', '.join(part.output for part in source.patch.given.parts)}"
        for source in planned(query, "id").sources
        if source.patch is not None and source.patch.given is not None
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param(
            "SELECT p.id, p.name, m.name AS maker, upper(m.country) AS land "
            "FROM product p JOIN maker m ON m.id = p.maker_id WHERE p.price > 0",
            ["product name", "maker maker, land"],
            id="a join",
        ),
        # Read beside others, or on a nullable side.
        pytest.param(
            "SELECT p.id, p.name || m.name AS n FROM product p JOIN maker m ON m.id = p.maker_id",
            [],
            id="an output of both rows",
        ),
        pytest.param(
            "SELECT p.id, p.name, m.name AS maker FROM product p "
            "LEFT JOIN maker m ON m.id = p.maker_id",
            ["product name"],
            id="a nullable side",
        ),
        # Several rows of the source for one of the TView, or several occurrences.
        pytest.param(
            "SELECT p.id, r.body FROM product p JOIN review r ON r.product_id = p.id",
            [],
            id="rows of the same key",
        ),
        pytest.param(
            "SELECT p.id, m.name, o.name AS other FROM product p "
            "JOIN maker m ON m.id = p.maker_id JOIN maker o ON o.id = p.category_id",
            [],
            id="two occurrences",
        ),
        # The way to the key is not the one that leads back.
        pytest.param(
            "SELECT p.id, m.name AS maker FROM product p JOIN maker m ON m.id = p.maker_id "
            "JOIN review r ON r.id = p.id AND r.product_id > m.id",
            ["maker maker"],
            id="another row tells the key",
        ),
        pytest.param(
            "SELECT p.id, m.name AS maker FROM product p JOIN review r ON r.id = p.id "
            "JOIN maker m ON m.id = r.product_id AND m.country = p.name",
            [],
            id="a way back over another row",
        ),
        pytest.param(
            "SELECT p.id, m.name AS maker FROM product p JOIN maker m ON m.id < p.maker_id",
            [],
            id="a way back that is no equality",
        ),
        pytest.param(
            "SELECT r.id, m.name AS maker FROM review r JOIN product p ON p.id = r.product_id "
            "JOIN maker m ON m.id = p.maker_id",
            [],
            id="a key two rows away",
        ),
    ],
)
def test_what_a_changed_row_shows_alone_is_taken_from_it(query: str, expected: list[str]) -> None:
    assert given(query) == expected


@pytest.mark.parametrize("size", ["small", "whole"])
def test_a_document_whose_column_is_no_jsonb_is_written_whole(
    database: Database, size: str
) -> None:
    for statement in SHOP:
        database.execute(statement)
    with branch(size):
        database.tview(
            "SELECT p.id, jsonb_build_object('title', p.title, 'name', a.name) AS data, "
            "jsonb_build_object('names', jsonb_build_object('name', a.name)) AS names "
            "FROM post p JOIN author a ON a.id = p.author_id",
            "id integer, data text, names text",
            table="written",
        )
    database.run(
        "INSERT INTO author (id, name) VALUES (1, 'Ann')",
        "INSERT INTO post VALUES (1, 'one', 1, 1)",
        "UPDATE author SET name = 'Amy'",
        "UPDATE post SET title = 'two'",
    )


def test_rows_that_the_query_leaves_out_give_nothing(database: Database) -> None:
    database.execute("CREATE TABLE item (id integer PRIMARY KEY, divisor integer, shown boolean)")
    with branch("whole"):
        database.tview(
            "SELECT id, 100 / divisor AS share FROM item WHERE shown",
            "id integer, share integer NULL",
            table="share",
        )
    database.run(
        "INSERT INTO item VALUES (1, 5, true), (2, 0, false)",
        "UPDATE item SET divisor = divisor * 2",
    )


def test_a_strategy_can_be_done_without(database: Database) -> None:
    for statement in SHOP:
        database.execute(statement)
    query, columns = CARDS["joined"]
    with strategies(Strategy.FOLD):
        database.tview(query, columns, table="joined")
    assert patched_functions(database) == set()


def test_what_a_users_trigger_makes_of_a_row_is_shown(database: Database) -> None:
    for statement in SHOP:
        database.execute(statement)
    query, columns = CARDS["joined"]
    database.tview(query, columns, table="joined")
    database.execute(
        "CREATE FUNCTION tidied() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "UPDATE author SET name = upper(name) WHERE id = NEW.id AND name <> upper(name); "
        "RETURN NULL; END $$"
    )
    database.execute(
        "CREATE TRIGGER tidied AFTER UPDATE ON author FOR EACH ROW EXECUTE FUNCTION tidied()"
    )
    database.run(
        "INSERT INTO author (id, name) VALUES (1, 'Ann'), (2, 'Bob')",
        "INSERT INTO post VALUES (1, 'one', 1, 1), (2, 'two', 2, 2)",
        "UPDATE author SET name = 'acme' WHERE id = 1",
        "UPDATE author SET name = lower(name) || id",
    )


OUTPUTS = (
    ("a.x + b.y", "integer NULL"),
    ("a.z", "numeric(6,1) NULL"),
    ("b.x", "integer NULL"),
    ("COALESCE(b.z, 0)", "numeric"),
    ("a.y", "integer NULL"),
    ("(SELECT count(*) FROM item c WHERE c.y = a.x)", "bigint"),
    ("(SELECT sum(o.x) FROM other o WHERE o.y = a.y)", "bigint NULL"),
    ("(SELECT max(o.z) FROM other o WHERE o.x = b.x)", "numeric NULL"),
    ("EXISTS (SELECT FROM other o WHERE o.x = a.id AND o.y > b.y)", "boolean NULL"),
)
JOINS = (
    "JOIN item b ON b.id = a.y",
    "LEFT JOIN item b ON b.id = a.x",
    "LEFT JOIN other b ON b.id = a.y",
    "JOIN other b ON b.id = a.id",
    "LEFT JOIN other b ON b.id = a.y AND b.y > 1",
)
FILTERS = ("", " WHERE a.x > 0", " WHERE a.z IS NOT NULL OR b.x = 1", " WHERE b.y <> 2")
VALUES = st.sampled_from(["NULL", "0", "1", "2", "3"])


@st.composite
def cards(draw: st.DrawFn) -> tuple[str, str]:
    """Draw a query over items and others, and its columns."""
    chosen = draw(st.lists(st.sampled_from(OUTPUTS), min_size=1, max_size=5))
    shown = ", ".join(f"{output} AS shown_{place}" for place, (output, _) in enumerate(chosen))
    columns = [f"shown_{place} {type_sql}" for place, (_, type_sql) in enumerate(chosen)]
    join, condition = draw(st.sampled_from(JOINS)), draw(st.sampled_from(FILTERS))
    return f"SELECT a.id, {shown} FROM item a {join}{condition}", ", ".join(
        ["id integer", *columns]
    )


@st.composite
def changes(draw: st.DrawFn) -> str:
    """Draw a statement."""
    table = draw(st.sampled_from(["item", "other"]))
    value, other, least = draw(VALUES), draw(VALUES), draw(st.integers(0, 6))
    column, second = draw(st.permutations(["x", "y", "z"]))[:2]
    return draw(
        st.sampled_from(
            [
                f"INSERT INTO {table} (x, y, z) VALUES ({value}, {other}, {least}), (1, 1, 1.50)",
                f"UPDATE {table} SET {column} = {value} WHERE id > {least}",
                f"UPDATE {table} SET {column} = {value}, {second} = {other} WHERE id = {least}",
                f"UPDATE {table} SET {column} = {second}, {second} = {column}",
                f"UPDATE {table} SET z = z * 1.10",
                f"UPDATE {table} SET id = {least} - id WHERE id < {least}",
                f"DELETE FROM {table} WHERE id = {least}",
                f"WITH changed AS (UPDATE other SET z = {value}) "
                f"UPDATE item SET {column} = {other} WHERE id > {least}",
            ]
        )
    )


@pytest.mark.usefixtures("database")
@hypothesis.settings(
    max_examples=int(os.environ.get("TVIEWS_PATCH_EXAMPLES", "10")),
    suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(
    queries=st.lists(cards(), min_size=1, max_size=4),
    size=st.sampled_from(["small", "bulk", "whole"]),
    statements=st.lists(changes(), min_size=4, max_size=15),
)
def test_patched_cards_equal_their_query_after_any_statement(
    queries: list[tuple[str, str]], size: str, statements: list[str]
) -> None:
    with fresh_database() as database:
        for table in ("item", "other"):
            database.execute(
                f"CREATE TABLE {table} (id integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, "
                "x integer, y integer, z numeric)"
            )
        with branch(size):
            for place, (query, columns) in enumerate(queries):
                database.tview(query, columns, table=f"card_{place}")
        for statement in ["INSERT INTO item (x, y, z) VALUES (1, 2, 3), (2, 1, 0)", *statements]:
            with contextlib.suppress(IntegrityError):
                database.execute(statement)
            database.check(statement)
