"""The chart of the documentation: every operation a line, every contender a dot on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from .measure import Measurement
    from .report import Statistic

COLOURS: Final[Mapping[str, tuple[str, str]]] = {
    "bare": ("#9aa0a6", "|"),
    "hand": ("#1f77b4", "o"),
    "hand_locks": ("#17becf", "."),
    "tviews": ("#d62728", "D"),
    "pg_ivm": ("#2ca02c", "s"),
    "computed": ("#9467bd", "^"),
    "refresh": ("#c7a252", "<"),
    "concurrently": ("#8c6d31", ">"),
}
"""A colour and a mark for each contender; the mark tells them apart in print, too."""

_COLUMNS: Final = 2
_IN_A_ROW: Final = 4
"""Contenders in a row of the legend; more do not fit into the width."""

_LINE: Final = 0.2
"""Inches for one operation."""


def write(
    path: Path,
    measurements: Iterable[Measurement],
    names: Mapping[str, str],
    sizes: Sequence[int],
    by: Statistic,
) -> None:
    """Write an SVG with a panel for each workload.

    Args:
        path: of the file.
        measurements: what was measured.
        names: of the contenders, by what they are called on the command line.
        sizes: which numbers of changed rows are shown; renames of parents are always.
        by: what stands for the runs of an operation.
    """
    # Drawing takes no display, and a server has none.
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    panels: dict[str, list[Measurement]] = {}
    for each in measurements:
        if each.size in sizes or each.operation.startswith(("rename", "save() an author")):
            panels.setdefault(each.workload, []).append(each)
    rows = -(-len(panels) // _COLUMNS)
    longest = max(len(_lines(panel)) for panel in panels.values())
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "", "font.size": 8}):
        figure, axes = plt.subplots(
            rows,
            _COLUMNS,
            figsize=(11, rows * (1.0 + longest * _LINE)),
            squeeze=False,
            layout="constrained",
        )
        for place, (workload, panel) in zip(axes.flat, panels.items(), strict=False):
            _draw(place, workload, panel, names, by)
        for empty in axes.flat[len(panels) :]:
            empty.set_axis_off()
        handles: dict[str, object] = {}
        for place in axes.flat:
            handles |= dict(zip(*reversed(place.get_legend_handles_labels()), strict=True))
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=_IN_A_ROW)
        figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
        plt.close(figure)


def _lines(panel: Iterable[Measurement]) -> list[tuple[str, int]]:
    return list(dict.fromkeys((each.operation, each.size) for each in panel))


def _draw(
    place: Axes,
    workload: str,
    panel: Sequence[Measurement],
    names: Mapping[str, str],
    by: Statistic,
) -> None:
    lines = _lines(panel)
    for contender, (colour, mark) in COLOURS.items():
        shown = [each for each in panel if each.contender == contender]
        if shown:
            place.plot(
                [getattr(each, by) for each in shown],
                [lines.index((each.operation, each.size)) for each in shown],
                linestyle="none",
                marker=mark,
                markersize=5,
                color=colour,
                alpha=0.85,
                label=names[contender],
            )
    place.set_title(workload.replace("_", " "), loc="left", fontweight="bold")
    place.set_xscale("log")
    place.set_xlabel("milliseconds, COMMIT included")
    place.set_yticks(range(len(lines)), [f"{operation}, {size:,}" for operation, size in lines])
    place.invert_yaxis()
    place.grid(axis="x", which="major", color="#dddddd")
    place.set_axisbelow(True)
    place.spines[["top", "right", "left"]].set_visible(False)
