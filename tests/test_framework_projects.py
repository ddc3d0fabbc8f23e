"""Projects with several databases, schemas, users of their own, and migrations by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from .projects import Project, own_settings  # noqa: F401

if TYPE_CHECKING:
    from pathlib import Path

BOOKS = """
from django.conf import settings
from django.db import models

class Author(models.Model):
    name = models.TextField()

    class Meta:
        swappable = "AUTHOR_MODEL"

class Book(models.Model):
    title = models.TextField()
    author = models.ForeignKey(settings.AUTHOR_MODEL, models.CASCADE)
"""

PEN = """
from django.db import models

class Pen(models.Model):
    name = models.TextField()
"""

SHELF = """
from django.conf import settings
from django.db import models
from django.db.models import F
from django_tviews import TView
from books.models import Book

class Card(TView):
    book = models.OneToOneField(
        Book, models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="card"
    )
    title = models.TextField()
    name = models.TextField(null=True)
    writer = models.ForeignKey(
        settings.AUTHOR_MODEL, models.DO_NOTHING, null=True, db_constraint=False, related_name="+"
    )

    @staticmethod
    def query():
        return Book.objects.values(
            "title", book_id=F("pk"), name=F("author__name"), writer_id=F("author_id")
        )
"""

SETTINGS = """
AUTHOR_MODEL = "pens.Pen"
DATABASES["lite"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
for name, path in [("second", "second"), ("books_only", "third"), ("deep", "deep,first")]:
    DATABASES[name] = {
        **DATABASES["default"], "OPTIONS": {"options": f"-c search_path={path}"}
    }
DATABASES["default"] = {
    **DATABASES["default"], "OPTIONS": {"options": "-c search_path=first"}
}

class Router:
    def allow_migrate(self, db, app_label, **hints):
        return False if (db, app_label) == ("books_only", "shelf") else None

DATABASE_ROUTERS = [Router()]
"""

# What the scripts below share.
SCRIPT = """
from django.apps import apps
from django.db import connections
from django_tviews import installer
from django_tviews.health import check

Pen = apps.get_model("pens", "Pen")
Book = apps.get_model("books", "Book")
Card = apps.get_model("shelf", "Card")

def write(alias):
    pen = Pen.objects.using(alias).create(name="Lem")
    book = Book.objects.using(alias).create(title="Solaris", author_id=pen.pk)
    Book.objects.using(alias).create(title="Eden", author_id=pen.pk)
    pen.name = "Stanislaw Lem"
    pen.save()
    book.delete()

def cards(alias):
    return list(Card.objects.using(alias).values_list("title", "name"))

def tables(alias):
    return sorted(connections[alias].introspection.table_names())

def objects(schema):
    return rows(f'''
        SELECT relkind::text, relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace
        UNION ALL SELECT 'function', proname FROM pg_proc
        WHERE pronamespace = '{schema}'::regnamespace
        UNION ALL SELECT 'trigger', tgname FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
        WHERE relnamespace = '{schema}'::regnamespace AND NOT tgisinternal ORDER BY 1, 2
    ''')
"""


@pytest.fixture
def project(tmp_path: Path, own_settings: dict[str, Any]) -> Project:  # noqa: F811
    with psycopg.connect(
        host=own_settings["HOST"],
        port=own_settings["PORT"] or None,
        user=own_settings["USER"],
        password=own_settings["PASSWORD"] or None,
        dbname=own_settings["NAME"],
        autocommit=True,
    ) as server:
        for schema in ("first", "second", "third", "deep"):
            server.execute(f"CREATE SCHEMA {schema}")
    own = ["pens", "books", "shelf"]
    project = Project(tmp_path, own_settings, ["django_tviews", *own], own, SETTINGS)
    for app, models in zip(own, (PEN, BOOKS, SHELF), strict=True):
        project.write(f"{app}/models.py", models)
    return project


def test_each_database_has_its_own_tviews_or_none(project: Project) -> None:
    found = project.run(
        SCRIPT
        + """
said("makemigrations", "--no-input")
for alias in ("default", "second", "books_only", "lite"):
    said("migrate", "--database", alias)
for alias in ("default", "second"):
    write(alias)
found = {alias: cards(alias) for alias in ("default", "second")}
found["problems"] = [str(problem) for alias in found for problem in check(using=alias)]
found["elsewhere"] = [
    table for alias in ("books_only", "lite") for table in tables(alias) if "shelf" in table
]
found["sources"] = [table for table in tables("lite") if "books" in table]
before = objects("first")
said("migrate", "--database", "second", "shelf", "zero")
said("migrate", "--database", "lite", "shelf", "zero")
said("migrate", "--database", "lite", "django_tviews", "zero")
said("migrate", "--database", "second", "django_tviews", "zero")
found["left"] = [name for _, name in objects("second") if "tview" in name or "shelf" in name]
found["untouched"] = objects("first") == before
print(json.dumps(found))
"""
    )
    assert found == {
        "default": [["Eden", "Stanislaw Lem"]],
        "second": [["Eden", "Stanislaw Lem"]],
        "problems": [],
        "elsewhere": [],
        "sources": ["books_book"],
        "left": [],
        "untouched": True,
    }


def test_sources_and_the_registry_may_be_in_other_schemas_of_the_search_path(
    project: Project,
) -> None:
    found = project.run(
        SCRIPT
        + """
said("makemigrations", "--no-input")
said("migrate", "--database", "default", "books")
said("migrate", "--database", "default", "django_tviews")
# The same history, seen from a schema before it: only the TView is made there.
said("migrate", "--database", "deep", "shelf")
write("default")
found = {"cards": cards("deep"), "tables": [name for kind, name in objects("deep") if kind == "r"]}
found["problems"] = [str(problem) for problem in check(using="deep")]
said("migrate", "--database", "deep", "shelf", "zero")
found["left"] = objects("deep")
found["triggers"] = [name for _, name in objects("first") if name.startswith("tviews")]
print(json.dumps(found))
"""
    )
    assert found == {
        "cards": [["Eden", "Stanislaw Lem"]],
        "tables": ["shelf_card"],
        "problems": [],
        "left": [],
        "triggers": [],
    }


def test_a_source_may_name_its_schema_and_a_tview_may_not(project: Project) -> None:
    project.write(
        "books/models.py",
        BOOKS
        + """
    class Meta:
        db_table = '"deep"."book"'
""",
    )
    made = """
said("makemigrations", "--no-input")
said("migrate")
write("default")
found = [cards("default"), [str(problem) for problem in check()]]
said("migrate", "shelf", "zero")
found.append([name for schema in ("first", "deep") for _, name in objects(schema)])
found[-1] = [name for name in found[-1] if name.startswith(("tviews", "shelf"))]
print(json.dumps(found))
"""
    assert project.run(SCRIPT + made) == [[["Eden", "Stanislaw Lem"]], [], []]
    meta = """
    class Meta(TView.Meta):
        db_table = '"deep"."card"'

    @staticmethod
"""
    project.write("shelf/models.py", SHELF.replace("\n    @staticmethod\n", meta))
    refused = """
from django.core.checks import run_checks
print(json.dumps([[each.id, each.msg] for each in run_checks()]))
"""
    assert project.run(refused) == [
        ["django_tviews.E001", 'shelf.Card: db_table "deep"."card" names a schema.']
    ]


BY_HAND = """
from django.db import migrations, models
from django_tviews.errors import TViewReadOnly
from django_tviews.operations import AlterTView, CreateTView, DeleteTView

def read(apps, schema_editor):
    Card = apps.get_model("shelf", "Card")
    assert Card.objects.filter(book__author__name="Lem").count() == Card.objects.count()
    for write in (
        lambda: Card.objects.update(title="x"),
        lambda: Card.objects.create(title="x"),
        lambda: Card.objects.first().delete(),
    ):
        try:
            write()
        except TViewReadOnly:
            continue
        raise AssertionError("written")

def fill(apps, schema_editor):
    pen = apps.get_model("pens", "Pen").objects.create(name="Lem")
    apps.get_model("books", "Book").objects.create(title="Solaris", author_id=pen.pk)
    assert apps.get_model("shelf", "Card").objects.get(title="Solaris").name == "Lem"

FIELDS = [
    ("author", models.TextField(primary_key=True)), ("books", models.BigIntegerField())
]
GROUPED = "SELECT p.name AS author, count(*) AS books FROM books_book b JOIN pens_pen p ON p.id = b.author_id GROUP BY p.name"

class Migration(migrations.Migration):
    atomic = ATOMIC
    dependencies = [("shelf", "0001_initial")]
    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
        CreateTView("Writer", FIELDS, GROUPED),
        migrations.RunPython(read, migrations.RunPython.noop),
        AlterTView("Writer", FIELDS, GROUPED.replace("count(*)", "count(*) + 1")),
        CreateTView("Twice", FIELDS, QUERY),
    ]
