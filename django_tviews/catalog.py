"""What the server knows: the only reader of ``pg_catalog``.

Every function takes a Django connection and asks one question. Answers are values; nothing here
changes the database.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction

from .facts import ColumnFacts, RelationFacts, RelationKind, Volatility

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper

    from .facts import FunctionName, RelationName


@cache
def _question(name: str) -> str:
    return (resources.files(__package__) / "sql" / "catalog" / f"{name}.sql").read_text("utf-8")


def _rows(
    connection: BaseDatabaseWrapper, name: str, parameters: Sequence[Any] = ()
) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(_question(name), parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


# How PostgreSQL writes queries and types out so that any session reads them the same: with the
# schema of every name that is not its own, and with constants in one style.
_WRITTEN_OUT: Final = {
    "search_path": "",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}


@contextmanager
def _written_out(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let PostgreSQL write names and constants out in full, whatever the session has set."""
    with transaction.atomic(connection.alias), connection.cursor() as cursor:
        cursor.execute(f"SELECT {_each('current_setting(%s)', _WRITTEN_OUT)}", list(_WRITTEN_OUT))
        previous = dict(zip(_WRITTEN_OUT, cursor.fetchone(), strict=True))
        _set(cursor, _WRITTEN_OUT)
        yield
        _set(cursor, previous)


def _set(cursor: CursorWrapper, settings: Mapping[str, str]) -> None:
    parameters = [part for setting in settings.items() for part in setting]
    cursor.execute(f"SELECT {_each('set_config(%s, %s, true)', settings)}", parameters)


def _each(sql: str, settings: Mapping[str, str]) -> str:
    return ", ".join([sql] * len(settings))


# Relations


def resolve(
    connection: BaseDatabaseWrapper, names: Iterable[RelationName]
) -> dict[RelationName, int]:
    """Find relations by the search path.

    Args:
        connection: where.
        names: of the relations.

    Returns:
        The OIDs of those that exist.
    """
    wanted = list(names)
    rows = _rows(
        connection, "resolve", [[name[0] for name in wanted], [name[1] for name in wanted]]
    )
    return {(schema, name): oid for schema, name, oid in rows}


def relations(connection: BaseDatabaseWrapper, oids: Iterable[int]) -> dict[int, RelationFacts]:
    """Read the facts of relations by their OIDs.

    View definitions come with every name resolved, as ``pg_get_viewdef`` writes them when nothing
    is on the search path.
    """
    wanted = sorted(set(oids))
    with _written_out(connection):
        return _relations(connection, wanted)


def _relations(connection: BaseDatabaseWrapper, wanted: list[int]) -> dict[int, RelationFacts]:
    descendants: dict[int, list[int]] = {oid: [] for oid in wanted}
    ancestors: dict[int, list[int]] = {oid: [] for oid in wanted}
    for oid, relative, above in _rows(connection, "relatives", [wanted]):
        (ancestors if above else descendants)[oid].append(relative)
    lone = _lone_relations(
        connection, sorted({*wanted, *chain(*descendants.values(), *ancestors.values())})
    )
    return {
        oid: _with_relatives(
            lone[oid],
            tuple(lone[each] for each in descendants[oid]),
            tuple(lone[each] for each in ancestors[oid]),
        )
        for oid in wanted
        if oid in lone
    }


def _with_relatives(
    relation: RelationFacts,
    descendants: tuple[RelationFacts, ...],
    ancestors: tuple[RelationFacts, ...],
) -> RelationFacts:
    if relation.kind is RelationKind.INHERITANCE_PARENT:
        # A key holds for the rows of one table, and so may NOT NULL.
        columns = tuple(
            replace(
                column,
                not_null=column.not_null
                and all(each.by_name[column.name].not_null for each in descendants),
            )
            for column in relation.columns
        )
        relation = replace(relation, columns=columns, keys=())
    return replace(relation, descendants=descendants, ancestors=ancestors)


