"""Put a TView into a database or take it out, all of it or nothing.

Every change goes through ``schema_editor.execute``, so that sqlmigrate prints exactly what
migrate runs.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final, cast

from django.db import DatabaseError, transaction

from . import catalog
from .errors import (
    ColumnMismatch,
    DependentColumn,
    ExtensionMissing,
    InvalidTViewName,
    IsolationUnsupported,
    OutdatedTView,
    TViewAlreadyExists,
    TViewError,
)
from .locks import LockMode, bounded_waits, lock
from .planning import plan_of
from .registry import entry_statement, find, installed, readers_of
from .relational.canonical import called_functions, formatted
from .sql import created, objects, shared
from .sql.hidden import HiddenChange, hidden_change
from .sql.quoting import complete, identifier, literal, qualified, relation_name
from .sql.templates import render_statements
from .sql.triggers import counting_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

    from .definition import Declaration
    from .plan.plan import Plan
    from .registry import InstalledTView

_DUPLICATE_RELATION: Final = "42P07"
_UNDEFINED: Final = frozenset({"42883", "42704"})


def install_runtime(schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the registry, the spool and the shared functions in the current schema."""
    schema = catalog.current_schema(schema_editor.connection)
    for statement in shared.runtime_statements(schema):
        execute(schema_editor, statement)


