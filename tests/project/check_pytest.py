"""What pytest runs, with the ini option ``tviews_exact``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.test import TestCase

from django_tviews import check, verify
from tests.testapp.models import Product, Stock

from .tests import WRITTEN, cards, note_database, write

if TYPE_CHECKING:
    from django_tviews.pytest_plugin import AssertTViewsExact


@pytest.fixture(autouse=True)
def _noted(request: pytest.FixtureRequest) -> None:
    if request.cls is None:
        request.getfixturevalue("transactional_db" if "flushed" in request.fixturenames else "db")
        note_database()


@pytest.fixture
def flushed() -> None:
    """Ask for a database that is flushed after the test."""


@pytest.mark.parametrize("number", range(3))
def test_writes_are_followed(number: int) -> None:
    write()
    assert cards() == WRITTEN


@pytest.mark.parametrize("number", range(2))
@pytest.mark.usefixtures("flushed")
def test_writes_in_transactions_are_followed(number: int) -> None:
    assert cards() == []
    write()
    assert cards() == WRITTEN


def test_tviews_are_verified_wherever_a_test_wants(tviews_exact: AssertTViewsExact) -> None:
    write()
    tviews_exact()
    Product.objects.update(price=1)
    tviews_exact(Stock, "testapp.ProductCard")


def test_every_tview_is_installed() -> None:
    assert [report.label for report in verify()] == [
        "testapp.ProductCard",
        "testapp.ProductTag",
        "testapp.Stock",
        "testapp.SupplierTotals",
    ]
    assert [str(problem) for problem in check()] == []


class UnittestTests(TestCase):
    def test_writes_are_followed(self) -> None:
        write()
        assert cards() == WRITTEN
