"""A schema that is migrated with Django's own executor, and watched after every operation."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation

from django_tviews import health, history, registry
from django_tviews.autodetector import RUNTIME_MIGRATION
from django_tviews.definition import Declaration
from django_tviews.state import TViewState
from tests.oracle import assert_equals_query

from .project import quoted
from .writes import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from random import Random

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.migrations.state import ProjectState

    from django_tviews.registry import InstalledTView
    from tests.histories import Key

SCHEMA = "migration_histories"

# Everything in the schema, with what it is made of; what Django itself keeps there is left out.
CATALOG = """
    SELECT c.relkind::text, c.relname::text,
           concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                     a.attcollation, pg_get_expr(d.adbin, d.adrelid),
                     col_description(c.oid, a.attnum), obj_description(c.oid), c.relacl)
    FROM pg_class c
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = current_schema::regnamespace AND c.relname !~ '^django_migrations'
    UNION ALL
    SELECT 'view', viewname::text, definition FROM pg_views WHERE schemaname = current_schema
    UNION ALL
    SELECT 'trigger', tgname::text, pg_get_triggerdef(t.oid)
    FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
    WHERE c.relnamespace = current_schema::regnamespace AND NOT tgisinternal
    UNION ALL
    SELECT 'function', proname::text, concat_ws(' ', prosrc, proacl, obj_description(p.oid))
    FROM pg_proc p WHERE pronamespace = current_schema::regnamespace
    UNION ALL
    SELECT 'constraint', conname::text, pg_get_constraintdef(c.oid)
    FROM pg_constraint c
    WHERE connamespace = current_schema::regnamespace AND conname !~ '^django_migrations'
    UNION ALL
    SELECT 'type', typname::text, typtype::text FROM pg_type
    WHERE typnamespace = current_schema::regnamespace AND typname !~ '^_?django_migrations'
    ORDER BY 1, 2, 3
"""


class Probe(Operation):
    """Stands before and after each operation of a migration, and looks at the database."""

    reversible = True

    def __init__(self, look: Callable[[], None]) -> None:
        self.look = look

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Change nothing."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Look."""
        self.look()

    def database_backwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Look."""
        self.look()


class _Loader(MigrationLoader):
    """Finds the migrations of a history in memory."""

    def __init__(
        self, connection: BaseDatabaseWrapper, migrations: Mapping[Key, Migration]
    ) -> None:
        self._migrations = migrations
        super().__init__(connection)

    def load_disk(self) -> None:
        self.disk_migrations = dict(self._migrations)
        self.migrated_apps = {app_label for app_label, _ in self._migrations}
        self.unmigrated_apps: set[str] = set()


class _Executor(MigrationExecutor):
    """Django's executor, for the migrations of a history."""

    def __init__(
        self, connection: BaseDatabaseWrapper, migrations: Mapping[Key, Migration]
    ) -> None:
        super().__init__(connection)
        self.loader = _Loader(connection, migrations)
        self.migrations = migrations

    @contextmanager
    def known(self) -> Iterator[None]:
        """Let operations find the migrations of the history, as they find others on the disk."""
        loader = partial(_Loader, migrations=self.migrations)
        with patch.object(history, "MigrationLoader", loader):
            yield


def _difference(declaration: Declaration) -> str:
    """Write a query that gives the label of a TView whose table and query differ."""
    stored = ", ".join(quoted(column.name) for column in declaration.columns)
    given = ", ".join(f"{quoted(each.output)}::{each.type}" for each in declaration.columns)
    table, view = quoted(declaration.table), quoted(declaration.view)
    return f"""
        (SELECT '{declaration.label}'
         WHERE EXISTS (SELECT {stored} FROM {table} EXCEPT ALL SELECT {given} FROM {view})
            OR EXISTS (SELECT {given} FROM {view} EXCEPT ALL SELECT {stored} FROM {table}))
    """


