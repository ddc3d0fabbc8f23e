"""A bounded run of the hammer: no drift in any snapshot, at any isolation level, in both modes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from django_tviews.definition import MODES

from .hammer.run import LEVELS, RETRIED, Hammer, install
from .hammer.shapes import SHAPES, grouped

if TYPE_CHECKING:
    from .hammer.shapes import Shape
    from .harness import Database

SECONDS = 2.0
MIXED = tuple(LEVELS) * 2
COMMITTED = ("read committed",) * 6


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("levels", [COMMITTED, MIXED], ids=["read_committed", "mixed"])
@pytest.mark.parametrize("shapes", grouped(SHAPES, 8), ids=lambda shapes: shapes[0].name)
def test_writers_leave_no_drift_in_any_snapshot(
    database: Database, shapes: tuple[Shape, ...], levels: tuple[str, ...], mode: str
) -> None:
    install(database, shapes, mode)
    seed = random.randrange(1000)
    outcome = Hammer(database, levels, SECONDS, seed=seed).run()
    assert outcome.drift == [], f"seed {seed}"
    assert set(outcome.errors) <= RETRIED
    assert outcome.commits
    database.check(f"the hammer, seed {seed}")
