"""Histories of migrations without a database: detect, write to a file, read back, replay.

`History` goes through a sequence of states of a project as a developer does who runs
makemigrations after each change. `replay` then builds the project from nothing, in any order that
the dependencies allow, and checks before and after every operation that each TView finds what its
query reads.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django.core.management.commands import makemigrations
from django.db import models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.graph import MigrationGraph
from django.db.migrations.migration import Migration
from django.db.migrations.operations.special import SeparateDatabaseAndState
from django.db.migrations.questioner import MigrationQuestioner
from django.db.migrations.state import ModelState, ProjectState

from django_tviews.autodetector import RUNTIME_MIGRATION, compose
from django_tviews.definition import Maintenance
from django_tviews.history import apply
from django_tviews.operations import FollowRenames
from django_tviews.relational.canonical import same_query
from django_tviews.state import TViewState, owned_columns, owned_tables

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Iterator, Mapping

    from django.db.migrations.operations.base import Operation

Key = tuple[str, str]


def project(*model_states: ModelState) -> ProjectState:
    """A project with these models."""
    return ProjectState({(state.app_label, state.name_lower): state for state in model_states})


def model(label: str, **fields: models.Field[Any, Any]) -> ModelState:
    """An ordinary model."""
    app_label, name = label.split(".")
    options = fields.pop("options", {})
    return ModelState(
        app_label, name, [("id", models.BigAutoField(primary_key=True)), *fields.items()], options
    )


def tview(
    label: str,
    query: str,
    fields: Mapping[str, models.Field[Any, Any]] | None = None,
    options: dict[str, Any] | None = None,
    **maintenance: Any,
) -> TViewState:
    """A TView."""
    app_label, name = label.split(".")
    declared = fields or {"id": models.IntegerField(primary_key=True)}
    state = TViewState(app_label, name, list(declared.items()), options)
    return state.with_definition(query, Maintenance(**maintenance))


class Answers(MigrationQuestioner):
    """Answers what makemigrations asks: yes to renames that are announced, else no."""

    def __init__(self, renames: Iterable[str] = ()) -> None:
        super().__init__({"ask_initial": True})
        self.renames = set(renames)

    def ask_rename(self, model_name: str, old_name: str, new_name: str, field: Any) -> bool:
        return old_name in self.renames

    def ask_rename_model(self, old: ModelState, new: ModelState) -> bool:
        return old.name in self.renames


class History:
    """The migrations of a project, made one state after another."""

    def __init__(self) -> None:
        runtime = Migration(RUNTIME_MIGRATION[1], RUNTIME_MIGRATION[0])
        self.migrations: dict[Key, Migration] = {RUNTIME_MIGRATION: runtime}

    @property
    def graph(self) -> MigrationGraph:
        graph = MigrationGraph()
        for key, migration in self.migrations.items():
            graph.add_node(key, migration)
        for key, migration in self.migrations.items():
            for child in migration.run_before:
                graph.add_dependency(migration, child, key)
            for parent in migration.dependencies:
                if parent[1] == "__first__":
                    parent = graph.root_nodes(parent[0])[0]  # noqa: PLW2901
                graph.add_dependency(migration, key, parent)
        graph.ensure_not_cyclic()
        return graph

    @property
    def state(self) -> ProjectState:
        graph = self.graph
        return graph.make_state(nodes=graph.leaf_nodes() or None)

    def detect(self, to_state: ProjectState, renames: Iterable[str] = ()) -> list[Migration]:
        """Return the migrations makemigrations would write, as it reads them back."""
        to_state = to_state.clone()
        for each in to_state.models.values():
            # Django changes the fields while it compares them.
            each.fields = {name: field.clone() for name, field in each.fields.items()}
        autodetector = compose(MigrationAutodetector)(self.state, to_state, Answers(renames))
        changes = autodetector.changes(self.graph)
        return [read_back(migration) for migrations in changes.values() for migration in migrations]

    def go_to(self, to_state: ProjectState, renames: Iterable[str] = ()) -> list[Migration]:
        """Write the migrations for a change of the project, and return them."""
        found = self.detect(to_state, renames)
        self.migrations |= {(migration.app_label, migration.name): migration for migration in found}
        assert self.detect(to_state) == [], "a second run must write nothing"
        graph = self.graph
        plan = [key for leaf in sorted(graph.leaf_nodes()) for key in graph.forwards_plan(leaf)]
        return sorted(found, key=lambda one: plan.index((one.app_label, one.name)))

    def write(self, app_label: str, *steps: Operation) -> None:
        """Add a migration of an app as somebody may write it who knows of that app only."""
        (parent,) = self.graph.leaf_nodes(app_label)
        number = sum(label == app_label for label, _ in self.migrations) + 1
        migration = Migration(f"{number:04}_by_hand", app_label)
        migration.operations, migration.dependencies = list(steps), [parent]
        self.migrations[app_label, migration.name] = migration


def read_back(migration: Migration) -> Migration:
    """Write a migration to text as makemigrations does, and read it as Django does."""
    namespace: dict[str, Any] = {}
    # The writer that makemigrations uses.
    exec(makemigrations.MigrationWriter(migration).as_string(), namespace)
    return namespace["Migration"](migration.name, migration.app_label)


def operations(migrations: Iterable[Migration]) -> list[str]:
    """What the migrations do, in words."""
    return [
        f"{migration.app_label}: {operation.describe()}"
        for migration in migrations
        for operation in _in_the_database(migration.operations)
    ]


def _in_the_database(operations: Iterable[Operation]) -> Iterator[Operation]:
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from operation.database_operations
        else:
            yield operation


def replay(history: History, order: random.Random) -> None:
    """Build the project from nothing, in an order that the dependencies allow."""
    graph = history.graph
    state, built = ProjectState(), ProjectState()
    waiting = sorted(history.migrations)
    done: set[Key] = set()
    while waiting:
        ready = [
            key for key in waiting if {parent.key for parent in graph.node_map[key].parents} <= done
        ]
        key = order.choice(ready)
        waiting.remove(key)
        done.add(key)
        for operation in history.migrations[key].operations:
            _apply(operation, key[0], state, built)


def built_in_steps(
    start: ProjectState, operations: Iterable[Operation], app_label: str
) -> ProjectState:
    """Return the state that operations of one app lead to, if every step of the way is sound."""
    state, built = start.clone(), start.clone()
    for operation in operations:
        _apply(operation, app_label, state, built)
    return state


def _apply(operation: Operation, app_label: str, state: ProjectState, built: ProjectState) -> None:
    operation.state_forwards(app_label, state)
    assert state.apps, "the models of a state must render"
    for step in _in_the_database([operation]):
        _apply_to_the_database(step, app_label, built)
        for problem in missing(built):
            raise AssertionError(f"{app_label}: after {step.describe()}, {problem}")


def _apply_to_the_database(step: Operation, app_label: str, built: ProjectState) -> None:
    """Change what is there as PostgreSQL does, whose views follow renames by themselves."""
    if isinstance(step, FollowRenames):
        # What the migration says has happened must be what has happened.
        installed = built.models[app_label, step.name_lower].query
        assert same_query(step.query, installed), f"{step.query} is not {installed}"
    changes = apply(step, app_label, built)
    for tview in built.models.values():
        if isinstance(tview, TViewState):
            tview.query = changes.follow(tview.query, built)
            assert tview.query is not None, "a TView that cannot follow must be away"


def missing(state: ProjectState) -> Iterator[str]:
    """Say what the queries of the TViews read that is not there.

    The queries of the tests name every table with an alias and every column with it.
    """
    columns = {
        table: set(owned_columns(state, owner).values())
        for owner, (_, table) in owned_tables(state, state.models).items()
    }
    for model_state in state.models.values():
        if not isinstance(model_state, TViewState):
            continue
        aliases = {
            alias: table
            for table, alias in re.findall(r"(?:FROM|JOIN)\s+(\w+)\s+(\w)\b", model_state.query)
        }
        for alias, column in re.findall(r"\b([a-z])\.(\w+)", model_state.query):
            if column not in columns.get(aliases[alias], ()):
                yield f"{model_state.name} reads {aliases[alias]}.{column}, which is not there"