class Database:
    """A schema, and what goes on in it.

    Args:
        connection: Django's connection, in autocommit mode.
        random: where choices come from.

    Attributes:
        compared: how many times a TView was compared with its backing view or its query.
        log: what has happened.
    """

    def __init__(self, connection: BaseDatabaseWrapper, random: Random) -> None:
        self.connection = connection
        self.random = random
        self.compared = 0
        self.log: list[str] = []
        self._catalog = ""
        self._writer = Writer(connection, random)
        self._probed: dict[Key, tuple[Migration, Migration]] = {}

    # Migrating

    def migrate(self, migrations: Mapping[Key, Migration], key: Key | None = None) -> None:
        """Apply migrations, in the order that Django chooses.

        Args:
            migrations: all there are.
            key: of the last one that is wanted; by default all are.
        """
        executor = self._executor(migrations)
        self.log.append(f"migrate {'.'.join(key) if key else 'everything'}")
        with executor.known():
            executor.migrate([key] if key else executor.loader.graph.leaf_nodes())

    def unmigrate(self, migrations: Mapping[Key, Migration], keys: Collection[Key]) -> None:
        """Reverse migrations, in the order that Django chooses."""
        executor = self._executor(migrations)
        plan = [
            (executor.loader.graph.nodes[key], True)
            for key in reversed(self._in_order(executor))
            if key in keys
        ]
        self.log.append(f"reverse {', '.join(map('.'.join, sorted(keys)))}")
        if plan:
            with executor.known():
                executor.migrate([], plan=plan)

    def _in_order(self, executor: _Executor) -> list[Key]:
        graph = executor.loader.graph
        plan = executor.migration_plan(graph.leaf_nodes(), clean_start=True)
        return [(migration.app_label, migration.name) for migration, _ in plan]

    def applied(self, migrations: Mapping[Key, Migration]) -> set[Key]:
        """Return the migrations that are applied."""
        return set(self._executor(migrations).loader.applied_migrations)

    def state(self, migrations: Mapping[Key, Migration]) -> ProjectState:
        """Return what Django thinks is in the database."""
        return self._executor(migrations)._create_project_state(with_applied_migrations=True)

    def _executor(self, migrations: Mapping[Key, Migration]) -> _Executor:
        probed = {key: self._with_probes(key, each) for key, each in migrations.items()}
        return _Executor(self.connection, probed)

    def _with_probes(self, key: Key, migration: Migration) -> Migration:
        if key == RUNTIME_MIGRATION:
            name = f"{key[0]}.migrations.{key[1]}"
            return import_module(name).Migration(key[1], key[0])
        original, probed = self._probed.get(key, (None, None))
        if original is not migration or probed is None:
            probed = Migration(migration.name, migration.app_label)
            probed.dependencies = migration.dependencies
            probed.run_before = migration.run_before
            probed.initial = migration.initial
            probed.atomic = migration.atomic
            probed.operations = [self._probe(migration, "the start")]
            for operation in migration.operations:
                probed.operations += [operation, self._probe(migration, operation.describe())]
            self._probed[key] = migration, probed
        return probed

    def _probe(self, migration: Migration, what: str) -> Probe:
        where = f"{migration.app_label}.{migration.name}: {what}"
        # What an atomic migration changes before it fails is undone whatever it is.
        return Probe(partial(self._look, where, catalog=not migration.atomic))

    # Looking

    def _look(self, what: str, *, catalog: bool) -> None:
        self.log.append(f"  {what}")
        installed = registry.installed(self.connection)
        self._compare(installed, what)
        if self.random.random() < 0.6:
            self._write(installed, what)
        if catalog:
            self._catalog = self.catalog()

    def write(self, what: str) -> None:
        """Write, and compare every installed TView with its backing view."""
        self._write(registry.installed(self.connection), what)

    def _write(self, installed: list[InstalledTView], what: str) -> None:
        tables = [each.declaration.table for each in installed]
        written = self._writer.write(self.random.randint(1, 4), tables)
        self.log += [f"    {statement}" for statement in written]
        if written:
            self._compare(installed, f"{what}, then {'; '.join(written)}")

    def _compare(self, installed: list[InstalledTView], what: str) -> None:
        if not installed:
            return
        found = [
            replace(
                each.declaration, query=f"SELECT * FROM {quoted(each.declaration.view)} AS view"
            )
            for each in installed
        ]
        with self.connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(map(_difference, found)), None)
            different = {label for (label,) in cursor.fetchall()}
        self.compared += len(found)
        for declaration in found:
            if declaration.label in different:
                assert_equals_query(self.connection, declaration, step=what)
                raise AssertionError(f"{declaration.label} differs from its view after {what}")

    def check_state(self, state: ProjectState, what: str) -> None:
        """Compare what is installed with a state: the TViews, their contents, their objects."""
        declared = {}
        for (app_label, name), model in state.models.items():
            if isinstance(model, TViewState):
                declaration = Declaration.from_model(state.apps.get_model(app_label, name))
                declared[declaration.label] = declaration
        installed = registry.installed(self.connection)
        labels = {each.label for each in installed}
        assert labels == declared.keys(), f"{what}: installed are {labels}, not {set(declared)}"
        for each in installed:
            declaration = declared[each.label]
            assert_equals_query(self.connection, declaration, step=what)
            self.compared += 1
            problems = list(health._Inspection(self.connection, each, declaration).problems())
            assert not problems, f"{what}: {problems}"
        if installed:
            # The database may have TViews of others, in other schemas.
            orphans = [
                problem
                for problem in health._orphaned_triggers(self.connection, installed)
                if f" on {SCHEMA}." in problem.name
            ]
            assert not orphans, f"{what}: {orphans}"

    def catalog(self) -> str:
        """Return a digest of everything that is in the schema."""
        return hashlib.sha256("\n".join(self._everything()).encode()).hexdigest()

    def assert_as_before(self, what: str) -> None:
        """Fail unless the catalog is as it was after the last operation that succeeded."""
        assert self.catalog() == self._catalog, f"{what} has changed something"

    def assert_empty(self, what: str) -> None:
        """Fail if anything is left in the schema."""
        left = self._everything()
        assert not left, f"{what} has left {left}"

    def _everything(self) -> list[str]:
        with self.connection.cursor() as cursor:
            cursor.execute(CATALOG)
            return [" ".join(map(str, row)) for row in cursor.fetchall()]

    # Life

    def empty(self) -> None:
        """Make the schema anew."""
        with self.connection.cursor() as cursor:
            cursor.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}")

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Have the schema, empty, while the context lasts."""
        # A session that goes through much DDL gets slower and slower; and after an error in what
        # a schema editor puts off, Django takes it for one in a transaction.
        self.connection.close()
        self.connection.connect()
        with self.connection.cursor() as cursor:
            cursor.execute("SET client_min_messages = warning")
            cursor.execute(f"SET search_path = {SCHEMA}")
        self.empty()
        try:
            yield
        finally:
            if self.connection.in_atomic_block or not self.connection.is_usable():
                self.connection.close()
                self.connection.connect()
            with self.connection.cursor() as cursor:
                cursor.execute("RESET ALL")
                cursor.execute("SET client_min_messages = warning")
                cursor.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
