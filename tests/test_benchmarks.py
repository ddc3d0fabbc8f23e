"""The benchmarks measure what they say: every contender's result is compared with its query."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import report
from benchmarks.measure import Measurement
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
    ended = run("-m", "benchmarks", *TINY, "--output", str(path), *arguments)
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


def test_triggers_of_all_kinds_are_exact_after_every_operation(tmp_path: Path) -> None:
    found = measured(tmp_path / "result.json", "--contenders", "hand,tviews,computed")
    for workload in WORKLOADS.values():
        assert expected(workload, "hand") | expected(workload, "tviews") <= found
        if workload.by_objects:
            assert expected(workload, "computed") <= found


def test_refreshed_views_are_exact_after_every_operation(tmp_path: Path) -> None:
    chosen = ("--workloads", "stacked", "--contenders", "bare,refresh,concurrently")
    found = measured(tmp_path / "result.json", *chosen)
    for contender in ("bare", "refresh", "concurrently"):
        assert expected(WORKLOADS["stacked"], contender) <= found


def test_a_contender_that_is_wrong_ends_the_benchmark() -> None:
    chosen = ("--workloads", "grouping", "--contenders", "bare,hand")
    ended = run("-c", MISCOUNT, *TINY, *chosen)
    assert ended.returncode != 0
    assert "hand-written triggers differs from the queries of grouping" in ended.stderr


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