def _lone_relations(connection: BaseDatabaseWrapper, wanted: list[int]) -> dict[int, RelationFacts]:
    """Read the facts of relations without those of their partitions and children."""
    columns: dict[int, list[ColumnFacts]] = {oid: [] for oid in wanted}
    for oid, *column in _rows(connection, "columns", [wanted]):
        columns[oid].append(ColumnFacts(*column))
    keys: dict[int, list[tuple[str, ...]]] = {oid: [] for oid in wanted}
    for oid, names in _rows(connection, "keys", [wanted]):
        if all(column.not_null for column in columns[oid] if column.name in names):
            keys[oid].append(tuple(names))
    return {
        oid: RelationFacts(
            schema,
            name,
            RelationKind(kind),
            tuple(columns[oid]),
            tuple(keys[oid]),
            definition,
            row_security,
        )
        for oid, schema, name, kind, definition, row_security in _rows(
            connection, "relations", [wanted]
        )
    }


# What views compute, as their stored rules tell


def mutable_functions(
    connection: BaseDatabaseWrapper, views: Iterable[int]
) -> list[tuple[str, str, Volatility]]:
    """Read the functions that views call and that are not IMMUTABLE.

    Operators, casts and aggregates count with the functions behind them, and of overloaded
    functions only the one that is called.

    Args:
        connection: where.
        views: OIDs of views.

    Returns:
        Schema, name and volatility of each.
    """
    return [
        (schema, name, Volatility(volatility))
        for schema, name, volatility in _rows(connection, "called", [sorted(set(views))])
    ]


def casts_of_text_to_time(connection: BaseDatabaseWrapper, views: Iterable[int]) -> list[str]:
    """Read the types that views cast text to and that are or hold a date or time."""
    return [name for (name,) in _rows(connection, "reads_clock", [sorted(set(views))])]


def casts_of_names(connection: BaseDatabaseWrapper, views: Iterable[int]) -> list[str]:
    """Read the types whose values views cast to the names of database objects, or from them."""
    return [name for (name,) in _rows(connection, "names_of_objects", [sorted(set(views))])]


def float_aggregates(connection: BaseDatabaseWrapper, views: Iterable[int]) -> list[str]:
    """Read the aggregates by which views add up floats."""
    return [name for (name,) in _rows(connection, "float_aggregates", [sorted(set(views))])]


def read_settings(connection: BaseDatabaseWrapper, views: Iterable[int]) -> tuple[bool, bool]:
    """Tell whether what views compute may depend on settings, and whether on any setting at all.

    The first is so with STABLE functions, casts to text and the like, which read TimeZone and other
    formats. The second is so with functions of the project, which may do anything.
    """
    ((some, any_at_all),) = _rows(connection, "reads_settings", [sorted(set(views))])
    return some, any_at_all


def unnamed_comparisons(
    connection: BaseDatabaseWrapper, views: Iterable[int]
) -> list[tuple[str, str]]:
    """Read the comparisons of views that cannot name their operator, and the types compared.

    Those by PostgreSQL's own operators are left out: they are found again whatever the path is.
    """
    return [
        (what, type_sql)
        for what, type_sql in _rows(connection, "unnamed_comparisons", [sorted(set(views))])
    ]


def dependencies_on_inherited_keys(
    connection: BaseDatabaseWrapper, views: Iterable[int]
) -> list[str]:
    """Read the tables with inheritance children by whose primary key views group.

    Only by that key are columns that the view shows ungrouped the same in each group, and it
    holds for the parent's own rows only.
    """
    return [name for (name,) in _rows(connection, "inherited_keys", [sorted(set(views))])]


# Functions, types and relations by their names


@dataclass(frozen=True)
class Overloads:
    """The functions of one name.

    Attributes:
        volatility: the worst of theirs.
        aggregate: one of them is an aggregate.
        set_returning: one of them gives rows.
    """

    volatility: Volatility
    aggregate: bool
    set_returning: bool


def functions(
    connection: BaseDatabaseWrapper, names: Iterable[FunctionName]
) -> dict[FunctionName, Overloads]:
    """Read what functions are, by their names; those that do not exist are left out."""
    wanted = list(names)
    rows = _rows(
        connection, "functions", [[name[0] for name in wanted], [name[1] for name in wanted]]
    )
    return {
        (schema, name): Overloads(Volatility(volatility), aggregate, set_returning)
        for schema, name, volatility, aggregate, set_returning in rows
    }


