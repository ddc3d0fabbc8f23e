"""``manage.py tview_explain``: how PostgreSQL keeps a TView."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django_tviews import explanation
from django_tviews.management.base import TViewCommand

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(TViewCommand):
    """Explain, per source and event, how a TView is kept."""

    help = "Explains how a TView is kept: per source and event the route, strategy and SQL."

    def add_labels(self, parser: ArgumentParser) -> None:
        """Add the one label."""
        parser.add_argument("label", help="The TView, such as shop.ProductCard.")

    def run(self, **options: Any) -> None:
        """Write the explanation; SQL is part of it from ``-v 2`` on, and always in JSON."""
        explained = explanation.explain(options["label"], using=options["database"])
        if options["format"] == "json":
            self.write_json(database=options["database"], **explained.as_dict())
        else:
            self.stdout.write(explained.as_text(with_sql=options["verbosity"] > 1))
