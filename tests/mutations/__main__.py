"""``python -m tests.mutations``: switch off each rule in turn, and show which test notices."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from .laboratory import BrokenMutationError, laboratory
from .record import PAGE, known_witnesses, page
from .rules import MUTATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the mutations; exit code 1 if one survives, or could not be tried.

    Args:
        arguments: of the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--only", default="", help="a part of the sentence of a rule")
    parser.add_argument("--new", action="store_true", help="only those that no test is known for")
    options = parser.parse_args(arguments)
    witnesses = dict(known_witnesses())
    chosen = [
        each
        for each in MUTATIONS
        if options.only in each.rule and not (options.new and each.rule in witnesses)
    ]
    survived = broken = 0
    with laboratory() as room:
        for mutation in chosen:
            try:
                outcome = room.outcome(mutation, first=witnesses.get(mutation.rule, ""))
            except BrokenMutationError as error:
                broken += 1
                report = f"{mutation.rule}\n    -> NOT TRIED: {error}"
            else:
                witnesses.pop(mutation.rule, None)
                if outcome.noticed_by:
                    witnesses[mutation.rule] = outcome.noticed_by
                else:
                    survived += 1
                report = outcome.report()
            sys.stdout.write(f"{report}\n")
            sys.stdout.flush()
            PAGE.write_text(page(witnesses), "utf-8")
    sys.stdout.write(f"{len(chosen)} mutations, {survived} survived, {broken} not tried\n")
    return int(survived + broken > 0)


if __name__ == "__main__":
    sys.exit(main())
