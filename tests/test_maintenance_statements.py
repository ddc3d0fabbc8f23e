"""Statements and transactions of every kind, each followed by the oracle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError

from django_tviews.errors import RefreshFailed, TViewError

if TYPE_CHECKING:
    from tests.harness import Database


@pytest.fixture
def shop(maintained: Database) -> Database:
    """Authors, books and copies under TViews of several forms, one of them over another."""
    maintained.execute("""
        CREATE TABLE author (id integer PRIMARY KEY, name text NOT NULL);
        CREATE TABLE book (
            id integer PRIMARY KEY,
            title text NOT NULL,
            author_id integer REFERENCES author ON DELETE CASCADE ON UPDATE CASCADE,
            editor_id integer REFERENCES author ON DELETE SET NULL ON UPDATE CASCADE
        );
        CREATE TABLE loan (
            id integer PRIMARY KEY,
            book_id integer REFERENCES book ON DELETE CASCADE ON UPDATE CASCADE,
            days integer NOT NULL
        );
        CREATE INDEX ON book (author_id);
        CREATE INDEX ON book (editor_id);
        CREATE INDEX ON loan (book_id);
        INSERT INTO author VALUES (1, 'Ann'), (2, 'Bob'), (3, 'Cy');
        INSERT INTO book VALUES (1, 'A', 1, 2), (2, 'B', 1, 1), (3, 'C', 2, NULL), (4, 'D', NULL, 3);
        INSERT INTO loan VALUES (1, 1, 7), (2, 1, 14), (3, 2, 7), (4, 3, 1), (5, NULL, 3);
    """)
    maintained.tview(
        "SELECT b.id, b.title, a.name AS author, e.name AS editor, "
        "(SELECT count(*) FROM loan l WHERE l.book_id = b.id) AS loans "
        "FROM book b LEFT JOIN author a ON a.id = b.author_id "
        "LEFT JOIN author e ON e.id = b.editor_id",
        "id integer, title text, author text NULL, editor text NULL, loans bigint",
        table="card",
    )
    maintained.tview(
        "SELECT a.id, a.name, count(DISTINCT b.id) AS books, coalesce(sum(l.days), 0) AS days "
        "FROM author a LEFT JOIN book b ON b.author_id = a.id LEFT JOIN loan l ON l.book_id = b.id "
        "GROUP BY a.id",
        "id integer, name text, books bigint, days bigint",
        table="totals",
    )
    maintained.tview(
        "SELECT coalesce(author, 'nobody') AS author, count(*) AS books, sum(loans) AS loans "
        "FROM card GROUP BY coalesce(author, 'nobody')",
        "author text, books bigint, loans numeric",
        "author",
        table="board",
    )
    return maintained


def test_thousands_of_rows_at_once(shop: Database) -> None:
    shop.run(
        "INSERT INTO author SELECT g, 'author ' || g FROM generate_series(10, 600) AS g",
        "INSERT INTO book SELECT g, 'book ' || g, 10 + g % 590, 10 + g % 7 "
        "FROM generate_series(10, 3000) AS g",
        "INSERT INTO loan SELECT g, 10 + g % 2990, g % 30 FROM generate_series(10, 5000) AS g",
        "UPDATE book SET author_id = 1 WHERE id % 3 = 0",
        "UPDATE author SET name = 'one of many' WHERE id BETWEEN 100 AND 300",
        "UPDATE loan SET book_id = book_id + 1 WHERE book_id BETWEEN 100 AND 1000",
        "DELETE FROM author WHERE id BETWEEN 200 AND 400",
        "DELETE FROM loan",
        "DELETE FROM book",
    )


def test_a_small_statement_after_a_big_one_and_the_other_way_round(database: Database) -> None:
    database.execute("CREATE TABLE item (id integer PRIMARY KEY, kind integer NOT NULL)")
    database.tview(
        "SELECT kind, count(*) AS n FROM item GROUP BY kind", "kind integer, n bigint", "kind"
    )
    database.run(
        "INSERT INTO item VALUES (1, 1)",
        "INSERT INTO item SELECT g, g % 500 FROM generate_series(2, 1000) AS g",
        "UPDATE item SET kind = 3 WHERE id = 1",
        "UPDATE item SET kind = kind + 1",
        "DELETE FROM item WHERE id = 7",
        "DELETE FROM item WHERE id > 7",
    )


def test_copy(shop: Database) -> None:
    with (
        shop.connection.cursor() as cursor,
        cursor.copy("COPY book (id, title, author_id) FROM STDIN") as copy,
    ):
        for number in range(100, 150):
            copy.write_row((number, f"copied {number}", 1 + number % 3))
    shop.check("COPY into books")
    with shop.connection.cursor() as cursor, cursor.copy("COPY loan FROM STDIN") as copy:
        copy.write_row((900, 100, 9))
    shop.check("COPY of one loan")


def test_truncate_of_one_table_and_of_all_with_the_tviews(shop: Database) -> None:
    shop.run(
        "TRUNCATE loan",
        "INSERT INTO loan VALUES (1, 1, 7)",
        "TRUNCATE card, totals, board, author, book, loan",
        "INSERT INTO author VALUES (1, 'Ann')",
        "INSERT INTO book VALUES (1, 'A', 1, 1)",
        "TRUNCATE author, book, loan, board, totals, card RESTART IDENTITY CASCADE",
    )
    assert shop.value("SELECT count(*) FROM card") == 0


def test_truncate_of_a_tview_restores_it(shop: Database) -> None:
    shop.run("TRUNCATE card", "TRUNCATE board, totals")
    assert shop.value("SELECT count(*) FROM card") == 4


def test_a_rolled_back_savepoint_takes_its_maintenance_along(shop: Database) -> None:
    with shop.transaction():
        shop.run("UPDATE author SET name = 'kept' WHERE id = 1")
        with shop.rolled_back():
            shop.run("DELETE FROM author WHERE id = 1", "INSERT INTO loan VALUES (50, 3, 2)")
        shop.check("the rollback")
        shop.run("INSERT INTO loan VALUES (51, 3, 2)")
    shop.check("COMMIT")
    assert shop.value("SELECT author FROM card WHERE id = 1") == "kept"


def test_a_rolled_back_transaction_leaves_everything_as_it_was(shop: Database) -> None:
    before = shop.execute("SELECT * FROM card ORDER BY id")
    with shop.rolled_back():
        shop.run("DELETE FROM author", "UPDATE book SET title = 'gone'")
    shop.check("ROLLBACK")
    assert shop.execute("SELECT * FROM card ORDER BY id") == before


def test_a_failed_statement_in_a_savepoint_does_not_stop_later_maintenance(shop: Database) -> None:
    with shop.transaction():
        with pytest.raises(IntegrityError), shop.transaction():
            shop.execute("INSERT INTO author VALUES (9, 'new'), (1, 'again')")
        shop.run("UPDATE author SET name = 'after' WHERE id = 1")
        with pytest.raises(IntegrityError), shop.transaction():
            shop.execute("UPDATE loan SET book_id = 999")
        shop.run("DELETE FROM author WHERE id = 2")
    shop.check("COMMIT")


def test_an_exception_caught_in_plpgsql_undoes_its_own_changes_only(shop: Database) -> None:
    shop.run("""
        DO $do$
        BEGIN
            UPDATE author SET name = 'first' WHERE id = 1;
            BEGIN
                UPDATE author SET name = 'second' WHERE id = 2;
                DELETE FROM book WHERE id = 1;
                INSERT INTO author VALUES (1, 'twice');
            EXCEPTION WHEN unique_violation THEN
                INSERT INTO loan VALUES (60, 2, 5);
            END;
            BEGIN
                INSERT INTO author SELECT 1 / (3 - id) FROM author;
            EXCEPTION WHEN OTHERS THEN NULL;
            END;
            UPDATE book SET author_id = 3 WHERE id = 4;
        END
        $do$
    """)
    assert shop.value("SELECT author FROM card WHERE id = 1") == "first"


def test_several_statements_in_one_query_string(shop: Database) -> None:
    shop.run(
        "UPDATE author SET name = 'x'; DELETE FROM book WHERE id = 1; INSERT INTO author "
        "VALUES (8, 'H'); UPDATE book SET author_id = 8"
    )


def test_a_function_that_writes_to_several_tables(shop: Database) -> None:
    shop.execute("""
        CREATE FUNCTION shuffle(shift integer) RETURNS integer LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE loan SET days = days + shift;
            UPDATE book SET author_id = 1 + (id + shift) % 3;
            DELETE FROM loan WHERE days > 15;
            RETURN shift;
        END $$
    """)
    shop.run(
        "SELECT shuffle(1)",
        "SELECT shuffle(g) FROM generate_series(1, 3) AS g",
        # The function runs within the statement that is open on author.
        "UPDATE author SET name = name || shuffle(id)",
        "INSERT INTO author SELECT 20 + shuffle(2), 'nested'",
    )


def test_a_volatile_function_sees_tviews_as_before_the_open_statement(shop: Database) -> None:
    shop.execute("""
        CREATE TABLE seen (loans bigint);
        CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO seen SELECT loans FROM card WHERE id = 1;
            RETURN NULL;
        END $$;
        CREATE TRIGGER zzz AFTER INSERT ON loan FOR EACH ROW EXECUTE FUNCTION look();
    """)
    shop.run("INSERT INTO loan VALUES (70, 1, 1)")
    assert shop.execute("SELECT loans FROM seen") == [(2,)]
    assert shop.value("SELECT loans FROM card WHERE id = 1") == 3


@pytest.mark.parametrize("name", ["aaa_first", "tviews_2_middle", "zzz_last"])
@pytest.mark.parametrize("timing", ["BEFORE", "AFTER"])
@pytest.mark.parametrize("level", ["ROW", "STATEMENT"])
def test_a_trigger_of_the_project_that_writes_to_another_source(
    shop: Database, name: str, timing: str, level: str
) -> None:
    shop.execute(f"""
        CREATE FUNCTION elsewhere() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE loan SET days = days + 1 WHERE book_id = 3;
            UPDATE author SET name = name || '.' WHERE id = 2;
            IF TG_LEVEL = 'STATEMENT' THEN RETURN NULL; END IF;
            IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER {name} {timing} INSERT OR UPDATE OR DELETE ON book
            FOR EACH {level} EXECUTE FUNCTION elsewhere();
    """)
    shop.run(
        "INSERT INTO book VALUES (10, 'J', 2, 1), (11, 'K', 1, 1)",
        "UPDATE book SET author_id = 2 WHERE id IN (1, 10)",
        "UPDATE book SET title = title",
        "DELETE FROM book WHERE id IN (1, 11)",
        "DELETE FROM author WHERE id IN (1, 3)",
    )


def test_a_trigger_of_the_project_that_writes_to_the_same_rows_again(shop: Database) -> None:
    shop.execute("""
        CREATE FUNCTION normalise() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.name <> upper(NEW.name) THEN
                UPDATE author SET name = upper(name) WHERE id = NEW.id;
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER normalise AFTER INSERT OR UPDATE ON author
            FOR EACH ROW EXECUTE FUNCTION normalise();
    """)
    shop.run(
        "UPDATE author SET name = 'acme' WHERE id = 1",
        "UPDATE author SET name = 'all of them'",
        "INSERT INTO author VALUES (30, 'new'), (31, 'newer')",
    )
    assert shop.value("SELECT author FROM card WHERE id = 1") == "ALL OF THEM"


def test_a_before_trigger_that_changes_or_drops_rows(shop: Database) -> None:
    shop.execute("""
        CREATE FUNCTION censor() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.title = 'forbidden' THEN RETURN NULL; END IF;
            NEW.title := upper(NEW.title);
            RETURN NEW;
        END $$;
        CREATE TRIGGER censor BEFORE INSERT OR UPDATE ON book
            FOR EACH ROW EXECUTE FUNCTION censor();
    """)
    shop.run(
        "INSERT INTO book VALUES (10, 'forbidden', 1, 1), (11, 'allowed', 1, 1)",
        "UPDATE book SET title = 'forbidden' WHERE id = 1",
        "UPDATE book SET title = 'lower'",
    )


def test_writes_through_a_view_and_through_rules(shop: Database) -> None:
    shop.execute("""
        CREATE VIEW easy AS SELECT id, title, author_id FROM book WHERE id > 1;
        CREATE TABLE inbox (id integer, name text);
        CREATE RULE forward AS ON INSERT TO inbox DO ALSO
            INSERT INTO author VALUES (NEW.id, NEW.name);
    """)
    shop.run(
        "INSERT INTO easy VALUES (20, 'through a view', 2)",
        "UPDATE easy SET author_id = 3",
        "DELETE FROM easy WHERE id = 20",
        "INSERT INTO inbox VALUES (40, 'by rule')",
    )


def test_a_cursor_that_updates_where_it_stands(shop: Database) -> None:
    shop.run("""
        DO $do$
        DECLARE
            walk CURSOR FOR SELECT * FROM book ORDER BY id FOR UPDATE;
        BEGIN
            FOR here IN walk LOOP
                UPDATE book SET title = here.title || '*', author_id = 2 WHERE CURRENT OF walk;
                IF here.id = 3 THEN DELETE FROM book WHERE CURRENT OF walk; END IF;
            END LOOP;
        END
        $do$
    """)


def test_update_from_and_delete_using(shop: Database) -> None:
    shop.run(
        "UPDATE book SET title = a.name, author_id = 2 FROM author a WHERE a.id = book.author_id",
        "DELETE FROM loan USING book WHERE book.id = loan.book_id AND book.author_id = 2 "
        "AND loan.days > 7",
    )


def test_one_upsert_that_inserts_updates_and_leaves_alone(shop: Database) -> None:
    shop.run(
        "INSERT INTO book VALUES (1, 'A2', 2, NULL), (2, 'B', 1, 1), (9, 'I', 3, 3) "
        "ON CONFLICT (id) DO UPDATE SET title = excluded.title, author_id = excluded.author_id "
        "WHERE book.title <> excluded.title",
        "INSERT INTO author VALUES (1, 'x'), (77, 'y') ON CONFLICT DO NOTHING",
    )


def test_merge_that_inserts_updates_and_deletes(shop: Database) -> None:
    shop.run("""
        MERGE INTO book USING (VALUES (1, 'delete'), (2, 'update'), (99, 'insert')) AS s (id, what)
        ON s.id = book.id
        WHEN MATCHED AND s.what = 'delete' THEN DELETE
        WHEN MATCHED THEN UPDATE SET title = s.what, author_id = 3
        WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.what, 2, 2)
    """)


def test_a_cascade_over_two_tables_with_set_null_beside_it(shop: Database) -> None:
    # Books 1 and 2 go with their author; book 2 would lose its editor as well.
    shop.run("DELETE FROM author WHERE id = 1", "DELETE FROM author")


def test_a_key_change_that_cascades(shop: Database) -> None:
    shop.run(
        "UPDATE author SET id = id + 100",
        "UPDATE book SET id = id + 100 WHERE id = 1",
        "UPDATE author SET id = 5 WHERE id = 101",
    )


def test_data_modifying_ctes_over_three_tables(shop: Database) -> None:
    shop.run(
        "WITH a AS (INSERT INTO author VALUES (10, 'ten') RETURNING id), "
        "b AS (UPDATE book SET author_id = 3 RETURNING id), "
        "l AS (DELETE FROM loan WHERE days = 7 RETURNING id) SELECT 1",
        "WITH a AS (UPDATE author SET name = 'z' WHERE id = 3 RETURNING id) "
        "DELETE FROM book WHERE author_id IN (SELECT id FROM a) AND id < 3",
    )


def test_keys_that_change_places_under_a_deferrable_primary_key(maintained: Database) -> None:
    maintained.execute("""
        CREATE TABLE seat (
            number integer PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, guest text NOT NULL);
        INSERT INTO seat VALUES (1, 'Ann'), (2, 'Bob'), (3, 'Cy');
    """)
    maintained.tview("SELECT number, guest FROM seat", "number integer, guest text", "number")
    maintained.run(
        "UPDATE seat SET number = 4 - number",
        "UPDATE seat SET number = number + 1",
        "UPDATE seat SET number = CASE number WHEN 2 THEN 3 WHEN 3 THEN 2 ELSE number END",
    )


def test_a_key_that_is_there_twice_until_commit_is_refused(database: Database) -> None:
    database.execute("""
        CREATE TABLE seat (
            number integer PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, guest text NOT NULL);
        INSERT INTO seat VALUES (1, 'Ann');
    """)
    database.tview("SELECT number, guest FROM seat", "number integer, guest text", "number")
    with pytest.raises(DatabaseError), database.transaction():
        database.execute("INSERT INTO seat VALUES (1, 'Bob')")
    database.check("the refusal")


def test_a_table_without_any_key(maintained: Database) -> None:
    maintained.execute("CREATE TABLE event (kind text, weight integer)")
    maintained.tview(
        "SELECT kind, count(*) AS n, sum(weight) AS weight FROM event WHERE kind IS NOT NULL "
        "GROUP BY kind",
        "kind text, n bigint, weight bigint NULL",
        "kind",
    )
    maintained.run(
        "INSERT INTO event VALUES ('a', 1), ('a', 1), ('b', NULL), (NULL, 5)",
        "UPDATE event SET weight = 2 WHERE kind = 'a'",
        "UPDATE event SET kind = 'c' WHERE weight = 2",
        "DELETE FROM event WHERE ctid IN (SELECT ctid FROM event LIMIT 1)",
        "UPDATE event SET kind = NULL",
        "DELETE FROM event",
    )


def test_a_table_of_which_no_column_is_read(maintained: Database) -> None:
    maintained.execute("CREATE TABLE tick (moment timestamptz)")
    maintained.tview("SELECT 1 AS id, count(*) AS n FROM tick", "id integer, n bigint")
    maintained.run(
        "INSERT INTO tick SELECT now() FROM generate_series(1, 5)",
        "UPDATE tick SET moment = NULL",
        "DELETE FROM tick WHERE ctid IN (SELECT ctid FROM tick LIMIT 2)",
        "TRUNCATE tick",
    )


def test_a_write_that_touches_nothing_read_writes_no_row(shop: Database) -> None:
    shop.execute("ALTER TABLE author ADD COLUMN born date")
    before = shop.execute("SELECT ctid, xmin FROM card ORDER BY id")
    shop.run("UPDATE author SET born = '1970-01-01'", "UPDATE author SET name = name")
    assert shop.execute("SELECT ctid, xmin FROM card ORDER BY id") == before


def test_rows_that_stay_equal_are_not_written(shop: Database) -> None:
    before = shop.execute("SELECT ctid, xmin FROM card WHERE id <> 3 ORDER BY id")
    shop.run(
        "UPDATE loan SET days = 0, book_id = 3 WHERE id = 4",
        "UPDATE book SET editor_id = 1 WHERE id = 3",
        # Both cards are affected, and come out as they were.
        "UPDATE loan SET book_id = 5 - book_id WHERE book_id IN (2, 3)",
    )
    assert shop.execute("SELECT ctid, xmin FROM card WHERE id <> 3 ORDER BY id") == before


def test_deferred_foreign_keys_in_any_order(maintained: Database) -> None:
    maintained.execute("""
        CREATE TABLE supplier (id integer PRIMARY KEY, name text NOT NULL);
        CREATE TABLE product (id integer PRIMARY KEY, supplier_id integer NOT NULL
            REFERENCES supplier DEFERRABLE INITIALLY DEFERRED);
    """)
    maintained.tview(
        "SELECT p.id, s.name FROM product p LEFT JOIN supplier s ON s.id = p.supplier_id",
        "id integer, name text NULL",
    )
    maintained.tview(
        "SELECT p.id, s.name FROM product p JOIN supplier s ON s.id = p.supplier_id",
        "id integer, name text",
    )
    with maintained.transaction():
        maintained.run(
            "INSERT INTO product VALUES (1, 1), (2, 1)",
            "INSERT INTO supplier VALUES (1, 'late')",
        )
    with maintained.transaction():
        maintained.run("DELETE FROM supplier", "DELETE FROM product")


def test_a_prepared_transaction(shop: Database) -> None:
    writer = shop.connect()
    for end in ("ROLLBACK PREPARED", "COMMIT PREPARED"):
        writer.execute("BEGIN")
        writer.execute("UPDATE author SET name = 'prepared' WHERE id = 1")
        writer.execute("DELETE FROM book WHERE id = 2")
        writer.execute("PREPARE TRANSACTION 'tviews'")
        shop.check("PREPARE")
        writer.execute(f"{end} 'tviews'")
        shop.check(end)
    assert shop.value("SELECT author FROM card WHERE id = 1") == "prepared"


def test_a_pooled_connection_after_discard_all(shop: Database) -> None:
    writer = shop.connect()
    for name in ("one", "two"):
        writer.execute(f"UPDATE {shop.schema}.author SET name = '{name}'")
        shop.check(name)
        writer.execute("DISCARD ALL")


def test_a_cancelled_statement_leaves_nothing_behind(shop: Database) -> None:
    writer = shop.connect()
    writer.execute("SET statement_timeout = '50ms'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        writer.execute(
            "WITH u AS (UPDATE author SET name = 'slow' RETURNING id) SELECT pg_sleep(5) FROM u"
        )
    writer.execute("SET statement_timeout = 0")
    shop.check("the cancellation")
    writer.execute("UPDATE author SET name = 'quick'")
    shop.check("the next statement")


def test_a_column_added_to_and_dropped_from_a_source_between_writes(shop: Database) -> None:
    shop.run("UPDATE author SET name = 'before'")
    shop.execute("ALTER TABLE author ADD COLUMN born date DEFAULT '2000-01-01'")
    shop.run("UPDATE author SET name = 'between'", "INSERT INTO author VALUES (9, 'new', NULL)")
    shop.execute("ALTER TABLE author DROP COLUMN born")
    shop.run("UPDATE author SET name = 'after'", "DELETE FROM author WHERE id = 9")


@pytest.mark.parametrize("mode", ["immediate", "deferred"])
def test_a_refresh_in_the_middle_of_a_statement_is_refused(database: Database, mode: str) -> None:
    """The key stands half in the rows of each table, and neither is there any more."""
    database.execute("""
        CREATE TABLE shop (id integer PRIMARY KEY, town integer NOT NULL);
        CREATE TABLE item (id integer PRIMARY KEY, shop_id integer, kind integer NOT NULL);
        INSERT INTO shop VALUES (1, 7);
        INSERT INTO item VALUES (1, 1, 5), (2, 1, 6);
    """)
    database.tview(
        "SELECT i.kind, s.town, count(*) AS n FROM item i JOIN shop s ON s.id = i.shop_id "
        "GROUP BY i.kind, s.town",
        "kind integer, town integer, n bigint",
        "kind, town",
        table="pairs",
        mode=mode,
    )
    database.execute("""
        CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN
                INSERT INTO django_tviews_refresh (tview) VALUES ('pairs');
                RETURN NULL;
            END $$;
        CREATE TRIGGER z_again AFTER DELETE ON item EXECUTE FUNCTION again();
    """)
    write = "WITH a AS (DELETE FROM shop) DELETE FROM item"
    with pytest.raises(DatabaseError) as caught:
        database.execute(write)
    error = TViewError.from_database_error(caught.value)
    assert isinstance(error, RefreshFailed)
    assert "in the middle of a statement" in error.message
    database.execute("DROP TRIGGER z_again ON item")
    database.run(write)


def test_many_keys_stay_together_whatever_they_are_ordered_by(database: Database) -> None:
    database.execute("""
        CREATE TABLE note (shelf integer, author text, title text,
            PRIMARY KEY (shelf, author, title))
    """)
    database.tview(
        "SELECT shelf, author, title FROM note",
        "shelf integer, author text, title text",
        "shelf, author, title",
    )
    with database.transaction():
        # Each aggregate sorts for itself, and on disk, where rows that are equal change places.
        database.execute("SET LOCAL work_mem = '64kB'")
        if database.connection.pg_version >= 160000:
            database.execute("SET LOCAL enable_presorted_aggregate = off")
        database.run(
            "INSERT INTO note SELECT i % 3, i::text, repeat('title', 10) || i"
            " FROM generate_series(1, 2000) AS i ORDER BY md5(i::text)"
        )
