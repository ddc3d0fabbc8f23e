"""What all TViews of a database share: the registry, the spool and the common functions."""

from __future__ import annotations

from django.db import migrations

from django_tviews.runtime import InstallRuntime


class Migration(migrations.Migration):
    initial = True

    operations = [InstallRuntime()]
