"""The indexes that maintenance looks rows up by, and those of them that are missing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.apps import apps

from . import catalog
from .model_facts import table_of
from .plan.routes import NoRoute, Route
from .relational.tree import ColumnOf
from .sql.quoting import identifier, relation_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import Model

    from .facts import RelationFacts, RelationName
    from .plan.plan import Plan
    from .relational.tree import Expression

# What is left of a condition that equates two columns when these are taken out.
_EQUATES: Final = re.compile(r"[(\s]*(=|OPERATOR\([^()]*=\))[\s)]*")


@dataclass(frozen=True)
class IndexAdvice:
    """An index that would spare the maintenance a scan of a whole table.

    Attributes:
        table: the table, with its schema.
        columns: the columns by which its rows are looked up; one of them must come first.
        statement: the SQL that creates the index.
        model: the label of the model whose table it is, if migrations manage it.
        declaration: what to add to that model's ``Meta.indexes``, so that makemigrations finds it.
    """

    table: str
    columns: tuple[str, ...]
    statement: str
    model: str | None = None
    declaration: str | None = None

    def __str__(self) -> str:
        """Write it for people: the SQL, and on a line of its own what Django's migrations need."""
        if self.model is None:
            return self.statement
        return (
            f"{self.statement}\n"
            f"or, for makemigrations, in Meta.indexes of {self.model}: {self.declaration}"
        )


def missing_indexes(connection: BaseDatabaseWrapper, plan: Plan) -> Iterator[IndexAdvice]:
    """Find where maintenance looks up rows of a table by columns that no index begins with.

    Args:
        connection: to the database of the TView.
        plan: of the TView.
    """
    lookups = list(dict.fromkeys(_lookups(plan)))
    names = {(relation.schema, relation.name) for relation, _ in lookups}
    oids = catalog.resolve(connection, names)
    models = _models(catalog.current_schema(connection))
    indexed = catalog.indexed_columns(connection, oids.values())
    for relation, columns in lookups:
        oid = oids[relation.schema, relation.name]
        if indexed.get(oid, frozenset()).isdisjoint(columns):
            yield IndexAdvice(
                relation.full_name,
                columns,
                f"CREATE INDEX CONCURRENTLY ON {relation_name(relation)} "
                f"({', '.join(map(identifier, columns))});",
                *_declared(models.get((relation.schema, relation.name)), columns),
            )


def _models(current_schema: str) -> dict[RelationName, type[Model]]:
    """Return the models whose tables migrations manage, by schema and name of the table."""
    return {
        (schema or current_schema, name): model
        for model in apps.get_models()
        if model._meta.managed and not model._meta.proxy
        for schema, name in [table_of(model)]
    }


def _declared(model: type[Model] | None, columns: tuple[str, ...]) -> tuple[str | None, str | None]:
    """Return the model's label and the index as Python has it; nothing if fields are unknown."""
    if model is None:
        return None, None
    names = {field.column: field.name for field in model._meta.local_concrete_fields}
    if not names.keys() >= set(columns):
        return None, None
    fields = ", ".join(f'"{names[column]}"' for column in columns)
    return model._meta.label, f"models.Index(fields=[{fields}])"


def _lookups(plan: Plan) -> Iterator[tuple[RelationFacts, tuple[str, ...]]]:
    """Return by which columns the maintenance looks up rows of which tables.

    Routing goes from the changed row to the key, recomputing from the key to the rows: each join
    on a route is walked both ways, and at its end rows are found by the key.
    """
    for source in plan.sources:
        for route in source.routes:
            if isinstance(route, NoRoute):
                continue
            yield from _lookups_of(route)


def _lookups_of(route: Route) -> Iterator[tuple[RelationFacts, tuple[str, ...]]]:
    relations = {
        occurrence.number: occurrence.relation
        for occurrence in (route.occurrence, *(step.occurrence for step in route.steps))
    }
    wanted: dict[tuple[int, int], list[str]] = {}
    for step in route.steps:
        for condition in step.conditions:
            pair = _equated(condition)
            if pair is not None:
                one, other = pair
                wanted.setdefault((one.occurrence, other.occurrence), []).append(one.name)
                wanted.setdefault((other.occurrence, one.occurrence), []).append(other.name)
    # Where no value is replaced by NULL, the key is columns of the relations on the route.
    for expression in route.keys[0]:
        if (column := expression.column) is not None:
            wanted.setdefault((column.occurrence, 0), []).append(column.name)
    computed = {step.occurrence.number for step in route.steps if step.occurrence.computed}
    for (occurrence, _), columns in wanted.items():
        if occurrence not in computed:
            yield relations[occurrence], tuple(columns)


def _equated(condition: Expression) -> tuple[ColumnOf, ColumnOf] | None:
    """Return the two columns of different relations that a condition equates, if it is such."""
    columns = [part for part in condition.parts if isinstance(part, ColumnOf)]
    text = "".join(part for part in condition.parts if isinstance(part, str))
    if len(columns) != 2 or not _EQUATES.fullmatch(text):  # noqa: PLR2004
        return None
    one, other = columns
    return None if one.occurrence == other.occurrence else (one, other)
