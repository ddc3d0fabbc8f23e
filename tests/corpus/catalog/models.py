"""What the TViews of the corpus read."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models


class Customer(AbstractUser):
    """A user model of the project's own, which migrations name by a setting."""


class Supplier(models.Model):
    name = models.CharField(max_length=80)
    city = models.CharField(max_length=80, db_column="town", blank=True)


class Product(models.Model):
    name = models.TextField()
    price = models.DecimalField(max_digits=8, decimal_places=2)
    supplier = models.ForeignKey(Supplier, models.PROTECT, related_name="products")
    tags = models.ManyToManyField("Tag", related_name="products")
    released = models.DateField(null=True)

    class Meta:
        ordering = ["name"]


class Tag(models.Model):
    label = models.CharField(max_length=40, unique=True)

    class Meta:
        db_table = "Labels"


class Review(models.Model):
    product = models.ForeignKey(Product, models.CASCADE)
    author = models.ForeignKey(Customer, models.SET_NULL, null=True)
    stars = models.IntegerField()
    approved = models.BooleanField(default=True)
