"""A schema editor that keeps TViews exact while tables that they read change.

Django has one class of schema editors per database backend, and packages extend it by subclassing
the one they find. `install` does the same and assumes nothing about who came first.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections, transaction
from django.db.backends.signals import connection_created
from django.db.utils import load_backend

from .errors import DependentColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.models import Field, Model

    from .guard import Guard

    class _Editor(BaseDatabaseSchemaEditor):
        """What Django does not document and django-stubs leave out."""

        def _rename_field_sql(
            self, table: str, old_field: Any, new_field: Any, new_type: str
        ) -> Any: ...

        def _alter_column_type_sql(
            self, model: type[Model], old_field: Any, new_field: Any, new_type: str, *rest: Any
        ) -> Any: ...
else:
    _Editor = object

_T = TypeVar("_T")

# What PostgreSQL says when something else needs what is to be dropped.
_DEPENDENT_OBJECTS_STILL_EXIST = "2BP01"


class TViewSchemaEditor(_Editor):
    """Looks before and after each change which TViews it concerns.

    To be composed with the schema editor that is in force, see `compose`.
    """

    # Whatever is executed may concern TViews.
    _watching = True
    # One of the methods below is at work.
    _guarding = False
    # The next statement renames a column.
    _renaming = False

    @cached_property
    def _guard(self) -> Guard:
        # What lies below imports models, which no backend may do while it is loaded.
        from .guard import Guard

        guard = Guard(self)
        guard.take_stock()
        return guard

    def __enter__(self) -> Any:
        """Begin, and take note of what the TViews stand on."""
        entered = super().__enter__()
        if not self.collect_sql:
            _ = self._guard
        return entered

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Look a last time, also for what has not gone through the schema editor, and end."""
        if exc_type is None and not self.collect_sql:
            try:
                self._settle()
            except BaseException as error:
                super().__exit__(type(error), error, error.__traceback__)
                raise
        super().__exit__(exc_type, exc_value, traceback)

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """Let pass what is done inside: it is the installation of TViews themselves."""
        watching, self._watching = self._watching, False
        try:
            yield
        finally:
            self._watching = watching
        if watching and not self.collect_sql:
            self._guard.take_stock()

    def execute(self, sql: Any, params: Any = ()) -> None:
        """Execute a statement; outside of the methods below it may be any, so look afterwards."""
        if self._watching and not self.collect_sql:
            # What waits for COMMIT was spooled for the tables as they still are.
            self._guard.apply_pending()
        super().execute(sql, params)
        if self._renaming or (self._watching and not self.collect_sql):
            self._renaming = False
            self._settle()

    def create_model(self, model: type[Model]) -> None:
        """Create a table."""
        self._watch(lambda: super(TViewSchemaEditor, self).create_model(model))

    def delete_model(self, model: type[Model]) -> None:
        """Drop a table, unless a TView reads it."""
        self._watch(
            lambda: super(TViewSchemaEditor, self).delete_model(model),
            drops=[(table, None) for table in _tables(model)],
        )

    def add_field(self, model: type[Model], field: Field[Any, Any]) -> None:
        """Add a column."""
        self._watch(lambda: super(TViewSchemaEditor, self).add_field(model, field))

    def remove_field(self, model: type[Model], field: Field[Any, Any]) -> None:
        """Drop a column, unless a TView reads it."""
        drops: list[tuple[str, str | None]] = []
        if field.many_to_many:
            drops = [(table, None) for table in _tables_of_relation(field)]
        elif field.db_parameters(connection=self.connection)["type"] is not None:
            drops = [(model._meta.db_table, str(field.column))]
        self._watch(lambda: super(TViewSchemaEditor, self).remove_field(model, field), drops=drops)

    def alter_field(
        self,
        model: type[Model],
        old_field: Field[Any, Any],
        new_field: Field[Any, Any],
        strict: bool = False,
    ) -> None:
        """Alter a column, and let the TViews that read it follow."""
        self._watch(
            lambda: super(TViewSchemaEditor, self).alter_field(model, old_field, new_field, strict),
            keys_of=model,
        )

    def alter_unique_together(
        self,
        model: type[Model],
        old_unique_together: Sequence[Sequence[str]],
        new_unique_together: Sequence[Sequence[str]],
    ) -> None:
        """Replace unique constraints."""
        self._watch(
            lambda: super(TViewSchemaEditor, self).alter_unique_together(
                model, old_unique_together, new_unique_together
            ),
            keys_of=model,
        )

    def remove_constraint(self, model: type[Model], constraint: Any) -> None:
        """Drop a constraint."""
        self._watch(
            lambda: super(TViewSchemaEditor, self).remove_constraint(model, constraint),
            keys_of=model,
        )

    def alter_db_table(self, model: type[Model], old_db_table: str, new_db_table: str) -> None:
        """Rename a table, and let the TViews that read it follow."""
        self._watch(
            lambda: super(TViewSchemaEditor, self).alter_db_table(model, old_db_table, new_db_table)
        )

    def _rename_field_sql(self, table: str, old_field: Any, new_field: Any, new_type: str) -> Any:
        # What comes next executes it. Statements after that may write rows.
        self._renaming = self._guarding and not self.collect_sql
        return super()._rename_field_sql(table, old_field, new_field, new_type)

    def _alter_column_type_sql(
        self,
        model: type[Model],
        old_field: Any,
        new_field: Any,
        new_type: str,
        *rest: Any,
    ) -> Any:
        # Django asks for this wherever it is about to change a type: also for the columns that
        # point to a primary key, and for new comments.
        if self._guarding:
            with self._quietly():
                self._guard.lift(model._meta.db_table, new_field.column, new_type)
        return super()._alter_column_type_sql(model, old_field, new_field, new_type, *rest)

    def _watch(
        self,
        change: Callable[[], _T],
        *,
        drops: Sequence[tuple[str, str | None]] = (),
        keys_of: type[Model] | None = None,
    ) -> _T:
        """Make one change: all of it, with the TViews that follow, or nothing."""
        if self.collect_sql:
            return self._print(change)
        if not self._watching or not self._guard.tviews:
            return change()
        self._watching, self._guarding = False, True
        try:
            with transaction.atomic(self.connection.alias):
                # What waits for COMMIT was spooled for the tables as they still are.
                self._guard.apply_pending()
                for table, column in drops:
                    self._guard.refuse_drop(table, column)
                result = change()
                self._guarding = False
                self._guard.settle()
        except DatabaseError as error:
            self._explain(error, keys_of)
            raise
        finally:
            self._guard.forget_lifted()
            self._watching, self._guarding = True, False
        return result

    def _print(self, change: Callable[[], _T]) -> _T:
        """Print one change; what sqlmigrate finds in the database is not what migrate will find."""
        outermost, self._guarding = self._watching and not self._guarding, self._watching
        result = change()
        if outermost:
            self._guarding = False
            if "_guard" in vars(self):
                self._settle()
        return result

    def _settle(self) -> None:
        with self._quietly():
            self._guard.settle()

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Do not watch what the guard itself executes."""
        before = self._watching, self._guarding
        self._watching = self._guarding = False
        try:
            yield
        finally:
            self._watching, self._guarding = before

    def _explain(self, error: DatabaseError, keys_of: type[Model] | None) -> None:
        """Say which TViews need a key that PostgreSQL does not let go of."""
        sqlstate = getattr(error.__cause__, "sqlstate", None)
        if keys_of is None or sqlstate != _DEPENDENT_OBJECTS_STILL_EXIST:
            return
        table = keys_of._meta.db_table
        for label in self._guard.key_readers(table):
            raise DependentColumn(
                f"Cannot drop the key of table {table}: TView {label} groups by it.",
                hint=f"Let the query of {label} group by every column that it shows, in the same "
                f"migration or an earlier one, or delete {label} first.",
                tview=label,
                table=table,
            ) from error


def _tables(model: type[Model]) -> list[str]:
    """Return the tables that go with a model."""
    tables = [model._meta.db_table]
    for field in model._meta.local_many_to_many:
        tables += _tables_of_relation(field)
    return tables


def _tables_of_relation(field: Any) -> list[str]:
    """Return the table that Django has made for a many-to-many field, if it has."""
    through = field.remote_field.through
    return [through._meta.db_table] if through._meta.auto_created else []


@cache
def compose(base: type[BaseDatabaseSchemaEditor]) -> type[BaseDatabaseSchemaEditor]:
    """Return a schema editor that keeps TViews exact and does all that another one does.

    Args:
        base: the other one; if it keeps TViews exact already, it is returned as it is.
    """
    if issubclass(base, TViewSchemaEditor):
        return base
    return type(f"TView{base.__name__}", (TViewSchemaEditor, base), {"__module__": __name__})


def install() -> None:
    """Compose the schema editors of all PostgreSQL databases with ours.

    The class belongs to the backend, so it serves every thread, and aliases that come later. A
    backend that no alias has yet is met when it connects.
    """
    for alias in connections:
        try:
            backend = load_backend(connections.databases[alias]["ENGINE"])
        except ImproperlyConfigured:
            # Django says so whenever the database is asked for.
            continue
        _compose_backend(backend.DatabaseWrapper)
    connection_created.connect(_compose_connection, dispatch_uid="django_tviews.schema_editor")


def _compose_connection(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    _compose_backend(type(connection))


def _compose_backend(wrapper: type[BaseDatabaseWrapper]) -> None:
    if wrapper.vendor == "postgresql" and wrapper.SchemaEditorClass is not None:
        wrapper.SchemaEditorClass = compose(wrapper.SchemaEditorClass)
