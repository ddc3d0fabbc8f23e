"""What makemigrations writes for TViews, and in which order it may be applied."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management.commands import makemigrations, migrate
from django.db import models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.operations import (
    AddField,
    DeleteModel,
    RemoveField,
    RenameField,
    RunSQL,
    SeparateDatabaseAndState,
)
from django.db.migrations.state import ModelState, ProjectState
from hypothesis import given, settings
from hypothesis import strategies as st

from django_tviews import autodetector
from django_tviews.autodetector import RUNTIME_MIGRATION, TViewAutodetector, compose
from django_tviews.relational.canonical import same_query

from .histories import History, model, operations, project, replay, tview

ROOT = Path(__file__).parent.parent
X = models.TextField(default="")
LOOSE = {"on_delete": models.DO_NOTHING, "db_constraint": False}


def product(**fields: Any) -> ModelState:
    return model("catalog.Product", **({"name": models.TextField()} | fields))


def card(query: str = "SELECT p.id, p.name FROM catalog_product p", **more: Any) -> ModelState:
    fields = {"id": models.BigIntegerField(primary_key=True), "name": models.TextField()}
    return tview("shop.Card", query, fields, **more)


@pytest.fixture
def history() -> History:
    """A product, and a card that reads it from another app."""
    history = History()
    history.go_to(project(product(), card()))
    return history


def test_a_new_tview_depends_on_what_it_reads_and_on_the_runtime() -> None:
    history = History()
    migrations = history.go_to(project(product(), card()))
    assert operations(migrations) == ["catalog: Create model Product", "shop: Create TView Card"]
    assert sorted(migrations[1].dependencies) == [("catalog", "0001_initial"), RUNTIME_MIGRATION]
    assert RUNTIME_MIGRATION not in migrations[0].dependencies


def test_a_tview_of_the_same_app_comes_after_the_model_whatever_their_names() -> None:
    history = History()
    migrations = history.go_to(
        project(
            tview("shop.Able", "SELECT z.id FROM shop_zebra z JOIN shop_mother m ON m.id = z.id"),
            tview("shop.Baker", "SELECT a.id FROM shop_able a"),
            model("shop.Mother"),
            model("shop.Zebra", mother=models.ForeignKey("shop.Mother", models.CASCADE)),
        )
    )
    assert operations(migrations) == [
        "shop: Create model Mother",
        "shop: Create model Zebra",
        "shop: Create TView Able",
        "shop: Create TView Baker",
    ]


def test_a_tview_comes_after_a_field_that_django_adds_on_its_own() -> None:
    history = History()
    migrations = history.go_to(
        project(
            model("shop.A", b=models.ForeignKey("shop.B", models.CASCADE)),
            model("shop.B", a=models.ForeignKey("shop.A", models.CASCADE)),
            tview("shop.C", "SELECT a.id, a.b_id, b.a_id FROM shop_a a JOIN shop_b b ON true"),
        )
    )
    assert operations(migrations)[-1] == "shop: Create TView C"
    replay(history, random.Random(0))


def test_a_changed_query_is_one_operation(history: History) -> None:
    query = "SELECT p.id, upper(p.name) AS name FROM catalog_product p"
    migrations = history.go_to(project(product(), card(query)))
    assert operations(migrations) == ["shop: Alter TView Card"]
    assert migrations[0].name == "0002_alter_card"


@pytest.mark.parametrize(
    "query",
    [
        "select p.id, p.name from catalog_product p",
        "SELECT p.id,  p.name -- the name\nFROM catalog_product AS p",
        'SELECT "T4"."id", "T4"."name" FROM "catalog_product" "T4"',
    ],
)
def test_another_layout_or_alias_is_no_change(history: History, query: str) -> None:
    assert history.detect(project(product(), card(query))) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"options": {"indexes": [models.Index(fields=["name"], name="card_name")]}},
        {"options": {"db_table": "cards"}},
        {"options": {"verbose_name": "product card"}},
        {"allow_rebuild": True},
        {"columns": {"name": "name"}},
    ],
    ids=["index", "db_table", "verbose_name", "allow_rebuild", "columns"],
)
def test_a_changed_option_is_one_operation(history: History, changed: dict[str, Any]) -> None:
    migrations = history.go_to(project(product(), card(**changed)))
    assert operations(migrations) == ["shop: Alter TView Card"]


def test_a_changed_field_is_one_operation(history: History) -> None:
    changed = card()
    changed.fields["name"] = models.CharField(max_length=80)
    migrations = history.go_to(project(product(), changed))
    assert operations(migrations) == ["shop: Alter TView Card"]


def test_what_every_tview_has_is_not_written(history: History) -> None:
    noisy = card(options={"abstract": False, "default_permissions": ("view",)})
    assert noisy.options.keys() == {"indexes", "constraints"}
    assert history.detect(project(product(), noisy)) == []
    generous = card(options={"default_permissions": ("view", "delete")})
    assert operations(history.go_to(project(product(), generous))) == ["shop: Alter TView Card"]


def test_the_order_of_fields_is_no_change(history: History) -> None:
    changed = card()
    changed.fields = dict(reversed(changed.fields.items()))
    assert history.detect(project(product(), changed)) == []


def test_a_tview_that_is_gone_is_deleted(history: History) -> None:
    assert operations(history.go_to(project(product()))) == ["shop: Delete TView Card"]


def test_what_a_tview_still_reads_goes_after_it(history: History) -> None:
    migrations = history.go_to(project())
    assert operations(migrations) == ["shop: Delete TView Card", "catalog: Delete model Product"]
    assert ("shop", "0002_delete_card") in migrations[1].dependencies
    replay(history, random.Random(0))


def test_a_tview_is_ready_for_null_before_it_comes_and_gives_it_up_after_it_has_gone() -> None:
    def books(null: bool) -> ProjectState:
        title = models.TextField(null=null)
        return project(
            model("shop.Book", title=title),
            tview(
                "shop.Card",
                "SELECT b.id, b.title FROM shop_book b",
                {"id": models.BigIntegerField(primary_key=True), "title": title.clone()},
            ),
        )

    history = History()
    history.go_to(books(null=False))
    altered = ["shop: Alter TView Card", "shop: Alter field title on book"]
    assert operations(history.go_to(books(null=True))) == altered
    assert operations(history.go_to(books(null=False))) == altered[::-1]


def test_another_field_read_in_place_of_one_removed_takes_two_migrations(history: History) -> None:
    query = "SELECT p.id, p.title AS name FROM catalog_product p"
    new_product = model("catalog.Product", title=models.TextField(default=""))
    migrations = history.go_to(project(new_product, card(query)))
    assert operations(migrations) == [
        "catalog: Add field title to product",
        "shop: Alter TView Card",
        "catalog: Remove field name from product",
    ]
    replay(history, random.Random(0))


TITLED = "SELECT p.id, p.title AS name FROM catalog_product p"


def test_a_renamed_field_is_followed_in_the_state_alone(history: History) -> None:
    renamed = model("catalog.Product", title=models.TextField())
    migrations = history.go_to(project(renamed, card(TITLED)), renames=["name"])
    assert operations(migrations) == [
        "catalog: Rename field name on product to title",
        "shop: Follow renames in the query of TView Card (state only)",
    ]
    assert ("shop", "0001_initial") in migrations[0].dependencies
    assert ("catalog", migrations[0].name) in migrations[1].dependencies
    assert migrations[1].name == "0002_follow_renames_card"
    replay(history, random.Random(0))


def test_a_changed_query_comes_after_the_renames_it_follows(history: History) -> None:
    query = "SELECT p.id, upper(p.title) AS name FROM catalog_product p"
    renamed = model("catalog.Product", title=models.TextField())
    migrations = history.go_to(project(renamed, card(query)), renames=["name"])
    assert operations(migrations) == [
        "catalog: Rename field name on product to title",
        "shop: Follow renames in the query of TView Card (state only)",
        "shop: Alter TView Card",
    ]
    before = history.graph.make_state(
        nodes=[("catalog", migrations[0].name), ("shop", "0001_initial")]
    )
    follow, _ = migrations[1].operations
    follow.state_forwards("shop", before)
    # This is what AlterTView goes back to, while the column still has its new name.
    assert same_query(before.models["shop", "card"].query, TITLED)


def test_a_renamed_model_is_followed_in_the_state_alone(history: History) -> None:
    query = "SELECT p.id, p.name FROM catalog_item p"
    renamed = model("catalog.Item", name=models.TextField())
    migrations = history.go_to(project(renamed, card(query)), renames=["Product"])
    assert operations(migrations) == [
        "catalog: Rename model Product to Item",
        "shop: Follow renames in the query of TView Card (state only)",
    ]
    assert migrations[1].operations[0].reads == ["catalog.Item"]
    replay(history, random.Random(0))
    # Its app still comes first for what changes the model under its new name.
    (altered,) = history.go_to(project(model("catalog.Item", name=models.CharField()), card(query)))
    assert ("shop", migrations[1].name) in altered.dependencies


@pytest.mark.parametrize(
    ("changed", "query"),
    [
        (
            product(name=models.TextField(db_column="label")),
            "SELECT p.id, p.label AS name FROM catalog_product p",
        ),
        (product(options={"db_table": "products"}), "SELECT p.id, p.name FROM products p"),
    ],
    ids=["db_column", "db_table"],
)
def test_another_name_in_the_database_alone_is_followed(
    history: History, changed: ModelState, query: str
) -> None:
    migrations = history.go_to(project(changed, card(query)))
    assert operations(migrations)[1:] == [
        "shop: Follow renames in the query of TView Card (state only)"
    ]
    replay(history, random.Random(0))


def test_several_renames_are_followed_at_once() -> None:
    def at(first: str, second: str, shop: str) -> tuple[ModelState, ...]:
        fields = {first: models.TextField(), second: models.IntegerField()}
        query = f"SELECT p.id, p.{first} AS a, p.{second} AS b, s.id AS c FROM catalog_product p "
        return (
            model("catalog.Product", **fields),
            model(f"sales.{shop}"),
            tview("shop.Card", query + f"JOIN sales_{shop.lower()} s ON true"),
        )

    history = History()
    history.go_to(project(*at("name", "price", "Shop")))
    renames = ["name", "price", "Shop"]
    migrations = history.go_to(project(*at("title", "cost", "Store")), renames)
    assert operations(migrations)[-1] == (
        "shop: Follow renames in the query of TView Card (state only)"
    )
    assert len(operations(migrations)) == 4
    replay(history, random.Random(0))


def test_a_rename_that_keeps_the_column_changes_no_tview(history: History) -> None:
    renamed = model("catalog.Product", title=models.TextField(db_column="name"))
    migrations = history.go_to(project(renamed, card()), renames=["name"])
    assert {migration.app_label for migration in migrations} == {"catalog"}


def test_a_name_that_another_table_of_the_query_has_too_is_not_followed() -> None:
    def at(name: str) -> ProjectState:
        query = "SELECT p.id, r.name FROM catalog_product p JOIN catalog_review r ON r.id = p.id"
        fields = {"id": models.BigIntegerField(primary_key=True), "name": models.TextField()}
        review = model("catalog.Review", name=models.TextField())
        return project(
            model("catalog.Product", **{name: models.TextField()}),
            review,
            tview("shop.Card", query, fields),
        )

    history = History()
    history.go_to(at("name"))
    migrations = history.go_to(at("title"), renames=["name"])
    assert operations(migrations) == ["catalog: Rename field name on product to title"]


def test_the_columns_between_two_models_are_followed() -> None:
    def at(tag: str, field: str, query: str) -> ProjectState:
        return project(
            model(f"labels.{tag}"),
            product(**{field: models.ManyToManyField(f"labels.{tag}")}),
            tview("shop.Card", query),
        )

    history = History()
    history.go_to(at("Tag", "tags", "SELECT t.tag_id AS id FROM catalog_product_tags t"))
    migrations = history.go_to(
        at("Label", "labels", "SELECT t.label_id AS id FROM catalog_product_labels t"),
        renames=["Tag", "tags"],
    )
    assert operations(migrations)[-1] == (
        "shop: Follow renames in the query of TView Card (state only)"
    )
    assert len(operations(migrations)) == 3
    renames = {(migration.app_label, migration.name) for migration in migrations[:-1]}
    assert renames <= set(migrations[-1].dependencies)


def test_names_with_capitals_are_followed() -> None:
    def at(field: str, many: str) -> ProjectState:
        query = (
            f'SELECT p."{field}" AS id, t.tag_id AS tag FROM catalog_product p'
            f' JOIN "catalog_product_{many}" t ON true'
        )
        source = product(
            **{field: models.IntegerField(), many: models.ManyToManyField("catalog.Tag")}
        )
        return project(source, model("catalog.Tag"), tview("shop.Card", query))

    history = History()
    history.go_to(at("Rank", "Tags"))
    migrations = history.go_to(at("Place", "Labels"), renames=["Rank", "Tags"])
    assert operations(migrations)[-1] == (
        "shop: Follow renames in the query of TView Card (state only)"
    )
    assert len(operations(migrations)) == 3


def test_a_query_whose_text_cannot_follow_is_taken_down_in_between(history: History) -> None:
    query = "SELECT * FROM catalog_product p"
    history.go_to(project(product(), card(query)))
    renamed = model("catalog.Product", title=models.TextField())
    fields = {"id": models.BigIntegerField(primary_key=True), "title": models.TextField()}
    migrations = history.go_to(
        project(renamed, tview("shop.Card", query, fields)), renames=["name"]
    )
    assert operations(migrations) == [
        "shop: Delete TView Card",
        "catalog: Rename field name on product to title",
        "shop: Create TView Card",
    ]


def test_a_tview_that_goes_does_so_under_the_old_names(history: History) -> None:
    renamed = model("catalog.Product", title=models.TextField())
    migrations = history.go_to(project(renamed), renames=["name"])
    assert operations(migrations) == [
        "shop: Delete TView Card",
        "catalog: Rename field name on product to title",
    ]


@pytest.mark.parametrize("app_label", ["aside", "yonder"])
def test_a_tview_that_moves_to_another_app_leaves_its_table_first(app_label: str) -> None:
    history = History()
    options = {"db_table": "cards"}
    history.go_to(project(product(), card(options=options)))
    moved = card(options=options)
    moved.app_label = app_label
    migrations = history.go_to(project(product(), moved))
    assert operations(migrations) == ["shop: Delete TView Card", f"{app_label}: Create TView Card"]
    assert ("shop", migrations[0].name) in migrations[1].dependencies


def test_a_renamed_field_of_a_tview_is_one_operation(history: History) -> None:
    key = {"id": models.BigIntegerField(primary_key=True)}
    renamed = tview(
        "shop.Card",
        "SELECT p.id, p.name AS title FROM catalog_product p",
        key | {"title": models.TextField()},
    )
    migrations = history.go_to(project(product(), renamed), renames=["name"])
    assert operations(migrations) == ["shop: Alter TView Card"]


def test_a_tview_stops_reading_before_the_migration_of_a_package_that_drops_it(
    history: History,
) -> None:
    history.write("catalog", RemoveField("product", "name"), AddField("product", "x", X))
    gone = model("catalog.Product", x=X)
    (migration,) = history.go_to(
        project(gone, card("SELECT p.id, 'x' AS name FROM catalog_product p"))
    )
    assert operations([migration]) == ["shop: Alter TView Card"]
    assert migration.run_before == [("catalog", "0002_by_hand")]
    assert sorted(migration.dependencies) == [
        ("catalog", "0001_initial"),
        RUNTIME_MIGRATION,
        ("shop", "0001_initial"),
    ]
    replay(history, random.Random(0))
    # What comes later has nothing to overtake.
    (later,) = history.go_to(project(gone, card("SELECT p.id, p.x AS name FROM catalog_product p")))
    assert later.run_before == []
    assert ("catalog", "0002_by_hand") in later.dependencies
    replay(history, random.Random(0))


def test_a_tview_that_goes_does_so_before_a_package_drops_what_it_reads(history: History) -> None:
    history.write("catalog", DeleteModel("Product"))
    (migration,) = history.go_to(project())
    assert operations([migration]) == ["shop: Delete TView Card"]
    assert migration.run_before == [("catalog", "0002_by_hand")]
    replay(history, random.Random(0))


def test_a_tview_is_away_while_a_package_puts_one_field_in_the_place_of_another(
    history: History,
) -> None:
    history.write("catalog", RemoveField("product", "name"), AddField("product", "x", X))
    query = "SELECT p.id, p.x AS name FROM catalog_product p"
    migrations = history.go_to(project(model("catalog.Product", x=X), card(query)))
    assert operations(migrations) == ["shop: Delete TView Card", "shop: Create TView Card"]
    assert [migration.run_before for migration in migrations] == [[("catalog", "0002_by_hand")], []]
    assert ("catalog", "0002_by_hand") in migrations[1].dependencies
    replay(history, random.Random(0))


def test_a_renamed_tview_keeps_its_table() -> None:
    def at(name: str, *more: ModelState) -> ProjectState:
        sheet = card()
        sheet.name = name
        readers = tview("sales.List", f"SELECT c.id FROM shop_{name.lower()} c")
        wish = model("shop.Wish", card=models.ForeignKey(f"shop.{name}", **LOOSE))
        return project(product(), sheet, readers, wish, *more)

    history = History()
    history.go_to(at("Card"))
    migrations = history.go_to(at("Sheet"), renames=["Card"])
    assert operations(migrations) == [
        "shop: Rename TView Card to Sheet",
        "sales: Follow renames in the query of TView List (state only)",
    ]
    assert migrations[0].name == "0002_rename_card_sheet"
    replay(history, random.Random(0))
    # Without the same answer the one goes and the other comes.
    found = operations(history.go_to(at("Card")))
    assert {"shop: Create TView Card", "shop: Delete TView Sheet"} < set(found)
    replay(history, random.Random(0))


@pytest.mark.parametrize(
    "before",
    [models.ForeignKey("catalog.Product", **LOOSE), models.BigIntegerField()],
    ids=["relation", "number"],
)
def test_what_points_to_a_renamed_tview_from_now_on_is_altered(before: models.Field) -> None:
    def at(name: str, pointer: models.Field) -> ProjectState:
        sheet = card()
        sheet.name = name
        return project(product(), sheet, model("a_sale.Wish", to=pointer))

    history = History()
    history.go_to(at("Card", before))
    altered = "a_sale: Alter field to on wish"
    migrations = history.go_to(at("Sheet", models.ForeignKey("shop.Sheet", **LOOSE)), ["Card"])
    assert operations(migrations) == ["shop: Rename TView Card to Sheet", altered]
    # What points to it all the time is altered for other reasons only, and under its new name.
    nullable = models.ForeignKey("shop.Board", null=True, **LOOSE)
    migrations = history.go_to(at("Board", nullable), ["Sheet"])
    assert operations(migrations) == ["shop: Rename TView Sheet to Board", altered]
    (step,) = migrations[1].operations
    assert step.field.remote_field.model == "shop.board"
    replay(history, random.Random(0))


@pytest.mark.parametrize("ends", ["renamed", "deleted"])
def test_what_has_pointed_to_a_tview_comes_before_its_end(ends: str) -> None:
    def at(*names: str, pointed: bool = False) -> ProjectState:
        sheets = [tview(f"shop.{name}", "SELECT p.id FROM catalog_product p") for name in names]
        to = models.ForeignKey(f"shop.{names[0]}", null=True, **LOOSE) if pointed else X
        return project(product(), *sheets, model("a_sale.Wish", to=to))

    history = History()
    history.go_to(at("Card", pointed=True))
    if ends == "renamed":
        (migration,) = history.go_to(at("Sheet", pointed=True), ["Card"])
        assert operations([migration]) == ["shop: Rename TView Card to Sheet"]
    else:
        history.go_to(at("Card"))
        (migration,) = history.go_to(at())
        assert operations([migration]) == ["shop: Delete TView Card"]
    # Else a new database could have the end of Card before what points to Card.
    assert history.graph.leaf_nodes("a_sale")[0] in migration.dependencies


def test_tviews_that_exchange_who_reads_whom_are_followed_through_a_rename() -> None:
    key = {"id": models.BigIntegerField(primary_key=True)}

    def at(name: str, above: str, below: str) -> ProjectState:
        return project(
            product(), tview(f"shop.{name}", below, key), tview("sales.List", above, key)
        )

    from_product = "SELECT p.id FROM catalog_product p"
    history = History()
    history.go_to(at("Card", "SELECT c.id FROM shop_card c", from_product))
    migrations = history.go_to(
        at("Sheet", from_product, "SELECT l.id FROM sales_list l"), renames=["Card"]
    )
    assert operations(migrations) == [
        "shop: Rename TView Card to Sheet",
        "sales: Follow renames in the query of TView List (state only)",
        "sales: Alter TView List",
        "shop: Alter TView Sheet",
    ]
    replay(history, random.Random(0))


BY_HAND = [RenameField("product", "name", "title")]
IN_SQL = "ALTER TABLE catalog_product RENAME COLUMN name TO title"


@pytest.mark.parametrize(
    "rename",
    [
        *BY_HAND,
        RunSQL(IN_SQL, state_operations=BY_HAND),
        SeparateDatabaseAndState([RunSQL(IN_SQL)], BY_HAND),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_a_rename_that_somebody_wrote_by_hand_is_followed(history: History, rename: Any) -> None:
    history.write("catalog", rename)
    renamed = model("catalog.Product", title=models.TextField())
    migrations = history.go_to(project(renamed, card(TITLED)))
    assert operations(migrations) == [
        "shop: Follow renames in the query of TView Card (state only)"
    ]
    assert ("catalog", "0002_by_hand") in migrations[0].dependencies
    # Nothing says in which order the rename and the TView come: the text tells what it knows.
    altered = card("SELECT p.id, lower(p.title) AS name FROM catalog_product p")
    assert operations(history.go_to(project(renamed, altered))) == ["shop: Alter TView Card"]


def test_a_renamed_model_that_keeps_its_table_changes_no_tview() -> None:
    def at(name: str) -> tuple[ModelState, ModelState]:
        options = {"db_table": "products"}
        fields = {"product": models.OneToOneField(f"catalog.{name}", primary_key=True, **LOOSE)}
        query = "SELECT p.id AS product_id FROM products p"
        return model(f"catalog.{name}", options=options), tview("shop.Card", query, fields)

    history = History()
    history.go_to(project(*at("Product")))
    migrations = history.go_to(project(*at("Item")), renames=["Product"])
    assert operations(migrations) == ["catalog: Rename model Product to Item"]


def test_a_field_remade_under_its_name_takes_the_tview_down_in_between() -> None:
    tag = model("catalog.Tag")
    many = product(tags=models.ManyToManyField("catalog.Tag"))
    one = product(tags=models.ForeignKey("catalog.Tag", models.CASCADE, null=True))
    history = History()
    history.go_to(project(tag, many, tview("shop.Card", "SELECT t.id FROM catalog_product_tags t")))
    migrations = history.go_to(
        project(tag, one, tview("shop.Card", "SELECT p.tags_id AS id FROM catalog_product p"))
    )
    assert operations(migrations) == [
        "shop: Delete TView Card",
        "catalog: Remove field tags from product",
        "catalog: Add field tags to product",
        "shop: Create TView Card",
    ]
    replay(history, random.Random(0))


def test_a_column_that_another_tview_reads_goes_while_the_other_one_is_down() -> None:
    def at(column: str, *more: ModelState) -> tuple[ModelState, ...]:
        key = {"id": models.BigIntegerField(primary_key=True)}
        fields = key | {column: models.TextField()}
        return (
            product(),
            tview("shop.Card", f"SELECT p.id, p.name AS {column} FROM catalog_product p", fields),
            tview("shop.List", f"SELECT c.id, c.{column} FROM shop_card c", fields),
            *more,
        )

    steps = ["shop: Delete TView List", "shop: Alter TView Card", "shop: Create TView List"]
    history = History()
    history.go_to(project(*at("name")))
    assert operations(history.go_to(project(*at("title")))) == steps
    wish = model("shop.Wish", list=models.ForeignKey("shop.List", **LOOSE))
    history.go_to(project(*at("title", wish)))
    (migration,) = history.go_to(project(*at("label", wish)))
    assert operations([migration]) == steps
    state = history.graph.make_state(nodes=[("shop", "0003_wish")])
    for operation in migration.operations:
        # Wish points to List all the time.
        operation.state_forwards("shop", state)
        assert state.clone().apps.get_model("shop", "List")
    replay(history, random.Random(0))


def test_a_tview_goes_before_what_points_to_it_can_point_elsewhere() -> None:
    one = {"id": models.BigIntegerField(primary_key=True)}
    history = History()
    history.go_to(
        project(
            product(),
            tview(
                "shop.One",
                "SELECT p.id, p.name FROM catalog_product p",
                one | {"name": models.TextField()},
            ),
            tview("shop.Old", "SELECT o.name AS id FROM shop_one o"),
            model("shop.Note", to=models.ForeignKey("shop.Old", **LOOSE)),
        )
    )
    (migration,) = history.go_to(
        project(
            product(),
            tview("shop.One", "SELECT p.id FROM catalog_product p", one),
            tview("shop.New", "SELECT o.id FROM shop_one o"),
            model("shop.Note", to=models.ForeignKey("shop.New", **LOOSE)),
        )
    )
    # One cannot lose the name that Old reads; New needs One; Note moves from Old to New.
    assert operations([migration]) == [
        "shop: Delete TView Old",
        "shop: Alter TView One",
        "shop: Create TView New",
        "shop: Alter field to on note",
    ]
    replay(history, random.Random(0))
    assert ("shop", "old") not in history.state.models


def test_a_tview_that_points_to_another_lets_go_of_it_first() -> None:
    fields = {"card": models.OneToOneField("shop.Card", primary_key=True, **LOOSE)}
    history = History()
    pointing = tview("shop.Able", "SELECT p.id AS card_id FROM catalog_product p", fields)
    history.go_to(project(product(), card(), pointing))
    assert operations(history.go_to(project(product()))) == [
        "shop: Delete TView Able",
        "shop: Delete TView Card",
    ]


def test_a_change_of_what_a_tview_reads_follows_the_migrations_of_its_app(
    history: History,
) -> None:
    changed = product(name=models.CharField(max_length=100))
    migrations = history.go_to(project(changed, card()))
    assert operations(migrations) == ["catalog: Alter field name on product"]
    assert ("shop", "0001_initial") in migrations[0].dependencies


def test_a_change_of_what_a_tview_once_read_follows_them_too(history: History) -> None:
    history.go_to(project(product()))
    (migration,) = history.go_to(project(model("catalog.Product")))
    assert ("shop", "0002_delete_card") in migration.dependencies
    replay(history, random.Random(0))


def test_a_change_of_what_no_tview_reads_depends_on_none(history: History) -> None:
    migrations = history.go_to(project(product(), card(), model("catalog.Other")))
    assert [migration.dependencies for migration in migrations] == [[("catalog", "0001_initial")]]


def test_a_model_that_becomes_a_tview_is_deleted_first(history: History) -> None:
    as_model = model("shop.Card", name=models.TextField())
    back = history.go_to(project(product(), as_model))
    assert operations(back) == ["shop: Delete TView Card", "shop: Create model Card"]
    forth = history.go_to(project(product(), card()))
    assert operations(forth) == ["shop: Delete model Card", "shop: Create TView Card"]


def test_a_model_that_points_to_a_tview_comes_after_it() -> None:
    history = History()
    wish = model("shop.Awish", card=models.ForeignKey("shop.Card", **LOOSE))
    migrations = history.go_to(project(product(), card(), wish))
    assert operations(migrations) == [
        "catalog: Create model Product",
        "shop: Create TView Card",
        "shop: Create model Awish",
    ]
    gone = history.go_to(project(product(), model("shop.Awish")))
    assert operations(gone) == ["shop: Remove field card from awish", "shop: Delete TView Card"]


def test_a_source_that_points_to_the_tview_that_reads_it_makes_no_circle() -> None:
    history = History()
    pointing = product(card=models.ForeignKey("shop.Card", null=True, **LOOSE))
    migrations = history.go_to(project(pointing, card()))
    assert sorted(operations(migrations)) == [
        "catalog: Add field card to product",
        "catalog: Create model Product",
        "shop: Create TView Card",
    ]
    replay(history, random.Random(0))


def test_a_table_that_django_does_not_manage_asks_for_nothing() -> None:
    history = History()
    migrations = history.go_to(project(card("SELECT p.id, p.name FROM legacy.product p")))
    assert migrations[0].dependencies == [RUNTIME_MIGRATION]


def test_a_source_named_with_its_schema_is_found() -> None:
    history = History()
    migrations = history.go_to(
        project(product(), card("SELECT p.id, p.name FROM public.catalog_product p"))
    )
    assert ("catalog", "0001_initial") in migrations[1].dependencies


def test_a_long_default_table_name_is_found_as_django_shortens_it() -> None:
    long_name = "P" * 80
    table = models.ForeignKey  # any field, to see the table's own name below
    history = History()
    state = model(f"catalog.{long_name}", other=table("self", models.CASCADE))
    rendered = project(state).apps.get_model("catalog", long_name)
    query = f"SELECT p.id FROM {rendered._meta.db_table} p"
    migrations = history.go_to(project(state, tview("shop.Card", query)))
    assert ("catalog", "0001_initial") in migrations[1].dependencies


def test_a_proxy_of_a_tview_is_left_to_django() -> None:
    history = History()
    proxy = ModelState("shop", "Proxy", [], {"proxy": True}, ("shop.card",))
    migrations = history.go_to(project(product(), card(), proxy))
    assert operations(migrations)[1:] == [
        "shop: Create TView Card",
        "shop: Create proxy model Proxy",
    ]


def test_both_commands_have_an_autodetector_that_sees_tviews() -> None:
    for module in (makemigrations, migrate):
        assert issubclass(module.Command.autodetector, TViewAutodetector)
        assert issubclass(module.MigrationAutodetector, TViewAutodetector)
    assert makemigrations.Command.autodetector is migrate.Command.autodetector


class Foreign(MigrationAutodetector):
    """What another package would have installed before us."""


def test_composing_keeps_the_other_autodetector_and_does_nothing_twice() -> None:
    composed = compose(Foreign)
    assert issubclass(composed, Foreign)
    assert issubclass(composed, TViewAutodetector)
    assert compose(Foreign) is composed
    assert compose(composed) is composed


def test_installing_composes_with_whatever_is_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (makemigrations, migrate):
        monkeypatch.setattr(module, "MigrationAutodetector", Foreign)
        monkeypatch.setattr(module.Command, "autodetector", Foreign)
    autodetector.install()
    autodetector.install()
    for module in (makemigrations, migrate):
        assert module.Command.autodetector is compose(Foreign)
        assert module.MigrationAutodetector is compose(Foreign)


MODELS = """
from django.db import models
from django.db.models import F
from django.db.models.functions import JSONObject
from django_tviews import TView