"""


@pytest.mark.parametrize("atomic", [True, False])
def test_a_migration_by_hand_reads_tviews_and_is_atomic_or_each_operation_is(
    project: Project, atomic: bool
) -> None:
    wrong = "\"SELECT 'a' AS author, b.id AS books FROM books_book b\""
    text = BY_HAND.replace("ATOMIC", str(atomic))
    project.run('said("makemigrations", "--no-input"); print("null")')
    project.write("shelf/migrations/0002_hand.py", text.replace("QUERY", wrong))
    outcome = project.run(
        SCRIPT
        + """
said("migrate", "shelf", "0001")
pen = Pen.objects.create(name="Lem")
Book.objects.create(title="Eden", author_id=pen.pk)
before = objects("first")
error = None
try:
    said("migrate", "shelf")
except Exception as raised:
    error = type(raised).__name__
names = [name for _, name in objects("first")]
print(json.dumps({
    "error": error,
    "unchanged": objects("first") == before,
    "writer": "shelf_writer" in names,
    "twice": [name for name in names if "twice" in name],
    "labels": sorted(row[0] for row in rows("SELECT label FROM django_tviews_registry")),
    "problems": [str(problem) for problem in check("shelf.card")],
}))
"""
    )
    assert outcome == {
        "error": "KeyNotUnique",
        "unchanged": atomic,
        "writer": not atomic,
        "twice": [],
        "labels": ["shelf.Card"] if atomic else ["shelf.Card", "shelf.Writer"],
        "problems": [],
    }
    if not atomic:
        return
    project.write("shelf/migrations/0002_hand.py", text.replace("QUERY", "GROUPED"))
    assert project.run(
        SCRIPT
        + """
said("migrate", "shelf")
found = rows("SELECT * FROM shelf_writer UNION ALL SELECT * FROM shelf_twice")
said("migrate", "shelf", "zero")
print(json.dumps([found, [name for _, name in objects("first") if "shelf" in name]]))
"""
    ) == [[["Lem", 3], ["Lem", 2]], []]
