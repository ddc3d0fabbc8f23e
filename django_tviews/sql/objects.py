"""Everything that is created for a TView besides its table: functions and triggers."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django_tviews.definition import object_name
from django_tviews.errors import FUNCTION_PREFIXES
from django_tviews.facts import RelationFacts, RelationKind
from django_tviews.plan.plan import (
    FORMAT_VERSION,
    Plan,
    SourcePlan,
    Strategy,
)
from django_tviews.plan.routes import Route
from django_tviews.text import indented

from .comparison import unbounded
from .folds import fold_values
from .quoting import (
    bounded,
    complete,
    equals,
    identifier,
    literal,
    qualified,
    regclass,
    relation_name,
)
from .routes import (
    REMOVED,
    affected_keys,
    current_and_removed,
    image,
    shown,
    spool_delta,
    transition_delta,
    transition_rows,
)
from .templates import render, render_statements
from .units import unit_matches, units_of_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# The first key of the advisory locks on the ring of writers; the second is 0 for the whole of it,
# else the number of a cell. The first key of the locks on a TView is its table's OID.
LOCK_CLASS = 1415140181  # "TVIU" in ASCII
# Over how many locks the values at a place are spread; a power of two.
LOCK_SLOTS = 1024
# With more locks than this a transaction takes the whole TView.
LOCK_LIMIT = 256
# How many writers the ring remembers, and by how many bits each tells what it has locked.
RING_CELLS = 16
RING_BITS = 31
_RING = ("writer", "entry")

# The trigger on a TView that refuses direct writes.
GUARD = "tviews_0_guard"

# What the names of the triggers that maintain begin with: after those that count a statement as
# open, and before those that close it.
MAINTENANCE_PREFIX = "tviews_2_"

# What the names of those that count begin with; the schema of the runtime follows.
_SHARED = "tviews_(?:1_open|3_close)_(?:insert|update|delete|truncate)_"

# By which errors that come out of them are recognised.
_FUNCTION_PREFIX = FUNCTION_PREFIXES[1]

_RUNTIME_FUNCTION = re.compile(
    r"^CREATE OR REPLACE FUNCTION \S+\.(?P<name>django_tviews_\w+)\((?P<arguments>[^)]*)\)",
    re.MULTILINE,
)
_RUNTIME_RELATION = re.compile(
    r"^CREATE (?:UNLOGGED TABLE|TABLE|VIEW) \S+\.(django_tviews_\w+)", re.MULTILINE
)

# Tells whether the query gives a row; no output can be expected to have this name.
_FOUND = identifier("found?")

# Where static SQL puts what it has written.
_INTO = "INTO inserted, updated, deleted, repeated\n"

# To plan a statement anew for every key costs more than to carry it out.
PLANNING = (("plan_cache_mode", "force_generic_plan"),)

ROW_EVENTS = ("INSERT", "UPDATE", "DELETE")
TRANSITION_TABLES = {
    "INSERT": "REFERENCING NEW TABLE AS new_rows",
    "UPDATE": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "DELETE": "REFERENCING OLD TABLE AS old_rows",
}


@dataclass(frozen=True)
class Function:
    """A function of a TView.

    Attributes:
        schema: its schema.
        name: its name, unquoted.
        arguments: the types of its input arguments, as DROP FUNCTION wants them.
        create: the CREATE OR REPLACE statement.
    """

    schema: str
    name: str
    arguments: str
    create: str

    @property
    def signature(self) -> str:
        """The function with its argument types, quoted."""
        return f"{qualified(self.schema, self.name)}({self.arguments})"

    @property
    def body(self) -> str:
        """What pg_proc.prosrc holds."""
        # The server keeps the body of a function in standard SQL elsewhere, as a tree.
        return self.create.split(self._quote)[1] if self._quote else ""

    @property
    def settings(self) -> frozenset[str]:
        """What pg_proc.proconfig holds, in lower case: PostgreSQL folds what is not quoted."""
        found = re.findall(r"\bSET (\w+) = (.+?)(?= AS |$)", self._head, re.MULTILINE)
        return frozenset(f"{name}={value}".replace("'", "").lower() for name, value in found)

    @property
    def security_definer(self) -> bool:
        """What pg_proc.prosecdef holds."""
        return "SECURITY DEFINER" in self._head

    @property
    def locks(self) -> bool:
        """Whether it takes locks on the TView, by numbers that mean nothing to other versions."""
        return ".django_tviews_lock(" in self.body

    @property
    def _quote(self) -> str:
        found = re.search(r"\bAS (\$\w+\$)$", self.create, re.MULTILINE)
        return found[1] if found else ""

    @property
    def _head(self) -> str:
        head = self.create.split(self._quote)[0] if self._quote else self.create
        lines = head.splitlines()
        return "\n".join(line for line in lines if not line.startswith("--"))


@dataclass(frozen=True)
class Trigger:
    """A trigger of a TView, or one that TViews share.

    Attributes:
        relation: the table it stands on, quoted.
        name: its name, unquoted.
        create: the CREATE OR REPLACE statement.
        shared: other TViews of the table use it, too.
        disabled_on: partitions, quoted, on which the clone of a row trigger has nothing to do.
        source: the number of the source that it serves; 0 where it serves all alike.
    """

    relation: str
    name: str
    create: str
    shared: bool = False
    disabled_on: tuple[str, ...] = ()
    source: int = 0

    @property
    def disabling(self) -> dict[str, str]:
        """The statements that disable its clones, by partition."""
        return {
            partition: f"ALTER TABLE {partition} DISABLE TRIGGER {identifier(self.name)}"
            for partition in self.disabled_on
        }

    @property
    def statements(self) -> tuple[str, ...]:
        """What creates it as it should be."""
        return (self.create, *self.disabling.values())


def setting(schema: str, name: str) -> str:
    """Name a transaction-local setting of the runtime in a schema."""
    return f"django_tviews.{_plain(schema)}_{name}"


def _plain(schema: str) -> str:
    """Write a schema as a part of a name that needs no quotes."""
    return schema if re.fullmatch("[a-z_][a-z0-9_]{0,38}", schema) else f"_{_digest(schema)}"


def count_statements(runtime_schema: str, number: int) -> str:
    """Return the statement that counts so many statements more, or less, as open."""
    name = literal(setting(runtime_schema, "open"))
    now = f"coalesce(nullif(current_setting({name}, true), ''), '0')::integer"
    return f"SELECT set_config({name}, ({now} + {number})::text, true)"


def runtime_values(schema: str) -> dict[str, str | int]:
    """Return the values of the placeholders that concern the runtime."""
    return {
        "runtime": identifier(schema),
        "runtime_literal": literal(schema),
        "open_setting": literal(setting(schema, "open")),
        "spooled_setting": literal(setting(schema, "spooled")),
        "ticket_setting": literal(setting(schema, "ticket")),
        "due_setting": literal(setting(schema, "due")),
        "updating_setting": literal(setting(schema, "updating")),
        "locks_setting": literal(setting(schema, "locks")),
        "lock_class": LOCK_CLASS,
        "lock_limit": LOCK_LIMIT,
        "slots": LOCK_SLOTS,
        "cells": RING_CELLS,
        "bits": RING_BITS,
        **{f"{part}_sequences": _sequences(schema, part) for part in _RING},
    }


def _sequences(schema: str, name: str) -> str:
    sequences = ", ".join(
        literal(qualified(schema, f"django_tviews_{name}_{cell}")) for cell in range(RING_CELLS)
    )
    return f"ARRAY[{sequences}]::regclass[]"


def runtime_statements(schema: str) -> list[str]:
    """Return the statements that create what all TViews share."""
    values = runtime_values(schema)
    return [
        statement
        for template in ("runtime", "runtime_locks", "runtime_deferred")
        for statement in render_statements(template, **values)
    ]


@dataclass(frozen=True)
class RuntimeStatement:
    """A statement of those that create what all TViews share.

    Attributes:
        sql: the statement.
        relations: the names of the tables, views and sequences that it creates, if any.
        function: the function that it creates, if it does.
    """

    sql: str
    relations: tuple[str, ...] = ()
    function: Function | None = None

    def is_about(self, relations: Iterable[str]) -> bool:
        """Tell whether it says more of one of some relations that were just created."""
        found = re.findall(r"\.(\w+)", self.sql)
        return self.function is None and any(name in found for name in relations)


def runtime_objects(schema: str) -> list[RuntimeStatement]:
    """Return the statements that create what all TViews share, each with what it creates."""
    found = []
    for statement in runtime_statements(schema):
        if "DO $ring$" in statement:
            cells = range(RING_CELLS)
            names = [f"django_tviews_{part}_{cell}" for part in _RING for cell in cells]
            found.append(RuntimeStatement(statement, relations=tuple(names)))
        elif match := _RUNTIME_RELATION.search(statement):
            found.append(RuntimeStatement(statement, relations=(match[1],)))
        elif match := _RUNTIME_FUNCTION.search(statement):
            arguments = (part.split()[-1] for part in match["arguments"].split(",") if part)
            function = Function(schema, match["name"], ", ".join(arguments), statement)
            found.append(RuntimeStatement(statement, function=function))
        else:
            found.append(RuntimeStatement(statement))
    return found


def functions(plan: Plan) -> tuple[Function, ...]:
    """Return the functions that keep a TView, callees first."""
    return tuple(_Writer(plan).functions())


def rekey(plan: Plan) -> str:
    """Return a stand-in for the function that rebuilds, for while the table has no key."""
    return complete(_Writer(plan).rekey())


def rebuild(plan: Plan) -> str:
    """Return the CREATE OR REPLACE statement of the function that rebuilds."""
    return complete(_Writer(plan).rebuild())


def source_triggers(plan: Plan) -> tuple[Trigger, ...]:
    """Return the triggers on the sources, which keep the TView."""
    return tuple(dict.fromkeys(_Writer(plan).source_triggers()))


def own_triggers(plan: Plan) -> tuple[Trigger, ...]:
    """Return the triggers on the TView itself, which keep others from writing to it."""
    return tuple(_Writer(plan).own_triggers())


def fingerprint(plan: Plan) -> str:
    """Name what is generated for a plan; equal names mean equal views, functions and triggers."""
    text = [*plan.definitions, *(function.create for function in functions(plan))]
    for trigger in (*source_triggers(plan), *own_triggers(plan)):
        text += trigger.statements
    whole = "\n".join([str(FORMAT_VERSION), *text])
    # The same in any schema, for sqlmigrate, which tries it out elsewhere.
    return _digest(renamed(whole, {plan.schema: "", plan.runtime_schema: ""}))


def renamed(text: str, schemas: Mapping[str, str]) -> str:
    """Write other schemas into generated SQL.

    Args:
        text: statements.
        schemas: the schema to write in place of each.
    """
    for old, new in schemas.items():
        text = text.replace(setting(old, ""), setting(new, ""))
        text = re.sub(rf"\b({_SHARED}){_plain(old)}\b", rf"\g<1>{_plain(new)}", text)
        text = text.replace(f"{identifier(old)}.", f"{identifier(new)}.")
        text = text.replace(f"SCHEMA = {literal(old)}", f"SCHEMA = {literal(new)}")
    return complete(text)


def comment(plan: Plan) -> str:
    """Return the text of the COMMENT on everything generated for a plan."""
    return "django_tviews " + json.dumps(
        {"tview": plan.label, "format": FORMAT_VERSION, "fingerprint": fingerprint(plan)}
    )


def drain_name(plan: Plan) -> str:
    """Return the quoted name of the function that maintains the TView from the spool."""
    return qualified(plan.schema, _function_name(plan.table, "drain"))


def rebuild_name(plan: Plan) -> str:
    """Return the quoted name of the function that compares the whole TView with its query."""
    return qualified(plan.schema, _function_name(plan.table, "rebuild"))


def grant_statements(
    relation: str, grants: Iterable[tuple[str | None, str, bool]]
) -> Iterator[str]:
    """Return the statements that allow others again what they were allowed to do with a relation.

    Args:
        relation: its name, quoted.
        grants: of each, the role, None for everybody, the privilege, and whether to hand it on.
    """
    for role, privilege, grantable in grants:
        grantee = "PUBLIC" if role is None else identifier(role)
        option = " WITH GRANT OPTION" if grantable else ""
        yield f"GRANT {privilege} ON {relation} TO {grantee}{option}"


def lock_statement(runtime_schema: str, schema: str, table: str) -> str:
    """Return the statement that keeps maintenance off a TView until COMMIT."""
    tview = regclass(schema, table)
    return f"SELECT {identifier(runtime_schema)}.django_tviews_lock({tview}, '{{0}}')"


def enter_statement(runtime_schema: str, schema: str, table: str) -> str:
    """Return the statement that keeps older snapshots from maintaining a TView after COMMIT.

    Transactions above READ COMMITTED that began before will fail with 40001, and retry, instead.
    """
    tview = regclass(schema, table)
    return f"SELECT {identifier(runtime_schema)}.django_tviews_enter({tview}, '{{0}}')"


def _function_name(table: str, suffix: str) -> str:
    return object_name(_FUNCTION_PREFIX + table, suffix)


def environment_clauses(plan: Plan) -> str:
    """Return the environment of a TView's maintenance as SET clauses of a function."""
    clauses = []
    for name, value in (*plan.environment, *PLANNING):
        text = value if name in ("search_path", "DateStyle") else literal(value)
        clauses.append(f"SET {name} = {text}")
    return "\n".join(clauses)


