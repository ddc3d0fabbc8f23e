"""Histories with TViews under squashmigrations, optimizemigration and ``migrate --plan``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# own_settings is a fixture.
from .projects import Project, own_settings  # noqa: F401

if TYPE_CHECKING:
    from pathlib import Path

MODELS = """
from django.db import models
from django_tviews import TView


class Product(models.Model):
    {field} = models.TextField()


class Card(TView):
    id = models.BigIntegerField(primary_key=True)
    name = models.TextField()

    query = "SELECT p.id, {name} AS name FROM shop_product p"
"""

BY_HAND = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_alter_card")]
    operations = [migrations.RenameField("product", "title", "label")]
"""

SQUASH = """
report = {"made": made()}
said("migrate", "shop", "0002")
report["squashed"] = said("squashmigrations", "shop", "0001", "0005", "--no-input")
loader = MigrationLoader(None)
(squashed,) = [m for m in loader.disk_migrations.values() if m.replaces]
report["operations"] = [type(operation).__name__ for operation in squashed.operations]
report["optimal"] = said("optimizemigration", "shop", squashed.name, "--check")
report["changes"] = said("makemigrations", "--check")
# What has been applied in part goes on as it was.
said("migrate")
report["exact"] = all(each.exact for each in verify())
said("migrate", "shop", "zero")
report["plan"] = said("migrate", "--plan")
said("migrate")
report["applied"] = [name for name, in rows("SELECT name FROM django_migrations WHERE app = 'shop'")]
from shop.models import Product
Product.objects.create(label="Lamp")
report["cards"] = rows("SELECT name FROM shop_card")
report["exact"] = report["exact"] and all(each.exact for each in verify())
print(json.dumps(report))
"""


def test_a_history_with_tviews_is_squashed_and_lives_on(
    tmp_path: Path,
    own_settings: dict[str, Any],  # noqa: F811
) -> None:
    project = Project(tmp_path, own_settings, ["django_tviews", "shop"], ["shop"])
    project.write("shop/models.py", MODELS.format(field="title", name="p.title"))
    assert project.run("print(json.dumps(made()))") == ["shop: CreateModel", "shop: CreateTView"]
    project.write("shop/models.py", MODELS.format(field="title", name="lower(p.title)"))
    assert project.run("print(json.dumps(made()))") == ["shop: AlterTView"]
    project.write("shop/migrations/0003_by_hand.py", BY_HAND)
    project.write("shop/models.py", MODELS.format(field="label", name="lower(p.label)"))
    assert project.run("print(json.dumps(made()))") == ["shop: FollowRenames"]
    project.write("shop/models.py", MODELS.format(field="label", name="upper(p.label)"))

    report = project.run(SQUASH)
    assert report["made"] == ["shop: AlterTView"]
    # What was made before the rename cannot go past it.
    assert report["operations"] == [
        *("CreateModel", "CreateTView", "RenameField", "FollowRenames", "AlterTView"),
    ]
    assert "No optimizations possible" in report["optimal"]
    assert report["changes"] == "No changes detected\n"
    assert report["exact"] is True
    assert "    Follow renames in the query of TView Card (state only)\n" in report["plan"]
    assert len(report["applied"]) == len(set(report["applied"])) >= 5
    assert report["cards"] == [["LAMP"]]
