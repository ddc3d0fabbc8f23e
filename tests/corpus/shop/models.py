"""TViews with what Django compiles in other words from version to version."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.contrib.postgres.aggregates import ArrayAgg
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Avg, Case, Count, Exists, F, OuterRef, Q, Subquery, Sum, Value, When
from django.db.models.functions import Cast, Coalesce, Concat, JSONObject, Lower, Upper

from django_tviews import SQLFile, TView
from tests.corpus.catalog.models import Customer, Product, Review, Supplier, Tag

LOOSE: Final[dict[str, Any]] = {
    "on_delete": models.DO_NOTHING,
    "db_constraint": False,
    "related_name": "+",
}


class Card(TView):
    """Joins, expressions and a document."""

    product = models.OneToOneField(Product, primary_key=True, **LOOSE)
    title = models.TextField()
    supplier_name = models.TextField()
    label = models.TextField()
    cheap = models.TextField()
    document = models.JSONField()

    class Meta:
        verbose_name = "product card"
        indexes = [
            models.Index(fields=["supplier_name"], name="card_by_supplier"),
            models.Index(Lower("title"), name="card_by_lower_title"),
        ]

    @staticmethod
    def query():
        return Product.objects.values(
            product_id=F("pk"),
            title=F("name"),
            supplier_name=F("supplier__name"),
            label=Concat(
                Upper("name"),
                Value(" / 100% '"),
                F("supplier__city"),
                output_field=models.TextField(),
            ),
            cheap=Case(When(price__lt=10, then=Value("yes")), default=Value("no")),
            document=JSONObject(name="name", supplier=JSONObject(town="supplier__city")),
        )


class Ranking(TView):
    """Subqueries, whose aliases Django numbers and quotes as it likes."""

    product = models.OneToOneField(Product, primary_key=True, **LOOSE)
    reviewed = models.BooleanField()
    tagged = models.BooleanField()
    stars = models.IntegerField()
    best = models.IntegerField(null=True)

    class Meta(TView.Meta):
        db_table = "shop_best"

    class Maintenance:
        allow_rebuild = True

    @staticmethod
    def query():
        reviews = Review.objects.filter(product=OuterRef("pk"), approved=True)
        total = reviews.order_by().values("product").annotate(total=Sum("stars")).values("total")
        cities = Supplier.objects.filter(city__in=["Rome", "Oslo"]).values("pk")
        return Product.objects.filter(Q(supplier__in=cities) | ~Q(name="")).values(
            product_id=F("pk"),
            reviewed=Exists(reviews),
            tagged=Exists(Tag.objects.filter(products=OuterRef("pk"))),
            stars=Coalesce(Subquery(total), 0),
            best=Subquery(reviews.order_by("-stars", "pk").values("stars")[:1]),
        )


class Totals(TView):
    """Groups, with conditions in aggregates."""

    supplier = models.OneToOneField(Supplier, primary_key=True, **LOOSE)
    product_count = models.IntegerField()
    dear = models.IntegerField()
    mean = models.FloatField(null=True)
    names = ArrayField(models.TextField(), null=True)

    @staticmethod
    def query():
        return (
            Supplier.objects.values(supplier_id=F("pk"))
            .annotate(
                product_count=Count("products", distinct=True),
                dear=Count("products", filter=Q(products__price__gt=100)),
                mean=Cast(Avg("products__price"), models.FloatField()),
                names=ArrayAgg("products__name", order_by="products__pk"),
            )
            .filter(product_count__gt=0)
        )


class Fan(TView):
    """A swappable model, and a key of two columns."""

    pk = models.CompositePrimaryKey("customer_id", "product_id")
    customer = models.ForeignKey(settings.AUTH_USER_MODEL, **LOOSE)
    product = models.ForeignKey(Product, **LOOSE)
    reviews = models.IntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(reviews__gt=0), name="fan_has_reviews"),
        ]
        default_permissions = ("view", "delete")

    class Maintenance:
        columns = {"product": "of_product"}

    @staticmethod
    def query():
        return (
            Customer.objects.filter(review__isnull=False)
            .values(customer_id=F("pk"), of_product=F("review__product_id"))
            .annotate(reviews=Count("review"))
        )


class City(TView):
    """SQL in a file."""

    city = models.TextField(primary_key=True)
    suppliers = models.IntegerField()

    query = SQLFile("sql/cities.sql")


class Shelf(TView):
    """SQL text that reads a TView."""

    id = models.BigIntegerField(primary_key=True)
    first = models.TextField(null=True)

    query = """
        SELECT c.product_id AS id, substring(c.title from 1 for 1) AS first
        FROM shop_card c
        WHERE NOT EXISTS (SELECT 1 FROM "Labels" l WHERE l.label = c.title)
    """

    class Maintenance:
        allow_rebuild = True
