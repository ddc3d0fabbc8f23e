"""Everything that is created for a TView besides its table: functions and triggers."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from django_tviews.plan.plan import FORMAT_VERSION, Plan

from . import recomputing
from .functions import functions_of
from .names import digest, quoted_function
from .phrases import Phrases
from .quoting import complete, identifier, literal
from .shared import plain_name, setting
from .triggers import Triggers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .created import Function, Trigger

# What the names of those that count begin with; the schema of the runtime follows.
_SHARED = "tviews_(?:1_open|3_close)_(?:insert|update|delete|truncate)_"


def functions(plan: Plan) -> tuple[Function, ...]:
    """Return the functions that keep a TView, callees first."""
    return tuple(functions_of(plan))


def rekey(plan: Plan) -> str:
    """Return a stand-in for the function that rebuilds, for while the table has no key."""
    return complete(recomputing.rekey(Phrases(plan)))


def rebuild(plan: Plan) -> str:
    """Return the CREATE OR REPLACE statement of the function that rebuilds."""
    return complete(recomputing.rebuild(Phrases(plan)))


def source_triggers(plan: Plan) -> tuple[Trigger, ...]:
    """Return the triggers on the sources, which keep the TView."""
    return tuple(dict.fromkeys(Triggers(plan).source_triggers()))


def own_triggers(plan: Plan) -> tuple[Trigger, ...]:
    """Return the triggers on the TView itself, which keep others from writing to it."""
    return tuple(Triggers(plan).own_triggers())


def fingerprint(plan: Plan) -> str:
    """Name what is generated for a plan; equal names mean equal views, functions and triggers."""
    text = [*plan.definitions, *(function.create for function in functions(plan))]
    for trigger in (*source_triggers(plan), *own_triggers(plan)):
        text += trigger.statements
    whole = "\n".join([str(FORMAT_VERSION), *text])
    # The same in any schema, for sqlmigrate, which tries it out elsewhere.
    return digest(renamed(whole, {plan.schema: "", plan.runtime_schema: ""}))


def renamed(text: str, schemas: Mapping[str, str]) -> str:
    """Write other schemas into generated SQL.

    Args:
        text: statements.
        schemas: the schema to write in place of each.
    """
    for old, new in schemas.items():
        text = text.replace(setting(old, ""), setting(new, ""))
        text = re.sub(rf"\b({_SHARED}){plain_name(old)}\b", rf"\g<1>{plain_name(new)}", text)
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
    return quoted_function(plan, "drain")


def rebuild_name(plan: Plan) -> str:
    """Return the quoted name of the function that compares the whole TView with its query."""
    return quoted_function(plan, "rebuild")


def grant_execute(function: Function, role: str) -> str:
    """Return the statement that lets a role call a function."""
    return f"GRANT EXECUTE ON FUNCTION {function.signature} TO {identifier(role)}"


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
