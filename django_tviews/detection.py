"""Which TViews of a project are new, changed or gone, and which have to be away for a while.

`TViewDetection` compares the TViews of two states of a project. It knows nothing of how Django
goes about it: the autodetector asks it at the right moment, and has Django sort what it adds.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from django.db.migrations import operations

from .dependencies import Alteration, Releases, dependencies_of
from .generation import TViewGeneration
from .history import Changes, Layout, Successors
from .operations import AlterTView, DeleteTView, RenameTView
from .state import FieldKey, ModelKey, TViewState, owned_tables, readings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.migrations.operations.base import Operation


class TViewDetection(TViewGeneration):
    """Finds out which TViews are new, changed or gone, and which have to be away for a while."""

    def generate_tviews(self) -> None:
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
