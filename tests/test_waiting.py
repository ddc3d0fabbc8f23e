"""tview_check --locks: who waits for which TView and key, and who holds it, with real sessions."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from django_tviews.locks import LockMode
from django_tviews.sql.shared import LOCK_SLOTS
from django_tviews.waiting import waits

from .test_commands import answer, call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_tviews.waiting import Wait

    from .harness import Database


@pytest.fixture
def shop(database: Database) -> Database:
    """Makers and their products, with reviews."""
    database.execute(
        """
        CREATE TABLE maker (id integer PRIMARY KEY, name text NOT NULL);
        CREATE TABLE product (id integer PRIMARY KEY, maker_id integer);
        CREATE TABLE review (id integer PRIMARY KEY, product_id integer NOT NULL);
        INSERT INTO maker VALUES (1, 'one'), (2, 'two');
        INSERT INTO product VALUES (1, 1), (2, 2), (3, NULL);
        """
    )
    database.tview(
        "SELECT p.id, m.name AS maker,"
        " (SELECT count(*) FROM review r WHERE r.product_id = p.id) AS reviews"
        " FROM product p LEFT JOIN maker m ON m.id = p.maker_id",
        "id integer, maker text NULL, reviews bigint",
        table="card",
    )
    return database


def writer(database: Database, name: str) -> psycopg.Connection[Any]:
    """Open a session that goes by a name; its transaction begins with its first statement."""
    connection = database.connect()
    connection.execute("SELECT set_config('application_name', %s, false)", [name])
    connection.autocommit = False
    return connection


def until_cancelled(session: psycopg.Connection[Any], statement: str) -> None:
    with suppress(psycopg.errors.QueryCanceled):
        session.execute(statement)


@contextmanager
def waiting(
    database: Database, holding: list[str], wanting: list[str], number: int = 1
) -> Iterator[list[Wait]]:
    """Let sessions write first, and others wait for them.

    Args:
        database: where.
        holding: what those in front write, each in a transaction that stays open.
        wanting: what the others write.
        number: how many of them come to wait for something of a TView.
    """
    holders = [writer(database, f"holder {place}") for place, _ in enumerate(holding)]
    for holder, statement in zip(holders, holding, strict=True):
        holder.execute(statement)
    wanters = [writer(database, f"wanter {place}") for place, _ in enumerate(wanting)]
    threads = []
    for wanter, statement in zip(wanters, wanting, strict=True):
        threads.append(threading.Thread(target=until_cancelled, args=[wanter, statement]))
        threads[-1].start()
        time.sleep(0.02)
    try:
        until = time.monotonic() + 10
        while len(found := waits()) < number and time.monotonic() < until:
            time.sleep(0.02)
        yield found
    finally:
        for connection in holders:
            connection.rollback()
        for thread, wanter in zip(threads, wanters, strict=True):
            thread.join(10)
            wanter.cancel()
            thread.join()
            wanter.rollback()
    assert waits() == []


def test_nobody_waits_where_nobody_writes_the_same(shop: Database) -> None:
    with waiting(shop, ["INSERT INTO review VALUES (1, 1)"], [], 0) as found:
        assert found == []
        assert call("tview_check", "--locks")[0] == "Nobody waits for a TView.\n"


def test_a_wait_for_a_key_names_it_with_both_sessions(shop: Database) -> None:
    with waiting(
        shop, ["INSERT INTO review VALUES (1, 2)"], ["INSERT INTO review VALUES (2, 2)"]
    ) as (wait,):
        assert str(wait.locked) == "tests.card, key id=2"
        assert (wait.mode, wait.session.application) == ("alone", "wanter 0")
        assert wait.session.query == "INSERT INTO review VALUES (2, 2)"
        (holder,) = wait.holders
        assert (holder.mode, holder.session.application) == ("alone", "holder 0")
        assert holder.session.state == "idle in transaction"
        assert holder.session.query == "INSERT INTO review VALUES (1, 2)"
        out, _ = call("tview_check", "--locks")
        lines = out.splitlines()
        assert lines[0] == "tests.card, key id=2"
        assert lines[1].startswith(f"    process {wait.session.pid} (wanter 0, ")
        assert ") wants it alone, and waits for " in lines[1]
        assert lines[2] == "        INSERT INTO review VALUES (2, 2)"
        assert f"    process {holder.session.pid} (holder 0, " in lines[3]
        assert ") has it alone, in a transaction of " in lines[3]
        (parsed,) = answer("tview_check", "--locks")["waits"]
        assert parsed["locked"]["values"] == [{"columns": ["id"], "values": ["2"]}]
        assert waits("tests.card")


def test_who_asked_before_is_told_from_who_has_it(shop: Database) -> None:
    statement = "INSERT INTO review VALUES ({}, 1)"
    with waiting(shop, [statement.format(1)], [statement.format(2), statement.format(3)], 2) as (
        first,
        second,
    ):
        assert [holder.mode for holder in first.holders] == ["alone"]
        assert {(each.session.application, each.mode) for each in second.holders} == {
            ("holder 0", "alone"),
            ("wanter 0", "asked before"),
        }


def test_a_place_is_told_by_the_values_looked_for(shop: Database) -> None:
    with waiting(
        shop, ["UPDATE maker SET name = 'new' WHERE id = 2"], ["INSERT INTO product VALUES (9, 2)"]
    ) as (wait,):
        assert str(wait.locked) == f"tests.card, rows of {shop.schema}.product with maker_id=2"
        assert (wait.mode, wait.holders[0].mode) == ("shared", "alone")


def test_a_key_that_no_committed_row_has_is_not_guessed(shop: Database) -> None:
    with waiting(
        shop, ["INSERT INTO review VALUES (1, 77)"], ["INSERT INTO review VALUES (2, 77)"]
    ) as (wait,):
        assert str(wait.locked) == "tests.card, key of a row that is not committed yet"


def test_the_keys_that_share_a_lock_are_listed(shop: Database) -> None:
    slot = f"hash_record_extended(ROW({{}}), 0) & {LOCK_SLOTS - 1}"
    shop.execute(
        "INSERT INTO product SELECT n FROM generate_series(10, 600000) n "
        f"WHERE {slot.format('n')} = {slot.format(2)}"
    )
    with waiting(
        shop, ["INSERT INTO review VALUES (1, 2)"], ["INSERT INTO review VALUES (2, 2)"]
    ) as (wait,):
        assert wait.locked.more
        assert len(wait.locked.values) == 4
        assert str(wait.locked).endswith(" or another one")
        shop.execute("SELECT set_config('statement_timeout', '0', false)")


def test_a_wait_for_the_whole_tview_and_one_behind_it(shop: Database) -> None:
    with waiting(
        shop,
        ["INSERT INTO review VALUES (1, 1)"],
        [
            "INSERT INTO django_tviews_refresh (tview) VALUES ('card')",
            "INSERT INTO review VALUES (2, 3)",
        ],
        2,
    ) as (first, second):
        assert str(first.locked) == str(second.locked) == "tests.card, the whole TView"
        assert (first.mode, first.holders[0].mode) == ("alone", "shared")
        assert (second.mode, second.holders[-1].mode) == ("shared", "asked before")


def test_a_migration_that_waits_for_writers_is_shown_with_the_table(shop: Database) -> None:
    lock = f"LOCK TABLE review IN {LockMode.SHARE_ROW_EXCLUSIVE} MODE"
    with waiting(shop, ["INSERT INTO review VALUES (1, 1)"], [lock]) as (wait,):
        assert str(wait.locked) == f"tests.card, the table {shop.schema}.review"
        assert wait.mode == LockMode.SHARE_ROW_EXCLUSIVE
        assert wait.holders[0].mode == "ROW EXCLUSIVE"


def test_a_prepared_transaction_is_named_as_such(shop: Database) -> None:
    holder = writer(shop, "holder")
    holder.execute("INSERT INTO review VALUES (1, 1)")
    holder.execute("PREPARE TRANSACTION 'held'")
    holder.autocommit = True
    try:
        with waiting(shop, [], ["INSERT INTO review VALUES (2, 1)"]) as (wait,):
            assert str(wait).endswith("\n    a prepared transaction has it alone")
            shop.execute("COMMIT PREPARED 'held'")
    except BaseException:
        shop.execute("ROLLBACK PREPARED 'held'")
        raise
    shop.check("the prepared transaction")
