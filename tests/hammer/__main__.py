"""``python -m tests.hammer --minutes 10``: writers in all modes and at all levels, for long."""

from __future__ import annotations

import argparse
import random
import sys
import time

from tests.programs import add_strategies, django_beside_a_server

from .run import LEVELS, RETRIED, Hammer, Outcome, install
from .shapes import SHAPES

MIXES = {
    **{name: (name,) for name in LEVELS},
    "mixed": tuple(LEVELS),
}


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run until the time is over; exit code 1 if anything differed or failed otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.hammer", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--only", default="", help="a part of the name of shapes")
    parser.add_argument("--round", type=float, default=10.0, help="seconds between new choices")
    add_strategies(parser)
    arguments = parser.parse_args()
    with django_beside_a_server(arguments.without):
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    from tests.harness import fresh_database

    _say(f"seed {arguments.seed}")
    chance = random.Random(arguments.seed)
    shapes = [shape for shape in SHAPES if arguments.only in shape.name]
    total = Outcome()
    end = time.monotonic() + 60 * arguments.minutes
    while time.monotonic() < end:
        chosen = chance.sample(shapes, min(len(shapes), 4))
        mix = chance.choice(list(MIXES))
        mode = chance.choice(["immediate", "deferred"])
        levels = [chance.choice(MIXES[mix]) for _ in range(arguments.connections)]
        with fresh_database() as database:
            install(database, chosen, mode)
            hammer = Hammer(
                database,
                levels,
                arguments.round,
                seed=chance.randrange(10**6),
                ids=chance.choice([3, 5, 12]),
                statements=chance.choice([1, 3, 5]),
            )
            outcome = hammer.run()
            database.check("the hammer")
        names = ", ".join(shape.name for shape in chosen)
        _say(f"{mode}, {mix}: {names}\n    {outcome}")
        total.add(outcome)
    _say(f"all: {total}")
    for label, rows in total.drift[:10]:
        _say(f"{label}: {rows[:5]}")
    return int(bool(total.drift) or not set(total.errors) <= RETRIED)


if __name__ == "__main__":
    sys.exit(main())
