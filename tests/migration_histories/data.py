"""What the data migrations of the histories do, with historical models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_tviews import TView

if TYPE_CHECKING:
    from django.apps.registry import Apps
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def rewrite_able(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Write to the models of the app "able"."""
    _rewrite(apps, schema_editor, "able")


def rewrite_baker(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Write to the models of the app "baker"."""
    _rewrite(apps, schema_editor, "baker")


def _rewrite(apps: Apps, schema_editor: BaseDatabaseSchemaEditor, app_label: str) -> None:
    for model in apps.get_models():
        # What another app has at the moment is for its own migrations to know.
        if model._meta.app_label != app_label:
            continue
        if issubclass(model, TView):
            list(model.objects.all())
            continue
        fields = [field for field in model._meta.concrete_fields if not field.primary_key]
        if all(field.null or not field.many_to_one for field in fields):
            model.objects.create()
        for row in model.objects.order_by("pk")[1:3]:
            row.save()
        for field in fields:
            if field.has_default():
                model.objects.filter(pk__gt=1).update(**{field.name: field.get_default()})
    with schema_editor.connection.cursor() as cursor:
        # What waits for COMMIT would keep the next operation from altering the table.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
