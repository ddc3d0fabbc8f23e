"""Errors to try again after, with real sessions: what they say, and the recipe of the how-to."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from django.db import IntegrityError, OperationalError, connection

from django_tviews.errors import Deadlock, LockTimeout, SerializationConflict, TViewError
from django_tviews.maintenance import apply_pending, refresh
from django_tviews.waiting import locked

from .documents import DOCS, blocks
from .test_commands import shop as shop  # noqa: PLC0414
from .testapp.models import Product, Review

if TYPE_CHECKING:
    from collections.abc import Callable

    from .harness import Database

INSERT = "INSERT INTO testapp_review (product_id, stars) VALUES (%s, 1)"


@pytest.fixture
def in_transaction() -> Callable[..., Any]:
    """The function that the how-to has."""
    (block,) = [
        block
        for block in blocks(DOCS / "how_to" / "retrying.md")
        if block.attributes.get("title") == "books/retrying.py"
    ]
    namespace: dict[str, Any] = {}
    exec(block.text, namespace)
    function: Callable[..., Any] = namespace["in_transaction"]
    return function


@pytest.fixture
def lamp(shop: Database) -> int:
    """The key of a product."""
    return int(Product.objects.get(name="Lamp").pk)


@pytest.fixture
def chair(shop: Database) -> int:
    """The key of another one."""
    return int(Product.objects.get(name="Chair").pk)


@pytest.fixture
def other(shop: Database) -> psycopg.Connection[Any]:
    """Another session, not in autocommit mode, that does not look for deadlocks."""
    opened = shop.connect()
    opened.execute("SET deadlock_timeout = '1min'")
    opened.autocommit = False
    return opened


def seen(exc: BaseException) -> TViewError:
    error = TViewError.from_database_error(exc)
    assert error is not None
    assert error.__cause__ is exc
    return error


def test_a_lock_timeout_names_tview_and_key_and_is_retried(
    shop: Database,
    lamp: int,
    other: psycopg.Connection[Any],
    in_transaction: Callable[..., Any],
) -> None:
    other.execute(INSERT, [lamp])
    shop.execute("SET lock_timeout = '50ms'")
    errors = []

    def work() -> None:
        if errors:
            other.commit()
        try:
            Review.objects.create(product_id=lamp, stars=1)
        except OperationalError as exc:
            errors.append(seen(exc))
            raise

    in_transaction(work)
    (error,) = errors
    assert isinstance(error, LockTimeout)
    assert error.tview == "testapp.ProductCard"
    assert error.context["sqlstate"] == "55P03"
    assert "tview_check --locks" in error.hint
    assert str(locked(error)) == f"testapp.ProductCard, key product_id={lamp}"
    shop.check("the retry")


def test_a_serialization_conflict_names_the_tview_and_is_retried(
    shop: Database,
    lamp: int,
    other: psycopg.Connection[Any],
    in_transaction: Callable[..., Any],
) -> None:
    shop.execute("SET default_transaction_isolation = 'repeatable read'")
    errors = []

    def work() -> None:
        Product.objects.count()
        if not errors:
            other.execute(INSERT, [lamp])
            other.commit()
        try:
            Review.objects.create(product_id=lamp, stars=1)
        except OperationalError as exc:
            errors.append(seen(exc))
            raise

    in_transaction(work)
    (error,) = errors
    assert isinstance(error, SerializationConflict)
    assert error.tview == "testapp.ProductCard"
    assert error.context["table"] == "testapp_productcard"
    assert error.context["schema"] == shop.schema
    shop.check("the retry")


def test_a_deadlock_names_tview_and_key_and_is_retried(
    shop: Database,
    lamp: int,
    chair: int,
    other: psycopg.Connection[Any],
    in_transaction: Callable[..., Any],
) -> None:
    shop.execute("SET deadlock_timeout = '20ms'")
    other.execute(INSERT, [lamp])
    crossing = threading.Thread(target=other.execute, args=[INSERT, [chair]])
    errors = []

    def work() -> None:
        Review.objects.create(product_id=chair, stars=1)
        if not errors:
            crossing.start()
            wait_until_blocked(other)
        try:
            Review.objects.create(product_id=lamp, stars=1)
        except OperationalError as exc:
            errors.append(seen(exc))
            threading.Timer(0.05, commit).start()
            raise

    def commit() -> None:
        crossing.join()
        other.commit()

    in_transaction(work)
    (error,) = errors
    assert isinstance(error, Deadlock)
    assert error.tview == "testapp.ProductCard"
    assert str(locked(error)) == f"testapp.ProductCard, key product_id={lamp}"
    shop.check("the retry")


def wait_until_blocked(session: psycopg.Connection[Any]) -> None:
    with psycopg.connect(session.info.dsn, autocommit=True) as watcher:
        for _ in range(500):
            question = "SELECT cardinality(pg_blocking_pids(%s))"
            if watcher.execute(question, [session.info.backend_pid]).fetchone() != (0,):
                return
            time.sleep(0.01)
    raise AssertionError


@pytest.mark.usefixtures("shop")
def test_what_waits_for_no_tview_is_said_to_be_nothing() -> None:
    assert locked(Deadlock("deadlock detected")) is None
    assert locked(Deadlock("deadlock detected", lock=(0, 0))) is None


def test_refresh_raises_what_it_met_with_tview_and_keys(
    shop: Database, lamp: int, other: psycopg.Connection[Any]
) -> None:
    other.execute(INSERT, [lamp])
    shop.execute("SET lock_timeout = '50ms'")
    with pytest.raises(LockTimeout) as failure:
        refresh("testapp.ProductCard", keys=[lamp])
    assert failure.value.tview == "testapp.ProductCard"
    assert failure.value.context["keys"] == [lamp]
    assert isinstance(failure.value.__cause__, OperationalError)


def test_the_last_try_lets_the_error_pass_and_other_errors_pass_at_once(
    shop: Database,
    lamp: int,
    other: psycopg.Connection[Any],
    in_transaction: Callable[..., Any],
) -> None:
    other.execute(INSERT, [lamp])
    shop.execute("SET lock_timeout = '20ms'")
    tries = []

    def work() -> None:
        tries.append("a try")
        Review.objects.create(product_id=lamp, stars=1)

    with pytest.raises(OperationalError):
        in_transaction(work, tries=2)
    assert len(tries) == 2
    with pytest.raises(IntegrityError):
        in_transaction(lambda: Review.objects.create(product_id=None, stars=1))


def test_errors_of_the_driver_and_of_our_own_functions_are_retried_as_well(
    shop: Database, in_transaction: Callable[..., Any]
) -> None:
    for first in (psycopg.errors.DeadlockDetected("by itself"), SerializationConflict("ours")):
        failures = [first]

        def work(failures: list[Exception] = failures) -> str:
            if failures:
                raise failures.pop()
            apply_pending()
            return "done"

        assert in_transaction(work) == "done"
    assert not connection.in_atomic_block