def equality_schemas(connection: BaseDatabaseWrapper, types: Iterable[str]) -> dict[str, str]:
    """Read the schemas of equality operators that stand outside ``pg_catalog``.

    Args:
        connection: where.
        types: SQL types, as in :attr:`ColumnFacts.type`.

    Returns:
        The schema by type, for those types whose default btree equality is not PostgreSQL's own.
    """
    wanted = sorted(set(types))
    return dict(_rows(connection, "equality", [wanted]))


def container_types(connection: BaseDatabaseWrapper, types: Iterable[str]) -> dict[str, str]:
    """Tell which types are ``an array`` or ``a row``, or domains over one."""
    return dict(_rows(connection, "container_types", [sorted(set(types))]))


def other_collations(
    connection: BaseDatabaseWrapper, table: str, view: str, key: Mapping[str, str]
) -> list[tuple[str, str, str]]:
    """Read which key columns a table compares by another collation than its query.

    Args:
        connection: where.
        table: the TView's table, quoted.
        view: its backing view, quoted.
        key: the output column of the query for each key column.

    Returns:
        For each: the column, the collation of the table, the collation of the query. Those are
        left out where the difference decides nothing.
    """
    return [
        (name, stored, queried)
        for name, stored, queried in _rows(
            connection, "key_collations", [list(key), list(key.values()), table, view]
        )
    ]


def full_type_names(connection: BaseDatabaseWrapper, types: Iterable[str]) -> dict[str, str]:
    """Read how types found by the search path are written without one.

    Args:
        connection: where.
        types: SQL types, as declared: ``citext``, ``mood[]``.

    Returns:
        The full name by type, for those that are not PostgreSQL's own: ``public.citext``.
    """
    return dict(_rows(connection, "full_type_names", [sorted(set(types))]))


