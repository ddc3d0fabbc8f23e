"""Writers that are stopped in the middle: the TViews are exact afterwards, and nobody is in the way."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from threading import Event
from typing import TYPE_CHECKING

import psycopg
import pytest
from django.db import OperationalError
from psycopg import IsolationLevel

from support.postgres import PrivateServer

from .harness import Database, database_of_its_own
from .interleaving.sessions import CONNECTION_LOST, Session, settle
from .test_concurrency import session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import DjangoDbBlocker

CARD = (
    "SELECT p.id, p.name, (SELECT count(*) FROM review r WHERE r.product_id = p.id) AS n"
    " FROM product p"
)
COLUMNS = "id integer, name text, n bigint"
FIRST, SECOND, THIRD = (f"INSERT INTO review VALUES ({number}, 1)" for number in (1, 2, 3))


def install(database: Database) -> None:
    """Products with reviews, counted at once and at COMMIT."""
    database.execute(
        "CREATE TABLE product (id integer PRIMARY KEY, name text NOT NULL);"
        "CREATE TABLE review (id integer PRIMARY KEY, product_id integer NOT NULL);"
        "INSERT INTO product VALUES (1, 'one'), (2, 'two')"
    )
    database.tview(CARD, COLUMNS, table="card")
    database.tview(CARD, COLUMNS, table="later", mode="deferred")


@pytest.fixture
def shop(database: Database) -> Database:
    """Give it in the usual database."""
    install(database)
    return database


# What is done to a session that waits, before and meanwhile; and what it is told.
INTERRUPTIONS = {
    "cancelled": ("", "SELECT pg_cancel_backend({pid})", "57014"),
    "terminated": ("", "SELECT pg_terminate_backend({pid})", "57P01"),
    "statement_timeout": ("SET statement_timeout = '100ms'", "", "57014"),
    "lock_timeout": ("SET lock_timeout = '100ms'", "", "55P03"),
}
# The last statement is the one that waits for the holder's lock on the key.
VICTIMS = {
    "at a statement": ("BEGIN", SECOND),
    "in the drain": ("BEGIN", f"WITH r AS ({SECOND} RETURNING 1) UPDATE product SET name = 'new'"),
    "at COMMIT": ("BEGIN", "UPDATE product SET name = 'new' WHERE id = 2", SECOND, "COMMIT"),
}


@pytest.mark.parametrize(
    ("place", "interruption"),
    # PostgreSQL ends statement_timeout before it executes what is deferred to COMMIT.
    [
        each
        for each in product(VICTIMS, INTERRUPTIONS)
        if each != ("at COMMIT", "statement_timeout")
    ],
)
def test_a_writer_is_stopped_while_it_waits(shop: Database, place: str, interruption: str) -> None:
    if place == "at COMMIT":
        # Only deferred TViews wait there.
        shop.drop(shop.tviews[0].declaration)
    before, meanwhile, sqlstate = INTERRUPTIONS[interruption]
    holder, victim, other = shop.connect(), shop.connect(), shop.connect()
    holder.execute(f"BEGIN; {FIRST}; SET CONSTRAINTS ALL IMMEDIATE")
    *steps, last = (*filter(None, [before]), *VICTIMS[place])
    for step in steps:
        victim.execute(step)
    waiting = Session(victim)
    waiting.begin(last)
    ends = settle(other, [Session(holder), waiting])
    if meanwhile:
        assert not ends
        other.execute(meanwhile.format(pid=waiting.pid))
    while not ends:
        ends = settle(other, [waiting])
    # The last words of a connection may be lost with it.
    lost = {CONNECTION_LOST} if interruption == "terminated" else set()
    assert ends[waiting].sqlstate in {sqlstate} | lost
    holder.execute("COMMIT")
    shop.check(interruption)
    if interruption != "terminated":
        victim.execute("ROLLBACK; RESET statement_timeout; RESET lock_timeout")
        victim.execute(THIRD)
    shop.run("UPDATE product SET name = 'newer'", "DELETE FROM review", "DELETE FROM product")


def test_a_transaction_goes_on_from_a_savepoint_after_it_was_stopped(shop: Database) -> None:
    holder, victim = shop.connect(), shop.connect()
    holder.execute(f"BEGIN; {FIRST}")
    victim.execute("BEGIN; SET LOCAL lock_timeout = '50ms'; INSERT INTO review VALUES (10, 2)")
    victim.execute("SAVEPOINT before")
    for statement in (SECOND, f"WITH r AS ({SECOND} RETURNING 1) UPDATE product SET name = 'new'"):
        with pytest.raises(psycopg.errors.LockNotAvailable):
            victim.execute(statement)
        victim.execute("ROLLBACK TO SAVEPOINT before")
    victim.execute("INSERT INTO review VALUES (11, 2)")
    holder.execute("COMMIT")
    victim.execute(f"{THIRD}; COMMIT")
    shop.check("COMMIT")
    assert shop.rows(shop.tviews[0].declaration) == [(1, "one", 2), (2, "two", 2)]


@pytest.fixture
def perishable(django_db_blocker: DjangoDbBlocker) -> Iterator[Database]:
    """Give a database on a server of its own, which may crash. It has what was committed."""
    with PrivateServer(settings={"synchronous_commit": "on"}) as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE perishable")
        with database_of_its_own(server.url, "perishable", django_db_blocker) as database:
            install(database)
            yield database
            # It would keep the schema from being dropped.
            for (name,) in database.execute("SELECT gid FROM pg_prepared_xacts"):
                database.execute(f"ROLLBACK PREPARED '{name}'")


def crash(database: Database) -> None:
    """Kill a backend, so that the server ends all others and recovers from its log."""
    os.kill(database.connect().info.backend_pid, signal.SIGKILL)
    time.sleep(0.1)
    database.connection.close()
    give_up = time.monotonic() + 30
    while database.connection.connection is None:
        assert time.monotonic() < give_up
        with contextlib.suppress(psycopg.OperationalError):
            database.connection.connect()
        time.sleep(0.05)
    database.execute(f"SET search_path = {database.schema}, public")


def test_after_a_crash_everything_is_exact_and_prepared_transactions_still_exclude(
    perishable: Database,
) -> None:
    shop = perishable
    child = "INSERT INTO review VALUES (5, 5)"
    prepared, running, pending = (session(shop, IsolationLevel.READ_COMMITTED) for _ in range(3))
    prepared.execute("INSERT INTO product VALUES (5, 'five')")
    prepared.execute("PREPARE TRANSACTION 'before the crash'")
    running.execute("INSERT INTO review VALUES (20, 2)")
    # Something in the spool, written to disk.
    pending.execute("INSERT INTO product VALUES (3, 'never')")
    shop.execute("CHECKPOINT")
    crash(shop)
    shop.check("recovery")
    assert not shop.value("SELECT count(*) FROM django_tviews_spool")
    assert shop.execute("SELECT DISTINCT writer FROM django_tviews_ring") == [(None,)]
    # The prepared transaction has its locks again, though its entry in the ring is lost.
    shop.execute("SET lock_timeout = '50ms'")
    with pytest.raises(OperationalError, match="lock timeout"):
        shop.execute(child)
    shop.execute("RESET lock_timeout")
    isolated = session(shop, IsolationLevel.REPEATABLE_READ)
    isolated.execute("SELECT FROM product").fetchall()
    shop.execute("COMMIT PREPARED 'before the crash'")
    shop.check("COMMIT PREPARED")
    with pytest.raises(psycopg.errors.SerializationFailure, match="access to TView"):
        isolated.execute(child)
    isolated.rollback()
    isolated.execute(child)
    isolated.commit()
    shop.run(THIRD, "UPDATE product SET name = 'new'", "DELETE FROM review WHERE id = 5")


def write_until_the_connection_is_lost(shop: Database, seed: int, committed: Event) -> None:
    """Commit transactions of a few random statements."""
    chance = random.Random(seed)
    with contextlib.suppress(psycopg.OperationalError), shop.connect() as connection:
        connection.autocommit = False
        while True:
            for _ in range(chance.randint(1, 3)):
                product, review = chance.randint(1, 9), chance.randint(100, 140)
                statement = chance.choice(
                    (
                        f"INSERT INTO review VALUES ({review}, {product}) ON CONFLICT (id) DO NOTHING",
                        f"UPDATE review SET product_id = {product} WHERE id = {review}",
                        f"DELETE FROM review WHERE id = {review}",
                        f"INSERT INTO product VALUES ({product}, 'new') "
                        "ON CONFLICT (id) DO UPDATE SET name = product.name || '!'",
                    )
                )
                try:
                    connection.execute(statement)
                except psycopg.errors.DeadlockDetected:
                    connection.rollback()
            try:
                connection.commit()
            except psycopg.errors.DeadlockDetected:
                connection.rollback()
            else:
                committed.set()


def test_a_server_that_crashes_below_many_writers_comes_back_exact(perishable: Database) -> None:
    shop = perishable
    for crashed in range(2):
        with ThreadPoolExecutor() as pool:
            committed = [Event() for _ in range(4)]
            writers = [
                pool.submit(write_until_the_connection_is_lost, shop, 10 * crashed + number, event)
                for number, event in enumerate(committed)
            ]
            all_have_written = all(event.wait(timeout=30) for event in committed)
            time.sleep(0.3)
            crash(shop)
        assert all_have_written
        for writer in writers:
            writer.result()
        shop.check("recovery")
        assert not shop.value("SELECT count(*) FROM django_tviews_spool")
    shop.run("DELETE FROM review", "DELETE FROM product WHERE id > 2")
