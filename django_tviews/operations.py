"""Migration operations of TViews.

A migration stores a TView's query as SQL text, so that what it does no longer depends on the code
in ``models.py`` or on the version of Django.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.migrations.operations.fields import RenameField
from django.db.migrations.operations.models import (
    CreateModel,
    DeleteModel,
    ModelOperation,
    RenameModel,
)
from django.db.migrations.serializer import BaseSerializer
from django.db.migrations.utils import field_references
from django.db.migrations.writer import MigrationWriter
from django.db.models.utils import make_model_tuple

from .definition import Declaration, Maintenance
from .models import TView
from .state import TViewState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from django.db import models
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState
    from django.db.models import Field

__all__ = ["AlterTView", "CreateTView", "DeleteTView", "FollowRenames", "RenameTView"]


class _ReadsModels(ModelOperation):
    """An operation on a TView that says which models its query reads."""

    reads: list[str] | None

    def references_model(self, name: str, app_label: str) -> bool:
        """Tell whether a model is the TView, or one that it reads."""
        if self.reads is None:
            return True
        return name.lower() == self.name_lower or (app_label, name.lower()) in self.models_read()

    def models_read(self) -> set[tuple[str, str]]:
        """Return the keys of the models that the query reads, as far as they are known."""
        return {make_model_tuple(label) for label in self.reads or ()}


class _DefinesTView(_ReadsModels):
    """What `CreateTView` and `AlterTView` share: they hold the whole definition of a TView."""

    # The types are CreateModel's, which these attributes are for one of the subclasses.
    bases: Any
    managers: Any

    serialization_expand_args = ["fields", "options", "managers", "columns", "reads"]

    def __init__(
        self,
        name: str,
        fields: Iterable[tuple[str, Field[Any, Any]]],
        query: str,
        options: Mapping[str, Any] | None = None,
        bases: Sequence[type | str] | None = None,
        managers: Sequence[tuple[str, models.Manager[Any]]] | None = None,
        mode: str = "immediate",
        allow_rebuild: bool = False,
        columns: Mapping[str, str] | None = None,
        reads: Sequence[str] | None = None,
    ) -> None:
        # Not super(): CreateModel would be next for one of the subclasses, and the signature of
        # its __init__ has no query.
        ModelOperation.__init__(self, name)
        self.fields = list(fields)
        self.query = query
        self.options = dict(options or {})
        self.bases = tuple(bases or (TView,))
        self.managers = list(managers or [])
        self.maintenance = Maintenance(mode, allow_rebuild, dict(columns or {}))
        self.reads = None if reads is None else list(reads)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that make an equal operation, without those left to default."""
        arguments: dict[str, Any] = {"name": self.name, "fields": self.fields, "query": self.query}
        if self.options:
            arguments["options"] = self.options
        if self.bases != (TView,):
            arguments["bases"] = self.bases
        if self.managers:
            arguments["managers"] = self.managers
        arguments |= self.maintenance.declared_options()
        if self.reads is not None:
            arguments["reads"] = self.reads
        return arguments

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        """Return the class and its arguments, as a migration file writes them."""
        return (type(self).__qualname__, [], {**self.arguments(), "query": SQLText(self.query)})

    def state(self, app_label: str) -> TViewState:
        """Return the migration state of the TView that the operation defines."""
        return TViewState(
            app_label,
            self.name,
            list(self.fields),
            dict(self.options),
            tuple(self.bases),
            list(self.managers),
        ).with_definition(self.query, self.maintenance)

    def references_model(self, name: str, app_label: str) -> bool:
        """Tell whether a model is the TView, one that it reads, or one that it points to."""
        return super().references_model(name, app_label) or any(
            field_references((app_label, self.name_lower), field, (app_label, name.lower()))
            for _, field in self.fields
        )


