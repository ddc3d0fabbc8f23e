"""Bring the functions and triggers of installed TViews in line with what the tables are now.

PostgreSQL lets a view follow a renamed column, and knows nothing of the text of functions. So when
a table that TViews read has changed, or the package, the TViews are planned again, and what the
database has is compared with what it should have. Contents are not touched, except to fill hidden
columns that are new.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import DatabaseError, transaction

from . import catalog
from .errors import OutdatedTView
from .installer import (
    alter_hidden_columns,
    execute,
    let_shared_call,
    pending_hidden_change,
    refuse_taken_names,
    require_current_runtime,
    source_tables,
    unwatched,
    watched,
)
from .locks import LockMode, bounded_waits, lock
from .plan.plan import FORMAT_VERSION
from .planning import plan_of
from .registry import entry_statement, installed, readers_of
from .sql import created, names, objects, shared
from .sql.definitions import trigger_shape
from .sql.quoting import complete, identifier, literal, qualified
from .text import object_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

    from .catalog import InstalledFunction
    from .plan.plan import Plan
    from .registry import InstalledTView


def align(
    schema_editor: BaseDatabaseSchemaEditor,
    tviews: Iterable[InstalledTView],
    *,
    enable: bool = False,
) -> dict[str, list[str]]:
    """Bring functions and triggers of TViews in line with their backing views and sources.

    Only what differs is written: a function by CREATE OR REPLACE, and no trigger that is as it
    should be is made again. TViews that others read come first. While functions are replaced
    that take locks, nobody writes to the sources.

    Args:
        schema_editor: of the database.
        tviews: the TViews. Their declarations become those of the registry.
        enable: also enable triggers that somebody has disabled.

    Returns:
        What was changed, in words, by label; TViews that were in line are left out.

    Raises:
        OutdatedTView: the table or the backing view of a TView is gone, or what TViews share was
            made by another version. Nothing is changed.
        LockTimeout: somebody writes to a source for too long. Nothing is changed.
        TViewError: a TView cannot be kept any more. Nothing is changed.
    """
    connection = schema_editor.connection
    changes: dict[str, list[str]] = {}
    with unwatched(schema_editor), transaction.atomic(connection.alias):
        stored = {tview.oid: tview for tview in installed(connection)}
        waiting = {tview.oid: tview for tview in tviews}
        if waiting:
            require_current_runtime(connection)
        while waiting:
            tview = min(waiting.values(), key=lambda each: (each.depth, each.label))
            del waiting[tview.oid]
            steps = _Alignment(schema_editor, tview, stored.get(tview.oid), enable=enable)
            if found := list(steps.changes()):
                changes.setdefault(tview.label, []).extend(found)
            if steps.plan.depth != tview.depth:
                # Those that read it lie higher or lower, too, and come later in any case.
                for reader in readers_of(connection, tview):
                    waiting.setdefault(reader.oid, reader)
    return changes


def computes(connection: BaseDatabaseWrapper, tview: InstalledTView, query: str) -> bool | None:
    """Tell whether a query is what a TView's backing view computes, as the server reads both.

    Args:
        connection: to the database.
        tview: the TView.
        query: one SELECT.

    Returns:
        None if the query does not fit the tables that there are.
    """
    schema = tview.schema or catalog.current_schema(connection)
    candidate = object_name(tview.declaration.table, "candidate")
    served = catalog.view_definition(connection, schema, tview.declaration.view)
    try:
        with transaction.atomic(connection.alias):
            with connection.cursor() as cursor:
                create = f"CREATE VIEW {qualified(schema, candidate)} AS {query}"
                cursor.execute(complete(create))
            found = catalog.view_definition(connection, schema, candidate)
            transaction.set_rollback(True, connection.alias)
    except DatabaseError:
        return None
    return found == served


def differs(function: created.Function, found: InstalledFunction) -> bool:
    """Tell whether a function does something else than it should.

    Args:
        function: as it should be.
        found: as the server has it.
    """
    return (
        found.body != function.body
        or found.security_definer != function.security_definer
        or found.settings != function.settings
    )


def any_differs(
    expected: Mapping[str, created.Function], present: Mapping[str, InstalledFunction]
) -> bool:
    """Tell whether any of several functions is missing, or does something else than it should.

    Args:
        expected: as they should be, by signature.
        present: as the server has them.
    """
    return any(
        signature not in present or differs(function, present[signature])
        for signature, function in expected.items()
    )


class _Alignment:
    """Compares one TView with its plan, and brings it in line."""

    def __init__(
        self,
        schema_editor: BaseDatabaseSchemaEditor,
        tview: InstalledTView,
        stored: InstalledTView | None,
        *,
        enable: bool,
    ) -> None:
        self.schema_editor = schema_editor
        self.connection = schema_editor.connection
        self.tview = tview
        self.stored = stored
        self.enable = enable
        if tview.schema is None:
            raise OutdatedTView(
                f"The table of {tview.label} is gone.",
                hint="Was a table it reads dropped with CASCADE?",
                tview=tview.label,
            )
        self.schema = tview.schema
        self.plan: Plan = plan_of(self.connection, tview.declaration, self.schema)
        self.fingerprint = objects.fingerprint(self.plan)
        self.place = (self.schema, tview.declaration.table)
        self.expected = {
            complete(function.signature): function for function in objects.functions(self.plan)
        }

    def changes(self) -> Iterator[str]:
        """Make each change that is needed, and name it."""
        refuse_taken_names(self.connection, self.plan, self.tview.oid)
        superfluous = self.superfluous_functions()
        present = catalog.functions_by_signature(self.connection, self.expected)
        hidden = pending_hidden_change(self.connection, self.plan)
        # Functions of another format need not have kept them.
        unfilled = hidden.added or (self.plan.hidden and self.is_of_another_format)
        if (
            hidden
            or unfilled
            or any_differs(
                {name: each for name, each in self.expected.items() if each.locks}, present
            )
        ):
            self.keep_writers_out()
        with bounded_waits(self.schema_editor):
            alter_hidden_columns(self.schema_editor, hidden)
        yield from hidden.words
        yield from self.functions(present)
        yield from self.triggers()
        for signature in superfluous:
            yield self.run(f"DROP FUNCTION {signature}", f"dropped function {signature}")
        yield from self.entry()
        if unfilled:
            statement = shared.refresh_statement(self.plan.runtime_schema, *self.place)
            yield self.run(statement, "filled the hidden columns")

    @property
    def is_of_another_format(self) -> bool:
        return self.stored is not None and self.stored.format_version != FORMAT_VERSION

    def run(self, statement: str, change: str) -> str:
        execute(self.schema_editor, statement)
        return change

    def superfluous_functions(self) -> list[str]:
        """Return the signatures of functions that have another name, or other arguments, now."""
        needed = {
            found.oid
            for found in catalog.functions_by_signature(self.connection, self.expected).values()
        }
        own = catalog.own_functions(self.connection, self.schema, self.tview.label)
        return [signature for oid, signature in own.items() if oid not in needed]

    def keep_writers_out(self) -> None:
        """Wait for writers, who may hold locks by other numbers than the new functions take.

        Who holds such does not exclude who holds the others; and what the ring says of those who
        have committed, a snapshot from before that cannot compare with its own.
        """
        sources = source_tables(self.plan) | watched(self.connection, [self.tview])
        with bounded_waits(self.schema_editor):
            lock(self.schema_editor, dict.fromkeys(sources, LockMode.SHARE_ROW_EXCLUSIVE))
        execute(
            self.schema_editor,
            shared.enter_statement(self.plan.runtime_schema, *self.place),
        )

    def functions(self, present: Mapping[str, InstalledFunction]) -> Iterator[str]:
        comment = objects.comment(self.plan)
        for signature, function in self.expected.items():
            found = present.get(signature)
            if found is None or differs(function, found):
                verb = "created" if found is None else "replaced"
                yield self.run(function.create, f"{verb} function {signature}")
            if found is None or found.public:
                execute(self.schema_editor, f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
            if found is not None and found.public:
                yield f"took function {signature} away from PUBLIC"
            if found is None:
                let_shared_call(self.schema_editor, function)
            elif function.called_by_shared and not found.callable:
                owner, _ = catalog.runtime_owner(self.connection) or ("", True)
                statement = objects.grant_execute(function, owner)
                yield self.run(statement, f"let {identifier(owner)} call function {signature}")
            if found is None or found.comment != comment:
                execute(
                    self.schema_editor, f"COMMENT ON FUNCTION {signature} IS {literal(comment)}"
                )

    def triggers(self) -> Iterator[str]:
        expected = {
            (trigger.relation, trigger.name): trigger
            for trigger in (
                *objects.source_triggers(self.plan),
                *objects.own_triggers(self.plan),
            )
        }
        present = {
            (qualified(each.schema, each.table), each.name): each
            for each in catalog.triggers(self.connection)
        }
        for key, trigger in expected.items():
            found = present.get(key)
            name = f"trigger {identifier(trigger.name)} on {trigger.relation}"
            if found is None:
                yield self.run(trigger.create, f"created {name}")
            elif trigger_shape(found.definition) != trigger_shape(trigger.create):
                yield self.run(trigger.create, f"replaced {name}")
            if found is not None and not found.enabled and self.enable:
                enabling = f"ALTER TABLE {trigger.relation} ENABLE TRIGGER "
                yield self.run(enabling + identifier(trigger.name), f"enabled {name}")
        yield from self.clones(expected.values())
        superfluous = [each for key, each in present.items() if key not in expected]
        left = [each for each in superfluous if self.is_own(each)]
        for each in (*left, *self.idle(left)):
            on = qualified(each.schema, each.table)
            name = identifier(each.name)
            yield self.run(f"DROP TRIGGER {name} ON {on}", f"dropped trigger {name} on {on}")

    def clones(self, triggers: Iterable[created.Trigger]) -> Iterator[str]:
        """Disable row triggers on the partitions that statement triggers cover by now."""
        enabled = {
            (qualified(schema, partition), name)
            for schema, partition, name in catalog.enabled_clones(self.connection)
        }
        for trigger in triggers:
            for partition, statement in trigger.disabling.items():
                if (partition, trigger.name) in enabled:
                    name = f"trigger {identifier(trigger.name)} on {partition}"
                    yield self.run(statement, f"disabled {name}")

    def is_own(self, trigger: catalog.InstalledTrigger) -> bool:
        """Tell whether a trigger maintains this TView and no other."""
        if trigger.tview is not None:
            return trigger.tview == self.tview.oid
        # A trigger on the TView itself depends on its table as any trigger does.
        place = (trigger.schema, trigger.table)
        return place == self.place and trigger.name.startswith(names.MAINTENANCE_PREFIX)

    def idle(self, left: list[catalog.InstalledTrigger]) -> list[catalog.InstalledTrigger]:
        """Return who counts open statements on tables that no TView reads or is any more."""
        present = [each for each in catalog.triggers(self.connection) if each not in left]
        tviews = {tview.oid: tview for tview in installed(self.connection)}
        tviews.setdefault(self.tview.oid, self.tview)
        needed = {(each.schema, each.declaration.table) for each in tviews.values()}
        needed |= {self.place}
        needed |= {(each.schema, each.table) for each in present if each.tview in tviews}
        abandoned = {(each.schema, each.table) for each in left} - needed
        return [
            each
            for each in present
            if (each.schema, each.table) in abandoned
            and each.function_schema == self.plan.runtime_schema
        ]

    def entry(self) -> Iterator[str]:
        """Bring comment and registry up to date."""
        comment = objects.comment(self.plan)
        view = complete(qualified(self.schema, self.plan.view))
        if catalog.comment(self.connection, view) != comment:
            execute(self.schema_editor, f"COMMENT ON VIEW {view} IS {literal(comment)}")
        now = (self.tview.declaration, self.plan.depth, FORMAT_VERSION, self.fingerprint)
        if self.stored is None or now != (
            self.stored.declaration,
            self.stored.depth,
            self.stored.format_version,
            self.stored.fingerprint,
        ):
            yield self.run(
                entry_statement(self.tview.declaration, self.plan), "updated the registry"
            )
