"""What reads whole tables beside writers: fill, alteration, refresh, repair, rebuild, TRUNCATE."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from django.db import DatabaseError
from django.test import override_settings
from psycopg import IsolationLevel

from django_tviews import registry
from django_tviews.alignment import align
from django_tviews.errors import LockTimeout, SerializationConflict, TViewError
from django_tviews.maintenance import refresh, verify
from django_tviews.sql import routes
from django_tviews.synchronization import sync

from .test_concurrency import LEVELS, session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .harness import Database

CARD = (
    "SELECT p.id, p.name, (SELECT count(*) FROM review r WHERE r.product_id = p.id) AS reviews"
    " FROM product p"
)
CARD_COLUMNS = "id integer, name text, reviews bigint"
SNAPSHOTS = LEVELS[1:]
IMPATIENT = {"LOCK_TIMEOUT": "100ms", "LOCK_RETRIES": 0}


@pytest.fixture
def shop(database: Database) -> Database:
    """Products with reviews, and makers without a route to the products."""
    database.execute(
        """
        CREATE TABLE maker (id integer PRIMARY KEY);
        CREATE TABLE product (id integer PRIMARY KEY, name text NOT NULL);
        CREATE TABLE review (id integer PRIMARY KEY, product_id integer NOT NULL);
        INSERT INTO product SELECT n, 'product ' || n FROM generate_series(1, 4) n;
        INSERT INTO review SELECT n, 1 + n % 4 FROM generate_series(1, 8) n;
        """
    )
    database.tview(CARD, CARD_COLUMNS, table="card")
    database.tview(
        f"{CARD.replace('FROM product p', ', (SELECT count(*) FROM maker) AS makers FROM product p')}",
        f"{CARD_COLUMNS}, makers bigint",
        table="share",
        allow_rebuild=True,
    )
    return database


def fill(database: Database) -> None:
    table = f"filled_{len(database.tviews)}"
    database.tview(CARD, CARD_COLUMNS, table=table)


def alter(database: Database) -> None:
    old = database.tviews[0]
    query = old.declaration.query
    name = "upper(p.name)" if "upper" not in query else "p.name"
    new = database.declare(CARD.replace("p.name", f"{name} AS name"), CARD_COLUMNS, table="card")
    database.replace(old.declaration, new)
    old.declaration = new


def repair(database: Database) -> None:
    database.execute("SET session_replication_role = replica")
    database.execute("UPDATE card SET reviews = -1 WHERE id = 1")
    database.execute("RESET session_replication_role")
    (report,) = verify("tests.card", repair=True)
    assert report.repair


# What runs at READ COMMITTED only, and what runs at every level.
BUILDING: dict[str, Callable[[Database], object]] = {"fill": fill, "alter": alter}
OPERATIONS: dict[str, Callable[[Database], object]] = {
    **BUILDING,
    "refresh": lambda _: refresh("tests.card"),
    "refresh of a key": lambda _: refresh("tests.card", keys=[1]),
    "repair": repair,
    "rebuild": lambda database: database.execute(
        "INSERT INTO maker SELECT coalesce(max(id), 0) + 1 FROM maker"
    ),
    "truncate": lambda database: database.execute("TRUNCATE review"),
}


@contextmanager
def committed_when_waited_for(writer: psycopg.Connection[Any]) -> Iterator[None]:
    """Commit a transaction once somebody waits for it; somebody must."""
    waited = threading.Event()

    def commit() -> None:
        with psycopg.connect(writer.info.dsn, autocommit=True) as watcher:
            until = time.monotonic() + 10
            while time.monotonic() < until and not waited.is_set():
                ((waiting,),) = watcher.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))",
                    [writer.info.backend_pid],
                ).fetchall()
                if waiting:
                    waited.set()
        writer.commit()

    thread = threading.Thread(target=commit)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert waited.is_set()


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_waits_for_writers_and_sees_what_they_wrote(shop: Database, name: str) -> None:
    for number, level in enumerate(LEVELS, start=100):
        writer = session(shop, level)
        writer.execute("INSERT INTO review VALUES (%s, 1)", [number])
        with committed_when_waited_for(writer):
            OPERATIONS[name](shop)
        shop.check(f"{name} beside a writer at {level.name}")


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - BUILDING.keys()))
def test_an_operation_above_read_committed_fails_rather_than_miss_a_writer(
    shop: Database, name: str
) -> None:
    for number, level in enumerate(SNAPSHOTS, start=100):
        writer = session(shop, IsolationLevel.READ_COMMITTED)
        writer.execute("INSERT INTO review VALUES (%s, 1)", [number])
        shop.execute(f"SET default_transaction_isolation = '{level.name.replace('_', ' ')}'")
        try:
            with committed_when_waited_for(writer):
                OPERATIONS[name](shop)
        except (TViewError, DatabaseError) as error:
            if not isinstance(TViewError.from_database_error(error), SerializationConflict):
                raise
            OPERATIONS[name](shop)
        shop.execute("RESET default_transaction_isolation")
        shop.check(f"{name} at {level.name}")


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_snapshot_from_before_an_operation_does_not_write(shop: Database, name: str) -> None:
    for level in SNAPSHOTS:
        old = session(shop, level)
        old.execute("SELECT").fetchall()
        OPERATIONS[name](shop)
        with pytest.raises(psycopg.errors.SerializationFailure):
            old.execute("DELETE FROM product WHERE id = 1")
        old.rollback()
        old.execute("DELETE FROM product WHERE id = 1")
        old.commit()
        shop.check(f"{name}, and a snapshot from before it at {level.name}")
        shop.execute("INSERT INTO product VALUES (1, 'again')")


@pytest.mark.parametrize("level", SNAPSHOTS)
def test_a_snapshot_from_before_a_table_was_written_anew_does_not_write(
    shop: Database, level: IsolationLevel
) -> None:
    old = session(shop, level)
    old.execute("SELECT").fetchall()
    with shop.connection.schema_editor() as editor:
        editor.execute("ALTER TABLE product ADD COLUMN lot double precision DEFAULT random()")
    assert old.execute("SELECT count(*) FROM product").fetchone() == (0,)
    with pytest.raises(psycopg.errors.SerializationFailure):
        old.execute("INSERT INTO review VALUES (9, 1)")
    shop.check("the old snapshot")


@pytest.fixture
def written_by_an_older_version(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A TView whose functions lock keys by other numbers than those that are written now."""
    database.execute(
        """
        CREATE TABLE product (id integer PRIMARY KEY, name text NOT NULL);
        CREATE TABLE review (id integer PRIMARY KEY, product_id integer NOT NULL);
        INSERT INTO product VALUES (1, 'one');
        """
    )
    with monkeypatch.context() as older:
        lock = routes.named_lock
        older.setattr(routes, "KEYS", 5)
        older.setattr(routes, "named_lock", lambda *what: lock(*what).replace(", 0)", ", 7)"))
        database.tview(CARD, CARD_COLUMNS, table="card")
    return database


