"""The models of a project at one moment: what models.py says, as values that edits replace.

Every table, column, TView and output has a *key* that stays when it is renamed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.db import models
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import Q

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .views import Helper, View

APPS: Final = ("able", "baker")
"""The two apps. Django migrates them in this order where it has the choice."""

TEXTS: Final = ("text", "char", "code")
NUMBERS: Final = ("integer", "bigint", "decimal")

ALTERED_KINDS: Final = {
    "text": ("char", "integer"),
    "char": ("text", "integer"),
    "integer": ("bigint", "text", "decimal"),
    "bigint": ("integer", "decimal"),
    "decimal": ("bigint",),
    "boolean": (),
    "code": (),
    "fk": (),
}
"""What a column of a kind may become: PostgreSQL casts everything that the tests write."""

DEFAULTS: Final[dict[str, tuple[Any, ...]]] = {
    "text": ("0", "7"),
    "char": ("0", "7"),
    "integer": (0, 7),
    "bigint": (0, 7),
    "decimal": (0, 7),
    "boolean": (False, True),
}


def quoted(name: str) -> str:
    """Write a name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def field_of(kind: str, **options: Any) -> models.Field[Any, Any]:
    """A field for values of a kind."""
    match kind:
        case "text":
            return models.TextField(**options)
        case "char":
            return models.CharField(max_length=40, **options)
        case "code":
            return models.CharField(max_length=20, **options)
        case "integer":
            return models.IntegerField(**options)
        case "bigint":
            return models.BigIntegerField(**options)
        case "decimal":
            return models.DecimalField(max_digits=20, decimal_places=2, **options)
        case "boolean":
            return models.BooleanField(**options)
    raise AssertionError(kind)


@dataclass(frozen=True)
class Column:
    """A field of a model, except the primary key and relations to many.

    Attributes:
        key: stays when the field is renamed.
        name: of the field.
        kind: ``"text"``, ``"char"``, ``"integer"``, ``"bigint"``, ``"decimal"``, ``"boolean"``;
            ``"code"``, a text of which every row has another one; or ``"fk"``.
        null: whether it may be NULL.
        default: which of the two defaults of its kind it has.
        db_column: as in the field.
        collation: ``db_collation`` of the field.
        indexed: ``db_index`` of the field, or ``unique`` for a code.
        target: the key of the table that an "fk" points to.
        former: the names that table and column have had: Django's indexes keep them.
    """

    key: str
    name: str
    kind: str
    null: bool = True
    default: int = 0
    db_column: str | None = None
    collation: str | None = None
    indexed: bool = False
    target: str | None = None
    former: frozenset[tuple[str, str]] = field(default=frozenset(), compare=False)

    @property
    def sql_name(self) -> str:
        """The name of the column in the database."""
        return self.db_column or (f"{self.name}_id" if self.target else self.name)

    def field(self, project: Project) -> models.Field[Any, Any]:
        """The field as models.py has it."""
        options: dict[str, Any] = {"null": self.null, "db_column": self.db_column}
        if self.target:
            target = project.table(self.target)
            return models.ForeignKey(target.label, models.CASCADE, related_name="+", **options)
        if self.kind == "code":
            return field_of("code", unique=self.indexed, **options)
        if self.kind in TEXTS and self.collation:
            options["db_collation"] = self.collation
        default = DEFAULTS[self.kind][self.default]
        return field_of(self.kind, default=default, db_index=self.indexed, **options)


@dataclass(frozen=True)
class Many:
    """A relation to many.

    Attributes:
        key: stays when the field is renamed.
        name: of the field.
        target: the key of the table that it points to.
        former: the names that the table between has had, as in `Column`.
    """

    key: str
    name: str
    target: str
    former: frozenset[tuple[str, str]] = field(default=frozenset(), compare=False)


