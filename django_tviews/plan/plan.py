"""The plan of a TView: everything that is generated for it, as one comparable value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from .folds import Fold
from .patches import Patch
from .roots import Root
from .routes import NoRoute, Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_tviews.facts import RelationFacts
    from django_tviews.relational.tree import QueryTree

    from .columns import KeyColumn, PlanColumn
    from .units import Unit

# Version of what is generated from one plan; a change of the templates raises it.
FORMAT_VERSION = 1

# What any result may depend on besides rows.
ENVIRONMENT: tuple[tuple[str, str], ...] = (
    ("search_path", "pg_catalog, pg_temp"),
    ("quote_all_identifiers", "off"),
    ("gin_fuzzy_search_limit", "0"),
    ("row_security", "off"),
)

# What values of some types are read and written by, and what functions over them depend on.
FORMATS: tuple[tuple[str, str], ...] = (
    ("TimeZone", "UTC"),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
    ("lc_numeric", "C"),
    ("lc_time", "C"),
    ("array_nulls", "on"),
    ("xmloption", "content"),
)

# What abbreviations of time zones stand for. To set it costs as much as to maintain a row.
ZONES: tuple[tuple[str, str], ...] = (("timezone_abbreviations", "Default"),)

# Fill, maintenance, refresh and verify all run in it, as far as their results depend on it.
MAINTENANCE_ENVIRONMENT = (*ENVIRONMENT, *FORMATS, *ZONES)


class Strategy(StrEnum):
    """How a source's change reaches the TView."""

    FOLD = "fold"
    PATCH = "patch"
    RECOMPUTE = "recompute"
    REBUILD = "rebuild"


@dataclass(frozen=True)
class SourcePlan:
    """How changes of one source reach the TView.

    Attributes:
        number: its place among the sources, from 1.
        relation: the source.
        columns: the columns the query reads of it, with their types: a row's *image*.
        identity: a key of the source that pairs the old with the new image of an updated row,
            each column with the schema of its equality operator; empty when it has none, or when
            its rows can leave it for another table with their image unchanged.
        routes: one for each occurrence of the source.
        overlaps: a statement may change it together with another source, because both read a
            partition or an inheritance child.
        fold: how its changes alone change the rows of groups, if these follow from what they were.
        patch: which columns a statement that changes nothing else is confined to, if not to all.
        root: how a row of the TView comes and goes with one of its rows, if one does.
    """

    number: int
    relation: RelationFacts
    columns: tuple[tuple[str, str], ...]
    identity: tuple[tuple[str, str], ...]
    routes: tuple[Route | NoRoute, ...]
    overlaps: bool = False
    fold: Fold | None = None
    patch: Patch | None = None
    root: Root | None = None

    def strategy_of(self, event: str) -> Strategy:
        """How its changes are applied.

        Args:
            event: ``INSERT``, ``UPDATE`` or ``DELETE``.
        """
        if not self.routed:
            return Strategy.REBUILD
        match self.shortcut_of(event):
            case Fold():
                return Strategy.FOLD
            case Patch() | Root():
                return Strategy.PATCH
            case _:
                return Strategy.RECOMPUTE

    def shortcut_of(self, event: str) -> Fold | Patch | Root | None:
        """What spares it to derive all of the affected rows again, where nothing else changes.

        Args:
            event: ``INSERT``, ``UPDATE`` or ``DELETE``.
        """
        if self.fold is not None:
            return self.fold
        for shortcut in (self.patch, self.root):
            if shortcut is not None and shortcut.is_for(event):
                return shortcut
        return None

    @property
    def routed(self) -> bool:
        """Every change of it leads to the keys that it may affect."""
        return all(isinstance(route, Route) for route in self.routes)

    @property
    def looks_rows_up(self) -> bool:
        """The keys that its rows affect depend on other rows."""
        return any(route.steps for route in self.routes if isinstance(route, Route))


@dataclass(frozen=True)
class Plan:
    """All that is generated for a TView.

    Attributes:
        label: the model: ``shop.ProductCard``.
        schema: where the TView and its functions live.
        table: the TView's table.
        view: the backing view.
        columns: the columns of the table, hidden ones last.
        key: those of them that identify a row.
        sources: the sources, in the order in which the query names them.
        runtime_schema: where the registry and the shared functions live.
        depth: how many TViews lie below this one; it is maintained after them.
        deferred: it is maintained once per transaction, at COMMIT, not after every statement.
        bulk_threshold: with more changed rows or keys than this, statements are planned afresh.
        by_key: the query can be evaluated for one key without evaluating all of it.
        unit: if not, what it can be evaluated for instead.
        single: the query has at most one row for a key.
        reads_settings: its contents may depend on formats, so its functions pin them.
        reads_zone_abbreviations: likewise on what abbreviations of time zones stand for.
        definitions: the text of the backing view, and of the helper views that it reads.
        query: the query with what hidden columns hold; empty if there are none, so that the
            backing view gives everything.
    """

    label: str
    schema: str
    table: str
    view: str
    columns: tuple[PlanColumn, ...]
    key: tuple[KeyColumn, ...]
    sources: tuple[SourcePlan, ...]
    runtime_schema: str
    depth: int = 0
    deferred: bool = False
    bulk_threshold: int = 1000
    by_key: bool = True
    unit: Unit | None = None
    single: bool = False
    reads_settings: bool = True
    reads_zone_abbreviations: bool = True
    definitions: tuple[str, ...] = ()
    query: str = ""

    @property
    def environment(self) -> tuple[tuple[str, str], ...]:
        """What its functions pin; to pin everything costs more than to maintain a row."""
        formats = FORMATS if self.reads_settings else ()
        zones = ZONES if self.reads_zone_abbreviations else ()
        return (*ENVIRONMENT, *formats, *zones)

    @property
    def hidden(self) -> tuple[PlanColumn, ...]:
        """The columns that no field shows."""
        return tuple(column for column in self.columns if column.hidden is not None)

    @property
    def rebuilds(self) -> Iterator[tuple[SourcePlan, NoRoute]]:
        """The sources that can only be kept by rebuilding, with the reason."""
        for source in self.sources:
            for route in source.routes:
                if isinstance(route, NoRoute):
                    yield source, route


def relevant_columns(tree: QueryTree, relation: RelationFacts) -> tuple[str, ...]:
    """The columns of a relation that any occurrence of it reads, in the relation's order."""
    read = {
        name
        for occurrence in tree.occurrences
        if occurrence.relation == relation
        for name in occurrence.columns
    }
    return tuple(column.name for column in relation.columns if column.name in read)
