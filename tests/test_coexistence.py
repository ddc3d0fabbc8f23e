"""Beside other packages that extend migrations, whichever app comes first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from support.database import database_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent

MODELS = """
import pgtrigger
from django.db import models
from django_tviews import TView


class Product(models.Model):
    name = models.TextField()
    {field}

    class Meta:
        triggers = [pgtrigger.Protect(name="protect", {protected})]


class Card(TView):
    id = models.BigIntegerField(primary_key=True)
    name = models.TextField()

    query = "SELECT p.id, {name} AS name FROM shop_product p"
"""

VIEW = """
from django_pgviews import view


class Names(view.View):
    id = models.BigIntegerField(primary_key=True)
    name = models.TextField()
    sql = "SELECT p.id, p.name FROM shop_product p"
    dependencies = ["shop.Product"]

    class Meta:
        managed = False
        db_table = "shop_names"
"""


def models(*, before: bool, views: bool) -> str:
    """models.py before or after a change of everything, with a view of the package or without."""
    if before:
        parts = {"field": "", "protected": "operation=pgtrigger.Delete", "name": "p.name"}
        return MODELS.format(**parts) + (VIEW if views else "")
    parts = {
        "field": "price = models.IntegerField(default=0)",
        "protected": "operation=pgtrigger.Update, condition=pgtrigger.Q(new__name='')",
        "name": "upper(p.name)",
    }
    return MODELS.format(**parts)


# One process for each state of models.py, which does what a developer does at the prompt.
DEVELOPER = """
import io, json, sys
import django
django.setup()
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django_tviews.maintenance import verify

def said(*arguments):
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=out, no_color=True)
    return out.getvalue()

def operations(migration):
    return [type(operation).__name__ for operation in migration.operations]

known = set(MigrationLoader(None).disk_migrations)
report = {"made": said("makemigrations")}
disk = MigrationLoader(None).disk_migrations
report["operations"] = [
    name for key in sorted(disk.keys() - known) for name in operations(disk[key])
]
report["again"] = said("makemigrations", "--check")
report["checks"] = said("check", "--database", "default")
report["migrated"] = said("migrate")

from shop.models import Product
Product.objects.create(name="Lamp")
Product.objects.update(name="Desk lamp")
report["exact"] = all(each.exact for each in verify())
with connection.cursor() as cursor:
    cursor.execute("SELECT name FROM shop_card")
    report["cards"] = [name for name, in cursor.fetchall()]
print(json.dumps(report))
"""


class Project:
    """A project in a directory, with a database of its own."""

    def __init__(self, directory: Path, database: dict[str, Any], apps: list[str]) -> None:
        self.directory = directory
        for name in ("shop/__init__.py", "shop/migrations/__init__.py"):
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text("")
        (directory / "settings.py").write_text(
            f"INSTALLED_APPS = {apps!r}\n"
            f"DATABASES = {{'default': {database!r}}}\n"
            "FIRST_PARTY_APPS = ['shop']\n"
            "SECRET_KEY = 'only for tests'\n"
            "DEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'\n"
        )

    def develop(self, models: str) -> dict[str, Any]:
        """Give the models another form, and go from there to an up-to-date database."""
        (self.directory / "shop/models.py").write_text(models)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", DEVELOPER],
            env=os.environ
            | {
                "DJANGO_SETTINGS_MODULE": "settings",
                "PYTHONPATH": os.pathsep.join([str(self.directory), str(ROOT)]),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def database(server_url: str) -> Iterator[dict[str, Any]]:
    """Settings of a database that is empty."""
    name = f"tviews_beside_{os.getpid()}"
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        yield {**database_settings(server_url), "NAME": name}
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


# Both of the latter bring a makemigrations of their own, of which Django takes one.
@pytest.mark.parametrize("peer", ["django_pgviews", "django_linear_migrations"])
@pytest.mark.parametrize("place", [0, 2], ids=["first", "last"])
def test_no_operation_of_anybody_is_lost(
    tmp_path: Path, database: dict[str, Any], peer: str, place: int
) -> None:
    apps = ["pgtrigger", peer]
    apps.insert(place, "django_tviews")
    views = peer == "django_pgviews"
    project = Project(tmp_path, database, [*apps, "shop"])

    first = project.develop(models(before=True, views=views))
    view = ["CreateModel", "RegisterViewOperation"] if views else []
    assert sorted(first["operations"]) == sorted(
        ["AddTrigger", "CreateModel", "CreateTView", *view]
    )
    assert first["again"] == "No changes detected\n"
    assert first["checks"] == "System check identified no issues (0 silenced).\n"
    assert (first["exact"], first["cards"]) == (True, ["Desk lamp"])

    second = project.develop(models(before=False, views=views))
    view = ["DeleteModel", "DeleteViewOperation"] if views else []
    assert sorted(second["operations"]) == sorted(
        ["AddTrigger", "AddField", "AlterTView", "RemoveTrigger", *view]
    )
    assert second["again"] == "No changes detected\n"
    assert (second["exact"], set(second["cards"])) == (True, {"DESK LAMP"})
    if not views:
        written = max((tmp_path / "shop/migrations").glob("0*.py")).stem
        assert (tmp_path / "shop/migrations/max_migration.txt").read_text() == f"{written}\n"
