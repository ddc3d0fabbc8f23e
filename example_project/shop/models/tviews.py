"""Five TViews, from a document built of eight tables to a TView that reads a TView."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from django.contrib.postgres.aggregates import JSONBAgg
from django.contrib.postgres.expressions import ArraySubquery
from django.db import models
from django.db.models import Avg, Case, Count, Exists, F, Max, OuterRef, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce, JSONObject, Round

from django_tviews import SQLFile, TView
from shop.models.tables import (
    Category,
    Customer,
    Order,
    OrderLine,
    Product,
    Review,
    Supplier,
    Tag,
)

if TYPE_CHECKING:
    from django.db.models import QuerySet

LATEST_REVIEWS = 3


class ProductCard(TView):
    """Everything a product page shows, in one row: columns to filter by, and a document."""

    product = models.OneToOneField(
        Product, models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="card"
    )
    supplier = models.ForeignKey(
        Supplier, models.DO_NOTHING, null=True, db_constraint=False, related_name="product_cards"
    )
    name = models.CharField(max_length=120)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    category_name = models.CharField(max_length=80)
    supplier_name = models.CharField(max_length=120, null=True)  # noqa: DJ001 - none is not ""
    in_stock = models.IntegerField()
    review_count = models.IntegerField()
    average_rating = models.DecimalField(max_digits=3, decimal_places=2, null=True)
    data = models.JSONField()

    class Meta:
        indexes = [models.Index(fields=["category_name", "-average_rating"])]

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def query() -> QuerySet[Product]:
        reviews = Review.objects.filter(product=OuterRef("pk")).order_by()
        by_product = reviews.values("product")
        review_count = Coalesce(Subquery(by_product.annotate(value=Count("pk")).values("value")), 0)
        mean = Avg("rating", output_field=models.DecimalField())
        average_rating = Subquery(
            by_product.annotate(value=Round(mean, precision=2)).values("value")
        )
        latest_reviews = reviews.order_by("-created_at", "-pk").values(
            value=JSONObject(rating="rating", title="title", customer="customer__name")
        )
        tags = Tag.objects.filter(products=OuterRef("pk")).order_by("name", "pk").values("name")
        in_stock = Coalesce(F("inventory__quantity") - F("inventory__reserved"), 0)
        return Product.objects.values(
            "name",
            "price",
            "supplier_id",
            product_id=F("pk"),
            category_name=F("category__name"),
            supplier_name=F("supplier__name"),
            in_stock=in_stock,
            review_count=review_count,
            average_rating=average_rating,
            data=JSONObject(
                sku="sku",
                name="name",
                price="price",
                status="status",
                category=JSONObject(
                    id="category_id", name="category__name", parent="category__parent__name"
                ),
                supplier=Case(
                    When(
                        supplier__isnull=False,
                        then=JSONObject(
                            id="supplier_id", name="supplier__name", country="supplier__country"
                        ),
                    )
                ),
                tags=ArraySubquery(tags),
                stock=in_stock,
                reviews=JSONObject(
                    count=review_count,
                    average=average_rating,
                    latest=ArraySubquery(latest_reviews[:LATEST_REVIEWS]),
                ),
            ),
        )


class CategoryStatistics(TView):
    """Figures of a category, grouped over its products."""

    category = models.OneToOneField(
        Category,
        models.DO_NOTHING,
        primary_key=True,
        db_constraint=False,
        related_name="statistics",
    )
    name = models.CharField(max_length=80)
    parent_name = models.CharField(max_length=80, null=True)  # noqa: DJ001 - none is not ""
    product_count = models.IntegerField()
    active_count = models.IntegerField()
    average_price = models.DecimalField(max_digits=10, decimal_places=2, null=True)
    highest_price = models.DecimalField(max_digits=10, decimal_places=2, null=True)
    suppliers = models.TextField()

    query = SQLFile("sql/category_statistics.sql")

    def __str__(self) -> str:
        return self.name


class OrderSummary(TView):
    """An order with its lines, its total, and whether it waits for goods."""

    order = models.OneToOneField(
        Order, models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="summary"
    )
    number = models.CharField(max_length=20)
    status = models.CharField(max_length=10)
    customer_name = models.CharField(max_length=120)
    line_count = models.IntegerField()
    total = models.DecimalField(max_digits=12, decimal_places=2)
    waits_for_stock = models.BooleanField()
    items = models.JSONField()

    def __str__(self) -> str:
        return self.number

    @staticmethod
    def query() -> QuerySet[Order]:
        lines = OrderLine.objects.filter(order=OuterRef("pk"))
        by_order = lines.order_by().values("order")
        line = JSONObject(product="product__name", quantity="quantity", unit_price="unit_price")
        return Order.objects.values(
            "number",
            "status",
            order_id=F("pk"),
            customer_name=F("customer__name"),
            line_count=Coalesce(Subquery(by_order.annotate(value=Count("pk")).values("value")), 0),
            total=Coalesce(
                Subquery(
                    by_order.annotate(value=Sum(F("quantity") * F("unit_price"))).values("value")
                ),
                Decimal(0),
            ),
            waits_for_stock=Exists(lines.filter(product__inventory__quantity__lt=F("quantity"))),
            items=Coalesce(
                Subquery(by_order.annotate(value=JSONBAgg(line, order_by="pk")).values("value")),
                Value([], models.JSONField()),
            ),
        )


class CustomerTotals(TView):
    """What a customer has bought, over two levels of joins."""

    customer = models.OneToOneField(
        Customer, models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="totals"
    )
    name = models.CharField(max_length=120)
    order_count = models.IntegerField()
    cancelled_count = models.IntegerField()
    spent = models.DecimalField(max_digits=14, decimal_places=2)
    last_order_at = models.DateTimeField(null=True)

    query = """
        SELECT customer.id AS customer_id,
               customer.name,
               count(DISTINCT o.id) AS order_count,
               count(DISTINCT o.id) FILTER (WHERE o.status = 'cancelled') AS cancelled_count,
               coalesce(
                   sum(line.quantity * line.unit_price) FILTER (WHERE o.status <> 'cancelled'), 0
               ) AS spent,
               max(o.placed_at) AS last_order_at
          FROM shop_customer customer
               LEFT JOIN shop_order o ON o.customer_id = customer.id
               LEFT JOIN shop_orderline line ON line.order_id = o.id
         GROUP BY customer.id, customer.name
    """

    def __str__(self) -> str:
        return self.name


class SupplierBoard(TView):
    """A TView that reads a TView: the suppliers with the figures of their products' cards."""

    supplier = models.OneToOneField(
        Supplier, models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="board"
    )
    name = models.CharField(max_length=120)
    country = models.CharField(max_length=2)
    product_count = models.IntegerField()
    review_count = models.IntegerField()
    best_rating = models.DecimalField(max_digits=3, decimal_places=2, null=True)

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def query() -> QuerySet[Supplier]:
        return Supplier.objects.values("name", "country", supplier_id=F("pk")).annotate(
            product_count=Count("product_cards"),
            review_count=Coalesce(Sum("product_cards__review_count"), 0),
            best_rating=Max("product_cards__average_rating"),
        )