class Product(models.Model):
    name = models.TextField()

class Card(TView):
    product = models.OneToOneField(
        Product, models.DO_NOTHING, primary_key=True, db_constraint=False
    )
    document = models.JSONField()

    @staticmethod
    def query():
        return Product.objects.values(product_id=F("pk"), document=JSONObject(name="name"))
"""


class Project:
    """A project in a directory, whose database cannot be reached."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name, text in {
            "shop/__init__.py": "",
            "shop/models.py": MODELS,
            "shop/migrations/__init__.py": "",
            "settings.py": (
                "INSTALLED_APPS = ['django_tviews', 'shop']\n"
                "DEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'\n"
                "DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql',"
                " 'NAME': 'nowhere', 'HOST': '/nowhere'}}\n"
            ),
        }.items():
            file = directory / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def manage(
        self, *arguments: str, settings: str = "settings"
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "django", *arguments],
            env=os.environ
            | {
                "DJANGO_SETTINGS_MODULE": settings,
                "PYTHONPATH": os.pathsep.join([str(self.directory), str(ROOT)]),
                "TVIEWS_DATABASE_URL": "postgresql:///nowhere?host=/nowhere",
            },
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def migrations(self) -> dict[str, str]:
        return {
            file.name: file.read_text() for file in (self.directory / "shop/migrations").glob("0*")
        }


