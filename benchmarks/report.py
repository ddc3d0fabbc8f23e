"""Reporting: a table for people, JSON for programs, a chart for the documentation."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from .measure import Measurement
    from .throughput import Throughput

BARE, HAND, LOCKED, TVIEWS = "bare", "hand", "hand_locks", "tviews"

LIMITS: Final = {
    HAND: "hand-written triggers",
    LOCKED: "hand-written triggers with the same locks",
}
"""What TViews are measured by."""

Statistic = Literal["median", "fastest"]
"""What stands for the runs of an operation."""


def table(measurements: Sequence[Measurement], by: Statistic) -> str:
    """Return the times, and how TViews compare with both kinds of triggers written by hand."""
    names = list(dict.fromkeys(each.contender for each in measurements))
    lines = []
    for (workload, scale), found in grouped(measurements, by).items():
        lines.append(f"\n{workload}, {scale:,} rows; {by} in ms")
        header = "".join(f"{name:>13}" for name in names)
        limits = [name for name in LIMITS if name in names]
        compared = "".join(f"{'/' + name:>13}" for name in limits)
        lines.append(f"{'':<42}{header}{compared}")
        for (operation, size), medians in found.items():
            cells = "".join(_cell(medians.get(name)) for name in names)
            compared = "".join(_compared(medians, limit) for limit in limits)
            lines.append(f"{operation[:33]:<34}{size:>7,} {cells}{compared}")
    return "\n".join(lines)


def throughput_table(found: Sequence[Throughput]) -> str:
    """Return transactions a second, and how they compare with those on bare tables."""
    lines = [f"{'transactions a second':<48}{'clients':>8}{'':>10}{'of bare':>9}{'failed':>8}"]
    lines += [
        f"{each.load:<48}{each.clients:>8}{each.per_second:>10,.0f}{share:>9.0%}"
        f"{each.failed:>8}  {each.contender}"
        for each, share in shares(found)
    ]
    return "\n".join(lines)


def shares(found: Sequence[Throughput]) -> Iterator[tuple[Throughput, float]]:
    """Yield what was done, and the share it is of what is done without maintenance."""
    bare = {(each.load, each.clients): each.per_second for each in found if each.contender == BARE}
    for each in found:
        yield each, each.per_second / bare[each.load, each.clients]


def summary(measurements: Sequence[Measurement], by: Statistic) -> str:
    """Return what the ratios come to: the median, and the worst of them."""
    lines = []
    for limit, title in LIMITS.items():
        worst = sorted(ratios(measurements, by, limit), reverse=True)
        if worst:
            values = [ratio for ratio, *_ in worst]
            lines.append(
                f"django_tviews / {title}: median {statistics.median(values):.2f},"
                f" worst {max(values):.2f}, of {len(values)} operations. The slowest:"
            )
            lines += [
                f"    {ratio:6.2f}  {workload}: {operation}, {size:,} rows"
                for ratio, workload, operation, size in worst[:12]
            ]
    for other, against in _against(measurements, by).items():
        lines.append(
            f"{other} / django_tviews: median {statistics.median(against):.1f},"
            f" from {min(against):.1f} to {max(against):.1f}."
        )
    return "\n".join(lines)


def ratios(
    measurements: Iterable[Measurement], by: Statistic, limit: str
) -> Iterator[tuple[float, str, str, int]]:
    """Yield how TViews compare with one of `LIMITS`, for each operation."""
    for (workload, _), found in grouped(measurements, by).items():
        for (operation, size), medians in found.items():
            if ratio := ratio_of(medians, limit):
                yield ratio, workload, operation, size


def write_json(
    path: Path,
    measured: Mapping[str, Iterable[Measurement]],
    throughput: Iterable[Throughput],
    about: Mapping[str, Any],
) -> None:
    """Write everything that was measured.

    Args:
        path: of the file.
        measured: what was measured, by the part of the benchmarks.
        throughput: what many connections got done.
        about: the server, the machine, and the notes.
    """
    answer = {
        "format": 2,
        **about,
        "measurements": [
            {
                "part": part,
                "workload": each.workload,
                "scale": each.scale,
                "operation": each.operation,
                "size": each.size,
                "contender": each.contender,
                "median": round(each.median, 4),
                "fastest": round(each.fastest, 4),
                "slowest": round(max(each.times), 4),
                "runs": len(each.times),
            }
            for part, measurements in measured.items()
            for each in measurements
        ],
        "throughput": [asdict(each) for each in throughput],
    }
    path.write_text(json.dumps(answer, indent=1, ensure_ascii=False) + "\n")


def grouped(
    measurements: Iterable[Measurement], by: Statistic
) -> dict[tuple[str, int], dict[tuple[str, int], dict[str, float]]]:
    """Return the times by workload and scale, operation and size, and contender."""
    grouped: dict[tuple[str, int], dict[tuple[str, int], dict[str, float]]] = {}
    for each in measurements:
        operations = grouped.setdefault((each.workload, each.scale), {})
        operations.setdefault((each.operation, each.size), {})[each.contender] = getattr(each, by)
    return grouped


def ratio_of(times: Mapping[str, float], limit: str) -> float | None:
    """Return how many times longer TViews took than one of `LIMITS`, if both took part."""
    return times[TVIEWS] / times[limit] if {TVIEWS, limit} <= times.keys() else None


def _against(measurements: Iterable[Measurement], by: Statistic) -> dict[str, list[float]]:
    """Return, for each other contender, how often slower than TViews it was."""
    found: dict[str, list[float]] = {}
    for operations in grouped(measurements, by).values():
        for medians in operations.values():
            if TVIEWS in medians:
                for name, median in medians.items():
                    if name not in {TVIEWS, *LIMITS}:
                        found.setdefault(name, []).append(median / medians[TVIEWS])
    return found


def _compared(medians: Mapping[str, float], limit: str) -> str:
    ratio = ratio_of(medians, limit)
    return f"{f'{ratio:.2f}' if ratio else '-':>13}"


def _cell(median: float | None) -> str:
    if median is None:
        return f"{'-':>13}"
    return f"{median:>13,.{3 if median < 10 else 1}f}"  # noqa: PLR2004
