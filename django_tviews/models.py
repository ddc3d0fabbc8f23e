"""`TView`, the model whose table PostgreSQL keeps equal to a query.

To Django it is a model like any other, except that nothing in Python may write to it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn, Self, TypeVar

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models.signals import class_prepared
from django.dispatch import receiver

from .definition import Maintenance
from .errors import ConfigurationError, TViewReadOnly

if TYPE_CHECKING:
    from collections.abc import Callable

    from .query import Query

__all__ = ["TView", "TViewManager", "TViewQuerySet"]

_Model_co = TypeVar("_Model_co", bound=models.Model, covariant=True)
_Class = TypeVar("_Class", bound=type)

_SYNCHRONOUS_WRITES: Final = frozenset(
    {
        "bulk_create",
        "bulk_update",
        "create",
        "delete",
        "get_or_create",
        "save",
        "update",
        "update_or_create",
    }
)

WRITES: Final = (
    _SYNCHRONOUS_WRITES
    | {f"a{name}" for name in _SYNCHRONOUS_WRITES}
    # What Django itself calls, past the public methods.
    | {"_insert", "_raw_delete", "_update"}
)
"""The names of everything on a model, a manager or a QuerySet that writes."""


DEFAULT_PERMISSIONS: Final = ("view",)
"""The permissions on a TView that does not declare others."""


def _read_only(cls: _Class) -> _Class:
    """Replace what a class has of `WRITES` by refusals."""
    for name in WRITES:
        if (method := getattr(cls, name, None)) is not None:
            setattr(cls, name, _refusal(method))
    return cls


def _refusal(method: Callable[..., Any]) -> Callable[..., NoReturn]:
    # An asynchronous method refuses when it is called, too; there is nothing to wait for.
    @functools.wraps(method)
    def refuse(self: models.Model | models.QuerySet[Any, Any], *_: Any, **__: Any) -> NoReturn:
        model = self.model if isinstance(self, models.QuerySet) else type(self)
        raise TViewReadOnly(
            f"{model._meta.label} is a TView and cannot be written: {method.__name__}().",
            hint="Write to the models its query reads; PostgreSQL keeps the TView equal to it.",
            tview=model._meta.label,
            table=model._meta.db_table,
        )

    return refuse


@_read_only
class TViewQuerySet(models.QuerySet[_Model_co, _Model_co]):
    """A QuerySet that only reads.

    A TView with a QuerySet of its own derives it from this one.
    """


class TViewManager(models.Manager[_Model_co]):
    """A manager whose QuerySets only read.

    A TView with a manager of its own derives it from this one, or makes it with
    ``TViewManager.from_queryset(...)`` or ``TViewQuerySet.as_manager()``.
    """

    _queryset_class = TViewQuerySet


@_read_only
class TView(models.Model):
    """A model whose table PostgreSQL itself keeps equal to a query.

        class ProductCard(TView):
            product = models.OneToOneField(
                Product, models.DO_NOTHING, primary_key=True, db_constraint=False
            )
            name = models.TextField()
            reviews = models.IntegerField()

            @staticmethod
            def query():
                return Product.objects.values(
                    "name", product_id=F("pk"), reviews=Count("review")
                )

    Declare one field for each output column of the query; the primary key names the columns that
    identify a row. ``makemigrations`` and ``migrate`` do the rest. Read it like any other model.
    Everything that writes raises `TViewReadOnly`.

    Attributes:
        query: the query: a staticmethod that returns a QuerySet, SQL text, or `SQLFile`.
        Maintenance: how the table is kept, an optional inner class; see
            `django_tviews.definition.Maintenance` for its options.

    Raises:
        ConfigurationError: while the class is created, if it has no query or an option of
            ``Maintenance`` is unknown or has a value that cannot be used.
    """

    query: ClassVar[Query]
    _maintenance: ClassVar[Maintenance] = Maintenance()

    objects: ClassVar[TViewManager[Self]] = TViewManager()

    class Meta:
        """What is in force for every TView; a Meta of its own need not inherit from this one."""

        abstract = True
        default_permissions = DEFAULT_PERMISSIONS

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A historical model gets its options from the migration state that renders it.
        if not is_historical(cls):
            with_name = f"{cls.__module__}.{cls.__qualname__}"
            try:
                cls._maintenance = Maintenance.from_class(getattr(cls, "Maintenance", None))
            except ConfigurationError as error:
                raise ConfigurationError(f"{with_name}: {error.message}", hint=error.hint) from None

    def _save_table(self, raw: bool = False, *_: Any, **__: Any) -> bool:
        # Everything Django has that saves one object ends here, also what is not a method of
        # ours: loaddata calls Model.save_base(raw=True). The rows of a fixture are ignored,
        # because the triggers make them from the other rows, in whatever order they load.
        if not raw:
            TView.save(self)
        return True


def is_historical(model: type[models.Model]) -> bool:
    """Tell whether a model was rendered from migration state."""
    return model.__module__ == "__fake__"


@receiver(class_prepared, dispatch_uid="django_tviews.models")
def _refuse_incomplete(sender: type[models.Model], **_: Any) -> None:
    """Refuse a TView that could not be kept, as soon as its fields are known.

    ``__init_subclass__`` runs too early for this: Django adds ``_meta`` and the fields after it,
    and abstract classes need no query.
    """
    if not issubclass(sender, TView) or sender._meta.proxy or is_historical(sender):
        return
    label = sender._meta.label
    if isinstance(_field(sender, "query"), models.Field):
        raise ConfigurationError(
            f'{label} has a field named "query", which hides the query of the TView.',
            hint='Give the field another name and set db_column="query".',
            tview=label,
        )
    if not hasattr(sender, "query"):
        raise ConfigurationError(
            f"{label} has no query.",
            hint="Add a staticmethod query() that returns a QuerySet, or query = 'SELECT ...'.",
            tview=label,
        )
    if sender._meta.parents:
        raise ConfigurationError(
            f"{label} inherits from a model with a table of its own.",
            hint="Derive it from TView and abstract models only.",
            tview=label,
        )
    for name in sender._maintenance.columns:
        if _field(sender, name) is None:
            raise ConfigurationError(
                f'{label}: Maintenance.columns names "{name}", which is not a field.',
                hint="Its keys are fields, its values are output columns of the query.",
                tview=label,
            )


@receiver(class_prepared, dispatch_uid="django_tviews.models.permissions")
def _allow_no_writes(sender: type[models.Model], **_: Any) -> None:
    """Make no permission to write where a Meta of its own does not ask for one."""
    if issubclass(sender, TView) and "default_permissions" not in sender._meta.original_attrs:
        sender._meta.default_permissions = DEFAULT_PERMISSIONS


def _field(model: type[models.Model], name: str) -> object | None:
    try:
        return model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
