"""Writers that do not see each other: no drift at any isolation level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import IsolationLevel

from django_tviews.sql.objects import LOCK_LIMIT, RING_CELLS

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
    for cell in range(RING_CELLS):
        shop.execute(
            f"SELECT setval('django_tviews_writer_{cell}', 5000000000),"
            f" setval('django_tviews_entry_{cell}', {2**62 - 1})"
        )
    isolated = session(shop, IsolationLevel.REPEATABLE_READ)
    isolated.execute("INSERT INTO review VALUES (1, 1, 5)")
    isolated.commit()
    shop.check("a write after pg_restore")


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
