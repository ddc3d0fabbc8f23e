"""Keep TViews exact while a schema editor changes the tables that they read.

The guard looks before and after each change. Before it, it refuses what would take away a column
or a table that a TView reads. Views keep PostgreSQL from changing a column's type: the guard lifts
them off the column, and puts them back. Afterwards it compares what the TViews stand on with what
it was, and brings those in line for which something has changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from django.db import DatabaseError, transaction

from . import catalog
from .alignment import align, computes
from .errors import DependentColumn, TViewError
from .following import following
from .installer import apply_pending, execute, explained, require_fresh_snapshots
from .locks import LockMode, bounded_waits, lock
from .model_facts import relation_called
from .registry import installed
from .relational.canonical import formatted
from .sql import objects, shared
from .sql.quoting import identifier, literal, qualified, regclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

    from .catalog import Standing, Structure
    from .registry import InstalledTView

_WAYS_OUT = (
    "Change the query of {label} before this operation, in the same migration or an earlier one, "
    "or delete {label} first."
)


@dataclass(frozen=True)
class Lifted:
    """A TView whose backing view is out of the way.

    Attributes:
        tview: the TView.
        view: the name of its backing view, quoted.
        query: what the view is to be again.
        grants: what others were allowed to do with it.
        column: what it was lifted for, for messages.
    """

    tview: InstalledTView
    view: str
    query: str
    grants: tuple[tuple[str | None, str, bool], ...]
    column: str


class Guard:
    """Watches over the TViews of one database for one schema editor.

    Args:
        schema_editor: of the database.
    """

    def __init__(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        self.schema_editor = schema_editor
        self.connection = schema_editor.connection
        self.tviews: dict[int, InstalledTView] = {}
        self.standings: dict[int, Standing] = {}
        self.lifted: dict[int, Lifted] = {}
        self.retyped: dict[tuple[int, str], str] = {}

    def take_stock(self) -> None:
        """Read which TViews there are, and what they stand on."""
        self.tviews = {tview.oid: tview for tview in installed(self.connection)}
        views = {oid: tview.declaration.view for oid, tview in self.tviews.items()}
        self.standings = catalog.standings(self.connection, views) if views else {}

    def forget_lifted(self) -> None:
        """Give up what a failed change has left half done; the database has undone it."""
        self.lifted.clear()
        self.retyped.clear()

    # Before a change

    def apply_pending(self) -> None:
        """Maintain deferred TViews, if there are any, for what the transaction has changed."""
        if any(tview.declaration.mode == "deferred" for tview in self.tviews.values()):
            apply_pending(self.connection)

    def refuse_drop(self, table: str, column: str | None = None) -> None:
        """Refuse to drop a table, or a column, that a TView reads.

        Args:
            table: the table, as Django writes it.
            column: the column; None for the whole table.

        Raises:
            DependentColumn: a TView would go with it, or lose what it reads. Nothing is changed.
        """
        oid = self._oid(table)
        if oid is None:
            return
        what = f"column {table}.{column}" if column else f"table {table}"
        if own := self.tviews.get(oid):
            operation = "AlterTView" if column else "DeleteTView"
            raise DependentColumn(
                f"Cannot drop {what}: it belongs to TView {own.label}.",
                hint=f"{operation} does that, and makemigrations writes it.",
                tview=own.label,
                table=table,
                column=column,
            )
        gone = catalog.goes_with(self.connection, oid, column)
        readers = [
            (tview, standing) for tview, standing in self._standing() if standing.view in gone
        ]
        for tview, standing in readers:
            helpers = [
                structure
                for structure in standing.relations.values()
                if structure.oid in gone and structure.oid != standing.view
            ]
            others = [each.label for each, _ in readers if each is not tview]
            self._refuse(f"Cannot drop {what}", tview, helpers, others, table, column)

    def lift(self, table: str, column: str, new_type: str | None) -> None:
        """Take the backing views that read a column out of the way, so that its type can change.

        Args:
            table: the table, as Django writes it.
            column: the column, under the name that it has now.
            new_type: the type that it gets.

        Raises:
            DependentColumn: another view, which only its author can take away, is in the way.
            IsolationUnsupported: rows could not be compared with the query afterwards.
        """
        oid = self._oid(table)
        if oid is None:
            return
        if oid in self.tviews and new_type is not None:
            self.retyped[oid, column] = new_type
        readers = catalog.column_readers(self.connection, oid, column)
        concerned = []
        for tview, standing in self._standing():
            helpers = [
                structure
                for structure in standing.relations.values()
                if structure.oid in readers and structure.oid != standing.view
            ]
            if helpers:
                what = f"Cannot change the type of column {table}.{column}"
                self._refuse(what, tview, helpers, [], table, column)
            if standing.view in readers and tview.oid not in self.lifted:
                concerned.append((tview, standing))
        if concerned:
            self._lift(concerned, f"{table}.{column}")

    def _lift(self, concerned: list[tuple[InstalledTView, Standing]], column: str) -> None:
        self._lock_sources(concerned)
        if not self.lifted:
            self._count_statements(1)
        for tview, standing in concerned:
            view = standing.relations[standing.view or 0]
            self._require_unread(tview, view, column)
            name = qualified(view.schema, view.name)
            self.lifted[tview.oid] = Lifted(
                tview,
                name,
                self._query(tview, view),
                tuple(catalog.grants(self.connection, view.oid)),
                column,
            )
            execute(self.schema_editor, f"DROP VIEW {name}")

    def _require_unread(self, tview: InstalledTView, view: Structure, column: str) -> None:
        for views in catalog.dependent_views(self.connection, [view.oid]).values():
            for reader in catalog.structures(self.connection, views).values():
                name = f"{reader.schema}.{reader.name}"
                raise DependentColumn(
                    f"Cannot change the type of column {column}: TView {tview.label} reads it, "
                    f"and view {name} reads {view.name}, which has to be made again.",
                    hint=f"Let {name} read the table of the TView, {tview.declaration.table}.",
                    tview=tview.label,
                    views=(name,),
                )

    def _lock_sources(self, concerned: list[tuple[InstalledTView, Standing]]) -> None:
        """Wait out the writers: what they write must be there to be compared with."""
        for tview, _ in concerned:
            require_fresh_snapshots(self.connection, tview.declaration)
        tables = {
            qualified(structure.schema, structure.name)
            for _, standing in concerned
            for structure in standing.relations.values()
            if structure.rule is None
        }
        with bounded_waits(self.schema_editor):
            lock(self.schema_editor, dict.fromkeys(tables, LockMode.SHARE_ROW_EXCLUSIVE))

    def _count_statements(self, number: int) -> None:
        """Open, or close, a statement around all that follows: it is spooled until then."""
        runtime = catalog.runtime_schema(self.connection) or ""
        execute(self.schema_editor, shared.count_statements(runtime, number))

    def _query(self, tview: InstalledTView, view: Structure) -> str:
        """Return the declared query if it is what the view computes, else what the server says."""
        served = catalog.view_definition(self.connection, view.schema, view.name)
        if computes(self.connection, tview, tview.declaration.query):
            return tview.declaration.query
        return served.rstrip(";")

    # After a change

    def settle(self) -> None:
        """Bring the TViews in line with what has changed since the last look.

        Raises:
            DependentColumn: a TView has lost its table, its view, a trigger or a column, or its
                query does not fit a column's new type.
            TViewError: a TView cannot be kept any more.
        """
        lifted = self._put_back()
        if self.schema_editor.collect_sql:
            return
        before, known = self.standings, self.tviews
        try:
            self.take_stock()
            self._announce_rewritten(before)
            self._follow(before, known, lifted)
        except BaseException:
            # Whoever catches this has gone back to what was before.
            self.standings, self.tviews = before, known
            raise

    def _announce_rewritten(self, before: dict[int, Standing]) -> None:
        """Keep older snapshots, which see an empty table where one is written anew, from writing.

        PostgreSQL leaves it to them what they make of that. They would take rows from the TViews.
        """
        for oid, standing in self.standings.items():
            known = before[oid].relations if oid in before else {}
            if standing.table and any(
                relation in known and structure.storage != known[relation].storage
                for relation, structure in standing.relations.items()
            ):
                table = standing.table
                runtime = catalog.runtime_schema(self.connection) or ""
                statement = shared.enter_statement(runtime, table.schema, table.name)
                execute(self.schema_editor, statement)

    def _follow(
        self, before: dict[int, Standing], known: dict[int, InstalledTView], lifted: set[int]
    ) -> None:
        changed, computing = {}, set()
        for oid, tview in self.tviews.items():
            old, new = before.get(oid), self.standings[oid]
            # What was out of order before is tview_check's to report, not in the way of others.
            if old is None or old == new or old.view is None or old.table is None:
                continue
            self._require_whole(known[oid], old, new)
            changed[oid] = self._following(tview, old, new)
            if _contents(old) != _contents(new):
                computing.add(oid)
        if not changed:
            return
        with explained(), transaction.atomic(self.connection.alias):
            if computing - lifted:
                self._lock_sources(
                    [(changed[oid], self.standings[oid]) for oid in sorted(computing - lifted)]
                )
            if lifted:
                self._count_statements(-1)
            self._align(changed.values())
            for oid, tview in self.tviews.items():
                if oid in computing:
                    self._compare(tview)
                elif oid in lifted:
                    self._compare(tview, keys="[]")
        self.retyped.clear()
        self.take_stock()

    def _align(self, tviews: Iterable[InstalledTView]) -> None:
        try:
            align(self.schema_editor, tviews)
        except TViewError as error:
            if error.tview:
                ways_out = _WAYS_OUT.format(label=error.tview)
                error.hint = f"{error.hint} {ways_out}".strip()
            raise

    def _compare(self, tview: InstalledTView, keys: str | None = None) -> None:
        """Compare rows with the query and write those that differ; then maintain what waits.

        Args:
            tview: the TView.
            keys: of the rows, as a JSON array; by default all.
        """
        require_fresh_snapshots(self.connection, tview.declaration)
        runtime = identifier(catalog.runtime_schema(self.connection) or "")
        table = regclass(tview.schema, tview.declaration.table)
        asked = "NULL" if keys is None else literal(keys)
        execute(
            self.schema_editor,
            f"INSERT INTO {runtime}.django_tviews_refresh (tview, keys) VALUES ({table}, {asked})",
        )

    def _put_back(self) -> set[int]:
        """Create the views again that were lifted, and return whose they are."""
        lifted = sorted(self.lifted.values(), key=lambda each: each.tview.depth)
        self.lifted.clear()
        for each in lifted:
            create = f"CREATE VIEW {each.view} AS\n{formatted(each.query)}"
            try:
                execute(self.schema_editor, create)
            except DatabaseError as error:
                table, _, column = each.column.rpartition(".")
                raise DependentColumn(
                    f"The query of TView {each.tview.label} does not fit the new type of column "
                    f"{each.column}: {str(error).strip()}",
                    hint=_WAYS_OUT.format(label=each.tview.label),
                    tview=each.tview.label,
                    table=table,
                    column=column,
                ) from error
            for statement in objects.grant_statements(each.view, each.grants):
                execute(self.schema_editor, statement)
        if lifted and self.schema_editor.collect_sql:
            self._count_statements(-1)
            for each in lifted:
                self._compare(each.tview)
        return {each.tview.oid for each in lifted}

    def _require_whole(self, tview: InstalledTView, old: Standing, new: Standing) -> None:
        """Refuse what has taken a part of a TView away, or renamed it."""
        label = tview.label
        if new.table is None:
            self._lost(tview, "its table")
        if old.table is not None and (old.table.schema, old.table.name) != (
            new.table.schema,
            new.table.name,
        ):
            raise DependentColumn(
                f"The table of TView {label} cannot be renamed like others: its view and its "
                "functions have names like it.",
                hint="AlterTView does that, and makemigrations writes it.",
                tview=label,
                table=old.table.name,
            )
        if new.view is None:
            self._lost(tview, f"its view {tview.declaration.view}")
        for _, name in old.triggers - new.triggers:
            self._lost(tview, f"its trigger {name}")
        present = new.table.columns.values()
        for column in tview.declaration.columns:
            if column.name not in present:
                self._lost(tview, f"its column {column.name}")

    def _lost(self, tview: InstalledTView, what: str) -> NoReturn:
        if self.connection.in_atomic_block:
            state = "What was done is rolled back."
        else:
            state = (
                f"The migration is not atomic, so it has to be put back: tview_sync {tview.label}."
            )
        raise DependentColumn(
            f"A statement has taken {what} from TView {tview.label}.",
            hint=f"{state} {_WAYS_OUT.format(label=tview.label)}",
            tview=tview.label,
        )

    def _following(self, tview: InstalledTView, old: Standing, new: Standing) -> InstalledTView:
        """Return a TView with its declaration under the new names and types."""
        followed = following(self.connection, tview, old, new)
        columns = tuple(
            replace(column, type=self.retyped.get((tview.oid, column.name), column.type))
            for column in tview.declaration.columns
        )
        return replace(followed, declaration=replace(followed.declaration, columns=columns))

    # Questions

    def key_readers(self, table: str) -> list[str]:
        """Return the labels of the TViews that group by the key of a table."""
        oid = self._oid(table)
        views = frozenset() if oid is None else catalog.key_readers(self.connection, oid)
        return [
            tview.label
            for tview, standing in self._standing()
            if not views.isdisjoint(standing.relations)
        ]

    def _oid(self, table: str) -> int | None:
        place = relation_called(table)
        return catalog.resolve(self.connection, [place]).get(place)

    def _standing(self) -> Iterator[tuple[InstalledTView, Standing]]:
        for oid, tview in self.tviews.items():
            if self.standings[oid].view is not None:
                yield tview, self.standings[oid]

    def _refuse(
        self,
        what: str,
        tview: InstalledTView,
        helpers: list[Structure],
        others: list[str],
        table: str,
        column: str | None,
    ) -> NoReturn:
        through = ""
        if helpers:
            names = ", ".join(sorted(f"{each.schema}.{each.name}" for each in helpers))
            through = f" through {'view' if len(helpers) == 1 else 'views'} {names}"
        also = f" So {'does' if len(others) == 1 else 'do'} {', '.join(others)}." if others else ""
        raise DependentColumn(
            f"{what}: TView {tview.label} reads it{through}.{also}",
            hint=_WAYS_OUT.format(label=tview.label),
            tview=tview.label,
            table=table,
            column=column,
            views=tuple(f"{each.schema}.{each.name}" for each in helpers),
        )


def _contents(standing: Standing) -> tuple[object, ...]:
    """What decides what is in a TView: the rules, whichever views have them, tables and types."""
    rules = [each.rule for each in standing.relations.values() if each.rule is not None]
    makeups = [(each.oid, each.makeup) for each in standing.relations.values() if not each.rule]
    types = sorted(standing.table.types.items()) if standing.table else []
    return sorted(rules), sorted(makeups), types
