"""Six ways to write to a shop, none of which mentions a TView."""

from __future__ import annotations

import inspect
import textwrap
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import Count, F

from shop.models import (
    CategoryStatistics,
    Customer,
    OrderSummary,
    Product,
    ProductCard,
    Supplier,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import Model

    from django_tviews import TView


@dataclass(frozen=True)
class Write:
    """One way to write, and where to look for its effect.

    Attributes:
        title: The way, in a few words.
        choose: Picks what is written to.
        perform: The write itself.
        shown: The row of a TView that the write changes.
    """

    title: str
    choose: Callable[[], Any]
    perform: Callable[[Any], None]
    shown: Callable[[Any], TView]

    @property
    def code(self) -> str:
        """The write as it stands in this file, without its ``def`` line."""
        _, body = inspect.getsource(self.perform).split(":\n", 1)
        return textwrap.dedent(body).strip()


def _most_reviewed() -> Product:
    return Product.objects.order_by("-card__review_count", "pk")[0]


def _save(product: Product) -> None:
    product.inventory.quantity += 100
    product.inventory.save()


def _bulk_update(category: Model) -> None:
    Product.objects.filter(category=category).update(price=F("price") * Decimal("0.90"))


def _raw_sql(order: Model) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE shop_orderline SET quantity = quantity + 1 WHERE order_id = %s", [order.pk]
        )


def _cascade(customer: Customer) -> None:
    customer.delete()  # and with it, their reviews, their orders and the lines of the orders


def _copy(product: Product) -> None:
    customers = list(Customer.objects.order_by("pk")[:100])
    statement = "COPY shop_review (product_id, customer_id, rating, title) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for customer in customers:
            copy.write_row((product.pk, customer.pk, 1, "It broke"))


def _rename_parent(supplier: Supplier) -> None:
    supplier.name = f"{supplier.name} International"
    supplier.save()


WRITES = [
    Write(
        title="save()",
        choose=_most_reviewed,
        perform=_save,
        shown=lambda product: product.card,
    ),
    Write(
        title="bulk update",
        choose=lambda: CategoryStatistics.objects.order_by("-product_count", "pk")[0].category,
        perform=_bulk_update,
        shown=lambda category: category.statistics,
    ),
    Write(
        title="raw SQL",
        choose=lambda: OrderSummary.objects.order_by("-line_count", "pk")[0].order,
        perform=_raw_sql,
        shown=lambda order: order.summary,
    ),
    Write(
        title="cascade delete",
        choose=lambda: Customer.objects.annotate(n=Count("reviews")).order_by("-n", "pk")[0],
        perform=_cascade,
        shown=lambda customer: customer.reviews.order_by("pk")[0].product.card,
    ),
    Write(
        title="COPY",
        choose=_most_reviewed,
        perform=_copy,
        shown=lambda product: product.card,
    ),
    Write(
        title="rename of a parent",
        choose=lambda: Supplier.objects.annotate(n=Count("products")).order_by("-n", "pk")[0],
        perform=_rename_parent,
        shown=lambda supplier: ProductCard.objects.filter(supplier=supplier).order_by("pk")[0],
    ),
]
