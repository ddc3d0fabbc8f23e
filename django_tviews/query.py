"""From what a TView says its query is to SQL text, without a database.

A query is a QuerySet, SQL text, or an `SQLFile`. All three become canonical SQL here, the form
that migrations store and that everything further down reads.
"""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from django.apps import apps
from django.core.exceptions import EmptyResultSet, FieldError
from django.db import DEFAULT_DB_ALIAS, NotSupportedError
from django.db.models import Model, QuerySet

from .conf import settings
from .errors import ConfigurationError, InvalidQuery, TViewError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from django.db.backends.postgresql.base import DatabaseWrapper

    from .models import TView


@dataclass(frozen=True)
class SQLFile:
    """A query kept in a file of its own.

        class CategoryStatistics(TView):
            query = SQLFile("sql/category_statistics.sql")

    The file is read when migrations are made and by the checks; a migration stores the text, so
    the file may change or go later.

    Attributes:
        path: where the file is, relative to the directory of the app, or else of the module that
            declares the TView.
    """

    path: str

    def read(self, model: type[Model]) -> str:
        """Return the text of the file.

        Args:
            model: the TView that declares it.

        Raises:
            ConfigurationError: no such file can be read.
        """
        places = [Path(directory) / self.path for directory in _directories(model)]
        for place in places:
            if place.is_file():
                return place.read_text(encoding="utf-8")
        raise ConfigurationError(
            f"{model._meta.label} reads its query from {self.path!r}, which is not there.",
            hint=f"Looked for {' and '.join(map(str, places))}.",
            tview=model._meta.label,
        )


Query: TypeAlias = "Callable[[], QuerySet[Any, Any] | str | SQLFile] | str | SQLFile"
"""What a TView may give as its ``query``."""


def canonical_query(model: type[TView]) -> str:
    """Return the query of a TView as canonical SQL.

    An ORDER BY that decides a result but leaves rows tied is completed by primary keys, where the
    models declare them: what a migration stores has one answer.

    Args:
        model: the TView, from ``models.py`` or from migration state.

    Raises:
        InvalidQuery: the query is not one SELECT whose output columns all have names.
        UnsupportedQuery: it has a construct that cannot be kept.
        ConfigurationError: the query is of no known kind, its file is not there, or the method
            that gives it takes arguments.
    """
    from .relational.canonical import canonical_sql, output_names

    try:
        sql = canonical_sql(query_sql(model))
        if model._meta.apps is apps:
            sql = with_total_orders(sql)
        refuse_unusable_names(output_names(sql))
    except TViewError as error:
        error.tview = model._meta.label
        raise
    return sql


def with_total_orders(sql: str) -> str:
    """Complete each ORDER BY that decides a result, where the models declare what is needed.

    Args:
        sql: one SELECT.

    Raises:
        UnsupportedQuery: it has a construct that cannot be kept.
    """
    from .errors import DependencyResolutionFailed
    from .model_facts import facts_from_models
    from .relational.builder import complete_order

    try:
        return complete_order(sql, facts_from_models(apps))
    except DependencyResolutionFailed:
        # It reads what no model declares: migrate, which asks the server, will judge it.
        return sql


def query_sql(model: type[TView]) -> str:
    """Return the query of a TView as SQL text, as its author or Django wrote it.

    Args:
        model: the TView, from ``models.py`` or from migration state.

    Raises:
        InvalidQuery: the query is a QuerySet that does not compile to one SELECT, or the method
            that gives it takes arguments.
        ConfigurationError: the query is of no known kind, or its file is not there.
    """
    query = model.query
    if callable(query) and not _takes_no_arguments(query):
        raise InvalidQuery(
            f"The method query() of {model._meta.label} takes arguments.",
            hint="Put @staticmethod above it, and leave them out.",
            tview=model._meta.label,
        )
    try:
        given = query() if callable(query) else query
        match given:
            case QuerySet():
                return queryset_sql(given)
            case SQLFile():
                return given.read(model)
            case str():
                return given
    except (FieldError, NotSupportedError, TypeError, ValueError) as error:
        raise InvalidQuery(
            f"The query of {model._meta.label} does not compile: {error}",
            hint="Its QuerySet has to give rows when you evaluate it in a shell.",
            tview=model._meta.label,
        ) from error
    raise ConfigurationError(
        f"The query of {model._meta.label} is {_kind(given)}",
        hint="Give a QuerySet (from a staticmethod), SQL text, or SQLFile(path).",
        tview=model._meta.label,
    )


def _kind(given: object) -> str:
    return "None: does query() return?" if given is None else f"a {type(given).__name__}."


