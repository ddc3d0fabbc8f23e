"""The benchmarks measure what they say: every contender's result is compared with its query."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks import page, report
from benchmarks.measure import Measurement
from benchmarks.throughput import Throughput
from benchmarks.workload import StatementOperation
from benchmarks.workloads import WORKLOADS

if TYPE_CHECKING:
    from benchmarks.workload import Workload

ROOT = Path(__file__).parents[1]
TINY = ("--scale", "300", "--sizes", "1,120", "--rounds", "1")

MISCOUNT = """
from benchmarks import __main__, contenders, databases
configure = databases.configure

def configure_and_miscount(*arguments):
    configure(*arguments)
    from benchmarks.contenders import HandWritten
    triggers = HandWritten.triggers
    HandWritten.triggers = lambda self, workload: triggers(self, workload).replace(
        "SELECT author_id, count(*)", "SELECT author_id, 1 + count(*)")

databases.configure = configure_and_miscount
__main__.main()
"""


HOT_KEYS_ONLY = """
from benchmarks import __main__, databases
configure = databases.configure

def configure_and_choose(*arguments):
    configure(*arguments)
    from benchmarks import throughput
    throughput.LOADS = [load for load in throughput.LOADS if load.script == "hot_keys.sql"]

databases.configure = configure_and_choose
__main__.main()
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def measured(path: Path, *arguments: str) -> set[tuple[str, str, int, str]]:
    """Run the benchmarks, which compare every result with its query, and return what was run."""
    chosen = ("--parts", "operations", "--output", str(path), *arguments)
    ended = run("-m", "benchmarks", *TINY, *chosen)
    assert ended.returncode == 0, ended.stderr
    return {
        (each["workload"], each["operation"], each["size"], each["contender"])
        for each in json.loads(path.read_text())["measurements"]
    }


def expected(workload: Workload, contender: str) -> set[tuple[str, str, int, str]]:
    return {
        (workload.name, operation.name, cycle.size, contender)
        for cycle in workload.cycles(300, [1, 120])
        for operation in cycle.operations
    }


def test_triggers_are_exact_after_every_operation(tmp_path: Path) -> None:
    workloads = [workload for workload in WORKLOADS.values() if not workload.by_objects]
    names = ",".join(workload.name for workload in workloads)
    chosen = ("--workloads", names, "--contenders", "hand,hand_locks,tviews")
    found = measured(tmp_path / "result.json", *chosen)
    for workload in workloads:
        for contender in ("hand", "hand_locks", "tviews"):
            assert expected(workload, contender) <= found


def test_computed_fields_are_exact_after_every_operation(tmp_path: Path) -> None:
    workloads = [workload for workload in WORKLOADS.values() if workload.by_objects]
    names = ",".join(workload.name for workload in workloads)
    found = measured(tmp_path / "result.json", "--workloads", names, "--contenders", "computed")
    for workload in workloads:
        assert expected(workload, "computed") <= found


def test_views_kept_in_other_ways_are_exact_after_every_operation(tmp_path: Path) -> None:
    chosen = ("--workloads", "stacked", "--contenders", "bare,refresh,concurrently,lockless")
    figure = tmp_path / "chart.svg"
    found = measured(tmp_path / "result.json", *chosen, "--chart", str(figure))
    assert "REFRESH MATERIALIZED VIEW" in figure.read_text()
    for contender in ("bare", "refresh", "concurrently", "lockless"):
        assert expected(WORKLOADS["stacked"], contender) <= found


def test_a_contender_that_is_wrong_ends_the_benchmark() -> None:
    chosen = ("--parts", "operations", "--workloads", "grouping", "--contenders", "bare,hand")
    ended = run("-c", MISCOUNT, *TINY, *chosen)
    assert ended.returncode != 0
    assert "hand-written triggers differs from the queries of grouping" in ended.stderr