def runtime_is_current(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether what TViews share in a database, if it is there, is of this version's form."""
    schema = catalog.runtime_schema(connection)
    if schema is None:
        return True
    registry = complete(qualified(schema, shared.REGISTRY))
    return catalog.comment(connection, registry) == shared.runtime_comment()


def require_current_runtime(connection: BaseDatabaseWrapper) -> None:
    """Refuse to write functions that would rely on what an earlier version has left.

    Args:
        connection: to the database.

    Raises:
        OutdatedTView: what TViews share is not of this version's form.
    """
    if not runtime_is_current(connection):
        raise OutdatedTView(
            "What TViews share in this database is not of the form that this version of "
            "django_tviews writes.",
            hint="Run tview_sync, which brings that and all TViews in line; then try again.",
        )


def drop_runtime(schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop what :func:`install_runtime` created."""
    connection = schema_editor.connection
    schema = catalog.runtime_schema(connection) or catalog.current_schema(connection)
    for statement in render_statements("runtime_drop", **shared.runtime_values(schema)):
        execute(schema_editor, statement)


def create(
    schema_editor: BaseDatabaseSchemaEditor,
    declaration: Declaration,
    create_table: Callable[[], None],
) -> None:
    """Install a TView: backing view, table, contents, functions, triggers.

    Args:
        schema_editor: of the database.
        declaration: what the TView says.
        create_table: creates its table, empty.

    Raises:
        TViewAlreadyExists: something has the name of its table, or of its backing view.
        ExtensionMissing: it uses what an extension has that is not installed.
        TViewError: the query cannot be kept, or its contents break the TView's constraints.
            Nothing is left behind.
    """
    connection = schema_editor.connection
    with (
        _what_creating_meets(connection, declaration),
        all_or_nothing(schema_editor, declaration),
    ):
        schema = catalog.current_schema(connection)
        is_new = not catalog.resolve(connection, [(schema, declaration.table)])
        execute(schema_editor, view_statement(schema, declaration.view, declaration.query))
        plan = plan_of(connection, declaration, schema)
        refuse_taken_names(connection, plan)
        lock_sources(schema_editor, plan)
        create_table()
        with _key_comes_last(schema_editor, plan) if is_new else nullcontext():
            _install(schema_editor, declaration, plan)


@contextmanager
def _what_creating_meets(
    connection: BaseDatabaseWrapper, declaration: Declaration
) -> Iterator[None]:
    """Say of which TView it was that a name is taken, or that an extension is missing."""
    try:
        yield
    except DatabaseError as error:
        diagnostics = getattr(error.__cause__, "diag", None)
        sqlstate = getattr(diagnostics, "sqlstate", None)
        message = getattr(diagnostics, "message_primary", None) or str(error)
        label = declaration.label
        if sqlstate == _DUPLICATE_RELATION:
            raise TViewAlreadyExists(
                f"{label} cannot be created: {message}.",
                hint="Rename or drop that, or choose another Meta.db_table. If it is this TView, "
                "migrate --fake records it.",
                tview=label,
            ) from error
        if sqlstate in _UNDEFINED:
            used = {name for _, name in called_functions(declaration.query)}
            used |= {column.type for column in declaration.columns}
            for extension in catalog.missing_extensions(connection, used):
                raise ExtensionMissing(
                    f"{label} needs the extension {extension!r}, which is not installed in this "
                    f"database: {message}.",
                    hint="Create it in an earlier migration, by an operation of "
                    "django.contrib.postgres.operations.",
                    tview=label,
                    extension=extension,
                ) from error
        raise


def drop(
    schema_editor: BaseDatabaseSchemaEditor,
    declaration: Declaration,
    delete_table: Callable[[], None],
) -> None:
    """Take a TView out: triggers, functions, backing view, table.

    Args:
        schema_editor: of the database.
        declaration: what the TView says.
        delete_table: drops its table.

    Raises:
        DependentColumn: another TView reads it. Nothing is changed.
    """
    with all_or_nothing(schema_editor, declaration):
        found = find(schema_editor.connection, declaration.table)
        if found is not None:
            _refuse_readers(schema_editor.connection, found)
            run_deferred_checks(schema_editor)
            _lock_for_removal(schema_editor, found)
            _uninstall(schema_editor, found)
        delete_table()


@contextmanager
def all_or_nothing(
    schema_editor: BaseDatabaseSchemaEditor, declaration: Declaration
) -> Iterator[None]:
    """Build what depends on a TView's rows: in one transaction, with bounded waits for locks.

    Args:
        schema_editor: of the database.
        declaration: what the TView says.

    Raises:
        IsolationUnsupported: the transaction's snapshot may be older than the triggers.
        OutdatedTView: what TViews share was made by another version.
        TViewError: what a database error stands for.
    """
    connection = schema_editor.connection
    with (
        unwatched(schema_editor),
        explained(tview=declaration.label),
        transaction.atomic(connection.alias),
    ):
        require_fresh_snapshots(connection, declaration)
        require_current_runtime(connection)
        if not schema_editor.collect_sql:
            apply_pending(connection)
        with bounded_waits(schema_editor):
            yield


def apply_pending(connection: BaseDatabaseWrapper) -> None:
    """Maintain deferred TViews for what the running transaction has changed, before it commits.

    What is changed later waits for COMMIT again. Outside of a transaction nothing ever waits.

    Args:
        connection: to the database.
    """
    schema = catalog.runtime_schema(connection)
    if schema is None or not connection.in_atomic_block:
        return
    with connection.cursor() as cursor:
        for time in ("IMMEDIATE", "DEFERRED"):
            cursor.execute(f"SET CONSTRAINTS {identifier(schema)}.django_tviews_apply {time}")


def unwatched(schema_editor: BaseDatabaseSchemaEditor) -> AbstractContextManager[object]:
    """Tell a schema editor that watches over TViews that this is their own installation."""
    context = getattr(schema_editor, "unwatched", nullcontext)
    return cast("AbstractContextManager[object]", context())


@contextmanager
def explained(*, altering: bool = False, tview: str | None = None) -> Iterator[None]:
    """Raise the error of django_tviews that a database error stands for, if it does for one.

    Args:
        altering: whatever is met is about a TView, as its table is being altered.
        tview: label of the TView that is being built, if one is.
    """
    try:
        yield
    except DatabaseError as error:
        known = TViewError.from_database_error(error, altering=altering, tview=tview)
        if known is None:
            raise
        raise known from error


def require_fresh_snapshots(connection: BaseDatabaseWrapper, declaration: Declaration) -> None:
    """Refuse to compute contents in a transaction that may not see what has been committed.

    Args:
        connection: to the database.
        declaration: what the TView says.

    Raises:
        IsolationUnsupported: the isolation level is above READ COMMITTED.
    """
    level = catalog.isolation_level(connection)
    if level not in ("read committed", "read uncommitted"):
        raise IsolationUnsupported(
            f"TView {declaration.label} cannot be built at {level.upper()}: its contents "
            "would be read from a snapshot older than its triggers.",
            hint="Run migrate with the isolation level READ COMMITTED.",
            tview=declaration.label,
        )


def view_statement(schema: str, view: str, query: str) -> str:
    """Return the statement that creates a backing view.

    Args:
        schema: where.
        view: its name.
        query: the query of the TView.
    """
    return f"CREATE VIEW {qualified(schema, view)} AS\n{formatted(query)}"


def run_deferred_checks(schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Run the checks that were put off: PostgreSQL alters no table that awaits some."""
    execute(schema_editor, "SET CONSTRAINTS ALL IMMEDIATE")
    execute(schema_editor, "SET CONSTRAINTS ALL DEFERRED")


def lock_sources(schema_editor: BaseDatabaseSchemaEditor, plan: Plan) -> None:
    """Wait out the writers of the sources, and keep them out until COMMIT.

    What they wrote is then committed, and visible to the statement that fills the table.
    """
    lock(schema_editor, dict.fromkeys(source_tables(plan), LockMode.SHARE_ROW_EXCLUSIVE))


def source_tables(plan: Plan) -> set[str]:
    """Return the quoted names of the tables that a statement may name to change a source."""
    return {relation_name(each) for source in plan.sources for each in source.relation.targets}


def watched(connection: BaseDatabaseWrapper, tviews: Iterable[InstalledTView]) -> set[str]:
    """Return the quoted names of the tables on which triggers of TViews stand.

    Args:
        connection: where.
        tviews: the TViews.
    """
    oids = {tview.oid for tview in tviews}
    return {
        qualified(trigger.schema, trigger.table)
        for trigger in catalog.triggers(connection)
        if trigger.tview in oids
    }


def _lock_for_removal(schema_editor: BaseDatabaseSchemaEditor, tview: InstalledTView) -> None:
    """Keep everybody off the tables that lose a trigger, and off the TView."""
    sources = watched(schema_editor.connection, [tview])
    table = qualified(tview.schema, tview.declaration.table)
    lock(
        schema_editor,
        dict.fromkeys(sources, LockMode.ACCESS_EXCLUSIVE),
        [f"LOCK TABLE {table} IN {LockMode.ACCESS_EXCLUSIVE} MODE"],
    )


def _install(schema_editor: BaseDatabaseSchemaEditor, declaration: Declaration, plan: Plan) -> None:
    """Create functions and triggers, fill the table, and enter it into the registry."""
    refuse_other_collations(schema_editor.connection, plan)
    alter_hidden_columns(schema_editor, pending_hidden_change(schema_editor.connection, plan))
    comment = literal(objects.comment(plan))
    view = qualified(plan.schema, plan.view)
    execute(schema_editor, f"COMMENT ON VIEW {view} IS {comment}")
    for function in objects.functions(plan):
        execute(schema_editor, function.create)
        execute(schema_editor, f"COMMENT ON FUNCTION {function.signature} IS {comment}")
        execute(schema_editor, f"REVOKE ALL ON FUNCTION {function.signature} FROM PUBLIC")
        let_shared_call(schema_editor, function)
    _create_triggers(schema_editor, objects.source_triggers(plan))
    # The triggers will fire for snapshots, too, that do not show what is filled in now.
    execute(schema_editor, shared.enter_statement(plan.runtime_schema, plan.schema, plan.table))
    execute(schema_editor, f"SELECT {objects.rebuild_name(plan)}()")
    # From now on only maintenance writes.
    _create_triggers(schema_editor, objects.own_triggers(plan))
    execute(schema_editor, entry_statement(declaration, plan))


def let_shared_call(schema_editor: BaseDatabaseSchemaEditor, function: created.Function) -> None:
    """Let the functions that TViews share call a new one that belongs to the current role.

    Who runs migrate need not be who ran it first: a member of that role, or a superuser.
    """
    owner, is_current = catalog.runtime_owner(schema_editor.connection) or ("", True)
    if function.called_by_shared and not is_current:
        execute(schema_editor, objects.grant_execute(function, owner))


@contextmanager
def _key_comes_last(schema_editor: BaseDatabaseSchemaEditor, plan: Plan) -> Iterator[None]:
    """Add the primary key of a table after it has been filled, which takes half the time."""
    table = qualified(plan.schema, plan.table)
    name, _, tablespace = catalog.primary_key(schema_editor.connection, complete(table))
    key = ", ".join(identifier(column.name) for column in plan.key)
    place = f" USING INDEX TABLESPACE {identifier(tablespace)}" if tablespace else ""
    execute(schema_editor, f"ALTER TABLE {table} DROP CONSTRAINT {identifier(name)}")
    yield
    with explained(altering=True, tview=plan.label):
        # PostgreSQL alters no table that awaits checks, such as those of deferrable constraints.
        run_deferred_checks(schema_editor)
        execute(
            schema_editor,
            f"ALTER TABLE {table} ADD CONSTRAINT {identifier(name)} PRIMARY KEY ({key}){place}",
        )


def pending_hidden_change(connection: BaseDatabaseWrapper, plan: Plan) -> HiddenChange:
    """Compare the hidden columns that the table of a TView has with those that it should have.

    Args:
        connection: to the database.
        plan: of the TView.
    """
    (oid,) = catalog.resolve(connection, [(plan.schema, plan.table)]).values()
    return hidden_change(plan, catalog.relations(connection, [oid])[oid].by_name)


def alter_hidden_columns(schema_editor: BaseDatabaseSchemaEditor, change: HiddenChange) -> None:
    """Add hidden columns, which have to be filled then, and drop others.

    Args:
        schema_editor: of the database.
        change: which.

    Raises:
        DependentColumn: a view that somebody made reads a column that goes.
    """
    if change:
        with explained(altering=True):
            run_deferred_checks(schema_editor)
            execute(schema_editor, change.statement)


def refuse_other_collations(connection: BaseDatabaseWrapper, plan: Plan) -> None:
    """Refuse a key of which the table and the query do not agree what is equal."""
    table = complete(qualified(plan.schema, plan.table))
    view = complete(qualified(plan.schema, plan.view))
    key = {column.name: column.output for column in plan.key}
    for name, stored, queried in catalog.other_collations(connection, table, view, key):
        raise ColumnMismatch(
            f'{plan.label}: key column {name!r} has the collation "{stored}", but the query '
            f'compares by "{queried}".',
            hint=f"Declare the field with db_collation={queried!r}, or add COLLATE to the query.",
            tview=plan.label,
            column=name,
        )


def refuse_taken_names(connection: BaseDatabaseWrapper, plan: Plan, own: int | None = None) -> None:
    """Refuse a TView with a trigger that would take the place of another TView's.

    Args:
        connection: to the database.
        plan: of the TView.
        own: OID of its table, if it has one.

    Raises:
        InvalidTViewName: schema and table of two TViews, put together, are one name.
    """
    expected = {
        (trigger.relation, trigger.name)
        for trigger in objects.source_triggers(plan)
        if not trigger.shared
    }
    for each in catalog.triggers(connection):
        table = qualified(each.schema, each.table)
        if each.tview not in (None, own) and (table, each.name) in expected:
            raise InvalidTViewName(
                f"{plan.label} cannot have a trigger {each.name} on {table}: another TView has one "
                "of that name.",
                hint="Give one of the two another db_table.",
                tview=plan.label,
                table=plan.table,
            )


def _create_triggers(
    schema_editor: BaseDatabaseSchemaEditor, triggers: Iterable[created.Trigger]
) -> None:
    present = {
        (qualified(each.schema, each.table), each.name)
        for each in catalog.triggers(schema_editor.connection)
    }
    for trigger in triggers:
        if not trigger.shared or (trigger.relation, trigger.name) not in present:
            for statement in trigger.statements:
                execute(schema_editor, statement)


def _refuse_readers(connection: BaseDatabaseWrapper, tview: InstalledTView) -> None:
    for reader in readers_of(connection, tview):
        raise DependentColumn(
            f"TView {tview.label} cannot be dropped: TView {reader.label} reads it.",
            hint=f"Delete {reader.label} first, or change its query.",
            tview=tview.label,
        )


def _uninstall(schema_editor: BaseDatabaseSchemaEditor, tview: InstalledTView) -> None:
    """Drop everything of a TView but its table."""
    connection = schema_editor.connection
    schema = tview.schema or catalog.current_schema(connection)
    table = qualified(schema, tview.declaration.table)
    triggers = catalog.triggers(connection)
    mine = [each for each in triggers if each.tview == tview.oid]
    runtime_schema = catalog.runtime_schema(connection) or schema
    # What TViews share stays on tables that another TView reads. A TView that none reads keeps what
    # it had before, which is all but the count of statements on its rows.
    others = {each.oid: each for each in installed(connection) if each.oid != tview.oid}
    kept = {(each.schema, each.table) for each in triggers if each.tview in others}
    tviews = {(each.schema, each.declaration.table) for each in others.values()}
    counting = counting_rows(runtime_schema)
    left = {(each.schema, each.table) for each in mine} | {(schema, tview.declaration.table)}
    for trigger in triggers:
        place = (trigger.schema, trigger.table)
        shared = (
            trigger.tview is None
            and trigger.function_schema in (runtime_schema, schema)
            and place in left - kept
            and (place not in tviews or trigger.name in counting)
        )
        if trigger in mine or shared:
            on = qualified(*place)
            execute(schema_editor, f"DROP TRIGGER {identifier(trigger.name)} ON {on}")
    for signature in catalog.own_functions(connection, schema, tview.label).values():
        execute(schema_editor, f"DROP FUNCTION {signature}")
    execute(schema_editor, f"DROP VIEW {qualified(schema, tview.declaration.view)}")
    execute(
        schema_editor,
        f"DELETE FROM {identifier(runtime_schema)}.django_tviews_registry "
        f"WHERE tview = {literal(table)}::regclass",
    )


def execute(schema_editor: BaseDatabaseSchemaEditor, statement: str) -> None:
    """Run one statement, or print it in sqlmigrate.

    Args:
        schema_editor: of the database.
        statement: SQL text, without parameters.
    """
    # None keeps Django from reading percent signs as placeholders.
    schema_editor.execute(complete(statement), params=None)
