"""A statement that changes one row: its transition tables hold no other.

Most statements do. Such a row is read once, into a variable; then its images are compared as they
are, and what it affects is found without asking the tables for it again. Images of many rows have
to be joined by a key, which costs more than all the rest of finding out what they affect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_tviews.plan.locks import KEYS, rows_looked_for
from django_tviews.plan.patches import Patch
from django_tviews.plan.routes import Route

from .joins import Row
from .quoting import equals, identifier, typed
from .routes import known, lock_if_known, lock_of_key
from .templates import render
from .transitions import REMOVED, images_differ, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django_tviews.plan.locks import Place
    from django_tviews.plan.plan import Plan, SourcePlan

_ROW = identifier("row?")
# True after `read_row` if the statement has changed one row.
ONE_ROW = f"{_ROW}.{identifier('alone?')}"
# Then these tell whether what the query reads of the row has changed, and whether what decides has.
DIFFER = f"{_ROW}.{identifier('differ?')}"
DECIDED = f"{_ROW}.{identifier('decided?')}"

DECLARATION = f"{_ROW} record;"
"""The declaration of the variable that `read_row` sets."""

_TABLES = {"old": "old_rows", "new": "new_rows"}


def _images(event: str) -> Sequence[str]:
    """Return which images a statement shows of its rows."""
    return {"INSERT": ("new",), "DELETE": ("old",)}.get(event, ("old", "new"))


def _field(image: str, place: int) -> str:
    return identifier(f"{image}_{place}?")


def read_row(plan: Plan, source: SourcePlan, event: str) -> str:
    """Return the statement that reads a row of which there may be one only.

    Args:
        plan: of the TView.
        source: of the row.
        event: ``INSERT``, ``UPDATE`` or ``DELETE``.
    """
    found = [
        f"{image[0]}.{identifier(name)} AS {_field(image, place)}"
        for image in _images(event)
        for place, (name, _) in enumerate(source.columns, start=1)
    ]
    if (route := only_route(plan, source)) is not None:
        for image in _images(event):
            key = _Key(plan, route, image[0])
            found += [
                f"{array} AS {_field(f'{image}_key', place)}"
                for place, array in enumerate(key.arrays(), start=1)
            ]
            found.append(f"{key.lock()} AS {_field(f'{image}_lock', KEYS)}")
            found += [
                f"{_shared(plan, place, image[0])} AS {_field(f'{image}_lock', place.number)}"
                for place in rows_looked_for(plan.sources, source)
            ]
    tables = [_TABLES[image] for image in _images(event)]
    alone = " AND ".join(f"NOT EXISTS (SELECT FROM {table} OFFSET 1)" for table in tables)
    found.append(f"{alone} AS {identifier('alone?')}")
    if event == "UPDATE":
        columns = [name for name, _ in source.columns]
        found.append(f"{images_differ(columns)} AS {identifier('differ?')}")
        if deciding := _deciding(source):
            found.append(f"{images_differ(deciding)} AS {identifier('decided?')}")
    return render(
        "read_row",
        found=",\n".join(found),
        row=_ROW,
        rows=", ".join(f"{shown(source, table)} AS {table[0]}" for table in tables),
        types=typed(source.columns),
    )


def _deciding(source: SourcePlan) -> Sequence[str]:
    match source.shortcut_of("UPDATE"):
        case Patch(deciding=deciding):
            return deciding
        case _:
            return ()


def row_delta(source: SourcePlan, event: str) -> str:
    """Return a query for the images of a row that has been read.

    Args:
        source: of the row.
        event: ``INSERT``, ``UPDATE`` or ``DELETE``.
    """
    return "\nUNION ALL ".join(
        f"SELECT {', '.join([f'{removed} AS {REMOVED}', *_named(source, values)])}"
        for removed, values in images_of_row(source, event)
    )


def images_of_row(source: SourcePlan, event: str) -> Iterator[tuple[str, list[str]]]:
    """Yield whether an image of a row that has been read is gone, and its values.

    Args:
        source: of the row.
        event: ``INSERT``, ``UPDATE`` or ``DELETE``.
    """
    for image, removed in (("old", "true"), ("new", "false")):
        if image in _images(event):
            yield removed, _values(source, image)


def new_row(source: SourcePlan) -> str:
    """Return a query for a row that has been read, as it is now.

    Args:
        source: of the row.
    """
    return f"SELECT {', '.join(_named(source, _values(source, 'new')))}"


def _values(source: SourcePlan, image: str) -> list[str]:
    return [f"{_ROW}.{_field(image, place)}" for place in range(1, len(source.columns) + 1)]


def _named(source: SourcePlan, values: Sequence[str]) -> list[str]:
    return [
        f"{value} AS {identifier(name)}"
        for value, (name, _) in zip(values, source.columns, strict=True)
    ]


def only_route(plan: Plan, source: SourcePlan) -> Route | None:
    """Return the route of a source by which an image of a row has one key, which stands in it.

    Args:
        plan: of the TView.
        source: of the row.
    """
    if plan.deferred or source.looks_rows_up or len(source.routes) != 1:
        return None
    (route,) = source.routes
    return route if isinstance(route, Route) and len(route.keys) == 1 else None


def keys_of_row(plan: Plan, source: SourcePlan, event: str, variables: Sequence[str]) -> str:
    """Return assignments of the keys that stand in a row that has been read, and of their locks.

    Args:
        plan: of the TView.
        source: of the row, with only one route.
        event: ``INSERT``, ``UPDATE`` or ``DELETE``.
        variables: the arrays of the key's columns.
    """
    images = _images(event)
    keys = [
        [f"{_ROW}.{_field(f'{image}_key', place)}" for image in images]
        for place in range(1, len(plan.key) + 1)
    ]
    same = " AND ".join(
        f" {equals(column.equality)} ".join(f"{value}[1]" for value in values)
        for column, values in zip(plan.key, keys, strict=True)
    )
    assignments = []
    for variable, values in zip(variables, keys, strict=True):
        array = values[0]
        if len(values) > 1:
            array = f"CASE WHEN {same} THEN {values[0]} ELSE {' || '.join(values)} END"
        assignments.append(f"{variable} := {array}")
    # The locks of a place come before those of the next one.
    places = [KEYS, *(place.number for place in rows_looked_for(plan.sources, source))]
    locks = ",\n    ".join(
        lock
        for place in places
        for lock in _ordered([f"{_ROW}.{_field(f'{image}_lock', place)}" for image in images])
    )
    assignments.append(f"wanted := array_remove(ARRAY[\n    {locks}\n], NULL)")
    return ";\n".join(assignments)


class _Key:
    """The key that stands in a row.

    Args:
        plan: of the TView.
        route: to its key.
        row: the alias of the row.
    """

    def __init__(self, plan: Plan, route: Route, row: str) -> None:
        rows = Row(row)
        (key,) = route.keys
        self._plan = plan
        self._values = rows.key(key, plan.key)
        # Filters first: what they leave out may be what the others fail for.
        conditions = [rows.expression(each) for each in route.filters]
        conditions.append(known(self._values))
        self._cases = " ".join(f"CASE WHEN {each} THEN" for each in conditions)
        self._ends = " END" * len(conditions)

    def arrays(self) -> list[str]:
        """Write an array for each of its columns, which a domain cannot refuse to be NULL."""
        return [f"{self._cases} ARRAY[{value}]{self._ends}" for value in self._values]

    def lock(self) -> str:
        """Write the lock on it, NULL if there is none."""
        return f"{self._cases} {lock_of_key(self._plan, self._values)}{self._ends}"


def _shared(plan: Plan, place: Place, row: str) -> str:
    """Write the lock on a place at which a row may be looked for, NULL if it cannot be."""
    values = [f"{row}.{identifier(name)}" for name in place.columns]
    return lock_if_known(plan, "shared", place.number, values)


def _ordered(locks: Sequence[str]) -> list[str]:
    """Write the locks of the images of a row on a place in ascending order, each once."""
    if len(locks) == 1:
        return [*locks]
    lower, upper = f"least({', '.join(locks)})", f"greatest({', '.join(locks)})"
    return [lower, f"nullif({upper}, {lower})"]
