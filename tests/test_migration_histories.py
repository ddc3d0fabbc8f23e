"""A bounded run of random histories; what looks for new ones is a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .migration_histories.campaign import Campaign

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

HISTORIES, SECONDS = 4, 8


@pytest.mark.parametrize("seed", [20261123, 9311])
def test_tviews_stay_exact_through_any_history_of_migrations(
    own_connection: BaseDatabaseWrapper, seed: int
) -> None:
    campaign = Campaign(own_connection)
    found = campaign.run((f"{seed}:{number}" for number in range(HISTORIES)), SECONDS)
    report = campaign.shrunk(found, seconds=60).report() if found else ""
    assert not found, report
    assert campaign.tally.compared > 20, campaign.tally.report()
