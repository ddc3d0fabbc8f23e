"""Writers that do not see each other: no drift at any isolation level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import IsolationLevel

from django_tviews.sql.shared import LOCK_LIMIT, RING_CELLS

from .harness import database  # noqa: F401

if TYPE_CHECKING:
    from .harness import Database

LEVELS = (
    IsolationLevel.READ_COMMITTED,
    IsolationLevel.REPEATABLE_READ,
    IsolationLevel.SERIALIZABLE,
)


@pytest.fixture
def shop(database: Database) -> Database:  # noqa: F811
    """Products with reviews and categories, counted and joined; a TView over a TView."""
    database.execute("CREATE TABLE category (id integer PRIMARY KEY, name text NOT NULL)")
    database.execute(
        "CREATE TABLE product (id integer PRIMARY KEY, name text NOT NULL,"
        " category_id integer REFERENCES category ON DELETE SET NULL)"
    )
    database.execute(
        "CREATE TABLE review (id integer PRIMARY KEY,"
        " product_id integer NOT NULL REFERENCES product ON DELETE CASCADE, stars integer NOT NULL)"
    )
    database.tview(
        "SELECT p.id, p.name, c.name AS category,"
        " (SELECT count(*) FROM review r WHERE r.product_id = p.id) AS reviews"
        " FROM product p LEFT JOIN category c ON c.id = p.category_id",
        "id integer, name text, category text NULL, reviews bigint",
        table="card",
    )
    database.tview(
        "SELECT category AS name, count(*) AS products, sum(reviews) AS reviews FROM card"
        " WHERE category IS NOT NULL GROUP BY category",
        "name text, products bigint, reviews numeric NULL",
        "name",
        table="board",
    )
    database.run(
        "INSERT INTO category VALUES (1, 'tea'), (2, 'coffee')",
        "INSERT INTO product SELECT n, 'product ' || n, 1 + n % 2 FROM generate_series(1, 8) n",
    )
    return database


def session(database: Database, level: IsolationLevel) -> psycopg.Connection[Any]:  # noqa: F811
    """Open a session whose transactions run at an isolation level."""
    connection = database.connect()
    connection.autocommit = False
    connection.isolation_level = level
    return connection


@pytest.mark.parametrize("level", LEVELS[1:])
def test_a_snapshot_older_than_the_last_writer_fails_with_40001_and_succeeds_when_retried(
    shop: Database, level: IsolationLevel
) -> None:
    writer = session(shop, IsolationLevel.READ_COMMITTED)
    isolated = session(shop, level)
    isolated.execute("SELECT FROM product").fetchall()
    writer.execute("INSERT INTO review VALUES (1, 1, 5)")
    writer.commit()
    with pytest.raises(psycopg.errors.SerializationFailure, match="could not serialize access"):
        isolated.execute("INSERT INTO review VALUES (2, 1, 4)")
    isolated.rollback()
    isolated.execute("INSERT INTO review VALUES (2, 1, 4)")
    isolated.commit()
    shop.check("the retry")


@pytest.mark.parametrize("level", LEVELS[1:])
def test_a_snapshot_isolated_transaction_may_write_again_and_again(
    shop: Database, level: IsolationLevel
) -> None:
    isolated = session(shop, level)
    for number in range(3):
        isolated.execute("INSERT INTO review VALUES (%s, 1, 5)", [number])
    isolated.commit()
    shop.check("three writes in one transaction")


def test_a_writer_of_something_else_does_not_fail_a_snapshot(shop: Database) -> None:
    shop.execute("CREATE TABLE note (id integer PRIMARY KEY)")
    isolated = session(shop, IsolationLevel.REPEATABLE_READ)
    isolated.execute("SELECT FROM product").fetchall()
    shop.execute("INSERT INTO note VALUES (1)")
    # Nothing that a TView reads: the row is written, the TView is not.
    shop.execute("UPDATE review SET stars = stars")
    isolated.execute("INSERT INTO review VALUES (1, 1, 5)")
    isolated.commit()
    shop.check("a write beside a writer of something else")


def test_a_transaction_number_from_another_cluster_fails_nobody(shop: Database) -> None:
    # As pg_restore leaves it where the cluster that was dumped had seen more transactions.
    for cell in range(RING_CELLS + 1):
        shop.execute(
            f"SELECT setval('django_tviews_writer_{cell}', 5000000000),"
            f" setval('django_tviews_entry_{cell}', {2**62 - 1})"
        )
    isolated = session(shop, IsolationLevel.REPEATABLE_READ)
    isolated.execute("INSERT INTO review VALUES (1, 1, 5)")
    isolated.commit()
    shop.check("a write after pg_restore")


class TestTheRing:
    """A snapshot that is older than a conflicting writer, whose entry is no longer in the ring.

    The two write different rows of the TView, so PostgreSQL itself sees no conflict.
    """

    RENAME = "UPDATE category SET name = name || '!' WHERE id = 2"
    LATE = "INSERT INTO product VALUES (90, 'late', 2)"
    UNRELATED = "UPDATE product SET name = name || '!' WHERE id = 3"

    @pytest.fixture
    def cards(self, shop: Database) -> Database:
        """Without the TView over the TView; what is unrelated has its own classes of slots."""
        shop.drop(shop.tviews[1].declaration)
        shop.run(
            "INSERT INTO category VALUES (5, 'cocoa')",
            "UPDATE product SET category_id = CASE id WHEN 1 THEN 2 WHEN 3 THEN 5 END",
        )
        return shop

    @staticmethod
    def older_snapshot(cards: Database) -> psycopg.Connection[Any]:
        isolated = session(cards, IsolationLevel.REPEATABLE_READ)
        isolated.execute("SELECT FROM product").fetchall()
        return isolated

    @staticmethod
    def cell_of(connection: psycopg.Connection[Any]) -> int:
        (number,) = connection.execute("SELECT pg_current_xact_id()::text::bigint").fetchone() or ()
        return int(number) % RING_CELLS

    def at_cell(self, cards: Database, cell: int) -> psycopg.Connection[Any]:
        """Open a transaction whose number belongs to a cell; those before it are rolled back."""
        connection = session(cards, IsolationLevel.READ_COMMITTED)
        while self.cell_of(connection) != cell:
            connection.rollback()
        return connection

    def refused(self, cards: Database, isolated: psycopg.Connection[Any]) -> None:
        with pytest.raises(psycopg.errors.SerializationFailure, match="access to TView"):
            isolated.execute(self.LATE)
        isolated.rollback()
        cards.check("a conflict that was told")

    def test_the_entry_of_a_writer_that_ran_at_the_time_is_replaced(self, cards: Database) -> None:
        writer = session(cards, IsolationLevel.READ_COMMITTED)
        writer.execute(self.RENAME)
        # Snapshots list a transaction as running only if a later one has ended.
        cards.execute("SELECT pg_current_xact_id()")
        isolated = self.older_snapshot(cards)
        cell = self.cell_of(writer)
        writer.commit()
        later = self.at_cell(cards, cell)
        later.execute(self.UNRELATED)
        later.commit()
        self.refused(cards, isolated)

    def test_the_entry_of_a_writer_that_began_later_is_replaced(self, cards: Database) -> None:
        isolated = self.older_snapshot(cards)
        writer = session(cards, IsolationLevel.READ_COMMITTED)
        writer.execute(self.RENAME)
        cell = self.cell_of(writer)
        writer.commit()
        later = self.at_cell(cards, cell)
        later.execute(self.UNRELATED)
        later.commit()
        self.refused(cards, isolated)

    def test_a_transaction_replaces_an_entry_by_its_own(self, cards: Database) -> None:
        writer = session(cards, IsolationLevel.READ_COMMITTED)
        while True:
            isolated = self.older_snapshot(cards)
            writer.execute(self.RENAME)
            cell = self.cell_of(writer)
            writer.commit()
            self.at_cell(cards, (cell - 1) % RING_CELLS).rollback()
            if self.cell_of(isolated) == cell:
                break
            # Somebody else on the server took the number.
            isolated.rollback()
        isolated.execute(self.UNRELATED)
        self.refused(cards, isolated)

    def test_an_older_writer_does_not_replace_the_entry_of_a_later_one(
        self, cards: Database
    ) -> None:
        older = session(cards, IsolationLevel.READ_COMMITTED)
        later = self.at_cell(cards, self.cell_of(older))
        isolated = self.older_snapshot(cards)
        later.execute(self.RENAME)
        later.commit()
        older.execute(self.UNRELATED)
        older.commit()
        self.refused(cards, isolated)

    def displaced(self, cards: Database, product: int) -> psycopg.Connection[Any]:
        """Open a transaction whose cell an older one has, which has written and still runs."""
        holder = session(cards, IsolationLevel.READ_COMMITTED)
        holder.execute(f"INSERT INTO product VALUES ({product}, 'other', 5)")
        return self.at_cell(cards, self.cell_of(holder))

    def test_a_writer_whose_cell_is_taken_enters_the_spare_one(self, cards: Database) -> None:
        isolated = self.older_snapshot(cards)
        writer = self.displaced(cards, 91)
        writer.execute(self.RENAME)
        spare = f"SELECT writer::text FROM django_tviews_ring WHERE cell = {RING_CELLS + 1}"
        (number,) = writer.execute("SELECT pg_current_xact_id()::text").fetchone() or ()
        assert cards.value(spare) == number
        writer.commit()
        self.refused(cards, isolated)

    def test_who_ran_at_the_time_is_replaced_in_the_spare_cell(self, cards: Database) -> None:
        writer = self.displaced(cards, 91)
        writer.execute(self.RENAME)
        cards.execute("SELECT pg_current_xact_id()")
        isolated = self.older_snapshot(cards)
        later = self.displaced(cards, 92)
        writer.commit()
        later.execute(self.UNRELATED)
        later.commit()
        self.refused(cards, isolated)

    def test_who_began_later_is_replaced_in_the_spare_cell(self, cards: Database) -> None:
        isolated = self.older_snapshot(cards)
        writer = self.displaced(cards, 91)
        writer.execute(self.RENAME)
        writer.commit()
        later = self.displaced(cards, 92)
        later.execute(self.UNRELATED)
        later.commit()
        self.refused(cards, isolated)

    def test_a_second_statement_adds_to_the_entry_of_the_first(self, cards: Database) -> None:
        isolated = self.older_snapshot(cards)
        writer = session(cards, IsolationLevel.READ_COMMITTED)
        writer.execute(self.RENAME)
        writer.execute(self.UNRELATED)
        writer.commit()
        self.refused(cards, isolated)


def test_statements_of_ten_thousand_rows_take_no_more_locks_than_can_be_spared(
    shop: Database,
) -> None:
    counted = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'"
    with shop.transaction():
        for statement in (
            "INSERT INTO product SELECT n, 'p', 1 FROM generate_series(1001, 11000) n",
            "UPDATE product SET name = 'q' WHERE id > 1000",
            "DELETE FROM product WHERE id > 1000",
        ):
            shop.execute(statement)
            # They lock the whole of a TView, and not its 10,000 keys.
            assert 0 < shop.value(counted) <= LOCK_LIMIT
    shop.check("the transaction")


def test_a_long_transaction_takes_no_more_locks_than_can_be_spared(shop: Database) -> None:
    counted = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'"
    shop.execute("INSERT INTO product SELECT n, 'p', 1 FROM generate_series(100, 500) n")
    with shop.transaction():
        for product in range(100, 400):
            shop.execute(f"UPDATE product SET name = 'q' WHERE id = {product}")
        held = shop.value(counted)
        # One more for the whole of each TView.
        assert LOCK_LIMIT - 10 < held <= LOCK_LIMIT + 2 * len(shop.tviews)
        shop.execute("UPDATE product SET name = 'r' WHERE id >= 400")
        assert shop.value(counted) <= held + len(shop.tviews)
    shop.check("the long transaction")
