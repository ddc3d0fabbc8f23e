"""``python -m tests.fuzz``: look for drift, for as long as you like."""

from __future__ import annotations

import argparse
import random
import sys
import time
from itertools import count
from typing import TYPE_CHECKING

from tests.programs import add_strategies, django_beside_a_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .campaign import Campaign, Found


def main() -> int:
    """Run a campaign and report; exit code 1 if a case failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1, help="how long")
    parser.add_argument("--seed", type=int, help="where choices come from; by default a new one")
    parser.add_argument("--case", help="one case, as a report names it: 7:12")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a failure")
    parser.add_argument("--no-shrink", action="store_true", help="report failures as they are")
    parser.add_argument("--examples", action="store_true", help="show a query for each refusal")
    add_strategies(parser)
    arguments = parser.parse_args()
    with django_beside_a_server(arguments.without):
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    from django.db import connection

    from .campaign import Campaign

    campaign = Campaign(connection)
    failed = False
    for seed in _seeds(arguments):
        found = campaign.run_case(seed)
        if found is not None:
            failed = True
            _report(campaign, found, arguments)
            if not arguments.keep_going:
                break
    _say(campaign.tally.report())
    if arguments.examples:
        for construct, example in sorted(campaign.tally.examples.items()):
            _say(f"--- {construct}\n{example}")
    return int(failed)


def _seeds(arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.case:
        yield arguments.case
        return
    seed = random.randrange(1_000_000) if arguments.seed is None else arguments.seed
    until = time.monotonic() + arguments.minutes * 60
    for number in count():
        if time.monotonic() > until:
            return
        yield f"{seed}:{number}"


def _report(campaign: Campaign, found: Found, arguments: argparse.Namespace) -> None:
    if not arguments.no_shrink:
        found = campaign.shrunk(found)
    _say(f"{found.report()}\n{'=' * 80}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
