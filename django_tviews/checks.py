"""System checks: what is wrong with a project's TViews, found before any database is asked.

Each message has a section in ``docs/reference/checks.md``, under its number as anchor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from django.apps import apps
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags
from django.core.management import get_commands, load_command_class
from django.db import connections, models

from . import conf
from .autodetector import TViewAutodetector
from .definition import Declaration, stored_fields
from .errors import (
    CircularDependency,
    DependencyDepthExceeded,
    DependencyResolutionFailed,
    TViewError,
    UnsupportedQuery,
)
from .models import TView
from .query import pinned_connection, query_sql
from .schema_editor import TViewSchemaEditor
from .sqltypes import can_be_key
from .state import DJANGO_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from django.apps import AppConfig
    from django.core.management.base import BaseCommand
    from django.db.migrations.autodetector import MigrationAutodetector

    from .facts import Facts

ModelCheck: TypeAlias = "Callable[[type[TView]], Iterator[CheckMessage]]"


def register() -> None:
    """Register all checks with Django."""
    checks.register(check_tviews, Tags.models)
    checks.register(check_graph, Tags.models)
    checks.register(check_settings, Tags.compatibility)
    checks.register(check_autodetector, Tags.commands)
    checks.register(check_schema_editors, Tags.commands)
    checks.register(check_databases, Tags.database)


def check_tviews(app_configs: Iterable[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """Check each TView for itself."""
    return [
        message
        for model in _tviews(app_configs)
        for check in _MODEL_CHECKS
        for message in check(model)
    ]


def check_graph(app_configs: Iterable[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:  # noqa: ARG001
    """Check that the TViews of the project can be kept in some order (E010)."""
    from .graph import Graph

    # E001 reports a query that does not compile.
    declarations = [
        declaration
        for model in _tviews(None)
        if not isinstance(declaration := _declaration(model), TViewError)
    ]
    try:
        Graph.of(declarations).validate()
    except (CircularDependency, DependencyDepthExceeded) as error:
        return [Error(error.message, hint=error.hint, id="django_tviews.E010")]
    return []


def check_settings(**_: Any) -> list[CheckMessage]:
    """Check the names and the values in the setting ``DJANGO_TVIEWS`` (E011)."""
    return [
        Error(error.message, hint=error.hint, id="django_tviews.E011")
        for error in conf.configuration_errors()
    ]


def check_autodetector(**_: Any) -> list[CheckMessage]:
    """Check that the commands in force see TViews (W001)."""
    blind = [
        name
        for name in ("makemigrations", "migrate")
        if not issubclass(_autodetector(name), TViewAutodetector)
    ]
    if not blind:
        return []
    return [
        checks.Warning(
            f"The autodetector of {' and '.join(blind)} does not see TViews.",
            hint=(
                "Another app replaces the one that django_tviews set up. Set the attribute "
                "`autodetector` of its commands to django_tviews.autodetector.compose(...) of "
                "the present one."
            ),
            obj=", ".join(_autodetector(name).__name__ for name in blind),
            id="django_tviews.W001",
        )
    ]


def check_databases(*, databases: Iterable[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Check, where databases may be asked, that nothing writes past their TViews (W003)."""
    from .isolation import problems
    from .registry import installed

    return [
        checks.Warning(
            f'Database "{alias}": {problem.message}',
            hint=problem.hint,
            obj=problem.label or None,
            id="django_tviews.W003",
        )
        for alias in databases or ()
        if (connection := connections[alias]).vendor == "postgresql"
        for problem in problems(connection, installed(connection))
    ]


def check_schema_editors(**_: Any) -> list[CheckMessage]:
    """Check that what alters the tables of PostgreSQL databases looks after TViews (W004)."""
    return [
        checks.Warning(
            f"The schema editor of the database {alias!r} does not keep TViews exact.",
            hint=(
                "Another app replaces the one that django_tviews set up. Set SchemaEditorClass of "
                "its DatabaseWrapper to django_tviews.schema_editor.compose(...) of the present "
                "one."
            ),
            obj=connections[alias].SchemaEditorClass.__name__,
            id="django_tviews.W004",
        )
        for alias in connections
        if connections[alias].vendor == "postgresql"
        and not issubclass(connections[alias].SchemaEditorClass, TViewSchemaEditor)
    ]


