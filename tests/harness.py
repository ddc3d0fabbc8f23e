"""A database for tests of maintenance: an empty schema, and the oracle after every statement.

    def test_a_renamed_parent_reaches_its_children(database: Database) -> None:
        database.execute("CREATE TABLE author (id integer PRIMARY KEY, name text NOT NULL)")
        database.tview("SELECT id, name FROM author", "id integer, name text", "id")
        database.run("UPDATE author SET name = 'Ann'")

Statements run in autocommit mode, each a transaction of its own, unless a test opens one.
"""

from __future__ import annotations

import functools
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any
from unittest import mock

import psycopg
import pytest
from django.db import NotSupportedError, ProgrammingError, connections, transaction
from django.test import override_settings

from django_tviews import installer, planning, replacement
from django_tviews.alteration import TableAlteration
from django_tviews.definition import Column, Declaration
from django_tviews.plan.planner import make_plan
from django_tviews.relational.canonical import canonical_sql
from django_tviews.sql import shared
from support.database import database_settings

from .oracle import assert_equals_query, quoted
from .testapp.models import Stock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper
    from pytest_django import DjangoDbBlocker

    from django_tviews.plan.plan import Strategy

ALIAS = "default"

_NUMBERS = count(1)

# A name, its type, and NULL where the column may be empty: "id integer, name text NULL".
_COLUMN = re.compile(
    r'\s*(?:"(?P<quoted>(?:[^"]|"")+)"|(?P<bare>\w+))\s+(?P<type>.+?)(?P<null>\s+NULL)?\s*'
)
_COMMA = re.compile(r",(?![^(]*\))(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)")


def columns(text: str, outputs: dict[str, str] | None = None) -> tuple[Column, ...]:
    """Read the columns of a TView as tests write them.

    Args:
        text: ``id integer, name text NULL``: NOT NULL unless said otherwise.
        outputs: the output column of the query for each column where it has another name.
    """
    found = []
    for part in _COMMA.split(text):
        match = _COLUMN.fullmatch(part)
        assert match, f"{part!r} is no column"
        name = match["bare"] or match["quoted"].replace('""', '"')
        output = (outputs or {}).get(name, name)
        found.append(Column(name, match["type"], match["null"] is not None, output))
    return tuple(found)


@dataclass
class Installed:
    """A TView of the test.

    Attributes:
        declaration: what it says.
        by_value: the columns that the oracle compares by ``=`` only.
    """

    declaration: Declaration
    by_value: tuple[str, ...] = ()