def implicit_casts(
    connection: BaseDatabaseWrapper, pairs: Iterable[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Read which types become which others without anybody asking for it.

    Args:
        connection: where.
        pairs: SQL types, the old and the new one.

    Returns:
        The pairs of which this is true.
    """
    wanted = list(pairs)
    parameters = [[old for old, _ in wanted], [new for _, new in wanted]]
    return {(old, new) for old, new in _rows(connection, "implicit_casts", parameters)}


def primary_key(connection: BaseDatabaseWrapper, table: str) -> tuple[str, bool, str | None]:
    """Read a table's primary key: name, whether replicas rely on it, tablespace if it has its own.

    Args:
        connection: where.
        table: its name, quoted.
    """
    ((name, identifies, tablespace),) = _rows(connection, "primary_key", [table])
    return name, identifies, tablespace


def view_columns(connection: BaseDatabaseWrapper, view: str) -> list[tuple[str, str, int]]:
    """Read the columns of a view: name, type, OID of the collation.

    Args:
        connection: where.
        view: its name, quoted.
    """
    return [
        (name, type_sql, collation)
        for name, type_sql, collation in _rows(connection, "view_columns", [view])
    ]


def view_definition(connection: BaseDatabaseWrapper, schema: str, name: str) -> str:
    """Read a view's query with every name resolved."""
    (oid,) = resolve(connection, [(schema, name)]).values()
    return relations(connection, [oid])[oid].definition or ""


# What is installed, and where


def current_schema(connection: BaseDatabaseWrapper) -> str:
    """The schema in which an unqualified CREATE makes its object."""
    ((schema,),) = _rows(connection, "current_schema")
    return str(schema)


def isolation_level(connection: BaseDatabaseWrapper) -> str:
    """The isolation level of the current transaction, in the server's lower-case words."""
    ((level,),) = _rows(connection, "isolation_level")
    return str(level)


def runtime_schema(connection: BaseDatabaseWrapper) -> str | None:
    """The schema of the registry that the search path finds; None before the first migration."""
    rows = _rows(connection, "runtime_schema")
    return str(rows[0][0]) if rows else None


def runtime_owner(connection: BaseDatabaseWrapper) -> tuple[str, bool] | None:
    """The role that owns what TViews share, and whether it is the current one."""
    rows = _rows(connection, "runtime_owner")
    return (str(rows[0][0]), bool(rows[0][1])) if rows else None


@dataclass(frozen=True)
class InstalledTrigger:
    """A trigger of ours, as the server has it.

    Attributes:
        schema: of the table it stands on.
        table: the table it stands on.
        name: its name.
        definition: ``pg_get_triggerdef``.
        enabled: it fires for ordinary writers.
        tview: OID of the TView's table it depends on; None for a shared one.
        function_schema: of the function that it calls.
    """

    schema: str
    table: str
    name: str
    definition: str
    enabled: bool
    tview: int | None
    function_schema: str


def enabled_clones(connection: BaseDatabaseWrapper) -> set[tuple[str, str, str]]:
    """Read where row triggers of ours have clones that fire: schema, partition, trigger."""
    return set(_rows(connection, "enabled_clones"))


def triggers(connection: BaseDatabaseWrapper) -> list[InstalledTrigger]:
    """Read all triggers of ours, recognised by their names."""
    return [InstalledTrigger(*row) for row in _rows(connection, "triggers")]


@dataclass(frozen=True)
class InstalledFunction:
    """A function, as the server has it.

    Attributes:
        oid: of the function.
        body: its source text.
        comment: its comment.
        public: everybody may execute it.
        callable: the owner of what TViews share may execute it.
        security_definer: it runs with the rights of its owner.
        settings: what it sets while it runs, as ``name=value`` in lower case.
    """

    oid: int
    body: str
    comment: str | None
    public: bool
    callable: bool
    security_definer: bool
    settings: frozenset[str]


def functions_by_signature(
    connection: BaseDatabaseWrapper, signatures: Iterable[str]
) -> dict[str, InstalledFunction]:
    """Read functions by their signatures; those that do not exist are left out."""
    return {
        signature: InstalledFunction(
            oid, body, comment, public, usable, definer, frozenset(map(str.lower, settings))
        )
        for signature, oid, body, comment, public, usable, definer, settings in _rows(
            connection, "functions_by_signature", [list(signatures)]
        )
    }


@dataclass(frozen=True)
class RegistryRow:
    """An installed TView, as the registry has it.

    Attributes:
        oid: of the TView's table.
        schema: of the table; None if the table is gone.
        table: its name; None if the table is gone.
        label: the model.
        declaration: what the TView said when it was installed, as JSON.
        depth: how many TViews lie below it.
        format_version: of what was generated.
        fingerprint: of what was generated.
    """

    oid: int
    schema: str | None
    table: str | None
    label: str
    declaration: Any
    depth: int
    format_version: int
    fingerprint: str


def registry(connection: BaseDatabaseWrapper) -> list[RegistryRow]:
    """Read the registry, those that others read first; empty before the first migration."""
    if runtime_schema(connection) is None:
        return []
    rows = [RegistryRow(*row) for row in _rows(connection, "registry")]
    return [
        # Django's cursors leave jsonb as text.
        replace(row, declaration=json.loads(str(row.declaration)))
        for row in rows
    ]


def own_functions(connection: BaseDatabaseWrapper, schema: str, label: str) -> dict[int, str]:
    """Read the functions that were generated for a TView: their signatures by OID."""
    with _written_out(connection):
        return dict(_rows(connection, "own_functions", [schema, label]))


def missing_extensions(connection: BaseDatabaseWrapper, names: Iterable[str]) -> list[str]:
    """Read which names of functions or types are also those of extensions not installed here."""
    return [str(name) for (name,) in _rows(connection, "missing_extensions", [sorted(names)])]


def comment(connection: BaseDatabaseWrapper, relation: str) -> str | None:
    """Read the comment on a relation, whose name is quoted already."""
    ((found,),) = _rows(connection, "comment", [relation])
    return None if found is None else str(found)


# What depends on what


def dependent_views(
    connection: BaseDatabaseWrapper, oids: Iterable[int]
) -> dict[int, frozenset[int]]:
    """Read, for relations by OID, the views whose rules read them."""
    found: dict[int, set[int]] = {}
    for relation, view in _rows(connection, "dependent_views", [sorted(set(oids))]):
        found.setdefault(relation, set()).add(view)
    return {relation: frozenset(views) for relation, views in found.items()}


def indexed_columns(
    connection: BaseDatabaseWrapper, oids: Iterable[int]
) -> dict[int, frozenset[str]]:
    """Read, for relations by OID, the columns that an index begins with."""
    found: dict[int, set[str]] = {}
    for relation, column in _rows(connection, "indexes", [sorted(set(oids))]):
        found.setdefault(relation, set()).add(column)
    return {relation: frozenset(columns) for relation, columns in found.items()}


@dataclass(frozen=True)
class Structure:
    """A relation with what plans depend on: names, and digests of the rest.

    Attributes:
        oid: of the relation.
        schema: its schema.
        name: its name.
        shape: a digest of the columns, their types, and the keys; names do not count.
        rule: for a view, a digest of what it computes; renames leave it as it is.
        makeup: what decides besides writes which rows it has: the tables below it, as numbers,
            and a digest of the expressions of generated columns.
        columns: the names of the columns by their numbers.
        types: the types of the columns by their numbers, as far as they can be compared.
        storage: where its rows are; no part of what plans depend on.
    """

    oid: int
    schema: str
    name: str
    shape: str
    rule: str | None
    makeup: str
    columns: Mapping[int, str]
    types: Mapping[int, str]
    storage: str = field(default="", compare=False)


@dataclass(frozen=True)
class Standing:
    """What a TView stands on, in the state in which it is.

    Attributes:
        table: its own table; None if that is gone.
        view: OID of its backing view; None if that is gone.
        relations: all that its query reads, its backing view and helper views, by OID.
        triggers: those that depend on its table: the OID of the table they stand on, their name.
    """

    table: Structure | None
    view: int | None
    relations: Mapping[int, Structure]
    triggers: frozenset[tuple[int, str]]


def standings(connection: BaseDatabaseWrapper, views: Mapping[int, str]) -> dict[int, Standing]:
    """Read what TViews stand on.

    Args:
        connection: where.
        views: the names of the backing views, by the OID of the TView's table.
    """
    read = {
        tview: (view, relations)
        for tview, view, relations in _rows(
            connection, "standings", [list(views), list(views.values())]
        )
    }
    known = structures(connection, {*views, *(oid for _, oids in read.values() for oid in oids)})
    triggers: dict[int, set[tuple[int, str]]] = {}
    for tview, table, name in _rows(connection, "tview_triggers", [list(views)]):
        triggers.setdefault(tview, set()).add((table, name))
    found = {}
    for tview in views:
        view, relations = read.get(tview, (None, []))
        found[tview] = Standing(
            known.get(tview),
            view,
            {oid: known[oid] for oid in relations if oid in known},
            frozenset(triggers.get(tview, ())),
        )
    return found


def structures(connection: BaseDatabaseWrapper, oids: Iterable[int]) -> dict[int, Structure]:
    """Read names and digests of relations by their OIDs."""
    return {
        oid: Structure(
            oid,
            schema,
            name,
            shape,
            rule,
            makeup,
            dict(zip(numbers, names, strict=True)),
            dict(zip(numbers, types, strict=True)),
            storage,
        )
        for oid, schema, name, shape, rule, makeup, numbers, names, types, storage in _rows(
            connection, "structures", [sorted(set(oids))]
        )
    }


def goes_with(connection: BaseDatabaseWrapper, table: int, column: str | None) -> frozenset[int]:
    """Read the OIDs of the relations that would go with a table, or with one of its columns."""
    return frozenset(oid for (oid,) in _rows(connection, "goes_with", [table, column])) - {table}


def column_readers(connection: BaseDatabaseWrapper, table: int, column: str) -> frozenset[int]:
    """Read the OIDs of the views that read a column themselves."""
    return frozenset(view for (view,) in _rows(connection, "column_readers", [table, column]))


def key_readers(connection: BaseDatabaseWrapper, table: int) -> frozenset[int]:
    """Read the OIDs of the views that depend on a primary key or unique constraint of a table."""
    return frozenset(view for (view,) in _rows(connection, "key_readers", [table]))


def grants(connection: BaseDatabaseWrapper, relation: int) -> list[tuple[str | None, str, bool]]:
    """Read what others than the owner may do with a relation.

    Returns:
        For each right: the role, None for everybody, the privilege, and with grant option or not.
    """
    return [
        (role, privilege, grantable)
        for role, privilege, grantable in _rows(connection, "grants", [relation])
    ]


# The server, its settings and its sessions


@dataclass(frozen=True)
class Server:
    """A server, and the session that asks it.

    Attributes:
        version: as the server writes it.
        version_number: the same as a number: 150004.
        database: the name of the database.
        role: the role that has logged in.
        process: the number of the process that serves the session.
        in_recovery: it is a standby, and takes no writes.
        lock_table: how many locks all transactions together can hold at least.
    """

    version: str
    version_number: int
    database: str
    role: str
    process: int
    in_recovery: bool
    lock_table: int


def server(connection: BaseDatabaseWrapper) -> Server:
    """Read what the server is, and as whom it knows the session."""
    (row,) = _rows(connection, "server")
    return Server(*row)


def settings_in_force(
    connection: BaseDatabaseWrapper, names: Iterable[str]
) -> dict[str, tuple[str, bool]]:
    """Read settings.

    Returns:
        By name: the value in force, and whether it is what the server says for everybody.
    """
    return {
        name: (value, from_server)
        for name, value, from_server in _rows(connection, "settings", [list(names)])
    }


@dataclass(frozen=True)
class RoleSetting:
    """A setting that ALTER DATABASE or ALTER ROLE has made for the database.

    Attributes:
        role: whose it is; None for those of all roles.
        applies: it applies to the role that asks.
        here_only: it is made for this database only.
        name: of the setting.
        value: of the setting.
    """

    role: str | None
    applies: bool
    here_only: bool
    name: str
    value: str


def role_settings(connection: BaseDatabaseWrapper, names: Iterable[str]) -> list[RoleSetting]:
    """Read what databases and roles say about settings; later ones win."""
    return [RoleSetting(*row) for row in _rows(connection, "settings_of_roles", [list(names)])]


def subscribed(connection: BaseDatabaseWrapper, oids: Iterable[int]) -> dict[int, list[str]]:
    """Read, for tables by OID, the subscriptions that write to them."""
    found: dict[int, list[str]] = {}
    for oid, name in _rows(connection, "subscribed", [sorted(set(oids))]):
        found.setdefault(oid, []).append(name)
    return found


@dataclass(frozen=True)
class WaitingLock:
    """A lock on a TView, or on a table that TViews read, that somebody waits for.

    Attributes:
        pid: the process that waits.
        is_table: the lock is on a table.
        oid: of the table, or of that of the TView.
        number: which lock on the TView.
        mode: as the server names it.
        seconds: how long it waits; None if it has only begun.
        blockers: the processes that it waits for; 0 is a prepared transaction.
    """

    pid: int
    is_table: bool
    oid: int
    number: int | None
    mode: str
    seconds: float | None
    blockers: list[int]


def waiting_locks(
    connection: BaseDatabaseWrapper, tviews: Iterable[int], tables: Iterable[int]
) -> list[WaitingLock]:
    """Read who waits for locks on TViews, or on tables; who waits longest comes first.

    Args:
        connection: where.
        tviews: OIDs of their tables, and whatever else locks are named by.
        tables: OIDs of tables.
    """
    rows = _rows(connection, "waits", [sorted(set(tviews)), sorted(set(tables))])
    return [WaitingLock(*row) for row in rows]


def modes_held(connection: BaseDatabaseWrapper, lock: WaitingLock) -> dict[int, list[str]]:
    """Read in which modes those who block somebody hold the lock, by process."""
    where = [lock.is_table, lock.oid, lock.oid, lock.number or 0]
    found: dict[int, list[str]] = {}
    for pid, mode in _rows(connection, "held", [lock.blockers, *where]):
        found.setdefault(pid, []).append(mode)
    return found


@dataclass(frozen=True)
class Session:
    """A session, and what it does.

    Attributes:
        pid: its process; 0 is a prepared transaction.
        application: the name that it goes by.
        role: its role.
        state: ``active``, ``idle in transaction``, …
        state_seconds: how long it has been in that state.
        transaction_seconds: how long its transaction has been open.
        query: the statement that it runs, or has run last.
    """

    pid: int
    application: str = ""
    role: str = ""
    state: str = ""
    state_seconds: float | None = None
    transaction_seconds: float | None = None
    query: str = ""


def sessions(connection: BaseDatabaseWrapper, pids: Iterable[int]) -> dict[int, Session]:
    """Read what sessions do, by process; those that are gone are left out."""
    return {row[0]: Session(*row) for row in _rows(connection, "sessions", [sorted(set(pids))])}
