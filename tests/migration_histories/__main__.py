"""``python -m tests.migration_histories``: go through histories, for as long as you like."""

from __future__ import annotations

import argparse
import random
import sys
import time
from itertools import count
from typing import TYPE_CHECKING

import django

from tests.programs import django_beside_a_server

if TYPE_CHECKING:
    from collections.abc import Iterator


def main() -> int:
    """Run a campaign and report; exit code 1 if a history failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.migration_histories")
    parser.add_argument("--histories", type=int, default=20, help="how many")
    parser.add_argument("--minutes", type=float, default=60, help="how long at most")
    parser.add_argument("--seed", type=int, help="where choices come from; by default a new one")
    parser.add_argument("--history", help="one history, as a report names it: 7:12")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a failure")
    parser.add_argument("--no-shrink", action="store_true", help="report failures as they are")
    arguments = parser.parse_args()
    with django_beside_a_server():
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    from django.db import connection

    from .campaign import Campaign

    campaign = Campaign(connection)
    failed = 0
    for seed in _seeds(arguments):
        compared = campaign.tally.compared
        found = campaign.run_history(seed)
        outcome = f"{campaign.tally.compared - compared} comparisons" if found is None else "failed"
        _say(f"{seed}: {outcome}")
        if found is not None:
            failed += 1
            if not arguments.no_shrink:
                found = campaign.shrunk(found)
            _say(f"{found.report()}\n{'=' * 80}")
            if not arguments.keep_going:
                break
    _say(f"{campaign.tally.report()}\n{failed} failed; Django {django.__version__}")
    return int(failed > 0)


def _seeds(arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.history:
        yield arguments.history
        return
    seed = random.randrange(1_000_000) if arguments.seed is None else arguments.seed
    until = time.monotonic() + arguments.minutes * 60
    for number in count():
        if number == arguments.histories or time.monotonic() > until:
            return
        yield f"{seed}:{number}"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
