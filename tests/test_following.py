"""TViews whose names, or the names of what they read, change: in a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.db import models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import (
    AddField,
    AlterField,
    AlterModelTable,
    SeparateDatabaseAndState,
)

from django_tviews.history import present_query
from django_tviews.operations import AlterTView, CreateTView, FollowRenames, RenameTView

# library and own_settings are fixtures.
from .projects import Project, own_settings  # noqa: F401
from .test_operations import BY_BOOK, ID, Library, card, library  # noqa: F401

if TYPE_CHECKING:
    from pathlib import Path


def test_what_an_altered_tview_goes_back_to_has_followed(library: Library) -> None:  # noqa: F811
    library.forwards(CreateTView(**card()))
    before = library.rows()
    renames = [
        AlterModelTable("Book", "library_volume"),
        AlterField("Book", "title", models.TextField(db_column="name")),
    ]
    follow = FollowRenames("Card", "SELECT v.id, v.name AS title FROM library_volume v")
    library.forwards(SeparateDatabaseAndState(renames, [*renames, follow]))
    assert library.rows() == before
    library.forwards(
        AlterTView(**card("SELECT v.id, upper(v.name) AS title FROM library_volume v"))
    )
    assert library.rows() != before
    library.backwards()
    assert library.rows() == before
    library.backwards()
    assert library.rows() == before


def test_a_renamed_tview_keeps_its_table_and_those_that_read_it_follow(
    library: Library,  # noqa: F811
) -> None:
    def place(name: str) -> tuple[int, bool]:
        with library.connection.cursor() as cursor:
            cursor.execute(
                "SELECT oid, relacl::text LIKE '%%pg_monitor=r/%%' FROM pg_class WHERE relname = %s",
                [name],
            )
            (found,) = cursor.fetchall()
        return found

    before = library.relations()
    library.forwards(CreateTView(**card()))
    reader = {"name": "List", "query": "SELECT c.id FROM library_card c", "fields": [ID]}
    library.forwards(CreateTView(**reader))
    rows = library.rows()
    with library.connection.cursor() as cursor:
        cursor.execute("GRANT SELECT ON library_card TO pg_monitor")
    table = place("library_card")
    assert table[1]
    rename = RenameTView("Card", "Sheet")
    follow = FollowRenames("List", "SELECT c.id FROM library_sheet c")
    library.forwards(SeparateDatabaseAndState([rename], [rename, follow]))
    assert library.rows("Sheet") == rows
    assert place("library_sheet") == table
    assert library.relations() - before == {
        *("library_sheet", "library_sheet_query"),
        *("library_list", "library_list_query"),
    }
    library.backwards()
    assert library.rows() == rows
    assert place("library_card") == table
    library.backwards()
    library.backwards()
    assert library.relations() == before


def test_a_renamed_tview_with_a_table_of_another_name_only_gets_another_label(
    library: Library,  # noqa: F811
) -> None:
    options = {"db_table": "library_cards"}
    library.forwards(CreateTView(**card(options=options)))
    relations = library.relations()
    library.forwards(RenameTView("Card", "Sheet"))
    assert library.relations() == relations
    assert library.declarations()[0].label == "library.Sheet"
    library.backwards()


def test_a_table_between_a_renamed_tview_and_a_model_gets_the_column_of_the_new_name(
    library: Library,  # noqa: F811
) -> None:
    library.forwards(CreateTView(**card()))
    field = models.ManyToManyField("library.Card", db_constraint=False)
    library.forwards(AddField("Author", "cards", field))
    library.forwards(RenameTView("Card", "Sheet"))
    author = library.model("Author").objects.first()
    sheet = library.model("Sheet").objects.first()
    author.cards.add(sheet)
    assert list(author.cards.values_list("pk", flat=True)) == [sheet.pk]
    library.backwards()
    author = library.model("Author").objects.get(pk=author.pk)
    assert list(author.cards.values_list("pk", flat=True)) == [sheet.pk]


def test_a_text_that_fits_stays_and_so_does_one_that_nothing_has_renamed(
    library: Library,  # noqa: F811
) -> None:
    state = library.states[-1]
    unknown = "SELECT b.id, b.name AS title FROM library_book b"
    loader = MigrationLoader(None)
    of_a_migration = next(
        operation
        for operation in loader.disk_migrations["testapp", "0001_initial"].operations
        if isinstance(operation, CreateTView)
    )
    for operation in (CreateTView(**card()), of_a_migration):
        for query in (BY_BOOK, "SELECT now() AS id FROM library_book b", unknown):
            assert present_query(operation, query, library.connection, state) == query


PERSON = """
from django.db import models


class {model}(models.Model):
    {field} = models.TextField()
"""

CARD = """
from django.db import models
from django_tviews import TView
from {source}.models import {model}


