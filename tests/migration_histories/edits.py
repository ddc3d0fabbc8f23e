"""What somebody does to a project in one step, and what anybody would not do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from django.db.migrations.operations import RenameField, RunPython, RunSQL

from .data import rewrite_able, rewrite_baker
from .project import Column, Many, Project, Table, quoted
from .views import Helper, Output, Source, View

if TYPE_CHECKING:
    from django.db.migrations.migration import Migration
    from django.db.migrations.operations.base import Operation

REWRITES: Final = {"able": rewrite_able, "baker": rewrite_baker}
RENAMING: Final = ("name", "db_column", "db_table", "identity_name")


@dataclass(frozen=True)
class Set:
    """Change one attribute of the thing with a key."""

    key: str
    name: str
    value: Any

    def apply(self, project: Project) -> Project:
        """Return the project after the edit."""
        return project.changed(self.key, lambda thing: replace(thing, **{self.name: self.value}))


@dataclass(frozen=True)
class Add:
    """Add a thing: a table, a TView, a helper view; or a part, to the thing with a key."""

    thing: Any
    to: str | None = None

    def apply(self, project: Project) -> Project:
        """Return the project after the edit."""
        match self.thing:
            case Table():
                return replace(project, tables=(*project.tables, self.thing))
            case View():
                return replace(project, views=(*project.views, self.thing))
            case Helper():
                return replace(project, helpers=(*project.helpers, self.thing))
        attribute = {Column: "columns", Many: "many", Output: "outputs", Source: "sources"}
        name = attribute[type(self.thing)]
        assert self.to is not None
        return project.changed(
            self.to, lambda thing: replace(thing, **{name: (*getattr(thing, name), self.thing)})
        )


@dataclass(frozen=True)
class Remove:
    """Remove the thing with a key, and what points to it."""

    key: str

    def apply(self, project: Project) -> Project:
        """Return the project after the edit."""
        return project.without(self.key)


@dataclass(frozen=True)
class Write:
    """Write a migration by hand, with SQL that no model says anything of.

    Attributes:
        table: the key of the table concerned.
        forwards: the SQL, with {} for the table.
        backwards: what undoes it.
    """

    table: str
    forwards: str
    backwards: str

    def apply(self, project: Project) -> Project:
        """Return the project as it is."""
        return project


@dataclass(frozen=True)
class Rename:
    """Rename a field in SQL, in a migration written by hand that tells the state.

    Attributes:
        key: of the column.
        name: the new name.
    """

    key: str
    name: str

    def apply(self, project: Project) -> Project:
        """Return the project after the edit."""
        return project.changed(self.key, lambda thing: replace(thing, name=self.name))

    def operation(self, before: Project) -> tuple[str, Operation]:
        """Return the operation that does it, and its app."""
        table = next(each for each in before.tables if self.key in {c.key for c in each.columns})
        old, new = table.column(self.key), self.apply(before).find(self.key)
        renaming = f"ALTER TABLE {quoted(table.sql_name)} RENAME COLUMN {{}} TO {{}}"
        return table.app, RunSQL(
            renaming.format(quoted(old.sql_name), quoted(new.sql_name)),
            renaming.format(quoted(new.sql_name), quoted(old.sql_name)),
            [RenameField(table.name, old.name, new.name)],
        )

    def is_alone(self, before: Project, step: Step) -> bool:
        """Tell whether it renames a column, and nothing else is done to tables in a step."""
        old, new = before.find(self.key), self.apply(before).find(self.key)
        return (
            isinstance(old, Column)
            and old.sql_name != new.sql_name
            and all(
                isinstance(edit, Set | Remove) and isinstance(before.find(edit.key), View | Output)
                for edit in step.edits
                if edit is not self
            )
        )


Edit = Set | Add | Remove | Write | Rename


@dataclass(frozen=True)
class Step:
    """What goes into the migrations of one run of makemigrations.

    Attributes:
        edits: what is changed in models.py, or written by hand.
        careful: whether the queries are looked through after that. Else a TView may go on reading
            what is no longer there; then something has to refuse.
        data: where data migrations are added to what makemigrations wrote: ``"before"``,
            ``"after"``, ``"between"``, or "".
        atomic: whether the migrations stay atomic.
    """

    edits: tuple[Edit, ...]
    careful: bool = True
    data: str = ""
    atomic: bool = True

    def project(self, before: Project) -> Project:
        """Return the project after the step, with queries that nobody has looked through."""
        after = before
        for edit in self.edits:
            after = edit.apply(after)
        return after.after(before)

    def renames(self, before: Project) -> list[str]:
        """Return the old names of models and fields that are renamed."""
        return [
            thing.name
            for edit in self.edits
            if isinstance(edit, Set) and edit.name == "name" and (thing := before.find(edit.key))
        ]

    def edit(self, migration: Migration) -> None:
        """Edit what makemigrations has written."""
        migration.atomic = self.atomic
        rewrite = REWRITES.get(migration.app_label)
        places = {"before": 0, "between": len(migration.operations) // 2, "after": 99}
        if self.data and rewrite:
            migration.operations.insert(places[self.data], RunPython(rewrite, rewrite))

    def by_hand(self, before: Project, after: Project) -> list[tuple[str, Operation]]:
        """Return the operations that somebody writes by hand, and the apps they are in."""
        found: list[tuple[str, Operation]] = []
        for edit in self.edits:
            match edit:
                case Write(key, forwards, backwards) if table := before.find(key):
                    name = quoted(table.sql_name)
                    operation = RunSQL(forwards.format(name), backwards.format(name))
                    found.append((table.app, operation))
                case Rename():
                    found.append(edit.operation(before))
                case Add(Helper() as helper) if helper in after.helpers:
                    create = f"CREATE VIEW {quoted(helper.name)} AS {helper.definition}"
                    drop = f"DROP VIEW {quoted(helper.name)}"
                    found.append((helper.app, RunSQL(create, drop)))
        return found


def stale_views(before: Project, after: Project) -> dict[str, bool]:
    """Return the TViews, by key, that were changed only because others have changed.

    The value tells whether the TView, as it was, can no longer be kept at all.
    """
    repaired = after.repaired()
    found: dict[str, bool] = {}
    views = {view.key: view for view in repaired.views}
    for view in before.views:
        if view not in after.views:
            continue
        if views.get(view.key) != view or any(found.get(key) for key in view.reads()):
            found[view.key] = True
        elif view.state(before, before.readables()) != view.state(repaired, repaired.readables()):
            found[view.key] = False
    return found


def is_sensible(before: Project, step: Step) -> bool:
    """Tell whether somebody would do this, and Django alone could."""
    after = step.project(before)
    if not _is_valid(after) or not _is_valid(after.repaired()):
        return False
    for edit in step.edits:
        # It is written by hand, for the table as it is before what makemigrations writes.
        if isinstance(edit, Add) and isinstance(edit.thing, Helper):
            table = before.find(edit.thing.table)
            if table is None or table != after.find(table.key):
                return False
    for helper in before.helpers:
        # PostgreSQL itself refuses what a plain view of the project's own reads.
        if not _serves(after, before, helper):
            return False
    if not _django_can(before, after):
        return False
    in_sql = [edit for edit in step.edits if isinstance(edit, Rename)]
    if not all(edit.is_alone(before, step) for edit in in_sql):
        return False
    if not step.careful:
        gone = {edit.name for edit in step.edits if isinstance(edit, Set)} & set(RENAMING)
        gone |= {edit.name for edit in in_sql}
        stale = stale_views(before, after)
        pointing = any(each.pointing for key in stale for each in before.view(key).outputs)
        return bool(stale) and not gone and not pointing
    return True


def _django_can(before: Project, after: Project) -> bool:
    """Tell whether Django can make out which models and fields are renamed, and migrate that.

    Nothing else of the field, or of the fields of the model, may change; nothing new may point to
    the model; and no index or constraint may be about the field. In a new database a model may be
    gone, or renamed, before the migration of another app that has once pointed to it.
    """
    old_tables = {table.key: table for table in before.tables}
    names = {table.key: table.name for table in after.tables}
    if any(
        names.get(key) != table.name for key, table in old_tables.items() if key in before.pointed
    ):
        return False
    for table in after.tables:
        if (old := old_tables.get(table.key)) is None:
            continue
        if table.name != old.name and (
            not _same_fields(old, table) or _pointing(after, table) != _pointing(before, table)
        ):
            return False
        columns = {column.key: column for column in old.columns}
        for column in table.columns:
            # Django drops the index for LIKE under a name that it has no more.
            was = columns.get(column.key, column)
            if column.former and was.indexed and _retyped(was, column):
                return False
        renamed = [
            column
            for column in table.columns
            if column.key in columns and columns[column.key].name != column.name
        ]
        if not renamed:
            continue
        if (
            len(renamed) > 1
            or table.name != old.name
            or {column.key for column in table.columns} != columns.keys()
        ):
            return False
        (new_column,) = renamed
        old_column = columns[new_column.key]
        if new_column.key in {table.indexed, table.checked, old.indexed, old.checked}:
            return False
        kept = replace(new_column, name=old_column.name, db_column=old_column.db_column)
        if kept != old_column or new_column.db_column not in {
            old_column.db_column,
            old_column.sql_name,
        }:
            return False
    return True


def _retyped(old: Column, new: Column) -> bool:
    return (old.kind, old.collation) != (new.kind, new.collation)


def _pointing(project: Project, table: Table) -> list[Column | Many]:
    return [
        each
        for other in project.tables
        for each in (*other.columns, *other.many)
        if each.target == table.key
    ]


def _same_fields(old: Table, new: Table) -> bool:
    return (old.columns, old.many, old.big_key) == (new.columns, new.many, new.big_key)


def _serves(after: Project, before: Project, helper: Helper) -> bool:
    if helper not in after.helpers:
        # Views are dropped by nobody here; the tables under them stay.
        return False
    table = after.find(helper.table)
    if table is None or table.app != before.table(helper.table).app:
        return False
    old = before.table(helper.table)
    return all(
        key == "id" or key in {column.key for column in table.columns} for key in helper.read
    ) and all(_type(after, table, key) == _type(before, old, key) for key in helper.read)


def _type(project: Project, table: Table, key: str) -> tuple[object, ...]:
    """Return what decides of which type a column is; one that points has that of its target."""
    if key == "id":
        return (table.big_key,)
    column = table.column(key)
    if column.target:
        return (project.table(column.target).big_key,)
    return column.kind, column.collation


def _is_valid(project: Project) -> bool:
    """Tell whether the names are free and everything is where it belongs."""
    models = [(each.app, each.name.lower()) for each in (*project.tables, *project.views)]
    relations = [each.name for each in project.readables().values()]
    if len({*models}) < len(models) or len({*relations}) < len(relations):
        return False
    indexes = {key: name for table in project.tables for key, name in table.indexes().items()}
    for table in project.tables:
        for each in (*table.columns, *table.many):
            # A name of an index may be taken by one that has kept it.
            if any(indexes[key] in each.former for key in indexes.keys() - {each.key}):
                return False
        fields = [each.name for each in (*table.columns, *table.many)]
        columns = [column.sql_name for column in table.columns] + ["id"]
        if len({*fields}) < len(fields) or len({*columns}) < len(columns):
            return False
        if any(column.target and project.find(column.target) is None for column in table.columns):
            return False
        if any(many.target == table.key for many in table.many):
            return False
    helpers = {helper.key: helper.app for helper in project.helpers}
    for view in project.views:
        names = [view.identity_name, *(output.name for output in view.outputs)]
        names += [f"{output.name}_id" for output in view.outputs if output.pointing]
        shown = [view.identity_name, *(each.output or each.column_name for each in view.outputs)]
        if len({*names}) < len(names) or len({*shown}) < len(shown):
            return False
        if view.identity is None and not view.outputs:
            return False
        # Only the order of one app's migrations tells that a helper view comes first.
        if any(helpers.get(key, view.app) != view.app for key in view.reads()):
            return False
    return True
