"""A bounded run of the fuzzer: the seed it always has, and one that nobody has tried."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from django.db import connections

from .fuzz.campaign import Campaign

if TYPE_CHECKING:
    from pytest_django import DjangoDbBlocker

MINUTES = 0.5


def test_no_statement_makes_a_tview_differ_from_its_query(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> None:
    # One after the other: campaigns have schemas of the same names.
    for seed in (20260727, random.SystemRandom().randrange(10**6)):
        with django_db_blocker.unblock():
            connection = connections["default"]
            try:
                campaign = Campaign(connection)
                found = campaign.run(seed, MINUTES)
                report = campaign.shrunk(found).report() if found else ""
            finally:
                connection.close()
        assert not found, report
        assert campaign.tally.moved > 50, campaign.tally.report()
