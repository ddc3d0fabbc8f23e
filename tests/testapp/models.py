"""The base models, and TViews whose queries are a QuerySet, SQL text and a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Count, F

from django_tviews import SQLFile, TView, TViewQuerySet

if TYPE_CHECKING:
    from django.db.models import QuerySet


class Supplier(models.Model):
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    name = models.CharField(max_length=50, unique=True)

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    name = models.CharField(max_length=100)
    price = models.DecimalField(max_digits=12, decimal_places=2)
    supplier = models.ForeignKey(Supplier, models.SET_NULL, null=True, related_name="products")
    tags = models.ManyToManyField(Tag, related_name="products")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Review(models.Model):
    product = models.ForeignKey(Product, models.CASCADE, related_name="reviews")
    stars = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.product}: {self.stars}"


class CardQuerySet(TViewQuerySet["ProductCard"]):
    def reviewed(self) -> CardQuerySet:
        return self.filter(review_count__gt=0)


class ProductCard(TView):
    """A parent joined and a child counted, for each product."""

    product = models.OneToOneField(
        Product, models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="card"
    )
    name = models.CharField(max_length=100)
    supplier_name = models.CharField(max_length=100, null=True)  # noqa: DJ001
    review_count = models.IntegerField()

    objects = CardQuerySet.as_manager()

    class Meta(TView.Meta):
        indexes = [models.Index(fields=["supplier_name"], name="card_supplier_name")]

    class Maintenance:
        columns = {"name": "product_name"}

    @staticmethod
    def query() -> QuerySet[Product, dict[str, Any]]:
        return Product.objects.values(
            product_id=F("pk"),
            product_name=F("name"),
            supplier_name=F("supplier__name"),
            review_count=Count("reviews"),
        )


class SupplierTotals(TView):
    """A TView on a TView, from a file."""

    supplier = models.OneToOneField(
        Supplier, models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="totals"
    )
    products = models.BigIntegerField()
    reviews = models.BigIntegerField()

    query = SQLFile("sql/supplier_totals.sql")


class ProductTag(TView):
    """A key of two columns, from SQL text."""

    pk = models.CompositePrimaryKey("product_id", "tag_id")
    product = models.ForeignKey(
        Product, models.DO_NOTHING, db_constraint=False, related_name="tag_rows"
    )
    tag = models.ForeignKey(Tag, models.DO_NOTHING, db_constraint=False, related_name="+")
    label = models.TextField()

    query = """
        SELECT pt.product_id, pt.tag_id, p.name || ': ' || t.name AS label
        FROM testapp_product_tags pt
        JOIN testapp_product p ON p.id = pt.product_id
        JOIN testapp_tag t ON t.id = pt.tag_id
    """


class Stock(TView):
    """One row for the whole table."""

    id = models.IntegerField(primary_key=True)
    products = models.BigIntegerField()
    value = models.DecimalField(max_digits=14, decimal_places=2)

    class Maintenance:
        allow_rebuild = True

    query = """
        SELECT 1 AS id, count(*) AS products, coalesce(sum(price), 0) AS value
        FROM testapp_product
    """
