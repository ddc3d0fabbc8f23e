"""Helper views, TViews on TViews, other schemas, other owners of tables, awkward names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError
from django.test import override_settings

from django_tviews import installer
from django_tviews.errors import (
    CascadeDepthExceeded,
    DependencyDepthExceeded,
    DependentColumn,
    InvalidTViewName,
    TViewError,
)
from tests.harness import fresh_database

if TYPE_CHECKING:
    from tests.harness import Database

LONG = "a_name_of_sixty_three_bytes_which_is_as_long_as_postgres_allows"


def test_helper_views_several_levels_deep(maintained: Database) -> None:
    maintained.execute("""
        CREATE TABLE account (id integer PRIMARY KEY, owner text, open boolean NOT NULL);
        CREATE TABLE entry (id integer PRIMARY KEY, account_id integer, amount numeric NOT NULL);
        INSERT INTO account VALUES (1, 'Ann', true), (2, 'Bob', true), (3, NULL, false);
        INSERT INTO entry VALUES (1, 1, 10), (2, 1, -3.50), (3, 2, 7), (4, NULL, 1);
        CREATE VIEW first AS SELECT * FROM account WHERE open;
        CREATE VIEW second AS SELECT f.id, coalesce(f.owner, '?') AS owner FROM first AS f;
        CREATE VIEW balance AS SELECT account_id, sum(amount) AS total FROM entry GROUP BY 1;
        CREATE VIEW third (number, who, total) AS
            SELECT s.id, s.owner, b.total FROM second s LEFT JOIN balance b ON b.account_id = s.id;
        CREATE VIEW fourth AS SELECT who, sum(total) AS total, count(*) AS n FROM third GROUP BY who;
    """)
    maintained.tview(
        "SELECT number AS id, who, total FROM third", "id integer, who text, total numeric NULL"
    )
    maintained.tview(
        "SELECT who, total, n FROM fourth", "who text, total numeric NULL, n bigint", "who"
    )
    maintained.tview(
        "SELECT t.number AS id, f.n FROM third t JOIN fourth f ON f.who = t.who",
        "id integer, n bigint",
    )
    maintained.run(
        "INSERT INTO entry VALUES (5, 2, 5), (6, 3, 9)",
        "UPDATE account SET open = true WHERE id = 3",
        "UPDATE account SET owner = 'Ann' WHERE id IN (2, 3)",
        "UPDATE entry SET account_id = 3 WHERE id < 3",
        "UPDATE account SET owner = NULL",
        "DELETE FROM entry WHERE amount > 5",
        "UPDATE account SET open = NOT open WHERE id = 1",
        "TRUNCATE entry",
        "DELETE FROM account",
    )


@pytest.fixture
def tower(maintained: Database) -> Database:
    """Four TViews, each over the one before; the last over two of them."""
    maintained.execute("""
        CREATE TABLE company (id integer PRIMARY KEY, name text NOT NULL);
        CREATE TABLE person (id integer PRIMARY KEY, name text NOT NULL,
            company_id integer REFERENCES company ON DELETE CASCADE);
        CREATE TABLE post (id integer PRIMARY KEY, body text NOT NULL,
            person_id integer REFERENCES person ON DELETE CASCADE);
        INSERT INTO company VALUES (1, 'acme'), (2, 'best');
        INSERT INTO person VALUES (1, 'Ann', 1), (2, 'Bob', 1), (3, 'Cy', 2), (4, 'Di', NULL);
        INSERT INTO post VALUES (1, 'x', 1), (2, 'y', 1), (3, 'z', 3), (4, 'w', NULL);
    """)
    maintained.tview(
        "SELECT id, jsonb_build_object('name', name) AS data FROM company",
        "id integer, data jsonb",
        table="tv_company",
    )
    maintained.tview(
        "SELECT p.id, p.company_id, jsonb_build_object('name', p.name, 'company', c.data) AS data "
        "FROM person p LEFT JOIN tv_company c ON c.id = p.company_id",
        "id integer, company_id integer NULL, data jsonb",
        table="tv_person",
    )
    maintained.tview(
        "SELECT p.id, jsonb_build_object('body', p.body, 'author', a.data) AS data "
        "FROM post p LEFT JOIN tv_person a ON a.id = p.person_id",
        "id integer, data jsonb",
        table="tv_post",
    )
    maintained.tview(
        "SELECT c.id, c.data ->> 'name' AS name, (SELECT count(*) FROM tv_person p "
        "WHERE p.company_id = c.id) AS people, coalesce((SELECT jsonb_agg(t.data ORDER BY t.id) "
        "FROM tv_post t JOIN post b ON b.id = t.id JOIN person a ON a.id = b.person_id "
        "WHERE a.company_id = c.id), '[]') AS posts FROM tv_company c",
        "id integer, name text NULL, people bigint, posts jsonb",
        table="tv_feed",
    )
    return maintained


def test_a_change_at_the_bottom_climbs_through_tviews(tower: Database) -> None:
    tower.run("UPDATE company SET name = 'ACME' WHERE id = 1")
    assert tower.value(
        "SELECT data -> 'author' -> 'company' ->> 'name' FROM tv_post WHERE id = 1"
    ) == ("ACME")


def test_tviews_over_tviews_through_all_kinds_of_statements(tower: Database) -> None:
    tower.run(
        "INSERT INTO company VALUES (3, 'core')",
        "INSERT INTO person VALUES (5, 'Ed', 3), (6, 'Flo', 1)",
        "INSERT INTO post SELECT g, 'p' || g, 1 + g % 6 FROM generate_series(10, 40) AS g",
        "UPDATE person SET company_id = 2 WHERE id IN (1, 4)",
        "UPDATE post SET person_id = 3 WHERE id % 2 = 0",
        "WITH c AS (UPDATE company SET name = name || '!' RETURNING id), "
        "p AS (UPDATE person SET company_id = 3 WHERE id = 3 RETURNING id) "
        "DELETE FROM post WHERE id IN (SELECT id FROM p)",
        "INSERT INTO company VALUES (1, 'upserted'), (9, 'nine') "
        "ON CONFLICT (id) DO UPDATE SET name = excluded.name",
        "DELETE FROM person WHERE id = 2",
        "DELETE FROM company WHERE id = 2",
        "TRUNCATE post",
        "TRUNCATE company, person, post",
        "INSERT INTO company VALUES (1, 'again')",
    )


def test_a_tview_never_sees_those_below_it_as_they_were(maintained: Database) -> None:
    maintained.execute("""
        CREATE TABLE score (id integer PRIMARY KEY, points integer NOT NULL);
        CREATE TABLE bonus (id integer PRIMARY KEY, score_id integer NOT NULL);
        INSERT INTO score VALUES (1, 10), (2, 20);
    """)
    # Its name comes after that of the TView over it.
    maintained.tview("SELECT id, points FROM score", "id integer, points integer", table="z_below")
    maintained.tview(
        "SELECT s.id, 1 / CASE WHEN z.points = s.points THEN 1 ELSE 0 END AS agreed, "
        "(SELECT count(*) FROM bonus b WHERE b.score_id = s.id) AS n "
        "FROM score s JOIN z_below z ON z.id = s.id",
        "id integer, agreed integer NULL, n bigint",
        table="a_above",
    )
    maintained.run(
        "UPDATE score SET points = points + 1",
        "WITH given AS (INSERT INTO bonus VALUES (1, 1), (2, 1)) "
        "UPDATE score SET points = points + 1",
        "WITH taken AS (DELETE FROM bonus WHERE id = 1 RETURNING score_id) "
        "UPDATE score SET points = 0 FROM taken WHERE score.id = taken.score_id",
        "INSERT INTO score VALUES (1, 7) ON CONFLICT (id) DO UPDATE SET points = excluded.points",
        "TRUNCATE score",
    )


@pytest.mark.parametrize(
    "value",
    [
        # The name p means another row inside than where the WITH stands.
        "(WITH c AS (SELECT r.stars FROM review r WHERE r.post_id = p.id) "
        "SELECT max(p.stars) FROM c p WHERE p.stars > 1)",
        # It is read one level further down.
        "(WITH c AS (SELECT r.id, r.stars FROM review r WHERE r.post_id = p.id) "
        "SELECT count(*) FROM review r WHERE r.stars = (SELECT max(c.stars) FROM c))",
        "(WITH RECURSIVE c AS ("
        "SELECT r.id, r.stars FROM review r WHERE r.post_id = p.id AND r.above IS NULL UNION ALL "
        "SELECT r.id, r.stars FROM review r JOIN c ON r.above = c.id WHERE r.post_id = p.id) "
        "SELECT sum(stars) FROM c)",
    ],
    ids=["renamed", "deeper", "recursive"],
)
def test_a_with_in_a_subquery_reads_the_row_around_it(database: Database, value: str) -> None:
    database.execute("""
        CREATE TABLE post (id integer PRIMARY KEY);
        CREATE TABLE review (id integer PRIMARY KEY, post_id integer, above integer, stars integer);
        INSERT INTO post VALUES (1), (2);
        INSERT INTO review VALUES (1, 1, NULL, 5), (2, 1, 1, 2), (3, 2, NULL, 5), (4, 2, 3, 1);
    """)
    database.tview(
        f"SELECT p.id, {value} AS n FROM post p", "id integer, n bigint NULL", allow_rebuild=True
    )
    database.run(
        "UPDATE review SET stars = 6 WHERE id = 3",
        "UPDATE review SET post_id = 1 WHERE id = 3",
        "UPDATE review SET post_id = 3 - post_id",
        "INSERT INTO post VALUES (3)",
        "INSERT INTO review VALUES (5, 3, NULL, 4), (6, 3, 5, 4)",
        "DELETE FROM review WHERE id IN (1, 6)",
        "UPDATE post SET id = 4 WHERE id = 1",
        "TRUNCATE review",
    )


def test_a_tview_whose_maintenance_changes_what_it_reads_is_refused_by_name(
    database: Database,
) -> None:
    database.execute("CREATE TABLE score (id integer PRIMARY KEY, points integer NOT NULL)")
    database.tview("SELECT id, points FROM score", "id integer, points integer", table="card")
    database.execute(f"""
        INSERT INTO score VALUES (1, 1);
        CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN UPDATE {database.schema}.score SET points = points + 1; RETURN NULL; END';
        CREATE TRIGGER more AFTER UPDATE ON card FOR EACH STATEMENT EXECUTE FUNCTION more();
    """)
    with pytest.raises(DatabaseError, match="by its own maintenance again and again") as refusal:
        database.execute("UPDATE score SET points = 0")
    assert isinstance(TViewError.from_database_error(refusal.value), CascadeDepthExceeded)
    database.check("the refusal")


def test_a_tview_over_a_rebuilt_tview(maintained: Database) -> None:
    maintained.execute("CREATE TABLE score (id integer PRIMARY KEY, points integer NOT NULL)")
    maintained.tview(
        "SELECT id, points FROM score ORDER BY points DESC, id LIMIT 3",
        "id integer, points integer",
        table="top",
        allow_rebuild=True,
    )
    maintained.tview(
        "SELECT 1 AS id, coalesce(sum(points), 0) AS points FROM top", "id integer, points bigint"
    )
    maintained.run(
        "INSERT INTO score SELECT g, g * 7 % 10 FROM generate_series(1, 20) AS g",
        "UPDATE score SET points = 100 WHERE id = 5",
        "DELETE FROM score WHERE id = 5",
        "TRUNCATE score",
    )


def test_a_value_in_a_tview_of_its_own_is_compared_before_everything_is_rebuilt(
    database: Database,
) -> None:
    database.execute(f"""
        CREATE TABLE score (id integer PRIMARY KEY, points integer NOT NULL);
        INSERT INTO score SELECT g, g FROM generate_series(1, 50) AS g;
        CREATE SEQUENCE evaluated;
        -- It is not what it is declared to be, so that it counts the rows that are evaluated.
        CREATE FUNCTION counted(integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql
            AS $$ BEGIN PERFORM nextval('{database.schema}.evaluated'); RETURN $1; END $$;
    """)
    database.tview(
        "SELECT 1 AS id, max(points) AS points FROM score",
        "id integer, points integer NULL",
        table="top",
    )
    database.tview(
        "SELECT id, counted(points) - (SELECT t.points FROM top t) AS below FROM score",
        "id integer, below integer NULL",
        allow_rebuild=True,
    )
    evaluated = []
    for points in (7, 70):
        before = database.value("SELECT nextval('evaluated')")
        database.execute("INSERT INTO score VALUES (%s, %s)", 100 + points, points)
        evaluated.append(database.value("SELECT nextval('evaluated')") - before)
        database.check(f"{points} points")
    assert evaluated[0] < 10
    assert evaluated[1] > 50


def test_a_tview_that_others_read_cannot_be_dropped(tower: Database) -> None:
    with pytest.raises(DependentColumn, match=r"tests\.tv_person reads it"):
        tower.drop(tower.tviews[0].declaration)
    tower.run("UPDATE company SET name = 'still kept'")


def test_tviews_can_be_dropped_from_the_top_down(tower: Database) -> None:
    for tview in reversed(list(tower.tviews)):
        tower.drop(tview.declaration)
        tower.run("UPDATE company SET name = name || '.'", "UPDATE person SET name = name || '.'")
    left = tower.execute(
        "SELECT tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
        "WHERE c.relnamespace = current_schema()::regnamespace AND NOT tgisinternal "
        "AND c.relname NOT LIKE 'django_tviews%'"
    )
    assert left == []
    functions = tower.execute(
        "SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace "
        "AND proname NOT LIKE 'django%'"
    )
    assert functions == []


def test_more_tviews_on_one_another_than_allowed_are_refused(database: Database) -> None:
    database.execute("CREATE TABLE base (id integer PRIMARY KEY)")
    with override_settings(DJANGO_TVIEWS={"DEPTH_LIMIT": 2}):
        below = "base"
        for number in range(3):
            database.tview(f"SELECT id FROM {below}", "id integer", table=f"level_{number}")
            below = f"level_{number}"
        with pytest.raises(DependencyDepthExceeded):
            database.tview(f"SELECT id FROM {below}", "id integer", table="too_high")
    database.run("INSERT INTO base VALUES (1), (2)")


def test_helper_views_nested_deeper_than_allowed_are_refused(database: Database) -> None:
    database.execute("CREATE TABLE base (id integer PRIMARY KEY)")
    below = "base"
    for number in range(5):
        database.execute(f"CREATE VIEW view_{number} AS SELECT id FROM {below}")
        below = f"view_{number}"
    with (
        override_settings(DJANGO_TVIEWS={"DEPTH_LIMIT": 3}),
        pytest.raises(DependencyDepthExceeded, match="3 deep"),
    ):
        database.tview(f"SELECT id FROM {below}", "id integer")
    database.tview(f"SELECT id FROM {below}", "id integer")
    database.run("INSERT INTO base VALUES (1)")


def test_sources_in_other_schemas_with_the_same_name(maintained: Database) -> None:
    first, second = f"{maintained.schema}_one", f"{maintained.schema}_two"
    maintained.execute(f"""
        CREATE SCHEMA {first}; CREATE SCHEMA {second};
        CREATE TABLE {first}.item (id integer PRIMARY KEY, name text NOT NULL);
        CREATE TABLE {second}.item (id integer PRIMARY KEY, first_id integer, name text NOT NULL);
    """)
    try:
        maintained.tview(
            f"SELECT b.id, a.name || b.name AS name FROM {second}.item b "
            f"JOIN {first}.item a ON a.id = b.first_id",
            "id integer, name text",
        )
        maintained.run(
            f"INSERT INTO {first}.item VALUES (1, 'a'), (2, 'b')",
            f"INSERT INTO {second}.item VALUES (1, 1, 'x'), (2, 2, 'y'), (3, NULL, 'z')",
            f"UPDATE {first}.item SET name = 'c' WHERE id = 1",
            f"UPDATE {second}.item SET first_id = 1",
            f"DELETE FROM {first}.item WHERE id = 1",
            f"TRUNCATE {second}.item",
        )
        # The writer's search path is his own.
        maintained.execute(f"INSERT INTO {second}.item VALUES (1, 2, 'w')")
        maintained.execute("SET search_path = pg_catalog")
        maintained.execute(f"UPDATE {first}.item SET name = 'elsewhere'")
        maintained.execute(f"SET search_path = {maintained.schema}, public")
        maintained.check("a write under another search path")
    finally:
        maintained.execute(f"DROP SCHEMA {first}, {second} CASCADE")


def test_two_tviews_of_one_name_in_two_schemas(database: Database) -> None:
    other = f"{database.schema}_other"
    database.execute("CREATE TABLE item (id integer PRIMARY KEY, name text NOT NULL)")
    database.execute(f"CREATE SCHEMA {other}")
    try:
        here = database.declare("SELECT id, name FROM item", "id integer, name text", table="twin")
        there = database.declare(
            f"SELECT id, upper(name) AS name FROM {database.schema}.item",
            "id integer, name text",
            table="twin",
        )
        database.install(here)
        database.tviews.clear()
        database.execute(f"SET search_path = {other}, {database.schema}, public")
        database.install(there)
        for statement in (
            "INSERT INTO item VALUES (1, 'a'), (2, 'b')",
            "UPDATE item SET name = 'c' WHERE id = 1",
            "DELETE FROM item WHERE id = 2",
        ):
            database.run(statement)
            assert database.execute(f"SELECT upper(name) FROM {database.schema}.twin") == (
                database.execute(f"SELECT name FROM {other}.twin")
            )
    finally:
        database.execute(f"SET search_path = {database.schema}, public")
        database.execute(f"DROP SCHEMA {other} CASCADE")
    database.execute("UPDATE item SET name = 'after'")


def test_a_trigger_does_not_take_the_place_of_another_tview_s(database: Database) -> None:
    database.execute("CREATE TABLE item (id integer PRIMARY KEY)")
    short, long = f"{database.schema}_a", f"{database.schema}_a_b"
    query = f"SELECT id FROM {database.schema}.item"
    database.execute(f"CREATE SCHEMA {short}; CREATE SCHEMA {long}")
    try:
        database.execute(f"SET search_path = {short}, {database.schema}, public")
        database.install(database.declare(query, "id integer", table="b_twin"))
        database.tviews.clear()
        database.execute(f"SET search_path = {long}, {database.schema}, public")
        with pytest.raises(InvalidTViewName, match="another TView has one"):
            database.install(database.declare(query, "id integer", table="twin"))
        database.tviews.clear()
        database.execute("INSERT INTO item VALUES (1)")
        assert database.value(f"SELECT count(*) FROM {short}.b_twin") == 1
    finally:
        database.execute(f"SET search_path = {database.schema}, public")
        database.execute(f"DROP SCHEMA {short}, {long} CASCADE")


def test_two_registries_keep_tviews_of_the_same_tables(database: Database) -> None:
    """One schema for each tenant, and tables that all of them read."""
    database.execute(
        "CREATE TABLE item (id integer PRIMARY KEY, size integer NOT NULL);"
        "CREATE TABLE box (id integer PRIMARY KEY, size integer NOT NULL, "
        "item_id integer REFERENCES item ON DELETE CASCADE)"
    )
    schema = database.schema
    query = (
        f"SELECT i.size, b.size AS box, count(*) AS n FROM {schema}.item i "
        f"JOIN {schema}.box b ON b.item_id = i.id GROUP BY i.size, b.size"
    )
    first = "size integer, box integer, n bigint", "size, box"
    database.tview(query, *first)
    with fresh_database() as other:
        other.tview(query, *first)

        def run(*statements: str) -> None:
            for statement in statements:
                database.execute(statement)
                for each in (database, other):
                    each.execute(f"SET search_path = {each.schema}, public")
                    each.check(statement)

        run(
            f"INSERT INTO {schema}.item VALUES (1, 1), (2, 2)",
            f"INSERT INTO {schema}.box VALUES (1, 1, 1), (2, 1, 2)",
            f"WITH i AS (UPDATE {schema}.item SET size = size + 10) "
            f"UPDATE {schema}.box SET size = size + 10",
            f"DELETE FROM {schema}.item WHERE id = 1",
        )
        other.drop(other.tviews[0].declaration)
        database.execute(f"SET search_path = {schema}, public")
        assert (
            database.value(
                "SELECT count(*) FROM pg_trigger WHERE tgname LIKE %s", f"tviews%{other.schema}%"
            )
            == 0
        )
        database.run("WITH i AS (UPDATE item SET size = size + 10) UPDATE box SET size = size + 10")


@pytest.mark.parametrize("name", ["My Schema", "a.b", "1st", "order", "é" * 31, "x" * 63])
def test_everything_in_a_schema_of_any_name(database: Database, name: str) -> None:
    schema = '"' + name + '"'
    database.execute(f"CREATE SCHEMA {schema}")
    try:
        database.execute(f"SET search_path = {schema}")
        with database.connection.schema_editor() as editor:
            installer.install_runtime(editor)
        database.execute("CREATE TABLE p (id integer PRIMARY KEY, name text NOT NULL)")
        database.execute("CREATE TABLE c (id integer PRIMARY KEY, p_id integer)")
        database.tview(
            "SELECT p.id, p.name, (SELECT count(*) FROM c WHERE c.p_id = p.id) AS n FROM p",
            "id integer, name text, n bigint",
        )
        database.run(
            "INSERT INTO p VALUES (1, 'a'), (2, 'b')",
            "WITH u AS (UPDATE p SET name = 'c' RETURNING 1) INSERT INTO c VALUES (1, 1), (2, 2)",
            "TRUNCATE c",
            "DELETE FROM p WHERE id = 1",
        )
        database.drop(database.tviews[0].declaration)
    finally:
        database.execute(f"SET search_path = {database.schema}, public")
        database.execute(f"DROP SCHEMA {schema} CASCADE")


def test_quoted_and_mixed_case_names(maintained: Database) -> None:
    maintained.execute("""
        CREATE TABLE "Order" ("Id" integer PRIMARY KEY, "select" text NOT NULL, "wh""at" integer,
            "two words" integer);
        CREATE TABLE "Line Item" ("Id" integer PRIMARY KEY, "Order" integer, "100%" numeric NOT NULL);
        INSERT INTO "Order" VALUES (1, 'a', 2, 3), (2, 'b', NULL, NULL);
        INSERT INTO "Line Item" VALUES (1, 1, 1.5), (2, 1, 2), (3, 2, 4);
    """)
    maintained.tview(
        'SELECT o."Id" AS "Id", o."select" AS "from", o."wh""at", o."two words" AS "Two Words", '
        '(SELECT sum(l."100%") FROM "Line Item" l WHERE l."Order" = o."Id") AS "sum%" '
        'FROM "Order" o',
        '"Id" integer, "from" text, "wh""at" integer NULL, "Two Words" integer NULL, '
        '"sum%" numeric NULL',
        "Id",
        table='Card of "Order"s',
    )
    maintained.tview(
        'SELECT "select" AS "User", count(*) AS "count" FROM "Order" GROUP BY "select"',
        '"User" text, "count" bigint',
        "User",
        table="GROUP",
    )
    maintained.run(
        """INSERT INTO "Order" VALUES (3, 'it''s 100%', 7, 8)""",
        """UPDATE "Line Item" SET "Order" = 3 WHERE "Id" = 1""",
        """UPDATE "Order" SET "select" = 'c' WHERE "Id" < 3""",
        """UPDATE "Order" SET "Id" = 30, "two words" = 1 WHERE "Id" = 3""",
        """DELETE FROM "Order" WHERE "Id" = 1""",
        """TRUNCATE "Order", "Line Item" """,
    )


def test_names_of_sixty_three_bytes(maintained: Database) -> None:
    assert len(LONG) == 63
    twin = LONG[:-1] + "x"
    umlauts = "ü" * 31 + "x"
    for name in (LONG, twin, umlauts):
        maintained.execute(
            f'CREATE TABLE "{name}" ("{LONG}" integer PRIMARY KEY, "{twin}" text NOT NULL)'
        )
    tviews = [
        maintained.tview(
            f'SELECT a."{LONG}", a."{twin}", b."{twin}" AS "{umlauts}" FROM "{LONG}" a '
            f'LEFT JOIN "{twin}" b ON b."{LONG}" = a."{LONG}" '
            f'LEFT JOIN "{umlauts}" c ON c."{LONG}" = a."{LONG}"',
            f'"{LONG}" integer, "{twin}" text, "{umlauts}" text NULL',
            LONG,
            table=table,
        )
        for table in (LONG[:60] + "abc", LONG[:60] + "abd", "ä" * 31)
    ]
    maintained.run(
        f"""INSERT INTO "{LONG}" VALUES (1, 'a'), (2, 'b')""",
        f"""INSERT INTO "{twin}" VALUES (1, 'x'), (3, 'y')""",
        f"""INSERT INTO "{umlauts}" VALUES (1, 'x'), (3, 'y')""",
        f"""UPDATE "{twin}" SET "{twin}" = 'z'""",
        f"""UPDATE "{LONG}" SET "{LONG}" = 3 WHERE "{LONG}" = 1""",
        f"""DELETE FROM "{twin}" """,
        f"""TRUNCATE "{LONG}" """,
    )
    for tview in tviews:
        maintained.drop(tview)
        maintained.run(
            f"""INSERT INTO "{twin}" SELECT max("{LONG}") + 1, 'n' FROM "{LONG}" HAVING false"""
        )


def test_tables_named_like_ours(maintained: Database) -> None:
    maintained.execute("""
        CREATE TABLE affected (id integer PRIMARY KEY, fresh text NOT NULL);
        CREATE TABLE old_rows (id integer PRIMARY KEY, new_rows integer, query text);
        CREATE TABLE delta (key_1 integer PRIMARY KEY, inserted integer, excluded integer);
        CREATE TABLE written (id integer PRIMARY KEY, spool_id integer, image text);
        INSERT INTO affected VALUES (1, 'a'), (2, 'b');
        INSERT INTO old_rows VALUES (1, 1, 'q'), (2, 2, 'r');
        INSERT INTO delta VALUES (1, 1, 1), (2, 2, 2);
        INSERT INTO written VALUES (1, 1, 'i'), (2, 2, 'j');
    """)
    maintained.tview(
        "SELECT fresh.id AS key_1, fresh.fresh, tview.query, excluded.inserted AS deleted, "
        "delta.image AS removed, excluded.excluded AS everything FROM affected fresh "
        "LEFT JOIN old_rows tview ON tview.new_rows = fresh.id "
        "LEFT JOIN delta excluded ON excluded.key_1 = tview.id "
        "LEFT JOIN written delta ON delta.spool_id = excluded.excluded",
        "key_1 integer, fresh text, query text NULL, deleted integer NULL, removed text NULL, "
        "everything integer NULL",
        "key_1",
        table="tview",
    )
    maintained.tview(
        "SELECT removed AS fresh, count(*) AS affected FROM tview WHERE removed IS NOT NULL "
        "GROUP BY removed",
        "fresh text, affected bigint",
        "fresh",
        table="changes",
    )
    maintained.run(
        "UPDATE affected SET fresh = 'c' WHERE id = 1",
        "UPDATE old_rows SET new_rows = 3 - new_rows",
        "DELETE FROM old_rows WHERE id = 2",
        "INSERT INTO old_rows VALUES (5, 7, 's')",
        "UPDATE delta SET key_1 = 5 WHERE key_1 = 2",
        "UPDATE written SET spool_id = 3 - spool_id, image = 'k'",
        "WITH a AS (DELETE FROM delta WHERE key_1 = 1 RETURNING 1), "
        "b AS (UPDATE written SET image = 'z' RETURNING 1) UPDATE affected SET fresh = 'last'",
        "TRUNCATE written",
    )


def test_many_tviews_on_one_table(maintained: Database) -> None:
    maintained.execute(
        "CREATE TABLE fact (id integer PRIMARY KEY, a integer NOT NULL, b integer NOT NULL)"
    )
    for number in range(12):
        maintained.tview(
            f"SELECT a % {number + 2} AS id, count(*) AS n, max(b) AS b FROM fact "
            f"WHERE b > {number} GROUP BY a % {number + 2}",
            "id integer, n bigint, b integer",
            table=f"facts_{number}",
        )
    maintained.run(
        "INSERT INTO fact SELECT g, g * 7 % 11, g % 20 FROM generate_series(1, 50) AS g",
        "UPDATE fact SET a = a + 1, b = b - 5 WHERE id < 20",
        "DELETE FROM fact WHERE id % 3 = 0",
    )
    maintained.drop(maintained.tviews[5].declaration)
    maintained.run("UPDATE fact SET a = 3", "TRUNCATE fact")


@pytest.mark.parametrize(
    "odd",
    [
        "two\nlines",
        "x\n; DROP TABLE victim; --",
        "back\\slash",
        "it's",
        'a"b',
        "100%s %(x)s %",
        "$function$ $bulk$ $1",
        "@{table} @into@",
        "tab\tand\rreturn",
        "line\u2028\x0bfeed",
        "😀 é",
        "-- comment",
        "/* open",
    ],
)
def test_names_with_anything_in_them(database: Database, odd: str) -> None:
    name = '"' + odd.replace('"', '""') + '"'
    # Django hands text with a percent sign to the driver as it is only without parameters.
    database.execute("CREATE TABLE victim (id integer)")
    database.execute(
        f"CREATE TABLE {name} ({name} integer PRIMARY KEY, v text, up integer);"
        f"CREATE TABLE child (id integer PRIMARY KEY, {name} integer)"
    )
    database.tview(
        f"SELECT s.{name}, s.v, u.v AS above, (SELECT count(*) FROM child c "
        f"WHERE c.{name} = s.{name}) AS n FROM {name} s LEFT JOIN {name} u ON u.{name} = s.up",
        f"{name} integer, v text NULL, above text NULL, n bigint",
        odd,
        table=f"{odd} kept",
    )
    database.run(
        f"INSERT INTO {name} VALUES (1, 'a', NULL), (2, 'b', 1)",
        "INSERT INTO child VALUES (1, 1), (2, 2)",
        f"UPDATE {name} SET {name} = {name} + 10",
        f"WITH u AS (UPDATE {name} SET v = 'c' RETURNING 1) UPDATE child SET {name} = 11",
        f"DELETE FROM {name} WHERE v = 'c'",
        f"TRUNCATE {name}",
        "TABLE victim",
    )
    database.drop(database.tviews[0].declaration)


@pytest.fixture
def sales(database: Database) -> Database:
    """A TView of sales, for others to read."""
    database.execute("""
        CREATE TABLE sale (id integer PRIMARY KEY, shop integer NOT NULL, price integer NOT NULL);
        INSERT INTO sale VALUES (1, 1, 5), (2, 1, 7), (3, 2, 1);
    """)
    database.tview(
        "SELECT id, shop, price FROM sale", "id integer, shop integer, price integer", table="low"
    )
    return database


@pytest.mark.parametrize("mode", ["deferred", "immediate"])
def test_a_refresh_makes_none_wrong_that_its_difference_has_never_reached(
    sales: Database, mode: str
) -> None:
    sales.tview(
        "SELECT shop, sum(price) AS price, count(*) AS n FROM low GROUP BY shop",
        "shop integer, price bigint, n bigint",
        "shop",
        table="middle",
        mode=mode,
    )
    sales.tview(
        "SELECT 1 AS id, sum(price) AS price, count(*) AS n FROM middle",
        "id integer, price numeric NULL, n bigint",
        table="top",
    )
    sales.execute("""
        SET session_replication_role = replica;
        UPDATE low SET price = 100 WHERE id = 1;
        UPDATE middle SET price = 107 WHERE shop = 1;
        RESET session_replication_role;
    """)
    with sales.transaction():
        # What this has passed on, the refresh does not.
        sales.execute("UPDATE sale SET price = 2 WHERE id = 3")
        sales.execute("INSERT INTO django_tviews_refresh (tview) VALUES ('low')")
    sales.check()


def test_a_refresh_does_not_pass_on_a_difference_that_has_never_reached_what_it_reads(
    sales: Database,
) -> None:
    sales.tview(
        "SELECT shop, sum(price) AS price FROM low GROUP BY shop",
        "shop integer, price bigint",
        "shop",
        table="top",
    )
    sales.execute("""
        SET session_replication_role = replica;
        UPDATE low SET price = 100 WHERE id = 1;
        RESET session_replication_role;
    """)
    with sales.transaction():
        sales.execute("UPDATE sale SET price = 2 WHERE id = 3")
        sales.execute("INSERT INTO django_tviews_refresh (tview, keys) VALUES ('low', '[[1]]')")
    sales.check()


@pytest.fixture
def groups(maintained: Database) -> Database:
    """A TView of groups, and one that sums them up."""
    maintained.execute("""
        CREATE TABLE author (id integer PRIMARY KEY);
        CREATE TABLE post (id integer PRIMARY KEY, author_id integer NOT NULL,
            weight integer NOT NULL DEFAULT 1);
        CREATE TABLE comment (id integer PRIMARY KEY, post_id integer NOT NULL);
        INSERT INTO author VALUES (1), (2);
        INSERT INTO post VALUES (1, 1), (2, 1), (3, 2);
        INSERT INTO comment VALUES (1, 1), (2, 3);
    """)
    maintained.tview(
        "SELECT id, author_id, (SELECT count(*) FROM comment WHERE post_id = post.id) AS comments"
        " FROM post",
        "id integer, author_id integer, comments bigint",
        table="activity",
    )
    maintained.tview(
        "SELECT author_id, count(*) AS posts, sum(comments)::integer AS comments"
        " FROM activity GROUP BY author_id",
        "author_id integer, posts bigint, comments integer",
        "author_id",
        table="summary",
    )
    return maintained


def spooled_by(database: Database, *statements: str) -> int:
    """Run statements, and return how many rows they put into the spool."""
    counted = "SELECT pg_stat_get_xact_tuples_inserted('django_tviews_spool'::regclass)"
    with database.transaction():
        before = database.value(counted)
        database.run(*statements)
        return int(database.value(counted) - before)


def test_what_reads_a_tview_is_maintained_from_its_statement(groups: Database) -> None:
    spooled = spooled_by(
        groups,
        "INSERT INTO comment VALUES (3, 1)",
        "INSERT INTO comment SELECT id, 2 FROM generate_series(4, 9) AS id",
        "UPDATE comment SET post_id = 4 - post_id",
        "INSERT INTO post VALUES (4, 3), (5, 3)",
        "UPDATE post SET author_id = 1 WHERE id = 4",
        "DELETE FROM comment",
        "DELETE FROM post WHERE id = 4",
        "INSERT INTO post VALUES (6, 4)",
    )
    assert spooled == 0


@pytest.mark.parametrize(
    ("statement", "spooled"),
    [
        # Several rows by MERGE, which shows its difference to three triggers.
        ("DELETE FROM post WHERE author_id = 1", 2),
        ("UPDATE post SET id = id + 10 WHERE author_id = 1", 4),
        # Both TViews wait for the half that is to come.
        (
            "WITH gone AS (DELETE FROM comment) UPDATE post SET author_id = 2 WHERE id = 1",
            3 + 2 + 4,
        ),
    ],
)
def test_what_reads_a_tview_waits_for_more_than_one_statement(
    groups: Database, statement: str, spooled: int
) -> None:
    # Nothing is left of what has been passed on before.
    groups.run("INSERT INTO comment VALUES (3, 1)")
    assert spooled_by(groups, statement) == spooled


def test_what_reads_a_tview_waits_for_those_before_it(groups: Database) -> None:
    # Single statements that lock TViews in different orders could lock each other up.
    groups.tview("SELECT post_id, count(*) AS n FROM comment GROUP BY post_id", "post_id integer, n bigint", "post_id", table="zeal")  # fmt: skip
    assert spooled_by(groups, "INSERT INTO comment VALUES (3, 1)") > 0
    assert spooled_by(groups, "UPDATE post SET author_id = 2 WHERE id = 1") == 0


def test_what_reads_a_tview_and_what_that_reads_waits_for_both(groups: Database) -> None:
    groups.tview(
        "SELECT p.weight, count(*) AS n, sum(a.comments)::bigint AS comments"
        " FROM activity a JOIN post p ON p.id = a.id GROUP BY p.weight",
        "weight integer, n bigint, comments bigint",
        "weight",
        table="weights",
    )
    assert spooled_by(groups, "INSERT INTO comment VALUES (3, 1)") == 0
    assert spooled_by(groups, "UPDATE post SET author_id = 2, weight = 2 WHERE id = 1") > 0
    groups.run(
        "UPDATE post SET id = id + 10, weight = id",
        "UPDATE comment SET post_id = post_id + 10",
        "DELETE FROM post WHERE id < 13",
        "DELETE FROM comment",
    )


def test_a_fold_of_several_groups_is_not_passed_on_by_halves(maintained: Database) -> None:
    maintained.execute("""
        CREATE TABLE part (id integer PRIMARY KEY, shop integer NOT NULL, n bigint NOT NULL);
        INSERT INTO part VALUES (1, 1, 5000000000000000000), (2, 2, 5);
    """)
    maintained.tview(
        "SELECT shop, sum(n)::bigint AS n FROM part GROUP BY shop",
        "shop integer, n bigint",
        "shop",
        table="shops",
    )
    maintained.tview(
        "SELECT 1 AS id, sum(n)::bigint AS n FROM shops",
        "id integer, n bigint NULL",
        table="sums",
    )
    # With what one group has got and the other has not lost yet, the sum is no bigint.
    maintained.run("UPDATE part SET shop = 2 WHERE id = 1")


def test_what_has_failed_is_not_passed_on(groups: Database) -> None:
    groups.execute("ALTER TABLE summary ADD CHECK (comments < 4)")
    with groups.transaction():
        with pytest.raises(DatabaseError), groups.transaction():
            groups.execute("INSERT INTO comment SELECT id, 2 FROM generate_series(4, 9) AS id")
        groups.run(
            "WITH gone AS (DELETE FROM comment WHERE id = 1) UPDATE post SET author_id = 2",
            "INSERT INTO django_tviews_refresh (tview) VALUES ('activity')",
        )
