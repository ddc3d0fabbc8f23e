"""Runs a case twice in one database: with TViews, and with plain views in their place.

The schema ``fuzz_main`` has the tables and the TViews, ``fuzz_shadow`` the same tables and, in
place of each TView, a plain view over its query, cast to the types of the TView's columns. Every
statement runs in both. A case fails when

* a TView's table differs from the shadow's view after a statement: *drift*;
* a statement fails in one schema only, although every query can be evaluated, has no key twice
  and, where that was promised, no NULL;
* the tables differ, so that maintenance has changed what the statement itself does;
* something is left over: rows in the spool, a statement that counts as open;
* the compiler fails with anything but a refusal.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from django.db import DatabaseError
from django.test import override_settings

from django_tviews import catalog, installer, planning
from django_tviews.definition import Column, Declaration
from django_tviews.errors import KeyNotUnique, KeyNull, RefreshFailed, TViewError
from django_tviews.plan.plan import MAINTENANCE_ENVIRONMENT, Strategy
from django_tviews.relational.builder import build_tree
from django_tviews.relational.canonical import canonical_sql
from tests.oracle import with_hidden_columns

from .case import Case, TViewText
from .schema import quote, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper

MAIN, SHADOW = "fuzz_main", "fuzz_shadow"

_CONTROL = re.compile(r"BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE")
_COPY = re.compile(r"COPY .* FROM STDIN\n", re.DOTALL)

# What a statement may fail with that succeeds without TViews; docs/reference/errors.md has them.
REFUSED_WRITES = (KeyNotUnique, KeyNull, RefreshFailed)

# The classes of errors that rows of the tables can account for.
_DATA_ERRORS = ("21", "22", "23")

# Longer than any query over a handful of rows should take.
TIMEOUT = "20s"


class CaseFailedError(Exception):
    """The two schemas could be told apart.

    Args:
        kind: drift, error, crash, tables, leftover.
        message: what was seen.
        signature: what must be the same for a smaller case to fail in the same way.
    """

    def __init__(self, kind: str, message: str, signature: str = "") -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.signature = (kind, signature)


class NotValidError(Exception):
    """PostgreSQL itself does not take the definition."""


class TooSlowError(Exception):
    """A statement over a handful of rows has met the time limit: a product of many relations."""


@dataclass
class RefusedError(Exception):
    """The compiler does not take the query.

    Attributes:
        construct: why, as the name of a construct or of an exception.
    """

    construct: str


@dataclass
class Playground:
    """Two schemas and the TViews in them.

    Attributes:
        connection: Django's connection, in autocommit mode.
        bulk_threshold: the setting with which TViews are installed.
        compared: how many times a TView was found equal to its query after a statement.
        moved: how many times of these it was not what it was before.
        errors: of statements that PostgreSQL refused in both schemas, by SQLSTATE.
        explained: errors that maintenance has to raise, because the query does.
    """

    connection: BaseDatabaseWrapper
    bulk_threshold: int = 100
    compared: int = 0
    moved: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    _tables: list[str] = field(default_factory=list)
    _tviews: list[Declaration] = field(default_factory=list)
    _images: dict[str, str | None] = field(default_factory=dict)
    _in_transaction: bool = False

    # Life

    def open(self) -> None:
        """Create the two schemas, empty."""
        self._execute(_SESSION)
        for schema in (MAIN, SHADOW):
            self._execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
            self._execute(f"CREATE SCHEMA {schema}")
        self._execute(f"SET statement_timeout = '{TIMEOUT}'")
        self._execute(f"SET search_path = {MAIN}")
        with self.connection.schema_editor() as editor:
            installer.install_runtime(editor)

    def close(self) -> None:
        """Drop them again."""
        if self._in_transaction:
            self._execute("ROLLBACK")
        self._execute("RESET ALL")
        self._execute(_SESSION)
        for schema in (MAIN, SHADOW):
            self._execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")

    # Definitions

    def define(self, definition: str | TViewText) -> None:
        """Execute DDL in both schemas, or install a TView.

        Raises:
            NotValidError: PostgreSQL does not take it.
            RefusedError: django_tviews does not.
            CaseFailedError: django_tviews fails in another way.
        """
        if isinstance(definition, TViewText):
            self._install(definition)
            return
        try:
            for schema in (SHADOW, MAIN):
                self._execute(f"SET search_path = {schema}")
                self._execute(definition)
        except DatabaseError as error:
            raise NotValidError(str(error)) from error
        finally:
            self._execute(f"SET search_path = {MAIN}")
        if match := re.match(r'CREATE TABLE ((?:"[^"]+")|\w+)', definition):
            self._tables.append(match[1])

    def is_empty(self, query: str) -> bool:
        """Tell whether a query is valid and finds nothing."""
        try:
            ((found,),) = self._execute(f"SELECT count(*) FROM ({query}) AS query")
        except DatabaseError:
            return False
        return not found

    def _install(self, tview: TViewText) -> None:
        try:
            self._execute(f"CREATE VIEW {MAIN}.probe AS {tview.query}")
        except DatabaseError as error:
            raise NotValidError(str(error)) from error
        try:
            declaration = self._declare(tview)
        except TViewError as error:
            raise RefusedError(_construct(error)) from error
        except Exception as error:
            message = f"{error!r} compiling {tview.query}"
            raise CaseFailedError("crash", message, repr(type(error))) from error
        finally:
            self._execute(f"DROP VIEW {MAIN}.probe")
        self._create_shadow(declaration)
        try:
            with (
                override_settings(DJANGO_TVIEWS={"BULK_THRESHOLD": self.bulk_threshold}),
                self.connection.schema_editor() as editor,
            ):
                installer.create(
                    editor,
                    declaration,
                    lambda: editor.execute(_create_table(declaration), params=None),
                )
        except Exception as error:
            if _state(error) == "57014":
                raise TooSlowError(declaration.query) from error
            raise self._judged(declaration, error) from error
        shown = with_hidden_columns(self.connection, declaration)
        if shown != declaration:
            self._execute(f"DROP VIEW {SHADOW}.{quote(declaration.table)}")
            self._create_shadow(shown)
        self._tviews.append(declaration)
        self._compare("its creation")

    def strategies_of_the_last(self) -> Counter[str]:
        """Count the strategies of the sources of the TView that was installed last."""
        plan = planning.plan_of(self.connection, self._tviews[-1], MAIN)
        found: Counter[str] = Counter()
        for source in plan.sources:
            for event in ("INSERT", "UPDATE", "DELETE"):
                strategy = source.strategy_of(event)
                joined = source.fold is not None and source.fold.joins
                name = "fold of a join" if strategy is Strategy.FOLD and joined else strategy
                found[str(name)] += 1
        return found

    def _judged(self, declaration: Declaration, error: Exception) -> Exception:
        """Tell a refusal, and contents that the query itself does not allow, from a failure."""
        state = _state(error)
        explained = self._explains(declaration, state)
        self._execute(f"DROP VIEW {SHADOW}.{quote(declaration.table)}")
        if explained:
            return RefusedError(f"contents: {state}")
        if isinstance(error, TViewError) and state is None:
            return RefusedError(_construct(error))
        message = f"{error!r} installing {declaration.query}"
        if isinstance(error, TViewError | DatabaseError):
            return CaseFailedError("error", message, f"install {state}")
        return CaseFailedError("crash", message, repr(type(error)))

    def _declare(self, tview: TViewText) -> Declaration:
        """Declare the TView of the view ``probe``, NOT NULL wherever the compiler proves it."""
        types = dict(
            self._execute(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
                f"WHERE attrelid = '{MAIN}.probe'::regclass AND attnum > 0 ORDER BY attnum"
            )
        )
        query = catalog.view_definition(self.connection, MAIN, "probe")
        tree = build_tree(query, planning.read_facts(self.connection, query))
        nullable = {output.name: output.nullable for output in tree.outputs}
        return Declaration(
            label=f"fuzz.{tview.name}",
            table=tview.name,
            query=canonical_sql(tview.query),
            columns=tuple(
                Column(name, type_, nullable[name] and name not in tview.key, name)
                for name, type_ in types.items()
            ),
            key=tview.key,
            allow_rebuild=tview.allow_rebuild,
            mode=tview.mode,
        )

    def _create_shadow(self, declaration: Declaration) -> None:
        outputs = ", ".join(
            f"CAST(query.{quote(column.output)} AS {column.type}) AS {quote(column.name)}"
            for column in declaration.columns
        )
        self._execute(f"SET search_path = {SHADOW}")
        self._execute(
            f"CREATE VIEW {SHADOW}.{quote(declaration.table)} AS "
            f"SELECT {outputs} FROM ({declaration.query}) AS query"
        )
        self._execute(f"SET search_path = {MAIN}")

    # Statements

    def step(self, statement: str) -> None:
        """Run a statement in both schemas, and compare.

        Raises:
            CaseFailedError: they can be told apart.
        """
        if _CONTROL.match(statement):
            if self._control(statement):
                self._compare(statement)
            return
        if self._in_transaction:
            if not self._run(statement):
                statement = f"what failed: {statement}"
        else:
            self._execute("BEGIN")
            try:
                self._run(statement)
            except BaseException:
                self._execute("ROLLBACK")
                raise
            self._end("COMMIT")
        self._compare(statement)

    def _control(self, statement: str) -> bool:
        """Run a statement about the transaction; tell whether it has come to pass."""
        if statement in ("COMMIT", "ROLLBACK"):
            if self._in_transaction:
                self._in_transaction = False
                self._end(statement)
        elif statement == "BEGIN":
            if not self._in_transaction:
                self._in_transaction = True
                self._execute("BEGIN")
        elif self._in_transaction:
            # A case that was cut down may name a savepoint that it no longer makes.
            self._execute("SAVEPOINT fuzz_control")
            if not self._end(statement):
                self._execute("ROLLBACK TO SAVEPOINT fuzz_control")
                return False
        return True

    def _end(self, statement: str) -> bool:
        """Run what is deferred until a statement; tell whether that went well."""
        try:
            self._execute(statement)
        except DatabaseError as error:
            # A deferred constraint, of both schemas alike, or a deferred TView.
            state, known = _state(error) or "?", TViewError.from_database_error(error)
            if known is None:
                self.errors[state] += 1
            elif isinstance(known, REFUSED_WRITES) and state[:2] in _DATA_ERRORS:
                self.explained[f"{type(known).__name__} {state}"] += 1
            else:
                raise CaseFailedError("error", f"{error} at {statement}", state) from error
            return False
        return True

    def _run(self, statement: str) -> bool:
        """Run a statement in both schemas; tell whether it went well."""
        self._execute(f"SAVEPOINT fuzz_step; SET LOCAL search_path = {SHADOW}")
        expected = self._attempt(statement)
        if expected is not None:
            self._execute("ROLLBACK TO SAVEPOINT fuzz_step")
        self._execute(f"SET LOCAL search_path = {MAIN}")
        actual = self._attempt(statement)
        if actual is not None:
            state = _state(actual)
            if expected is None:
                # Maintenance failed. That is right only where the query fails as well.
                self._execute(f"ROLLBACK TO SAVEPOINT fuzz_step; SET LOCAL search_path = {SHADOW}")
                self._attempt(statement)
                known = type(TViewError.from_database_error(actual))
                if known not in REFUSED_WRITES or not any(
                    self._explains(each, state) for each in self._tviews
                ):
                    raise CaseFailedError(
                        "error", f"{actual} after {statement}", str(state)
                    ) from actual
                self.explained[f"{known.__name__} {state}"] += 1
            self._execute("ROLLBACK TO SAVEPOINT fuzz_step")
        if expected is not None:
            if actual is None:
                raise CaseFailedError("error", f"no {expected} after {statement}", "none")
            self.errors[_state(expected) or "?"] += 1
        self._execute("RELEASE SAVEPOINT fuzz_step")
        return expected is None and actual is None

    def _attempt(self, statement: str) -> DatabaseError | None:
        """Run a statement in the schema at hand; return the error it met."""
        try:
            copy = _COPY.match(statement)
            if copy:
                self._copy(copy[0].rstrip("\n"), statement[copy.end() :])
            else:
                self._execute(statement)
        except DatabaseError as error:
            return error
        finally:
            failed = self.connection.connection.info.transaction_status.name == "INERROR"
            if statement.startswith("SET LOCAL") and not failed:
                self._execute(_SETTLED)
        return None

    # The oracle

    def _compare(self, step: str) -> None:
        deferred = any(each.mode == "deferred" for each in self._tviews)
        if deferred and self._in_transaction and step != "SET CONSTRAINTS ALL IMMEDIATE":
            # Equal at COMMIT, or where that is brought forward.
            return
        self._execute(f"SET search_path = {MAIN}")
        tables = [quote(declaration.table) for declaration in self._tviews]
        question = " UNION ALL ".join(_COMPARISON.format(table=table) for table in tables)
        leftovers = _LEFTOVERS if not tables else f"{question} UNION ALL {_LEFTOVERS}"
        try:
            *answers, (opened, spooled) = self._execute(leftovers)
        except DatabaseError as error:
            raise CaseFailedError("error", f"{error} evaluating the queries", "oracle") from error
        for declaration, table, (image, differences) in zip(
            self._tviews, tables, answers, strict=True
        ):
            if differences:
                raise CaseFailedError(
                    "drift",
                    f"{declaration.label} after {step}\n{differences}\n{declaration.query}",
                )
            self.compared += 1
            self.moved += self._images.get(table, image) != image
            self._images[table] = image
        if spooled or opened not in (None, "", "0"):
            raise CaseFailedError("leftover", f"{spooled} spooled, {opened} open after {step}")

    def compare_tables(self) -> None:
        """Compare the tables themselves.

        Raises:
            CaseFailedError: maintenance has changed what a statement does.
        """
        for table in self._tables:
            both = [
                self._execute(f"SELECT row::text FROM {schema}.{table} AS row ORDER BY 1")
                for schema in (MAIN, SHADOW)
            ]
            if both[0] != both[1]:
                raise CaseFailedError(
                    "tables", f"{table}: {both[0]} with TViews, {both[1]} without"
                )

    def _explains(self, declaration: Declaration, state: str | None) -> bool:
        """Tell whether a query's own result, without maintenance, accounts for an error."""
        view = f"{SHADOW}.{quote(declaration.table)}"
        if self._open():
            self._execute("SAVEPOINT fuzz_probe")
        try:
            rows = self._execute(f"SELECT * FROM {view}")
        except DatabaseError as error:
            if self._open():
                self._execute("ROLLBACK TO SAVEPOINT fuzz_probe")
            return _state(error) == state
        if state not in (KeyNotUnique.sqlstate, "23505"):
            return False
        keys = Counter(
            tuple(
                str(value)
                for value, column in zip(row, declaration.columns, strict=False)
                if column.name in declaration.key
            )
            for row in rows
        )
        return max(keys.values(), default=0) > 1

    def _open(self) -> bool:
        return self.connection.connection.info.transaction_status.name != "IDLE"

    # SQL

    def _execute(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            # No parameters, so that a percent sign is one.
            with self.connection.cursor() as cursor:
                cursor.execute(sql, None)
                return cursor.fetchall() if cursor.description else []
        except DatabaseError as error:
            if _state(error) == "57014":
                raise TooSlowError(sql) from error
            raise

    def _copy(self, sql: str, data: str) -> None:
        with (
            self.connection.wrap_database_errors,
            self.connection.cursor() as cursor,
            cursor.copy(sql) as copy,
        ):
            copy.write(data)


# Rows as text, so that equal values with different looks stay apart.
# PostgreSQL 18 answers GROUPING SETS over self joins wrongly where it eliminates the join.
_SESSION = (
    "SET client_min_messages = warning; SELECT set_config(name, 'off', false) FROM pg_settings "
    "WHERE name = 'enable_self_join_elimination'"
)
_COMPARISON = f"""
    (WITH actual AS (SELECT row::text AS row, count(*) AS n FROM {MAIN}.{{table}} AS row GROUP BY 1),
    expected AS (SELECT row::text AS row, count(*) AS n FROM {SHADOW}.{{table}} AS row GROUP BY 1),
    differences AS (
        SELECT row, actual.n AS actual, expected.n AS expected
        FROM actual FULL JOIN expected USING (row)
        WHERE actual.n IS DISTINCT FROM expected.n
        ORDER BY row LIMIT 5
    )
    SELECT (SELECT md5(string_agg(row, ' ' ORDER BY row)) FROM actual),
        (SELECT string_agg(
            format('    %s: %s in the table, %s in the query',
                row, coalesce(actual, 0), coalesce(expected, 0)), E'\\n')
         FROM differences))
"""

# Statements that count as open, and rows in the spool.
_LEFTOVERS = f"""
    SELECT current_setting('django_tviews.{MAIN}_open', true),
        (SELECT string_agg(spool::text, E'\\n') FROM {MAIN}.django_tviews_spool AS spool)
"""

# Undoes what a statement has SET.
_SETTLED = "; ".join(
    [
        *(
            f"SET LOCAL {name} = {value if name == 'DateStyle' else repr(value)}"
            for name, value in MAINTENANCE_ENVIRONMENT
            if name not in ("search_path", "row_security")
        ),
        *(
            f"SET LOCAL {name} TO DEFAULT"
            for name in (
                "enable_hashjoin",
                "enable_nestloop",
                "enable_mergejoin",
                "enable_hashagg",
                "enable_sort",
                "enable_seqscan",
                "plan_cache_mode",
                "transform_null_equals",
                "standard_conforming_strings",
                "quote_all_identifiers",
            )
        ),
    ]
)


def _create_table(declaration: Declaration) -> str:
    columns = [
        f"{quote(column.name)} {column.type}{'' if column.nullable else ' NOT NULL'}"
        for column in declaration.columns
    ]
    key = f"PRIMARY KEY ({quoted(declaration.key)})"
    return f"CREATE TABLE {quote(declaration.table)} ({', '.join([*columns, key])})"


def _construct(error: TViewError) -> str:
    return str(error.context.get("construct") or type(error).__name__)


def _state(error: BaseException | None) -> str | None:
    """Return the SQLSTATE that PostgreSQL sent."""
    while error is not None:
        if isinstance(error, psycopg.Error) and error.sqlstate:
            return error.sqlstate
        error = error.__cause__
    return None


@contextmanager
def playground(connection: BaseDatabaseWrapper, bulk_threshold: int = 100) -> Iterator[Playground]:
    """Give a playground, and clean up after it."""
    made = Playground(connection, bulk_threshold)
    made.open()
    try:
        yield made
    finally:
        made.close()


def replay(connection: BaseDatabaseWrapper, case: Case) -> CaseFailedError | None:
    """Run a case from the beginning.

    Returns:
        How it failed; None if it did not.
    """
    try:
        with playground(connection, case.bulk_threshold) as ground:
            for definition in case.definitions:
                ground.define(definition)
            for statement in case.statements:
                ground.step(statement)
            ground.compare_tables()
    except CaseFailedError as failure:
        return failure
    except (NotValidError, RefusedError, TooSlowError):
        return None
    return None
