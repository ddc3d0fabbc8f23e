"""Bring functions and triggers of a database in line with the package and the definitions.

Migrations install what belongs to a TView. This is for what comes between two of them: a new
version of the package, a dump that was restored, a partition that is new, a migration that was
faked, and damage done by hand.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from django.db import DEFAULT_DB_ALIAS, connections, router
from django.db.migrations.loader import MigrationLoader

from . import alignment, catalog, installer, replacement
from .alteration import TableAlteration
from .definition import Declaration
from .errors import LockTimeout, OutdatedTView
from .locks import LockMode, bounded_waits, lock
from .maintenance import named
from .model_facts import facts_from_models
from .models import TView
from .plan.plan import FORMAT_VERSION
from .registry import InstalledTView, find, installed
from .relational.canonical import formatted
from .sql import created, objects, shared
from .sql.quoting import complete, identifier, literal, qualified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState

    from .maintenance import Progress

ATTEMPTS: Final = 3
"""How often a TView is tried whose tables others have locked."""

_PAUSE: Final = 1.0

_T = TypeVar("_T")

_SHARED: Final = "django_tviews"

# Beside the locks of writers, which are not negative.
_LOCK: Final = -1


@dataclass(frozen=True)
class SyncReport:
    """What bringing a TView in line has changed.

    Attributes:
        label: the TView; ``"django_tviews"`` for what all of them share.
        changes: what was changed, in words.
        doubtful: whether rows may have been missed before; `verify` tells.
        note: what could not be brought in line, and what to do about it.
    """

    label: str
    changes: tuple[str, ...]
    doubtful: bool
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON holds it."""
        return asdict(self)

    def __str__(self) -> str:
        """Write it for people: one line, and one for each change."""
        if not self.changes and not self.note:
            return f"{self.label}: in line"
        lines = [f"{self.label}:", *(f"    {change}" for change in self.changes)]
        if self.note:
            lines.append(f"    HINT: {self.note}")
        if self.doubtful:
            lines.append(
                f"    HINT: Rows may have been missed before: tview_verify --repair {self.label}"
            )
        return "\n".join(lines)


def sync(
    *labels: str, using: str = DEFAULT_DB_ALIAS, progress: Progress | None = None
) -> list[SyncReport]:
    """Bring functions and triggers in line with the package and the definitions.

    What is as it should be is not touched, and neither are contents, except to fill hidden columns
    that are new. Functions are replaced while writers go on; each TView is brought in line in a
    transaction of its own. If what all TViews share is of an earlier form, that and all TViews are
    brought in line in one, whichever are named, while nobody writes to what they read. A TView
    whose migration was faked, or whose table is gone, is installed with its contents; one that a
    faked migration was to alter is altered.

    Args:
        *labels: TViews, such as ``"shop.ProductCard"``, or apps; by default all.
        using: alias of the database.
        progress: is told after each TView.

    Returns:
        A report for what all TViews share, and for each TView, those that others read first.

    Raises:
        MetadataNotFound: a label is not that of a TView that the database should have.
        LockTimeout: others have held a lock for too long, several times.
        TViewError: a TView cannot be kept; those before it are in line.
    """
    connection = connections[using]
    loader = MigrationLoader(connection)
    apps = _applied(loader).apps
    expected = {
        model._meta.label: model
        for model in apps.get_models()
        if issubclass(model, TView)
        and not model._meta.proxy
        and router.allow_migrate_model(using, model)
    }
    if catalog.runtime_schema(connection) is None and not expected:
        return []
    present = {tview.label: tview for tview in installed(connection)}
    wanted = named(labels, {*expected, *present})
    depths = facts_from_models(apps).tview_depths

    def steps(labels: Iterable[str]) -> list[_Sync]:
        return [
            _Sync(present.get(label), expected.get(label), label, loader)
            for label in sorted(
                labels, key=lambda each: (_depth(each, present, expected, depths), each)
            )
        ]

    if installer.runtime_is_current(connection):
        reports = [_patiently(connection, _sync_runtime)]
    else:
        together = steps(present)
        reports = _patiently(connection, lambda editor: _renew(editor, together))
        wanted -= present.keys()
    for number, each in enumerate(steps(wanted)):
        if progress is not None:
            progress(each.label, number, len(wanted))
        reports.append(_patiently(connection, each.report))
        if progress is not None:
            progress(each.label, number + 1, len(wanted))
    return reports


def _applied(loader: MigrationLoader) -> ProjectState:
    """Return the project as the migrations that a database has leave it."""
    return loader.project_state([key for key in loader.applied_migrations if key in loader.graph])


