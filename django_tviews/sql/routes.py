"""Routes as SQL: from changed rows to affected keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django_tviews.plan.locks import KEYS, keys_are_told_apart, lookups, rows_looked_for
from django_tviews.plan.routes import NoRoute, Route
from django_tviews.text import indented

from .joins import Joins
from .quoting import identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from django_tviews.facts import RelationFacts
    from django_tviews.plan.locks import Lookup
    from django_tviews.plan.plan import Plan, SourcePlan
    from django_tviews.relational.tree import Occurrence

_LOCKS = identifier("locks?")


@dataclass(frozen=True)
class Further:
    """What is asked beside keys and locks.

    Attributes:
        query: for one row.
        variables: that static SQL puts its columns into.
    """

    query: str
    variables: tuple[str, ...]


def affected_keys(
    plan: Plan,
    ctes: Sequence[str],
    deltas: Mapping[int, str],
    states: Mapping[RelationFacts, str],
    extra: tuple[str, ...] = (),
    further: Further | None = None,
    into: Sequence[str] = (),
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
        further: what to ask beside.
        into: the variables that static SQL puts the arrays into.
    """
    changed = [source for source in plan.sources if source.number in deltas]
    routes = [
        (source, route) for source in changed for route in source.routes if isinstance(route, Route)
    ]
    looks_rows_up = any(source.looks_rows_up for source in changed)
    union, select = "UNION ALL", "SELECT"
    # Where rows were looked up, keys and locks are made distinct each by themselves.
    if not looks_rows_up:
        union = "UNION"
        select = "SELECT DISTINCT" if len(routes) + len(extra) == 1 else "SELECT"
    branches = [
        _branch(
            plan,
            source,
            route,
            deltas[source.number],
            states,
            select=select,
            looks_rows_up=looks_rows_up,
        )
        for source, route in routes
    ]
    columns = [identifier(column.name) for column in plan.key]
    none = ", NULL::integer[]" if looks_rows_up else ""
    branches += [
        f"{select} requests.*{none}\nFROM (\n{indented(each)}\n) AS requests" for each in extra
    ]
    names = ", ".join([*columns, _LOCKS] if looks_rows_up else columns)
    found = indented(f"\n{union}\n".join(branches))
    affected = f"affected ({names}) AS MATERIALIZED (\n{found}\n)"
    locks = _other_locks(plan, {source: deltas[source.number] for source in changed})
    if looks_rows_up:
        locks = [f"SELECT unnest(affected.{_LOCKS})\nFROM affected", *locks]
    rows = "affected"
    if looks_rows_up:
        # The same key may have been found at several places.
        rows = f"(SELECT DISTINCT {', '.join(columns)} FROM affected) AS affected"
    answers = _keys_and_locks(plan, rows, locks) if locks else [_keys_and_their_locks(plan)]
    asked = [f"keys.{column}" for column in columns]
    asked.append(f"{'locks' if locks else 'keys'}.{_LOCKS}")
    if further is not None:
        asked.append("further.*")
        answers.append(f"(\n{indented(further.query)}\n) AS further")
        into = (*into, *further.variables) if into else into
    target = f"INTO {', '.join(into)}\n" if into else ""
    tables = ",\n".join([*ctes, affected])
    return f"WITH {tables}\nSELECT {', '.join(asked)}\n{target}FROM " + ",\n".join(answers)


def _keys_and_their_locks(plan: Plan) -> str:
    """Write a query for keys, and for their locks, which are all there are."""
    columns = [identifier(column.name) for column in plan.key]
    lock = _lock_of_key(plan)
    locks = f"coalesce(array_agg({lock} ORDER BY {lock}), '{{}}') AS {_LOCKS}"
    query = f"SELECT {_arrays(columns)},\n    {locks}\n{_affected(columns)}"
    return f"(\n{indented(query)}\n) AS keys"


