"""How ``makemigrations`` sees TViews.

Django's autodetector compares models field by field, which is wrong for a TView: a field without
the query that fills it means nothing. So TViews are hidden from it, and `TViewAutodetector` adds
one operation for each TView that is new, changed or gone. It adds them before Django sorts the
operations and cuts them into migrations, with dependencies on all that the queries read, so that
Django's own algorithm finds an order that works.

Django has one autodetector per command, and packages extend it by subclassing the one they find
(ticket 35813). `install` does the same and assumes nothing about who came first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from django.apps import apps
from django.core.management.commands import makemigrations, migrate
from django.db.backends.utils import split_identifier, truncate_name
from django.db.migrations import operations
from django.db.migrations.autodetector import MigrationAutodetector, OperationDependency
from django.db.migrations.operations.fields import FieldOperation
from django.db.models import ManyToManyField

from .definition import IDENTIFIER_BYTES
from .models import TView
from .operations import AlterTView, CreateTView, DeleteTView, TViewState

if TYPE_CHECKING:
    from django.db.migrations.graph import MigrationGraph
    from django.db.migrations.migration import Migration
    from django.db.migrations.operations.base import Operation
    from django.db.migrations.state import ModelState, ProjectState

ModelKey: TypeAlias = tuple[str, str]
"""App label and lower-case name of a model: how migration state knows it."""

FieldKey: TypeAlias = tuple[str, str, str]
"""The key of a model and the lower-case name of one of its fields."""

Table: TypeAlias = tuple[str, str]
"""Schema, "" if it is left open, and name of a table."""

RUNTIME_MIGRATION = ("django_tviews", "0001_initial")
"""The migration that creates what all TViews of a database share."""


class Needs(OperationDependency):
    """A TView reads a model, or a field: all that creates or changes it comes first."""


class Releases(OperationDependency):
    """A TView has read what goes: altering or deleting the TView comes first."""


class Follows(OperationDependency):
    """A TView reads what changes: the migrations that the TView already has come first."""


class TViewAutodetector(MigrationAutodetector):
    """Finds out which TViews are new, changed or gone.

    To be composed with the autodetector that is in force, see `compose`.
    """

    def _detect_changes(
        self, convert_apps: Any = None, graph: MigrationGraph | None = None
    ) -> dict[str, list[Migration]]:
        for key in self.to_state.models:
            model = apps.all_models.get(key[0], {}).get(key[1])
            if model is not None and issubclass(model, TView) and not model._meta.proxy:
                self.to_state.models[key] = TViewState.from_model(model)
        return super()._detect_changes(convert_apps, graph)

    def generate_renamed_models(self) -> None:
        """Hide the TViews from all that follows; this is the first step of all."""
        self.old_tviews = _take_out(self.old_model_keys, self.from_state)
        self.new_tviews = _take_out(self.new_model_keys, self.to_state)
        super().generate_renamed_models()

    def _sort_migrations(self) -> None:
        self._generate_tviews()
        super()._sort_migrations()

    def _build_migration_list(self, graph: MigrationGraph | None = None) -> None:
        super()._build_migration_list(graph)
        for migrations in self.migrations.values():
            for migration in migrations:
                if any(_is_ours(operation) for operation in migration.operations):
                    migration.dependencies.append(RUNTIME_MIGRATION)

    def check_dependency(self, operation: Operation, dependency: OperationDependency) -> bool:
        """Tell whether an operation has to come first because of a dependency of another."""
        match dependency:
            case Needs():
                return _provides(operation, dependency)
            case Releases():
                return (
                    isinstance(operation, AlterTView | DeleteTView)
                    and operation.name_lower == dependency.model_name_lower
                )
            case Follows():
                # It is about migrations that exist, not about operations that are being sorted.
                return False
        return super().check_dependency(operation, dependency)

    def _generate_tviews(self) -> None:
        """Add an operation for each TView that has changed, and tie the others to it."""
        old_readings = _readings(self.from_state, self.old_tviews)
        new_readings = _readings(self.to_state, self.new_tviews)
        remade = self._remade_fields()
        released = set()
        for key in sorted(self.old_tviews.keys() | self.new_tviews.keys()):
            old, new = self.old_tviews.get(key), self.new_tviews.get(key)
            if old is None:
                self._create(new_readings[key])
            elif new is None:
                self._delete(old)
            elif remade & old_readings[key].fields:
                # It must not exist between the old field and the new one of the same name.
                self._delete(old)
                self._create(new_readings[key])
            elif self._differ(old, new):
                self._alter(new_readings[key])
            else:
                continue
            released.add(key)
        for app_label, operation in self._operations():
            self._order_against_readers(app_label, operation, old_readings, released)

    def _operations(self) -> list[tuple[str, Operation]]:
        return [
            (app_label, operation)
            for app_label, app_operations in self.generated_operations.items()
            for operation in app_operations
        ]

    def _remade_fields(self) -> set[FieldKey]:
        """Return the fields that go while another one of the same name comes.

        Django makes a new field where altering the old one is impossible, as between one relation
        and many.
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

    def _differ(self, old: TViewState, new: TViewState) -> bool:
        from .relational.canonical import same_query

        return (
            not same_query(old.query, new.query)
            or old.maintenance != new.maintenance
            or self._deconstructed_fields(old) != self._deconstructed_fields(new)
            or self.deep_deconstruct(old.options) != self.deep_deconstruct(new.options)
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

    def _create(self, reading: Reading) -> None:
        app_label, name = reading.key
        gone = OperationDependency(app_label, name, None, OperationDependency.Type.REMOVE)
        self.add_operation(
            app_label,
            CreateTView(**reading.operation_arguments()),
            dependencies=[gone, *self._dependencies(reading)],
        )

    def _alter(self, reading: Reading) -> None:
        self.add_operation(
            reading.key[0],
            AlterTView(**reading.operation_arguments()),
            dependencies=self._dependencies(reading),
        )

    def _delete(self, tview: TViewState) -> None:
        key = (tview.app_label, tview.name_lower)
        self.add_operation(
            tview.app_label,
            DeleteTView(tview.name),
            # What points to the TView has to be removed, or pointed elsewhere, before.
            dependencies=[
                OperationDependency(app_label, model_name, field_name, change)
                for (app_label, model_name), fields in self.from_state.relations[key].items()
                for field_name in fields
                if (app_label, model_name) not in self.old_tviews
                for change in (OperationDependency.Type.REMOVE, OperationDependency.Type.ALTER)
            ],
        )

    def _dependencies(self, reading: Reading) -> list[OperationDependency]:
        change = OperationDependency.Type.ALTER
        return [
            *self._get_dependencies_for_model(*reading.key),
            *(Needs(*model, None, change) for model in sorted(reading.models)),
            *(Needs(*field, change) for field in sorted(reading.fields)),
        ]

    def _order_against_readers(
        self,
        app_label: str,
        operation: Operation,
        readings: Mapping[ModelKey, Reading],
        released: set[ModelKey],
    ) -> None:
        """Make a change to what TViews read come at the right time for each of them."""
        change = _change(app_label, operation)
        if change is None:
            return
        old_name = self.renamed_models.get(change.model, change.model[1])
        model = (app_label, old_name)
        for reader, reading in readings.items():
            if model not in reading.models:
                continue
            if (
                change.removes
                and reader in released
                and (change.field is None or (*model, change.field) in reading.fields)
            ):
                dependency = Releases(*reader, None, OperationDependency.Type.ALTER)
                operation._auto_deps = [*operation._auto_deps, dependency]
            if reader[0] != app_label:
                dependency = Follows(*reader, None, OperationDependency.Type.CREATE)
                operation._auto_deps = [*operation._auto_deps, dependency]


@dataclass(frozen=True)
class Reading:
    """What a TView reads, in the terms of migration state.

    Attributes:
        tview: the TView.
        labels: the labels of the models, as people write them.
        models: the keys of the models.
        fields: the fields of these models that the query may read.
    """

    tview: TViewState
    labels: tuple[str, ...]
    models: frozenset[ModelKey]
    fields: frozenset[FieldKey]

    @property
    def key(self) -> ModelKey:
        """The key of the TView."""
        return (self.tview.app_label, self.tview.name_lower)

    def operation_arguments(self) -> dict[str, Any]:
        """Return the arguments of the operation that gives the TView its present definition."""
        return {
            "name": self.tview.name,
            "fields": list(self.tview.fields.items()),
            "query": self.tview.query,
            "options": {
                name: value
                for name, value in self.tview.options.items()
                if value or name not in ("indexes", "constraints")
            },
            "bases": self.tview.bases,
            "managers": self.tview.managers,
            "reads": list(self.labels),
            **self.tview.maintenance.declared_options(),
        }


@dataclass(frozen=True)
class Change:
    """What an operation changes of a table that may be read.

    Attributes:
        model: the key of the model.
        field: the name of the field, in lower case; None for the model itself.
        removes: whether it takes it away.
    """

    model: ModelKey
    field: str | None = None
    removes: bool = False


def _change(app_label: str, operation: Operation) -> Change | None:
    match operation:
        case FieldOperation():
            return Change(
                (app_label, operation.model_name_lower),
                operation.name_lower,
                isinstance(operation, operations.RemoveField),
            )
        case operations.DeleteModel():
            return Change((app_label, operation.name_lower), removes=True)
        case operations.RenameModel():
            return Change((app_label, operation.old_name_lower))
        case operations.AlterModelTable() | AlterTView():
            return Change((app_label, operation.name_lower))
    return None


def _provides(operation: Operation, needs: Needs) -> bool:
    """Tell whether an operation creates or changes a model, or a field, that a TView needs."""
    if needs.field_name is None:
        match operation:
            case operations.CreateModel() | operations.AlterModelTable() | AlterTView():
                return operation.name_lower == needs.model_name_lower
            case operations.RenameModel():
                return operation.new_name_lower == needs.model_name_lower
        return False
    match operation:
        case operations.AddField() | operations.AlterField():
            name = operation.name_lower
        case operations.RenameField():
            name = operation.new_name_lower
        case _:
            return False
    return (
        operation.model_name_lower == needs.model_name_lower and name == needs.field_name_lower
    )


def _take_out(keys: set[ModelKey], state: ProjectState) -> dict[ModelKey, TViewState]:
    """Take the TViews out of a set of models, and return them."""
    tviews = {
        key: model for key in keys if isinstance(model := state.models[key], TViewState)
    }
    keys -= tviews.keys()
    return tviews


def _readings(
    state: ProjectState, tviews: Mapping[ModelKey, TViewState]
) -> dict[ModelKey, Reading]:
    if not tviews:
        return {}
    tables = _tables(state)
    return {key: _reading(state, tview, tables) for key, tview in tviews.items()}


def _reading(
    state: ProjectState, tview: TViewState, tables: Mapping[Table, FieldKey | ModelKey]
) -> Reading:
    from .relational.canonical import read_relations

    names = _names(tview.query)
    models, fields = set(), set()
    for schema, relation in read_relations(tview.query):
        # Django's tables are in no schema by name; the query may name the one they are in.
        match tables.get((schema or "", relation)) or tables.get(("", relation)):
            case (app_label, model_name):
                model = state.models[app_label, model_name]
                models.add((app_label, model_name))
                fields |= {
                    (app_label, model_name, name.lower())
                    for name in model.fields
                    if names is None or _column(model, name) in names
                }
            case (app_label, model_name, field_name):
                models.add((app_label, model_name))
                fields.add((app_label, model_name, field_name))
    labels = sorted(f"{app_label}.{state.models[app_label, name].name}" for app_label, name in models)
    return Reading(tview, tuple(labels), frozenset(models), frozenset(fields))


def _tables(state: ProjectState) -> dict[Table, FieldKey | ModelKey]:
    """Return whose table each table of a project is: a model's, or a field's of many relations."""
    tables: dict[Table, FieldKey | ModelKey] = {}
    for key, model in state.models.items():
        if model.options.get("proxy"):
            continue
        table = model.options.get("db_table") or _shortened(f"{key[0]}_{key[1]}")
        tables[split_identifier(table)] = key
        for name, field in model.fields.items():
            if isinstance(field, ManyToManyField) and field.remote_field.through is None:
                through = field.db_table or _shortened(f"{table.strip(chr(34))}_{name}")
                tables[split_identifier(through)] = (*key, name.lower())
    return tables


def _shortened(table: str) -> str:
    return truncate_name(table, IDENTIFIER_BYTES)


def _column(model: ModelState, name: str) -> str:
    field = model.fields[name].clone()
    field.set_attributes_from_name(name)
    return field.column


def _names(query: str) -> frozenset[str] | None:
    """Return all that can be the name of a column in a query, None if it may read any column.

    A name too many, from a string literal, only adds a dependency.
    """
    if re.search(r"(?<!\()\*|\bNATURAL\b", query):
        return None
    return frozenset(
        quoted.replace('""', '"') or bare.lower()
        for quoted, bare in re.findall(r'"((?:[^"]|"")+)"|([^\W\d][\w$]*)', query)
    )


def _is_ours(operation: Operation) -> bool:
    return isinstance(operation, CreateTView | AlterTView | DeleteTView)


@cache
def compose(base: type[MigrationAutodetector]) -> type[MigrationAutodetector]:
    """Return an autodetector that sees TViews and all that another one sees.

    Args:
        base: the other one; if it sees TViews already, it is returned as it is.
    """
    if issubclass(base, TViewAutodetector):
        return base
    return type(f"TView{base.__name__}", (TViewAutodetector, base), {"__module__": __name__})


def install() -> None:
    """Compose the autodetectors of ``makemigrations`` and ``migrate`` with ours.

    The names in the two modules are for packages that subclass what they find there.
    """
    for module in (makemigrations, migrate):
        module.MigrationAutodetector = compose(module.MigrationAutodetector)
        module.Command.autodetector = compose(module.Command.autodetector)
