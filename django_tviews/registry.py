"""Which TViews are installed in a database, as its registry has it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from . import catalog
from .definition import Column, Declaration
from .errors import CatalogError
from .plan.plan import FORMAT_VERSION
from .sql import objects
from .sql.quoting import identifier, literal, regclass

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from .plan.plan import Plan


@dataclass(frozen=True)
class InstalledTView:
    """A TView as the registry of a database has it.

    Attributes:
        oid: of its table.
        schema: of its table; None if the table is gone.
        declaration: what it said when it was installed.
        depth: how many TViews lie below it.
        format_version: of what was generated for it.
        fingerprint: of what was generated for it.
    """

    oid: int
    schema: str | None
    declaration: Declaration
    depth: int
    format_version: int
    fingerprint: str

    @property
    def label(self) -> str:
        """The model's label."""
        return self.declaration.label


def installed(connection: BaseDatabaseWrapper) -> list[InstalledTView]:
    """Read the TViews installed in a database, those that others read first.

    Raises:
        CatalogError: the registry has an entry that this version does not write.
    """
    return [
        InstalledTView(
            row.oid,
            row.schema,
            _declaration(row),
            row.depth,
            row.format_version,
            row.fingerprint,
        )
        for row in catalog.registry(connection)
    ]


def find(connection: BaseDatabaseWrapper, table: str) -> InstalledTView | None:
    """Return the installed TView with a table of that name, found by the search path, if any."""
    oids = catalog.resolve(connection, [(None, table)])
    for each in installed(connection):
        if each.oid in oids.values():
            return each
    return None


def readers_of(connection: BaseDatabaseWrapper, read: InstalledTView) -> list[InstalledTView]:
    """Return the TViews that read a TView, directly or not, those that others read first."""
    reached: set[int] = set()
    pending = {read.oid}
    while pending:
        views = catalog.dependent_views(connection, pending)
        new = frozenset().union(*views.values())
        # A TView depends on what its backing view depends on.
        new |= {
            each.oid
            for each in installed(connection)
            if not new.isdisjoint(
                catalog.resolve(connection, [(each.schema, each.declaration.view)]).values()
            )
        }
        pending = set(new) - reached
        reached |= pending
    return [each for each in installed(connection) if each.oid in reached - {read.oid}]


def entry_statement(declaration: Declaration, plan: Plan) -> str:
    """Return the statement that enters a TView into the registry, or brings its entry up to date.

    Args:
        declaration: what the TView says.
        plan: what is generated for it.
    """
    values = {
        "tview": regclass(plan.schema, plan.table),
        "label": literal(declaration.label),
        "declaration": literal(json.dumps(asdict(declaration), ensure_ascii=False)),
        "depth": str(plan.depth),
        "drain": literal(objects.drain_name(plan)),
        "format_version": str(FORMAT_VERSION),
        "fingerprint": literal(objects.fingerprint(plan)),
    }
    changes = ", ".join(f"{name} = excluded.{name}" for name in values if name != "tview")
    return (
        f"INSERT INTO {identifier(plan.runtime_schema)}.django_tviews_registry "
        f"({', '.join(values)})\nVALUES ({', '.join(values.values())})\n"
        f"ON CONFLICT (tview) DO UPDATE SET {changes}"
    )


def _declaration(row: catalog.RegistryRow) -> Declaration:
    stored = row.declaration
    try:
        columns = tuple(Column(**column) for column in stored["columns"])
        return Declaration(**{**stored, "columns": columns, "key": tuple(stored["key"])})
    except (KeyError, TypeError) as error:
        raise CatalogError(
            f"The registry's entry of {row.label} is not one that this version of django_tviews "
            f"writes: {error}.",
            hint="Was it written by a later version, or edited by hand? Otherwise please report "
            "it, with the row of django_tviews_registry.",
            tview=row.label,
        ) from error
