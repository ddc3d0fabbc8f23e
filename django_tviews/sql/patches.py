"""Patches as SQL: the columns that can have changed, and whether others can, too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .comparison import unbounded
from .quoting import equals, identifier
from .routes import changed_twice, shown

if TYPE_CHECKING:
    from django_tviews.plan.plan import Plan, PlanColumn, SourcePlan

# A cast to these, or to a domain over one of them, cuts off what an assignment would refuse.
_CUT_OFF: Final = re.compile(r"bit|varbit|char(?!acter varying)|.*\.")


def patch_values(plan: Plan, source: SourcePlan) -> dict[str, str]:
    """Return the values of the placeholders of ``patch.sql`` that concern the patch.

    Args:
        plan: of the TView.
        source: the source, with its patch.

    Raises:
        ValueError: the source cannot be patched.
    """
    if source.patch is None:
        raise ValueError(f"{source.relation.full_name} cannot be patched")
    patched = source.patch.columns
    outputs = [(each.name, each.output) for each in plan.key]
    outputs += [(each.name, each.output) for each in patched]
    return {
        "patched": ", ".join(
            f"{identifier(column.name)} = fresh.{identifier(column.name)}" for column in patched
        ),
        "patch_outputs": ", ".join(
            f"query.{identifier(output)} AS {identifier(name)}" for name, output in outputs
        ),
        "different": _different(patched),
    }


def _different(columns: tuple[PlanColumn, ...]) -> str:
    if any(_CUT_OFF.match(column.type) for column in columns):
        return ""
    stored = ", ".join(f"tview.{identifier(column.name)}" for column in columns)
    fresh = ", ".join(
        f"CAST(fresh.{identifier(column.name)} AS {unbounded(column.type)})" for column in columns
    )
    return f"\n  AND record_image_ne(ROW({stored}), ROW({fresh}))"


def decided_otherwise(source: SourcePlan) -> str:
    """Return a query for the updated rows that may decide otherwise about rows of the TView.

    Args:
        source: the source, with its patch.
    """
    deciding = source.patch.deciding if source.patch is not None else ()
    pairing = " AND ".join(
        f"o.{identifier(name)} {equals(schema)} n.{identifier(name)}"
        for name, schema in source.identity
    )
    # A row without another one to pair it with has no key, either.
    names = dict.fromkeys((*(name for name, _ in source.identity), *deciding))
    old_image, new_image = (
        ", ".join(f"{row}.{identifier(name)}" for name in names) for row in ("o", "n")
    )
    return (
        f"SELECT FROM {shown(source, 'old_rows')} AS o\n"
        f"FULL JOIN {shown(source, 'new_rows')} AS n ON {pairing}\n"
        f"WHERE record_image_ne(ROW({old_image}), ROW({new_image}))\n"
        f"    OR {changed_twice(source, 'UPDATE')}"
    )
