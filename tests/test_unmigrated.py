"""Apps without migrations, and test runs that leave migrations out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps
from django.test import override_settings

from django_tviews import health, unmigrated
from tests.testapp.models import Product, ProductCard, ProductTag, Review, Stock, SupplierTotals

from .harness import database  # noqa: F401

if TYPE_CHECKING:
    from .harness import Database


def make_tables(database: Database) -> None:  # noqa: F811
    """Create the tables of the app as ``migrate --run-syncdb`` does: all of them, and no more."""
    with database.connection.schema_editor() as editor:
        for model in apps.get_app_config("testapp").get_models():
            editor.create_model(model)


def contents(database: Database, model: type[ProductCard]) -> list[tuple[object, ...]]:  # noqa: F811
    return list(model.objects.using(database.connection.alias).values_list("pk", "review_count"))


@override_settings(MIGRATION_MODULES={"testapp": None})
def test_a_tview_of_an_app_without_migrations_is_maintained(database: Database) -> None:  # noqa: F811
    make_tables(database)
    app = apps.get_app_config("testapp")
    unmigrated.install(sender=app, using=database.connection.alias)
    product = Product.objects.create(name="kettle", price=30)
    Review.objects.create(product=product, stars=5)
    assert contents(database, ProductCard) == [(product.pk, 1)]
    assert Stock.objects.get().products == 1
    # Flush sends the signal again: nothing is left to do.
    unmigrated.install(sender=app, using=database.connection.alias)
    installed = database.value("SELECT count(*) FROM django_tviews_registry")
    assert installed == len([ProductCard, ProductTag, Stock, SupplierTotals])


def test_an_app_with_migrations_is_left_to_them(database: Database) -> None:  # noqa: F811
    make_tables(database)
    unmigrated.install(sender=apps.get_app_config("testapp"), using=database.connection.alias)
    assert database.value("SELECT count(*) FROM django_tviews_registry") == 0


def test_the_check_says_what_installs_a_tview_that_is_missing(database: Database) -> None:  # noqa: F811
    label = ProductCard._meta.label
    for modules, what in ({}, "makemigrations and migrate"), ({"testapp": None}, "--run-syncdb"):
        with override_settings(MIGRATION_MODULES=modules):
            [problem] = health.check(label, using=database.connection.alias)
            assert what in problem.hint
