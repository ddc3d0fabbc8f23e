"""The migration operation for what all TViews of a database share.

Its objects are not models, so that flush, which empties the table of every managed model, leaves
the registry alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import router
from django.db.migrations.operations.base import Operation, OperationCategory

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState


class InstallRuntime(Operation):
    """Create the registry, the spool and the shared functions in the current schema."""

    category = OperationCategory.SQL
    reversible = True

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        """Return the class and its arguments, as a migration file writes them."""
        return (type(self).__qualname__, [], {})

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Leave the state as it is: there is no model."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,  # noqa: ARG002
        to_state: ProjectState,  # noqa: ARG002
    ) -> None:
        """Create the objects."""
        if _belongs(app_label, schema_editor):
            from . import installer

            installer.install_runtime(schema_editor)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,  # noqa: ARG002
        to_state: ProjectState,  # noqa: ARG002
    ) -> None:
        """Drop the objects."""
        if _belongs(app_label, schema_editor):
            from . import installer

            installer.drop_runtime(schema_editor)

    def describe(self) -> str:
        """Say in a few words what the operation does."""
        return "Create the registry of TViews and what they share"


def _belongs(app_label: str, schema_editor: BaseDatabaseSchemaEditor) -> bool:
    connection = schema_editor.connection
    return connection.vendor == "postgresql" and router.allow_migrate(connection.alias, app_label)
