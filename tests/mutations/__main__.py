"""``python -m tests.mutations``: switch off each rule in turn, and show which test notices."""

from __future__ import annotations

import argparse
import sys

from .laboratory import laboratory
from .rules import MUTATIONS


def main() -> int:
    """Try the mutations; exit code 1 if one survives."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--only", default="", help="a part of the sentence of a rule")
    arguments = parser.parse_args()
    chosen = [each for each in MUTATIONS if arguments.only in each.rule]
    survived = 0
    with laboratory() as room:
        for mutation in chosen:
            outcome = room.outcome(mutation)
            survived += not outcome.noticed_by
            sys.stdout.write(f"{outcome.report()}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(chosen)} mutations, {survived} survived\n")
    return int(survived > 0)


if __name__ == "__main__":
    sys.exit(main())
