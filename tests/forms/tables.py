"""The tables of the examples, as the models of an app ``forms``."""

# ruff: noqa: DJ008

from __future__ import annotations

from django.db import models


class Category(models.Model):
    id = models.BigIntegerField(primary_key=True)
    name = models.TextField()
    parent = models.ForeignKey("self", models.SET_NULL, null=True)

    class Meta:
        managed = False
        db_table = "category"


class Product(models.Model):
    id = models.BigIntegerField(primary_key=True)
    name = models.TextField()
    price = models.DecimalField(max_digits=10, decimal_places=2)
    category = models.ForeignKey(Category, models.CASCADE, null=True)
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "product"


class Review(models.Model):
    id = models.BigIntegerField(primary_key=True)
    product = models.ForeignKey(Product, models.CASCADE)
    rating = models.IntegerField()
    body = models.TextField(null=True)  # noqa: DJ001

    class Meta:
        managed = False
        db_table = "review"


class Tag(models.Model):
    pk = models.CompositePrimaryKey("product_id", "name")
    product = models.ForeignKey(Product, models.CASCADE)
    name = models.TextField()

    class Meta:
        managed = False
        db_table = "tag"


class Discount(models.Model):
    id = models.BigIntegerField(primary_key=True)
    low = models.DecimalField(max_digits=10, decimal_places=2)
    high = models.DecimalField(max_digits=10, decimal_places=2)

    class Meta:
        managed = False
        db_table = "discount"
