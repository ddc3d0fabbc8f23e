"""Deferred TViews: maintained once per transaction, at COMMIT, and exact from then on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from django.db import transaction

from django_tviews import installer
from django_tviews.maintenance import apply_pending, verify

from .harness import branch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .harness import Database

SCHEMA = (
    "CREATE TABLE maker (id integer PRIMARY KEY, name text NOT NULL)",
    "CREATE TABLE product (id integer PRIMARY KEY, name text NOT NULL, maker_id integer"
    " REFERENCES maker ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED)",
    "CREATE TABLE review (id integer PRIMARY KEY, product_id integer NOT NULL"
    " REFERENCES product ON UPDATE CASCADE ON DELETE CASCADE, stars integer NOT NULL)",
)
CARD = (
    "SELECT p.id, p.name, m.name AS maker, (SELECT count(*) FROM review r WHERE r.product_id = p.id)"
    " AS reviews FROM product p LEFT JOIN maker m ON m.id = p.maker_id"
)
CARD_COLUMNS = "id integer, name text, maker text NULL, reviews bigint"
STARS = (
    "SELECT m.id, sum(r.stars) AS stars FROM maker m JOIN product p ON p.maker_id = m.id"
    " JOIN review r ON r.product_id = p.id GROUP BY m.id"
)


@pytest.fixture(params=["small", "bulk"])
def shop(request: pytest.FixtureRequest, database: Database) -> Iterator[Database]:
    """Makers, products and reviews; two deferred TViews over them."""
    for statement in SCHEMA:
        database.execute(statement)
    with branch(request.param):
        database.tview(CARD, CARD_COLUMNS, table="card", mode="deferred")
        database.tview(STARS, "id integer, stars bigint NULL", table="stars", mode="deferred")
        database.run(
            "INSERT INTO maker VALUES (1, 'one'), (2, 'two')",
            "INSERT INTO product SELECT n, 'product ' || n, 1 + n % 2 FROM generate_series(1, 6) n",
            "INSERT INTO review SELECT n, 1 + n % 6, n % 5 FROM generate_series(1, 20) n",
        )
        yield database


@contextmanager
def committed(database: Database) -> Iterator[None]:
    """Run in one transaction, and ask the oracle after it."""
    with transaction.atomic(database.connection.alias):
        yield
    database.check("COMMIT")


def names(database: Database) -> list[Any]:
    return [name for (name,) in database.execute("SELECT name FROM card ORDER BY id")]


def test_rows_are_brought_up_to_date_at_commit(shop: Database) -> None:
    with committed(shop):
        shop.execute("UPDATE product SET name = 'new' WHERE id = 1")
        assert "new" not in names(shop)
    assert "new" in names(shop)


def test_each_key_is_maintained_once_per_transaction(shop: Database) -> None:
    shop.execute("CREATE TABLE writes (n integer)")
    shop.execute(
        "CREATE FUNCTION count_write() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" BEGIN INSERT INTO {shop.schema}.writes VALUES (1); RETURN NULL; END $$"
    )
    shop.execute(
        "CREATE TRIGGER counted AFTER UPDATE ON card FOR EACH ROW EXECUTE FUNCTION count_write()"
    )
    with committed(shop):
        for number in range(5):
            shop.execute(f"UPDATE product SET name = 'new {number}' WHERE id = 1")
            shop.execute("UPDATE review SET product_id = 1 + id % 2 WHERE id < 5")
    writes = shop.value("SELECT count(*) FROM writes")
    assert 0 < writes <= 6


@pytest.mark.parametrize(
    "statements",
    [
        # A child and its parent go by two statements: the route needs the removed parent.
        ["DELETE FROM review WHERE product_id = 1", "DELETE FROM product WHERE id = 1"],
        ["UPDATE product SET maker_id = 2 WHERE maker_id = 1", "DELETE FROM maker WHERE id = 1"],
        [
            "UPDATE product SET maker_id = NULL WHERE id = 1",
            "DELETE FROM review WHERE product_id = 1",
        ],
        ["DELETE FROM maker WHERE id = 1"],
        ["INSERT INTO review VALUES (99, 2, 4)", "DELETE FROM review WHERE id = 99"],
        [
            "UPDATE review SET product_id = 2 WHERE id = 1",
            "UPDATE review SET product_id = 3 WHERE id = 1",
        ],
        [
            "UPDATE product SET id = id + 100 WHERE id > 3",
            "UPDATE product SET id = id - 100 WHERE id > 103",
        ],
        ["TRUNCATE review", "INSERT INTO review VALUES (1, 1, 1)"],
        [
            "WITH gone AS (DELETE FROM review WHERE id < 5 RETURNING product_id)"
            " UPDATE product SET name = 'less' WHERE id IN (SELECT product_id FROM gone)"
        ],
        ["INSERT INTO product VALUES (50, 'early', 9)", "INSERT INTO maker VALUES (9, 'late')"],
    ],
    ids="; ".join,
)
def test_several_statements_together_leave_nothing_stale(
    shop: Database, statements: list[str]
) -> None:
    for constraints in ("DEFERRED", "IMMEDIATE"):
        with shop.rolled_back():
            shop.execute(f"SET CONSTRAINTS django_tviews_apply {constraints}")
            for statement in statements:
                shop.execute(statement)
                if constraints == "IMMEDIATE":
                    shop.check(statement)
            apply_pending(using=shop.connection.alias)
            shop.check(f"{statements}, {constraints}")


def test_a_rolled_back_savepoint_takes_its_changes_out_of_the_spool(shop: Database) -> None:
    with committed(shop):
        shop.execute("SAVEPOINT one")
        shop.execute("UPDATE product SET name = 'never' WHERE id = 1")
        shop.execute("ROLLBACK TO SAVEPOINT one")
        shop.execute("UPDATE product SET name = 'kept' WHERE id = 2")
        shop.execute("SAVEPOINT two")
        shop.execute("UPDATE product SET name = 'never' WHERE id = 3")
        shop.execute("ROLLBACK TO SAVEPOINT two")
    assert "never" not in names(shop)
    assert "kept" in names(shop)


def test_pending_changes_are_applied_when_asked_for_and_later_ones_at_commit(
    shop: Database,
) -> None:
    with committed(shop):
        shop.execute("UPDATE product SET name = 'first' WHERE id = 1")
        apply_pending(using=shop.connection.alias)
        shop.check("apply_pending")
        assert "first" in names(shop)
        shop.execute("UPDATE product SET name = 'second' WHERE id = 1")
        assert "second" not in names(shop)
    assert "second" in names(shop)
    apply_pending(using=shop.connection.alias)


def test_a_transaction_that_resets_its_settings_has_one_ticket(shop: Database) -> None:
    with shop.transaction():
        shop.execute("UPDATE product SET name = 'first'")
        shop.execute(f"RESET ALL; SET search_path = {shop.schema}, public")
        shop.execute("UPDATE product SET maker_id = 1")
    shop.check("COMMIT")


@pytest.fixture
def notes(shop: Database) -> Database:
    """Notes, which one deferred TView reads."""
    shop.execute("CREATE TABLE note (id integer PRIMARY KEY, body text)")
    shop.tview(
        "SELECT id, body FROM note", "id integer, body text NULL", table="page", mode="deferred"
    )
    return shop


def test_a_ticket_that_a_reset_has_taken_off_the_list_still_counts(notes: Database) -> None:
    with notes.transaction():
        notes.execute("INSERT INTO note VALUES (1, 'first')")
        notes.execute("UPDATE review SET stars = stars + 1")
        notes.execute(f"RESET ALL; SET search_path = {notes.schema}, public")
        # Now the page alone is on the list, and its ticket comes before the others'.
        notes.execute("UPDATE note SET body = 'second'")
    notes.check("COMMIT")


@pytest.mark.parametrize("mode", ["immediate", "deferred"])
def test_what_reads_the_only_deferred_tview_that_waits_follows(notes: Database, mode: str) -> None:
    notes.tview("SELECT id, body FROM page", "id integer, body text NULL", table="above", mode=mode)
    with notes.transaction():
        notes.execute("INSERT INTO note VALUES (1, 'first')")
    notes.check("COMMIT")


def test_verifying_in_the_same_transaction_maintains_first(shop: Database) -> None:
    with committed(shop):
        shop.execute("UPDATE product SET name = 'new' WHERE id = 1")
        assert all(report.exact for report in verify(using=shop.connection.alias))


def test_a_prepared_transaction_is_maintained_when_it_is_prepared(shop: Database) -> None:
    shop.execute("BEGIN")
    shop.execute("UPDATE maker SET name = 'prepared' WHERE id = 1")
    shop.execute("PREPARE TRANSACTION 'deferred'")
    shop.check("PREPARE")
    shop.execute("COMMIT PREPARED 'deferred'")
    shop.check("COMMIT PREPARED")
    assert shop.value("SELECT count(*) FROM card WHERE maker = 'prepared'")


def test_maintenance_that_fails_fails_the_commit(shop: Database) -> None:
    shop.execute("ALTER TABLE card ADD CONSTRAINT short CHECK (length(name) < 20)")
    writer = shop.connect()
    writer.autocommit = False
    writer.execute("UPDATE product SET name = repeat('x', 30) WHERE id = 1")
    with pytest.raises(psycopg.errors.CheckViolation):
        writer.commit()
    shop.check("the failed COMMIT")
    assert not shop.value("SELECT count(*) FROM product WHERE length(name) = 30")


def test_an_immediate_tview_over_a_deferred_one_follows_at_commit(shop: Database) -> None:
    shop.tview(
        "SELECT maker AS id, count(*) AS n FROM card WHERE maker IS NOT NULL GROUP BY maker",
        "id text, n bigint",
        table="immediate_above",
    )
    with committed(shop):
        shop.execute("UPDATE maker SET name = 'renamed' WHERE id = 1")
        shop.execute("UPDATE product SET maker_id = 1")
        assert "renamed" not in [row for (row,) in shop.execute("SELECT id FROM immediate_above")]


def test_a_deferred_tview_over_an_immediate_one_follows_at_commit(shop: Database) -> None:
    shop.tview("SELECT id, upper(name) AS name FROM maker", "id integer, name text", table="loud")
    shop.tview(
        "SELECT l.name AS id, count(*) AS n FROM loud l JOIN product p ON p.maker_id = l.id"
        " GROUP BY l.name",
        "id text, n bigint",
        table="deferred_above",
        mode="deferred",
    )
    with committed(shop):
        shop.execute("UPDATE maker SET name = 'renamed' WHERE id = 1")
        assert shop.value("SELECT name FROM loud WHERE id = 1") == "RENAMED"
        shop.execute("UPDATE product SET maker_id = 1")


def test_a_tview_waits_for_all_that_it_reads(shop: Database) -> None:
    """`total` reads `product`, and has something to do at once, and `loud`, which has it later."""
    for table, query in {
        "quiet": "SELECT id, lower(name) AS name FROM product",
        "loud": "SELECT id, upper(name) AS name FROM quiet",
        "total": "SELECT p.id, p.name || l.name AS name FROM product p JOIN loud l ON l.id = p.id",
    }.items():
        shop.tview(query, "id integer, name text", table=table, mode="deferred")
    shop.execute("CREATE TABLE written (name text)")
    shop.execute(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" BEGIN INSERT INTO {shop.schema}.written VALUES (NEW.name); RETURN NULL; END $$"
    )
    shop.execute("CREATE TRIGGER noted AFTER UPDATE ON total FOR EACH ROW EXECUTE FUNCTION note()")
    with committed(shop):
        shop.execute("UPDATE product SET name = 'new' WHERE id = 1")
    assert shop.execute("SELECT name FROM written") == [("newNEW",)]


def test_writes_of_deferred_triggers_of_the_user_are_maintained_too(shop: Database) -> None:
    shop.execute(
        "CREATE FUNCTION rename() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " UPDATE maker SET name = 'by trigger' WHERE id = NEW.maker_id; RETURN NULL; END $$"
    )
    shop.execute(
        "CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON product DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION rename()"
    )
    with committed(shop):
        shop.execute("UPDATE product SET name = 'a' WHERE id = 1")
        shop.execute("UPDATE product SET name = 'b' WHERE id = 2")
    assert shop.value("SELECT count(*) FROM card WHERE maker = 'by trigger'")


def test_refreshing_takes_what_is_pending_along(shop: Database) -> None:
    with committed(shop):
        shop.execute("UPDATE product SET name = 'new' WHERE id = 1")
        shop.execute("INSERT INTO django_tviews_refresh (tview) VALUES ('card')")
        assert "new" in names(shop)


def test_a_tview_with_pending_changes_is_dropped_and_made_again(shop: Database) -> None:
    declaration = shop.tviews[1].declaration
    with transaction.atomic(shop.connection.alias):
        shop.execute("UPDATE review SET stars = 5")
        with shop.connection.schema_editor() as editor:
            installer.drop(editor, declaration, lambda: editor.execute("DROP TABLE stars"))
        shop.tviews.pop()
        shop.execute("UPDATE review SET stars = 4")
        shop.install(declaration)
        shop.execute("UPDATE review SET stars = 3")
    shop.check("COMMIT")
    assert set(shop.execute("SELECT stars FROM stars")) != set()


@pytest.fixture
def chain(database: Database) -> Database:
    """A deferred TView over an immediate one over another."""
    database.execute("CREATE TABLE ground (id integer PRIMARY KEY, name text NOT NULL)")
    database.execute("INSERT INTO ground VALUES (1, 'old')")
    for table, below, mode in (
        ("first", "ground", "immediate"),
        ("second", "first", "immediate"),
        ("third", "second", "deferred"),
    ):
        query = f"SELECT id, name FROM {below}"
        database.tview(query, "id integer, name text", table=table, mode=mode)
    return database


def test_what_maintenance_itself_makes_due_is_maintained(chain: Database) -> None:
    with committed(chain):
        chain.execute("SET CONSTRAINTS ALL IMMEDIATE")
        chain.run(
            "UPDATE ground SET name = 'new'",
            # One key goes and another comes, which is not passed on, but goes through the spool.
            "UPDATE ground SET id = 2",
        )


def test_a_trigger_on_a_tview_that_brings_maintenance_forward_loses_nothing(
    chain: Database,
) -> None:
    chain.execute(
        "CREATE FUNCTION hurry() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED; RETURN NULL; END $$"
    )
    chain.execute("CREATE TRIGGER zz AFTER UPDATE ON second EXECUTE FUNCTION hurry()")
    with committed(chain):
        chain.execute("UPDATE ground SET name = 'new'")


def test_immediate_constraints_wait_for_the_end_of_a_cascade(database: Database) -> None:
    for statement in SCHEMA:
        database.execute(statement)
    database.run(
        "INSERT INTO maker VALUES (1, 'one')",
        "INSERT INTO product VALUES (1, 'product', 1)",
        "INSERT INTO review VALUES (1, 1, 5)",
    )
    # Of the rows that go together each is needed to find the key by the other.
    database.tview(
        "SELECT m.id AS maker, r.id AS review FROM maker m JOIN product p ON p.maker_id = m.id"
        " JOIN review r ON r.product_id = p.id",
        "maker integer, review integer",
        table="reviewed",
        key="maker, review",
        mode="deferred",
    )
    with committed(database):
        database.execute("SET CONSTRAINTS django_tviews_apply IMMEDIATE")
        database.execute("DELETE FROM product")


def test_a_refresh_reaches_deferred_tviews_that_are_due(chain: Database) -> None:
    for table in ("second", "third"):
        chain.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        chain.execute(f"UPDATE {table} SET name = 'drifted'")
        chain.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    with committed(chain):
        chain.execute("SET CONSTRAINTS ALL IMMEDIATE")
        chain.execute("INSERT INTO django_tviews_refresh (tview) VALUES ('second')")
        chain.check("refresh")
