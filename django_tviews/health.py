"""Look for what is wrong with the objects of TViews in a database."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections, router

from . import alignment, catalog, graph
from .errors import OutdatedTView, TViewError
from .facts import RelationKind
from .indexes import IndexAdvice, missing_indexes
from .installer import pending_hidden_change, runtime_is_current
from .maintenance import named, plan_of
from .plan.plan import FORMAT_VERSION, Plan
from .registry import InstalledTView, installed
from .sql import objects, shared
from .sql.definitions import trigger_shape
from .sql.quoting import identifier, qualified, relation_name
from .unmigrated import has_migrations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper

    from .definition import Declaration


class ProblemKind(StrEnum):
    """What can be wrong with an installed TView."""

    NOT_INSTALLED = "not installed"
    MISSING = "missing"
    OUTDATED = "outdated"
    DISABLED = "disabled"
    ORPHANED = "orphaned"
    EDITED = "edited by hand"
    BYPASSED = "bypassed"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True)
class Problem:
    """Something about a TView in the database that is not as it should be.

    Attributes:
        kind: what is wrong.
        label: the TView, "" if it is unknown.
        name: the object concerned, such as ``trigger django_tviews_… on shop_product``.
        message: what is wrong, in a sentence.
        hint: what to do about it.
    """

    kind: ProblemKind
    label: str
    name: str
    message: str
    hint: str

    def as_dict(self) -> dict[str, Any]:
        """Return the problem as JSON holds it."""
        return asdict(self)

    def __str__(self) -> str:
        """Write it for people, on two lines."""
        whose = f"{self.label}: " if self.label else ""
        return f"{whose}{self.message}\n    HINT: {self.hint}"


def check(*labels: str, using: str = DEFAULT_DB_ALIAS) -> list[Problem]:
    """Look for objects that are missing, outdated, disabled, orphaned or edited by hand.

    This looks at definitions, `verify` at rows.

    Args:
        *labels: TViews, such as ``"shop.ProductCard"``, or apps; by default all, what they share,
            and whatever belongs to none.
        using: alias of the database.

    Returns:
        The problems, sorted by TView; none if all is well.

    Raises:
        MetadataNotFound: a label is neither that of a declared nor of an installed TView.
    """
    connection = connections[using]
    declared, present = _declared(using), _present(connection)
    wanted = named(labels, {*declared, *present})
    problems: list[Problem] = []
    for label in sorted(wanted):
        if label not in present:
            problems.append(_not_installed(label))
        else:
            problems += _Inspection(connection, present[label], declared.get(label)).problems()
    if not labels:
        problems += _outdated_runtime(connection)
        problems += _orphaned_triggers(connection, present.values())
    return problems


def advice(*labels: str, using: str = DEFAULT_DB_ALIAS) -> list[IndexAdvice]:
    """Look for indexes that would spare the maintenance of TViews scans of whole tables.

    TViews that `check` finds something wrong with, so that they cannot be planned, are left out.

    Args:
        *labels: see `check`.
        using: alias of the database.

    Returns:
        Each missing index once, however many TViews would use it.

    Raises:
        MetadataNotFound: see `check`.
    """
    connection = connections[using]
    present = _present(connection)
    wanted = named(labels, {*_declared(using), *present})
    found: dict[IndexAdvice, None] = {}
    for label in sorted(wanted & present.keys()):
        with suppress(TViewError):
            found |= dict.fromkeys(missing_indexes(connection, plan_of(connection, present[label])))
    return list(found)


def _declared(using: str) -> dict[str, Declaration]:
    return {
        declaration.label: declaration
        for declaration in graph.declarations()
        if router.allow_migrate_model(using, apps.get_model(declaration.label))
    }


def _present(connection: BaseDatabaseWrapper) -> dict[str, InstalledTView]:
    return {tview.label: tview for tview in installed(connection)}


def _not_installed(label: str) -> Problem:
    app = label.partition(".")[0]
    return Problem(
        ProblemKind.NOT_INSTALLED,
        label,
        label,
        "it is declared, but not installed in this database.",
        "Run makemigrations and migrate, or tview_sync if its migration was faked."
        if has_migrations(app)
        else f"Its app has no migrations: run makemigrations {app}, or migrate --run-syncdb.",
    )


def _outdated_runtime(connection: BaseDatabaseWrapper) -> Iterator[Problem]:
    """Find out whether what all TViews share is of an earlier form."""
    if not runtime_is_current(connection):
        yield Problem(
            ProblemKind.OUTDATED,
            "",
            shared.REGISTRY,
            "what all TViews share is not of the form that this version of django_tviews writes.",
            "Run tview_sync, which brings that and all TViews in line, before migrate.",
        )


def _orphaned_triggers(
    connection: BaseDatabaseWrapper, present: Iterable[InstalledTView]
) -> Iterator[Problem]:
    """Find triggers of ours on tables that no installed TView reads or is."""
    triggers = catalog.triggers(connection)
    present = list(present)
    oids = {tview.oid for tview in present}
    tables = {(tview.schema, tview.declaration.table) for tview in present}
    tables |= {(each.schema, each.table) for each in triggers if each.tview in oids}
    # The functions of others belong to other TViews, in schemas of their own.
    schemas = {tview.schema for tview in present} | {
        catalog.runtime_schema(connection),
        catalog.current_schema(connection),
    }
    for trigger in triggers:
        if trigger.function_schema not in schemas:
            continue
        if (trigger.schema, trigger.table) in tables and (
            trigger.tview is None or trigger.tview in oids
        ):
            continue
        name = f"trigger {trigger.name} on {trigger.schema}.{trigger.table}"
        yield Problem(
            ProblemKind.ORPHANED,
            "",
            name,
            f"{name} belongs to no TView of this database.",
            f"DROP TRIGGER {identifier(trigger.name)} "
            f"ON {qualified(trigger.schema, trigger.table)};",
        )


class _Inspection:
    """Compares one installed TView with what it should be."""

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        tview: InstalledTView,
        declared: Declaration | None,
    ) -> None:
        self.connection = connection
        self.tview = tview
        self.declared = declared

    def problems(self) -> Iterator[Problem]:
        yield from self.declaration()
        try:
            plan = plan_of(self.connection, self.tview)
        except OutdatedTView as error:
            yield self.problem(
                ProblemKind.MISSING, self.tview.declaration.view, error.message, self.cure
            )
            return
        except TViewError as error:
            if self.is_edited():
                yield self.edited_view()
            else:
                yield self.problem(
                    ProblemKind.OUTDATED, self.tview.declaration.view, error.message, error.hint
                )
            return
        yield from self.version(plan)
        yield from self.table()
        yield from self.hidden_columns(plan)
        yield from self.functions(plan)
        yield from self.triggers(plan)

    def problem(self, kind: ProblemKind, name: str, message: str, hint: str) -> Problem:
        return Problem(kind, self.tview.label, name, message, hint)

    @property
    def cure(self) -> str:
        """What to do where rows may have been missed."""
        label = self.tview.label
        return f"Run tview_sync {label}, then tview_verify --repair {label}."

    def is_edited(self) -> bool:
        """Tell whether the backing view computes something else than was declared."""
        tview = self.tview
        return alignment.computes(self.connection, tview, tview.declaration.query) is False

    def edited_view(self) -> Problem:
        view = self.tview.declaration.view
        return self.problem(
            ProblemKind.EDITED, view, f"view {view} is not as it was installed.", self.cure
        )

    def declaration(self) -> Iterator[Problem]:
        label = self.tview.label
        if self.declared is None:
            yield self.problem(
                ProblemKind.ORPHANED,
                label,
                "it is installed, but the project does not declare it.",
                "Run makemigrations and migrate, which delete it.",
            )
        elif not self.declared.is_same(self.tview.declaration):
            yield self.problem(
                ProblemKind.OUTDATED,
                label,
                "the project declares it otherwise than it is installed.",
                "Run makemigrations and migrate, or tview_sync if a migration of it was faked.",
            )

    def version(self, plan: Plan) -> Iterator[Problem]:
        label = self.tview.label
        if self.tview.format_version != FORMAT_VERSION:
            yield self.problem(
                ProblemKind.OUTDATED,
                label,
                f"its functions have format {self.tview.format_version}; "
                f"this version of django_tviews writes format {FORMAT_VERSION}.",
                f"Run tview_sync {label}.",
            )
        elif self.tview.fingerprint == objects.fingerprint(plan):
            return
        elif self.is_edited():
            yield self.edited_view()
        else:
            yield self.problem(
                ProblemKind.OUTDATED,
                label,
                "a table or helper view that it reads, or a setting, has changed since.",
                self.cure,
            )

    def table(self) -> Iterator[Problem]:
        own = catalog.relations(self.connection, [self.tview.oid])[self.tview.oid]
        if own.kind is RelationKind.UNLOGGED_TABLE:
            name = relation_name(own)
            yield self.problem(
                ProblemKind.EDITED,
                name,
                "its table is unlogged, so a crash would empty it.",
                f"ALTER TABLE {name} SET LOGGED;",
            )

    def hidden_columns(self, plan: Plan) -> Iterator[Problem]:
        for column, _ in pending_hidden_change(self.connection, plan).added:
            name = f"hidden column {identifier(column)}"
            yield self.problem(ProblemKind.MISSING, name, f"{name} is not there.", self.cure)

    def functions(self, plan: Plan) -> Iterator[Problem]:
        expected = {function.signature: function for function in objects.functions(plan)}
        present = catalog.functions_by_signature(self.connection, expected)
        current = self.tview.fingerprint == objects.fingerprint(plan)
        for signature, function in expected.items():
            name = f"function {signature}"
            if signature not in present:
                yield self.problem(ProblemKind.MISSING, name, f"{name} is not there.", self.cure)
                continue
            found = present[signature]
            if current and alignment.differs(function, found):
                yield self.problem(
                    ProblemKind.EDITED, name, f"{name} is not as it was installed.", self.cure
                )
            if found.public:
                yield self.problem(
                    ProblemKind.EDITED,
                    name,
                    f"everybody may execute {name}.",
                    f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC;",
                )
            if function.called_by_shared and not found.callable:
                yield self.problem(
                    ProblemKind.EDITED,
                    name,
                    f"the owner of what TViews share may not execute {name}.",
                    f"Run tview_sync {self.tview.label}.",
                )

    def triggers(self, plan: Plan) -> Iterator[Problem]:
        present = {
            (qualified(each.schema, each.table), each.name): each
            for each in catalog.triggers(self.connection)
        }
        expected = (*objects.source_triggers(plan), *objects.own_triggers(plan))
        places = {trigger.relation for trigger in expected}
        for (table, trigger_name), each in present.items():
            if each.tview == self.tview.oid and table not in places:
                name = f"trigger {trigger_name} on {table}"
                yield self.problem(
                    ProblemKind.ORPHANED,
                    name,
                    f"{name} stands on a table that it does not read any more; was it detached?",
                    self.cure,
                )
        for trigger in expected:
            found = present.get((trigger.relation, trigger.name))
            name = f"trigger {trigger.name} on {trigger.relation}"
            if found is None:
                yield self.problem(ProblemKind.MISSING, name, f"{name} is not there.", self.cure)
            elif not found.enabled:
                yield self.problem(ProblemKind.DISABLED, name, f"{name} is disabled.", self.cure)
            elif trigger_shape(found.definition) != trigger_shape(trigger.create):
                yield self.problem(
                    ProblemKind.EDITED,
                    name,
                    f"{name} is not as it was installed.",
                    self.cure,
                )
