"""What random histories of migrations have found, each as the shortest history that shows it."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connections, models

from django_tviews.operations import DeleteTView

from .histories import model, project, tview
from .migration_histories.life import Life

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.migrations.migration import Migration
    from django.db.migrations.state import ModelState, ProjectState
    from pytest_django import DjangoDbBlocker

ID = {"id": models.BigIntegerField(primary_key=True)}


@pytest.fixture
def life(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Life]:
    """Give a project without models; what the test makes of it is reversed and built again."""
    with django_db_blocker.unblock():
        connection = connections["default"]
        try:
            life = Life(connection, Random(0))
            with life.database.opened():
                life.begin()
                yield life
                life.go_back()
                life.go_again()
        finally:
            connection.close()


def book(**fields: Any) -> ModelState:
    return model("able.Book", **fields)


def test_a_tview_that_reads_another_leaves_it_its_own_triggers(life: Life) -> None:
    def at(**more: Any) -> ProjectState:
        ledger = tview("able.Ledger", "SELECT b.id FROM able_book b", ID)
        return project(
            book(), ledger, tview("baker.Tally", "SELECT l.id FROM able_ledger l", ID, **more)
        )

    life.advance(at())
    # What is installed must be what health finds complete, also when only the reader changes.
    life.advance(at(allow_rebuild=True))
    life.advance(project(*list(at().models.values())[:2]))


def test_a_relation_to_many_may_have_capital_letters_in_its_name(life: Life) -> None:
    tag = model("able.Tag")
    card = tview("able.Card", 'SELECT t.id FROM "able_book_Tags" t', ID)
    life.advance(project(tag, book(Tags=models.ManyToManyField("able.Tag")), card))
    renamed = tview("able.Card", 'SELECT t.id FROM "able_book_Labels" t', ID)
    life.advance(project(tag, book(Labels=models.ManyToManyField("able.Tag")), renamed), ["Tags"])


def test_a_renamed_tview_may_keep_its_table(life: Life) -> None:
    def named(label: str) -> ProjectState:
        return project(book(), tview(label, "SELECT b.id FROM able_book b", ID, {"db_table": "x"}))

    life.advance(named("able.Ledger"))
    life.advance(named("able.Board"))
    # In another app, too.
    life.advance(named("baker.Board"))


def test_a_tview_changes_together_with_the_type_of_what_it_shows(life: Life) -> None:
    def at(kind: type[models.Field[Any, Any]], shown: str) -> ProjectState:
        source = book(size=kind(default="0"))
        query = f"SELECT b.id, {shown} AS size FROM able_book b"
        digest = tview("baker.Digest", query, {**ID, "size": kind(null=True)})
        above = tview(
            "able.Above",
            "SELECT d.id, d.size FROM baker_digest d",
            {**ID, "size": kind(null=True)},
        )
        return project(source, digest, above)

    life.advance(at(models.IntegerField, "b.size"))
    life.advance(at(models.TextField, "upper(b.size)"))
    life.advance(at(models.IntegerField, "b.size + 1"))


def test_a_tview_may_show_null_as_soon_as_what_it_reads_may_be_null(life: Life) -> None:
    def at(*, null: bool) -> ProjectState:
        digest = tview(
            "baker.Digest",
            "SELECT b.id, b.size FROM able_book b",
            {**ID, "size": models.IntegerField(null=null)},
        )
        return project(book(size=models.IntegerField(null=null, default=0)), digest)

    life.advance(at(null=False))
    life.advance(at(null=True))
    life.advance(at(null=False))


def test_a_tview_may_narrow_a_type_under_another_one(life: Life) -> None:
    def at(kind: type[models.Field[Any, Any]], **options: Any) -> ProjectState:
        digest = tview(
            "baker.Digest",
            "SELECT b.id, b.size FROM able_book b",
            {**ID, "size": kind(null=True, **options)},
        )
        above = tview(
            "able.Above",
            "SELECT d.id, d.size + 1 AS more FROM baker_digest d",
            {**ID, "more": models.DecimalField(max_digits=20, decimal_places=2, null=True)},
        )
        return project(book(size=kind(null=True, default=0, **options)), digest, above)

    life.advance(at(models.DecimalField, max_digits=20, decimal_places=2))
    life.advance(at(models.BigIntegerField))


def test_the_registry_knows_a_renamed_tview_in_the_queries_that_read_it(life: Life) -> None:
    def at(name: str) -> ProjectState:
        above = tview("baker.Overview", f"SELECT s.id FROM able_{name.lower()} s", ID)
        return project(book(), tview(f"able.{name}", "SELECT b.id FROM able_book b", ID), above)

    life.advance(at("Ledger"))
    life.advance(at("Summary"), ["Ledger"])


def test_a_tview_is_renamed_after_a_column_that_it_reads(life: Life) -> None:
    def at(name: str, column: str) -> ProjectState:
        source = book(size=models.IntegerField(default=0, db_column=column))
        query = f"SELECT b.id, b.{column} AS size FROM able_book b"
        fields = {**ID, "size": models.IntegerField(null=True)}
        return project(source, tview(f"able.{name}", query, fields))

    life.advance(at("Ledger", "size"))

    def rename_last(migration: Migration) -> None:
        # makemigrations writes it first.
        rename, *others = migration.operations
        migration.operations = [others[0], rename, *others[1:]]
        assert [type(each).__name__ for each in migration.operations] == [
            *("AlterField", "RenameTView", "FollowRenames")
        ]

    life.advance(at("Summary", "weight"), ["Ledger"])
    life.advance(at("Board", "height"), ["Summary"], edit=rename_last)


def test_a_key_changes_together_with_the_type_that_it_shows(life: Life) -> None:
    def at(kind: type[models.Field[Any, Any]], **options: Any) -> ProjectState:
        query = "SELECT b.size, count(*) AS n FROM able_book b WHERE b.size IS NOT NULL GROUP BY 1"
        fields = {"size": kind(primary_key=True, **options), "n": models.BigIntegerField(null=True)}
        return project(book(size=kind(null=True, **options)), tview("baker.Tally", query, fields))

    life.advance(at(models.BigIntegerField))
    life.advance(at(models.DecimalField, max_digits=20, decimal_places=2))
    life.advance(at(models.IntegerField))
    # What takes any value as it is stays in place.
    steps = life.advance(at(models.BigIntegerField))
    assert not any(isinstance(step, DeleteTView) for step in steps)