@dataclass(frozen=True)
class Table:
    """An ordinary model.

    Attributes:
        key: stays when the model is renamed.
        app: its app label.
        name: of the model.
        columns: its fields.
        many: its relations to many.
        db_table: as in Meta.
        indexed: the key of a column with an index in Meta.
        checked: the key of a column that a constraint in Meta is about.
        big_key: whether the primary key is a bigint.
    """

    key: str
    app: str
    name: str
    columns: tuple[Column, ...] = ()
    many: tuple[Many, ...] = ()
    db_table: str | None = None
    indexed: str | None = None
    checked: str | None = None
    big_key: bool = True

    @property
    def label(self) -> str:
        """The label of the model."""
        return f"{self.app}.{self.name}"

    @property
    def sql_name(self) -> str:
        """The name of the table in the database."""
        return self.db_table or f"{self.app}_{self.name.lower()}"

    def column(self, key: str) -> Column:
        """Return the column with a key."""
        return next(column for column in self.columns if column.key == key)

    def indexes(self) -> dict[str, tuple[str, str]]:
        """Return what Django names indexes after: table and column, by key."""
        columns = [each for each in self.columns if each.indexed or each.target]
        found = {each.key: (self.sql_name, each.sql_name) for each in columns}
        return found | {each.key: (f"{self.sql_name}_{each.name}", "") for each in self.many}

    def cleaned(self) -> Table:
        """Return the table without an index or a constraint on a column that is gone."""
        keys = {column.key for column in self.columns}
        return replace(
            self,
            indexed=self.indexed if self.indexed in keys else None,
            checked=self.checked if self.checked in keys else None,
        )

    def state(self, project: Project) -> ModelState:
        """The model as the autodetector sees it."""
        key = models.BigAutoField if self.big_key else models.AutoField
        fields: list[tuple[str, models.Field[Any, Any]]] = [("id", key(primary_key=True))]
        fields += [(column.name, column.field(project)) for column in self.columns]
        fields += [
            (each.name, models.ManyToManyField(project.table(each.target).label, related_name="+"))
            for each in self.many
        ]
        options: dict[str, Any] = {"indexes": [], "constraints": []}
        if self.db_table:
            options["db_table"] = self.db_table
        if self.indexed:
            name = self.column(self.indexed).name
            options["indexes"] = [models.Index(fields=[name], name=f"{self.key}_index")]
        if self.checked:
            column = self.column(self.checked)
            options["constraints"] = [
                models.UniqueConstraint(fields=["id", column.name], name=f"{self.key}_unique"),
                models.CheckConstraint(condition=Q(id__gte=0), name=f"{self.key}_check"),
            ]
        return ModelState(self.app, self.name, fields, options)


class Seen(NamedTuple):
    """A column as a query sees it."""

    name: str
    kind: str
    null: bool = False
    collation: str | None = None


@dataclass(frozen=True)
class Readable:
    """A relation as a query sees it.

    Attributes:
        app: where it is declared.
        name: in the database.
        columns: its columns by key; the primary key has the key ``"id"``.
    """

    app: str
    name: str
    columns: dict[str, Seen] = field(default_factory=dict)


