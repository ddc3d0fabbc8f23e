"""Give an installed TView another definition, and keep what the new one has in common with the old.

The table stays, and with it rows, grants, comments, policies and whatever depends on it. Rows are
compared with the new query and written where they differ; nothing is ever truncated, so that
others see the old contents until COMMIT and the new ones from then on.
"""

from __future__ import annotations

from dataclasses import replace as replaced
from functools import cached_property
from typing import TYPE_CHECKING

from django.db import transaction

from . import catalog
from .alignment import align
from .errors import MetadataNotFound
from .following import following
from .guard import Lifted
from .installer import (
    all_or_nothing,
    alter_hidden_columns,
    execute,
    explained,
    pending_hidden_change,
    refuse_other_collations,
    run_deferred_checks,
    source_tables,
    view_statement,
)
from .locks import LockMode, lock
from .planning import plan_of
from .registry import InstalledTView, find, readers_of
from .sql import objects, shared
from .sql.quoting import complete, identifier, qualified
from .text import object_name

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

    from .alteration import TableAlteration
    from .catalog import Standing
    from .definition import Declaration
    from .plan.plan import Plan


def replace(
    schema_editor: BaseDatabaseSchemaEditor,
    old: Declaration,
    new: Declaration,
    table: TableAlteration,
) -> None:
    """Give an installed TView a new definition; rows that stay equal are not touched.

    Args:
        schema_editor: of the database.
        old: what the TView said.
        new: what it says now.
        table: how its table changes.

    Raises:
        MetadataNotFound: the TView is not installed.
        DependentColumn: another view needs a column that goes or changes its type.
        TViewError: as for :func:`django_tviews.installer.create`; the old definition stays in
            force.
    """
    _run(schema_editor, _found(schema_editor, old), new, table)


def rename(
    schema_editor: BaseDatabaseSchemaEditor,
    old: Declaration,
    new: Declaration,
    table: TableAlteration,
) -> None:
    """Give an installed TView another name.

    Its query stays what it is by now: what migration state holds as text may have names that the
    tables have no more.

    Args:
        schema_editor: of the database.
        old: what the TView said.
        new: what it says now.
        table: how its table changes.

    Raises:
        MetadataNotFound: the TView is not installed.
    """
    found = _found(schema_editor, old)
    _run(schema_editor, found, replaced(new, query=found.declaration.query), table)


def _found(schema_editor: BaseDatabaseSchemaEditor, declaration: Declaration) -> InstalledTView:
    found = find(schema_editor.connection, declaration.table)
    if found is None:
        raise MetadataNotFound(
            f"TView {declaration.label} is not installed in this database.",
            hint="Was its migration faked? tview_sync installs what is missing.",
            tview=declaration.label,
        )
    return found


def _run(
    schema_editor: BaseDatabaseSchemaEditor,
    tview: InstalledTView,
    new: Declaration,
    table: TableAlteration,
) -> None:
    with all_or_nothing(schema_editor, new), explained(altering=True, tview=new.label):
        _Replacement(schema_editor, tview, new, table).run()