class CreateTView(_DefinesTView, CreateModel):
    """Create a TView: its table with its contents, and all that keeps it equal to the query.

    Args:
        name: the name of the model.
        fields: its fields, by name.
        query: the query as SQL text.
        options: its Meta options.
        bases: its bases, if there are more than `TView`.
        managers: its managers that are used in migrations.
        mode: see `django_tviews.definition.Maintenance`.
        allow_rebuild: see there.
        columns: see there.
        reads: labels of the models that the query reads. ``squashmigrations`` moves no operation
            on these models past this one; without ``reads``, no operation at all.
    """

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Add the TView to the state."""
        state.add_model(self.state(app_label))

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Create the TView, all of it or nothing."""
        _create(self, schema_editor, from_state, to_state.apps.get_model(app_label, self.name))

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,  # noqa: ARG002
    ) -> None:
        """Delete the TView."""
        _drop(self, schema_editor, from_state, from_state.apps.get_model(app_label, self.name))

    def describe(self) -> str:
        """Say in a few words what the operation does."""
        return f"Create TView {self.name}"

    def reduce(self, operation: Operation, app_label: str) -> bool | list[Operation]:
        """Merge a later operation into this one, where that gives the same result."""
        if isinstance(operation, AlterTView) and operation.name_lower == self.name_lower:
            return [CreateTView(**operation.arguments())]
        if isinstance(operation, FollowRenames) and operation.name_lower == self.name_lower:
            followed = {"query": operation.query, "reads": operation.reads}
            return [CreateTView(**{**self.arguments(), **followed})]
        if isinstance(operation, RenameField) and operation.model_name_lower == self.name_lower:
            # The column would no longer have the name of the output column that feeds it.
            return False
        reduced = super().reduce(operation, app_label)
        if isinstance(reduced, bool):
            return reduced
        return [self._again(created) for created in reduced]

    def can_reduce_through(self, operation: Operation, app_label: str) -> bool:
        """Tell whether the optimizer may exchange this operation and a later one."""
        # What is stored as SQL fits the tables as they are here, and nowhere else; and relations
        # name models as they are called here.
        if isinstance(operation, RenameModel) and self.references_model(
            operation.old_name, app_label
        ):
            return False
        return self.reads is not None and not any(
            operation.references_model(name, app_label)
            for label, name in [(app_label, self.name), *self.models_read()]
            if label == app_label
        )

    def _again(self, created: Operation) -> Operation:
        # Django 5.2 merges into a plain CreateModel, whatever class it started from.
        if type(created) is not CreateModel:
            return created
        merged = {
            "name": created.name,
            "fields": created.fields,
            "options": created.options,
            "bases": created.bases,
            "managers": created.managers,
        }
        return CreateTView(**{**self.arguments(), **merged})


