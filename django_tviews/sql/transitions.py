"""The rows that a statement has changed, as its transition tables show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_tviews.text import indented

from .quoting import equals, identifier, kept_apart, relation_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_tviews.plan.plan import SourcePlan

# No column of a source can be expected to have this name.
REMOVED = identifier("removed?")


def transition_delta(source: SourcePlan, event: str) -> str:
    """Return a query for the rows that a statement changed, from its transition tables.

    Rows whose image is the same before and after are left out, if the source has a key to pair
    them by and the statement changed none of them twice. A cascade within the table does: while
    ``SET id = id + 10`` moves row 8 to 18, the rows that refer to it are updated, and both
    updates stand in the same transition tables. Then 18 is old and new, and not the same; nothing
    is paired, and each row is there as often as it was changed.

    Args:
        source: the source.
        event: ``INSERT``, ``UPDATE`` or ``DELETE``.
    """
    if event != "UPDATE" or not source.identity:
        return transition_rows(source, event)
    columns = [name for name, _ in source.columns]
    old_rows, new_rows = shown(source, "old_rows"), shown(source, "new_rows")
    old_image, new_image = both_images(columns)
    names = ", ".join([REMOVED, *map(identifier, columns)])
    paired = pairing(source, unless=changed_twice(source, event))
    # IS NOT NULL asks a composite key about all of its fields.
    return (
        "SELECT image.*\n"
        f"FROM {old_rows} AS o FULL JOIN {new_rows} AS n\n"
        "-- The images of a row belong together; none do if a cascade has changed some row twice.\n"
        f"ON {paired}\n"
        "CROSS JOIN LATERAL (VALUES\n"
        f"    (true, {old_image}),\n"
        f"    (false, {new_image})\n"
        f") AS image ({names})\n"
        f"WHERE {images_differ(columns)}\n"
        f"  AND image.{identifier(source.identity[0][0])} IS DISTINCT FROM NULL"
    )


def images_differ(columns: Iterable[str]) -> str:
    """Return a condition: some columns of the old row ``o`` are not as in the new one ``n``.

    Args:
        columns: their names.
    """
    old, new = both_images(columns)
    return f"record_image_ne(ROW({old}), ROW({new}))"


def both_images(columns: Iterable[str]) -> tuple[str, str]:
    """Return the lists of some columns, in the old row ``o`` and in the new one ``n``.

    Args:
        columns: their names.
    """
    names = [identifier(name) for name in columns]
    old, new = (", ".join(f"{row}.{name}" for name in names) for row in ("o", "n"))
    return old, new


def pairing(source: SourcePlan, unless: str = "") -> str:
    """Return the condition that pairs the old rows ``o`` with the new ones ``n`` by a key.

    Args:
        source: the source, with a key.
        unless: a condition on which none are paired.
    """
    equations: list[str] = []
    for name, schema in source.identity:
        old = f"o.{identifier(name)}"
        if unless and not equations:
            # NULL equals nothing.
            old = f"CASE WHEN NOT ({unless}) THEN {old} END"
        equations.append(f"{old} {equals(schema)} n.{identifier(name)}")
    return " AND ".join(equations)


def changed_twice(source: SourcePlan, event: str) -> str:
    """Return a condition that holds if a statement changed a row twice.

    Args:
        source: the source.
        event: ``INSERT``, ``UPDATE`` or ``DELETE``.
    """
    if event != "UPDATE":
        return "false"
    if not source.identity:
        # A cascade within the table may have, along a key that may be NULL.
        return "true"
    key = ", ".join(identifier(name) for name, _ in source.identity)
    return " OR ".join(
        f"(SELECT count(*) > count(DISTINCT ({key})) FROM {table})"
        for table in ("old_rows", "new_rows")
    )


def transition_rows(source: SourcePlan, event: str) -> str:
    """Return a query for the rows of a statement's transition tables, each as often as it is there.

    Args:
        source: the source.
        event: ``INSERT``, ``UPDATE`` or ``DELETE``.
    """
    columns = [identifier(name) for name, _ in source.columns]
    rows = []
    if event != "INSERT":
        rows.append(_one_sided(shown(source, "old_rows"), "true", columns))
    if event != "DELETE":
        rows.append(_one_sided(shown(source, "new_rows"), "false", columns))
    return "\nUNION ALL ".join(rows)


def expected_few(source: SourcePlan, rows: str) -> str:
    """Return a query for the same rows of a source, of which the planner expects few.

    A plan that stays is made for as many rows as the first statement of a session has changed.
    One that is right for a thousand may read whole tables, and would do so for each single row
    after it; one for few rows looks each of them up, which suits a thousand as well. That a value
    is either NULL or not, the planner does not know: to it that is one row in 200.

    Args:
        source: the source.
        rows: a query that shows its columns.
    """
    if not source.columns:
        return rows
    value = f"expected.{identifier(source.columns[0][0])}"
    return (
        f"SELECT *\nFROM (\n{indented(rows)}\n) AS expected\n"
        f"-- Always: planned for few rows, whatever the first statement has changed.\n"
        f"WHERE num_nulls({value}) + num_nonnulls({value}) = 1"
    )


def shown(source: SourcePlan, rows: str) -> str:
    """Return what a trigger is shown of rows of a source, its virtual columns computed.

    Triggers see NULL in their place.

    Args:
        source: the source.
        rows: the relation of all their columns, such as a transition table.
    """
    computed = {name: source.relation.by_name[name].generation for name, _ in source.columns}
    if not any(computed.values()):
        return rows
    outputs = ", ".join(
        f"{kept_apart(generation)} AS {identifier(name)}" if generation else identifier(name)
        for name, generation in computed.items()
    )
    return f"(SELECT {outputs} FROM {rows} AS stored)"


def _one_sided(rows: str, removed: str, columns: list[str]) -> str:
    outputs = ", ".join([f"{removed} AS {REMOVED}", *columns])
    return f"SELECT {outputs} FROM {rows}"


def current_and_removed(source: SourcePlan, delta: str) -> str:
    """Return a query for all rows the source has or had since the statement began."""
    columns = ", ".join(identifier(name) for name, _ in source.columns) or "1"
    return (
        f"SELECT {columns} FROM {relation_name(source.relation)}\n"
        f"UNION ALL SELECT {columns} FROM {delta} WHERE {REMOVED}"
    )
