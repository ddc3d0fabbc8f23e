"""``python -m benchmarks``: what it costs to keep the result of a query, in several ways."""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from . import chart, databases, page, report
from .workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from .databases import Databases
    from .measure import Measurement
    from .throughput import Throughput

SCALE = 20_000
SIZES = (1, 100, 1_000, 10_000)
CHARTED = (1, 1_000)
GROWTH = (10_000, 100_000, 1_000_000)
BUILDING = 1_000_000
PARTS = ("operations", "connections", "growth", "building", "throughput")
CONTENDERS = (
    "bare",
    "hand",
    "hand_locks",
    "tviews",
    "refresh",
    "concurrently",
    "pg_ivm",
    "computed",
)
ASKED_FOR = ("lockless",)
COMPUTED = ("django.contrib.contenttypes", "computedfields", "benchmarks.computed")


def main() -> None:
    """Measure what the command line asks for, and report it."""
    arguments = _parser().parse_args()
    with _databases(arguments) as stage:
        about: dict[str, Any] = {
            "measured": time.strftime("%Y-%m-%d"),
            "server": stage.describe(),
            "machine": f"{os.cpu_count()} CPUs, {platform.machine()}",
            "notes": [],
        }

        def note(text: str) -> None:
            if text not in about["notes"]:
                about["notes"].append(text)
                _say(text)

        measured = {
            part: list(_measured(part, stage, arguments, note))
            for part in arguments.parts
            if part != "throughput"
        }
        done = _done(stage, arguments, note) if "throughput" in arguments.parts else []
    _report(arguments, measured, done, about)


@contextmanager
def _databases(arguments: argparse.Namespace) -> Iterator[Databases]:
    """Set Django up, and give what the command line says to use for as long as this lasts."""
    apps = COMPUTED if "computed" in arguments.contenders else ()
    if arguments.pglite:
        from .pglite import PGliteDatabases

        with TemporaryDirectory(prefix="pglite") as folder:
            stage = PGliteDatabases(arguments.pglite, Path(folder))
            databases.configure(stage.url("default"), apps)
            with closing(stage):
                yield stage
    else:
        with databases.server(arguments.database, durable=arguments.durable) as url:
            databases.configure(url, apps)
            with closing(databases.ServerDatabases(url)) as stage:
                yield stage


def _measured(
    part: str, stage: Databases, arguments: argparse.Namespace, note: Callable[[str], None]
) -> Iterator[Measurement]:
    """Measure one part of the benchmarks."""
    # Django must know its settings first.
    from . import building, cold, growth, measure
    from .contenders import CONTENDERS as ALL

    _say(f"{part} …")
    if part == "operations":
        contenders = {alias: ALL[alias] for alias in arguments.contenders}
        for scale, name in itertools.product(arguments.scale, arguments.workloads):
            _say(f"{name}, {scale:,} rows …")
            yield from measure.measure(
                stage, WORKLOADS[name], scale, contenders, arguments.sizes, arguments.rounds, note
            )
    elif part == "connections":
        yield from cold.measure(stage, arguments.scale[0], arguments.rounds, arguments.tviews)
    elif part == "growth":
        yield from growth.measure(stage, arguments.growth, arguments.rounds, _say)
    else:
        yield from building.measure(stage, arguments.building)


def _done(
    stage: Databases, arguments: argparse.Namespace, note: Callable[[str], None]
) -> list[Throughput]:
    """Measure what many connections get done."""
    from . import throughput

    _say("throughput …")
    return list(throughput.measure(stage, arguments.scale[0], arguments.seconds, note))


def _report(
    arguments: argparse.Namespace,
    measured: Mapping[str, Sequence[Measurement]],
    done: Sequence[Throughput],
    about: Mapping[str, Any],
) -> None:
    """Print what was measured, and write the files that the command line asks for."""
    from .contenders import CONTENDERS as ALL

    for measurements in measured.values():
        print(report.table(measurements, arguments.by))
    if operations := measured.get("operations"):
        print()
        print(report.summary(operations, arguments.by))
        if arguments.chart:
            names = {alias: contender.name for alias, contender in ALL.items()}
            chart.write(arguments.chart, operations, names, CHARTED, arguments.by)
    if done:
        print()
        print(report.throughput_table(done))
    if arguments.output:
        report.write_json(arguments.output, measured, done, about)
    if arguments.page:
        page.write(arguments.page, measured, done, about, arguments.by)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    numbers = _listed(int)
    parser.add_argument(
        "--scale", type=numbers, default=[SCALE], help="rows of the main table; several by commas"
    )
    parser.add_argument(
        "--growth",
        type=numbers,
        default=list(GROWTH),
        help="rows of the main tables whose changes are compared as they grow",
    )
    parser.add_argument(
        "--building", type=int, default=BUILDING, help="rows of the main table to build TViews on"
    )
    parser.add_argument(
        "--sizes", type=numbers, default=list(SIZES), help="how many rows to change at once"
    )
    parser.add_argument("--rounds", type=int, default=40, help="runs of operations on one row")
    parser.add_argument(
        "--by",
        choices=("median", "fastest"),
        default="median",
        help="what stands for the runs of an operation; other load disturbs the fastest least",
    )
    parser.add_argument(
        "--parts",
        type=_listed(str, PARTS),
        default=["operations", "connections"],
        help=f"{', '.join(PARTS)}; by default the first two",
    )
    parser.add_argument(
        "--tviews",
        type=numbers,
        default=[0, 1, 10, 50],
        help="how many TViews a table has, for the first write on a connection",
    )
    parser.add_argument("--seconds", type=int, default=10, help="how long each load lasts")
    parser.add_argument(
        "--contenders",
        type=_listed(str, (*CONTENDERS, *ASKED_FOR)),
        default=list(CONTENDERS),
        help=f"by default {', '.join(CONTENDERS)}; if asked for, {', '.join(ASKED_FOR)}",
    )
    parser.add_argument(
        "--workloads",
        type=_listed(str, WORKLOADS),
        default=list(WORKLOADS),
        help=", ".join(WORKLOADS),
    )
    parser.add_argument("--output", type=Path, help="JSON file for the result")
    parser.add_argument("--chart", type=Path, help="SVG file for a chart of the operations")
    parser.add_argument("--page", type=Path, help="Markdown file to write the figures into")
    parser.add_argument("--database", metavar="URL", help="a server to use, as a superuser")
    parser.add_argument(
        "--pglite",
        type=Path,
        metavar="PROGRAM",
        help="pglite-server, as npm installs it, instead of a server: it has pg_ivm",
    )
    parser.add_argument("--durable", action="store_true", help="COMMIT waits for the disk")
    return parser


def _listed(type_: Any, known: Any = None) -> Any:
    """Return a parser of several values, separated by commas."""

    def parse(text: str) -> list[Any]:
        values = [
            type_(part.strip().replace("_", "") if type_ is int else part.strip())
            for part in text.split(",")
        ]
        for value in values:
            if known is not None and value not in known:
                raise argparse.ArgumentTypeError(f"{value!r} is none of {', '.join(known)}")
        return values

    return parse


if __name__ == "__main__":
    main()
