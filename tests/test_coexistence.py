"""Beside other packages that extend migrations, whichever app comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

# own_settings is a fixture.
from .projects import Project, own_settings  # noqa: F401

if TYPE_CHECKING:
    from pathlib import Path

MODELS = """
import pgtrigger
from django.db import models
from django_tviews import TView


class Product(models.Model):
    name = models.{field}

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
        parts = {
            "field": "TextField()",
            "protected": "operation=pgtrigger.Delete",
            "name": "p.name",
        }
        return MODELS.format(**parts) + (VIEW if views else "")
    parts = {
        "field": "CharField(max_length=80)",
        "protected": "operation=pgtrigger.Update, condition=pgtrigger.Q(new__name='')",
        "name": "upper(p.name)",
    }
    return MODELS.format(**parts)


# One process for each state of models.py, which does what a developer does at the prompt.
DEVELOPER = """
report = {"operations": [operation.partition(": ")[2] for operation in made()]}
report["again"] = said("makemigrations", "--check")
report["checks"] = said("check", "--database", "default")
said("migrate")

from shop.models import Product
Product.objects.create(name="Lamp")
Product.objects.update(name="Desk lamp")
report["exact"] = all(each.exact for each in verify())
report["cards"] = sorted({name for name, in rows("SELECT name FROM shop_card")})
print(json.dumps(report))
"""


# Both of the latter bring a makemigrations of their own, of which Django takes one.
@pytest.mark.parametrize("peer", ["django_pgviews", "django_linear_migrations"])
@pytest.mark.parametrize("place", [0, 2], ids=["first", "last"])
def test_no_operation_of_anybody_is_lost(
    tmp_path: Path,
    own_settings: dict[str, Any],  # noqa: F811
    peer: str,
    place: int,
) -> None:
    apps = ["pgtrigger", peer]
    apps.insert(place, "django_tviews")
    views = peer == "django_pgviews"
    project = Project(
        tmp_path, own_settings, [*apps, "shop"], ["shop"], "FIRST_PARTY_APPS = ['shop']\n"
    )

    project.write("shop/models.py", models(before=True, views=views))
    first = project.run(DEVELOPER)
    view = ["CreateModel", "RegisterViewOperation"] if views else []
    assert sorted(first["operations"]) == sorted(
        ["AddTrigger", "CreateModel", "CreateTView", *view]
    )
    assert first["again"] == "No changes detected\n"
    assert first["checks"] == "System check identified no issues (0 silenced).\n"
    assert (first["exact"], first["cards"]) == (True, ["Desk lamp"])

    project.write("shop/models.py", models(before=False, views=views))
    second = project.run(DEVELOPER)
    view = ["DeleteModel", "DeleteViewOperation"] if views else []
    assert sorted(second["operations"]) == sorted(
        ["AddTrigger", "AlterField", "AlterTView", "RemoveTrigger", *view]
    )
    assert second["again"] == "No changes detected\n"
    assert (second["exact"], second["cards"]) == (True, ["DESK LAMP"])
    if not views:
        written = max((tmp_path / "shop/migrations").glob("0*.py")).stem
        assert (tmp_path / "shop/migrations/max_migration.txt").read_text() == f"{written}\n"
