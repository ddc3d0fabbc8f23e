"""Scenarios of transactions beside each other, in every order: no drift, at any isolation level.

The command ``python -m tests.interleaving`` runs them at all combinations of levels.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .interleaving.scenarios import (
    COMMITTED,
    COUNTER_EXAMPLES,
    EXCLUDING,
    MORE,
    NAMED_DEADLOCKS,
    REPEATABLE,
    SERIALIZABLE,
    SHARING,
    Pair,
    Scenario,
)
from .interleaving.world import World

if TYPE_CHECKING:
    from .harness import Database

# Of three sessions at most.
ALL_COMMITTED = (COMMITTED, COMMITTED, COMMITTED)
MIXED = (REPEATABLE, COMMITTED, SERIALIZABLE)
MIXED_OTHERWISE = (COMMITTED, SERIALIZABLE, REPEATABLE)


def run(database: Database, scenario: Scenario, mode: str, *mixtures: tuple[str, ...]) -> None:
    """Run a scenario in every order, each session at its level."""
    world = World(database, scenario, mode)
    sessions = len(scenario.transactions)
    for levels in scenario.levels or [mixture[:sessions] for mixture in mixtures]:
        assert list(world.orders(levels))


@pytest.mark.parametrize("scenario", COUNTER_EXAMPLES + MORE, ids=lambda scenario: scenario.name)
def test_every_order_is_exact(database: Database, scenario: Scenario) -> None:
    run(database, scenario, "immediate", ALL_COMMITTED, MIXED, MIXED_OTHERWISE)


@pytest.mark.parametrize(
    "scenario",
    [scenario for scenario in COUNTER_EXAMPLES if "deferred" in scenario.modes],
    ids=lambda scenario: scenario.name,
)
def test_every_order_is_exact_once_deferred_tviews_are_maintained(
    database: Database, scenario: Scenario
) -> None:
    run(database, scenario, "deferred", ALL_COMMITTED)


@pytest.mark.parametrize("scenario", NAMED_DEADLOCKS, ids=lambda scenario: scenario.name)
def test_a_deadlock_that_is_named_happens_and_a_retry_succeeds(
    database: Database, scenario: Scenario
) -> None:
    (mode,), (levels,) = scenario.modes, scenario.levels
    # Whoever fails is run again at the end of each order.
    failures = {
        run.failures[0] for run in World(database, scenario, mode).orders(levels) if run.failures
    }
    assert failures == {"40P01"}


@pytest.mark.parametrize("pair", SHARING + EXCLUDING, ids=lambda pair: pair.shape)
def test_who_shares_does_not_wait_and_who_excludes_does(database: Database, pair: Pair) -> None:
    world = World(database, pair.scenario, "immediate")
    for run in world.orders((COMMITTED, COMMITTED)):
        beside = not run.events[1].endswith(": COMMIT")
        assert (run.waits > 0) == (pair.waits and beside), run


def test_the_page_about_the_locks_names_each_counter_example_and_who_shares() -> None:
    page = Path(__file__).parents[1] / "docs" / "internals" / "concurrency.md"
    text = " ".join(page.read_text("utf-8").split())
    names = [f"*{scenario.name}*" for scenario in COUNTER_EXAMPLES + NAMED_DEADLOCKS]
    shapes = [pair.shape for pair in SHARING + EXCLUDING]
    assert [name for name in names + shapes if name not in text] == []
