"""What a TView says about itself, as a plain value.

A `Declaration` is everything the installer needs to know of a TView: its table, its key, the type
of every column and the output column of the query that feeds it. It is made from a model, whether
the model is the one in ``models.py`` or a historical one rendered from migration state, and it
never asks a database.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from django.db.backends.utils import split_identifier

from .errors import ConfigurationError, InvalidTViewName
from .text import object_name

if TYPE_CHECKING:
    from django.db.models import Field, Model

    from .models import TView


def stored_fields(model: type[Model]) -> dict[str, Field[Any, Any]]:
    """Return the fields of a model that are columns of its own table, by the column's name.

    A CompositePrimaryKey is not one of them: Django counts it among the concrete fields, but it
    only names others.
    """
    return {
        field.column: field
        for field in model._meta.local_concrete_fields
        if field.column is not None
    }


MODES = ("immediate", "deferred")


@dataclass(frozen=True)
class Maintenance:
    """How a TView is kept: the options of its inner class ``Maintenance``.

    Attributes:
        mode: when the table is brought up to date: ``"immediate"`` is after every statement,
            ``"deferred"`` is once per transaction, at COMMIT.
        allow_rebuild: whether a change that cannot be traced to keys may recompute the whole
            table.
        columns: the output column of the query for each field whose column has another name.
    """

    mode: str = "immediate"
    allow_rebuild: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ConfigurationError(
                f"Maintenance.mode is {self.mode!r}.",
                hint='It must be "immediate" or "deferred".',
            )
        if not isinstance(self.allow_rebuild, bool):
            raise ConfigurationError(
                f"Maintenance.allow_rebuild is {self.allow_rebuild!r}.",
                hint="It must be True or False.",
            )
        columns: object = self.columns
        if not isinstance(columns, Mapping) or not all(
            isinstance(name, str) for pair in columns.items() for name in pair
        ):
            raise ConfigurationError(
                f"Maintenance.columns is {self.columns!r}.",
                hint='It must map fields to output columns: {"name": "product_name"}.',
            )

    @classmethod
    def from_class(cls, declared: type | None) -> Maintenance:
        """Read the options off an inner class ``Maintenance``.

        Args:
            declared: the class, which may inherit options from others; None for all defaults.

        Raises:
            ConfigurationError: the class has a name that is no option, or a value of no use.
        """
        options: dict[str, Any] = {}
        for ancestor in reversed(declared.__mro__ if declared else ()):
            options |= {
                name: value for name, value in vars(ancestor).items() if not name.startswith("__")
            }
        known = [option.name for option in fields(cls)]
        for name in options:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                raise ConfigurationError(
                    f"Maintenance has an unknown option {name!r}.",
                    hint=f"Did you mean {near[0]}?" if near else f"Known are {', '.join(known)}.",
                )
        return cls(**options)

    def output(self, field: Field[Any, Any]) -> str:
        """Return the name of the output column that feeds a field."""
        return self.columns.get(field.name, str(field.column))

    def declared_options(self) -> dict[str, Any]:
        """Return the options that differ from their defaults, as a migration writes them."""
        default = Maintenance()
        return {
            option.name: getattr(self, option.name)
            for option in fields(self)
            if getattr(self, option.name) != getattr(default, option.name)
        }


@dataclass(frozen=True)
class Column:
    """A column of a TView's table.

    Attributes:
        name: the column's name in the TView's table.
        type: the SQL type the field declares, such as ``"numeric(12, 2)"``.
        nullable: whether the column accepts NULL.
        output: the output column of the query that feeds it.
    """

    name: str
    type: str
    nullable: bool
    output: str


@dataclass(frozen=True)
class Declaration:
    """What one TView says: its query and the table that is kept equal to it.

    Attributes:
        label: the model's label, such as ``"shop.ProductCard"``.
        table: the name of the TView's table.
        query: the query as canonical SQL.
        columns: the table's columns, in the order of the model's fields.
        key: the names of the columns that identify a row, in key order.
        mode: when the table is brought up to date: ``"immediate"`` is after every statement,
            ``"deferred"`` is once per transaction, at COMMIT.
        allow_rebuild: whether a change that cannot be traced to keys may recompute the
            whole table.
    """

    label: str
    table: str
    query: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    mode: str = "immediate"
    allow_rebuild: bool = False

    @property
    def view(self) -> str:
        """The name of the backing view, the plain view over the canonical query."""
        return object_name(self.table, "query")

    def is_same(self, other: Declaration) -> bool:
        """Tell whether another declaration differs in nothing but how its query is written."""
        from .relational.canonical import same_query

        return replace(self, query="") == replace(other, query="") and same_query(
            self.query, other.query
        )

    @classmethod
    def from_model(cls, model: type[TView]) -> Declaration:
        """Read the declaration off a TView model.

        Args:
            model: the model, from ``models.py`` or from migration state.

        Returns:
            The declaration, with the query in canonical form.

        Raises:
            InvalidQuery: If the query does not compile to one SELECT with named output columns.
            UnsupportedQuery: If the query uses a construct that cannot be kept.
            InvalidTViewName: If the table is declared with a schema.
        """
        from .query import canonical_query, pinned_connection

        connection = pinned_connection()
        options = model._meta
        if split_identifier(options.db_table)[0]:
            raise InvalidTViewName(
                f"{options.label}: db_table {options.db_table} names a schema.",
                hint="The table of a TView is made in the first schema of the search path, which "
                "OPTIONS of the database can set.",
                tview=options.label,
                table=options.db_table,
            )
        maintenance = model._maintenance
        return cls(
            label=options.label,
            table=options.db_table,
            query=canonical_query(model),
            columns=tuple(
                Column(
                    name=name,
                    type=str(column.db_type(connection)),
                    nullable=column.null,
                    output=maintenance.output(column),
                )
                for name, column in stored_fields(model).items()
            ),
            key=tuple(str(part.column) for part in options.pk_fields),
            mode=maintenance.mode,
            allow_rebuild=maintenance.allow_rebuild,
        )
