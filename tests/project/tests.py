"""What ``manage.py test`` runs: every kind of test case, before and after one another."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

from django.core.management import call_command
from django.db import connection
from django.test import TestCase, TransactionTestCase, tag

from django_tviews import check
from django_tviews.definition import Declaration
from django_tviews.testing import TViewsExactMixin, assert_tviews_exact
from tests.oracle import assert_equals_query
from tests.testapp.models import (
    Product,
    ProductCard,
    ProductTag,
    Review,
    Stock,
    Supplier,
    SupplierTotals,
    Tag,
)

# "First" comes from a migration; where a flush has taken it away, it is not there.
FIRST = "First"


def note_database() -> None:
    """Tell the outer test in which databases the tests ran."""
    with Path(os.environ["PROJECT_SEEN"]).open("a") as seen:
        seen.write(f"{connection.settings_dict['NAME']}\n")


def write() -> Product:
    ann = Supplier.objects.create(name="Ann")
    lamp, chair = Product.objects.bulk_create(
        [Product(name="Lamp", price=20, supplier=ann), Product(name="Chair", price=50)]
    )
    Review.objects.bulk_create(Review(product=lamp, stars=stars) for stars in (3, 4, 5))
    chair.tags.add(Tag.objects.create(name="oak"))
    Product.objects.filter(name="Chair").update(supplier=ann)
    for tview in (ProductCard, ProductTag, Stock, SupplierTotals):
        assert_equals_query(connection, Declaration.from_model(tview))
    return lamp


def cards() -> list[tuple[str, int]]:
    rows = ProductCard.objects.exclude(name=FIRST).order_by("name")
    return list(rows.values_list("name", "review_count"))


WRITTEN = [("Chair", 0), ("Lamp", 3)]


class RolledBackTests(TViewsExactMixin, TestCase):
    """Each begins with what the migrations wrote, and leaves nothing."""

    def setUp(self) -> None:
        note_database()
        assert cards() == []

    def test_writes_are_followed(self) -> None:
        write()
        assert cards() == WRITTEN

    def test_writes_are_followed_again(self) -> None:
        write().delete()
        assert cards() == [("Chair", 0)]

    def test_nothing_is_wrong_with_functions_and_triggers(self) -> None:
        assert [str(problem) for problem in check()] == []


class SetUpTestDataTests(TViewsExactMixin, TestCase):
    """All begin with what the class wrote."""

    @classmethod
    def setUpTestData(cls) -> None:
        note_database()
        cls.lamp = write()
        cls.card = cls.lamp.card

    def test_a_test_sees_the_rows_of_its_class(self) -> None:
        assert cards() == WRITTEN
        assert self.card.review_count == 3

    def test_what_a_test_writes_is_gone_before_the_next(self) -> None:
        Review.objects.all().delete()
        self.card.refresh_from_db()
        assert self.card.review_count == 0

    def test_what_a_test_deletes_is_back_before_the_next(self) -> None:
        assert self.lamp.card.review_count == 3
        self.lamp.delete()


class FlushedTests(TViewsExactMixin, TransactionTestCase):
    """Each is followed by a flush, which truncates the tables of TViews, too."""

    def setUp(self) -> None:
        note_database()
        assert cards() == []

    def test_writes_are_followed(self) -> None:
        write()
        assert cards() == WRITTEN

    def test_writes_are_followed_again(self) -> None:
        write()
        assert cards() == WRITTEN

    def test_a_flush_within_a_test_leaves_what_the_queries_say_of_empty_tables(self) -> None:
        write()
        call_command("flush", verbosity=0, interactive=False)
        assert_tviews_exact()
        assert ProductCard.objects.count() == 0
        assert Stock.objects.get().products == 0
        write()
        assert cards() == WRITTEN

    def test_rows_load_in_any_order_with_those_of_tviews_among_them(self) -> None:
        write()
        out = io.StringIO()
        call_command("dumpdata", "testapp", stdout=out)
        rows = json.loads(out.getvalue())
        assert "testapp.productcard" in {row["model"] for row in rows}
        for row in rows:
            if row["model"] == "testapp.productcard":
                row["fields"]["review_count"] = 99
        for ordered in (rows, rows[::-1], sorted(rows, key=str)):
            call_command("flush", verbosity=0, interactive=False)
            path = Path(f"{os.environ['PROJECT_SEEN']}.{os.getpid()}.json")
            path.write_text(json.dumps(ordered))
            call_command("loaddata", path, verbosity=0)
            assert_tviews_exact()
            assert cards() == WRITTEN


@tag("serialized_rollback")
class SerializedRollbackTests(TViewsExactMixin, TransactionTestCase):
    """Each begins with what the migrations wrote, loaded again after the flush before."""

    serialized_rollback = True

    def setUp(self) -> None:
        note_database()
        # The registry is not one of the tables that are flushed.
        assert ProductCard.objects.get().name == FIRST
        assert SupplierTotals.objects.get().products == 1

    def test_writes_are_followed(self) -> None:
        write()
        assert cards() == WRITTEN

    def test_writes_are_followed_again(self) -> None:
        write()
        assert cards() == WRITTEN
