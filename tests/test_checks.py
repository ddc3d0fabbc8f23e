"""The system checks: each says what is wrong with a TView, and nothing else."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.postgres.fields import ArrayField, HStoreField
from django.contrib.postgres.search import SearchVectorField
from django.core.checks import run_checks
from django.core.management.commands import migrate
from django.db import models
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.backends.postgresql.schema import DatabaseSchemaEditor
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.models import options as model_options
from django.test.utils import isolate_apps

from django_tviews import SQLFile, TView, checks

from .testapp.models import Product, Tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.checks import CheckMessage

DOCUMENTATION = Path(__file__).parent.parent / "docs/reference/checks.md"
NUMBERS = count(1)
LOOSE = {"on_delete": models.DO_NOTHING, "db_constraint": False, "related_name": "+"}


@pytest.fixture(autouse=True)
def isolated() -> Iterator[None]:
    """Models that a test declares are forgotten after it."""
    with isolate_apps("tests.testapp"):
        yield


def found(query: Any = None, **attributes: Any) -> list[str]:
    """The ids that the checks report for a TView of one text column by a key."""
    return [
        str(message.id).removeprefix("django_tviews.") for message in messages(query, **attributes)
    ]


def messages(query: Any = None, **attributes: Any) -> list[CheckMessage]:
    meta = {"app_label": "testapp"} | attributes.pop("Meta", {})
    options = attributes.pop("Maintenance", {})
    body: dict[str, Any] = {
        "__module__": "tests.testapp.models",
        "id": models.BigIntegerField(primary_key=True),
        "name": models.TextField(null=True),
        "query": query or "SELECT p.id, p.name FROM testapp_product p",
        "Meta": type("Meta", (), meta),
        "Maintenance": type("Maintenance", (), options),
    }
    body |= attributes
    body = {name: value for name, value in body.items() if value is not None}
    tview = type(TView)(f"Checked{next(NUMBERS)}", (TView,), body)
    reported = [message for check in checks._MODEL_CHECKS for message in check(tview)]
    for message in reported:
        assert message.hint, message
        assert message.obj, message
    return reported


def test_a_tview_without_faults_is_silent() -> None:
    assert found() == []


def test_the_tviews_of_the_test_project_are_silent() -> None:
    assert run_checks() == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT p.id, p.name FRM testapp_product p", "is not valid SQL"),
        ("SELECT p.id, p.name, 1 + 1 FROM testapp_product p", "has no name"),
        (staticmethod(lambda: Product.objects.values("nothing")), "Cannot resolve keyword"),
        (Product.objects.none, "can never give a row"),
        (SQLFile("sql/nowhere.sql"), "is not there"),
    ],
)
def test_e001_a_query_that_does_not_compile(query: Any, message: str) -> None:
    (reported,) = messages(query)
    assert reported.id == "django_tviews.E001"
    assert message in reported.msg


def test_e002_and_e003_fields_and_output_columns_that_do_not_meet() -> None:
    assert found("SELECT p.id, p.name AS title FROM testapp_product p") == ["E002", "E003"]
    assert found("SELECT p.id FROM testapp_product p") == ["E002"]
    assert found("SELECT p.id, p.name, p.price FROM testapp_product p") == ["E003"]
    mapped = {"columns": {"name": "title"}}
    assert found("SELECT p.id, p.name AS title FROM testapp_product p", Maintenance=mapped) == []
    (missing,) = messages("SELECT p.id FROM testapp_product p")
    assert 'no output column "name"' in missing.msg
    assert 'Its output columns are "id"' in missing.hint


def test_e002_says_that_nothing_was_declared_to_identify_a_row() -> None:
    (missing, _) = messages("SELECT p.id AS product_id, p.name FROM testapp_product p", id=None)
    assert missing.id == "django_tviews.E002"
    assert "as none has primary_key=True" in missing.hint


def test_what_only_the_server_can_expand_is_left_to_it() -> None:
    assert found("SELECT * FROM testapp_tag") == []
    assert found("SELECT * FROM legacy.product") == []


@pytest.mark.parametrize(
    "relation",
    [
        {"on_delete": models.CASCADE},
        {"on_delete": models.DO_NOTHING},
        {"on_delete": models.CASCADE, "db_constraint": False},
    ],
)
def test_e004_a_relation_that_could_delete_or_hold_rows(relation: dict[str, Any]) -> None:
    query = "SELECT p.id, p.name, p.id AS product_id FROM testapp_product p"
    field = models.ForeignKey(Product, null=True, related_name="+", **relation)
    assert found(query, product=field) == ["E004"]
    loose = models.ForeignKey(Product, null=True, **LOOSE)
    assert found(query, product=loose) == []


def test_e005_a_unique_constraint_that_cannot_wait() -> None:
    for constraint, expected in [
        (models.UniqueConstraint(fields=["name"], name="u"), ["E005"]),
        (
            models.UniqueConstraint(
                fields=["name"], name="u", deferrable=models.Deferrable.DEFERRED
            ),
            [],
        ),
        (models.CheckConstraint(condition=models.Q(id__gt=0), name="u"), []),
    ]:
        assert found(Meta={"constraints": [constraint]}) == expected
    assert found(Meta={"unique_together": [("id", "name")]}) == ["E005"]


def test_e006_a_unique_field_besides_the_key() -> None:
    assert found(name=models.TextField(unique=True, null=True)) == ["E006"]
    query = "SELECT p.id, p.name, p.id AS product_id FROM testapp_product p"
    (unique,) = messages(query, product=models.OneToOneField(Product, null=True, **LOOSE))
    assert unique.id == "django_tviews.E006"
    assert "make it a ForeignKey" in unique.hint
    as_key = models.OneToOneField(Product, primary_key=True, **LOOSE)
    by_product = "SELECT p.id AS product_id, p.name FROM testapp_product p"
    assert found(by_product, id=None, product=as_key) == []


def test_e007_a_field_that_no_output_column_feeds() -> None:
    assert found(tags=models.ManyToManyField(Tag, related_name="+")) == ["E007"]
    generated = models.GeneratedField(
        expression=models.F("id"), output_field=models.BigIntegerField(), db_persist=True
    )
    query = "SELECT p.id, p.name, p.id AS twice FROM testapp_product p"
    assert found(query, twice=generated) == ["E007"]


@pytest.mark.parametrize(
    "field",
    [
        models.JSONField(primary_key=True),
        ArrayField(models.TextField(), primary_key=True),
        HStoreField(primary_key=True),
        SearchVectorField(primary_key=True),
    ],
    ids=lambda field: type(field).__name__,
)
def test_e008_a_key_that_cannot_tell_rows_apart(field: models.Field[Any, Any]) -> None:
    assert found(id=field) == ["E008"]


@pytest.mark.parametrize(
    "field",
    [
        models.BigAutoField(primary_key=True),
        models.CharField(max_length=100, primary_key=True),
        models.UUIDField(primary_key=True),
        models.DateField(primary_key=True),
        models.DecimalField(primary_key=True, max_digits=5, decimal_places=2),
    ],
    ids=lambda field: type(field).__name__,
)
def test_other_keys_are_as_good_as_any(field: models.Field[Any, Any]) -> None:
    assert found(id=field) == []


def test_e008_looks_into_a_composite_key() -> None:
    key = models.CompositePrimaryKey("number", "document")
    fields = {"number": models.IntegerField(), "document": models.JSONField()}
    query = "SELECT p.id AS number, '{}'::jsonb AS document, p.name FROM testapp_product p"
    assert found(query, id=None, pk=key, **fields) == ["E008"]


def test_e009_a_tview_that_is_not_managed() -> None:
    assert found(Meta={"managed": False}) == ["E009"]


def test_e010_a_circle_and_a_stack_too_high(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    assert checks.check_graph() == []
    settings.DJANGO_TVIEWS = {"DEPTH_LIMIT": 1}
    (too_high,) = checks.check_graph()
    assert too_high.id == "django_tviews.E010"
    assert "testapp.SupplierTotals" in too_high.msg
    from .testapp.models import ProductCard

    circle = "SELECT s.supplier_id AS product_id, '' AS name FROM testapp_suppliertotals s"
    monkeypatch.setattr(ProductCard, "query", circle)
    (circular,) = checks.check_graph()
    assert circular.id == "django_tviews.E010"
    assert "testapp.ProductCard → testapp.SupplierTotals" in circular.msg


def test_e011_a_setting_that_is_unknown_or_of_no_use(settings: Any) -> None:
    assert checks.check_settings() == []
    settings.DJANGO_TVIEWS = {"DEPHT_LIMIT": 3, "LOCK_TIMEOUT": 5}
    reported = checks.check_settings()
    assert [message.id for message in reported] == ["django_tviews.E011"] * 2
    assert "Did you mean DEPTH_LIMIT?" in reported[0].hint


def test_e012_a_query_that_cannot_be_kept_in_the_fields() -> None:
    by_supplier = (
        "SELECT p.id, s.name FROM testapp_product p"
        " LEFT JOIN testapp_supplier s ON s.id = p.supplier_id"
    )
    assert found(by_supplier) == []
    (not_null,) = messages(by_supplier, name=models.TextField())
    assert not_null.id == "django_tviews.E012"
    assert "'name' is NOT NULL" in not_null.msg
    crossed = "SELECT p.id, t.name FROM testapp_product p CROSS JOIN testapp_tag t"
    assert found(crossed) == ["E012"]
    assert found(crossed, Maintenance={"allow_rebuild": True}) == []
    (unsupported,) = messages("SELECT p.id, now()::text AS name FROM testapp_product p")
    assert unsupported.id == "django_tviews.E012"
    assert "now(), at character 14," in unsupported.msg
    (written,) = messages("\n  SELECT p.id,\n         now()::text AS name FROM testapp_product p")
    assert "now(), at character 26," in written.msg


def test_e013_an_option_of_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_options, "DEFAULT_NAMES", (*model_options.DEFAULT_NAMES, "triggers"))
    (reported,) = messages(Meta={"triggers": ["protect"]})
    assert reported.id == "django_tviews.E013"
    assert "Meta.triggers" in reported.msg
    assert found(Meta={"verbose_name": "card"}) == []


def test_what_no_model_declares_is_left_to_migrate() -> None:
    assert found("SELECT p.id, p.name FROM legacy_product p", name=models.TextField()) == []


def test_w001_a_command_that_does_not_see_tviews(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.check_autodetector() == []
    monkeypatch.setattr(migrate.Command, "autodetector", MigrationAutodetector)
    (reported,) = checks.check_autodetector()
    assert reported.id == "django_tviews.W001"
    assert "autodetector of migrate does not" in reported.msg


def test_w002_a_query_that_differs_each_time() -> None:
    numbers = count(1)
    query = staticmethod(lambda: Product.objects.filter(id__gt=next(numbers)).values("id", "name"))
    assert found(query) == ["W002"]


def test_w004_a_database_whose_tables_are_altered_without_regard_to_tviews(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert checks.check_schema_editors() == []
    monkeypatch.setattr(DatabaseWrapper, "SchemaEditorClass", DatabaseSchemaEditor)
    reported = checks.check_schema_editors()
    assert {message.id for message in reported} == {"django_tviews.W004"}
    assert "'default'" in reported[0].msg


def test_only_the_apps_that_are_asked_for_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.apps import apps

    from .testapp.models import Stock

    monkeypatch.setattr(Stock, "query", "SELEC")
    assert {message.id for message in checks.check_tviews()} == {"django_tviews.E001"}
    assert checks.check_tviews([apps.get_app_config("auth")]) == []
    assert checks.check_graph() == []


def test_no_check_asks_a_database() -> None:
    # pytest-django refuses a connection in a test that is not marked for it.
    run_checks(include_deployment_checks=True)


def test_every_check_has_its_section_in_the_documentation() -> None:
    source = Path(str(checks.__file__)).read_text()
    raised = set(re.findall(r"django_tviews\.([EW]\d{3})", source))
    text = DOCUMENTATION.read_text()
    assert set(re.findall(r"^## (\w+)$", text, re.MULTILINE)) == raised
    assert {name.upper() for name in re.findall(r'<a id="(\w+)">', text)} == raised
    assert {name.upper() for name in re.findall(r"\(#([ew]\d+)\) \|", text)} == raised