def _query_compiles(model: type[TView]) -> Iterator[CheckMessage]:
    error = _declaration(model)
    if isinstance(error, TViewError) and not isinstance(error, UnsupportedQuery):
        yield Error(error.message, hint=error.hint, obj=model, id="django_tviews.E001")


def _outputs_match_fields(model: type[TView]) -> Iterator[CheckMessage]:
    from .relational.canonical import output_names

    if isinstance(declaration := _declaration(model), TViewError):
        return
    outputs = output_names(declaration.query)
    if None in outputs:
        # Only the server can expand a star.
        return
    fed = {column.output for column in declaration.columns}
    for field in stored_fields(model).values():
        if (output := model._maintenance.output(field)) in outputs:
            continue
        hint = (
            f"Its output columns are {_listed(outputs)}. Name one of them so, or set "
            f'Maintenance.columns = {{"{field.name}": "<output column>"}}.'
        )
        if field.auto_created:
            hint = (
                f'Django has added the field "{field.name}", as none has primary_key=True. Say '
                "which one identifies a row; for several of them, "
                "pk = models.CompositePrimaryKey(...)."
            )
        yield Error(
            f'The query has no output column "{output}".',
            hint=hint,
            obj=field,
            id="django_tviews.E002",
        )
    for name in outputs:
        if name not in fed:
            yield Error(
                f'The output column "{name}" of the query feeds no field.',
                hint="Declare a field for it, or leave it out of the query.",
                obj=model,
                id="django_tviews.E003",
            )


def _query_can_be_kept(model: type[TView]) -> Iterator[CheckMessage]:
    from .model_facts import facts_from_models
    from .plan.planner import make_plan
    from .relational.builder import build_tree

    # Those say more exactly what the plan would stumble over.
    for check in (_query_compiles, _outputs_match_fields, _key_can_be_compared):
        if any(check(model)):
            return
    facts = facts_from_models(apps)
    try:
        declaration = Declaration.from_model(model)
        tree = build_tree(declaration.query, facts)
        make_plan(declaration, tree, facts, schema="public", runtime_schema="public")
    except DependencyResolutionFailed:
        # It reads what no model declares: migrate, which asks the server, will judge it.
        return
    except TViewError as error:
        told = _as_written(model, facts, error)
        yield Error(told.message, hint=told.hint, obj=model, id="django_tviews.E012")


def _as_written(model: type[TView], facts: Facts, error: TViewError) -> TViewError:
    """Return the same refusal with its place in the query as the author has written it."""
    from .relational.builder import build_tree

    try:
        build_tree(query_sql(model), facts)
    except TViewError as found:
        if found.context.get("construct", found) == error.context.get("construct"):
            return found
    return error


def _relations_are_loose(model: type[TView]) -> Iterator[CheckMessage]:
    for field in model._meta.local_fields:
        if isinstance(field, models.ForeignKey) and (
            field.remote_field.on_delete is not models.DO_NOTHING or field.db_constraint  # type: ignore[attr-defined]
        ):
            yield Error(
                "A relation of a TView must be on_delete=DO_NOTHING and db_constraint=False.",
                hint=(
                    "Rows of the TView follow the query, also when what they point to is "
                    "deleted; nothing else may delete or hold them."
                ),
                obj=field,
                id="django_tviews.E004",
            )


def _uniqueness_is_deferrable(model: type[TView]) -> Iterator[CheckMessage]:
    options = model._meta
    hint = (
        "Two rows may swap their values in one statement. Use UniqueConstraint(..., "
        "deferrable=Deferrable.DEFERRED)."
    )
    for constraint in options.constraints:
        if isinstance(constraint, models.UniqueConstraint) and constraint.deferrable is None:
            yield Error(
                f'The unique constraint "{constraint.name}" of a TView must be deferrable.',
                hint=hint,
                obj=model,
                id="django_tviews.E005",
            )
    for together in options.unique_together:
        yield Error(
            f"unique_together {tuple(together)} of a TView cannot be deferrable.",
            hint=hint,
            obj=model,
            id="django_tviews.E005",
        )
    for field in options.local_concrete_fields:
        if field.unique and not field.primary_key:
            one_to_one = (
                "A OneToOneField is unique: make it a ForeignKey. " if field.one_to_one else ""
            )
            yield Error(
                "A field of a TView that is not its primary key cannot be unique=True.",
                hint=one_to_one + hint,
                obj=field,
                id="django_tviews.E006",
            )


