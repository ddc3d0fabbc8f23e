"""``python -m tests.interleaving``: every scenario, at all combinations of isolation levels."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from itertools import product

from tests.programs import add_strategies, django_beside_a_server

from .scenarios import LEVELS, SCENARIOS


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run them; exit code 1 if one left a differing row or failed otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.interleaving", description=__doc__)
    parser.add_argument("--only", default="", help="a part of the name of scenarios")
    add_strategies(parser)
    arguments = parser.parse_args()
    with django_beside_a_server(arguments.without):
        return _run(arguments.only)


def _run(only: str) -> int:
    from tests.harness import fresh_database

    from .world import World

    failed = 0
    total: Counter[str] = Counter()
    start = time.monotonic()
    for scenario in SCENARIOS:
        if only not in scenario.name:
            continue
        for mode in scenario.modes:
            counts: Counter[str] = Counter()
            try:
                with fresh_database() as database:
                    world = World(database, scenario, mode)
                    all_levels = product(LEVELS, repeat=len(scenario.transactions))
                    for levels in scenario.levels or all_levels:
                        for run in world.orders(levels):
                            counts["orders"] += 1
                            counts["waits"] += run.waits
                            counts.update(run.failures)
            except AssertionError as error:
                failed += 1
                _say(f"{scenario.name}, {mode}, {levels}: FAILED\n{error}")
            _say(f"{scenario.name}, {mode}: {dict(counts)}")
            total += counts
    _say(f"all: {dict(total)} in {time.monotonic() - start:.0f} s, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
