"""A statement that updates one row: its transition tables hold one row each.

Most statements update one row. Its two images are compared as they are; those of many rows have to
be joined by a key, which costs more than all the rest of finding out what they affect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_tviews.plan.patches import Patch

from .quoting import identifier
from .templates import render
from .transitions import REMOVED, both_images, images_differ, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_tviews.plan.plan import SourcePlan

# True after `compare_images` if the statement has updated one row.
ONE_ROW = "pairs = 1"
# Then these tell whether what the query reads of the row has changed, and whether what decides has.
DIFFER = "differ"
DECIDED = "decided"


def declarations(source: SourcePlan) -> list[str]:
    """Return the declarations of the variables that `compare_images` sets.

    Args:
        source: of the row.
    """
    decided = [f"{DECIDED} boolean;"] if _deciding(source) else []
    return ["pairs bigint;", f"{DIFFER} boolean;", *decided]


def compare_images(source: SourcePlan) -> str:
    """Return the statement that compares the images of a row.

    Args:
        source: of the row.
    """
    found = {
        "pairs": "count(*)",
        DIFFER: f"bool_or({images_differ(name for name, _ in source.columns)})",
    }
    if deciding := _deciding(source):
        found[DECIDED] = f"bool_or({images_differ(deciding)})"
    return render(
        "compare_images",
        old_rows=shown(source, "old_rows"),
        new_rows=shown(source, "new_rows"),
        found=",\n".join(found.values()),
        variables=", ".join(found),
    )


def _deciding(source: SourcePlan) -> Sequence[str]:
    match source.shortcut_of("UPDATE"):
        case Patch(deciding=deciding):
            return deciding
        case _:
            return ()


def of_one_or_many(one: str, many: str) -> str:
    """Return a condition that is another one if the statement has updated one row.

    In parentheses, as PL/pgSQL takes the first THEN after IF for its own.

    Args:
        one: the condition in that case.
        many: in all others.
    """
    return f"(CASE WHEN {ONE_ROW} THEN {one} ELSE {many} END)"


def row_delta(source: SourcePlan) -> str:
    """Return a query for both images of a row.

    Args:
        source: of the row.
    """
    columns = [name for name, _ in source.columns]
    old, new = both_images(columns)
    names = ", ".join([REMOVED, *map(identifier, columns)])
    return (
        "SELECT image.*\n"
        f"FROM {shown(source, 'old_rows')} AS o, {shown(source, 'new_rows')} AS n,\n"
        f"LATERAL (VALUES (true, {old}), (false, {new})) AS image ({names})"
    )
