"""The figures on a page of the documentation, each part of them between two marks of its own."""

from __future__ import annotations

import re
import statistics
from typing import TYPE_CHECKING, Any, Final

from .report import BARE, HAND, LIMITS, LOCKED, TVIEWS, grouped, ratio_of, ratios, shares
from .workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from .measure import Measurement
    from .report import Statistic
    from .throughput import Throughput

_SHOWN: Final = 1_000
"""The larger one of the two numbers of rows that the tables show."""

_COLUMNS: Final = {
    BARE: "bare",
    HAND: "hand-written",
    LOCKED: "same locks",
    TVIEWS: "django_tviews",
    "deferred": "django_tviews",
}
"""Whose times the tables show."""


def marks(part: str) -> tuple[str, str]:
    """Return what stands before and after the figures of a part of the benchmarks."""
    return f"<!-- Written by `python -m benchmarks --page`: {part}. -->", f"<!-- End: {part}. -->"


def write(
    path: Path,
    measured: Mapping[str, Sequence[Measurement]],
    done: Sequence[Throughput],
    about: Mapping[str, Any],
    by: Statistic,
) -> None:
    """Replace what stands between the marks of the parts that were measured.

    Args:
        path: of the page.
        measured: what was measured, by the part of the benchmarks.
        done: what many connections got done.
        about: the server, the machine, and the notes.
        by: what stands for the runs of an operation.

    Raises:
        ValueError: the page has no marks for one of the parts.
    """
    figures = {part: _FIGURES[part](measurements, by) for part, measurements in measured.items()}
    if done:
        figures["throughput"] = _throughput(done)
    text = path.read_text(encoding="utf-8")
    for part, lines in figures.items():
        begin, end = marks(part)
        unit = (
            "Transactions per second" if part == "throughput" else f"Milliseconds, {by} of the runs"
        )
        body = "\n".join([begin, "", f"{_conditions(about)} {unit}.", "", *lines, end])
        marked = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
        text, times = marked.subn(lambda _, body=body: body, text)
        if times != 1:
            raise ValueError(f"{path} has not got the marks {begin} and {end} once")
    path.write_text(text, encoding="utf-8")


def _conditions(about: Mapping[str, Any]) -> str:
    server = about["server"]
    waits = "waits" if server["fsync"] == "on" else "does not wait"
    return (
        f"Measured {about['measured']} on PostgreSQL {server['server_version']}, "
        f"{about['machine']}; COMMIT {waits} for the disk."
    )


def _operations(measurements: Iterable[Measurement], by: Statistic) -> Iterator[str]:
    measurements = list(measurements)
    for limit, title in LIMITS.items():
        found = [ratio for ratio, *_ in ratios(measurements, by, limit)]
        if found:
            yield (
                f"django_tviews divided by {title}: median **{statistics.median(found):.2f}**, "
                f"worst {max(found):.2f}, of {len(found)} operations of all sizes."
            )
            yield ""
    for (workload, scale), operations in grouped(measurements, by).items():
        shown = [name for name in _COLUMNS if any(name in times for times in operations.values())]
        limits = [limit for limit in LIMITS if limit in shown]
        yield f"**{workload.replace('_', ' ')}**: {WORKLOADS[workload].title}, {scale:,} rows"
        yield ""
        titles = [_COLUMNS[name] for name in shown] + [f"/ {_COLUMNS[name]}" for name in limits]
        yield _row("operation", "rows", *titles)
        yield "|---|--:" + "|--:" * len(titles) + "|"
        for (operation, size), times in operations.items():
            if size in {1, _SHOWN}:
                yield _row(
                    operation,
                    f"{size:,}",
                    *(_number(times.get(name)) for name in shown),
                    *(_times(ratio_of(times, limit)) for limit in limits),
                )
        yield ""


def _growth(measurements: Iterable[Measurement], by: Statistic) -> Iterator[str]:
    measurements = list(measurements)
    by_scale = grouped(measurements, by)
    scales = sorted({scale for _, scale in by_scale})
    smallest, largest = scales[0], scales[-1]
    for workload in dict.fromkeys(each.workload for each in measurements):
        yield f"**{workload}**, django_tviews: one row changed, by the rows of the main table"
        yield ""
        grew = f"{largest:,} / {smallest:,}"
        yield _row("operation", *(f"{scale:,}" for scale in scales), grew, "bare tables")
        yield "|---" + "|--:" * (len(scales) + 2) + "|"
        for operation, size in by_scale[workload, smallest]:
            times = [by_scale[workload, scale][operation, size] for scale in scales]
            yield _row(
                operation,
                *(_number(found[TVIEWS]) for found in times),
                *(_times(times[-1][name] / times[0][name]) for name in (TVIEWS, BARE)),
            )
        yield ""


def _connections(measurements: Iterable[Measurement], by: Statistic) -> Iterator[str]:
    (operations,) = grouped(measurements, by).values()
    writes: dict[int, dict[str, float]] = {}
    for (operation, _), times in operations.items():
        write, number = re.fullmatch(r"(\w+) write, (\d+) TViews", operation).groups()
        (writes.setdefault(int(number), {})[write],) = times.values()
    yield _row("TViews on the table", "first write", "later write", "later, for each TView")
    yield "|--:|--:|--:|--:|"
    for number, times in writes.items():
        each = (times["later"] - writes[0]["later"]) / number if number and 0 in writes else None
        yield _row(f"{number}", _number(times["first"]), _number(times["later"]), _number(each))
    yield ""


def _building(measurements: Iterable[Measurement], by: Statistic) -> Iterator[str]:
    yield _row("query", "rows", "CREATE TABLE AS and indexes", "TView", "times")
    yield "|---|--:|--:|--:|--:|"
    for (workload, scale), operations in grouped(measurements, by).items():
        (times,) = operations.values()
        yield _row(
            WORKLOADS[workload].title,
            f"{scale:,}",
            _number(times[BARE]),
            _number(times[TVIEWS]),
            _times(times[TVIEWS] / times[BARE]),
        )
    yield ""


def _throughput(done: Sequence[Throughput]) -> Iterator[str]:
    loads: dict[tuple[str, int], dict[str, str]] = {}
    for each, share in shares(done):
        said = f"{each.per_second:,.0f}" + (f" ({share:.0%})" if each.contender != BARE else "")
        if each.failed:
            said += f", {each.failed} failed"
        loads.setdefault((each.load, each.clients), {})[_COLUMNS[each.contender]] = said
    titles = dict.fromkeys(title for said in loads.values() for title in said)
    yield _row("load", "connections", *titles)
    yield "|---|--:" + "|--:" * len(titles) + "|"
    for (load, clients), said in loads.items():
        yield _row(load, f"{clients}", *(said.get(title, "-") for title in titles))
    yield ""


_FIGURES: Final = {
    "operations": _operations,
    "growth": _growth,
    "connections": _connections,
    "building": _building,
}


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def _number(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "-"
    return f"{milliseconds:,.2f}" if milliseconds < 10 else f"{milliseconds:,.0f}"  # noqa: PLR2004
