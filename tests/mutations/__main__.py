"""``python -m tests.mutations``: switch off each rule in turn, and show which test notices."""

from __future__ import annotations

import argparse
import sys

from .laboratory import laboratory
from .record import PAGE, known_witnesses, page
from .rules import MUTATIONS


def main() -> int:
    """Try the mutations; exit code 1 if one survives."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--only", default="", help="a part of the sentence of a rule")
    parser.add_argument("--new", action="store_true", help="only those that no test is known for")
    arguments = parser.parse_args()
    witnesses = dict(known_witnesses())
    chosen = [
        each
        for each in MUTATIONS
        if arguments.only in each.rule and not (arguments.new and each.rule in witnesses)
    ]
    survived = 0
    with laboratory() as room:
        for mutation in chosen:
            outcome = room.outcome(mutation, first=witnesses.pop(mutation.rule, ""))
            if outcome.noticed_by:
                witnesses[mutation.rule] = outcome.noticed_by
            else:
                survived += 1
            sys.stdout.write(f"{outcome.report()}\n")
            sys.stdout.flush()
            PAGE.write_text(page(witnesses), "utf-8")
    sys.stdout.write(f"{len(chosen)} mutations, {survived} survived\n")
    return int(survived > 0)


if __name__ == "__main__":
    sys.exit(main())
