"""What to do about migrations that take away what a TView still reads.

A package that is upgraded brings a migration that drops a column. The TView has to stop reading it
first, in every database; but nothing in that migration says so. The generated one does, by
``run_before``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from django.db.migrations.graph import MigrationGraph

from .history import MigrationKey, in_the_database, reads_field
from .operations import AlterTView, DeleteTView

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from django.db.migrations.state import ProjectState
    from django.db.migrations.writer import MigrationWriter

    from .state import FieldKey, ModelKey, Reading


@dataclass(frozen=True)
class Overtaking:
    """Which migrations the changes of TViews have to overtake.

    Attributes:
        graph: all migrations that exist.
        overtaken: for each TView, those that take away what it reads.
    """

    graph: MigrationGraph = field(default_factory=MigrationGraph)
    overtaken: Mapping[ModelKey, AbstractSet[MigrationKey]] = field(default_factory=dict)

    def of(self, tview: ModelKey) -> set[MigrationKey]:
        """Return the migrations of other apps that the change of a TView has to overtake.

        In its own app, the order is that of the files.
        """
        return {key for key in self.overtaken.get(tview, ()) if key[0] != tview[0]}

    def is_impossible(self, tview: ModelKey, reading: Reading, state: ProjectState) -> bool:
        """Tell whether what a TView is to read comes only with what it has to overtake.

        Args:
            tview: the TView.
            reading: what it is to read.
            state: the project in which it is to read that.
        """
        return any(
            key[0] == migration[0]
            and not _has_field(self.graph.make_state(nodes=[migration], at_end=False), key)
            and reads_field(reading.tview.query, key, state)
            for migration in self.of(tview)
            for key in reading.fields
        )

    def cut(self, migration: Any) -> list[Any]:
        """Return a generated migration in two parts, if the first has to overtake others.

        Args:
            migration: a `Migration` of the autodetector.
        """
        ahead: set[MigrationKey] = set()
        end = 0
        for place, operation in enumerate(migration.operations, 1):
            for step in in_the_database(operation):
                if isinstance(step, AlterTView | DeleteTView) and (
                    overtaken := self.of((migration.app_label, step.name_lower))
                ):
                    ahead |= overtaken
                    end = place
        if not ahead:
            return [migration]
        parts = [migration]
        if end < len(migration.operations):
            first = type(migration)(f"{migration.name}_ahead", migration.app_label)
            first.dependencies = list(migration.dependencies)
            first.operations, migration.operations = (
                migration.operations[:end],
                migration.operations[end:],
            )
            first.initial, migration.initial = migration.initial, None
            parts.insert(0, first)
        parts[0].run_before = sorted(ahead)
        parts[0].dependencies = sorted(
            {left for each in parts[0].dependencies for left in self._without(each, ahead)}
        )
        return parts

    def _without(self, dependency: MigrationKey, ahead: set[MigrationKey]) -> set[MigrationKey]:
        """Return what is left of a dependency when some migrations must not be part of it."""
        if dependency not in self.graph.nodes or ahead.isdisjoint(
            self.graph.forwards_plan(dependency)
        ):
            return {dependency}
        return {
            left
            for parent in self.graph.node_map[dependency].parents
            if parent.key[0] == dependency[0]
            for left in self._without(parent.key, ahead)
        }


def _has_field(state: ProjectState, key: FieldKey) -> bool:
    model = state.models.get(key[:2])
    return model is not None and key[2] in map(str.lower, model.fields)


@cache
def with_run_before(base: Any) -> type[MigrationWriter]:
    """Return a writer of migrations that writes ``run_before``, as Django's own does from 6.1 on.

    Args:
        base: the writer in force.
    """

    class Writer(base):  # type: ignore[misc]
        def as_string(self) -> str:
            text: str = super().as_string()
            if not self.migration.run_before or "\n    run_before = " in text:
                return text
            run_before, _ = self.serialize(self.migration.run_before)
            place = "\n    dependencies = [\n"
            return text.replace(place, f"\n    run_before = {run_before}\n{place}", 1)

    return Writer