class Card(TView):
    id = models.BigIntegerField(primary_key=True)
    name = models.TextField()

    @staticmethod
    def query():
        return {model}.objects.values("id", **{{"{output}": models.F("{field}")}})

    class Maintenance:
        columns = {{"name": "{output}"}}
"""

UPGRADE = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("{source}", "0001_initial")]
    operations = [
        migrations.RenameField("person", "name", "label"),
        migrations.RenameModel("Person", "Human"),
    ]
"""

WRITE = """
from {source}.models import {model}
{model}.objects.create({field}="Ada")
report["exact"] = report.get("exact", True) and all(each.exact for each in verify())
report["cards"] = rows("SELECT name FROM shop_card")
"""


@pytest.mark.parametrize("source", ["people", "voters"], ids=["first", "last"])
def test_a_package_that_knows_nothing_of_tviews_renames_what_they_read(
    tmp_path: Path,
    own_settings: dict[str, Any],  # noqa: F811
    source: str,
) -> None:
    project = Project(tmp_path, own_settings, ["django_tviews", source, "shop"], [source, "shop"])
    old = {"source": source, "model": "Person", "field": "name"}
    new = {"source": source, "model": "Human", "field": "label"}
    project.write(f"{source}/models.py", PERSON.format(**old))
    project.write("shop/models.py", CARD.format(**old, output="out"))
    first = project.run(
        "report = {'made': made()}\nsaid('migrate')"
        + WRITE.format(**old)
        + "print(json.dumps(report))"
    )
    assert first == {
        "made": [f"{source}: CreateModel", "shop: CreateTView"][:: 1 if source < "shop" else -1],
        "exact": True,
        "cards": [["Ada"]],
    }

    # The package has been upgraded, and its migration is applied before anybody notices.
    project.write(f"{source}/migrations/0002_upgrade.py", UPGRADE.format(source=source))
    project.write(f"{source}/models.py", PERSON.format(**new))
    project.write("shop/models.py", CARD.format(**new, output="out"))
    second = project.run(
        f"""
report = {{}}
said("migrate", "{source}")
{WRITE.format(**new)}
report["made"] = made()
report["again"] = made()
said("migrate")
{WRITE.format(**new)}
said("migrate", "shop", "zero")
said("migrate", "{source}", "zero")
report["left"] = rows("SELECT relname::text FROM pg_class WHERE relname LIKE 'shop%'")
said("migrate")
{WRITE.format(**new)}
report["order"] = [
    name
    for app, name in rows("SELECT app, name FROM django_migrations ORDER BY id")
    if name != "0001_initial" or app == "shop"
]
print(json.dumps(report))
"""
    )
    assert second["made"] == ["shop: FollowRenames"]
    assert second["again"] == []
    assert (second["exact"], second["cards"], second["left"]) == (True, [["Ada"]], [])
    # Otherwise this would prove nothing.
    assert second["order"].index("0002_upgrade") < second["order"].index("0001_initial")


DROP = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("people", "0001_initial")]
    operations = [migrations.RemoveField("person", "name")]
"""


def test_a_package_drops_what_a_tview_reads(
    tmp_path: Path,
    own_settings: dict[str, Any],  # noqa: F811
) -> None:
    project = Project(
        tmp_path, own_settings, ["django_tviews", "people", "shop"], ["people", "shop"]
    )
    person = PERSON + "    phone = models.TextField(default='none')\n"
    old = {"source": "people", "model": "Person", "field": "name"}
    new = old | {"field": "phone"}
    project.write("people/models.py", person.format(**old))
    project.write("shop/models.py", CARD.format(**old, output="out"))
    project.run("made(); said('migrate'); print('[]')")

    project.write("people/migrations/0002_drop.py", DROP)
    dropped = PERSON.format(model="Person", field="phone").replace("()", "(default='none')")
    project.write("people/models.py", dropped)
    project.write("shop/models.py", CARD.format(**new, output="out"))
    report = project.run(
        f"""
from django_tviews.errors import DependentColumn
report = {{}}
try:
    said("migrate")
except DependentColumn as error:
    report["refused"] = error.message
report["made"] = made()
said("migrate")
{WRITE.format(**new)}
Person.objects.all().delete()
said("migrate", "shop", "zero")
said("migrate", "people", "zero")
said("migrate")
{WRITE.format(**new)}
report["order"] = [
    f"{{app}} {{name}}"
    for app, name in rows("SELECT app, name FROM django_migrations ORDER BY id")
    if app in ("people", "shop")
]
report["again"] = made()
print(json.dumps(report))
"""
    )
    assert "people_person.name" in report["refused"]
    assert report["made"] == ["shop: AlterTView"]
    assert report["order"] == [
        "people 0001_initial",
        "shop 0001_initial",
        "shop 0002_alter_card",
        "people 0002_drop",
    ]
    assert (report["exact"], report["cards"], report["again"]) == (True, [["Ada"]], [])