@dataclass
class Database:
    """An empty schema with the runtime of django_tviews, first on the search path.

    Attributes:
        schema: its name.
        connection: Django's connection to it.
        tviews: those that the test has installed; the oracle is asked about all of them.
    """

    schema: str
    connection: BaseDatabaseWrapper
    tviews: list[Installed] = field(default_factory=list)
    _opened: list[psycopg.Connection[Any]] = field(default_factory=list)
    _roles: list[str] = field(default_factory=list)

    def execute(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Execute SQL text and return its rows. The oracle is not asked."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def value(self, sql: str, *parameters: object) -> Any:
        """Execute SQL text and return the one value of its one row."""
        ((value,),) = self.execute(sql, *parameters)
        return value

    def server_has(self, statement: str) -> bool:
        """Tell whether the server has what a statement needs: a version, ICU, libxml."""
        try:
            with self.rolled_back():
                self.execute(statement)
        except (NotSupportedError, ProgrammingError):
            return False
        return True

    def run(self, *statements: str) -> None:
        """Execute statements and ask the oracle after each."""
        for statement in statements:
            self.execute(statement)
            self.check(statement)

    def check(self, step: str = "") -> None:
        """Ask the oracle about every TView; check that nothing is left over."""
        for tview in self.tviews:
            assert_equals_query(
                self.connection, tview.declaration, step=step, by_value=tview.by_value
            )
        assert not self.value("SELECT count(*) FROM django_tviews_spool"), f"spool after: {step}"

    def declare(
        self,
        query: str,
        column_text: str,
        key: str = "id",
        *,
        table: str | None = None,
        outputs: dict[str, str] | None = None,
        allow_rebuild: bool = False,
        mode: str = "immediate",
    ) -> Declaration:
        """Declare a TView without installing it.

        Args:
            query: one SELECT.
            column_text: see `columns`.
            key: the names of the key's columns, with commas.
            table: the table's name; by default a new one.
            outputs: the output column of the query for each column where it has another name.
            allow_rebuild: as in the inner class ``Maintenance``.
            mode: see there.
        """
        table = table or f"tview_{len(self.tviews) + 1}"
        return Declaration(
            label=f"tests.{table}",
            table=table,
            query=canonical_sql(query),
            columns=columns(column_text, outputs),
            key=tuple(name.strip() for name in key.split(",")),
            allow_rebuild=allow_rebuild,
            mode=mode,
        )

    def tview(
        self,
        query: str,
        column_text: str,
        key: str = "id",
        *,
        by_value: tuple[str, ...] = (),
        constraints: tuple[str, ...] = (),
        collations: dict[str, str] | None = None,
        **options: Any,
    ) -> Declaration:
        """Install a TView and ask the oracle about its first contents.

        Args:
            query: see `declare`, as for ``column_text``, ``key`` and ``options``.
            column_text: see `columns`.
            key: see `declare`.
            by_value: the columns that the oracle compares by ``=`` only.
            constraints: further table constraints.
            collations: of the columns that have one of their own.
            **options: see `declare`.
        """
        declaration = self.declare(query, column_text, key, **options)
        self.install(declaration, by_value=by_value, constraints=constraints, collations=collations)
        return declaration

    def install(
        self,
        declaration: Declaration,
        *,
        by_value: tuple[str, ...] = (),
        constraints: tuple[str, ...] = (),
        collations: dict[str, str] | None = None,
    ) -> None:
        """Install what `declare` returned."""
        self._create(declaration, constraints, collations or {})
        self.tviews.append(Installed(declaration, by_value))
        self.check(f"creating {declaration.label}")

    def install_all(self, declarations: Iterable[Declaration]) -> None:
        """Install several TViews, and ask the oracle about all of them at the end."""
        for declaration in declarations:
            self._create(declaration, (), {})
            self.tviews.append(Installed(declaration))
        self.check("creating them")

    def _create(
        self, declaration: Declaration, constraints: tuple[str, ...], collations: dict[str, str]
    ) -> None:
        with self.connection.schema_editor() as editor:
            installer.create(
                editor,
                declaration,
                lambda: editor.execute(
                    self.create_table(declaration, constraints, collations), params=None
                ),
            )

    def create_table(
        self, declaration: Declaration, constraints: tuple[str, ...], collations: dict[str, str]
    ) -> str:
        """Write the CREATE TABLE statement of a TView."""
        parts = []
        for column in declaration.columns:
            collation = f" COLLATE {collations[column.name]}" if column.name in collations else ""
            null = "" if column.nullable else " NOT NULL"
            parts.append(f"{quoted(column.name)} {column.type}{collation}{null}")
        parts.append(f"PRIMARY KEY ({', '.join(quoted(name) for name in declaration.key)})")
        return f"CREATE TABLE {quoted(declaration.table)} ({', '.join([*parts, *constraints])})"

    def replace(self, old: Declaration, new: Declaration) -> None:
        """Give a TView another query for the same columns."""
        with self.connection.schema_editor() as editor:
            # Of whatever model: what does not change is not looked at.
            replacement.replace(editor, old, new, TableAlteration(editor, Stock, Stock))

    def drop(self, declaration: Declaration) -> None:
        """Take a TView out again."""
        table = quoted(declaration.table)
        with self.connection.schema_editor() as editor:
            installer.drop(
                editor, declaration, lambda: editor.execute(f"DROP TABLE {table}", params=None)
            )
        self.tviews = [each for each in self.tviews if each.declaration != declaration]

    def rows(self, declaration: Declaration) -> list[tuple[Any, ...]]:
        """Return the rows of a TView's table, in the order of its key."""
        names = ", ".join(quoted(column.name) for column in declaration.columns)
        key = ", ".join(quoted(name) for name in declaration.key)
        return self.execute(f"SELECT {names} FROM {quoted(declaration.table)} ORDER BY {key}")

    def folding(self, tview: str) -> set[str]:
        """Name the sources whose triggers fold."""
        prefix = f"tviews_{tview}_on_"
        found = self.execute(
            "SELECT DISTINCT substr(proname, %s) FROM pg_proc WHERE starts_with(proname, %s) "
            "AND prosrc LIKE '%%Add to the groups%%' AND pronamespace = %s::regnamespace",
            len(prefix) + 1,
            prefix,
            self.schema,
        )
        return {str(name).rpartition("_")[0] for (name,) in found}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run what is inside in one transaction."""
        with transaction.atomic(ALIAS):
            yield

    @contextmanager
    def rolled_back(self) -> Iterator[None]:
        """Run what is inside in a transaction, or savepoint, that is rolled back."""
        with transaction.atomic(ALIAS):
            yield
            transaction.set_rollback(True, ALIAS)

    def create_role(self, options: str = "") -> str:
        """Create a role that may use the schema and own things in it; dropped after the test."""
        name = f"{self.schema}_{os.getpid()}_{len(self._roles)}"
        self.execute(f"CREATE ROLE {name} {options}")
        self._roles.append(name)
        self.execute(f"GRANT USAGE ON SCHEMA {self.schema} TO {name}")
        return name

    @contextmanager
    def role(self, name: str) -> Iterator[None]:
        """Run what is inside as another role."""
        self.execute(f"SET ROLE {name}")
        try:
            yield
        finally:
            self.execute("RESET ROLE")

    def connect(self) -> psycopg.Connection[Any]:
        """Open another session in this schema, in autocommit mode; closed after the test."""
        parameters = {
            name: value
            for name, value in self.connection.get_connection_params().items()
            if name not in ("cursor_factory", "context", "prepare_threshold")
        }
        opened = psycopg.connect(**parameters, autocommit=True)
        self._opened.append(opened)
        opened.execute(f"SET search_path = {self.schema}, public")
        return opened

    def close(self) -> None:
        """Drop everything the test made."""
        for opened in self._opened:
            opened.close()
        if self.connection.in_atomic_block or not self.connection.is_usable():
            self.connection.close()
        self.execute("RESET ALL")
        self.execute("RESET ROLE")
        self.execute("SET client_min_messages = warning")
        self.execute(f"DROP SCHEMA {self.schema} CASCADE")
        for name in self._roles:
            self.execute(f"DROP OWNED BY {name} CASCADE")
            self.execute(f"DROP ROLE {name}")
        self.connection.close()


@contextmanager
def fresh_database() -> Iterator[Database]:
    """Give an empty schema with the runtime in it; drop it afterwards."""
    database = Database(f"harness_{next(_NUMBERS)}", connections[ALIAS])
    database.execute(f"CREATE SCHEMA {database.schema}")
    try:
        database.execute(f"SET search_path = {database.schema}, public")
        with database.connection.schema_editor() as editor:
            installer.install_runtime(editor)
        yield database
    finally:
        database.close()


@contextmanager
def branch(name: str) -> Iterator[None]:
    """Install TViews so that one branch of maintenance does all the work.

    Args:
        name: "small", "bulk", or "whole", which is that of statements with more rows than locks.
    """
    threshold = {"small": 1_000_000, "bulk": 1, "whole": 1}[name]
    limit = 0 if name == "whole" else shared.LOCK_LIMIT
    with (
        override_settings(DJANGO_TVIEWS={"BULK_THRESHOLD": threshold}),
        mock.patch.object(shared, "LOCK_LIMIT", limit),
    ):
        yield


@contextmanager
def strategies(*allowed: Strategy) -> Iterator[None]:
    """Install TViews whose plans may use these strategies, and recompute everything else."""
    limited = functools.partial(make_plan, strategies=allowed)
    with mock.patch.object(planning, "make_plan", limited):
        yield


@pytest.fixture(scope="session")
def own_database(server_url: str) -> Iterator[str]:
    """Give the name of a database of this process; Django's test database stays as it is."""
    name = f"tviews_harness_{os.getpid()}"
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        yield name
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(
    server_url: str, own_database: str, django_db_blocker: DjangoDbBlocker
) -> Iterator[Database]:
    """Give an empty schema with the runtime in it."""
    with database_of_its_own(server_url, own_database, django_db_blocker) as made:
        yield made


@contextmanager
def database_of_its_own(
    server_url: str, own_database: str, blocker: DjangoDbBlocker
) -> Iterator[Database]:
    """Give an empty schema with the runtime in it, for a fixture of any scope."""
    with _connected(server_url, own_database, blocker), fresh_database() as made:
        yield made


@contextmanager
def _connected(
    server_url: str, own_database: str, blocker: DjangoDbBlocker
) -> Iterator[BaseDatabaseWrapper]:
    with blocker.unblock():
        usual = connections[ALIAS]
        place = {**usual.settings_dict, **database_settings(server_url), "NAME": own_database}
        connections[ALIAS] = type(usual)(place, ALIAS)
        try:
            yield connections[ALIAS]
        finally:
            connections[ALIAS].close()
            connections[ALIAS] = usual


@pytest.fixture
def own_connection(
    server_url: str, own_database: str, django_db_blocker: DjangoDbBlocker
) -> Iterator[BaseDatabaseWrapper]:
    """Connect Django to the database of this process, whatever other tests run."""
    with _connected(server_url, own_database, django_db_blocker) as connection:
        yield connection


@pytest.fixture(params=["small", "bulk"])
def maintained(request: pytest.FixtureRequest, database: Database) -> Iterator[Database]:
    """Give the same, once for each branch of the maintenance."""
    with branch(request.param):
        yield database
