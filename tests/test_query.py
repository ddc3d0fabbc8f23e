"""From QuerySets, SQL text and files to canonical SQL, without a database."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.postgres.aggregates import ArrayAgg, JSONBAgg
from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection, models
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import Case, Count, Exists, F, JSONField, OuterRef, Q, Sum, Value, When
from django.db.models.functions import Coalesce, Concat, ExtractMonth, JSONObject, RowNumber, Upper

from django_tviews.errors import ConfigurationError, InvalidQuery, UnsupportedQuery
from django_tviews.model_facts import facts_from_models
from django_tviews.query import canonical_query, pinned_connection, query_sql, queryset_sql
from django_tviews.relational.canonical import canonical_sql, output_names, same_query

from .testapp.models import Product, ProductCard, Review, Stock, Supplier, Tag

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet

UTC = dt.UTC

QUERYSETS: dict[str, Callable[[], QuerySet[Any, Any]]] = {
    "fields": lambda: Product.objects.values("id", "name"),
    "through a relation": lambda: Product.objects.values("id", "supplier__name"),
    "another name": lambda: Product.objects.values("name", product=F("pk")),
    "instances": Supplier.objects.all,
    "instances with an annotation": lambda: Supplier.objects.annotate(n=Count("products")),
    "values_list": lambda: Product.objects.values_list("id", "name"),
    "a pattern": lambda: Product.objects.filter(name__icontains="50%_'\\").values("id"),
    "in a list": lambda: Product.objects.filter(name__in=["50%_'\\0", "b"]).values("id"),
    "in a subquery": lambda: Product.objects.filter(
        supplier__in=Supplier.objects.filter(name="A")
    ).values("id"),
    "exists": lambda: Product.objects.filter(
        Exists(Review.objects.filter(product=OuterRef("pk")))
    ).values("id"),
    "case": lambda: Product.objects.values(
        "id", size=Case(When(price__gt=10, then=Value("big")), default=Value("small"))
    ),
    "a document": lambda: Product.objects.values(
        "id", doc=JSONObject(name="name", price="price", n=Value(1))
    ),
    "documents of children": lambda: Product.objects.values(
        "id",
        docs=Coalesce(
            JSONBAgg(JSONObject(stars="reviews__stars"), filter=Q(reviews__isnull=False)),
            Value([], JSONField()),
        ),
    ),
    "array of children": lambda: Product.objects.values(
        "id",
        stars=ArraySubquery(
            Review.objects.filter(product=OuterRef("pk")).order_by("stars").values("stars")
        ),
    ),
    "array aggregate": lambda: Product.objects.values(
        "id", stars=ArrayAgg("reviews__stars", distinct=True, default=Value([]))
    ),
    "groups": lambda: Review.objects.values("product_id").annotate(
        n=Count("*"), total=Sum("stars")
    ),
    "groups by an explicit order": lambda: (
        Review.objects.values("product_id").annotate(n=Count("*")).order_by("stars")
    ),
    "many to many": lambda: Product.objects.values("id", "tags__name"),
    "a window": lambda: Product.objects.values(
        "id", rank=models.Window(RowNumber(), order_by="id")
    ),
    "a slice": lambda: Product.objects.order_by("-price").values("id")[:2],
    "distinct on": lambda: (
        Review.objects.order_by("product_id", "-stars")
        .distinct("product_id")
        .values("product_id", "stars")
    ),
    "a union": lambda: Product.objects.values("name").union(Supplier.objects.values("name")),
    "a tview": lambda: ProductCard.objects.values("product_id", "review_count"),
    "a part of a time": lambda: Product.objects.values(
        "id", month=ExtractMonth(Value(dt.datetime(2024, 3, 1, 2, tzinfo=UTC)))
    ),
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", QUERYSETS)
def test_the_text_gives_the_rows_of_the_queryset(name: str) -> None:
    acme = Supplier.objects.create(name="A")
    for number, supplier in enumerate([acme, acme, None]):
        product = Product.objects.create(
            name=f"50%_'\\{number}", price=9 + number, supplier=supplier
        )
        product.tags.add(Tag.objects.create(name=f"t{number}"))
        for stars in range(number):
            Review.objects.create(product=product, stars=stars)
    queryset = QUERYSETS[name]()
    with connection.cursor() as cursor:
        cursor.execute(canonical_sql(queryset_sql(queryset)), None)
        found = cursor.fetchall()
        names = tuple(column.name for column in cursor.description)
    rows = queryset if isinstance(next(iter(queryset)), dict | tuple) else queryset.values()
    expected = [tuple(row.values()) if isinstance(row, dict) else row for row in rows]
    decoded = [tuple(_decoded(value) for value in row) for row in found]
    assert sorted(decoded, key=_text) == sorted(expected, key=_text)
    assert output_names(canonical_sql(queryset_sql(queryset))) == names


def _text(row: tuple[object, ...]) -> list[str]:
    return [str(value) for value in row]


def _decoded(value: object) -> object:
    # Django's cursor leaves jsonb as text; its field decodes it.
    return json.loads(value) if isinstance(value, str) and value[:1] in "[{" else value


@pytest.mark.parametrize("name", QUERYSETS)
def test_the_text_is_the_same_each_time(name: str) -> None:
    assert queryset_sql(QUERYSETS[name]()) == queryset_sql(QUERYSETS[name]())


PARAMETERS = [
    'it\'s 100% \\ "quoted"\n {line}',
    "é✓",
    0,
    -5,
    2**40,
    1.5,
    -0.25,
    True,
    decimal.Decimal("-1.50"),
    uuid.UUID(int=3),
    dt.date(2024, 2, 29),
    dt.time(1, 2, 3),
    dt.timedelta(days=-1, seconds=3),
    dt.datetime(2024, 2, 29, 1, tzinfo=UTC),
    b"\x00\xffabc'\\",
]


@pytest.mark.django_db
@pytest.mark.parametrize("value", PARAMETERS, ids=repr)
def test_a_parameter_keeps_its_value(value: object) -> None:
    Supplier.objects.create(name="A")
    sql = canonical_sql(queryset_sql(Supplier.objects.values(value=Value(value))))
    with connection.cursor() as cursor:
        cursor.execute(sql, None)
        (found,) = cursor.fetchone()
    assert (bytes(found) if isinstance(value, bytes) else found) == value


@pytest.mark.django_db
def test_a_connection_that_was_opened_before_changes_nothing() -> None:
    queryset = Product.objects.filter(name="a\\b'c").values("id", b=Value(b"\x00'\\"))
    before = queryset_sql(queryset)
    connection.ensure_connection()
    connection.cursor().execute("SET standard_conforming_strings = off")
    assert queryset_sql(queryset) == before


def test_an_expression_that_asks_the_server_is_answered_by_the_setting(settings: Any) -> None:
    document = Product.objects.values("id", doc=JSONObject(name="name"))
    assert "JSONB_BUILD_OBJECT" in queryset_sql(document)
    settings.DJANGO_TVIEWS = {"POSTGRES_VERSION": 160000}
    assert "JSON_OBJECT" in queryset_sql(document)


@pytest.mark.django_db  # or pytest-django would be the one to refuse
def test_what_would_connect_is_refused() -> None:
    class Asks(models.Func):
        def as_sql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[object]]:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            raise AssertionError

    queryset = Product.objects.values(asked=Asks(output_field=models.IntegerField()))
    with pytest.raises(InvalidQuery, match="needs a database connection"):
        queryset_sql(queryset)


@pytest.mark.parametrize("queryset", [Product.objects.none(), Product.objects.filter(name__in=[])])
def test_a_queryset_without_rows_is_refused(queryset: QuerySet[Any]) -> None:
    with pytest.raises(InvalidQuery, match="can never give a row"):
        queryset_sql(queryset)


def test_a_queryset_that_locks_rows_is_refused_as_such() -> None:
    with pytest.raises(UnsupportedQuery, match="is FOR UPDATE") as refusal:
        queryset_sql(Product.objects.select_for_update().values("pk"))
    assert refusal.value.context["construct"] == "row-locking"


def test_a_queryset_bound_to_another_alias_compiles() -> None:
    subquery = Supplier.objects.using("other").filter(name="A")
    queryset = Product.objects.using("other").filter(supplier__in=subquery).values("id")
    assert same_query(
        queryset_sql(queryset),
        "SELECT p.id AS id FROM testapp_product p WHERE p.supplier_id IN "
        "(SELECT u.id FROM testapp_supplier u WHERE u.name = 'A')",
    )


def test_an_order_that_decides_nothing_is_left_out() -> None:
    for queryset in (
        Product.objects.values("id"),
        Product.objects.order_by("supplier__name").values("id"),
    ):
        assert queryset_sql(queryset) == (
            'SELECT "testapp_product"."id" AS "id" FROM "testapp_product"'
        )
    assert "ORDER BY" in queryset_sql(Product.objects.order_by("name").values("id")[:5])


def with_query(query: object) -> type[Stock]:
    """A TView like Stock with another query, unknown to Django."""
    return type("Stock", (), {"query": query, "_meta": Stock._meta, "__module__": __name__})  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT 1 AS id; SELECT 2", "must be one SELECT"),
        ("DELETE FROM testapp_product", "must be one SELECT"),
        ("SELEC 1", "not valid SQL"),
        ("", "must be one SELECT"),
        ("SELECT 1 AS id, 2 + 3", "Output column 2 of the query has no name"),
        ("SELECT id, name, p.id FROM testapp_product p", '2 output columns named "id"'),
        ("SELECT 1 UNION SELECT 2", "Output column 1 of the query has no name"),
        (lambda: Product.objects.values("nothing"), "does not compile: Cannot resolve keyword"),
        (Product.objects.none, "can never give a row"),
        (lambda self: self, "takes arguments"),
    ],
)
def test_a_query_of_no_use_is_refused_by_name(query: object, message: str) -> None:
    with pytest.raises(InvalidQuery) as failure:
        canonical_query(with_query(query))
    assert message in str(failure.value)
    assert failure.value.hint
    assert failure.value.tview == "testapp.Stock"


@pytest.mark.parametrize("query", [3, None, lambda: [1], Product])
def test_a_query_of_another_kind_is_a_configuration_error(query: object) -> None:
    with pytest.raises((ConfigurationError, InvalidQuery)):
        query_sql(with_query(query))


def test_a_query_that_returns_nothing_is_asked_for_its_return() -> None:
    with pytest.raises(ConfigurationError, match=r"is None: does query\(\) return\?"):
        query_sql(with_query(lambda: None))


def test_a_queryset_over_a_star_is_named_by_the_server_only() -> None:
    assert canonical_query(with_query("SELECT * FROM testapp_tag")) == "SELECT * FROM testapp_tag"


def test_a_function_may_give_text() -> None:
    assert canonical_query(with_query(lambda: "select 1 as id")) == "SELECT 1 AS id"


def test_the_pinned_connection_is_made_once_and_never_opened() -> None:
    pinned = pinned_connection()
    assert pinned is pinned_connection()
    assert pinned.pg_version == 150000
    assert pinned.connection is None
    queryset_sql(Product.objects.annotate(u=Upper("name")))
    assert pinned.connection is None


def test_starting_django_does_not_import_the_parser() -> None:
    program = (
        "import sys, django; django.setup(); "
        "import django.core.management.commands.makemigrations; "
        "sys.exit('postgast' in sys.modules or 'google.protobuf' in sys.modules)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program],
        env={"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": "."},
        check=False,
    )
    assert finished.returncode == 0


def test_the_order_of_constants_in_an_in_list_does_not_make_another_query() -> None:
    first = "SELECT id FROM product WHERE status IN ('new', 'old') AND size IN (2, 1)"
    second = "SELECT id FROM product WHERE status IN ('old', 'new') AND size IN (1, 2)"
    assert same_query(first, second)
    assert not same_query(first, first.replace("'new', ", ""))
    assert not same_query(first, first.replace("size IN", "size NOT IN"))


def test_a_key_that_the_state_of_an_unmanaged_model_does_not_tell_is_no_key() -> None:
    # makemigrations leaves the relations of unmanaged models out.
    state = ProjectState()
    fields = [
        ("pk", models.CompositePrimaryKey("product_id", "name")),
        ("name", models.TextField()),
    ]
    options = {"managed": False, "db_table": "tag"}
    state.add_model(ModelState("shop", "Tag", fields, options))
    (facts,) = facts_from_models(state.apps).relations.values()
    assert [column.name for column in facts.columns] == ["name"]
    assert facts.keys == ()


def test_the_facts_of_models_have_the_expressions_of_virtual_columns() -> None:
    def generated(expression: Any, output: models.Field[Any, Any], *, stored: bool) -> Any:
        return models.GeneratedField(expression=expression, output_field=output, db_persist=stored)

    state = ProjectState()
    label = Concat(Value("it's 100% "), Upper("name"))
    fields = [
        ("id", models.IntegerField(primary_key=True)),
        ("name", models.TextField()),
        ("doubled", generated(F("id") * 2, models.IntegerField(), stored=False)),
        ("label", generated(label, models.TextField(), stored=False)),
        ("tripled", generated(F("id") * 3, models.IntegerField(), stored=True)),
    ]
    state.add_model(ModelState("shop", "Priced", fields, {"db_table": "priced"}))
    (facts,) = facts_from_models(state.apps).relations.values()
    generations = {column.name: column.generation for column in facts.columns}
    assert generations["doubled"] == '("id" * 2)'
    assert "'it''s 100% '" in str(generations["label"])
    assert generations["tripled"] is None
    assert generations["name"] is None