@dataclass(frozen=True)
class Project:
    """What models.py of all apps say, and the helper views that migrations have made.

    Attributes:
        tables: the ordinary models.
        views: the TViews; each reads only those before it.
        helpers: plain views, made by RunSQL.
        pointed: the keys of tables to which a model of another app has pointed that no longer does.
    """

    tables: tuple[Table, ...] = ()
    views: tuple[View, ...] = ()
    helpers: tuple[Helper, ...] = ()
    pointed: frozenset[str] = frozenset()

    def table(self, key: str) -> Table:
        """Return the table with a key."""
        return next(table for table in self.tables if table.key == key)

    def view(self, key: str) -> View:
        """Return the TView with a key."""
        return next(view for view in self.views if view.key == key)

    def find(self, key: str) -> Any:
        """Return whatever has a key, None if nothing has."""
        for table in self.tables:
            for thing in (table, *table.columns, *table.many):
                if thing.key == key:
                    return thing
        for view in self.views:
            for each in (view, *view.outputs):
                if each.key == key:
                    return each
        return next((helper for helper in self.helpers if helper.key == key), None)

    def changed(self, key: str, change: Callable[[Any], Any]) -> Project:
        """Return the project with another thing, or none, in place of the one with a key.

        Args:
            key: of the thing.
            change: makes of it what takes its place; None takes it away.
        """

        def each(things: tuple[Any, ...]) -> tuple[Any, ...]:
            found = (change(thing) if thing.key == key else thing for thing in things)
            return tuple(thing for thing in found if thing is not None)

        return replace(
            self,
            tables=tuple(
                replace(table, columns=each(table.columns), many=each(table.many))
                for table in each(self.tables)
            ),
            views=tuple(replace(view, outputs=each(view.outputs)) for view in each(self.views)),
            helpers=each(self.helpers),
        )

    def without(self, key: str) -> Project:
        """Return the project without a thing, without what points to it and what is about it."""
        left = self.changed(key, lambda _: None)
        for table in left.tables:
            for thing in (*table.columns, *table.many):
                if thing.target == key:
                    left = left.changed(thing.key, lambda _: None)
        return replace(left, tables=tuple(table.cleaned() for table in left.tables))

    def after(self, before: Project) -> Project:
        """Return the project with what it still has of an earlier one: names of indexes, history."""
        lost = before.pointers() - self.pointers()
        left = replace(self, pointed=self.pointed | {target for _, target in lost})
        now = {key: name for table in self.tables for key, name in table.indexes().items()}
        for table in before.tables:
            for key, name in table.indexes().items():
                if now.get(key) != name:
                    left = left.changed(
                        key, lambda thing, name=name: replace(thing, former=thing.former | {name})
                    )
        return left

    def pointers(self) -> set[tuple[str, str]]:
        """Return what points to tables of other apps: its key, and that of the table."""
        apps = {table.key: table.app for table in self.tables}
        return {
            (each.key, each.target)
            for table in self.tables
            for each in (*table.columns, *table.many)
            if each.target and apps[each.target] != table.app
        }

    def readables(self) -> dict[str, Readable]:
        """Return everything that a query may read, by key."""
        found: dict[str, Readable] = {}
        for table in self.tables:
            found[table.key] = Readable(
                table.app,
                table.sql_name,
                {"id": Seen("id", "bigint")}
                | {
                    each.key: Seen(each.sql_name, each.kind, each.null, each.collation)
                    for each in table.columns
                },
            )
            for many in table.many:
                found[many.key] = Readable(
                    table.app,
                    f"{table.sql_name}_{many.name}",
                    {
                        "id": Seen("id", "bigint"),
                        "left": Seen(f"{table.name.lower()}_id", "fk"),
                        "right": Seen(f"{self.table(many.target).name.lower()}_id", "fk"),
                    },
                )
        for helper in self.helpers:
            found[helper.key] = Readable(helper.app, helper.name, dict(helper.columns))
        for view in self.views:
            found[view.key] = Readable(view.app, view.sql_name, view.columns(found))
        return found

    def target_of(self, relation: str, column: str) -> str | None:
        """Return the table that a column of a relation points to."""
        for table in self.tables:
            for many in table.many:
                if many.key == relation:
                    return {"left": table.key, "right": many.target}.get(column)
            if table.key == relation and column != "id":
                return table.column(column).target
        return None

    def repaired(self) -> Project:
        """Return the project without what reads something that is not there.

        This is what somebody does who looks through the queries after a change of the models.
        """
        views: list[View] = []
        for view in self.views:
            known = replace(self, views=tuple(views))
            left = view.without_what_is_gone(known)
            if left is not None:
                views.append(left)
        return replace(self, views=tuple(views))

    def state(self, stale: Iterable[tuple[Project, str]] = ()) -> ProjectState:
        """The state of the models, as the autodetector sees them.

        Args:
            stale: TViews, by key, that are still as they were in an earlier project.
        """
        readables = self.readables()
        states: list[ModelState] = [table.state(self) for table in self.tables]
        states += [view.state(self, readables) for view in self.views]
        found = {(state.app_label, state.name_lower): state for state in states}
        for project, key in stale:
            state = project.view(key).state(project, project.readables())
            found[state.app_label, state.name_lower] = state
        return ProjectState(found)


def keep(values: Iterable[Any], wanted: Callable[[Any], bool]) -> tuple[Any, ...]:
    """Return those that are wanted."""
    return tuple(value for value in values if wanted(value))