def _keys_and_locks(plan: Plan, rows: str, others: Sequence[str]) -> list[str]:
    """Write a query for keys, and one for their locks and those that others give."""
    columns = [identifier(column.name) for column in plan.key]
    keys = f"SELECT {_arrays(columns)}\n{_affected(columns, rows)}"
    union = "\nUNION ALL\n".join([f"SELECT {_lock_of_key(plan)}\n{_affected(columns)}", *others])
    locks = (
        "SELECT coalesce(array_agg(DISTINCT wanted.lock ORDER BY wanted.lock), '{}')\n"
        f"FROM (\n{indented(union)}\n) AS wanted (lock)\nWHERE wanted.lock IS NOT NULL"
    )
    return [f"(\n{indented(keys)}\n) AS keys", f"(\n{indented(locks)}\n) AS locks ({_LOCKS})"]


def _arrays(columns: Iterable[str]) -> str:
    return ", ".join(f"array_agg(affected.{column}) AS {column}" for column in columns)


def _affected(columns: Iterable[str], rows: str = "affected") -> str:
    return f"FROM {rows}\nWHERE {_known('affected', columns)}"


def _lock_of_key(plan: Plan) -> str:
    if not keys_are_told_apart(plan.key):
        return "0"
    columns = [f"affected.{identifier(column.name)}" for column in plan.key]
    return named_lock(plan, "exclusive", KEYS, columns)


def _other_locks(plan: Plan, deltas: Mapping[SourcePlan, str]) -> list[str]:
    """Write queries for the locks on where routes of others may look for changed rows."""
    wanted = []
    for source, delta in deltas.items():
        for place in rows_looked_for(plan.sources, source):
            values = [f"changed.{identifier(column)}" for column in place.columns]
            known = f"\nWHERE {_known('changed', map(identifier, place.columns))}" if values else ""
            lock = named_lock(plan, "shared", place.number, values)
            wanted.append(f"SELECT {lock}\nFROM {delta} AS changed{known}")
    return wanted


def _known(relation: str, columns: Iterable[str]) -> str:
    return " AND ".join(f"{relation}.{column} IS NOT NULL" for column in columns)


def named_lock(plan: Plan, mode: str, place: int, values: Sequence[str]) -> str:
    """Return SQL for the lock on values at a place; without values, for all there may be."""
    hashed = f"hash_record_extended(ROW({', '.join(values)}), 0)" if values else "0"
    return f"{identifier(plan.runtime_schema)}.django_tviews_{mode}({place}, {hashed})"


def _branch(
    plan: Plan,
    source: SourcePlan,
    route: Route,
    delta: str,
    states: Mapping[RelationFacts, str],
    *,
    select: str,
    looks_rows_up: bool,
) -> str:
    joins = Joins(route)

    def looked_up(lookup: Lookup) -> str:
        values = [joins.column(value) for value in lookup.values]
        lock = named_lock(plan, "exclusive", lookup.place.number, values)
        known = " AND ".join(f"{value} IS NOT NULL" for value in values)
        return f"CASE WHEN {known} THEN {lock} END" if values else lock

    lines = [f"FROM {_start(source, route, delta)} AS {joins.start}", *joins.lines(states)]
    keys = [
        ", ".join(
            f"CAST({joins.expression(expression)} AS {column.type})"
            for expression, column in zip(key, plan.key, strict=True)
        )
        for key in route.keys
    ]
    if len(keys) == 1:
        head = f"{select} {keys[0]}"
    else:
        # Rows on a nullable side may have been, or now be, replaced by NULLs: both ways.
        names = ", ".join(identifier(column.name) for column in plan.key)
        values = ", ".join(f"({key})" for key in keys)
        head = f"{select} matched_or_not.*"
        lines.append(f"CROSS JOIN LATERAL (VALUES {values}) AS matched_or_not ({names})")
    if looks_rows_up:
        locks = ",\n    ".join(looked_up(lookup) for lookup in lookups(plan.sources, route))
        head += f", ARRAY[\n    {locks}\n]::integer[]" if locks else ", NULL::integer[]"
    if route.filters:
        lines.append("WHERE " + " AND ".join(map(joins.expression, route.filters)))
    return "\n".join([head, *lines])


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