def _fields_are_columns(model: type[TView]) -> Iterator[CheckMessage]:
    options = model._meta
    for field in [*options.local_many_to_many, *options.local_concrete_fields]:
        if field.many_to_many or field.generated:
            yield Error(
                f"A TView cannot have a {type(field).__name__}.",
                hint=(
                    "Each field is fed by an output column of the query: compute the value there."
                ),
                obj=field,
                id="django_tviews.E007",
            )


def _key_can_be_compared(model: type[TView]) -> Iterator[CheckMessage]:
    for field in model._meta.pk_fields:
        type_ = field.db_type(pinned_connection())
        if type_ is not None and not can_be_key(type_):
            yield Error(
                f"A primary key of the type {type_} cannot tell the rows of a TView apart.",
                hint="Use a number, a text, a UUID, a date or time, or several of them.",
                obj=field,
                id="django_tviews.E008",
            )


def _is_managed(model: type[TView]) -> Iterator[CheckMessage]:
    if not model._meta.managed:
        yield Error(
            "A TView cannot be managed = False.",
            hint=(
                "Leave the option out. To read a TView of another project, declare an ordinary "
                "model with managed = False and its db_table."
            ),
            obj=model,
            id="django_tviews.E009",
        )


def _options_are_migrated(model: type[TView]) -> Iterator[CheckMessage]:
    for name in model._meta.original_attrs.keys() - DJANGO_OPTIONS:
        yield Error(
            f"Meta.{name} is an option of another package, which does not see TViews.",
            hint=(
                "Write the package's operations for it into a migration by hand, after the one "
                "that creates the TView."
            ),
            obj=model,
            id="django_tviews.E013",
        )


def _query_is_stable(model: type[TView]) -> Iterator[CheckMessage]:
    from .relational.canonical import same_query

    first, second = _declaration(model), _declaration(model)
    if isinstance(first, TViewError) or isinstance(second, TViewError):
        return
    if not same_query(first.query, second.query):
        yield checks.Warning(
            "The query is another one each time it is compiled.",
            hint=(
                "A value such as datetime.now() is fixed when the migration is made, and every "
                "makemigrations would write another one. Store the moment in a column, or "
                "filter by time when you read the TView."
            ),
            obj=model,
            id="django_tviews.W002",
        )


_MODEL_CHECKS: Final[tuple[ModelCheck, ...]] = (
    _query_compiles,
    _outputs_match_fields,
    _query_can_be_kept,
    _relations_are_loose,
    _uniqueness_is_deferrable,
    _fields_are_columns,
    _key_can_be_compared,
    _is_managed,
    _options_are_migrated,
    _query_is_stable,
)


def _tviews(app_configs: Iterable[AppConfig] | None) -> Iterator[type[TView]]:
    for config in apps.get_app_configs() if app_configs is None else app_configs:
        for model in config.get_models():
            if issubclass(model, TView) and not model._meta.proxy:
                yield model


def _declaration(model: type[TView]) -> Declaration | TViewError:
    try:
        return Declaration.from_model(model)
    except TViewError as error:
        return error


def _autodetector(name: str) -> type[MigrationAutodetector]:
    """Return the autodetector of a command, whichever app the command in force comes from."""
    source: str | BaseCommand = get_commands()[name]
    command = load_command_class(source, name) if isinstance(source, str) else source
    autodetector: type[MigrationAutodetector] = command.autodetector  # type: ignore[attr-defined]
    return autodetector


def _listed(names: Iterable[str | None]) -> str:
    return ", ".join(f'"{name}"' for name in names)