class AlterTView(_DefinesTView):
    """Give a TView a new definition, and bring its table in line with it.

    The operation holds the whole new definition; what has changed follows from the state before.
    It takes the same arguments as `CreateTView`.
    """

    category = OperationCategory.ALTERATION

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Replace the TView in the state."""
        old, new = state.models[app_label, self.name_lower], self.state(app_label)
        if isinstance(old, TViewState):
            new.options |= old.foreign_options
        state.models[app_label, self.name_lower] = new
        # Not add_model() after remove_model(): that forgets the relations of others to this one.
        state._relations = None  # type: ignore[attr-defined]
        state.reload_model(app_label, self.name_lower)

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Bring table, contents and maintenance in line with the new definition."""
        old = from_state.apps.get_model(app_label, self.name)
        new = to_state.apps.get_model(app_label, self.name)
        _replace(self, schema_editor, from_state, old, new)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Bring everything back in line with the definition before."""
        self.database_forwards(app_label, schema_editor, from_state, to_state)

    def can_reduce_through(self, operation: Operation, app_label: str) -> bool:  # noqa: ARG002
        """Tell whether the optimizer may exchange this operation and a later one."""
        # What the query before has read must not go first, and only the state knows what it was.
        return False

    def describe(self) -> str:
        """Say in a few words what the operation does."""
        return f"Alter TView {self.name}"

    @property
    def migration_name_fragment(self) -> str:
        """What the operation adds to the name of a migration."""
        return f"alter_{self.name_lower}"

    def reduce(self, operation: Operation, app_label: str) -> bool | list[Operation]:
        """Give way to a later definition of the same TView."""
        if (
            isinstance(operation, AlterTView | DeleteTView)
            and operation.name_lower == self.name_lower
        ):
            return [operation]
        return super().reduce(operation, app_label)


class FollowRenames(_ReadsModels):
    """Write down the query of a TView under new names of what it reads.

    Nothing happens in the database: PostgreSQL's view has followed when the table or the column
    got its new name. Only migration state holds the query as text.

    Args:
        name: the name of the model.
        query: its query under the new names.
        reads: see `CreateTView`.
    """

    category = OperationCategory.ALTERATION
    serialization_expand_args = ["reads"]

    def __init__(self, name: str, query: str, reads: Sequence[str] | None = None) -> None:
        super().__init__(name)
        self.query = query
        self.reads = None if reads is None else list(reads)

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        """Return the class and its arguments, as a migration file writes them."""
        arguments: dict[str, Any] = {"name": self.name, "query": SQLText(self.query)}
        if self.reads is not None:
            arguments["reads"] = self.reads
        return (type(self).__qualname__, [], arguments)

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Replace the query in the state."""
        tview = state.models[app_label, self.name_lower]
        if isinstance(tview, TViewState):
            followed = tview.clone().with_definition(self.query, tview.maintenance)
            state.models[app_label, self.name_lower] = followed
            state.reload_model(app_label, self.name_lower)

    def database_forwards(
        self,
        app_label: str,  # noqa: ARG002
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,  # noqa: ARG002
        to_state: ProjectState,  # noqa: ARG002
    ) -> None:
        """Do nothing, and say why."""
        if schema_editor.collect_sql:
            schema_editor.collected_sql.append("-- The view has followed by itself.")

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Do nothing, and say why."""
        self.database_forwards(app_label, schema_editor, from_state, to_state)

    def can_reduce_through(self, operation: Operation, app_label: str) -> bool:  # noqa: ARG002
        """Tell whether the optimizer may exchange this operation and a later one."""
        # The names are those of its own place in the history.
        return False

    def reduce(self, operation: Operation, app_label: str) -> bool | list[Operation]:
        """Give way to later names."""
        if isinstance(operation, FollowRenames) and operation.name_lower == self.name_lower:
            return [operation]
        return super().reduce(operation, app_label)

    def describe(self) -> str:
        """Say in a few words what the operation does."""
        return f"Follow renames in the query of TView {self.name} (state only)"

    @property
    def migration_name_fragment(self) -> str:
        """What the operation adds to the name of a migration."""
        return f"follow_renames_{self.name_lower}"


class RenameTView(RenameModel):
    """Rename a TView, and its table with everything in it and on it.

    Args:
        old_name: the name of the model.
        new_name: its new name.
    """

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Rename the table and all that keeps it equal to the query."""
        old = from_state.apps.get_model(app_label, self.old_name)
        new = to_state.apps.get_model(app_label, self.new_name)
        if not _is_kept(self, schema_editor, new):
            return
        from . import rehearsal, replacement
        from .alteration import TableAlteration

        before, after = Declaration.from_model(old), Declaration.from_model(new)
        table = TableAlteration(schema_editor, old, new)
        change = partial(replacement.rename, schema_editor, before, after, table)
        rehearsal.run(schema_editor, from_state, change, after)
        for relation in old._meta.related_objects:
            if relation.many_to_many:
                # A column of the table in between is named after the model.
                model = to_state.apps.get_model(relation.related_model._meta.label)
                field = model._meta.get_field(relation.field.name)
                schema_editor.alter_field(model, relation.field, field)

    def describe(self) -> str:
        """Say in a few words what the operation does."""
        return f"Rename TView {self.old_name} to {self.new_name}"

    def reduce(self, operation: Operation, app_label: str) -> bool | list[Operation]:
        """Merge a later operation into this one, where that gives the same result."""
        if isinstance(operation, RenameTView) and self.new_name_lower == operation.old_name_lower:
            return [RenameTView(self.old_name, operation.new_name)]
        return super().reduce(operation, app_label)


