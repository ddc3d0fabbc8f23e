"""Tests that make TViews drift, for the pytest plugin to notice, or to be left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import SimpleTestCase, TestCase, TransactionTestCase

from tests.testapp.models import Product, Review

if TYPE_CHECKING:
    from django_tviews.pytest_plugin import AssertTViewsExact


def drift() -> None:
    """Write past all triggers."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        Product.objects.create(name="Unseen", price=1)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def test_seen_by_fixture(tviews_exact: AssertTViewsExact) -> None:
    drift()


@pytest.mark.tviews_exact
@pytest.mark.django_db
def test_seen_by_mark() -> None:
    drift()


@pytest.mark.tviews_exact
@pytest.mark.django_db(databases=["default"])
def test_seen_in_named_databases() -> None:
    drift()


@pytest.mark.tviews_exact
def test_seen_with_a_fixture_of_the_database(db: None) -> None:
    drift()


@pytest.mark.tviews_exact
def test_seen_with_transactions(transactional_db: None) -> None:
    drift()


@pytest.mark.tviews_exact
class TestSeenInTestCase(TestCase):
    def test_seen_in_test_case(self) -> None:
        drift()


@pytest.mark.tviews_exact
class TestSeenInTransactionTestCase(TransactionTestCase):
    def test_seen_in_transaction_test_case(self) -> None:
        drift()


@pytest.mark.django_db
def test_left_alone_without_the_mark() -> None:
    drift()


@pytest.mark.tviews_exact
@pytest.mark.django_db
class TestLeftAloneByMark:
    @pytest.mark.tviews_exact(False)
    def test_left_alone_by_mark(self) -> None:
        drift()


@pytest.mark.tviews_exact
def test_left_alone_without_a_database() -> None:
    pass


@pytest.mark.tviews_exact
class TestLeftAloneWithoutDatabase(SimpleTestCase):
    def test_left_alone_in_simple_test_case(self) -> None:
        pass


@pytest.mark.tviews_exact
class TestLeftAloneInBrokenTransaction(TestCase):
    def test_left_alone_in_a_broken_transaction(self) -> None:
        drift()
        with pytest.raises(IntegrityError), connection.cursor() as cursor:
            cursor.execute("INSERT INTO testapp_review (id, product_id, stars) VALUES (1, 1, NULL)")

    def test_left_alone_where_only_a_rollback_is_possible(self) -> None:
        drift()
        transaction.set_rollback(True)


@pytest.mark.tviews_exact
@pytest.mark.django_db
def test_failing_for_another_reason() -> None:
    drift()
    assert Review.objects.exists(), "no review"
