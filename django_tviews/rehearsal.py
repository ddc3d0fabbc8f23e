"""What sqlmigrate prints of operations on TViews: what migrate would run, statement by statement.

What is generated for a TView depends on how PostgreSQL understands its query, and sqlmigrate may
be asked before or after the migration is applied. So the tables of the migration state are made,
empty, in a schema of their own; there the operation runs; and then all of it is rolled back. The
tables of the project are neither read nor locked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db import DatabaseError, transaction

from . import catalog
from .definition import Declaration
from .errors import MetadataNotFound, TViewError
from .model_facts import facts_from_models, table_of
from .models import TView
from .query import query_sql
from .sql.objects import renamed

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.apps.registry import Apps
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState
    from django.db.models import Model

# The schemas of the tables, and of what all TViews share.
_TABLES: Final = "django_tviews_rehearsal"
_RUNTIME: Final = "django_tviews_rehearsed_runtime"


def run(
    schema_editor: BaseDatabaseSchemaEditor,
    state: ProjectState,
    change: Callable[[], None],
    declaration: Declaration,
) -> None:
    """Make a change of TViews; for sqlmigrate, print it.

    Args:
        schema_editor: of the database.
        state: the project before the change.
        change: executes everything through the schema editor.
        declaration: what the TView says afterwards.

    Raises:
        TViewError: the change is refused.
    """
    if not schema_editor.collect_sql or "execute" in vars(schema_editor):
        change()
        return
    connection = schema_editor.connection
    names = {
        _RUNTIME: catalog.runtime_schema(connection) or catalog.current_schema(connection),
        _TABLES: catalog.current_schema(connection),
    }
    printed = len(schema_editor.collected_sql)
    with transaction.atomic(connection.alias):
        try:
            with transaction.atomic(connection.alias):
                _build(connection, state.apps, declaration)
                _print_and_run(schema_editor, change)
        except (DatabaseError, MetadataNotFound) as error:
            # A table or a function that no model declares, and that is not there.
            schema_editor.collected_sql[printed:] = [
                "-- THIS OPERATION CANNOT BE WRITTEN AS SQL",
                *(f"-- {line}" for line in str(error).splitlines()),
            ]
        transaction.set_rollback(True, connection.alias)
    schema_editor.collected_sql[printed:] = [
        renamed(statement, names) for statement in schema_editor.collected_sql[printed:]
    ]


def _print_and_run(schema_editor: BaseDatabaseSchemaEditor, change: Callable[[], None]) -> None:
    execute = schema_editor.execute

    def print_and_run(sql: Any, params: Any = ()) -> None:
        for collect_sql in (True, False):
            schema_editor.collect_sql = collect_sql
            execute(sql, params)

    schema_editor.execute = print_and_run  # type: ignore[method-assign]
    schema_editor.collect_sql = False
    try:
        change()
    finally:
        schema_editor.collect_sql = True
        del schema_editor.execute


def _build(connection: BaseDatabaseWrapper, apps: Apps, declaration: Declaration) -> None:
    """Make the TViews of a project and the tables they read, all of them empty."""
    from . import installer
    from .relational.canonical import read_relations

    with connection.cursor() as cursor:
        for schema in (_RUNTIME, _TABLES):
            cursor.execute(f"CREATE SCHEMA {schema}")
            cursor.execute("SELECT current_setting('search_path')")
            (path,) = cursor.fetchone()
            cursor.execute(f"SELECT set_config('search_path', '{schema}, ' || %s, true)", [path])
            if schema == _RUNTIME:
                with connection.schema_editor(atomic=False) as editor:
                    installer.install_runtime(editor)
    depths = facts_from_models(apps).tview_depths
    tviews = {
        table_of(model): model
        for model in apps.get_models()
        if issubclass(model, TView) and model._meta.managed
    }
    queries = [declaration.query, *(query_sql(each) for each in tviews.values())]
    wanted = {name for query in queries for name in read_relations(query)}
    with connection.schema_editor(atomic=False) as editor:
        # The tables of many-to-many fields come with those of the models that have the fields.
        for model in sorted(
            apps.get_models(include_auto_created=True),
            key=lambda each: bool(each._meta.auto_created),
        ):
            if table_of(model) in wanted - tviews.keys() and not _exists(connection, model):
                editor.create_model(model)
        _drop_foreign_keys(editor)
    for name in sorted(tviews, key=lambda each: (depths.get(each, 0), each[1])):
        _install(connection, tviews[name])


def _install(connection: BaseDatabaseWrapper, model: type[TView]) -> None:
    """Install a TView; without it, if its query does not fit the tables as they are just now."""
    from . import installer

    try:
        with transaction.atomic(connection.alias), connection.schema_editor(atomic=False) as editor:
            installer.create(
                editor, Declaration.from_model(model), lambda: editor.create_model(model)
            )
            _drop_foreign_keys(editor)
    except (DatabaseError, TViewError):
        return


def _drop_foreign_keys(editor: BaseDatabaseSchemaEditor) -> None:
    """Leave foreign keys out of what is still to be executed.

    They would lock tables of the project. Unique constraints tell what is generated.
    """
    editor.deferred_sql = [
        statement for statement in editor.deferred_sql if "FOREIGN KEY" not in str(statement)
    ]


def _exists(connection: BaseDatabaseWrapper, model: type[Model]) -> bool:
    schema, name = table_of(model)
    return bool(catalog.resolve(connection, [(schema or _TABLES, name)]))
