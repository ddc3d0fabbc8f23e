"""The deadlock that is named: a new child, and its parent that goes, with a deferred foreign key."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import errors

from .test_retrying import wait_until_blocked

if TYPE_CHECKING:
    from .harness import Database

CARD = (
    "SELECT p.id, (SELECT count(*) FROM review r WHERE r.product_id = p.id) AS reviews"
    " FROM product p"
)


def with_foreign_key(database: Database, kind: str, mode: str) -> None:
    """Products with reviews, and a foreign key as Django makes it, or another one."""
    database.execute(
        "CREATE TABLE product (id integer PRIMARY KEY);"
        "CREATE TABLE review (id integer PRIMARY KEY,"
        f" product_id integer NOT NULL REFERENCES product {kind});"
        "INSERT INTO product VALUES (1), (2);"
    )
    database.tview(CARD, "id integer, reviews bigint", table="card", mode=mode)


def outcome(database: Database, first: str = "SELECT") -> list[type[Exception]]:
    """Insert a review while its product is deleted, and return which errors that gives.

    Args:
        database: where.
        first: what the session that inserts does before.
    """
    found: list[type[Exception]] = []
    inserting, deleting = database.connect(), database.connect()

    def delete() -> None:
        try:
            deleting.execute("DELETE FROM product WHERE id = 1")
        except psycopg.Error as error:
            found.append(type(error))

    inserting.execute("BEGIN")
    inserting.execute(first)
    inserting.execute("INSERT INTO review VALUES (1, 1)")
    thread = threading.Thread(target=delete)
    thread.start()
    wait_until_blocked_or_done(deleting, thread)
    try:
        inserting.execute("COMMIT")
    except psycopg.Error as error:
        found.append(type(error))
    thread.join()
    database.check("both")
    return found


def wait_until_blocked_or_done(session: psycopg.Connection[Any], thread: threading.Thread) -> None:
    thread.join(0.1)
    if thread.is_alive():
        wait_until_blocked(session)


def test_a_new_child_and_its_parent_that_goes_lock_each_other_up(database: Database) -> None:
    with_foreign_key(database, "DEFERRABLE INITIALLY DEFERRED", "immediate")
    assert outcome(database)[0] is errors.DeadlockDetected
    # Whichever was ended: a retry ends as it does without a TView, and the TView is exact.
    with database.connect() as again:
        again.execute("DELETE FROM review")
        again.execute("DELETE FROM product WHERE id = 1")
        with pytest.raises(errors.ForeignKeyViolation):
            again.execute("INSERT INTO review VALUES (1, 1)")
    database.check("the retry")


@pytest.mark.parametrize(
    "first", ["SELECT FROM product WHERE id = 1 FOR NO KEY UPDATE", "SET CONSTRAINTS ALL IMMEDIATE"]
)
def test_who_locks_the_parent_first_is_not_locked_up(database: Database, first: str) -> None:
    with_foreign_key(database, "DEFERRABLE INITIALLY DEFERRED", "immediate")
    assert outcome(database, first) == [errors.ForeignKeyViolation]


def test_a_foreign_key_that_is_not_deferred_locks_the_parent_first(database: Database) -> None:
    with_foreign_key(database, "", "immediate")
    assert outcome(database) == [errors.ForeignKeyViolation]


def test_a_deferred_tview_locks_after_the_foreign_key(database: Database) -> None:
    with_foreign_key(database, "DEFERRABLE INITIALLY DEFERRED", "deferred")
    # Nobody waits until COMMIT, where the foreign key is checked first.
    assert outcome(database) == [errors.ForeignKeyViolation]
