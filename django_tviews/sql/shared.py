"""What all TViews of a schema share: the registry, the spool, the locks, and their functions."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from django_tviews.plan.plan import FORMAT_VERSION

from .created import Function
from .names import digest
from .quoting import identifier, literal, qualified, regclass
from .templates import render, render_statements

if TYPE_CHECKING:
    from collections.abc import Iterable

# The first key of the advisory locks on cells of the ring of writers; the second is the number of
# the cell. The first key of the locks on a TView is its table's OID.
LOCK_CLASS = 1415140181  # "TVIU" in ASCII
# Over how many locks the values at a place are spread; a power of two.
LOCK_SLOTS = 65_536
# With more locks than this a transaction takes the whole TView.
LOCK_LIMIT = 256
# How many writers the ring remembers, besides one in the spare cell, and by how many bits each
# tells what it has locked.
RING_CELLS = 32
RING_BITS = 31
_RING = ("writer", "entry")
# The table with a row for each installed TView.
REGISTRY = "django_tviews_registry"

_FUNCTION = re.compile(
    r"^CREATE OR REPLACE FUNCTION \S+\.(?P<name>django_tviews_\w+)\((?P<arguments>[^)]*)\)",
    re.MULTILINE,
)
_RELATION = re.compile(
    r"^CREATE (?:UNLOGGED )?(?P<kind>TABLE|VIEW) \S+\.(?P<name>django_tviews_\w+)", re.MULTILINE
)


def setting(schema: str, name: str) -> str:
    """Name a transaction-local setting of the runtime in a schema."""
    return f"django_tviews.{plain_name(schema)}_{name}"


def plain_name(schema: str) -> str:
    """Write a schema as a part of a name that needs no quotes."""
    return schema if re.fullmatch("[a-z_][a-z0-9_]{0,38}", schema) else f"_{digest(schema)}"


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
        "passing_setting": literal(setting(schema, "passing")),
        "ticket_setting": literal(setting(schema, "ticket")),
        "due_setting": literal(setting(schema, "due")),
        "repairing_setting": literal(setting(schema, "repairing")),
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
        literal(qualified(schema, f"django_tviews_{name}_{cell}")) for cell in range(RING_CELLS + 1)
    )
    return f"ARRAY[{sequences}]::regclass[]"


def runtime_statements(schema: str) -> list[str]:
    """Return the statements that create what all TViews share."""
    return _statements(schema, runtime_comment())


@cache
def runtime_comment() -> str:
    """Return the COMMENT on the registry, which tells what all TViews share from earlier forms.

    Functions of TViews write to the spool and call the shared ones, so both have to be of one
    format. What the relations are made of counts by itself, lest somebody forget to raise it.
    """
    layout = [each.sql for each in _objects("", _statements("", "")) if each.function is None]
    return "django_tviews " + json.dumps(
        {"format": FORMAT_VERSION, "layout": digest("\n".join(layout))}
    )


def _statements(schema: str, comment: str) -> list[str]:
    values: dict[str, str | int] = {
        **runtime_values(schema),
        "runtime_comment": literal(comment),
    }
    values["enter_cell"] = render("enter_cell", **values)
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
        drop: the statement that drops its relation, if that holds nothing while nobody writes.
    """

    sql: str
    relations: tuple[str, ...] = ()
    function: Function | None = None
    drop: str = ""

    def is_about(self, relations: Iterable[str]) -> bool:
        """Tell whether it says more of one of some relations that were just created."""
        found = re.findall(r"\.(\w+)", self.sql)
        return self.function is None and any(name in found for name in relations)


def runtime_objects(schema: str) -> list[RuntimeStatement]:
    """Return the statements that create what all TViews share, each with what it creates."""
    return _objects(schema, runtime_statements(schema))


def _objects(schema: str, statements: Iterable[str]) -> list[RuntimeStatement]:
    found = []
    for statement in statements:
        if "DO $ring$" in statement:
            cells = range(RING_CELLS + 1)
            names = [f"django_tviews_{part}_{cell}" for part in _RING for cell in cells]
            found.append(RuntimeStatement(statement, relations=tuple(names)))
        elif match := _RELATION.search(statement):
            name, kind = match["name"], match["kind"]
            drop = "" if name == REGISTRY else f"DROP {kind} {qualified(schema, name)}"
            found.append(RuntimeStatement(statement, (name,), drop=drop))
        elif match := _FUNCTION.search(statement):
            arguments = (part.split()[-1] for part in match["arguments"].split(",") if part)
            function = Function(schema, match["name"], ", ".join(arguments), statement)
            found.append(RuntimeStatement(statement, function=function))
        else:
            found.append(RuntimeStatement(statement))
    return found


def lock_statement(runtime_schema: str, schema: str, table: str) -> str:
    """Return the statement that keeps maintenance off a TView until COMMIT."""
    tview = regclass(schema, table)
    return f"SELECT {identifier(runtime_schema)}.django_tviews_lock({tview}, '{{0}}')"


def refresh_statement(runtime_schema: str, schema: str | None, table: str) -> str:
    """Return the statement that compares a TView with its query, and writes what differs."""
    tview = regclass(schema, table)
    return (
        f"INSERT INTO {identifier(runtime_schema)}.django_tviews_refresh (tview) VALUES ({tview})"
    )


def enter_statement(runtime_schema: str, schema: str, table: str) -> str:
    """Return the statement that keeps older snapshots from maintaining a TView after COMMIT.

    Transactions above READ COMMITTED that began before will fail with 40001, and retry, instead.
    """
    tview = regclass(schema, table)
    return f"SELECT {identifier(runtime_schema)}.django_tviews_enter({tview}, '{{0}}')"
