"""The figures on a page of the documentation, between two marks."""

from __future__ import annotations

import re
import statistics
from typing import TYPE_CHECKING, Any, Final

from .report import BARE, HAND, TVIEWS, grouped, shares
from .workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from .measure import Measurement
    from .report import Statistic
    from .throughput import Throughput

MARKS: Final = ("<!-- Figures: written by `python -m benchmarks --page`. -->", "<!-- End. -->")

_SHOWN: Final = 1_000
"""The larger one of the two numbers of rows that the table shows."""


def write(
    path: Path,
    measurements: Sequence[Measurement],
    done: Sequence[Throughput],
    about: Mapping[str, Any],
    by: Statistic,
) -> None:
    """Replace what stands between the marks of a page.

    Args:
        path: of the page.
        measurements: what was measured.
        done: what many connections got done.
        about: the server, the machine, and the notes.
        by: what stands for the runs of an operation.

    Raises:
        ValueError: the page has no marks.
    """
    text = path.read_text(encoding="utf-8")
    begin, end = MARKS
    figures = "\n".join([begin, "", *_figures(measurements, done, about, by), end])
    marked = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    written, times = marked.subn(lambda _: figures, text)
    if times != 1:
        raise ValueError(f"{path} has not got the marks {begin} and {end} once")
    path.write_text(written, encoding="utf-8")


def _figures(
    measurements: Iterable[Measurement],
    done: Sequence[Throughput],
    about: Mapping[str, Any],
    by: Statistic,
) -> Iterator[str]:
    server = about["server"]
    waits = "waits" if server["fsync"] == "on" else "does not wait"
    yield (
        f"Measured {about['measured']} on PostgreSQL {server['server_version']}, "
        f"{about['machine']}; COMMIT {waits} for the disk. Milliseconds, {by} of the runs; *times* "
        "is django_tviews divided by the hand-written triggers."
    )
    yield from about.get("notes", ())
    yield ""
    by_workload = {
        key: found
        for key, found in grouped(measurements, by).items()
        if any({HAND, TVIEWS} <= times.keys() for times in found.values())
    }
    for (workload, scale), found in by_workload.items():
        yield f"**{workload.replace('_', ' ')}**: {WORKLOADS[workload].title}, {scale:,} rows"
        yield ""
        yield "| operation | rows | bare | hand-written | django_tviews | times |"
        yield "|---|--:|--:|--:|--:|--:|"
        for (operation, size), times in found.items():
            if {HAND, TVIEWS} <= times.keys() and size in {1, _SHOWN}:
                yield (
                    f"| {operation} | {size:,} | {_number(times.get(BARE))} | "
                    f"{_number(times[HAND])} | {_number(times[TVIEWS])} | "
                    f"{times[TVIEWS] / times[HAND]:.1f} |"
                )
        ratios = [
            times[TVIEWS] / times[HAND]
            for times in found.values()
            if {HAND, TVIEWS} <= times.keys()
        ]
        yield ""
        yield (
            f"Of all {len(ratios)} operations: median {statistics.median(ratios):.2f}, "
            f"worst {max(ratios):.2f}."
        )
        yield ""
    if done:
        yield "**Many connections**, transactions a second"
        yield ""
        yield "| load | connections | contender | a second | of bare | failed |"
        yield "|---|--:|---|--:|--:|--:|"
        for each, share in shares(done):
            yield (
                f"| {each.load} | {each.clients} | {each.contender} | {each.per_second:,.0f} | "
                f"{share:.0%} | {each.failed} |"
            )
        yield ""


def _number(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "-"
    return f"{milliseconds:,.2f}" if milliseconds < 10 else f"{milliseconds:,.0f}"  # noqa: PLR2004
