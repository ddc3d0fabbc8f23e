"""How ``makemigrations`` sees TViews.

Django's autodetector compares models field by field, which is wrong for a TView: a field without
the query that fills it means nothing. So TViews are hidden from it, and `TViewAutodetector` adds
one operation for each TView that is new, changed or gone. It adds them before Django sorts the
operations and cuts them into migrations, with dependencies on all that the queries read, so that
Django's own algorithm finds an order that works.

Django has one autodetector per command, and packages extend it by subclassing the one they find
(ticket 35813). `install` does the same and assumes nothing about who comes first.
"""

from __future__ import annotations

from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Final, cast

from django.apps import apps
from django.core.management import get_commands, load_command_class
from django.core.management.commands import makemigrations, migrate
from django.db.migrations import operations
from django.db.migrations.autodetector import MigrationAutodetector, OperationDependency
from django.db.migrations.operations.fields import FieldOperation
from django.db.migrations.utils import resolve_relation

from .dependencies import (
    Alteration,
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
from .history import Changes, History, Layout, Successors, in_the_database, in_the_state
from .models import TView
from .operations import AlterTView, CreateTView, DeleteTView, FollowRenames, RenameTView
from .overtaking import Overtaking, with_run_before
from .state import (
    FieldKey,
    ModelKey,
    Owner,
    TViewState,
    field_with_key,
    owned_tables,
    readings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.management.base import BaseCommand
    from django.db.migrations.graph import MigrationGraph
    from django.db.migrations.migration import Migration
    from django.db.migrations.operations.base import Operation
    from django.db.migrations.state import ProjectState

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

RUNTIME_MIGRATION: Final = ("django_tviews", "0001_initial")
"""The migration that creates what all TViews of a database share."""


class TViewAutodetector(_Autodetector):
    """Finds out which TViews are new, changed or gone.

    To be composed with the autodetector that is in force, see `compose`.
    """

    def _detect_changes(
        self, convert_apps: set[str] | None = None, graph: MigrationGraph | None = None
    ) -> dict[str, list[Migration]]:
        for key in self.to_state.models:
            model = apps.all_models.get(key[0], {}).get(key[1])
            if model is not None and issubclass(model, TView) and not model._meta.proxy:
                self.to_state.models[key] = TViewState.from_model(model)
        past = [
            (app_label, operation)
            for (app_label, _), migration in (graph.nodes.items() if graph else ())
            if migration is not None
            for operation in migration.operations
        ]
        self.definitions = [
            (app_label, step)
            for app_label, operation in past
            for step in in_the_database(operation)
            if isinstance(step, CreateTView | AlterTView | FollowRenames)
        ]
        self.relations = [
            (app_label, step)
            for app_label, operation in past
            for step in in_the_state(operation)
            if isinstance(step, operations.CreateModel | AlterTView | FieldOperation)
        ]
        has_tviews = any(isinstance(each, TViewState) for each in self.from_state.models.values())
        history = History.of(graph) if graph and has_tviews else None
        self.present_queries = history.queries if history else {}
        self.overtaking = (
            Overtaking(graph, history.overtaken) if graph and history else Overtaking()
        )
        # Django points fields of the new state back to the old names of models while it compares.
        self.new_layout = Layout.of(self.to_state, self.to_state.models if has_tviews else ())
        return super()._detect_changes(convert_apps, graph)

    def generate_renamed_models(self) -> None:
        """Hide the TViews from all that follows; this is the first step of all."""
        self.old_tviews = _take_out(self.old_model_keys, self.from_state)
        self.new_tviews = _take_out(self.new_model_keys, self.to_state)
        super().generate_renamed_models()
        self._rename_tviews()

    def _rename_tviews(self) -> None:
        """Ask about each new TView that may be an old one, and know that one by its new name."""
        for key in sorted(self.new_tviews.keys() - self.old_tviews.keys()):
            new = self.new_tviews[key]
            for old_key in sorted(self.old_tviews.keys() - self.new_tviews.keys()):
                old = self.old_tviews[old_key]
                if (
                    old_key[0] == key[0]
                    and self.only_relation_agnostic_fields(old.fields)
                    == self.only_relation_agnostic_fields(new.fields)
                    and self.questioner.ask_rename_model(old, new)
                ):
                    self.old_tviews[key] = self.old_tviews.pop(old_key)
                    self.renamed_models[key] = old_key[1]
                    self.renamed_models_rel[".".join(old_key)] = ".".join(key)
                    break

    def generate_altered_fields(self) -> None:
        """Compare relations to renamed TViews, too, which Django does not see.

        It takes a relation to a renamed model for one that has always pointed to it, and leaves
        the old name in an operation that alters the field for another reason.
        """
        tviews = {
            key: self.renamed_models.pop(key)
            for key in self.new_tviews.keys() & self.renamed_models.keys()
        }
        followed = []
        for app_label, model, name in self.old_field_keys & self.new_field_keys:
            old_name = self.renamed_fields.get((app_label, model, name), name)
            old_model = self.from_state.models[self._old_key((app_label, model))]
            old: Any = old_model.get_field(old_name).remote_field
            new: Any = self.to_state.models[app_label, model].get_field(name).remote_field
            for attribute in ("model", "through") if old and new else ():
                before, after = getattr(old, attribute, None), getattr(new, attribute, None)
                if not before or not after:
                    continue
                target = resolve_relation(after, app_label, model)
                if resolve_relation(before, app_label, model) == (target[0], tviews.get(target)):
                    setattr(new, attribute, before)
                    followed.append(((app_label, model, name), new, attribute, after))
        super().generate_altered_fields()
        self.renamed_models |= tviews
        for key, relation, attribute, after in followed:
            setattr(relation, attribute, after)
            for app_label, operation in self._operations():
                if (
                    isinstance(operation, operations.AddField | operations.AlterField)
                    and (app_label, operation.model_name_lower, operation.name) == key
                ):
                    setattr(operation.field.remote_field, attribute, after)
                    target = resolve_relation(after, *key[:2])
                    created = OperationDependency(*target, None, Change.CREATE)
                    dependencies_of(operation).append(created)

    def _new_key(self, key: ModelKey) -> ModelKey:
        """Return the key that a model has after all changes."""
        return next((new for new in self.renamed_models if self._old_key(new) == key), key)

    def _old_key(self, key: ModelKey) -> ModelKey:
        """Return the key that a model has before all changes."""
        return (key[0], self.renamed_models.get(key, key[1]))

    def _sort_migrations(self) -> None:
        self._generate_tviews()
        super()._sort_migrations()
        if any(_is_ours(operation) for _, operation in self._operations()):
            self._sort_across_apps()

    def _sort_across_apps(self) -> None:
        """Let no operation stand before another of its app that it waits for by way of a third.

        Django sorts the operations of each app, and cuts a migration where one has to wait for
        another app. That gets stuck if the other app waits in turn for an operation further down:
        RemoveField for the AlterTView that stops reading the field, AlterTView for the AddField
        of what it reads instead.
        """
        # TViews late, so that the optimizer merges what it always does.
        waiting = sorted(self._operations(), key=lambda item: _is_ours(item[1]))
        providers = {operation: self._providers(operation) for _, operation in waiting}
        self.generated_operations = {app_label: [] for app_label, _ in waiting}
        placed: set[Operation] = set()
        while waiting:
            # With a circle none is ready; then Django says that it cannot resolve it.
            app_label, operation = next(
                (item for item in waiting if providers[item[1]] <= placed), waiting[0]
            )
            waiting.remove((app_label, operation))
            placed.add(operation)
            self.generated_operations[app_label].append(operation)

    def _providers(self, operation: Operation) -> set[Operation]:
        """Return the operations, of any app, that have to come before another one."""
        return {
            other
            for dependency, _ in map(self._resolve_dependency, dependencies_of(operation))
            for other in self.generated_operations.get(dependency.app_label, ())
            if self.check_dependency(other, dependency)
        }

    def _build_migration_list(self, graph: MigrationGraph | None = None) -> None:
        super()._build_migration_list(graph)
        for app_label, migrations in self.migrations.items():
            self.migrations[app_label] = [
                part for migration in migrations for part in self.overtaking.cut(migration)
            ]
        for migrations in self.migrations.values():
            for migration in migrations:
                if any(_is_ours(operation) for operation in migration.operations):
                    cast("list[tuple[str, str]]", migration.dependencies).append(RUNTIME_MIGRATION)

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
            super(TViewAutodetector, self).check_dependency(step, dependency)
            or renames_to(step, dependency)
            for step in {*in_the_database(operation), *in_the_state(operation)}
        )

    def _generate_tviews(self) -> None:
        """Add operations for each TView that has changed, and tie the others to them."""
        stored = {key: tview.query for key, tview in self.old_tviews.items()}
        present = {key: self.present_queries.get(self._old_key(key), stored[key]) for key in stored}
        self.old_tviews = {
            key: tview.clone().with_definition(present[key] or stored[key], tview.maintenance)
            for key, tview in self.old_tviews.items()
        }
        self.old_readings = readings(self.from_state, self.old_tviews)
        self.new_readings = readings(self.to_state, self.new_tviews)
        changes = self._changed_names()
        self.old_owners = {
            table: owner
            for owner, table in owned_tables(self.from_state, self.from_state.models).items()
        }
        self.renames = {key: changes.of(old.query) for key, old in self.old_tviews.items()}
        followed = {
            key: query and self.renames[key].follow(query, self.from_state)
            for key, query in present.items()
        }
        self.followed = {key: query for key, query in followed.items() if query is not None}
        self.unprepared = {key for key, query in self.followed.items() if query != stored[key]}
        others = [
            (app_label, operation, list(dependencies_of(operation)))
            for app_label, operation in self._operations()
        ]
        kept = self.old_tviews.keys() & self.new_tviews.keys()
        split = {
            key
            for key in kept
            if key not in self.followed
            or self.overtaking.is_impossible(
                self._old_key(key), self.new_readings[key], self.to_state
            )
        }
        self.alterations = list(self._altered_fields())
        while True:
            self.generated_operations = {}
            for app_label, operation, dependencies in others:
                self.add_operation(app_label, operation, list(dependencies))
            altered = self._add_tviews(split)
            more = (
                self._undermined(split) - altered - split
                or self._retyped(altered) - split
                or self._before_and_after() - split
            )
            if not more:
                return
            split |= more

    def _changed_names(self) -> Changes:
        """Return the new names of all that TViews have read."""
        fields: dict[FieldKey, str | None] = {
            (*self._old_key((app_label, model)), old.lower()): new.lower()
            for (app_label, model, new), old in self.renamed_fields.items()
        }
        for app_label, model, name in self._remade_fields():
            fields[*self._old_key((app_label, model)), name] = None
        for key, tview in self.old_tviews.items():
            # Its columns come and go with the output columns that feed them.
            fields |= {(*self._old_key(key), name.lower()): None for name in tview.fields}
        read = {model for reading in self.old_readings.values() for model in reading.models}
        models = {self._old_key(key): key for key in self.renamed_models}
        successors = Successors(models, fields)
        return Changes.between(Layout.of(self.from_state, read), self.new_layout, successors)

    def _add_tviews(self, split: set[ModelKey]) -> set[ModelKey]:
        """Add the operations of TViews, for some in two steps; return those that are altered."""
        altered = set()
        released = set()
        for key in sorted(self.old_tviews.keys() | self.new_tviews.keys()):
            old, new = self.old_tviews.get(key), self.new_tviews.get(key)
            if old is not None and new is not None and key in self.renamed_models:
                pointing = self._migrations_pointing_to(key)
                self.add_operation(key[0], RenameTView(old.name, new.name), pointing)
            if old is None:
                self._create(key)
            elif new is None:
                self._delete(key, in_two_steps=key in split)
            elif key in split:
                self._remake(key)
            else:
                if key in self.unprepared:
                    self._follow(key)
                if not self._differ(key):
                    continue
                self._alter(key)
                altered.add(key)
            released.add(key)
        dropped = split | (self.old_tviews.keys() - self.new_tviews.keys())
        for app_label, operation in self._operations():
            self._order_against_readers(app_label, operation, released, dropped)
        return altered

    def _undermined(self, split: set[ModelKey]) -> set[ModelKey]:
        """Return the TViews that read what goes and comes again, so that they have to do the same.

        Args:
            split: the TViews that are known to.
        """
        kept = self.old_tviews.keys() & self.new_tviews.keys()
        fields = self._remade_fields()
        # What is a TView only before or only after is deleted and created, too.
        gone = split | {
            key
            for key in self.old_tviews.keys() ^ self.new_tviews.keys()
            if key in self.from_state.models and key in self.to_state.models
        }
        return {
            key
            for key in kept
            if self.old_readings[key].fields & fields or self.old_readings[key].models & gone
        }

    def _altered_fields(self) -> Iterator[Alteration]:
        """Yield the fields that stay and change, those of TViews included."""
        for app_label, operation in self._operations():
            if isinstance(operation, operations.AlterField):
                new_key = (app_label, operation.model_name_lower, operation.name_lower)
                model = self._old_key((app_label, operation.model_name_lower))
                name = self.renamed_fields.get(
                    (app_label, operation.model_name_lower, operation.name), operation.name
                )
                old = self.from_state.models[model].fields.get(name)
                if old is not None:
                    old_key = (*model, name.lower())
                    yield Alteration(old_key, new_key, old, operation.field)
        for key in self.old_tviews.keys() & self.new_tviews.keys():
            old_fields, new_fields = self.old_tviews[key].fields, self.new_tviews[key].fields
            for name in old_fields.keys() & new_fields.keys():
                yield Alteration(
                    (*self._old_key(key), name.lower()),
                    (*key, name.lower()),
                    old_fields[name],
                    new_fields[name],
                )

    def _retyped(self, altered: set[ModelKey]) -> set[ModelKey]:
        """Return the TViews that change together with the type of what they read.

        Their old definition does not fit the new type, nor the new definition the old type.
        """
        return {
            key
            for key in altered
            if self.old_readings[key].fields & {each.old_key for each in self._unfit(key)}
        }

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

    def _before_and_after(self) -> set[ModelKey]:
        """Return a TView whose operation has to come both before and after others, if any.

        What it has read waits for it to go, and what it reads from now on waits for that. Two
        operations, one before and one after, can do what one cannot.
        """
        graph = {operation: self._providers(operation) for _, operation in self._operations()}
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            *circle, _ = error.args[1]
            for before, operation, after in zip(
                circle, circle[1:] + circle[:1], circle[2:] + circle[:2], strict=True
            ):
                if (
                    isinstance(operation, AlterTView | DeleteTView)
                    and self._waits_for_release(after, operation)
                    and not self._waits_for_release(operation, before)
                ):
                    return {
                        (app_label, other.name_lower)
                        for app_label, other in self._operations()
                        if other is operation
                    }
        return set()

    def _waits_for_release(self, operation: Operation, other: Operation) -> bool:
        return any(
            isinstance(dependency, Releases) and self.check_dependency(other, dependency)
            for dependency in dependencies_of(operation)
        )

    def _operations(self) -> list[tuple[str, Operation]]:
        return [
            (app_label, operation)
            for app_label, app_operations in self.generated_operations.items()
            for operation in app_operations
        ]

    def _remade_fields(self) -> set[FieldKey]:
        """Return the fields that go while another one of the same name comes.

        Django makes a new field where it cannot alter the old one, as between one relation and
        many.
        """
        removed, added = (
            {
                (app_label, operation.model_name_lower, operation.name_lower)
                for app_label, operation in self._operations()
                if isinstance(operation, kind)
            }
            for kind in (operations.RemoveField, operations.AddField)
        )
        return removed & added

    def _lost_fields(self, key: ModelKey) -> set[FieldKey]:
        """Return the fields of a TView whose columns are no longer there afterwards."""
        left = set(self.new_tviews[key].columns().values())
        return {
            (*self._old_key(key), name)
            for name, column in self.old_tviews[key].columns().items()
            if column not in left
        }

    def _differ(self, key: ModelKey) -> bool:
        """Tell whether a TView is another one than before, but for names."""
        from .relational.canonical import same_query

        old, new = self.old_tviews[key], self.new_tviews[key]
        return (
            not same_query(self.followed[key], new.query)
            or old.maintenance != new.maintenance
            or self._deconstructed_fields(old) != self._deconstructed_fields(new)
            or self.deep_deconstruct(old.django_options)
            != self.deep_deconstruct(new.django_options)
            or old.managers != new.managers
        )

    def _deconstructed_fields(self, state: TViewState) -> dict[str, Any]:
        """Return the fields in a form that compares, under the new names of renamed models."""
        fields = {}
        for name, field in state.fields.items():
            path, arguments, keywords = self.deep_deconstruct(field)
            if (target := keywords.get("to")) in self.renamed_models_rel:
                keywords["to"] = self.renamed_models_rel[target]
            fields[name] = (path, arguments, keywords)
        return fields

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

    def _delete(self, key: ModelKey, *, in_two_steps: bool) -> None:
        deletion = DeleteTView(self.old_tviews[key].name)
        pointing = [*self._pointing_to(key), *self._migrations_pointing_to(key)]
        if not in_two_steps:
            self.add_operation(key[0], deletion, pointing)
            return
        self.add_operation(key[0], _apart(database=deletion))
        released = Releases(*key, None, Change.ALTER)
        self.add_operation(key[0], _apart(state=deletion), [released, *pointing])

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

    def _freed_table(self, key: ModelKey) -> list[OperationDependency]:
        """Return what gives up the name of a TView's table, if another one had it."""
        owner = self.old_owners.get(owned_tables(self.to_state, [key])[key])
        if owner is None or (before := self._new_key((owner[0], owner[1]))) == key:
            return []
        if before in self.old_tviews:
            return [Releases(*before, None, Change.ALTER)]
        return [OperationDependency(*before, None, Change.REMOVE)]

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

    def _reading_apps(self, model: ModelKey) -> set[str]:
        """Return the apps with a TView that reads a model, or has ever done so."""
        return {
            reader_app
            for reader_app, definition in self.definitions
            if definition.references_model(model[1], model[0])
        } | {key[0] for key, reading in self.old_readings.items() if model in reading.models}

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


def _apart(
    *, database: Operation | None = None, state: Operation | None = None
) -> operations.SeparateDatabaseAndState:
    return operations.SeparateDatabaseAndState(
        database_operations=None if database is None else [database],
        state_operations=None if state is None else [state],
    )


def _take_out(keys: set[ModelKey], state: ProjectState) -> dict[ModelKey, TViewState]:
    """Take the TViews out of a set of models, and return them."""
    tviews = {key: model for key in keys if isinstance(model := state.models[key], TViewState)}
    keys.difference_update(tviews)
    return tviews


def _is_ours(operation: Operation) -> bool:
    return any(
        isinstance(step, CreateTView | AlterTView | DeleteTView | FollowRenames | RenameTView)
        for step in in_the_database(operation)
    )


@cache
def compose(*bases: type) -> type[MigrationAutodetector]:
    """Return an autodetector that sees TViews, and all that others see.

    Args:
        *bases: the others; if one of them sees all that, it is returned as it is.
    """
    needed = [
        base
        for place, base in enumerate(bases)
        if base not in bases[:place]
        and not any(other is not base and issubclass(other, base) for other in bases)
    ]
    if not any(issubclass(base, TViewAutodetector) for base in needed):
        needed.insert(0, TViewAutodetector)
    if len(needed) == 1:
        return needed[0]
    return type(f"TView{bases[0].__name__}", tuple(needed), {"__module__": __name__})


class _InForce:
    """The autodetector of a command: composed when it is asked for, whoever has come last.

    Args:
        own: what the class of the command has said itself.
    """

    def __init__(self, own: Any) -> None:
        self.own = own

    def __get__(self, command: object, owner: object) -> type[MigrationAutodetector]:
        module: Any = makemigrations
        return compose(self.own, module.MigrationAutodetector)


def install() -> None:
    """Compose the autodetectors of ``makemigrations`` and ``migrate`` with ours.

    The names in Django's two modules are for packages that subclass what they find there. The
    commands in force may be those of another package, with an autodetector of their own.
    """
    module: Any
    writers: Any = makemigrations
    writers.MigrationWriter = with_run_before(writers.MigrationWriter)
    for module in (makemigrations, migrate):
        module.MigrationAutodetector = compose(module.MigrationAutodetector)
        for command in (module.Command, _in_force(module.__name__.rpartition(".")[2])):
            owner: Any = next(each for each in command.__mro__ if "autodetector" in vars(each))
            own = vars(owner)["autodetector"]
            if not isinstance(own, _InForce):
                owner.autodetector = _InForce(own)


def _in_force(name: str) -> type[BaseCommand]:
    """Return the class of a command, whichever app it comes from."""
    source: str | BaseCommand = get_commands()[name]
    return type(load_command_class(source, name) if isinstance(source, str) else source)
