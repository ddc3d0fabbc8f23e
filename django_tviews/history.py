"""What becomes of the names that queries use, in the course of a project's migrations.

A migration stores a query as text, under the names of its own time. Later migrations give tables
and columns other names; PostgreSQL's views follow by themselves, and the text is followed here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import (
    AlterField,
    AlterModelTable,
    DeleteModel,
    RemoveField,
    RenameField,
    RenameModel,
    RunSQL,
    SeparateDatabaseAndState,
)
from django.db.migrations.state import ProjectState
from django.db.migrations.utils import resolve_relation

from .errors import DependencyResolutionFailed, TViewError
from .facts import RelationName
from .model_facts import facts_from_models
from .operations import AlterTView
from .relational.renames import Renames, follow
from .state import TViewState, column_names, owned_columns, owned_tables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.migrations.graph import MigrationGraph
    from django.db.migrations.migration import Migration
    from django.db.migrations.operations.base import Operation

    from .state import FieldKey, ModelKey, Owner, Table

MigrationKey: TypeAlias = tuple[str, str]
"""App label and name of a migration."""

ColumnName: TypeAlias = tuple[RelationName, str]
"""A table and one of its columns."""


@dataclass(frozen=True)
class Successors:
    """Which models and fields are the same ones under other names.

    Attributes:
        models: the new key of each renamed model, by its old one.
        fields: the new name of each renamed field, by its old key; None for a field that is gone
            though another one has its name.
    """

    models: Mapping[ModelKey, ModelKey] = field(default_factory=dict)
    fields: Mapping[FieldKey, str | None] = field(default_factory=dict)

    def model(self, key: ModelKey) -> ModelKey:
        """Return the present key of a model."""
        return self.models.get(key, key)

    def field(self, key: FieldKey) -> FieldKey | None:
        """Return the present key of a field, None if it is gone."""
        name = self.fields.get(key, key[2])
        return None if name is None else (*self.model(key[:2]), name)

    def owner(self, owner: Owner) -> Owner | None:
        """Return the present owner of a table, None if it is gone."""
        match owner:
            case (app_label, name):
                return self.model((app_label, name))
            case (app_label, name, field_name):
                return self.field((app_label, name, field_name))

    def column(self, owner: Owner, name: str) -> Owner | None:
        """Return what a column of a table belongs to at present, None if it is gone."""
        match owner:
            case (app_label, model_name):
                return self.field((app_label, model_name, name))
        # A table of many relations has no fields of its own.
        return self.owner(owner)


@dataclass(frozen=True)
class Layout:
    """Tables of a project in migration state, and their columns by field."""

    tables: Mapping[Owner, Table]
    columns: Mapping[Owner, Mapping[str, str | None]]

    @classmethod
    def of(cls, state: ProjectState, keys: Iterable[ModelKey]) -> Layout:
        """Return the tables of some models, where they exist and Django manages them."""
        managed = [
            key
            for key in keys
            if key in state.models and state.models[key].options.get("managed", True)
        ]
        tables = owned_tables(state, managed)
        return cls(tables, {owner: owned_columns(state, owner) for owner in tables})


@dataclass(frozen=True)
class Changes:
    """New names of tables and columns.

    Attributes:
        renames: the new names.
        tables: for each renamed table, the model or field it belongs to, under its new name.
        columns: the same for each renamed column.
        known: the old columns of the tables that were looked at.
    """

    renames: Renames = field(default_factory=Renames)
    tables: Mapping[RelationName, Owner] = field(default_factory=dict)
    columns: Mapping[ColumnName, Owner] = field(default_factory=dict)
    known: Mapping[RelationName, Collection[str]] = field(default_factory=dict)

    @classmethod
    def between(cls, before: Layout, after: Layout, successors: Successors) -> Changes:
        """Compare the tables of two states of a project."""
        new_tables: dict[RelationName, RelationName] = {}
        new_columns: dict[ColumnName, str] = {}
        tables: dict[RelationName, Owner] = {}
        columns: dict[ColumnName, Owner] = {}
        for owner, table in before.tables.items():
            now = successors.owner(owner)
            if now is None or now not in after.tables:
                continue
            relation = _relation_name(table)
            if after.tables[now] != table:
                new_tables[relation] = _relation_name(after.tables[now])
                tables[relation] = now
            for name, column in before.columns[owner].items():
                heir = successors.column(owner, name)
                new = heir and after.columns[now].get(name if heir == now else heir[-1])
                if heir and column and new and new != column:
                    new_columns[relation, column] = new
                    columns[relation, column] = heir
        known = {
            _relation_name(table): [name for name in before.columns[owner].values() if name]
            for owner, table in before.tables.items()
        }
        return cls(Renames(new_tables, new_columns), tables, columns, known)

    def of(self, query: str) -> Changes:
        """Return those of the changes that a query has to follow."""
        from .relational.canonical import read_relations

        relations = set(read_relations(query))
        # Django's tables are in no schema by name; the query may name the one they are in.
        relations |= {(None, name) for _, name in relations}
        mentioned = column_names(query)
        columns = {
            (table, column): owner
            for (table, column), owner in self.columns.items()
            if table in relations and (mentioned is None or column in mentioned)
        }
        tables = {table: owner for table, owner in self.tables.items() if table in relations}
        renames = Renames(
            {table: self.renames.tables[table] for table in tables},
            {column: self.renames.columns[column] for column in columns},
        )
        return Changes(renames, tables, columns, self.known)

    def follow(self, query: str, state: ProjectState) -> str | None:
        """Return a query under the new names, None if its text does not tell which they are.

        A query that has none of the old names is returned as it is written.

        Args:
            query: one SELECT.
            state: a project that has the other tables that the query reads.
        """
        from .relational.canonical import canonical_sql

        changes = self.of(query)
        if not changes.renames:
            return query
        others = {
            _relation_name(table): owner
            for owner, table in owned_tables(state, state.models).items()
        }

        def columns_of(relation: RelationName) -> Collection[str] | None:
            if relation in self.known or relation not in others:
                return self.known.get(relation)
            return [name for name in owned_columns(state, others[relation]).values() if name]

        followed = follow(query, changes.renames, columns_of)
        return query if followed == canonical_sql(query) else followed


@dataclass
class History:
    """Some migrations of a project, in an order that their dependencies allow.

    Attributes:
        state: the project as they leave it.
        queries: each TView's query under present names, None where its text does not tell them.
        changes: every change of names, with the migration that made it.
        overtaken: for each TView, the migrations that take away what its query reads and that may
            run before it is told.
    """

    graph: MigrationGraph
    state: ProjectState = field(default_factory=ProjectState)
    queries: dict[ModelKey, str | None] = field(default_factory=dict)
    changes: list[tuple[MigrationKey, Changes]] = field(default_factory=list)
    overtaken: dict[ModelKey, set[MigrationKey]] = field(default_factory=dict)
    _taken: list[tuple[MigrationKey, Taken]] = field(default_factory=list)
    _stored: dict[ModelKey, str] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: MigrationGraph, keys: Collection[MigrationKey] | None = None) -> History:
        """Go through migrations.

        Args:
            graph: all migrations of a project.
            keys: those to go through; None for all.
        """
        history = cls(graph)
        plan = dict.fromkeys(
            key for leaf in sorted(graph.leaf_nodes()) for key in graph.forwards_plan(leaf)
        )
        for key in plan:
            migration = graph.nodes[key]
            if migration is not None and (keys is None or key in keys):
                history._go_through(key, migration)
        return history

    def present(self, query: str, key: MigrationKey) -> str | None:
        """Return a query under present names, None if its text does not tell which they are.

        The text has the names of the migrations that come before its own in the graph. Others may
        have gone first all the same: a migration of another package does not know who reads what
        it changes.

        Args:
            query: one SELECT.
            key: the migration that stores it.
        """
        before = set(self.graph.forwards_plan(key))
        present: str | None = query
        for other, changes in self.changes:
            if present is not None and other not in before:
                present = changes.follow(present, self.state)
        return present

    def _go_through(self, key: MigrationKey, migration: Migration) -> None:
        for operation in migration.operations:
            for step in in_the_state(operation):
                self._apply(key, step)
                self._note_definitions(key)

    def _apply(self, key: MigrationKey, step: Operation) -> None:
        if taken := _taken_away(step, key[0], self.state):
            self._taken.append((key, taken))
            for tview, query in self.queries.items():
                if query is not None and _reads(query, taken, self.state):
                    self.overtaken[tview].add(key)
        changes = apply(step, key[0], self.state)
        if isinstance(step, RenameModel):
            old, new = (key[0], step.old_name_lower), (key[0], step.new_name_lower)
            if old in self._stored:
                self._stored[new] = self._stored.pop(old)
                self.queries[new] = self.queries.pop(old)
                self.overtaken[new] = self.overtaken.pop(old)
        if changes.renames:
            self.changes.append((key, changes))
            for tview, query in self.queries.items():
                if query is not None:
                    self.queries[tview] = changes.follow(query, self.state)

    def _note_definitions(self, key: MigrationKey) -> None:
        stored = {
            tview: model.query
            for tview, model in self.state.models.items()
            if isinstance(model, TViewState)
        }
        for tview, query in stored.items():
            if self._stored.get(tview) != query:
                self.queries[tview] = self.present(query, key)
                before = set(self.graph.forwards_plan(key))
                self.overtaken[tview] = {
                    other
                    for other, taken in self._taken
                    if other not in before and _reads(query, taken, self.state)
                }
        for tview in self._stored.keys() - stored.keys():
            del self.queries[tview], self.overtaken[tview]
        self._stored = stored


def present_query(
    operation: Operation, query: str, connection: BaseDatabaseWrapper, state: ProjectState
) -> str:
    """Return the query that an operation stores under the names that the tables have now.

    Migrations of other packages, and those that people write, do not wait for the TViews that read
    what they change. A new database may run them first, and then finds a text that is too old.

    Args:
        operation: an operation of a migration that is being applied, or taken back.
        query: the query as its migration has it.
        connection: the database.
        state: the project at this point.
    """
    if _fits(query, state):
        return query
    loader = MigrationLoader(connection)
    for key, migration in loader.graph.nodes.items():
        if migration is not None and any(each is operation for each in migration.operations):
            history = History.of(loader.graph, loader.applied_migrations)
            return history.present(query, key) or query
    return query


def _fits(query: str, state: ProjectState) -> bool:
    """Tell whether a project has all that a query names."""
    from .relational.builder import build_tree

    try:
        build_tree(query, facts_from_models(state.apps))
    except DependencyResolutionFailed:
        return False
    except TViewError:
        # Whatever else is wrong is not for here.
        return True
    return True


def apply(step: Operation, app_label: str, state: ProjectState) -> Changes:
    """Apply an operation to a state, and return what has another name afterwards.

    Args:
        step: the operation.
        app_label: its app.
        state: the project before it.
    """
    keys, successors = _touched(step, app_label, state)
    before = Layout.of(state, keys)
    step.state_forwards(app_label, state)
    if not keys:
        return Changes()
    after = Layout.of(state, map(successors.model, keys))
    return Changes.between(before, after, successors)


@dataclass(frozen=True)
class Taken:
    """What an operation takes away: a table, or only columns of it.

    Attributes:
        tables: the tables that go.
        columns: the columns that go from tables that stay.
        known: the columns of these tables.
    """

    tables: frozenset[RelationName]
    columns: frozenset[ColumnName]
    known: Mapping[RelationName, Collection[str]]


def _taken_away(step: Operation, app_label: str, state: ProjectState) -> Taken | None:
    match step:
        case DeleteModel():
            layout = Layout.of(state, {(app_label, step.name_lower)})
            gone = frozenset(map(_relation_name, layout.tables.values()))
            return Taken(gone, frozenset(), {}) if gone else None
        case RemoveField():
            key = (app_label, step.model_name_lower)
            layout = Layout.of(state, {key})
            if key not in layout.tables:
                return None
            relation = _relation_name(layout.tables[key])
            if (through := layout.tables.get((*key, step.name_lower))) is not None:
                return Taken(frozenset({_relation_name(through)}), frozenset(), {})
            column = layout.columns[key][step.name_lower]
            known = {relation: [name for name in layout.columns[key].values() if name]}
            gone_columns = frozenset({(relation, column)} if column else ())
            return Taken(frozenset(), gone_columns, known)
    return None


def reads_field(query: str, key: FieldKey, state: ProjectState) -> bool:
    """Tell whether a query reads a field, as far as its text tells.

    Args:
        query: one SELECT.
        key: the field.
        state: the project they are in.
    """
    app_label, model, name = key
    removal = RemoveField(model, name)
    taken = _taken_away(removal, app_label, state)
    return taken is None or _reads(query, taken, state) is not False


def _reads(query: str, taken: Taken, state: ProjectState) -> bool | None:
    """Tell whether a query reads what goes; None if its text does not tell."""
    from .relational.canonical import read_relations

    relations = set(read_relations(query))
    relations |= {(None, name) for _, name in relations}
    if relations & taken.tables:
        return True
    # A column is read where another name for it would be another text.
    renames = {column: f"{column[1]} (gone)" for column in taken.columns if column[0] in relations}
    changes = Changes(Renames({}, renames), {}, dict.fromkeys(renames, ("", "")), taken.known)
    without = changes.follow(query, state)
    return None if without is None else without != query


def _touched(
    step: Operation, app_label: str, state: ProjectState
) -> tuple[set[ModelKey], Successors]:
    """Return the models of the tables in which an operation may change a name."""
    match step:
        case RenameModel():
            old, new = (app_label, step.old_name_lower), (app_label, step.new_name_lower)
            return {old, *_pointing_to_many(old, state)}, Successors(models={old: new})
        case RenameField():
            model = (app_label, step.model_name_lower)
            old_field = (*model, step.old_name_lower)
            return {model}, Successors(fields={old_field: step.new_name_lower})
        case AlterField():
            return {(app_label, step.model_name_lower)}, Successors()
        case AlterModelTable():
            return {(app_label, step.name_lower)}, Successors()
        case AlterTView():
            # Its columns come and go with the output columns that feed them.
            key = (app_label, step.name_lower)
            return {key}, Successors(fields={(*key, name): None for name in _fields(state, key)})
    return set(), Successors()


def _fields(state: ProjectState, key: ModelKey) -> list[str]:
    return [name.lower() for name in state.models[key].fields]


def _pointing_to_many(key: ModelKey, state: ProjectState) -> set[ModelKey]:
    """Return the models with a field of many relations to a model, which names a column."""
    return {
        other
        for other, model in state.models.items()
        for relation in model.fields.values()
        if relation.many_to_many and resolve_relation(relation.remote_field.model, *other) == key
    }


def in_the_state(operation: Operation) -> list[Operation]:
    """Return what an operation does in the state."""
    if isinstance(operation, SeparateDatabaseAndState | RunSQL):
        return list(operation.state_operations)
    return [operation]


def in_the_database(operation: Operation) -> list[Operation]:
    """Return what an operation does in the database."""
    if isinstance(operation, SeparateDatabaseAndState):
        return list(operation.database_operations)
    return [operation]


def _relation_name(table: Table) -> RelationName:
    schema, name = table
    return schema or None, name
