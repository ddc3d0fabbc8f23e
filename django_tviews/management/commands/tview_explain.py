"""``manage.py tview_explain``: how PostgreSQL keeps a TView, and where a write's time goes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.core.management.base import CommandError

from django_tviews import analysis, explanation
from django_tviews.management.base import FAILED, TViewCommand

if TYPE_CHECKING:
    from argparse import ArgumentParser

FILE: Final = "@"
"""What stands before the name of a file with statements."""


class Command(TViewCommand):
    """Explain, per source and event, how a TView is kept; or where the time of a write goes."""

    help = (
        "Explains how a TView is kept: per source and event the route, strategy and SQL. With "
        "--analyze, runs a statement, takes it back, and shows where its time went."
    )

    def add_labels(self, parser: ArgumentParser) -> None:
        """Add the one label."""
        parser.add_argument("label", nargs="?", help="The TView, such as shop.ProductCard.")

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        """Add ``--analyze``."""
        parser.add_argument(
            "--analyze",
            metavar="SQL",
            help="Statements to run and take back; @FILE reads them from a file, @- from "
            "standard input.",
        )

    def run(self, **options: Any) -> None:
        """Write the explanation; SQL is part of it from ``-v 2`` on, and always in JSON."""
        if options["analyze"] is not None:
            if options["label"] is not None:
                raise CommandError(
                    "--analyze takes no label: it shows every TView that the statements reach.",
                    returncode=FAILED,
                )
            self._analyze(_statements(options["analyze"]), **options)
            return
        if options["label"] is None:
            raise CommandError("Give the label of a TView, or --analyze SQL.", returncode=FAILED)
        explained = explanation.explain(options["label"], using=options["database"])
        if options["format"] == "json":
            self.write_json(database=options["database"], **explained.as_dict())
        else:
            self.stdout.write(explained.as_text(with_sql=options["verbosity"] > 1))

    def _analyze(self, statements: str, **options: Any) -> None:
        analyses = analysis.analyze(statements, using=options["database"])
        if options["format"] == "json":
            self.write_json(
                database=options["database"], statements=[each.as_dict() for each in analyses]
            )
        else:
            with_sql = options["verbosity"] > 1
            self.stdout.write("\n\n".join(each.as_text(with_sql=with_sql) for each in analyses))


def _statements(given: str) -> str:
    if not given.startswith(FILE):
        return given
    name = given.removeprefix(FILE)
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}.", returncode=FAILED) from None
