from __future__ import annotations

from django.db import migrations


def create(apps, schema_editor):
    supplier = apps.get_model("testapp", "Supplier").objects.create(name="From a migration")
    apps.get_model("testapp", "Product").objects.create(
        name="First", price=1, supplier_id=supplier.pk
    )


class Migration(migrations.Migration):
    dependencies = [("testapp", "0001_initial")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
