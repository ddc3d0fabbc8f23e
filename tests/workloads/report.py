"""The page ``docs/reference/workloads.md``, from the workloads themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from . import nexmark, pg_ivm, tpch
from .workload import Upkeep, View

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "workloads.md"

_HEAD = """\
<!-- Written by `python -m tests.workloads`; the tests compare it. -->

# Workloads

Queries that others have published, and how each is kept. They are tests: the TViews are installed
over the workload's tables, the tables are written to, and after each statement every TView is
compared with its query. All that are kept have been equal every time.

* *By affected keys*: a write recomputes the rows whose keys it may affect, at a cost bounded by the
  input rows of those keys.
* *Its one row as a whole*: the key is a constant, so a write recomputes the row, from all of its
  input.
* *Only with `allow_rebuild`*: a write compares the whole TView with its query.
* *Refused*: when the migration is made or applied, by [name](queries.md#refused).
"""

_TPCH = """\
The 22 queries of TPC-H over its eight tables, with the refresh functions RF1 (new orders) and RF2
(old orders go), and updates of every table. The queries are in `tests/workloads/tpch.py`, with the
few changes that a key makes necessary. `python -m tests.workloads.tpch --scale 10` runs more of it.
"""

_NEXMARK = """\
The queries 0 to 8 of Nexmark as views over its three tables: people, auctions and bids. They are in
`tests/workloads/nexmark.py`; windows of time are computed from the times of the rows.
"""

_PG_IVM = """\
What the README and the release notes of pg_ivm (up to 1.15), an extension written in C that maintains views within the
writer's statement, lists as unsupported in a view. Each form has an example in
`tests/workloads/pg_ivm.py`.
"""


def page() -> str:
    """Return the text of the page."""
    return "\n".join(
        [
            _HEAD,
            *_section("TPC-H", _TPCH, tpch.VIEWS),
            *_section("Nexmark", _NEXMARK, nexmark.VIEWS),
            *_section("What pg_ivm does not take", _PG_IVM, pg_ivm.VIEWS),
        ]
    )


def _section(title: str, text: str, views: Iterable[View]) -> Iterator[str]:
    views = [*views]
    yield f"## {title}\n"
    yield text
    counts = (
        f"{sum(view.upkeep is upkeep for view in views)} {_lowered(upkeep)}"
        for upkeep in Upkeep
        if any(view.upkeep is upkeep for view in views)
    )
    yield f"Of {len(views)} TViews: {', '.join(counts)}.\n"
    yield "| query | kept | remark |"
    yield "|---|---|---|"
    for view in views:
        yield f"| {view.name} | {view.upkeep} | {_remark(view)} |"
    yield ""


def _lowered(upkeep: Upkeep) -> str:
    return "with its one row as a whole" if upkeep is Upkeep.ONE_ROW else upkeep.value


def _remark(view: View) -> str:
    if view.construct:
        name = f"[`{view.construct}`](queries.md#{view.construct})"
        return f"{name} {view.remark}".strip()
    return view.remark