def test_what_many_connections_get_done_is_counted_and_exact(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    chosen = ("--parts", "throughput", "--seconds", "1", "--output", str(result))
    ended = run("-c", HOT_KEYS_ONLY, *TINY, *chosen)
    assert ended.returncode == 0, ended.stderr
    found = {each["contender"]: each for each in json.loads(result.read_text())["throughput"]}
    assert found.keys() == {"bare", "hand", "deferred"}
    for each in found.values():
        assert each["per_second"] > 0
        assert each["failed"] == 0, ended.stderr


def test_growth_building_and_connections_are_measured(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    parts = ("--parts", "growth,building,connections", "--output", str(result))
    small = ("--growth", "200,400", "--building", "300", "--tviews", "0,2")
    ended = run("-m", "benchmarks", *TINY, *parts, *small)
    assert ended.returncode == 0, ended.stderr
    found = {
        (each["part"], each["workload"], each["operation"], each["scale"], each["contender"])
        for each in json.loads(result.read_text())["measurements"]
    }
    for name in ("join", "grouping", "document"):
        for operation in WORKLOADS[name].changes:
            for scale in (200, 400):
                for contender in ("bare", "hand", "tviews"):
                    assert ("growth", name, operation.name, scale, contender) in found
    for name in ("join", "grouping", "document", "derived"):
        for contender in ("bare", "tviews"):
            assert ("building", name, "build", 300, contender) in found
    for write, contender in (("first write, 0", "bare"), ("later write, 2", "tviews")):
        assert ("connections", "connections", f"{write} TViews", 300, contender) in found


def test_triggers_for_all_levels_lock_as_a_tview_does() -> None:
    for workload in WORKLOADS.values():
        committed = workload.hand_written("READ COMMITTED")
        every = workload.hand_written("ALL LEVELS")
        assert "django_tviews" not in committed
        assert "--:" not in committed + every
        for view in workload.views:
            assert f"django_tviews_lock('{view.name}'" in every


def test_every_operation_of_a_workload_has_a_name_of_its_own() -> None:
    for workload in WORKLOADS.values():
        renames = [rename.operation for rename in workload.renames]
        statements = {
            operation.statement if isinstance(operation, StatementOperation) else operation.write
            for operation in (*workload.changes, *renames)
        }
        names = {operation.name for operation in (*workload.changes, *renames)}
        assert len(names) == len(statements) == len(workload.changes) + len(renames)


def measurement(contender: str, operation: str, *times: float) -> Measurement:
    return Measurement("join", 20_000, operation, 1, contender, times)


def test_the_summary_names_the_slowest_operations_first() -> None:
    measurements = [
        measurement("hand", "insert", 1.0, 2.0, 3.0),
        measurement("tviews", "insert", 2.0, 3.0, 9.0),
        measurement("hand", "delete", 1.0),
        measurement("hand_locks", "delete", 2.0),
        measurement("tviews", "delete", 4.0),
        measurement("refresh", "delete", 40.0),
    ]
    lines = report.summary(measurements, "median").splitlines()
    assert lines == [
        "django_tviews / hand-written triggers: median 2.75, worst 4.00, of 2 operations."
        " The slowest:",
        "      4.00  join: delete, 1 rows",
        "      1.50  join: insert, 1 rows",
        "django_tviews / hand-written triggers with the same locks: median 2.00, worst 2.00,"
        " of 1 operations. The slowest:",
        "      2.00  join: delete, 1 rows",
        "refresh / django_tviews: median 10.0, from 10.0 to 10.0.",
    ]
    assert "worst 4.00" in report.summary(measurements, "fastest")


def test_the_table_has_a_line_for_each_operation() -> None:
    table = report.table([measurement("hand", "insert", 1.0)], "median")
    assert "join, 20,000 rows; median in ms" in table
    assert "1.000" in table.splitlines()[-1]


ABOUT = {
    "measured": "2026-01-01",
    "server": {"server_version": "18.1", "fsync": "on"},
    "machine": "2 CPUs",
}


def page_with_marks(path: Path, *parts: str) -> Path:
    marked = ("\n".join((page.marks(part)[0], "old", page.marks(part)[1])) for part in parts)
    path.write_text("\n".join(("Before.", *marked, "After.\n")))
    return path


def test_a_page_gets_new_figures_between_its_marks(tmp_path: Path) -> None:
    path = page_with_marks(tmp_path / "page.md", "operations", "throughput")
    measured = {
        "operations": [
            measurement("hand", "insert", 2.0),
            measurement("hand_locks", "insert", 2.5),
            measurement("tviews", "insert", 3.0),
        ]
    }
    done = [Throughput("writes", 8, name, 100.0, 1.0, 0) for name in ("bare", "tviews")]
    for _ in range(2):
        page.write(path, measured, done, ABOUT, "median")
        text = path.read_text()
        assert text.startswith("Before.\n<!--")
        assert text.endswith("-->\nAfter.\n")
        assert "old" not in text
        assert "| insert | 1 | 2.00 | 2.50 | 3.00 | 1.50 | 1.20 |" in text
        assert "| writes | 8 | 100 | 100 (100%) |" in text


def test_a_page_keeps_the_figures_of_parts_that_were_not_measured(tmp_path: Path) -> None:
    path = page_with_marks(tmp_path / "page.md", "operations", "growth", "connections", "building")
    scales = [
        replace(measurement(name, "insert", milliseconds), scale=scale)
        for name, scale, milliseconds in (
            ("bare", 10, 1.0),
            ("bare", 100, 2.0),
            ("tviews", 10, 2.0),
            ("tviews", 100, 5.0),
        )
    ]
    connections = [
        measurement(name, f"{write} write, {number} TViews", milliseconds)
        for name, write, number, milliseconds in (
            ("bare", "first", 0, 1.0),
            ("bare", "later", 0, 0.5),
            ("tviews", "first", 10, 90.0),
            ("tviews", "later", 10, 3.5),
        )
    ]
    building = [measurement("bare", "build", 100.0), measurement("tviews", "build", 120.0)]
    measured = {"growth": scales, "connections": connections, "building": building}
    page.write(path, measured, [], ABOUT, "median")
    text = path.read_text()
    assert text.count("old") == 1
    assert "| insert | 2.00 | 5.00 | 2.50 | 2.00 |" in text
    assert "| 10 | 90 | 3.50 | 0.30 |" in text
    assert "| a join of child and parent | 20,000 | 100 | 120 | 1.20 |" in text


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    path = page_with_marks(tmp_path / "page.md", "operations")
    before = path.read_text()
    building = [measurement("bare", "build", 1.0), measurement("tviews", "build", 1.0)]
    with pytest.raises(ValueError, match="marks"):
        page.write(path, {"operations": [], "building": building}, [], ABOUT, "median")
    assert path.read_text() == before
