"""The table of a TView, altered in place.

Rows, grants, comments, policies, publications and whatever depends on the table survive, because
it stays the same table.
"""

from __future__ import annotations

import re
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from django.db import models
from django.db.backends.ddl_references import Statement

from . import catalog
from .definition import stored_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.models import Field

    from .models import TView

_Named = TypeVar("_Named", models.Index, models.BaseConstraint)

_NUMERIC: Final = re.compile(r"numeric\((\d+), ?(\d+)\)")


class TableAlteration:
    """Brings the table of a TView from one definition to another, in two steps.

    Before the refill it takes away whatever the rows that are there now, or those that come, might
    break: what is new comes in without constraints. After the refill it adds these.

    Args:
        schema_editor: of the database.
        old: the model as the table is.
        new: the model as the table is to be.
    """

    def __init__(
        self, schema_editor: BaseDatabaseSchemaEditor, old: type[TView], new: type[TView]
    ) -> None:
        self.schema_editor = schema_editor
        self.old = old
        self.new = new
        self.old_fields = stored_fields(old)
        self.new_fields = stored_fields(new)
        self._identifies = False

    @cached_property
    def rekeyed(self) -> bool:
        """Whether the rows are told apart by other columns, or by other values of them."""
        return self._key(self.old) != self._key(self.new)

    @cached_property
    def moves_rows(self) -> bool:
        """Whether columns come or go, change their type or become the key."""
        return self.rekeyed or (
            {name: self._type(field) for name, field in self.old_fields.items()}
            != {name: self._type(field) for name, field in self.new_fields.items()}
        )

    @cached_property
    def retyped(self) -> list[str]:
        """The columns that PostgreSQL gives another type, or another collation."""
        return [
            column
            for column, field in self.new_fields.items()
            if column in self.old_fields
            and column not in self.replaced
            and self._type(field) != self._type(self.old_fields[column])
        ]

    @cached_property
    def alters_table(self) -> bool:
        """Whether others must not read the table meanwhile."""
        return (
            self.moves_rows
            or self.old._meta.db_table != self.new._meta.db_table
            or any(
                field.null != self.old_fields[column].null
                for column, field in self.new_fields.items()
            )
        )

    @cached_property
    def fills_first(self) -> bool:
        """Whether columns are NOT NULL only after the refill."""
        return any(map(self._is_filled_first, self.new_fields.values()))

    def before_refill(self) -> None:
        """Rename the table, and let it take the old rows and the new ones."""
        before, after = self.old._meta, self.new._meta
        for constraint in self._constraints.gone:
            self.schema_editor.remove_constraint(self.old, constraint)
        for index in self._indexes.gone:
            self.schema_editor.remove_index(self.old, index)
        self.schema_editor.alter_unique_together(
            self.old, before.unique_together, self._unique_together_kept
        )
        if self.rekeyed:
            self._drop_primary_key()
        self.schema_editor.alter_db_table(self.new, before.db_table, after.db_table)
        for column, field in self.old_fields.items():
            if column not in self.new_fields or column in self.replaced:
                self._drop_column(field)
        for column, field in self.new_fields.items():
            if column in self.old_fields and column not in self.replaced:
                self.schema_editor.alter_field(
                    self.new, self._without_key(self.old_fields[column]), self._loose(field)
                )
            else:
                self.schema_editor.add_field(self.new, self._loose(field))

    def after_refill(self) -> None:
        """Add what only the new rows fulfil."""
        before, after = self.old._meta, self.new._meta
        self._tighten()
        self.schema_editor.alter_unique_together(
            self.new, self._unique_together_kept, after.unique_together
        )
        for index in self._indexes.come:
            self.schema_editor.add_index(self.new, index)
        for constraint in self._constraints.come:
            self.schema_editor.add_constraint(self.new, constraint)
        if before.db_table_comment != after.db_table_comment:
            self.schema_editor.alter_db_table_comment(
                self.new, before.db_table_comment, after.db_table_comment
            )

    @cached_property
    def replaced(self) -> set[str]:
        """The columns whose old values are of no use for the new type."""
        types = {
            column: (str(self._type(self.old_fields[column])[0]), str(self._type(field)[0]))
            for column, field in self.new_fields.items()
            if column in self.old_fields
        }
        changed = {column: pair for column, pair in types.items() if pair[0] != pair[1]}
        convertible = catalog.implicit_casts(self.schema_editor.connection, changed.values())
        return {
            column
            for column, pair in changed.items()
            if pair not in convertible or _loses_digits(*pair)
        }

    @cached_property
    def _constraints(self) -> _Changed[models.BaseConstraint]:
        return _changed(
            self.old._meta.constraints, self.new._meta.constraints, rebuilt=bool(self.replaced)
        )

    @cached_property
    def _indexes(self) -> _Changed[models.Index]:
        return _changed(self.old._meta.indexes, self.new._meta.indexes, rebuilt=bool(self.replaced))

    @cached_property
    def _unique_together_kept(self) -> list[Sequence[str]]:
        if self.replaced:
            return []
        kept = self.new._meta.unique_together
        return [fields for fields in self.old._meta.unique_together if fields in kept]

    def _type(self, field: Field[Any, Any]) -> tuple[str | None, str | None]:
        parameters = field.db_parameters(self.schema_editor.connection)
        return parameters["type"], parameters.get("collation")

    def _key(self, model: type[TView]) -> list[tuple[object, ...]]:
        return [(field.column, *self._type(field)) for field in model._meta.pk_fields]

    def _without_key(self, field: Field[Any, Any]) -> Field[Any, Any]:
        """Take the key away from a field, if the table has none meanwhile."""
        plain = copy(field)
        if self.rekeyed and field.primary_key:
            # The index of the key served it, too.
            plain.primary_key, plain._unique, plain.db_index = False, False, False  # type: ignore[attr-defined]
            # Fields remember what they have been asked for.
            vars(plain).pop("unique", None)
        return plain

    def _loose(self, field: Field[Any, Any]) -> Field[Any, Any]:
        """Let the column of a field take NULL, if it has to until the rows are filled."""
        loose = self._without_key(field)
        loose.null = loose.null or self._is_filled_first(field)
        # What the query gives is stored, and nothing else.
        loose.default = models.NOT_PROVIDED
        return loose

    def _is_filled_first(self, field: Field[Any, Any]) -> bool:
        """Tell whether NOT NULL can hold only after the refill."""
        column = str(field.column)
        return not field.null and (
            column not in self.old_fields or column in self.replaced or self.old_fields[column].null
        )

    def _drop_primary_key(self) -> None:
        editor, table = self.schema_editor, self.old._meta.db_table
        quoted = editor.quote_name
        name, self._identifies, _ = catalog.primary_key(editor.connection, quoted(table))
        changes = [f"DROP CONSTRAINT {quoted(name)}"]
        if self._identifies:
            # Else PostgreSQL would refuse to delete rows of a published table.
            changes.append("REPLICA IDENTITY FULL")
        editor.execute(f"ALTER TABLE {quoted(table)} {', '.join(changes)}", params=None)
        for field in self.old._meta.pk_fields:
            if field.unique and self._like_index(self.old, field) is not None:
                index = editor._create_index_name(table, [field.column], suffix="_like")  # type: ignore[attr-defined]
                editor.execute(editor._delete_index_sql(self.old, index))  # type: ignore[attr-defined]

    def _drop_column(self, field: Field[Any, Any]) -> None:
        """Drop a column, unless a view reads it: Django 5.2 would drop the view as well."""
        table, column = self.new._meta.db_table, str(field.column)
        quoted = self.schema_editor.quote_name
        self.schema_editor.execute(
            f"ALTER TABLE {quoted(table)} DROP COLUMN {quoted(column)}", params=None
        )
        self.schema_editor.deferred_sql = [
            statement
            for statement in self.schema_editor.deferred_sql
            if not (isinstance(statement, Statement) and statement.references_column(table, column))
        ]

    def _tighten(self) -> None:
        quoted = self.schema_editor.quote_name
        # In one statement, which reads the rows once.
        changes = [
            f"ALTER COLUMN {quoted(column)} SET NOT NULL"
            for column, field in self.new_fields.items()
            if self._is_filled_first(field)
        ]
        if self.rekeyed:
            key = ", ".join(quoted(str(field.column)) for field in self.new._meta.pk_fields)
            changes.append(f"ADD PRIMARY KEY ({key})")
        if self._identifies:
            changes.append("REPLICA IDENTITY DEFAULT")
        if changes:
            table = quoted(self.new._meta.db_table)
            self.schema_editor.execute(f"ALTER TABLE {table} {', '.join(changes)}", params=None)
        if self.rekeyed:
            for field in self.new._meta.pk_fields:
                if field.unique and (index := self._like_index(self.new, field)) is not None:
                    self.schema_editor.execute(index)

    def _like_index(self, model: type[TView], field: Field[Any, Any]) -> Statement | None:
        """The index with which Django accompanies a key of text, for LIKE."""
        statement: Statement | None = self.schema_editor._create_like_index_sql(model, field)  # type: ignore[attr-defined]
        return statement


def _loses_digits(old: str, new: str) -> bool:
    """Tell whether a numeric type has fewer places before the point than another."""
    match _NUMERIC.fullmatch(old), _NUMERIC.fullmatch(new):
        case re.Match() as wide, re.Match() as narrow:
            return int(narrow[1]) - int(narrow[2]) < int(wide[1]) - int(wide[2])
    return _NUMERIC.fullmatch(new) is not None


class _Changed(NamedTuple, Generic[_Named]):
    gone: list[_Named]
    come: list[_Named]


def _changed(old: Sequence[_Named], new: Sequence[_Named], *, rebuilt: bool) -> _Changed[_Named]:
    """Tell which go and which come; all do if columns that they may be on are rebuilt."""
    if rebuilt:
        return _Changed(list(old), list(new))
    return _Changed(
        [item for item in old if item not in new],
        [item for item in new if item not in old],
    )
