"""From the output columns of a query to the fields of a TView, as ``inspectdb`` goes from tables.

Types are mapped by Django's own introspection, and by ``inspectdb``'s rules for what it leaves
open. What Django cannot know is added: arrays and ranges, and which columns are relations.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.core.management.commands.inspectdb import Command as InspectDB
from django.db import models
from django.db.backends.utils import split_identifier

from .models import TView
from .query import pinned_connection
from .sqltypes import can_be_key, keeps_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

    from .facts import RelationFacts
    from .relational.tree import Output

# Django's introspection knows the types that its own fields have on every database.
_OWN_OF_POSTGRES: Final = {
    "int4range": "IntegerRangeField",
    "int8range": "BigIntegerRangeField",
    "numrange": "DecimalRangeField",
    "daterange": "DateRangeField",
    "tstzrange": "DateTimeRangeField",
    "tsvector": "SearchVectorField",
    "json": "JSONField",
}

_SEARCH: Final = {"SearchVectorField"}
"""Those of them that are not in ``django.contrib.postgres.fields``."""

_MANY_DIGITS: Final = {"max_digits": 100, "decimal_places": 20}
"""What stands for a numeric of any size where Django wants limits."""

_ROUNDED: Final = (
    "The query computes a numeric of any size; "
    f"it is rounded to {_MANY_DIGITS['decimal_places']} decimal places."
)


@dataclass(frozen=True)
class InspectedField:
    """A field of a TView, as Python writes it.

    Attributes:
        name: its name.
        column: the output column that feeds it.
        type: the class of the field, such as ``"models.TextField"``.
        computed: the type of the output column, as PostgreSQL writes it.
        nullable: the structure of the query does not rule out NULL.
        positional: its positional arguments, as source text.
        arguments: its keyword arguments.
        notes: what there is to know about it.
    """

    name: str
    column: str
    type: str
    computed: str
    nullable: bool
    positional: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def is_relation(self) -> bool:
        """Whether it points to another model."""
        return self.type in ("models.ForeignKey", "models.OneToOneField")

    @property
    def imported(self) -> tuple[str, str]:
        """What its source needs: a module, and a name from it."""
        package, _, name = self.type.rpartition(".")
        if package:
            return "django.db", package
        return f"django.contrib.postgres.{'search' if name in _SEARCH else 'fields'}", name

    @property
    def attribute(self) -> str:
        """The name of the attribute that has the value of the column."""
        return f"{self.name}_id" if self.is_relation else self.name


@dataclass(frozen=True)
class Described:
    """What the database says of one output column.

    Attributes:
        row: its description by Django's introspection.
        element: for an array, the same of its elements.
        type: the SQL type.
    """

    row: Any
    element: Any
    type: str


def plain_field(
    connection: BaseDatabaseWrapper, described: Described, output: Output
) -> InspectedField:
    """Return the field for the type of an output column, whatever it means.

    Args:
        connection: to the database.
        described: what the database says of the column.
        output: what the compiler says of it.
    """
    type_, arguments, notes = _type(connection, described.row, described.type)
    positional: tuple[str, ...] = ()
    if described.element is not None:
        of, of_arguments, notes = _type(connection, described.element, described.type[:-2])
        type_, arguments = "ArrayField", {}
        positional = (call(of, (), of_arguments),)
    plain = InspectedField(
        name=described.row.name,
        column=described.row.name,
        type=type_,
        computed=described.type,
        nullable=output.nullable,
        positional=positional,
        arguments=arguments,
        notes=tuple(notes),
    )
    declared = db_type(plain)
    if not notes and declared and not keeps_values(declared, described.type):
        plain = replace(plain, notes=(f"The query computes {described.type}.",))
    return plain


def _type(
    connection: BaseDatabaseWrapper, row: Any, type_sql: str
) -> tuple[str, dict[str, Any], list[str]]:
    """Return the class of a field, its arguments, and what there is to say about them."""
    if type_sql in _OWN_OF_POSTGRES:
        name = _OWN_OF_POSTGRES[type_sql]
        return f"models.{name}" if hasattr(models, name) else name, {}, []
    name, arguments, notes = InspectDB().get_field_type(connection, type_sql, row)
    if notes and name == "DecimalField":
        if getattr(connection.features, "supports_no_precision_decimalfield", False):
            return f"models.{name}", {}, []
        return f"models.{name}", dict(_MANY_DIGITS), [_ROUNDED]
    if notes:
        notes = [f"The query computes {type_sql}, for which Django has no field."]
    return f"models.{name}", arguments, notes


def db_type(inspected: InspectedField) -> str | None:
    """Return the SQL type of the column that a plain field makes; None for an array."""
    if inspected.positional:
        return None
    module, _ = inspected.imported
    field_class = attrgetter(inspected.type)(import_module(module))
    made: models.Field[Any, Any] = field_class(**inspected.arguments)
    return made.db_type(pinned_connection())


def may_be_key(inspected: InspectedField) -> bool:
    """Tell whether a plain field can be part of a primary key."""
    declared = db_type(inspected)
    return (
        not inspected.nullable
        and declared is not None
        and can_be_key(declared)
        and keeps_values(declared, inspected.computed)
    )


def with_relations(
    fields: Sequence[InspectedField],
    outputs: Sequence[tuple[Output, RelationFacts | None]],
    key: tuple[str, ...],
) -> list[InspectedField]:
    """Make relations of the fields that show a model's primary key or a foreign key to one.

    Args:
        fields: plain fields.
        outputs: for each of them what the compiler says of its output column, and the relation
            of the base column that it shows, or None.
        key: the names of the columns that identify a row.
    """
    by_table = {
        split_identifier(model._meta.db_table): model
        for model in apps.get_models(include_auto_created=True)
        if not model._meta.proxy
    }
    made = []
    for plain, (output, relation) in zip(fields, outputs, strict=True):
        column = output.expression.column
        target = None
        if relation is not None and column is not None:
            model = by_table.get((relation.schema or "", relation.name)) or by_table.get(
                ("", relation.name)
            )
            target = model and _target(model, column.name)
        if target is not None and _fits(target, plain):
            plain = _relation(plain, target, is_key=key == (plain.column,))  # noqa: PLW2901
        made.append(plain)
    return _with_reverse_names(made)


def _target(model: type[models.Model], column: str) -> type[models.Model] | None:
    """Return the model whose primary key a column of a model's table has."""
    for each in model._meta.local_concrete_fields:
        if each.column != column:
            continue
        if isinstance(each, models.ForeignKey):
            return each.related_model if each.target_field.primary_key else None
        identifies = each.primary_key and not model._meta.auto_created
        return model if identifies and not issubclass(model, TView) else None
    return None