def aligned(database: Database) -> None:
    with database.connection.schema_editor() as editor:
        assert align(editor, registry.installed(database.connection))


@pytest.mark.parametrize("bring_in_line", [aligned, lambda _: sync()], ids=["align", "sync"])
def test_functions_are_replaced_when_nobody_is_in_the_middle_of_the_old_ones(
    written_by_an_older_version: Database, bring_in_line: Callable[[Database], object]
) -> None:
    database = written_by_an_older_version
    writer = session(database, IsolationLevel.READ_COMMITTED)
    writer.execute("INSERT INTO review VALUES (1, 1)")
    with committed_when_waited_for(writer):
        bring_in_line(database)
    database.run("INSERT INTO review VALUES (2, 1)")


@pytest.mark.parametrize("level", SNAPSHOTS)
def test_a_snapshot_from_before_functions_were_replaced_does_not_write(
    written_by_an_older_version: Database, level: IsolationLevel
) -> None:
    database = written_by_an_older_version
    old = session(database, level)
    old.execute("SELECT").fetchall()
    database.execute("INSERT INTO review VALUES (1, 1)")
    aligned(database)
    with pytest.raises(psycopg.errors.SerializationFailure):
        old.execute("INSERT INTO review VALUES (2, 1)")
    database.check("the old snapshot")


def test_functions_that_all_tviews_share_are_replaced_when_nobody_writes(shop: Database) -> None:
    shop.execute("ALTER FUNCTION django_tviews_lock(regclass, integer[]) SECURITY DEFINER")
    writer = session(shop, IsolationLevel.READ_COMMITTED)
    writer.execute("INSERT INTO review VALUES (9, 1)")
    with override_settings(DJANGO_TVIEWS=IMPATIENT), pytest.raises(LockTimeout):
        sync()
    with committed_when_waited_for(writer):
        assert sync()[0].changes
    shop.check("the writer")


def test_arrays_with_nulls_in_them_survive_a_session_that_does_not_read_such(
    database: Database,
) -> None:
    database.execute("CREATE TABLE product (id integer PRIMARY KEY, tags text[] UNIQUE)")
    database.execute("CREATE TABLE review (id integer PRIMARY KEY, tags text[])")
    database.tview(
        "SELECT p.id, (SELECT count(*) FROM review r WHERE r.tags = p.tags) AS reviews"
        " FROM product p",
        "id integer, reviews bigint",
    )
    database.execute("INSERT INTO product VALUES (1, ARRAY['a', NULL])")
    database.execute("SET array_nulls = off")
    # The rows go through the spool, as text.
    database.execute(
        "WITH written AS (INSERT INTO review VALUES (1, ARRAY['a', NULL]))"
        " UPDATE product SET id = id"
    )
    database.execute("RESET array_nulls")
    database.check("a write without array_nulls")
