"""Declaring TViews, and what Python may do with them."""

from __future__ import annotations

import io
import json
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Permission
from django.core import serializers
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import DatabaseError, connection, models, transaction
from django.db.models import Model
from django.test.utils import CaptureQueriesContext, isolate_apps

import django_tviews
from django_tviews import SQLFile, TView, TViewManager, TViewQuerySet
from django_tviews.definition import Column, Declaration, Maintenance
from django_tviews.errors import ConfigurationError, TViewError, TViewReadOnly
from django_tviews.models import WRITES
from django_tviews.state import TViewState
from django_tviews.text import object_name

from .testapp.models import Product, ProductCard, ProductTag, Review, Stock, Supplier, Tag

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def isolated() -> Iterator[None]:
    """Models that a test declares are forgotten after it."""
    with isolate_apps("tests.testapp"):
        yield


@pytest.fixture
def product(db: None) -> Product:
    return Product.objects.create(
        name="Lamp", price=12, supplier=Supplier.objects.create(name="Acme")
    )


NUMBERS = count(1)


def declare(base: type[Model] = TView, **attributes: Any) -> type[TView]:
    """Declare a TView, as a class statement would."""
    body: dict[str, Any] = {
        "__module__": "tests.testapp.models",
        "__qualname__": "Declared",
        "id": models.IntegerField(primary_key=True),
        "query": "SELECT 1 AS id",
    }
    body |= attributes
    body = {name: value for name, value in body.items() if value is not None}
    return type(base)(f"Declared{next(NUMBERS)}", (base,), body)


def maintenance(**options: Any) -> type:
    return type("Maintenance", (), options)


class TestDeclaring:
    @pytest.mark.parametrize(
        ("attributes", "message"),
        [
            ({"query": None}, " has no query"),
            ({"query": models.TextField()}, 'has a field named "query"'),
            ({"Maintenance": maintenance(moed="immediate")}, "unknown option 'moed'"),
            ({"Maintenance": maintenance(mode="later")}, "Maintenance.mode is 'later'"),
            ({"Maintenance": maintenance(allow_rebuild=1)}, "Maintenance.allow_rebuild is 1"),
            ({"Maintenance": maintenance(columns=["id"])}, "Maintenance.columns is"),
            ({"Maintenance": maintenance(columns={"id": 1})}, "Maintenance.columns is"),
            ({"Maintenance": maintenance(columns={"nmae": "name"})}, 'names "nmae"'),
        ],
    )
    def test_a_mistake_is_an_error_while_the_class_is_created(
        self, attributes: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ConfigurationError) as failure:
            declare(**attributes)
        assert message in str(failure.value)
        assert "Declared" in str(failure.value)
        assert failure.value.hint
        assert isinstance(failure.value, ImproperlyConfigured)

    def test_a_misspelt_option_is_guessed(self) -> None:
        with pytest.raises(ConfigurationError, match="Did you mean mode"):
            declare(Maintenance=maintenance(moed="immediate"))
        with pytest.raises(ConfigurationError, match="Known are mode, allow_rebuild, columns"):
            declare(Maintenance=maintenance(frequency="daily"))

    def test_a_tview_derives_from_no_model_with_a_table(self) -> None:
        with pytest.raises(ConfigurationError, match="inherits from a model with a table"):
            declare(base=Stock, id=None, extra=models.IntegerField())

    def test_an_abstract_class_needs_no_query_and_passes_its_options_on(self) -> None:
        class Base(TView):
            id = models.IntegerField(primary_key=True)

            class Meta:
                abstract = True
                app_label = "testapp"

            class Maintenance:
                allow_rebuild = True

        inherited = declare(base=Base, id=None)
        assert inherited._maintenance == Maintenance(allow_rebuild=True)
        own = declare(base=Base, id=None, Maintenance=maintenance(columns={"id": "one"}))
        assert own._maintenance == Maintenance(columns={"id": "one"})
        both = type("Maintenance", (Base.Maintenance,), {"columns": {"id": "one"}})
        merged = declare(base=Base, id=None, Maintenance=both)
        assert merged._maintenance == Maintenance(allow_rebuild=True, columns={"id": "one"})

    def test_a_proxy_needs_no_query_of_its_own(self) -> None:
        class Proxy(Stock):
            class Meta:
                proxy = True
                app_label = "testapp"

        assert Proxy.query == Stock.query

    def test_only_the_permission_to_view_is_made(self) -> None:
        assert declare()._meta.default_permissions == ("view",)
        assert ProductCard._meta.default_permissions == ("view",)

    def test_a_meta_of_its_own_makes_no_other_permission(self) -> None:
        class Plain(Stock):
            class Meta:
                proxy = True
                app_label = "testapp"

        class Generous(Stock):
            class Meta:
                proxy = True
                app_label = "testapp"
                default_permissions = ("view", "delete")

        assert Plain._meta.default_permissions == ("view",)
        assert Generous._meta.default_permissions == ("view", "delete")

    def test_the_public_names_are_those_of_the_package(self) -> None:
        for name in django_tviews.__all__:
            assert getattr(django_tviews, name).__name__ == name
            assert name in dir(django_tviews)
        with pytest.raises(AttributeError, match="no attribute 'TVeiw'"):
            django_tviews.TVeiw  # noqa: B018


