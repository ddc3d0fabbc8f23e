"""``manage.py tview_check``: look for what is wrong with installed TViews."""

from __future__ import annotations

from dataclasses import asdict
from textwrap import indent
from typing import TYPE_CHECKING, Any

from django_tviews import health
from django_tviews.isolation import isolation
from django_tviews.management.base import TViewCommand
from django_tviews.waiting import waits

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sized


class Command(TViewCommand):
    """Look for what is wrong with TViews: their objects, who writes past them, who waits."""

    help = "Looks for what is wrong with the objects of TViews; ends with 1 if something is."

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        """Add ``--isolation``."""
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--isolation",
            action="store_true",
            help="Say what transactions of the database get, and what TViews promise in them.",
        )
        what.add_argument(
            "--locks",
            action="store_true",
            help="Say who waits for which TView and key, and who holds it; never ends with 1.",
        )

    def run(self, **options: Any) -> None:
        """Report what was asked for, and end with 1 if there is a problem."""
        if options["isolation"]:
            self.isolation(**options)
        elif options["locks"]:
            self.locks(**options)
        else:
            self.objects(**options)

    def objects(self, **options: Any) -> None:
        """Report objects that are missing, outdated, disabled, orphaned or edited by hand."""
        problems = health.check(*options["labels"], using=options["database"])
        missing = health.advice(*options["labels"], using=options["database"])
        if options["format"] == "json":
            self.write_json(
                database=options["database"],
                problems=[problem.as_dict() for problem in problems],
                missing_indexes=[asdict(index) for index in missing],
            )
        else:
            for problem in problems:
                self.stdout.write(str(problem))
            if not problems and options["verbosity"] > 0:
                self.stdout.write("Everything is as it should be.")
            if missing and options["verbosity"] > 0:
                self.stdout.write("Indexes that would spare scans of whole tables:")
                for index in missing:
                    self.stdout.write(indent(str(index), "    "))
        self.end(problems)

    def isolation(self, **options: Any) -> None:
        """Report settings, isolation levels and promises."""
        report = isolation(*options["labels"], using=options["database"])
        if options["format"] == "json":
            self.write_json(**report.as_dict())
        else:
            self.stdout.write(str(report))
        self.end(report.problems)

    def locks(self, **options: Any) -> None:
        """Report who waits, and for whom; it is no fault to wait."""
        found = waits(*options["labels"], using=options["database"])
        if options["format"] == "json":
            self.write_json(database=options["database"], waits=[each.as_dict() for each in found])
            return
        for each in found:
            self.stdout.write(f"{each}\n")
        if not found and options["verbosity"] > 0:
            self.stdout.write("Nobody waits for a TView.")

    def end(self, problems: Sized) -> None:
        """End with 1 if there are problems."""
        if problems:
            self.found("1 problem." if len(problems) == 1 else f"{len(problems)} problems.")
