"""TViews of apps without migrations, whose tables ``migrate --run-syncdb`` creates.

So does a test run without migrations. Django then makes a table of every model and knows nothing
of the rest, so a TView would be an ordinary table that nobody fills.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connections, router
from django.db.migrations.loader import MigrationLoader
from django.db.models.signals import post_migrate

from .models import TView

if TYPE_CHECKING:
    from django.apps import AppConfig


def connect() -> None:
    """Install such TViews whenever Django has made the tables."""
    post_migrate.connect(install, dispatch_uid="django_tviews.unmigrated")


def install(*, sender: AppConfig, using: str, **kwargs: Any) -> None:  # noqa: ARG001
    """Install the TViews that no migration installs, when Django has made their tables.

    Args:
        sender: the app whose turn it is; the tables of all apps are there by then.
        using: alias of the database.
        **kwargs: what else the signal says.
    """
    connection = connections[using]
    if not _tviews(sender, using) or connection.vendor != "postgresql":
        return
    from . import catalog, installer, registry
    from .definition import Declaration
    from .model_facts import facts_from_models

    installed = {each.declaration.table for each in registry.installed(connection)}
    depths = facts_from_models(apps).tview_depths
    missing = [
        Declaration.from_model(model)
        for config in apps.get_app_configs()
        for model in _tviews(config, using)
        if model._meta.db_table not in installed
        and catalog.resolve(connection, [(None, model._meta.db_table)])
    ]
    # Those that others read first.
    missing.sort(key=lambda each: (depths.get((None, each.table), 0), each.label))
    with connection.schema_editor() as editor:
        if missing and catalog.runtime_schema(connection) is None:
            installer.install_runtime(editor)
        for declaration in missing:
            installer.create(editor, declaration, lambda: None)


def has_migrations(label: str) -> bool:
    """Tell whether migrations install the TViews of an app.

    Args:
        label: of the app.
    """
    module, _ = MigrationLoader.migrations_module(label)
    return module is not None and find_spec(module) is not None


def _tviews(config: AppConfig, using: str) -> list[type[TView]]:
    """The TViews of an app without migrations that a database is to have."""
    if has_migrations(config.label):
        return []
    return [
        model
        for model in config.get_models()
        if issubclass(model, TView) and router.allow_migrate_model(using, model)
    ]
