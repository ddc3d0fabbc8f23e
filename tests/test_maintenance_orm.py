"""Writes through Django's ORM, each followed by the oracle, and flush between the tests."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Case, F, OuterRef, Subquery, Value, When
from django.db.models.functions import Coalesce, Concat, Upper

from django_tviews.definition import Declaration
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

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from django_tviews import TView

pytestmark = pytest.mark.django_db(transaction=True)

TVIEWS: tuple[type[TView], ...] = (ProductCard, SupplierTotals, ProductTag, Stock)


def check(step: str = "") -> None:
    for model in TVIEWS:
        assert_equals_query(connection, Declaration.from_model(model), step=step)


@pytest.fixture
def shop() -> None:
    suppliers = Supplier.objects.bulk_create(Supplier(name=f"supplier {n}") for n in range(3))
    products = Product.objects.bulk_create(
        Product(name=f"product {n}", price=Decimal(n), supplier=suppliers[n % 3]) for n in range(10)
    )
    tags = Tag.objects.bulk_create(Tag(name=f"tag {n}") for n in range(3))
    for number, product in enumerate(products):
        product.tags.set(tags[: number % 3])
    Review.objects.bulk_create(Review(product=products[n % 7], stars=n % 5) for n in range(30))
    check("the seed")


def save_and_change() -> None:
    supplier = Supplier.objects.create(name="new")
    product = Product.objects.create(name="fresh", price=3, supplier=supplier)
    check()
    product.name = "renamed"
    product.save()
    check()
    product.supplier = None
    product.save(update_fields=["supplier"])
    check()
    supplier.delete()


def change_the_primary_key() -> None:
    product = Product.objects.earliest("pk")
    product.pk += 1000
    product.save()
    check()
    Review.objects.update(product=product)


def update_with_expressions() -> None:
    Product.objects.update(price=F("price") * 2 + 1)
    check()
    Product.objects.filter(price__gt=5).update(name=Concat(Upper("name"), Value("!")))
    check()
    first = Supplier.objects.order_by("name").values("pk")[:1]
    Product.objects.filter(supplier__name="supplier 2").update(supplier=Subquery(first))
    check()
    Review.objects.update(stars=Case(When(stars=0, then=Value(5)), default=F("stars")))
    check()
    cheapest = Product.objects.filter(supplier=OuterRef("pk")).order_by("price", "pk")
    Supplier.objects.update(name=Coalesce(Subquery(cheapest.values("name")[:1]), Value("none")))


def write_in_bulk() -> None:
    suppliers = list(Supplier.objects.order_by("pk"))
    Product.objects.bulk_create(
        [Product(name=f"bulk {n}", price=n, supplier=suppliers[n % 3]) for n in range(500)],
        batch_size=200,
    )
    check()
    products = list(Product.objects.order_by("pk"))
    for number, product in enumerate(products):
        product.name = f"again {number}"
        product.supplier = suppliers[number % 2]
    Product.objects.bulk_update(products, ["name", "supplier"], batch_size=100)
    check()
    Tag.objects.bulk_create([Tag(name="tag 1"), Tag(name="tag 9")], ignore_conflicts=True)
    check()
    Product.objects.bulk_create(
        [Product(pk=product.pk, name="upserted", price=1) for product in products[:5]],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["name", "supplier"],
    )
    check()
    Product.objects.in_bulk()
    Product.objects.filter(name__startswith="again").delete()


def get_or_create_and_update_or_create() -> None:
    Tag.objects.get_or_create(name="tag 0")
    Tag.objects.get_or_create(name="tag 50")
    Supplier.objects.update_or_create(name="supplier 0", defaults={"name": "updated"})


def many_to_many() -> None:
    product = Product.objects.latest("pk")
    tag = Tag.objects.create(name="extra")
    product.tags.add(tag, *Tag.objects.all()[:1])
    check()
    product.tags.remove(tag)
    check()
    tag.products.set(Product.objects.all()[:4])
    check()
    tag.products.clear()
    check()
    tag.delete()


def delete_what_others_point_to() -> None:
    Supplier.objects.earliest("pk").delete()
    check()
    Product.objects.filter(supplier=None).delete()
    check()
    Tag.objects.all().delete()
    check()
    with transaction.atomic():
        # The foreign keys are checked at COMMIT.
        Product.objects.order_by()._raw_delete("default")  # type: ignore[attr-defined]
        check("a delete that leaves reviews without their products")
        Review.objects.all().delete()


def raw_sql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE testapp_supplier SET name = name || %s", ["%"])
        check()
        cursor.executemany(
            "UPDATE testapp_review SET stars = %s WHERE stars = %s", [(9, 1), (8, 2), (7, 3)]
        )
        check()
        cursor.execute("DELETE FROM testapp_review WHERE stars = 9")


def transactions_and_savepoints() -> None:
    with transaction.atomic():
        Supplier.objects.update(name="kept")
        with transaction.atomic():
            Product.objects.update(name="undone")
            Review.objects.all().delete()
            transaction.set_rollback(True)
        check("the rollback to the savepoint")
        Review.objects.filter(stars=0).delete()
        check("the delete after it")
    check("COMMIT")
    assert not Product.objects.filter(name="undone").exists()


@pytest.mark.parametrize(
    "write",
    [
        save_and_change,
        change_the_primary_key,
        update_with_expressions,
        write_in_bulk,
        get_or_create_and_update_or_create,
        many_to_many,
        delete_what_others_point_to,
        raw_sql,
        transactions_and_savepoints,
    ],
)
def test_tviews_follow_the_orm(shop: None, write: Callable[[], None]) -> None:
    write()
    check(write.__name__)


def test_flush_leaves_every_tview_equal_to_its_query(shop: None) -> None:
    call_command("flush", interactive=False, verbosity=0)
    check("flush")
    assert ProductCard.objects.count() == 0
    assert Stock.objects.get().products == 0
    Supplier.objects.create(name="after")
    check("a write after flush")


def test_a_fixture_loads_in_any_order_and_is_recomputed(shop: None, tmp_path: Path) -> None:
    dumped = tmp_path / "everything.json"
    call_command("dumpdata", "testapp", output=str(dumped), verbosity=0)
    before = {model: list(model.objects.order_by("pk").values()) for model in TVIEWS}
    call_command("flush", interactive=False, verbosity=0)
    call_command("loaddata", str(dumped), verbosity=0)
    check("loaddata")
    assert {model: list(model.objects.order_by("pk").values()) for model in TVIEWS} == before


def test_reading_from_a_base_object_is_up_to_date_within_the_transaction(shop: None) -> None:
    with transaction.atomic():
        product = Product.objects.create(name="now", price=1)
        assert product.card.review_count == 0
        product.reviews.create(stars=5)
        product.reviews.create(stars=4)
        card = ProductCard.objects.select_related("product").get(product=product)
        assert (card.name, card.review_count, card.product.name) == ("now", 2, "now")
    assert Product.objects.filter(card__review_count=2, name="now").exists()