class TestDeclaration:
    def test_it_holds_what_the_model_says(self) -> None:
        declaration = Declaration.from_model(ProductCard)
        assert declaration.label == "testapp.ProductCard"
        assert declaration.table == "testapp_productcard"
        assert declaration.view == "testapp_productcard_query"
        assert declaration.key == ("product_id",)
        assert declaration.columns == (
            Column("product_id", "bigint", nullable=False, output="product_id"),
            Column("name", "varchar(100)", nullable=False, output="product_name"),
            Column("supplier_name", "varchar(100)", nullable=True, output="supplier_name"),
            Column("review_count", "integer", nullable=False, output="review_count"),
        )
        assert (declaration.mode, declaration.allow_rebuild) == ("immediate", False)
        assert Declaration.from_model(Stock).allow_rebuild

    def test_a_composite_key_is_its_columns_and_no_column_itself(self) -> None:
        declaration = Declaration.from_model(ProductTag)
        assert declaration.key == ("product_id", "tag_id")
        assert [column.name for column in declaration.columns] == ["product_id", "tag_id", "label"]

    def test_a_column_named_by_the_model_is_fed_by_the_output_of_that_name(self) -> None:
        model = declare(
            total=models.IntegerField(db_column="sum"), query="SELECT 1 AS id, 2 AS sum"
        )
        outputs = {column.name: column.output for column in Declaration.from_model(model).columns}
        assert outputs == {"id": "id", "sum": "sum"}

    def test_it_is_the_same_for_the_model_of_a_migration(self) -> None:
        state = TViewState.from_model(ProductTag)
        rendered = state.clone().render(models_of(Product, Tag, Supplier))
        assert issubclass(rendered, TView)
        assert Declaration.from_model(rendered) == Declaration.from_model(ProductTag)

    def test_names_of_objects_stay_within_63_bytes_and_apart(self) -> None:
        assert object_name("shop_card", "query") == "shop_card_query"
        assert object_name("x" * 57, "query") == "x" * 57 + "_query"
        long = [object_name("ü" * 40 + letter, "query") for letter in "ab"]
        assert len(set(long)) == 2
        for name in long:
            assert len(name.encode()) <= 63
            assert name.endswith("_query")
            assert name.startswith("ü" * 20)


def models_of(*needed: type[Model]) -> Any:
    from django.db.migrations.state import ModelState, ProjectState

    state = ProjectState()
    for model in needed:
        state.add_model(ModelState.from_model(model))
    return state.apps


PUBLIC = {name for name in WRITES if not name.startswith("_")}
INSTANCE_WRITES = {"save", "asave", "delete", "adelete"}


class TestReadOnly:
    @pytest.mark.parametrize("name", sorted(INSTANCE_WRITES))
    def test_an_object_refuses_to_be_written(self, name: str) -> None:
        with pytest.raises(TViewReadOnly) as failure:
            getattr(ProductCard(product_id=1), name)()
        assert failure.value.tview == "testapp.ProductCard"
        assert failure.value.context["table"] == "testapp_productcard"
        assert f"{name}()" in str(failure.value)

    @pytest.mark.parametrize("name", sorted(WRITES - {"save", "asave"}))
    def test_a_queryset_refuses_to_write(self, name: str) -> None:
        with pytest.raises(TViewReadOnly, match="is a TView and cannot be written"):
            getattr(ProductCard.objects.all(), name)()

    @pytest.mark.parametrize("name", sorted(PUBLIC - INSTANCE_WRITES))
    @pytest.mark.parametrize("model", [ProductCard, ProductTag])
    def test_a_manager_refuses_to_write(self, model: type[TView], name: str) -> None:
        with pytest.raises(TViewReadOnly, match="is a TView and cannot be written"):
            getattr(model.objects, name)()

    def test_no_method_that_writes_has_been_forgotten(self) -> None:
        found = {
            name
            for cls in (models.QuerySet, models.Manager, Model)
            for name in dir(cls)
            if getattr(getattr(cls, name, None), "alters_data", False)
        }
        # What these do ends in a method that is refused.
        assert found - {"save_base"} <= WRITES

    def test_a_related_manager_refuses_to_write(self, product: Product) -> None:
        tag = Tag.objects.create(name="new")
        for write in (
            lambda: product.tag_rows.create(tag=tag, label="x"),
            lambda: product.tag_rows.add(ProductTag(tag=tag), bulk=False),
            lambda: product.tag_rows.bulk_create([ProductTag(tag=tag)]),
            lambda: product.tag_rows.update_or_create(tag=tag),
        ):
            with pytest.raises(TViewReadOnly), transaction.atomic():
                write()
        assert not ProductTag.objects.exists()

    def test_a_manager_and_a_queryset_of_the_project_refuse_too(self) -> None:
        class Numbers(TViewQuerySet["TView"]):
            def even(self) -> Numbers:
                return self.filter(id__in=[2, 4])

        for manager in (
            TViewManager.from_queryset(Numbers)(),
            Numbers.as_manager(),
        ):
            model = declare(objects=manager)
            assert isinstance(model.objects.even(), Numbers)
            with pytest.raises(TViewReadOnly):
                model.objects.even().update(id=3)
            with pytest.raises(TViewReadOnly):
                model.objects.create(id=3)

    def test_a_model_of_a_migration_refuses_too(self) -> None:
        rendered = TViewState.from_model(Stock).render(models_of())
        with pytest.raises(TViewReadOnly):
            rendered.objects.create(id=3)
        with pytest.raises(TViewReadOnly):
            rendered(id=3).save()

    @pytest.mark.django_db
    def test_save_base_is_refused_unless_it_is_raw(self) -> None:
        with pytest.raises(TViewReadOnly), transaction.atomic():
            Model.save_base(Stock(id=3, products=0, value=0))
        Model.save_base(Stock(id=3, products=0, value=0), raw=True)
        assert not Stock.objects.filter(id=3).exists()

    @pytest.mark.django_db
    def test_sql_is_refused_by_the_database(self) -> None:
        for statement in (
            "INSERT INTO testapp_stock VALUES (2, 0, 0)",
            "UPDATE testapp_stock SET products = 5",
            "DELETE FROM testapp_stock",
        ):
            with pytest.raises(DatabaseError) as failure, transaction.atomic():
                connection.cursor().execute(statement)
            error = TViewError.from_database_error(failure.value)
            assert isinstance(error, TViewReadOnly)
            assert error.tview == "testapp.Stock"