def _takes_no_arguments(query: Callable[..., object]) -> bool:
    try:
        inspect.signature(query).bind()
    except TypeError:
        return False
    return True


def queryset_sql(queryset: QuerySet[Any, Any]) -> str:
    """Compile a QuerySet to SQL text with its parameters in place, without a database.

    Args:
        queryset: the query; if it gives model instances, each concrete field is an output column.

    Raises:
        InvalidQuery: the QuerySet can never give a row, or asks the server something.
        UnsupportedQuery: it locks the rows that it reads.
    """
    from .relational.constructs import refuse

    query = _with_named_outputs(queryset).query.chain()
    if query.select_for_update:
        # Whether there is a transaction, Django would ask the server while it compiles.
        refuse("row-locking", "select_for_update()")
    # Rows of a table have no order. An explicit one stays where it also decides the groups.
    if query.group_by is None or not query.order_by:
        query.clear_ordering(force=False)
    # The alias of a QuerySet bound by using(), or its subqueries would be another database's.
    connection = pinned_connection(getattr(queryset, "_db", None) or DEFAULT_DB_ALIAS)
    try:
        sql, parameters = query.get_compiler(connection=connection).as_sql()
    except EmptyResultSet:
        raise InvalidQuery(
            "The QuerySet can never give a row: one of its filters excludes everything.",
            hint="Look for none(), or for a filter by an empty list (name__in=[]).",
        ) from None
    return with_literals(sql, parameters)


def _with_named_outputs(queryset: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
    """Name what is selected after the fields where the QuerySet gives instances."""
    query = queryset.query
    if query.selected is not None or query.combinator:
        return queryset
    fields = queryset.model._meta.concrete_fields
    # A CompositePrimaryKey is a concrete field without a column.
    names = [field.attname for field in fields if field.column is not None]
    return queryset.values(*query.extra_select, *names, *query.annotation_select)


def pinned_connection(alias: str = DEFAULT_DB_ALIAS) -> DatabaseWrapper:
    """Return a PostgreSQL backend that compiles for a fixed version and never connects.

    Django asks the server for its version when it compiles some expressions. A migration must not
    depend on which server its author happened to use, or on there being one: the version is the
    setting ``POSTGRES_VERSION``.

    Args:
        alias: the alias it answers to; a QuerySet bound to another one refuses to be compiled.
    """
    return _pinned_connection(alias, settings.POSTGRES_VERSION)


@lru_cache
def _pinned_connection(alias: str, version: int) -> DatabaseWrapper:
    from django.db.backends.postgresql.base import DatabaseWrapper

    class PinnedConnection(DatabaseWrapper):
        """Compiles, and refuses to do anything else."""

        pg_version = version

        def connect(self) -> NoReturn:
            raise InvalidQuery(
                "Compiling the QuerySet needs a database connection.",
                hint="Replace the expression that asks the server, or write the query as SQL.",
            )

    return PinnedConnection(
        {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "",
            "USER": "",
            "PASSWORD": "",
            "HOST": "",
            "PORT": "",
            "TIME_ZONE": None,
            "CONN_MAX_AGE": 0,
            "CONN_HEALTH_CHECKS": False,
            "AUTOCOMMIT": True,
            "OPTIONS": {},
        },
        alias,
    )


def with_literals(sql: str, parameters: Iterable[object]) -> str:
    """Put the parameters of compiled SQL in their places."""
    from psycopg.sql import Literal

    # The context None is what makes this independent of any connection's encoding or version.
    return str(sql % tuple(Literal(parameter).as_string(None) for parameter in parameters))


def _directories(model: type[Model]) -> list[Path]:
    directories = []
    if (app := apps.app_configs.get(model._meta.app_label)) is not None:
        directories.append(Path(app.path))
    module_file = getattr(sys.modules.get(model.__module__), "__file__", None)
    if module_file and (directory := Path(module_file).parent) not in directories:
        directories.append(directory)
    return directories


def refuse_unusable_names(names: tuple[str | None, ...]) -> None:
    """Refuse output columns without a name of their own, and names given twice.

    Args:
        names: of the output columns, as far as the text tells them.

    Raises:
        InvalidQuery: one has no name, or several have one.
    """
    for number, name in enumerate(names, start=1):
        if name == "?column?":
            raise InvalidQuery(
                f"Output column {number} of the query has no name.",
                hint='Name it: SELECT ... AS "total", or .values(total=...).',
                column=number,
            )
    for name, occurrences in Counter(names).items():
        if name is not None and occurrences > 1:
            raise InvalidQuery(
                f'The query has {occurrences} output columns named "{name}".',
                hint="Give each a name of its own with AS, or .values(name=...).",
                column=name,
            )
