"""``manage.py tview_sync``: bring functions and triggers in line with package and definitions."""

from __future__ import annotations

from typing import Any

from django_tviews import synchronization
from django_tviews.management.base import ProgressBar, TViewCommand


class Command(TViewCommand):
    """Bring functions and triggers in line with the package and the definitions."""

    help = (
        "Brings functions and triggers of TViews in line with this version of django_tviews and "
        "the definitions, without touching contents."
    )

    def run(self, **options: Any) -> None:
        """Bring one TView after the other in line, and report each."""
        text = options["format"] == "text"
        bar = ProgressBar(self.stderr, shown=text and options["verbosity"] > 0)
        reports = synchronization.sync(*options["labels"], using=options["database"], progress=bar)
        notable = [report for report in reports if report.changes]
        self.write_reports(reports, notable, **options)
