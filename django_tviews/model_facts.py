"""The facts of tables as models declare them, for when no database can be asked.

makemigrations and check run without one, and sqlmigrate prints migrations whose tables do not
exist yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist
from django.db.backends.utils import split_identifier
from django.db.models import GeneratedField, UniqueConstraint

from .facts import ColumnFacts, Facts, RelationFacts
from .query import pinned_connection, query_sql, with_literals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.apps.registry import Apps
    from django.db.models import Field, Model

    from .facts import RelationName


def facts_from_models(apps: Apps) -> Facts:
    """Return the facts of every table that the models of a registry declare.

    Args:
        apps: the project's registry, or that of a migration state.
    """
    relations: dict[RelationName, RelationFacts] = {}
    for model in apps.get_models(include_auto_created=True):
        if model._meta.proxy:
            continue
        relation = _relation(model)
        relations[relation.schema, relation.name] = relation
    return Facts(relations, tview_depths=_depths(apps))


def _depths(apps: Apps) -> dict[RelationName, int]:
    """How many TViews lie below each TView of a registry."""
    from .models import TView
    from .relational.canonical import read_relations

    reads = {
        table_of(model): read_relations(query_sql(model))
        for model in apps.get_models()
        if issubclass(model, TView)
    }
    depths: dict[RelationName, int] = {}
    # A cycle, which the graph reports, leaves its TViews without a depth.
    for _ in reads:
        for name, read in reads.items():
            below = [each for each in read if each in reads]
            if all(each in depths for each in below):
                depths[name] = max((depths[each] for each in below), default=-1) + 1
    return depths


def table_of(model: type[Model]) -> RelationName:
    """Return the schema, if it is named, and the name of a model's table."""
    return relation_called(model._meta.db_table)


def relation_called(table: str) -> RelationName:
    """Split what Django calls a table; ``schema"."name`` is how projects put a schema into it."""
    schema, name = split_identifier(table)
    return schema or None, name


def _relation(model: type[Model]) -> RelationFacts:
    schema, name = table_of(model)
    primary_key = _primary_key(model)
    columns = [
        column
        for field in model._meta.local_concrete_fields
        if (column := _column(field, primary_key)) is not None
    ]
    keys = [primary_key, *_unique_keys(model)]
    not_null = {column.name for column in columns if column.not_null}
    return RelationFacts(
        schema,
        name,
        columns=tuple(columns),
        keys=tuple(dict.fromkeys(key for key in keys if key and set(key) <= not_null)),
    )


def _primary_key(model: type[Model]) -> tuple[str, ...]:
    """Return the columns of the primary key; none if the model does not tell them.

    Migration state has models with ``managed = False`` without their relations, and a
    CompositePrimaryKey may name one.
    """
    try:
        return _columns(model._meta.pk_fields)
    except FieldDoesNotExist:
        return ()


def _column(field: Field[Any, Any], primary_key: tuple[str, ...]) -> ColumnFacts | None:
    type_sql = field.db_type(pinned_connection())
    # A CompositePrimaryKey is a concrete field without a column of its own.
    if type_sql is None or field.column is None:
        return None
    return ColumnFacts(
        field.column,
        type_sql,
        not_null=not field.null or field.column in primary_key,
        # Which collations are deterministic only the server knows.
        deterministic=getattr(field, "db_collation", None) is None,
        generation=_generation(field),
    )


def _generation(field: Field[Any, Any]) -> str | None:
    # The types of Django's stubs know no options of GeneratedField.
    if not isinstance(field, GeneratedField) or getattr(field, "db_persist", True):
        return None
    return with_literals(*field.generated_sql(pinned_connection()))


def _unique_keys(model: type[Model]) -> list[tuple[str, ...]]:
    options = model._meta
    names: list[tuple[str, ...]] = [
        (field.name,) for field in options.local_concrete_fields if field.unique
    ]
    names += [tuple(fields) for fields in options.unique_together]
    names += [
        tuple(constraint.fields)
        for constraint in options.constraints
        if isinstance(constraint, UniqueConstraint)
        and constraint.fields
        and constraint.condition is None
        and constraint.deferrable is None
    ]
    return [_columns(options.get_field(name) for name in key) for key in names]


def _columns(fields: Iterable[Any]) -> tuple[str, ...]:
    return tuple(field.column for field in fields)
