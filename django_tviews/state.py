"""TViews in migration state: what a migration knows of them, and what they read.

Here a TView reads models and fields, where its query reads tables and columns: migrations change
the former.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, cast

from django.db import models
from django.db.backends.utils import split_identifier, strip_quotes, truncate_name
from django.db.migrations.state import ModelState
from django.db.migrations.utils import resolve_relation

from .definition import Maintenance
from .models import DEFAULT_PERMISSIONS, TView
from .query import canonical_query
from .text import IDENTIFIER_BYTES, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from django.apps.registry import Apps
    from django.db.migrations.state import ProjectState

ModelKey: TypeAlias = tuple[str, str]
"""App label and lower-case name of a model: how migration state knows it."""

FieldKey: TypeAlias = tuple[str, str, str]
"""The key of a model and the lower-case name of one of its fields."""

Owner: TypeAlias = ModelKey | FieldKey
"""Whose a table is: a model's, or a field's of many relations."""

Table: TypeAlias = tuple[str, str]
"""Schema, "" if it is left open, and name of a table."""


_INHERITED_OPTIONS: Final[Mapping[str, object]] = {
    "abstract": False,
    "default_permissions": DEFAULT_PERMISSIONS,
}


DJANGO_OPTIONS: Final = words(
    """
    abstract app_label apps auto_created base_manager_name constraints db_table db_table_comment
    db_tablespace default_manager_name default_permissions default_related_name get_latest_by
    index_together indexes managed order_with_respect_to ordering permissions proxy
    required_db_features required_db_vendor select_on_save swappable unique_together verbose_name
    verbose_name_plural
    """
)
"""The Meta options that Django knows; packages add others, with operations of their own."""


class TViewState(ModelState):
    """A TView in migration state: a model with its query and how it is kept.

    Attributes:
        query: the query as SQL text.
        maintenance: the options of the inner class ``Maintenance``.
    """

    query: str = ""
    maintenance: Maintenance = Maintenance()

    def __init__(
        self,
        app_label: str,
        name: str,
        fields: Mapping[str, models.Field[Any, Any]] | Iterable[tuple[str, models.Field[Any, Any]]],
        options: dict[str, Any] | None = None,
        bases: Sequence[type | str] | None = None,
        managers: list[tuple[str, models.Manager[Any]]] | None = None,
    ) -> None:
        told = {
            option: value
            for option, value in (options or {}).items()
            # What every TView has, and Django writes down where a Meta is inherited.
            if option not in _INHERITED_OPTIONS or value != _INHERITED_OPTIONS[option]
        }
        super().__init__(app_label, name, dict(fields), told, bases or (TView,), managers)

    @classmethod
    def from_model(cls, model: type[models.Model], exclude_rels: bool = False) -> Self:
        """Return the state of a TView in ``models.py``.

        Args:
            model: the TView.
            exclude_rels: leave relations out, as Django does for apps without migrations.

        Raises:
            InvalidQuery: the query is not one SELECT whose output columns all have names.
            ConfigurationError: the query is of no known kind, or its file is not there.
        """
        tview = cast("type[TView]", model)
        state = cast("Self", super().from_model(model, exclude_rels))
        # Django looks through abstract bases, and so past TView.
        state.bases = tuple(TView if base is models.Model else base for base in state.bases)
        return state.with_definition(canonical_query(tview), tview._maintenance)

    def with_definition(self, query: str, maintenance: Maintenance) -> Self:
        """Set what a TView has more than a model, and return the state."""
        self.query = query
        self.maintenance = maintenance
        return self

    def clone(self) -> Self:
        """Return an exact copy."""
        return cast("Self", super().clone()).with_definition(self.query, self.maintenance)

    def render(self, apps: Apps) -> type[TView]:
        """Return the historical model, made in the given apps."""
        model: type[TView] = super().render(apps)
        model.query = self.query
        model._maintenance = self.maintenance
        return model

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TViewState)
            and super().__eq__(other)
            and self.query == other.query
            and self.maintenance == other.maintenance
        )

    # A state is changed in place, like its base class.
    __hash__ = None  # type: ignore[assignment]

    @property
    def django_options(self) -> dict[str, Any]:
        """The options that an operation on the TView sets."""
        return {name: value for name, value in self.options.items() if name in DJANGO_OPTIONS}

    @property
    def foreign_options(self) -> dict[str, Any]:
        """The options that operations of other packages have set."""
        return {name: value for name, value in self.options.items() if name not in DJANGO_OPTIONS}

    def columns(self) -> dict[str, str | None]:
        """Return the column of each field, by its name in lower case."""
        return _columns(self)

    @property
    def key(self) -> set[str]:
        """The names, in lower case, of the fields that are the primary key."""
        return {
            name.lower()
            for own_name, field in self.fields.items()
            if field.primary_key
            for name in getattr(field, "field_names", [own_name])
        }


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
                for name, value in self.tview.django_options.items()
                if value or name not in ("indexes", "constraints")
            },
            "bases": self.tview.bases,
            "managers": self.tview.managers,
            "reads": list(self.labels),
            **self.tview.maintenance.declared_options(),
        }


def readings(state: ProjectState, tviews: Mapping[ModelKey, TViewState]) -> dict[ModelKey, Reading]:
    """Return what each of some TViews reads.

    Args:
        state: the project they are in.
        tviews: the TViews.
    """
    if not tviews:
        return {}
    tables = {table: owner for owner, table in owned_tables(state, state.models).items()}
    return {key: _reading(state, tview, tables) for key, tview in tviews.items()}


def _reading(state: ProjectState, tview: TViewState, tables: Mapping[Table, Owner]) -> Reading:
    from .relational.canonical import read_relations

    names = column_names(tview.query)
    read: set[ModelKey] = set()
    fields: set[FieldKey] = set()
    for schema, relation in read_relations(tview.query):
        # Django's tables are in no schema by name; the query may name the one they are in.
        match tables.get((schema or "", relation)) or tables.get(("", relation)):
            case (app_label, model_name):
                read.add((app_label, model_name))
                fields |= {
                    (app_label, model_name, name)
                    for name, column in _columns(state.models[app_label, model_name]).items()
                    if names is None or column in names
                }
            case (app_label, model_name, field_name):
                read.add((app_label, model_name))
                fields.add((app_label, model_name, field_name))
    labels = sorted(f"{key[0]}.{state.models[key].name}" for key in read)
    return Reading(tview, tuple(labels), frozenset(read), frozenset(fields))


def owned_tables(state: ProjectState, keys: Iterable[ModelKey]) -> dict[Owner, Table]:
    """Return the tables of some models, those of their fields of many relations included.

    Args:
        state: the project they are in.
        keys: the models; proxies, which have no table, are left out.
    """
    tables: dict[Owner, Table] = {}
    for key in keys:
        model = state.models[key]
        if model.options.get("proxy"):
            continue
        table = model.options.get("db_table") or _shortened(f"{key[0]}_{key[1]}")
        tables[key] = split_identifier(table)
        for name, field in model.fields.items():
            relation: Any = field
            if relation.many_to_many and relation.remote_field.through is None:
                through = relation.db_table or _shortened(f"{strip_quotes(table)}_{name}")
                tables[*key, name.lower()] = split_identifier(through)
    return tables


def owned_columns(state: ProjectState, owner: Owner) -> dict[str, str | None]:
    """Return the columns of a table by the fields they belong to.

    Args:
        state: the project the table is in.
        owner: whose table it is.
    """
    match owner:
        case (app_label, model_name):
            return _columns(state.models[app_label, model_name])
        case (app_label, model_name, field_name):
            # As create_many_to_many_intermediary_model() in django.db.models.fields.related.
            relation: Any = field_with_key(state, (app_label, model_name, field_name))
            _, to = resolve_relation(relation.remote_field.model, app_label, model_name)
            near, far = (f"from_{to}", f"to_{to}") if to == model_name else (model_name, to)
            return {"id": "id", "near": f"{near}_id", "far": f"{far}_id"}


def field_with_key(state: ProjectState, key: FieldKey) -> models.Field[Any, Any]:
    """Return a field of a state, which knows it by its name as it is written.

    Args:
        state: the project it is in.
        key: of the field.
    """
    app_label, model_name, field_name = key
    fields = state.models[app_label, model_name].fields
    return next(field for name, field in fields.items() if name.lower() == field_name)


def _shortened(table: str) -> str:
    return truncate_name(table, IDENTIFIER_BYTES)


def _columns(model: ModelState) -> dict[str, str | None]:
    """Return the column of each field; the fields of a state do not know their names."""
    columns = {}
    for name, unnamed in model.fields.items():
        field = unnamed.clone()
        field.set_attributes_from_name(name)
        columns[name.lower()] = field.column
    return columns


def column_names(query: str) -> frozenset[str] | None:
    """Return all that can be the name of a column in a query, None if it may read any column.

    A name too many, from a string literal, only adds a dependency.
    """
    if re.search(r"(?<!\()\*|\bNATURAL\b", query):
        return None
    return frozenset(
        quoted.replace('""', '"') or bare.lower()
        for quoted, bare in re.findall(r'"((?:[^"]|"")+)"|([^\W\d][\w$]*)', query)
    )
