"""Routes as SQL: from changed rows to affected keys."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from django_tviews.plan.locks import KEYS, keys_are_told_apart, lookups, rows_looked_for
from django_tviews.plan.routes import NoRoute, Route
from django_tviews.sqltypes import is_ordered_by_looks
from django_tviews.text import indented

from .joins import Joins
from .quoting import identifier
from .shared import LOCK_LIMIT
from .spooled import Images, requested_key
from .templates import render

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from django_tviews.facts import RelationFacts
    from django_tviews.plan.columns import KeyColumn
    from django_tviews.plan.locks import Lookup
    from django_tviews.plan.plan import Plan, SourcePlan
    from django_tviews.relational.tree import Occurrence

_LOCKS = identifier("locks?")


def affected_keys(
    plan: Plan,
    ctes: Sequence[str],
    deltas: Mapping[int, str],
    states: Mapping[RelationFacts, str],
    extra: tuple[str, ...] = (),
    into: Sequence[str] = (),
    *,
    ordered: bool = True,
) -> str:
    """Return a query for one row: an array for each key column, and an array of locks.

    The arrays of the key are NULL if no key is affected. The locks are those that writers of
    these changes take (see `django_tviews.plan.locks`), in ascending order, empty if none.

    Args:
        plan: the TView's plan.
        ctes: the common table expressions that hold deltas and states.
        deltas: by number of source, the relation of its changed rows; sources that did not
            change are left out.
        states: what to join in place of a source that lost rows; its current rows together with
            those removed.
        extra: further queries for keys.
        into: the variables that static SQL puts the arrays into.
        ordered: there may be many keys. Rows that are written in their order find the key's index
            where the one before has left it.
    """
    changed = [source for source in plan.sources if source.number in deltas]
    routes = [
        (source, route) for source in changed for route in source.routes if isinstance(route, Route)
    ]
    branches = [
        _Branch(plan, source, route, deltas[source.number], states) for source, route in routes
    ]
    columns = [identifier(column.name) for column in plan.key]
    looks_further = any(branch.looks_further for branch in branches)
    rows, names, none, union, select = "affected", columns, "", "UNION", "SELECT"
    if looks_further:
        # The same key may have been found at several places; keys and locks are made distinct each
        # by themselves.
        rows = f"(SELECT DISTINCT {', '.join(columns)} FROM affected) AS affected"
        names, none, union = [*columns, _LOCKS], ", NULL::integer[]", "UNION ALL"
    elif len(routes) + len(extra) == 1:
        select = "SELECT DISTINCT"
    found = [branch.keys(select, with_locks=looks_further) for branch in branches]
    found += [
        f"{select} requests.*{none}\nFROM (\n{indented(each)}\n) AS requests" for each in extra
    ]
    united = indented(f"\n{union}\n".join(found))
    affected = f"affected ({', '.join(names)}) AS MATERIALIZED (\n{united}\n)"
    locks = [f"SELECT unnest(affected.{_LOCKS})\nFROM affected"] if looks_further else []
    for branch in branches:
        locks += branch.locks()
    locks += _other_locks(plan, {source: deltas[source.number] for source in changed})
    asked = [f"keys.{column}" for column in columns]
    arrays = _arrays(columns, _order(plan.key) if ordered else "")
    if locks:
        asked.append(_locks(plan, locks))
    else:
        # Those of the keys are all there are.
        lock = _lock_of_key(plan)
        listed = f"coalesce(array_agg({lock} ORDER BY {lock}), '{{}}') AS {_LOCKS}"
        arrays = f"{arrays},\n    {listed}"
        asked.append(f"keys.{_LOCKS}")
    keys = f"SELECT {arrays}\n{_affected(columns, rows)}"
    target = f"INTO {', '.join(into)}\n" if into else ""
    tables = ",\n".join([*ctes, affected])
    of_keys = f"FROM (\n{indented(keys)}\n) AS keys"
    return f"WITH {tables}\nSELECT {', '.join(asked)}\n{target}{of_keys}"


def spooled_keys(plan: Plan, variables: Sequence[str], values: Mapping[str, str | int]) -> str:
    """Return the statement that finds keys and locks of what waits, where no route looks rows up.

    It reads the spool once.

    Args:
        plan: the TView's plan.
        variables: that it puts an array for each key column into.
        values: of the placeholders that concern the TView.
    """
    columns = [identifier(column.name) for column in plan.key]
    found = {0: [requested_key(plan)]}
    images = []
    for source in plan.sources:
        if source.routed:
            rows = Images(source)
            images.append(rows.joined())
            found[source.number] = [
                _filtered(
                    rows.key(key, plan.key), [rows.expression(each) for each in route.filters]
                )
                for route in source.routes
                if isinstance(route, Route)
                for key in route.keys
            ]
    branches = [
        "SELECT "
        + ", ".join(
            "CASE spool.source "
            + " ".join(
                f"WHEN {number} THEN {keys[way][place]}"
                for number, keys in found.items()
                if way < len(keys)
            )
            + " END"
            for place in range(len(columns))
        )
        for way in range(max(map(len, found.values())))
    ]
    lock = _lock_of_key(plan)
    has_key = _known("affected", columns)
    return render(
        "drain_keys",
        arrays=",\n".join(
            f"array_agg(affected.{column}) FILTER (WHERE {has_key})" for column in columns
        ),
        locks=f"array_agg({lock} ORDER BY {lock}) FILTER (WHERE {has_key})",
        keys=", ".join(f"found.{column}" for column in columns),
        names=", ".join(columns),
        images="\n".join(images),
        branches="\nUNION ALL\n".join(branches),
        variables=", ".join(variables),
        **values,
    )


def _filtered(key: Sequence[str], filters: Sequence[str]) -> list[str]:
    if not filters:
        return [*key]
    return [f"CASE WHEN {' AND '.join(filters)} THEN {column} END" for column in key]


def _locks(plan: Plan, others: Sequence[str]) -> str:
    """Write an array of the locks of the keys and those that others give.

    So many keys that their locks would become one on the whole TView need not be hashed and sorted.
    """
    columns = [identifier(column.name) for column in plan.key]
    union = "\nUNION ALL\n".join([f"SELECT {_lock_of_key(plan)}\n{_affected(columns)}", *others])
    locks = (
        "SELECT coalesce(array_agg(DISTINCT wanted.lock ORDER BY wanted.lock), '{}')\n"
        f"FROM (\n{indented(union)}\n) AS wanted (lock)\nWHERE wanted.lock IS NOT NULL"
    )
    return (
        f"CASE WHEN cardinality(keys.{columns[0]}) > {LOCK_LIMIT} THEN '{{0}}'\n"
        f"ELSE (\n{indented(locks)}\n) END AS {_LOCKS}"
    )


def _arrays(columns: Iterable[str], order: str) -> str:
    return ", ".join(f"array_agg(affected.{column}{order}) AS {column}" for column in columns)


def _order(key: Sequence[KeyColumn]) -> str:
    """Order by the first columns of a key, as far as they cost little to compare.

    Each array is sorted by itself, and rows that are equal in these columns may come out in another
    order there. So they may differ in one more column at most: with two, values of different keys
    would meet.
    """
    cheap = list(takewhile(lambda column: is_ordered_by_looks(column.type), key))
    if not cheap or len(key) - len(cheap) > 1:
        return ""
    return f" ORDER BY {', '.join(f'affected.{identifier(column.name)}' for column in cheap)}"


def _affected(columns: Iterable[str], rows: str = "affected") -> str:
    return f"FROM {rows}\nWHERE {_known('affected', columns)}"


def _lock_of_key(plan: Plan) -> str:
    return lock_of_key(plan, [f"affected.{identifier(column.name)}" for column in plan.key])


def lock_of_key(plan: Plan, values: Sequence[str]) -> str:
    """Return SQL for the lock on a key, that on the whole TView if keys cannot be told apart."""
    return named_lock(plan, "exclusive", KEYS, values) if keys_are_told_apart(plan.key) else "0"


def _other_locks(plan: Plan, deltas: Mapping[SourcePlan, str]) -> list[str]:
    """Write queries for the locks on where routes of others may look for changed rows."""
    wanted = []
    for source, delta in deltas.items():
        for place in rows_looked_for(plan.sources, source):
            values = [f"changed.{identifier(column)}" for column in place.columns]
            where = f"\nWHERE {known(values)}" if values else ""
            lock = named_lock(plan, "shared", place.number, values)
            wanted.append(f"SELECT {lock}\nFROM {delta} AS changed{where}")
    return wanted


def _known(relation: str, columns: Iterable[str]) -> str:
    return known(f"{relation}.{column}" for column in columns)


def known(values: Iterable[str]) -> str:
    """Return a condition: none of some values is NULL."""
    return " AND ".join(f"{value} IS NOT NULL" for value in values)


def lock_if_known(plan: Plan, mode: str, place: int, values: Sequence[str]) -> str:
    """Return SQL for the lock on values at a place, NULL if one of them is."""
    lock = named_lock(plan, mode, place, values)
    return f"CASE WHEN {known(values)} THEN {lock} END" if values else lock


def named_lock(plan: Plan, mode: str, place: int, values: Sequence[str]) -> str:
    """Return SQL for the lock on values at a place; without values, for all there may be."""
    hashed = f"hash_record_extended(ROW({', '.join(values)}), 0)" if values else "0"
    return f"{identifier(plan.runtime_schema)}.django_tviews_{mode}({place}, {hashed})"


class _Branch:
    """What one route finds.

    Attributes:
        looks_further: it looks rows up by what it has found, not by the changed rows alone.
    """

    def __init__(
        self,
        plan: Plan,
        source: SourcePlan,
        route: Route,
        delta: str,
        states: Mapping[RelationFacts, str],
    ) -> None:
        self._plan = plan
        self._route = route
        self._joins = joins = Joins(route)
        self._start = f"FROM {_start(source, route, delta)} AS {joins.start}"
        self._steps = [*joins.lines(states)]
        self._filters = [joins.expression(each) for each in route.filters]
        first: list[Lookup] = []
        further: list[Lookup] = []
        for lookup in lookups(plan.sources, route):
            by_start = all(each.occurrence == route.occurrence.number for each in lookup.values)
            (first if by_start else further).append(lookup)
        self._first, self._further = first, further
        self.looks_further = bool(further)

    def keys(self, select: str, *, with_locks: bool) -> str:
        """Write a query for the keys.

        Args:
            select: its first words.
            with_locks: beside each key, the locks on where it was looked up further.
        """
        keys = [", ".join(self._joins.key(key, self._plan.key)) for key in self._route.keys]
        joined = [self._start, *self._steps]
        if len(keys) == 1:
            head = f"{select} {keys[0]}"
        else:
            # Rows on a nullable side may have been, or now be, replaced by NULLs: both ways.
            names = ", ".join(identifier(column.name) for column in self._plan.key)
            values = ", ".join(f"({key})" for key in keys)
            head = f"{select} matched_or_not.*"
            joined.append(f"CROSS JOIN LATERAL (VALUES {values}) AS matched_or_not ({names})")
        if with_locks:
            locks = ",\n    ".join(map(self._lock, self._further))
            head += f", ARRAY[\n    {locks}\n]::integer[]" if locks else ", NULL::integer[]"
        return self._query(head, joined)

    def locks(self) -> Iterator[str]:
        """Yield queries for the locks on where rows were looked up by the changed rows."""
        yield from (
            self._query(f"SELECT {self._lock(each)}", [self._start]) for each in self._first
        )

    def _lock(self, lookup: Lookup) -> str:
        values = [self._joins.column(value) for value in lookup.values]
        return lock_if_known(self._plan, "exclusive", lookup.place.number, values)

    def _query(self, head: str, joined: list[str]) -> str:
        filters = [f"WHERE {' AND '.join(self._filters)}"] if self._filters else []
        return "\n".join([head, *joined, *filters])


def _start(source: SourcePlan, route: Route, delta: str) -> str:
    """The changed rows that a route starts from; what it joins to equal ones, it joins once.

    An update changes most rows in columns that no route reads.
    """
    columns = route.starts_from
    if not route.steps or not all(source.relation.by_name[name].one_look for name in columns):
        return delta
    if not columns:
        return f"(SELECT FROM {delta} LIMIT 1)"
    return f"(SELECT DISTINCT {', '.join(map(identifier, columns))} FROM {delta})"


def describe(route: Route | NoRoute) -> str:
    """Return the route in words, for people: ``review → product``."""
    if isinstance(route, NoRoute):
        return f"every key, because {route.reason}"
    way: list[Occurrence] = [route.occurrence, *(step.occurrence for step in route.steps)]
    return " → ".join([*(each.alias for each in way), "key"])
