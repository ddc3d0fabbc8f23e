"""A bounded run of random histories; what looks for new ones is a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connections

from .migration_histories.campaign import Campaign

if TYPE_CHECKING:
    from pytest_django import DjangoDbBlocker

HISTORIES, SECONDS = 4, 8


@pytest.mark.parametrize("seed", [20261123, 9311])
def test_tviews_stay_exact_through_any_history_of_migrations(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, seed: int
) -> None:
    with django_db_blocker.unblock():
        connection = connections["default"]
        try:
            campaign = Campaign(connection)
            found = campaign.run((f"{seed}:{number}" for number in range(HISTORIES)), SECONDS)
            report = campaign.shrunk(found, seconds=60).report() if found else ""
        finally:
            connection.close()
    assert not found, report
    assert campaign.tally.compared > 20, campaign.tally.report()