class DeleteTView(DeleteModel):
    """Delete a TView: its table and all that kept it equal to its query.

    Args:
        name: the name of the model.
    """

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,  # noqa: ARG002
    ) -> None:
        """Delete the TView."""
        _drop(self, schema_editor, from_state, from_state.apps.get_model(app_label, self.name))

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Create the TView again, with its contents."""
        _create(self, schema_editor, from_state, to_state.apps.get_model(app_label, self.name))

    def describe(self) -> str:
        """Say in a few words what the operation does."""
        return f"Delete TView {self.name}"

    def can_reduce_through(self, operation: Operation, app_label: str) -> bool:  # noqa: ARG002
        """Tell whether the optimizer may exchange this operation and a later one."""
        # What the query has read must not go first, and only the state knows what it was.
        return False


def _is_kept(
    operation: Operation, schema_editor: BaseDatabaseSchemaEditor, model: type[TView]
) -> bool:
    """Tell whether a database has the TView at all: PostgreSQL, and not routed elsewhere."""
    connection = schema_editor.connection
    return connection.vendor == "postgresql" and operation.allow_migrate_model(
        connection.alias, model
    )


def _declaration(
    operation: Operation,
    schema_editor: BaseDatabaseSchemaEditor,
    state: ProjectState,
    model: type[TView],
) -> Declaration:
    """Return what a TView says, under the names that the tables it reads have by now."""
    from .history import present_query

    declaration = Declaration.from_model(model)
    query = present_query(operation, declaration.query, schema_editor.connection, state)
    return replace(declaration, query=query)


def _create(
    operation: Operation,
    schema_editor: BaseDatabaseSchemaEditor,
    state: ProjectState,
    model: type[TView],
) -> None:
    if not _is_kept(operation, schema_editor, model):
        return
    from . import installer, rehearsal

    declaration = _declaration(operation, schema_editor, state, model)
    change = partial(
        installer.create, schema_editor, declaration, partial(schema_editor.create_model, model)
    )
    rehearsal.run(schema_editor, state, change, declaration)


def _drop(
    operation: Operation,
    schema_editor: BaseDatabaseSchemaEditor,
    state: ProjectState,
    model: type[TView],
) -> None:
    if not _is_kept(operation, schema_editor, model):
        return
    from . import installer, rehearsal

    declaration = Declaration.from_model(model)
    change = partial(
        installer.drop, schema_editor, declaration, partial(schema_editor.delete_model, model)
    )
    rehearsal.run(schema_editor, state, change, declaration)


def _replace(
    operation: Operation,
    schema_editor: BaseDatabaseSchemaEditor,
    state: ProjectState,
    old: type[TView],
    new: type[TView],
) -> None:
    if not _is_kept(operation, schema_editor, new):
        return
    from . import rehearsal, replacement
    from .alteration import TableAlteration

    table = TableAlteration(schema_editor, old, new)
    before, after = (_declaration(operation, schema_editor, state, model) for model in (old, new))
    if before == after and not table.rekeyed:
        # Indexes, constraints, comments: the contents stay as they are.
        table.before_refill()
        table.after_refill()
        return
    change = partial(replacement.replace, schema_editor, before, after, table)
    rehearsal.run(schema_editor, state, change, after)


@dataclass(frozen=True)
class SQLText:
    """SQL text in a migration file: several lines that people can read.

    Attributes:
        sql: the text.
    """

    sql: str


class SQLTextSerializer(BaseSerializer):
    """Writes SQL text between triple quotes, formatted, where that cannot change its meaning."""

    def serialize(self) -> tuple[str, set[str]]:
        """Return the Python source, and the imports it needs."""
        import sqlparse

        from .relational.canonical import canonical_sql

        sql = canonical_sql(self.value.sql)
        lines = sqlparse.format(sql, reindent=True).splitlines()
        block = "\n".join(["", *(f"    {line}" for line in lines), ""])
        # The writer indents the lines further, which must not reach into a string literal.
        if "\\" in block or '"""' in block or canonical_sql(block) != sql:
            return repr(sql), set()
        return f'"""{block}"""', set()


MigrationWriter.register_serializer(SQLText, SQLTextSerializer)
