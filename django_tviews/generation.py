"""The operations of single TViews, each with what has to come before it and after it.

`TViewGeneration` adds them to the operations that Django's autodetector has found, and ties these
to them: what changes a table comes at the right time for the TViews that read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.db.migrations import operations
from django.db.migrations.autodetector import MigrationAutodetector, OperationDependency
from django.db.migrations.utils import resolve_relation

from .dependencies import (
    Change,
    Follows,
    Named,
    Needs,
    Prepared,
    Releases,
    altered_model,
    changed_model,
    dependencies_of,
    named_by,
    named_owner,
    owner_of,
    prepares,
    provides,
    renames_to,
)
from .history import in_the_database, in_the_state
from .operations import AlterTView, CreateTView, DeleteTView, FollowRenames
from .state import FieldKey, ModelKey, Owner, TViewState, field_with_key, owned_tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.migrations.graph import MigrationGraph
    from django.db.migrations.migration import Migration
    from django.db.migrations.operations.base import Operation
    from django.db.migrations.operations.fields import FieldOperation

    from .dependencies import Alteration
    from .history import Changes, Layout
    from .overtaking import Overtaking
    from .state import Reading, Table

    class _Autodetector(MigrationAutodetector):
        """What Django does not document and django-stubs leave out."""

        generated_operations: dict[str, list[Operation]]
        migrations: dict[str, list[Migration]]
        renamed_fields: dict[FieldKey, str]
        old_field_keys: set[FieldKey]
        new_field_keys: set[FieldKey]
        old_model_keys: set[ModelKey]
        new_model_keys: set[ModelKey]

        def _detect_changes(
            self, convert_apps: set[str] | None = None, graph: MigrationGraph | None = None
        ) -> dict[str, list[Migration]]: ...

        def _sort_migrations(self) -> None: ...

        def _build_migration_list(self, graph: MigrationGraph | None = None) -> None: ...

        def _get_dependencies_for_model(
            self, app_label: str, model_name: str
        ) -> list[OperationDependency]: ...

        @staticmethod
        def _resolve_dependency(
            dependency: OperationDependency,
        ) -> tuple[OperationDependency, bool]: ...

        def check_dependency(  # type: ignore[override]
            self, operation: Operation, dependency: OperationDependency
        ) -> bool: ...

        def add_operation(  # type: ignore[override]
            self,
            app_label: str,
            operation: Operation,
            dependencies: list[OperationDependency] | None = None,
        ) -> None: ...
else:
    _Autodetector = MigrationAutodetector


class TViewGeneration(_Autodetector):
    """Adds the operations of TViews, and ties others to them.

    Attributes:
        old_tviews: the TViews as they were, those that are renamed under their new keys.
        new_tviews: the TViews as they are to be.
        present_queries: the queries of the old ones under present names, None where their text
            does not tell these.
        new_layout: the tables of the new state.
        overtaking: which migrations of others the changes have to overtake.
        definitions: every definition that TViews have ever had, with the app it is in.
        relations: every operation of the past with which a model may have come to point to another.
        old_readings: what each of the old TViews has read.
        new_readings: what each of the new ones is to read.
        old_owners: whose each table of the old state was.
        renames: the new names of what each of the old TViews has read.
        followed: the queries of the old ones under new names, where their text tells these.
        alterations: the fields that stay and change.
    """

    old_tviews: dict[ModelKey, TViewState]
    new_tviews: dict[ModelKey, TViewState]
    present_queries: Mapping[ModelKey, str | None]
    new_layout: Layout
    overtaking: Overtaking
    old_readings: dict[ModelKey, Reading]
    new_readings: dict[ModelKey, Reading]
    old_owners: dict[Table, Owner]
    renames: dict[ModelKey, Changes]
    followed: dict[ModelKey, str]
    alterations: list[Alteration]
    definitions: list[tuple[str, CreateTView | AlterTView | FollowRenames]]
    relations: list[tuple[str, operations.CreateModel | AlterTView | FieldOperation]]

    def _create(self, key: ModelKey) -> None:
        self.add_operation(
            key[0],
            CreateTView(**self.new_readings[key].operation_arguments()),
            dependencies=[
                # An ordinary model may have had the name.
                OperationDependency(*key, None, Change.REMOVE),
                *self._dependencies(key),
            ],
        )

    def _alter(self, key: ModelKey) -> None:
        self.add_operation(
            key[0],
            AlterTView(**self.new_readings[key].operation_arguments()),
            dependencies=[Prepared(*key, None, Change.ALTER), *self._dependencies(key)],
        )

    def _follow(self, key: ModelKey) -> None:
        """Tell the state the present names of what a TView has read."""
        models = {self._new_key(model) for model in self.old_readings[key].models}
        labels = sorted(
            f"{model[0]}.{self.to_state.models[model].name}"
            for model in models & self.to_state.models.keys()
        )
        self.add_operation(
            key[0],
            FollowRenames(self.new_tviews[key].name, self.followed[key], reads=labels),
            dependencies=[
                Prepared(*key, None, Change.CREATE),
                *(Named(*model, None, Change.ALTER) for model in sorted(models)),
                *(named_owner(owner) for owner in sorted(self._renamed(key))),
            ],
        )

    def _delete(self, key: ModelKey, *, in_two_steps: bool) -> None:
        deletion = DeleteTView(self.old_tviews[key].name)
        pointing = [*self._pointing_to(key), *self._migrations_pointing_to(key)]
        if not in_two_steps:
            self.add_operation(key[0], deletion, pointing)
            return
        self.add_operation(key[0], _apart(database=deletion))
        released = Releases(*key, None, Change.ALTER)
        self.add_operation(key[0], _apart(state=deletion), [released, *pointing])

    def _remake(self, key: ModelKey) -> None:
        """Delete a TView and create it again, with what others change in between."""
        arguments = self.new_readings[key].operation_arguments()
        deletion: Operation = DeleteTView(self.new_tviews[key].name)
        creation: Operation = CreateTView(**arguments)
        if self.from_state.relations.get(self._old_key(key)):
            # A state must not lack what others point to.
            deletion = _apart(database=deletion)
            creation = _apart(database=creation, state=AlterTView(**arguments))
        self.add_operation(key[0], deletion, [Prepared(*key, None, Change.CREATE)])
        released = Releases(*key, None, Change.ALTER)
        self.add_operation(key[0], creation, [released, *self._dependencies(key)])

    def _order_against_readers(
        self,
        app_label: str,
        operation: Operation,
        released: set[ModelKey],
        dropped: set[ModelKey],
    ) -> None:
        """Make a change to what TViews read, or have read, come at the right time for them.

        Args:
            app_label: the app of the operation.
            operation: the change.
            released: the TViews with an operation that ends what they have read.
            dropped: those of them that are deleted, be it only for a while.
        """
        for step in in_the_database(operation):
            if (changed := changed_model(step)) is None:
                continue
            model = self._old_key((app_label, changed))
            releases = {
                Releases(*reader, None, Change.ALTER)
                for reader in released & self.old_tviews.keys()
                if self._takes_away(step, app_label, reader)
                # What is deleted under old names has to be there under them on the way back.
                or (reader in dropped and self._named_by(step, app_label) in self._renamed(reader))
            }
            follows = {
                Follows(reader_app, "", None, Change.CREATE)
                for reader_app in self._reading_apps(model)
                if reader_app != app_label
            }
            # The query of a TView fits the old names when the TView gets its own new name.
            renamed = {
                Prepared(*reader, None, Change.CREATE)
                for reader in self.old_tviews
                if reader in self.renamed_models
                and self._named_by(step, app_label) in self._renamed(reader)
            }
            dependencies_of(operation).extend([*sorted(releases), *sorted(follows)])
            dependencies_of(operation).extend(sorted(renamed))

    def _takes_away(self, operation: Operation, app_label: str, reader: ModelKey) -> bool:
        """Tell whether an operation takes away what a TView has read."""
        reading = self.old_readings[reader]
        if isinstance(operation, operations.RemoveField):
            model = self._old_key((app_label, operation.model_name_lower))
            return (*model, operation.name_lower) in reading.fields
        if isinstance(operation, operations.AlterField | AlterTView):
            altered = altered_model(app_label, operation)
            loosened = [each for each in self.alterations if each.loosens()]
            unfit = {
                each.old_key
                for each in (*self._unfit(reader), *loosened)
                if each.new_key[: len(altered)] == altered
            }
            if not reading.fields.isdisjoint(unfit):
                return True
        if isinstance(operation, AlterTView):
            return not reading.fields.isdisjoint(
                self._lost_fields((app_label, operation.name_lower))
            )
        return (
            isinstance(operation, operations.DeleteModel)
            and self._old_key((app_label, operation.name_lower)) in reading.models
        )

    def _unfit(self, key: ModelKey) -> list[Alteration]:
        """Return the alterations after which a TView cannot show as before what it reads."""
        parts = [
            each
            for each in self.alterations
            if each.new_key[:2] == key and each.new_key[2] in self.old_tviews[key].key
        ]
        return [
            each
            for each in self.alterations
            if each.retypes() or any(each.unsettles(part) for part in parts)
        ]

    def _lost_fields(self, key: ModelKey) -> set[FieldKey]:
        """Return the fields of a TView whose columns are no longer there afterwards."""
        left = set(self.new_tviews[key].columns().values())
        return {
            (*self._old_key(key), name)
            for name, column in self.old_tviews[key].columns().items()
            if column not in left
        }

    def _dependencies(self, key: ModelKey) -> list[OperationDependency]:
        reading, change = self.new_readings[key], Change.ALTER
        # What takes NULL in a source's column fits while there cannot be any.
        loosened = {each.new_key for each in self.alterations if each.loosens()}
        return [
            *self._get_dependencies_for_model(*key),
            *self._freed_table(key),
            *(Needs(*model, None, change) for model in sorted(reading.models)),
            *(Needs(*field, change) for field in sorted(reading.fields - loosened)),
        ]

    def _freed_table(self, key: ModelKey) -> list[OperationDependency]:
        """Return what gives up the name of a TView's table, if another one had it."""
        owner = self.old_owners.get(owned_tables(self.to_state, [key])[key])
        if owner is None or (before := self._new_key((owner[0], owner[1]))) == key:
            return []
        if before in self.old_tviews:
            return [Releases(*before, None, Change.ALTER)]
        return [OperationDependency(*before, None, Change.REMOVE)]

    def _pointing_to(self, key: ModelKey) -> list[OperationDependency]:
        """Return what removes, or points elsewhere, all that points to a TView."""
        dependencies: list[OperationDependency] = []
        for (app_label, name), fields in self.from_state.relations[key].items():
            if (app_label, name) in self.old_tviews:
                dependencies.append(Releases(app_label, name, None, Change.ALTER))
            else:
                dependencies += [
                    OperationDependency(app_label, name, field, change)
                    for field in fields
                    for change in (Change.REMOVE, Change.ALTER)
                ]
        return dependencies

    def _migrations_pointing_to(self, key: ModelKey) -> list[OperationDependency]:
        """Return what lets the migrations come first that know a TView under its present name."""
        name = self.old_tviews[key].name
        apps_pointing = {
            app_label
            for app_label, step in self.relations
            if app_label != key[0] and step.references_model(name, key[0])
        }
        return [Follows(each, "", None, Change.CREATE) for each in sorted(apps_pointing)]

    def _reading_apps(self, model: ModelKey) -> set[str]:
        """Return the apps with a TView that reads a model, or has ever done so."""
        return {
            reader_app
            for reader_app, definition in self.definitions
            if definition.references_model(model[1], model[0])
        } | {key[0] for key, reading in self.old_readings.items() if model in reading.models}

    def _named_by(self, operation: Operation, app_label: str) -> Owner | None:
        """Return the model or field to which an operation gives a new name, under that name."""
        owner = named_by(operation, app_label)
        if isinstance(operation, AlterTView):
            key = (app_label, operation.name_lower)
            old, new = self.old_tviews.get(key), self.new_tviews[key]
            if old and old.options.get("db_table") == new.options.get("db_table"):
                return None
        return owner

    def _renamed(self, key: ModelKey) -> set[Owner]:
        """Return what has new names among what a TView has read."""
        changes = self.renames[key]
        owners = {*changes.tables.values(), *changes.columns.values()}
        # A table of many relations has columns that are named after models.
        fields = {
            owner: cast("Any", field_with_key(self.to_state, owner))
            for owner in owners
            if len(owner) == 3  # noqa: PLR2004
        }
        return owners | {
            resolve_relation(field.remote_field.model, *owner[:2])
            for owner, field in fields.items()
            if field.many_to_many
        }

    def check_dependency(  # type: ignore[override]
        self, operation: Operation, dependency: OperationDependency
    ) -> bool:
        """Tell whether an operation has to come first because of a dependency of another."""
        match dependency:
            case Needs():
                return any(provides(step, dependency) for step in in_the_database(operation))
            case Releases():
                return any(
                    isinstance(step, AlterTView | DeleteTView)
                    and step.name_lower == dependency.model_name_lower
                    for step in in_the_database(operation)
                )
            case Prepared():
                return prepares(operation, dependency)
            case Named():
                owner = owner_of(dependency)
                return any(
                    self._named_by(step, dependency.app_label) == owner
                    for step in in_the_database(operation)
                )
            case Follows():
                # It is about migrations that exist, not about operations that are being sorted.
                return False
        return any(
            super(TViewGeneration, self).check_dependency(step, dependency)
            or renames_to(step, dependency)
            for step in {*in_the_database(operation), *in_the_state(operation)}
        )

    def _providers(self, operation: Operation) -> set[Operation]:
        """Return the operations, of any app, that have to come before another one."""
        return {
            other
            for dependency, _ in map(self._resolve_dependency, dependencies_of(operation))
            for other in self.generated_operations.get(dependency.app_label, ())
            if self.check_dependency(other, dependency)
        }

    def _operations(self) -> list[tuple[str, Operation]]:
        return [
            (app_label, operation)
            for app_label, app_operations in self.generated_operations.items()
            for operation in app_operations
        ]

    def _new_key(self, key: ModelKey) -> ModelKey:
        """Return the key that a model has after all changes."""
        return next((new for new in self.renamed_models if self._old_key(new) == key), key)

    def _old_key(self, key: ModelKey) -> ModelKey:
        """Return the key that a model has before all changes."""
        return (key[0], self.renamed_models.get(key, key[1]))


def _apart(
    *, database: Operation | None = None, state: Operation | None = None
) -> operations.SeparateDatabaseAndState:
    return operations.SeparateDatabaseAndState(
        database_operations=None if database is None else [database],
        state_operations=None if state is None else [state],
    )