class _Replacement:
    def __init__(
        self,
        schema_editor: BaseDatabaseSchemaEditor,
        tview: InstalledTView,
        new: Declaration,
        table: TableAlteration,
    ) -> None:
        self.schema_editor = schema_editor
        self.connection = schema_editor.connection
        self.tview = tview
        self.old = tview.declaration
        self.new = new
        self.table = table
        self.schema = tview.schema or catalog.current_schema(self.connection)
        self.readers = readers_of(self.connection, tview)
        self.standings = self.readers_stand()
        self.old_view = complete(qualified(self.schema, self.old.view))
        self.view = complete(qualified(self.schema, new.view))
        self.plan, self.outputs = self.probe()

    def run(self) -> None:
        run_deferred_checks(self.schema_editor)
        self.lock()
        lifted = self.lift()
        self.table.before_refill()
        self.put_back(lifted)
        self.rename()
        self.replace_view()
        refuse_other_collations(self.connection, self.plan)
        if self.refilled:
            # The refill fills them.
            change = pending_hidden_change(self.connection, self.plan)
            alter_hidden_columns(self.schema_editor, change)
        readers = self.followed_readers()
        self.align(readers)
        if self.refilled:
            self.refill()
        for reader in lifted:
            # PostgreSQL has converted what it reads without telling anybody.
            self.refresh(reader.tview.schema, reader.tview.declaration.table)
        self.table.after_refill()
        if self.table.alters_table:
            # A key or NOT NULL that has come last lets those who read the TView do with less.
            align(self.schema_editor, readers)

    def probe(self) -> tuple[Plan, list[tuple[str, str, int]]]:
        """Plan the new definition from what the server makes of its query, and undo that."""
        probe = object_name(self.new.table, "probe")
        with transaction.atomic(self.connection.alias):
            with self.connection.cursor() as cursor:
                cursor.execute(view_statement(self.schema, probe, self.new.query), None)
            plan = plan_of(self.connection, self.new, self.schema, view=probe)
            columns = catalog.view_columns(self.connection, complete(qualified(self.schema, probe)))
            transaction.set_rollback(True, self.connection.alias)
        return plan, columns

    @cached_property
    def query_changes(self) -> bool:
        """Whether the server understands the new query otherwise than the old one."""
        view = (self.schema, self.old.view)
        return (
            not catalog.resolve(self.connection, [view])
            or catalog.view_definition(self.connection, *view) != self.plan.definitions[0]
        )

    @cached_property
    def refilled(self) -> bool:
        """Whether rows may change."""
        before = {column.name: column.output for column in self.old.columns}
        after = {column.name: column.output for column in self.new.columns}
        return self.query_changes or self.table.moves_rows or before != after

    @cached_property
    def hides_otherwise(self) -> bool:
        """Whether hidden columns come or go."""
        plan = replaced(self.plan, table=self.old.table)
        return bool(pending_hidden_change(self.connection, plan))

    def lock(self) -> None:
        """Keep the writers out, sources first, as they themselves lock.

        Without writers nobody is in the middle of a function that is about to change, and what
        they wrote is visible to the statement that compares the rows.
        """
        changes = (
            self.refilled
            or self.table.alters_table
            or objects.fingerprint(self.plan) != self.tview.fingerprint
        )
        if not changes:
            return
        affected = [self.tview, *(self.readers if self.table.alters_table else ())]
        oids = {each.oid for each in affected}
        kept = {(trigger.relation, trigger.name) for trigger in objects.source_triggers(self.plan)}
        modes = dict.fromkeys(source_tables(self.plan), LockMode.SHARE_ROW_EXCLUSIVE)
        for trigger in catalog.triggers(self.connection):
            relation = qualified(trigger.schema, trigger.table)
            if trigger.tview not in oids:
                continue
            modes.setdefault(relation, LockMode.SHARE_ROW_EXCLUSIVE)
            # Dropping a trigger takes more than creating one.
            if trigger.tview == self.tview.oid and (relation, trigger.name) not in kept:
                modes[relation] = LockMode.ACCESS_EXCLUSIVE
        table = qualified(self.schema, self.old.table)
        modes.pop(table, None)
        then = [
            shared.lock_statement(
                self.plan.runtime_schema, each.schema or self.schema, each.declaration.table
            )
            for each in affected
        ]
        if self.table.alters_table or self.hides_otherwise:
            then.append(f"LOCK TABLE {table} IN {LockMode.ACCESS_EXCLUSIVE} MODE")
        lock(self.schema_editor, modes, then)

    def lift(self) -> list[Lifted]:
        """Take the views of TViews off the columns that get another type."""
        columns = [*self.table.retyped, *sorted(self.table.replaced)]
        on_columns: set[int] = set()
        for column in columns:
            on_columns |= catalog.column_readers(self.connection, self.tview.oid, column)
        lifted = []
        for reader in self.readers:
            schema, view = reader.schema or self.schema, reader.declaration.view
            for oid in catalog.resolve(self.connection, [(schema, view)]).values():
                if oid in on_columns:
                    name = complete(qualified(schema, view))
                    query = catalog.view_definition(self.connection, schema, view)
                    grants = tuple(catalog.grants(self.connection, oid))
                    column = ", ".join(columns)
                    lifted.append(Lifted(reader, name, query.rstrip(";"), grants, column))
                    execute(self.schema_editor, f"DROP VIEW {name}")
        return lifted

    def put_back(self, lifted: list[Lifted]) -> None:
        for each in lifted:
            execute(self.schema_editor, f"CREATE VIEW {each.view} AS\n{each.query}")
            for statement in objects.grant_statements(each.view, each.grants):
                execute(self.schema_editor, statement)

    def rename(self) -> None:
        """Let what belongs to the table follow its name."""
        if self.old.table == self.new.table:
            return
        execute(
            self.schema_editor, f"ALTER VIEW {self.old_view} RENAME TO {identifier(self.new.view)}"
        )

    def replace_view(self) -> None:
        """Give the backing view the new query."""
        if not self.query_changes:
            return
        create = view_statement(self.schema, self.new.view, self.new.query)
        before = catalog.view_columns(self.connection, self.view)
        if before == self.outputs[: len(before)]:
            execute(self.schema_editor, create.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1))
            return
        (oid,) = catalog.resolve(self.connection, [(self.schema, self.new.view)]).values()
        grants = catalog.grants(self.connection, oid)
        execute(self.schema_editor, f"DROP VIEW {self.view}")
        for statement in (create, *objects.grant_statements(self.view, grants)):
            execute(self.schema_editor, statement)

    def readers_stand(self) -> dict[int, Standing]:
        """Return what those that read the TView stand on at present."""
        views = {reader.oid: reader.declaration.view for reader in self.readers}
        return catalog.standings(self.connection, views) if views else {}

    def followed_readers(self) -> list[InstalledTView]:
        """Return those that read the TView, with their queries under its new name."""
        before, now = self.standings, self.readers_stand()
        return [
            following(self.connection, reader, before[reader.oid], now[reader.oid])
            for reader in self.readers
        ]

    def align(self, readers: list[InstalledTView]) -> None:
        """Bring functions, triggers and registry in line, also of those that read the TView."""
        if self.table.fills_first:
            # Until then nothing proves that these columns are NOT NULL.
            readers = [_without_proofs(reader) for reader in readers]
        if self.old.label != self.new.label:
            # Functions say whose they are; these are no longer anybody's.
            stale = catalog.own_functions(self.connection, self.schema, self.old.label)
        align(
            self.schema_editor,
            [
                replaced(self.tview, schema=self.schema, declaration=self.new),
                *readers,
            ],
        )
        if self.old.label != self.new.label:
            ours = catalog.own_functions(self.connection, self.schema, self.new.label)
            for oid, signature in stale.items():
                if oid not in ours:
                    execute(self.schema_editor, f"DROP FUNCTION {signature}")

    def refill(self) -> None:
        """Compare the rows with the query, and write those that differ; who reads them follows."""
        if self.table.rekeyed:
            execute(self.schema_editor, objects.rekey(self.plan))
        self.refresh(self.schema, self.new.table)
        if self.table.rekeyed:
            execute(self.schema_editor, objects.rebuild(self.plan))
        run_deferred_checks(self.schema_editor)

    def refresh(self, schema: str | None, table: str) -> None:
        statement = shared.refresh_statement(self.plan.runtime_schema, schema, table)
        execute(self.schema_editor, statement)


def _without_proofs(tview: InstalledTView) -> InstalledTView:
    """Declare a TView so that nothing need prove that its columns are NOT NULL."""
    columns = tuple(replaced(column, nullable=True) for column in tview.declaration.columns)
    return replaced(tview, declaration=replaced(tview.declaration, columns=columns))
