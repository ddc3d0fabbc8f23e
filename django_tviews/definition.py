"""What a TView says about itself, as a plain value.

A `Declaration` is everything the installer needs to know of a TView: its table, its key, the type
of every column and the output column of the query that feeds it. It is made from a model, whether
the model is the one in ``models.py`` or a historical one rendered from migration state, and it
never asks a database.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_tviews.models import TView

IDENTIFIER_BYTES = 63
"""The longest identifier PostgreSQL keeps (NAMEDATALEN - 1), in bytes."""


def object_name(table: str, suffix: str) -> str:
    """Name a database object that belongs to a table, within PostgreSQL's 63 bytes.

    A name that would be too long is cut and carries a digest of the whole, so that two long names
    with the same beginning stay apart (PostgreSQL itself would cut both to the same name).

    Args:
        table (str): The name of the table the object belongs to.
        suffix (str): What the object is, such as ``"query"``.

    Returns:
        str: ``<table>_<suffix>``, or a shortened form of it.
    """
    name = f"{table}_{suffix}"
    if len(name.encode()) <= IDENTIFIER_BYTES:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    tail = f"_{digest}_{suffix}"
    head = table.encode()[: IDENTIFIER_BYTES - len(tail.encode())].decode(errors="ignore")
    return head + tail


@dataclass(frozen=True)
class Column:
    """A column of a TView's table.

    Attributes:
        name (str): The column's name in the TView's table.
        type (str): The SQL type the field declares, such as ``"numeric(12, 2)"``.
        nullable (bool): Whether the column accepts NULL.
        output (str): The output column of the query that feeds it.
    """

    name: str
    type: str
    nullable: bool
    output: str


@dataclass(frozen=True)
class Declaration:
    """What one TView says: its query and the table that is kept equal to it.

    Attributes:
        label (str): The model's label, such as ``"shop.ProductCard"``.
        table (str): The name of the TView's table.
        query (str): The query as canonical SQL.
        columns (tuple[Column, ...]): The table's columns, in the order of the model's fields.
        key (tuple[str, ...]): The names of the columns that identify a row, in key order.
        mode (str): When the table is brought up to date; ``"immediate"`` is after every statement.
        allow_rebuild (bool): Whether a change that cannot be traced to keys may recompute the
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

    @classmethod
    def from_model(cls, model: type[TView]) -> Declaration:
        """Read the declaration off a TView model.

        Args:
            model (type[TView]): The model, from ``models.py`` or from migration state.

        Returns:
            Declaration: The declaration, with the query in canonical form.

        Raises:
            InvalidQuery: If the query does not compile to one SELECT with named output columns.
            UnsupportedQuery: If the query uses a construct that cannot be kept.
        """
        from django_tviews.query import canonical_query, pinned_connection

        connection = pinned_connection()
        options = model._meta
        maintenance = model._maintenance
        columns = []
        for field in options.local_concrete_fields:
            type_ = field.db_type(connection)
            # A CompositePrimaryKey is a concrete field without a column of its own.
            if type_ is None or field.column is None:
                continue
            columns.append(
                Column(
                    name=field.column,
                    type=type_,
                    nullable=field.null,
                    output=maintenance.output(field),
                )
            )
        return cls(
            label=options.label,
            table=options.db_table,
            query=canonical_query(model),
            columns=tuple(columns),
            key=tuple(field.column for field in options.pk_fields),
            mode=maintenance.mode,
            allow_rebuild=maintenance.allow_rebuild,
        )
