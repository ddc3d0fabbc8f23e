"""Patches as SQL: the columns that can have changed, and whether others can, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_tviews.text import indented

from .comparison import would_change
from .joins import Joins
from .quoting import identifier, kept_apart, literal, qualified, subquery
from .transitions import REMOVED, images_differ, pairing, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from django_tviews.plan.patches import Given, Patch, PatchedColumn
    from django_tviews.plan.plan import Plan, SourcePlan
    from django_tviews.relational.parts import Member


def patch_values(plan: Plan, patch: Patch) -> dict[str, str]:
    """Return the values of the placeholders of ``patch.sql`` that concern the patch.

    Args:
        plan: of the TView.
        patch: of a source.
    """
    patched = [each.column for each in patch.columns]
    outputs = [(each.name, each.output) for each in plan.key]
    outputs += [(each.name, each.output) for each in patched]
    return {
        "patched": ",\n".join(
            f"{identifier(each.column.name)} = {_new_value(each)}" for each in patch.columns
        ),
        "patch_outputs": ", ".join(
            f"query.{identifier(output)} AS {identifier(name)}" for name, output in outputs
        ),
        "patch_query": subquery(patch.query) if patch.query else qualified(plan.schema, plan.view),
        "different": _different(patch.columns),
    }


def _new_value(patched: PatchedColumn) -> str:
    name = identifier(patched.column.name)
    if not patched.members:
        return f"fresh.{name}"
    return _merged(f"tview.{name}", f"fresh.{name}", patched.members)


def _merged(stored: str, fresh: str, members: Sequence[Member]) -> str:
    """Return an object with some members as another one, which has no more than these, has them."""
    if not any(member.members for member in members):
        return f"{stored} || {fresh}"
    values = []
    for member in members:
        key = literal(member.key)
        value = f"{fresh} -> {key}"
        if member.members:
            value = _merged(f"({stored} -> {key})", f"({value})", member.members)
        values += [key, value]
    return f"{stored} || jsonb_build_object({', '.join(values)})"


def _different(columns: Sequence[PatchedColumn]) -> str:
    conditions = []
    if whole := [each.column for each in columns if not each.members]:
        conditions.append(would_change(whole, "fresh"))
    for each in columns:
        if ways := list(_ways(each.members)):
            stored, fresh = (
                ", ".join(f"{relation}.{identifier(each.column.name)}{way}" for way in ways)
                for relation in ("tview", "fresh")
            )
            conditions.append(f"record_image_ne(ROW({stored}), ROW({fresh}))")
    return f"({' OR '.join(conditions)})" if len(conditions) > 1 else conditions[0]


def _ways(members: Iterable[Member]) -> Iterator[str]:
    """Write the ways from a document to the values of its members: ``-> 'author' -> 'name'``."""
    for member in members:
        way = f" -> {literal(member.key)}"
        yield from (f"{way}{rest}" for rest in _ways(member.members))
        if not member.members:
            yield way


def rows_that_give(source: SourcePlan, given: Given) -> str:
    """Return a query for the changed rows that give values.

    Args:
        source: of which rows have changed; those of them that are no step away from the TView need
            not be told from those that look as before, nor their statement's ``delta`` be computed.
        given: what changed rows give.
    """
    if given.by_changed_row:
        return f"SELECT * FROM {shown(source, 'new_rows')} AS updated"
    return f"SELECT * FROM delta WHERE NOT {REMOVED}"


def given_rows(plan: Plan, given: Given, changed: str) -> str:
    """Return a query for the keys that changed rows lead to, with what these give.

    Args:
        plan: of the TView.
        given: what changed rows give.
        changed: a query for these.
    """
    joins = Joins(given.route)
    (key,) = given.route.keys
    outputs = [
        f"{value} AS {identifier(column.name)}"
        for value, column in zip(joins.key(key, plan.key), plan.key, strict=True)
    ]
    values: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for part in given.parts:
        value = part.value.render(lambda column: f"{joins.start}.{identifier(column.name)}")
        values.setdefault(part.output, []).append((part.path, kept_apart(value)))
    outputs += [
        f"{_document(values[column.output])} AS {identifier(column.name)}"
        for column in plan.columns
        if column.output in values
    ]
    lines = [
        f"SELECT {', '.join(outputs)}",
        f"FROM (\n{indented(changed)}\n) AS {joins.start}",
        *joins.lines({}),
    ]
    if given.route.filters:
        lines.append("WHERE " + " AND ".join(map(joins.expression, given.route.filters)))
    return "\n".join(lines)


def _document(values: Sequence[tuple[tuple[str, ...], str]]) -> str:
    """Build a document that has values at their paths; the value itself, if it has no path."""
    by_key: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for path, value in values:
        if not path:
            return value
        by_key.setdefault(path[0], []).append((path[1:], value))
    members = (f"{literal(key)}, {_document(rest)}" for key, rest in by_key.items())
    return f"jsonb_build_object({', '.join(members)})"


def decided_otherwise(source: SourcePlan, patch: Patch) -> str:
    """Return a query that tells whether updated rows may decide otherwise about rows of the TView.

    Args:
        source: the source.
        patch: its patch, with columns that decide.
    """
    # More pairs than rows: some row has lost its key, or stands there twice.
    return (
        "SELECT count(*) > (SELECT count(*) FROM new_rows)\n"
        f"    OR bool_or({images_differ(patch.deciding)})\n"
        f"FROM {shown(source, 'old_rows')} AS o\n"
        f"FULL JOIN {shown(source, 'new_rows')} AS n ON {pairing(source)}"
    )
