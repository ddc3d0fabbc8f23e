"""``manage.py tview_refresh``: recompute TViews and say what changed."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from django_tviews import maintenance
from django_tviews.management.base import FAILED, ProgressBar, TViewCommand

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(TViewCommand):
    """Recompute TViews, or rows of one, and report what changed."""

    help = "Recomputes TViews from their queries, writing only rows that differ."

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        """Add ``--key``."""
        parser.add_argument(
            "--key",
            action="append",
            dest="keys",
            metavar="VALUE",
            help=(
                "Recompute only the row with this key; may be given several times. Separate the "
                "columns of a composite key by commas: --key 7,red."
            ),
        )

    def run(self, **options: Any) -> None:
        """Refresh one TView after the other and report each."""
        text = options["format"] == "text"
        bar = ProgressBar(self.stderr, shown=text and options["verbosity"] > 0)
        keys = options["keys"]
        try:
            reports = maintenance.refresh(
                *options["labels"],
                keys=None if keys is None else [_key(written) for written in keys],
                using=options["database"],
                progress=bar,
            )
        except ValueError as error:
            raise CommandError(str(error), returncode=FAILED) from error
        notable = [report for report in reports if report.changed is not False]
        self.write_reports(reports, notable, **options)


def _key(written: str) -> tuple[str, ...]:
    """Split the columns of a key; a column with a comma in it stands in double quotes."""
    return tuple(next(csv.reader([written], strict=True), [""]))