def _as_installed(loader: MigrationLoader, tview: InstalledTView) -> type[TView] | None:
    """Return the TView as the last migration left it that was more than recorded, if one did.

    Args:
        loader: the migrations.
        tview: as it is installed.
    """
    app_label, _, name = tview.label.partition(".")
    plan = [
        key
        for leaf in loader.graph.leaf_nodes(app_label)
        for key in loader.graph.forwards_plan(leaf)
    ]
    for key in reversed(plan):
        if key[0] == app_label and key in loader.applied_migrations:
            found = loader.project_state(key).apps.all_models[app_label].get(name.lower())
            model = cast("type[TView] | None", found)
            if model is not None and Declaration.from_model(model).is_same(tview.declaration):
                return model
    return None


def _depth(
    label: str,
    present: dict[str, InstalledTView],
    expected: dict[str, type[TView]],
    depths: Any,
) -> int:
    if label in present:
        return present[label].depth
    return int(depths.get((None, expected[label]._meta.db_table), 0))


def _patiently(
    connection: BaseDatabaseWrapper, step: Callable[[BaseDatabaseSchemaEditor], _T]
) -> _T:
    """Do one step in one transaction; when a lock is not to be had, try again later."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with installer.explained(), connection.schema_editor() as editor:
                with connection.cursor() as cursor:
                    # One at a time: two would write the same rows of the catalog.
                    cursor.execute(
                        "SELECT pg_advisory_xact_lock(%s, %s)", [shared.LOCK_CLASS, _LOCK]
                    )
                with installer.unwatched(editor), bounded_waits(editor):
                    return step(editor)
        except LockTimeout:
            if attempt == ATTEMPTS:
                raise
            time.sleep(_PAUSE * attempt)
    raise AssertionError


def _sync_runtime(editor: BaseDatabaseSchemaEditor) -> SyncReport:
    """Bring in line what all TViews share."""
    connection = editor.connection
    schema = catalog.runtime_schema(connection)
    if schema is None:
        installer.install_runtime(editor)
        return SyncReport(_SHARED, ("created the registry and what TViews share",), doubtful=False)
    return SyncReport(_SHARED, tuple(_shared_objects(editor, schema)), doubtful=False)


def _renew(editor: BaseDatabaseSchemaEditor, tviews: Iterable[_Sync]) -> list[SyncReport]:
    """Replace what TViews share by what this version writes, and bring all of them in line.

    In one transaction: what functions of one format leave in a spool of another might wait there
    for ever.
    """
    connection = editor.connection
    schema = catalog.runtime_schema(connection) or catalog.current_schema(connection)
    # What this transaction has left in the spool. Others have nothing there while nobody writes.
    installer.run_deferred_checks(editor)
    sources = installer.watched(connection, installed(connection))
    lock(editor, dict.fromkeys(sources, LockMode.SHARE_ROW_EXCLUSIVE))
    grants: list[str] = []
    for each in shared.runtime_objects(schema):
        places = [(schema, name) for name in each.relations] if each.drop else []
        for (_, name), oid in catalog.resolve(connection, places).items():
            grants += objects.grant_statements(
                qualified(schema, name), catalog.grants(connection, oid)
            )
            installer.execute(editor, each.drop)
    changes = tuple(_shared_objects(editor, schema))
    comment = literal(shared.runtime_comment())
    registry = qualified(schema, shared.REGISTRY)
    for statement in (*grants, f"COMMENT ON TABLE {registry} IS {comment}"):
        installer.execute(editor, statement)
    shared_report = SyncReport(_SHARED, changes, doubtful=False)
    return [shared_report, *(each.report(editor) for each in tviews)]


def _shared_objects(editor: BaseDatabaseSchemaEditor, schema: str) -> Iterator[str]:
    expected = shared.runtime_objects(schema)
    places = {(schema, name) for each in expected for name in each.relations}
    missing = places - catalog.resolve(editor.connection, places).keys()
    functions = {
        complete(each.function.signature): each.function for each in expected if each.function
    }
    present = catalog.functions_by_signature(editor.connection, functions)
    outdated = missing or alignment.any_differs(functions, present)
    registry = (schema, shared.REGISTRY)
    tviews = installed(editor.connection) if outdated and registry not in missing else []
    if tviews:
        # Who is in the middle of the old ones may hold locks that the new ones do not know.
        sources = installer.watched(editor.connection, tviews)
        lock(editor, dict.fromkeys(sources, LockMode.SHARE_ROW_EXCLUSIVE))
    made: set[str] = set()
    # In the order of the installation, in which each finds what it refers to.
    for each in expected:
        if each.function:
            yield from _shared_function(editor, each.function, present)
        elif gone := [name for name in each.relations if (schema, name) in missing]:
            installer.execute(editor, each.sql)
            made.update(gone)
            for name in gone:
                yield f"created {complete(qualified(schema, name))}"
        elif not each.relations and each.is_about(made):
            installer.execute(editor, each.sql)
    # All have one ring, and the table of one may be gone.
    for tview in [each for each in tviews if each.schema is not None][:1]:
        statement = shared.enter_statement(schema, tview.schema or schema, tview.declaration.table)
        installer.execute(editor, statement)


def _shared_function(
    editor: BaseDatabaseSchemaEditor,
    function: created.Function,
    present: Mapping[str, catalog.InstalledFunction],
) -> Iterator[str]:
    signature = complete(function.signature)
    found = present.get(signature)
    if found is None or alignment.differs(function, found):
        installer.execute(editor, function.create)
        yield f"{'created' if found is None else 'replaced'} function {signature}"
    if found is None or found.public:
        installer.execute(editor, f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")


class _Sync:
    """Brings one TView in line.

    Args:
        tview: as it is installed, if it is.
        model: as the migrations of the database leave it, if they know it.
        label: its label.
        loader: the migrations.
    """

    def __init__(
        self,
        tview: InstalledTView | None,
        model: type[TView] | None,
        label: str,
        loader: MigrationLoader,
    ) -> None:
        self.tview = tview
        self.model = model
        self.label = label
        self.loader = loader

    def report(self, editor: BaseDatabaseSchemaEditor) -> SyncReport:
        """Bring it in line, and say what that has changed."""
        if self.tview is None or self.tview.schema is None:
            return SyncReport(self.label, (self.install(editor),), doubtful=False)
        tview, changes = self.with_view(editor, self.tview, self.tview.schema)
        note = ""
        model = self.model
        if model is not None and not Declaration.from_model(model).is_same(tview.declaration):
            old = _as_installed(self.loader, tview)
            if old is None:
                note = (
                    "No migration says what is installed. Was one edited after it was applied? "
                    f"Put it back as it was, then run tview_sync {self.label}."
                )
            else:
                before, after = Declaration.from_model(old), Declaration.from_model(model)
                replacement.replace(editor, before, after, TableAlteration(editor, old, model))
                tview = find(editor.connection, after.table) or tview
                changes.append("altered it as its migrations say, of which one was faked")
        for each in alignment.align(editor, [tview], enable=True).values():
            changes += each
        upgraded = self.tview.format_version != FORMAT_VERSION
        doubtful = bool(changes) and not upgraded
        return SyncReport(self.label, tuple(changes), doubtful, note)

    def install(self, editor: BaseDatabaseSchemaEditor) -> str:
        """Install a TView that should be there, with its contents."""
        if self.model is None:
            raise OutdatedTView(
                f"The table of {self.label} is gone, and no migration that was applied creates it.",
                hint="DELETE FROM django_tviews_registry WHERE "
                f"label = '{self.label}'; forgets it.",
                tview=self.label,
            )
        model, connection = self.model, editor.connection
        declaration = Declaration.from_model(model)
        place = (catalog.current_schema(connection), declaration.table)
        table = catalog.resolve(connection, [place]).get(place)
        self.clear(editor, declaration, place[0], table)
        installer.create(
            editor,
            declaration,
            (lambda: editor.create_model(model)) if table is None else (lambda: None),
        )
        return "installed it, with its contents"

    def clear(
        self,
        editor: BaseDatabaseSchemaEditor,
        declaration: Declaration,
        schema: str,
        table: int | None,
    ) -> None:
        """Take away what is left of an earlier installation; its functions will be replaced."""
        connection = editor.connection
        for trigger in catalog.triggers(connection):
            own = (trigger.schema, trigger.table) == (schema, declaration.table)
            if (own and trigger.tview is None) or (table is not None and trigger.tview == table):
                on = qualified(trigger.schema, trigger.table)
                installer.execute(editor, f"DROP TRIGGER {identifier(trigger.name)} ON {on}")
        view = qualified(schema, declaration.view)
        installer.execute(editor, f"DROP VIEW IF EXISTS {view}")
        if self.tview is not None:
            registry = qualified(catalog.runtime_schema(connection), shared.REGISTRY)
            installer.execute(editor, f"DELETE FROM {registry} WHERE tview = {self.tview.oid}::oid")

    def with_view(
        self, editor: BaseDatabaseSchemaEditor, tview: InstalledTView, schema: str
    ) -> tuple[InstalledTView, list[str]]:
        """Put the backing view back, if it is not what the TView declares.

        Returns:
            The TView, and what was changed.
        """
        connection, declaration = editor.connection, tview.declaration
        view = qualified(schema, declaration.view)
        create = f"CREATE VIEW {view} AS\n{formatted(declaration.query)}"
        if not catalog.resolve(connection, [(schema, declaration.view)]):
            installer.execute(editor, create)
            return tview, [f"created view {complete(view)}"]
        match alignment.computes(connection, tview, declaration.query):
            case True:
                return tview, []
            case False:
                installer.execute(editor, f"DROP VIEW {view}")
                installer.execute(editor, create)
                return tview, [f"replaced view {complete(view)}"]
        # Something was renamed while nobody looked; the view has followed it.
        served = catalog.view_definition(connection, schema, declaration.view).rstrip(";")
        return replace(tview, declaration=replace(declaration, query=served)), []