def shared_triggers(
    relation: RelationFacts, runtime_schema: str, events: Iterable[str] = (*ROW_EVENTS, "TRUNCATE")
) -> Iterator[Trigger]:
    """Return the triggers that count open statements on a table.

    TViews of several registries (a schema for each tenant) may read one table; each counts its own.
    """
    table, runtime = relation_name(relation), identifier(runtime_schema)
    for event in events:
        for order, timing, name in ((1, "BEFORE", "open"), (3, "AFTER", "close")):
            trigger = f"tviews_{order}_{name}_{event.lower()}_{_plain(runtime_schema)}"
            yield Trigger(
                table,
                trigger,
                f"CREATE OR REPLACE TRIGGER {trigger} {timing} {event} ON {table}\n"
                f"    FOR EACH STATEMENT EXECUTE FUNCTION {runtime}.django_tviews_{name}()",
                shared=True,
            )


class _Writer:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.table = qualified(plan.schema, plan.table)
        self.key = [identifier(column.name) for column in plan.key]
        # Columns win over variables of the same name; no column can be expected to have these.
        self.variables = [identifier(f"key_{place}?") for place in range(1, len(plan.key) + 1)]
        columns = [identifier(column.name) for column in plan.columns]
        self.values: dict[str, str | int] = {
            **runtime_values(plan.runtime_schema),
            "table": self.table,
            "tview": regclass(plan.schema, plan.table),
            "view": qualified(plan.schema, plan.view),
            "environment": environment_clauses(plan),
            "bulk_threshold": plan.bulk_threshold,
            "columns": ", ".join(columns),
            "outputs": ", ".join(
                f"query.{identifier(column.output)} AS {identifier(column.name)}"
                for column in plan.columns
            ),
            "assignments": ", ".join(f"{name} = excluded.{name}" for name in columns),
            "tview_columns": ", ".join(f"tview.{name}" for name in columns),
            "excluded_columns": ", ".join(f"excluded.{name}" for name in columns),
            "key_columns": ", ".join(self.key),
            "key_parameters": ", ".join(
                f"{variable} {column.type}[]"
                for variable, column in zip(self.variables, plan.key, strict=True)
            ),
            "key_declarations": "\n".join(
                f"{variable} {column.type}[];"
                for variable, column in zip(self.variables, plan.key, strict=True)
            ),
            "key_variables": ", ".join(self.variables),
            "first_key_variable": self.variables[0],
            "key_positions": ", ".join(f"${place}" for place in range(1, len(self.variables) + 1)),
            "affected_columns": ", ".join(self._key_of("affected")),
            "found": _FOUND,
            "affected_matches_query": self._match("affected", "query"),
            "affected_matches_fresh": self._match("affected", "fresh"),
            "evaluated_matches_tview": self._match("evaluated", "tview"),
            "fresh_matches_tview": self._match("fresh", "tview"),
            "recompute": qualified(plan.schema, _function_name(plan.table, "recompute")),
            "rebuild": rebuild_name(plan),
            "drain": drain_name(plan),
            "truncated": qualified(plan.schema, _function_name(plan.table, "truncated")),
            "schema_literal": literal(plan.schema),
            "table_literal": literal(plan.table),
            "key_literal": literal(", ".join(self.key)),
        }
        self.values["refuse_repeated"] = render("repeated", **self.values)
        self.values["announce"] = render("deferred" if plan.deferred else "spooled", **self.values)

    def _key_of(self, relation: str) -> list[str]:
        """Name the key in a relation of the templates."""
        if relation == "query":
            return [identifier(column.output) for column in self.plan.key]
        if relation in ("affected", "evaluated"):
            # Beside the key that the query gives, which may look different and be equal.
            places = range(1, len(self.key) + 1)
            return [identifier(f"affected_{place}?") for place in places]
        return self.key

    def _match(self, left: str, right: str) -> str:
        """Equate the key of two relations."""
        return " AND ".join(
            f"{right}.{of_right} {equals(column.equality)} {left}.{of_left}"
            for column, of_left, of_right in zip(
                self.plan.key, self._key_of(left), self._key_of(right), strict=True
            )
        )

    def functions(self) -> Iterator[Function]:
        key_types = ", ".join(f"{column.type}[]" for column in self.plan.key)
        yield self._function("recompute", key_types, self._recompute())
        yield self._function("rebuild", "", self.rebuild())
        yield self._function("drain", "", self._drain())
        yield self._function("truncated", "", self._truncated())
        for source in self.plan.sources:
            for event in self._events(source):
                yield Function(
                    self.plan.schema,
                    self._source_name(source, event),
                    "",
                    complete(self._on_change(source, event)),
                )
            if rows_move(source.relation):
                yield Function(
                    self.plan.schema,
                    self._source_name(source, "row"),
                    "",
                    complete(self._on_row(source)),
                )

    def _function(self, suffix: str, arguments: str, create: str) -> Function:
        return Function(
            self.plan.schema, _function_name(self.plan.table, suffix), arguments, create
        )

    def _recompute(self) -> str:
        values = {
            **self.values,
            "write_static": self._write(_INTO),
            "write_dynamic": self._write(""),
        }
        many = render("evaluate_whole", **values)
        unit = self.plan.unit
        if self.plan.by_key:
            few = f"cardinality({self.variables[0]}) <= {self.plan.bulk_threshold}"
            evaluate_few = render("evaluate_by_key", **values)
        elif unit is not None:
            units = units_of_keys(self.plan, unit, str(self.values["key_variables"]))
            few = render("few_units", **values, units=units)
            evaluate_few = render(
                "evaluate_by_unit",
                **values,
                units=units,
                unit_matches_query=unit_matches(unit, "query", "units"),
            )
        else:
            return render("recompute", **values, evaluation=f"{many};")
        evaluation = render("few_or_many", few=few, evaluate_few=evaluate_few, evaluate_many=many)
        return render("recompute", **values, evaluation=evaluation)

    def _write(self, into: str) -> str:
        written = render("written", **self.values, into=into)
        return render("write", **self.values, written=written)

    def rebuild(self) -> str:
        written = render("written", **self.values, into=_INTO)
        return render("rebuild", **self.values, written=written)

    def rekey(self) -> str:
        return render(
            "rekey",
            **self.values,
            fresh_key=", ".join(f"fresh.{name}" for name in self.key),
            fresh_columns=", ".join(
                # A cast cuts off what is too long for these; the row is written in any case, then.
                f"fresh.{identifier(column.name)}"
                if re.match(r"bit|varbit|char(?!acter varying)", column.type)
                else f"CAST(fresh.{identifier(column.name)} AS {unbounded(column.type)})"
                for column in self.plan.columns
            ),
            key_matches_kept=self._match("kept", "fresh"),
        )

    def _truncated(self) -> str:
        own = RelationFacts(self.plan.schema, self.plan.table)
        strangers = [
            stranger(relation)
            for relation in (own, *(source.relation for source in self.plan.sources))
        ]
        return render(
            "truncated",
            **self.values,
            stranger="\nAND ".join(strangers),
            function_literal=literal(_function_name(self.plan.table, "truncated")),
        )

    def _drain(self) -> str:
        spooled = (
            f"FROM {self.values['runtime']}.django_tviews_spool AS spool\n"
            "WHERE spool.transaction_id = pg_current_xact_id() "
            f"AND spool.tview = {self.values['tview']}"
        )
        routed = [s for s in self.plan.sources if s.strategy is not Strategy.REBUILD]
        tables, deltas, states = [], {}, {}
        # Materialized: no text of another source may be cast, whatever the query asks of a column.
        for source in routed:
            delta, state = f"delta_{source.number}", f"states_{source.number}"
            tables.append((delta, "MATERIALIZED ", spool_delta(source, spooled)))
            tables.append((state, "NOT MATERIALIZED ", current_and_removed(source, delta)))
            deltas[source.number] = delta
            states[source.relation] = state
        asked = ", ".join(
            f"CAST(spool.image[{place}] AS {column.type})"
            for place, column in enumerate(self.plan.key, start=1)
        )
        requests = f"SELECT {asked}\n{spooled} AND spool.source = 0"
        tables.append(("requests", "MATERIALIZED ", requests))
        ctes = [f"{name} AS {hint}(\n{indented(text)}\n)" for name, hint, text in tables]
        routes = self._routes(ctes, deltas, states, ("SELECT * FROM requests",))
        return render(
            "drain",
            **self.values,
            keys=self._look(f"changes <= {self.plan.bulk_threshold}", routes),
            everything="spool.source = 0 AND spool.image IS NULL",
        )

    def _routes(
        self,
        ctes: list[str],
        deltas: dict[int, str],
        states: dict[RelationFacts, str],
        extra: tuple[str, ...] = (),
    ) -> dict[str, str]:
        """A query for keys and locks, once into the variables and once for EXECUTE."""
        variables = f"{self.values['key_variables']}, wanted"
        return {
            "routes_into": affected_keys(self.plan, ctes, deltas, states, extra, variables),
            "routes": affected_keys(self.plan, ctes, deltas, states, extra),
        }

    def _events(self, source: SourcePlan) -> Iterator[str]:
        for event in ROW_EVENTS:
            # An update changes nothing that is read of a source of which no column is read.
            if event != "UPDATE" or source.columns:
                yield event

    def _on_change(self, source: SourcePlan, event: str) -> str:
        delta = transition_delta(source, event)
        values = {
            **self.values,
            "event": event,
            "source": relation_name(source.relation),
            "source_literal": literal(relation_name(source.relation)),
            "stranger": stranger(source.relation),
            "others_open": self._others_open(source),
            "function": qualified(self.plan.schema, self._source_name(source, event)),
            "function_literal": literal(self._source_name(source, event)),
            "delta": delta,
        }
        spool = render("spool", **values, spooled=self._spooled(source, delta))
        if self.plan.deferred:
            return render("source", **values, reaction=spool)
        maintenance = self._maintenance(source, event, values)
        reaction = render("source_immediate", **values, spool=spool, maintenance=maintenance)
        return render("source", **values, reaction=reaction)

    def _spooled(self, source: SourcePlan, delta: str) -> str:
        if source.strategy is Strategy.REBUILD:
            return self._everything()
        return (
            f"WITH delta AS (\n{indented(delta)}\n)\n"
            f"SELECT {self.values['tview']}, {source.number}, delta.{REMOVED}, "
            f"{image(source, 'delta')}\nFROM delta"
        )

    def _maintenance(self, source: SourcePlan, event: str, values: dict[str, str | int]) -> str:
        if source.strategy is Strategy.REBUILD:
            return render("source_rebuild", **values)
        ctes = self._with_delta(source, event, str(values["delta"]))
        routes = self._routes(ctes, {source.number: "delta"}, self._states(source, event))
        keys = self._keys(source, event, routes)
        if source.fold is None:
            return render("source_recompute", **values, keys=keys)
        return render("source_fold", **values, keys=keys, **self._folds(source, event, values))

    def _folds(
        self, source: SourcePlan, event: str, values: dict[str, str | int]
    ) -> dict[str, str]:
        """The statement that folds, once into the variables and once for EXECUTE."""
        fold = {
            **values,
            **fold_values(self.plan.key, source, self._key_of("affected")),
            "rows": transition_rows(source, event),
        }
        into = f"INTO {self.values['key_variables']}\n"
        return {
            "fold_into": render("fold", **fold, into=into),
            "fold": render("fold", **fold, into=""),
        }

    def _everything(self) -> str:
        return f"SELECT {self.values['tview']}, 0, false, NULL"

    def _others_open(self, source: SourcePlan) -> str:
        """Tell whether the statement may change, or have changed, other sources, too."""
        if source.overlaps:
            return "true"
        return render("others_open", **self.values)

    def _on_row(self, source: SourcePlan) -> str:
        spooled = {}
        for row, removed in (("OLD", "true"), ("NEW", "false")):
            rows = shown(source, f"(SELECT {row}.*)")
            spooled[row] = (
                self._everything()
                if source.strategy is Strategy.REBUILD
                else f"SELECT {self.values['tview']}, {source.number}, {removed}, "
                f"{image(source, 'changed')}\nFROM {rows} AS changed"
            )
        return render(
            "row",
            **self.values,
            source=relation_name(source.relation),
            source_literal=literal(relation_name(source.relation)),
            function=qualified(self.plan.schema, self._source_name(source, "row")),
            spooled_old=spooled["OLD"],
            spooled_new=spooled["NEW"],
        )

    def _keys(self, source: SourcePlan, event: str, routes: dict[str, str]) -> str:
        """Find the keys; by joins only in a plan made for as many rows as there are."""
        if any(route.steps for route in source.routes if isinstance(route, Route)):
            rows = "old_rows" if event == "DELETE" else "new_rows"
            limit = self.plan.bulk_threshold
            counted = f"(SELECT count(*) FROM (SELECT FROM {rows} LIMIT {limit} + 1) AS counted)"
            return self._look(f"{counted} <= {limit}", routes)
        return render("look_once", **self.values, **routes)

    def _look(self, few: str, routes: dict[str, str]) -> str:
        """Find the keys until looking again finds no more.

        Args:
            few: the condition on which a plan made once will do.
            routes: the queries for the keys.
        """
        keys = render("small_or_bulk", **self.values, **routes, few=few)
        return render("look", **self.values, keys=keys)

    def _states(self, source: SourcePlan, event: str) -> dict[RelationFacts, str]:
        joined = any(
            step.occurrence.relation == source.relation
            for route in source.routes
            if isinstance(route, Route)
            for step in route.steps
        )
        return {source.relation: "states"} if joined and event != "INSERT" else {}

    def _with_delta(self, source: SourcePlan, event: str, delta: str) -> list[str]:
        ctes = [f"delta AS (\n{indented(delta)}\n)"]
        if self._states(source, event):
            states = indented(current_and_removed(source, "delta"))
            ctes.append(f"states AS NOT MATERIALIZED (\n{states}\n)")
        return ctes

    def _source_name(self, source: SourcePlan, event: str) -> str:
        same_name = Counter(each.relation.name for each in self.plan.sources)
        number = f"_{source.number}" if same_name[source.relation.name] > 1 else ""
        suffix = f"on_{source.relation.name}{number}_{event.lower()}"
        return bounded(f"{_FUNCTION_PREFIX}{self.plan.table}_{suffix}")

    def source_triggers(self) -> Iterator[Trigger]:
        for source in self.plan.sources:
            for target in source.relation.targets:
                yield from shared_triggers(target, self.plan.runtime_schema)
                for event in self._events(source):
                    function = qualified(self.plan.schema, self._source_name(source, event))
                    yield self._trigger(target, event, function, source)
                yield self._trigger(target, "TRUNCATE", str(self.values["truncated"]))
            yield from self._row_triggers(source)

    def _row_triggers(self, source: SourcePlan) -> Iterator[Trigger]:
        """Return the triggers on rows that statement triggers do not see.

        PostgreSQL clones them to partitions that are created or attached later.
        """
        relation, updating = source.relation, self.values["updating_setting"]
        function = qualified(self.plan.schema, self._source_name(source, "row"))
        if rows_move(relation):
            # MERGE leaves the row that it moves to another partition out of all transition tables.
            yield self._row_trigger(
                source,
                "moved",
                "INSERT OR DELETE",
                f"current_setting({updating}, true) = 'on' AND {self.values['tview']} IS NOT NULL",
                function,
            )
        if relation.kind is RelationKind.PARTITIONED_TABLE:
            trigger = self._row_trigger(
                source,
                "row",
                "INSERT OR UPDATE OR DELETE",
                f"{self.values['tview']} IS NOT NULL",
                function,
            )
            leaves = (
                relation_name(each)
                for each in relation.descendants
                if each.kind is RelationKind.PARTITION
            )
            yield replace(trigger, disabled_on=tuple(leaves))

    def _row_trigger(
        self, source: SourcePlan, suffix: str, events: str, condition: str, function: str
    ) -> Trigger:
        table = relation_name(source.relation)
        name = self._trigger_name(source.relation, suffix, source)
        return Trigger(
            table,
            name,
            f"CREATE OR REPLACE TRIGGER {identifier(name)} AFTER {events} ON {table}\n"
            f"    FOR EACH ROW WHEN ({condition})\n"
            f"    EXECUTE FUNCTION {function}()",
            source=source.number,
        )

    def own_triggers(self) -> Iterator[Trigger]:
        own = RelationFacts(self.plan.schema, self.plan.table)
        # Other statements write to it only inside of maintenance; they count where TViews read it.
        yield from shared_triggers(own, self.plan.runtime_schema, ["TRUNCATE"])
        yield self._trigger(own, "TRUNCATE", str(self.values["truncated"]))
        runtime = identifier(self.plan.runtime_schema)
        yield Trigger(
            self.table,
            GUARD,
            f"CREATE OR REPLACE TRIGGER {GUARD} BEFORE INSERT OR UPDATE OR DELETE "
            f"ON {self.table}\n    FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0)\n"
            f"    EXECUTE FUNCTION {runtime}.django_tviews_refuse_write()",
        )

    def _trigger_name(
        self, relation: RelationFacts, suffix: str, source: SourcePlan | None = None
    ) -> str:
        foreign = "" if relation.schema == self.plan.schema else f"{self.plan.schema}_"
        number = f"_{source.number}" if source is not None and source.overlaps else ""
        # The table comes last: the triggers on one event fire in the order of their names, and the
        # drain maintains in the order of depths and tables.
        return bounded(
            f"{MAINTENANCE_PREFIX}{self.plan.depth:02}_{suffix}_{foreign}{self.plan.table}{number}"
        )

    def _trigger(
        self, relation: RelationFacts, event: str, function: str, source: SourcePlan | None = None
    ) -> Trigger:
        table = relation_name(relation)
        name = self._trigger_name(relation, event.lower(), source)
        transition = f" {TRANSITION_TABLES[event]}" if event in TRANSITION_TABLES else ""
        # The constant in WHEN makes the trigger depend on the TView's table: DROP TABLE is
        # refused while it exists, and DROP TABLE ... CASCADE takes it along.
        return Trigger(
            table,
            name,
            f"CREATE OR REPLACE TRIGGER {identifier(name)} AFTER {event} ON {table}{transition}\n"
            f"    FOR EACH STATEMENT WHEN ({self.values['tview']} IS NOT NULL)\n"
            f"    EXECUTE FUNCTION {function}()",
            source=source.number if source is not None else 0,
        )


def rows_move(relation: RelationFacts) -> bool:
    """Tell whether an update can move a row of a relation to another partition."""
    return relation.kind in (RelationKind.PARTITIONED_TABLE, RelationKind.PARTITION)


def stranger(relation: RelationFacts) -> str:
    """Return a condition for a trigger function: it stands on a table that is none of a source's.

    Partitions and children are looked up when it is asked, so that a function outlives them.
    """
    source = regclass(relation.schema, relation.name)
    condition = f"TG_RELID <> {source}"
    if len(relation.targets) == 1:
        return condition
    return f"{condition}\nAND {render('unrelated', source=source)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