def test_makemigrations_needs_no_database_and_a_second_run_writes_nothing(tmp_path: Path) -> None:
    project = Project(tmp_path)
    first = project.manage("makemigrations")
    assert first.returncode == 0, first.stderr
    assert "+ Create TView Card" in first.stdout
    written = project.migrations
    assert list(written) == ["0001_initial.py"]
    assert "jsonb_build_object('name'::text, shop_product.name)" in written["0001_initial.py"]
    second = project.manage("makemigrations")
    assert second.stdout == "No changes detected\n"
    assert project.migrations == written
    assert project.manage("makemigrations", "--check").returncode == 0


def test_what_an_older_django_wrote_is_no_change(tmp_path: Path) -> None:
    # Django 5.2 wrote the migrations of the test project; this may be a later one.
    found = Project(tmp_path).manage(
        "makemigrations", "testapp", "--check", settings="tests.settings"
    )
    assert (found.returncode, found.stdout) == (0, "No changes detected in app 'testapp'\n")


CORPUS = ROOT / "tests" / "corpus"


@pytest.mark.parametrize("written", sorted(path.name for path in CORPUS.glob("django_*")))
def test_what_any_django_wrote_is_no_change_under_this_one(
    written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORPUS", written)
    found = Project(tmp_path).manage("makemigrations", "--check", settings="tests.corpus.settings")
    assert (found.returncode, found.stdout) == (0, "No changes detected\n"), found.stderr


def test_the_corpus_is_of_the_oldest_and_the_newest_django() -> None:
    assert {path.name for path in CORPUS.glob("django_*")} >= {"django_5_2", "django_6_1"}


# Random histories: two apps with base models, and a third and a first one with TViews over them.

COLUMNS = ("a", "b", "c")
SOURCES = ("m_base.Left", "m_base.Right", "z_base.Other")
POINTERS = ("a_view.Wish", "m_base.Note")
RENAMED = ("Left", "Right", "Two", "Five", "Wish", "Note")
READERS = ("a_view.One", "n_view.Two", "n_view.Five", "z_view.Three", "m_base.Four")


@st.composite
def states(draw: st.DrawFn) -> tuple[ModelState, ...]:
    """Some base models with some columns, TViews that read them, and TViews that read those."""
    found: list[ModelState] = []
    readable: list[tuple[str, tuple[str, ...]]] = []
    for label in draw(st.sets(st.sampled_from(SOURCES), min_size=1)):
        columns = draw(st.sets(st.sampled_from(COLUMNS)))
        # Another default is an altered field.
        defaults = st.sampled_from(["", "x"])
        fields = {name: models.TextField(default=draw(defaults)) for name in sorted(columns)}
        found.append(model(label, **fields))
        readable.append((label.lower().replace(".", "_"), ("id", *sorted(columns))))
    for label in sorted(
        draw(st.sets(st.sampled_from(READERS))), key=draw(st.permutations(READERS)).index
    ):
        sources = draw(st.lists(st.sampled_from(readable), min_size=1, max_size=2))
        selected, tables = [], []
        for alias, (table, columns) in zip("pq", sources, strict=False):
            tables.append(f"{table} {alias}")
            selected += [f"{alias}.{name}" for name in draw(st.sets(st.sampled_from(columns)))]
        query = f"SELECT {', '.join(['1 AS id', *sorted(selected)])} FROM {tables[0]}" + "".join(
            f" JOIN {table} ON true" for table in tables[1:]
        )
        outputs = {name.split(".")[1] for name in selected} - {"id"}
        fields = {"id": models.IntegerField(primary_key=True)}
        fields |= {name: models.TextField() for name in sorted(outputs)}
        found.append(tview(label, query, fields))
        readable.append((label.lower().replace(".", "_"), ("id", *sorted(outputs))))
    pointed_to = [f"{each.app_label}.{each.name}" for each in found]
    for label in draw(st.sets(st.sampled_from(POINTERS))):
        target = draw(st.sampled_from(pointed_to))
        found.append(model(label, to=models.ForeignKey(target, null=True, **LOOSE)))
    return tuple(found)


def target(pointer: ModelState) -> str:
    return str(pointer.fields["to"].remote_field.model)


@settings(deadline=None, max_examples=30)
@given(
    steps=st.lists(
        st.tuples(states(), st.sets(st.sampled_from([*COLUMNS, *RENAMED]))), min_size=1, max_size=4
    ),
    order=st.randoms(use_true_random=False),
)
def test_every_order_that_the_dependencies_allow_builds_the_project_from_nothing(
    steps: list[tuple[tuple[ModelState, ...], set[str]]], order: random.Random
) -> None:
    history = History()
    pointed: dict[str, str] = {}
    for step, renames in steps:
        before, pointed = pointed, {each.name: target(each) for each in step if "to" in each.fields}
        if any(pointed[name] != before[name] for name in pointed.keys() & before.keys()):
            # Django overlooks that a relation turns to a model that it renames.
            renames = renames - {"Left", "Right"}  # noqa: PLW2901
        history.go_to(project(*step), renames)
    for _ in range(3):
        replay(history, order)