def _fits(target: type[models.Model], plain: InspectedField) -> bool:
    """Tell whether the column can be a reference to a model's primary key, by its type."""
    if len(target._meta.pk_fields) > 1:
        return False
    declared = target._meta.pk.db_type(pinned_connection())
    return declared is not None and keeps_values(declared, plain.computed)


def _relation(plain: InspectedField, target: type[models.Model], *, is_key: bool) -> InspectedField:
    return replace(
        plain,
        # Not one of the names a relation gets from its column.
        name=f"{target._meta.model_name}_id" if plain.column == "id" else plain.name,
        type="models.OneToOneField" if is_key else "models.ForeignKey",
        positional=(f'"{target._meta.label}"', "models.DO_NOTHING"),
        arguments={"db_constraint": False},
        notes=(),
    )


def _with_reverse_names(fields: Sequence[InspectedField]) -> list[InspectedField]:
    """Leave out the way back where two relations would have it by one name."""
    targets = [each.positional[0] for each in fields if each.is_relation]
    return [
        replace(each, arguments={**each.arguments, "related_name": "+"})
        if each.is_relation and targets.count(each.positional[0]) > 1
        else each
        for each in fields
    ]


def with_names(fields: Iterable[InspectedField]) -> list[InspectedField]:
    """Give the fields names that Python and Django take, and their columns where these differ."""
    named: list[InspectedField] = []
    taken: list[str] = []
    for each in fields:
        name, arguments, notes = InspectDB().normalize_col_name(each.name, taken, each.is_relation)
        # Django takes "id" for a primary key only.
        reserved = name == "query" or (name == "id" and "primary_key" not in each.arguments)
        while reserved or name in taken or hasattr(TView, name):
            name, reserved = f"{name}_field", False
        renamed = replace(each, name=name)
        arguments.pop("db_column", None)
        if renamed.attribute != each.column:
            arguments["db_column"] = each.column
        taken += [name, renamed.attribute]
        named.append(
            replace(
                renamed,
                arguments={**each.arguments, **arguments},
                notes=(*each.notes, *notes),
            )
        )
    return named


def call(name: str, positional: Iterable[str], arguments: Mapping[str, Any]) -> str:
    """Write a call as Python source."""
    return f"{name}({', '.join(arguments_of(positional, arguments))})"


def arguments_of(positional: Iterable[str], arguments: Mapping[str, Any]) -> list[str]:
    """Write the arguments of a call as Python source."""
    return [*positional, *(f"{key}={quoted(value)}" for key, value in arguments.items())]


def quoted(value: object) -> str:
    """Write a value as Python source, text in double quotes."""
    if isinstance(value, str) and '"' not in value and value.isprintable():
        return f'"{value}"' if "\\" not in value else repr(value)
    return repr(value)
