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
from typing import TYPE_CHECKING, Any, Final, cast

from django.apps import apps
from django.core.management import get_commands, load_command_class
from django.core.management.commands import makemigrations, migrate
from django.db.migrations import operations
from django.db.migrations.autodetector import MigrationAutodetector, OperationDependency
from django.db.migrations.operations.fields import FieldOperation
from django.db.migrations.utils import resolve_relation

from .dependencies import Change, dependencies_of
from .detection import TViewDetection
from .history import History, Layout, in_the_database, in_the_state
from .models import TView
from .operations import AlterTView, CreateTView, DeleteTView, FollowRenames, RenameTView
from .overtaking import Overtaking, with_run_before
from .state import ModelKey, TViewState

if TYPE_CHECKING:
    from django.core.management.base import BaseCommand
    from django.db.migrations.graph import MigrationGraph
    from django.db.migrations.migration import Migration
    from django.db.migrations.operations.base import Operation
    from django.db.migrations.state import ProjectState


RUNTIME_MIGRATION: Final = ("django_tviews", "0001_initial")
"""The migration that creates what all TViews of a database share."""


class TViewAutodetector(TViewDetection):
    """Makes Django's own algorithm see TViews: where it is asked for what, and in which order.

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

    def _sort_migrations(self) -> None:
        self.generate_tviews()
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
