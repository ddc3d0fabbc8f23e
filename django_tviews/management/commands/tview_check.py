"""``manage.py tview_check``: look for what is wrong with installed TViews."""

from __future__ import annotations

from typing import Any

from django_tviews import health
from django_tviews.management.base import TViewCommand


class Command(TViewCommand):
    """Look for objects that are missing, outdated, disabled, orphaned or edited by hand."""

    help = "Looks for what is wrong with the objects of TViews; ends with 1 if something is."

    def run(self, **options: Any) -> None:
        """Report every problem, and end with 1 if there is one."""
        problems = health.check(*options["labels"], using=options["database"])
        if options["format"] == "json":
            self.write_json(
                database=options["database"], problems=[problem.as_dict() for problem in problems]
            )
        else:
            for problem in problems:
                self.stdout.write(str(problem))
            if not problems and options["verbosity"] > 0:
                self.stdout.write("Everything is as it should be.")
        if problems:
            self.found("1 problem." if len(problems) == 1 else f"{len(problems)} problems.")
