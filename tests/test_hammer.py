"""A bounded run of the hammer: no drift in any snapshot, at any isolation level."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from django_tviews.definition import MODES

from .hammer.run import LEVELS, RETRIED, Hammer, install
from .hammer.shapes import SHAPES

if TYPE_CHECKING:
    from .hammer.shapes import Shape
    from .harness import Database

SECONDS = float(os.environ.get("TVIEWS_HAMMER_SECONDS", "1.5"))
MIXED = tuple(LEVELS) * 2
COMMITTED = ("read committed",) * 6


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("levels", [COMMITTED, MIXED], ids=["read_committed", "mixed"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_writers_leave_no_drift_in_any_snapshot(
    database: Database, shape: Shape, levels: tuple[str, ...], mode: str
) -> None:
    install(database, [shape], mode)
    seed = random.randrange(1000)
    outcome = Hammer(database, levels, SECONDS, seed=seed).run()
    assert outcome.drift == [], f"seed {seed}"
    assert set(outcome.errors) <= RETRIED
    assert outcome.commits
    database.check("the hammer")
