"""What many connections get done together: transactions a second, as pgbench counts them.

Each load is a script of pgbench in ``scripts/``, run on the same tables without maintenance, with
triggers written by hand where they exist, and with TViews.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.db import connections

from support.postgres import server_binaries

from .contenders import CONTENDERS, Contender, DeferredTViews, differences
from .measure import InexactError
from .workloads.blog import GROUPING, HOT, JOIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .databases import Databases
    from .workload import Workload

SCRIPTS = Path(__file__).parent / "scripts"


@dataclass(frozen=True)
class Load:
    """What connections do, over and over.

    Attributes:
        name: what it shows.
        script: of pgbench, in ``scripts/``.
        workload: on whose tables.
        clients: how many connections there are, in turn.
        contenders: who is loaded, by the alias of its database.
        pause: milliseconds between the statement and COMMIT, where the script has one.
    """

    name: str
    script: str
    workload: Workload
    clients: tuple[int, ...]
    contenders: Mapping[str, Contender]
    pause: int = 0


@dataclass(frozen=True)
class Throughput:
    """How much one contender got done under a load.

    Attributes:
        load: its name.
        clients: how many connections there were.
        contender: who it was.
        per_second: transactions.
        latency: milliseconds a transaction took on the average.
        failed: transactions that ended with an error, deadlocks among them.
    """

    load: str
    clients: int
    contender: str
    per_second: float
    latency: float
    failed: int


_ALL = {name: CONTENDERS[name] for name in ("bare", "hand", "tviews")}

LOADS = (
    Load("writes of one row", "one_row.sql", JOIN, (1, 8), _ALL),
    Load("writes of one row to groups", "one_row.sql", GROUPING, (1, 8), _ALL),
    Load("5 ms between statement and COMMIT", "slow_commit.sql", JOIN, (8, 32), _ALL, pause=5),
    # As many transactions at a time, but no more than two processors can serve: what waits, waits
    # for locks.
    Load("50 ms between statement and COMMIT", "slow_commit.sql", JOIN, (32,), _ALL, pause=50),
    Load("5 ms, to groups", "slow_commit.sql", GROUPING, (8, 32), _ALL, pause=5),
    Load(
        "two statements in random order on 12 hot keys",
        "hot_keys.sql",
        HOT,
        (16,),
        {
            "bare": CONTENDERS["bare"],
            "hand": CONTENDERS["hand"],
            "deferred": DeferredTViews(),
        },
    ),
)


def measure(
    databases: Databases, scale: int, seconds: int, note: Callable[[str], None]
) -> Iterator[Throughput]:
    """Put every load on every contender, one after the other.

    Args:
        databases: where to.
        scale: how many rows the main table has.
        seconds: how long each load lasts.
        note: is told what the errors were.

    Raises:
        InexactError: a contender has not kept what it should have kept.
    """
    for load in LOADS:
        databases.fill(load.workload, scale)
        for alias, contender in load.contenders.items():
            databases.copy(alias)
            contender.install(connections[alias], load.workload)
            with connections[alias].cursor() as cursor:
                cursor.execute("VACUUM ANALYZE")
        for clients in load.clients:
            for alias, contender in load.contenders.items():
                yield _run(load, clients, alias, databases.url(alias), scale, seconds, note)
                if contender.exact and (
                    found := differences(connections[alias], contender, load.workload)
                ):
                    raise InexactError(f"{alias} differs after {load.name}: {found}")
        databases.drop(load.contenders)


def _run(
    load: Load,
    clients: int,
    alias: str,
    url: str,
    scale: int,
    seconds: int,
    note: Callable[[str], None],
) -> Throughput:
    ended = subprocess.run(
        [
            server_binaries() / "pgbench",
            *("--no-vacuum", "--file", SCRIPTS / load.script),
            *("--define", f"scale={scale}", "--define", f"pause={load.pause}"),
            *("--client", str(clients), "--jobs", str(min(clients, 2))),
            *("--time", str(seconds), "--failures-detailed", url),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    for line in dict.fromkeys(re.findall(r"ERROR: .*", ended.stderr)):
        note(f"{alias} under {load.name}: {line}")

    def said(pattern: str) -> float:
        found = re.search(pattern, ended.stdout)
        return float(found[1]) if found else 0.0

    return Throughput(
        load.name,
        clients,
        alias,
        said(r"tps = ([\d.]+)"),
        said(r"latency average = ([\d.]+)"),
        int(said(r"number of failed transactions: (\d+)")),
    )
