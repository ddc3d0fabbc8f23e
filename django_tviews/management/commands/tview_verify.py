"""``manage.py tview_verify``: compare TViews with their queries."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Any, Final

from django_tviews import maintenance
from django_tviews.management.base import ProgressBar, TViewCommand

if TYPE_CHECKING:
    from argparse import ArgumentParser


_NEXT: Final = "tview_check says what went past the triggers; --repair brings the rows up to date."


class Command(TViewCommand):
    """Compare TViews with their queries, and repair those that differ if asked to."""

    help = "Compares TViews with their queries; ends with 1 if one differs."

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        """Add ``--repair`` and ``--limit``."""
        parser.add_argument(
            "--repair", action="store_true", help="Bring TViews that differ up to date."
        )
        parser.add_argument(
            "--limit",
            type=_number,
            default=maintenance.LISTED,
            metavar="N",
            help=f"How many differing keys to list for each; {maintenance.LISTED} by default.",
        )

    def run(self, **options: Any) -> None:
        """Verify one TView after the other, report each, and end with 1 if one differed."""
        text = options["format"] == "text"
        reports = maintenance.verify(
            *options["labels"],
            using=options["database"],
            repair=options["repair"],
            limit=options["limit"],
            progress=ProgressBar(self.stderr, shown=text and options["verbosity"] > 0),
        )
        notable = [report for report in reports if not report.exact]
        self.write_reports(reports, notable, **options)
        different = [report.label for report in notable]
        if different:
            verb = "differs" if len(different) == 1 else "differ"
            after = "; repaired." if options["repair"] else f".\nHINT: {_NEXT}"
            self.found(f"{', '.join(different)} {verb} from the query{after}")


def _number(written: str) -> int:
    if not written.isdecimal():
        raise ArgumentTypeError(f'"{written}" is no number of keys.')
    return int(written)
