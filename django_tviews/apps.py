"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DjangoTViewsConfig(AppConfig):
    """Makes ``makemigrations`` and ``migrate`` see TViews, and registers the checks."""

    name = "django_tviews"
    verbose_name = _("TViews")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Compose the autodetector with the one in force; nothing here asks a database."""
        from . import autodetector, checks, schema_editor, unmigrated

        autodetector.install()
        schema_editor.install()
        checks.register()
        unmigrated.connect()
