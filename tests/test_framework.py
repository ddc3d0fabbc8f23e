"""What migrate and its options do with TViews, in databases that have nothing else."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command

from django_tviews import health, installer
from django_tviews.health import ProblemKind
from tests.testapp.models import Product, ProductCard, Review, Supplier

if TYPE_CHECKING:
    from .harness import Database

APPS = ("django_tviews", "testapp")


@pytest.fixture
def empty(database: Database) -> Database:
    """A schema without anything in it."""
    with database.connection.schema_editor() as editor:
        installer.drop_runtime(editor)
    assert everything(database) == set()
    # Of migrate itself.
    migrate("testapp", "zero")
    return database


def migrate(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command("migrate", *arguments, stdout=out, verbosity=1, **options)
    return out.getvalue()


def sql_of(app: str, **options: Any) -> str:
    out = StringIO()
    call_command("sqlmigrate", app, "0001", stdout=out, **options)
    return out.getvalue()


def everything(database: Database) -> set[tuple[Any, ...]]:
    """Every object in the schema and what it says, but not what migrate itself keeps there."""
    return {
        row
        for row in database.execute("""
            SELECT 'relation', relname, relkind::text,
                CASE relkind WHEN 'v' THEN pg_get_viewdef(oid)
                    WHEN 'i' THEN pg_get_indexdef(oid) END,
                obj_description(oid, 'pg_class'), relacl::text
            FROM pg_class WHERE relnamespace = current_schema()::regnamespace
            UNION ALL SELECT 'function', p.oid::regprocedure::text, prosrc,
                proconfig::text || prosecdef::text, obj_description(p.oid, 'pg_proc'), proacl::text
            FROM pg_proc p WHERE pronamespace = current_schema()::regnamespace
            UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(t.oid),
                tgenabled::text, obj_description(t.oid, 'pg_trigger')
            FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
            WHERE relnamespace = current_schema()::regnamespace AND NOT tgisinternal
            UNION ALL SELECT 'constraint', conrelid::regclass::text, conname,
                pg_get_constraintdef(oid), NULL, NULL
            FROM pg_constraint
            WHERE connamespace = current_schema()::regnamespace AND contype <> 't'
            UNION ALL SELECT 'column', attrelid::regclass::text, attname,
                format_type(atttypid, atttypmod), attnotnull::text, attidentity::text
            FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
            WHERE relnamespace = current_schema()::regnamespace AND attnum > 0
                AND relkind IN ('r', 'v') AND NOT attisdropped
            UNION ALL SELECT 'type', typname, typtype::text, NULL, NULL, NULL
            FROM pg_type WHERE typnamespace = current_schema()::regnamespace
        """)
        if "django_migrations" not in f"{row[1]} {row[2]}"
    }


def write() -> None:
    supplier = Supplier.objects.create(name="Acme")
    product = Product.objects.create(name="kettle", price=30, supplier=supplier)
    Review.objects.create(product=product, stars=5)
    assert [(card.supplier_name, card.review_count) for card in ProductCard.objects.all()] == [
        ("Acme", 1)
    ]


def test_migrating_to_zero_leaves_nothing_of_ours(empty: Database) -> None:
    migrate("testapp")
    write()
    migrate("testapp", "zero")
    migrate("django_tviews", "zero")
    assert everything(empty) == set()


def test_what_sqlmigrate_prints_makes_the_same_database_by_hand(empty: Database) -> None:
    # The tables of one app only: nothing is there when it is asked.
    by_hand = [sql_of(app) for app in APPS]
    migrate("testapp")
    migrated = everything(empty)
    back = [sql_of(app, backwards=True) for app in reversed(APPS)]
    for text in back:
        empty.execute(text)
    assert everything(empty) == set()
    for text in by_hand:
        empty.execute(text)
    assert everything(empty) == migrated
    problems = health.check("testapp")
    assert problems == []
    write()


def test_a_faked_migration_is_reported_and_can_be_made_good(empty: Database) -> None:
    migrate("django_tviews")
    migrate("testapp", fake=True)
    assert {(each.kind, each.label) for each in health.check("testapp")} == {
        (ProblemKind.NOT_INSTALLED, f"testapp.{name}")
        for name in ("ProductCard", "ProductTag", "Stock", "SupplierTotals")
    }
    migrate("testapp", "zero", fake=True)
    migrate("testapp")
    assert health.check("testapp") == []
    write()


def test_fake_initial_runs_what_is_not_there_and_takes_tables_for_what_they_seem(
    empty: Database,
) -> None:
    assert "FAKED" not in migrate("testapp", fake_initial=True)
    with empty.connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'testapp'")
    # All is there: recorded, and rightly.
    assert "FAKED" in migrate("testapp", fake_initial=True)
    assert health.check("testapp") == []
    write()
