"""Which operations of a ``makemigrations`` run have to come first, and why.

Django's autodetector orders operations by dependencies on others. Those of TViews are not on what
creates or removes a model or a field only: what a query reads must be there, and must stay there
until the query is told.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from django.db.migrations import operations
from django.db.migrations.autodetector import OperationDependency
from django.db.migrations.operations.fields import FieldOperation

from .operations import AlterTView, FollowRenames, RenameTView
from .query import pinned_connection
from .sqltypes import keeps_values

if TYPE_CHECKING:
    from django.db.migrations.operations.base import Operation
    from django.db.models import Field

    from .state import FieldKey, Owner

Change: TypeAlias = OperationDependency.Type
"""What a dependency says has to happen."""


class Needs(OperationDependency):
    """A TView reads a model, or a field: all that creates or changes it comes first."""


class Named(OperationDependency):
    """A query follows the new name of a model, or of a field: what gives the name comes first."""


class Releases(OperationDependency):
    """A TView has read what goes: altering or deleting the TView comes first."""


class Prepared(OperationDependency):
    """A TView, or what its query reads, has another name: the state has to know it first."""


class Follows(OperationDependency):
    """TViews of another app have read what changes: the migrations of that app come first.

    Their queries are stored as SQL text, which fits what the migration found. A database that is
    built from nothing must not find more. The same goes for a model of another app that points to
    a TView under the name that it has had.
    """


@dataclass(frozen=True)
class Alteration:
    """A field that stays, and is another one than before.

    Attributes:
        old_key: its key before all changes.
        new_key: its key after them.
        old: as it was.
        new: as it is now.
    """

    old_key: FieldKey
    new_key: FieldKey
    old: Field[Any, Any]
    new: Field[Any, Any]

    def retypes(self) -> bool:
        """Tell whether what showed the old column cannot show the new one, nor the reverse."""
        return _type_family(self.old) != _type_family(self.new)

    def unsettles(self, key: Alteration) -> bool:
        """Tell whether a key of a TView that has shown the old column cannot show the new one.

        Args:
            key: the alteration of the key itself.
        """
        fields = (key.old, self.old, self.new)
        if any(field.is_relation for field in fields):
            # What it points to decides of its type.
            return False
        declared, before, after = map(_type, fields)
        return keeps_values(declared, before) and not keeps_values(declared, after)

    def loosens(self) -> bool:
        """Tell whether the column may be NULL from now on."""
        return bool(self.new.null and not self.old.null)


def _type(field: Field[Any, Any]) -> str:
    return str(field.db_type(pinned_connection()))


def _type_family(field: Field[Any, Any]) -> tuple[str | None, str | None]:
    """Return the types among which PostgreSQL assigns as it likes, and the collation."""
    if field.is_relation:
        return None, None
    name, *_ = re.split(r"\W", _type(field))
    return _TYPE_FAMILIES.get(name, name), getattr(field, "db_collation", None)


_TYPE_FAMILIES: Final = {
    **dict.fromkeys(("varchar", "text"), "text"),
    **dict.fromkeys(("smallint", "integer", "bigint", "numeric", "double"), "number"),
}


def dependencies_of(operation: Operation) -> list[OperationDependency]:
    """Return the dependencies of an operation, to be extended in place."""
    dependencies: list[OperationDependency] = operation._auto_deps  # type: ignore[attr-defined]
    return dependencies


def changed_model(operation: Operation) -> str | None:
    """Return the lower-case name of the model whose table an operation changes, if any."""
    match operation:
        case FieldOperation():
            return operation.model_name_lower
        case operations.RenameModel():
            return operation.old_name_lower
        case operations.DeleteModel() | operations.AlterModelTable() | AlterTView():
            return operation.name_lower
    return None


def altered_model(app_label: str, operation: operations.AlterField | AlterTView) -> tuple[str, ...]:
    """Return the key of the field, or of the model, that an operation alters."""
    if isinstance(operation, AlterTView):
        return (app_label, operation.name_lower)
    return (app_label, operation.model_name_lower, operation.name_lower)


def named_by(operation: Operation, app_label: str) -> Owner | None:
    """Return the model or field that an operation may give a new name, under that name."""
    match operation:
        case operations.RenameField():
            return (app_label, operation.model_name_lower, operation.new_name_lower)
        case operations.AlterField():
            return (app_label, operation.model_name_lower, operation.name_lower)
        case operations.RenameModel():
            return (app_label, operation.new_name_lower)
        case operations.AlterModelTable() | AlterTView():
            return (app_label, operation.name_lower)
    return None


def prepares(operation: Operation, prepared: Prepared) -> bool:
    """Tell whether an operation gives a TView its new name, or its query new names."""
    if isinstance(operation, RenameTView):
        return operation.new_name_lower == prepared.model_name_lower
    return (
        isinstance(operation, FollowRenames)
        and prepared.type is Change.ALTER
        and operation.name_lower == prepared.model_name_lower
    )


def renames_to(operation: Operation, dependency: OperationDependency) -> bool:
    """Tell whether an operation makes a TView, which others point to, known under its name."""
    return (
        isinstance(operation, RenameTView)
        and dependency.type is Change.CREATE
        and dependency.field_name is None
        and operation.new_name_lower == dependency.model_name_lower
    )


def named_owner(owner: Owner) -> Named:
    """Return the dependency on what gives a model or a field its new name."""
    app_label, model, *name = owner
    return Named(app_label, model, name[0] if name else None, Change.ALTER)


def owner_of(dependency: OperationDependency) -> Owner:
    """Return the model or the field that a dependency is about."""
    app_label, model, name, _ = dependency
    return (app_label, model) if name is None else (app_label, model, name)


def provides(operation: Operation, needs: Needs) -> bool:
    """Tell whether an operation creates or changes a model, or a field, that a TView needs."""
    if needs.field_name is None:
        match operation:
            case operations.CreateModel() | operations.AlterModelTable() | AlterTView():
                return operation.name_lower == needs.model_name_lower
            case operations.RenameModel():
                return operation.new_name_lower == needs.model_name_lower
        return False
    match operation:
        case operations.AddField() | operations.AlterField():
            name = operation.name_lower
        case operations.RenameField():
            name = operation.new_name_lower
        case _:
            return False
    return operation.model_name_lower == needs.model_name_lower and name == needs.field_name_lower