class TestReading:
    def test_it_reads_as_any_model(self, product: Product) -> None:
        Review.objects.create(product=product, stars=4)
        assert product.card.review_count == 1
        card = ProductCard.objects.reviewed().select_related("product").get()
        assert (card.name, card.supplier_name, card.product) == ("Lamp", "Acme", product)
        assert Product.objects.get(card__supplier_name="Acme").card == card
        assert Product.objects.select_related("card").get().card == card

    def test_a_composite_key_reads_as_any_model(self, product: Product) -> None:
        tag = Tag.objects.create(name="new")
        product.tags.add(tag)
        row = ProductTag.objects.get(pk=(product.pk, tag.pk))
        assert row.label == "Lamp: new"
        assert list(product.tag_rows.all()) == [row]

    async def _names(self) -> list[str]:
        return [card.name async for card in ProductCard.objects.all()]

    @pytest.mark.django_db(transaction=True)
    def test_it_reads_asynchronously(self) -> None:
        from asgiref.sync import async_to_sync

        Product.objects.create(name="Lamp", price=12)
        assert async_to_sync(self._names)() == ["Lamp"]

    def test_deleting_what_a_tview_points_to_asks_nothing_of_the_tview(
        self, product: Product
    ) -> None:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            product.delete()
        assert queries.captured_queries
        for query in queries.captured_queries:
            for table in ("testapp_productcard", "testapp_producttag", "testapp_suppliertotals"):
                assert f'"{table}"' not in query["sql"]
        assert not ProductCard.objects.exists()

    @pytest.mark.django_db
    def test_migrate_makes_only_the_permission_to_view(self) -> None:
        codenames = Permission.objects.filter(content_type__model="productcard").values_list(
            "codename", flat=True
        )
        assert list(codenames) == ["view_productcard"]


class TestFixtures:
    def test_rows_of_a_fixture_are_ignored_in_whatever_order_they_load(
        self, product: Product, tmp_path: Path
    ) -> None:
        Review.objects.create(product=product, stars=4)
        dumped = io.StringIO()
        call_command("dumpdata", "testapp", stdout=dumped)
        rows = json.loads(dumped.getvalue())
        assert {"testapp.productcard", "testapp.producttag"} & {row["model"] for row in rows}
        expected = list(ProductCard.objects.values())
        for order in (rows, rows[::-1]):
            Product.objects.all().delete()
            Supplier.objects.all().delete()
            assert not ProductCard.objects.exists()
            fixture = tmp_path / "all.json"
            fixture.write_text(json.dumps(order))
            call_command("loaddata", str(fixture), verbosity=0)
            assert list(ProductCard.objects.values()) == expected

    @pytest.mark.django_db
    def test_a_row_of_a_fixture_that_the_query_does_not_give_is_ignored(self) -> None:
        text = serializers.serialize("json", [Stock(id=7, products=1, value=1)])
        for loaded in serializers.deserialize("json", text):
            loaded.save()
        assert not Stock.objects.filter(id=7).exists()


def test_a_file_is_found_beside_the_app_or_beside_the_module() -> None:
    assert SQLFile("sql/supplier_totals.sql").read(Stock).startswith("SELECT s.id")
    elsewhere = declare(
        __module__="tests.test_models", Meta=type("Meta", (), {"app_label": "testapp"})
    )
    assert "Declaring TViews" in SQLFile("test_models.py").read(elsewhere)
    with pytest.raises(ConfigurationError, match=r"reads its query from 'sql/none.sql'") as failure:
        SQLFile("sql/none.sql").read(elsewhere)
    assert failure.value.hint.count("none.sql") == 2
