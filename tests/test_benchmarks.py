"""The benchmarks measure what they say: every contender's result is compared with its query."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
    chosen = ("--workloads", names, "--contenders", "hand,tviews")
    found = measured(tmp_path / "result.json", *chosen)
    for workload in workloads:
        assert expected(workload, "hand") | expected(workload, "tviews") <= found


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


def test_a_first_write_is_measured_for_each_number_of_tviews(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    chosen = ("--parts", "connections", "--tviews", "0,2", "--output", str(result))
    ended = run("-m", "benchmarks", *TINY, *chosen)
    assert ended.returncode == 0, ended.stderr
    names = {each["operation"] for each in json.loads(result.read_text())["measurements"]}
    assert {"first write, 0 TViews", "later write, 2 TViews"} <= names


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
        measurement("tviews", "delete", 4.0),
        measurement("refresh", "delete", 40.0),
    ]
    lines = report.summary(measurements, "median").splitlines()
    assert lines == [
        "django_tviews / hand-written triggers: median 2.75, worst 4.00, of 2 operations."
        " The slowest:",
        "      4.00  join: delete, 1 rows",
        "      1.50  join: insert, 1 rows",
        "refresh / django_tviews: median 10.0, from 10.0 to 10.0.",
    ]
    assert "worst 4.00" in report.summary(measurements, "fastest")


def test_the_table_has_a_line_for_each_operation() -> None:
    table = report.table([measurement("hand", "insert", 1.0)], "median")
    assert "join, 20,000 rows; median in ms" in table
    assert "1.000" in table.splitlines()[-1]


def test_a_page_gets_new_figures_between_its_marks(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"Before.\n{page.MARKS[0]}\nold\n{page.MARKS[1]}\nAfter.\n")
    measurements = [measurement("hand", "insert", 2.0), measurement("tviews", "insert", 3.0)]
    about = {
        "measured": "2026-01-01",
        "server": {"server_version": "18.1", "fsync": "on"},
        "machine": "2 CPUs",
    }
    done = [Throughput("writes", 8, "bare", 100.0, 1.0, 0)]
    for _ in range(2):
        page.write(path, measurements, done, about, "median")
        text = path.read_text()
        assert text.startswith("Before.\n<!--")
        assert text.endswith("-->\nAfter.\n")
        assert "old" not in text
        assert "| insert | 1 | - | 2.00 | 3.00 | 1.5 |" in text
        assert "| writes | 8 | bare | 100 | 100% | 0 |" in text


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("Nothing.\n")
    with pytest.raises(ValueError, match="marks"):
        page.write(
            path,
            [],
            [],
            {"measured": "", "server": {"server_version": "", "fsync": ""}, "machine": ""},
            "median",
        )
    assert path.read_text() == "Nothing.\n"
