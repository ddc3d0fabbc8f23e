"""``manage.py tview_inspect``: write the class of a TView for a query."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from django.apps import apps
from django.core.management.base import CommandError

from django_tviews import inspection
from django_tviews.management.base import FAILED, TViewCommand
from django_tviews.query import SQLFile

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(TViewCommand):
    """Write a TView for a SELECT or a .sql file, as inspectdb writes models for tables."""

    help = "Writes the class of a TView for a query: its fields, primary key and relations."
    formats: ClassVar[tuple[str, ...]] = ("python", "json")

    def add_labels(self, parser: ArgumentParser) -> None:
        """Add the one query."""
        parser.add_argument(
            "query",
            help="A SELECT, a file that ends in .sql, or - for standard input.",
        )

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        """Add ``--name``."""
        parser.add_argument(
            "--name",
            metavar="CLASS",
            help="Name of the class. Defaults to that of the file, or to NewTView.",
        )

    def run(self, **options: Any) -> None:
        """Inspect the query and write the class."""
        sql, path = _read(options["query"])
        name = options["name"] or (_class_name(path) if path else "") or "NewTView"
        if not name.isidentifier() or keyword.iskeyword(name):
            raise CommandError(f'"{name}" cannot be the name of a class.', returncode=FAILED)
        inspected = inspection.inspect_query(
            sql, name=name, file=_in_app(path) if path else None, using=options["database"]
        )
        if options["format"] == "json":
            self.write_json(database=options["database"], **inspected.as_dict())
        else:
            self.stdout.write(str(inspected))


def _read(query: str) -> tuple[str, Path | None]:
    """Return the text of a query, and the file it stands in."""
    if query == "-":
        return sys.stdin.read(), None
    if not query.endswith(".sql"):
        return query, None
    path = Path(query)
    try:
        return path.read_text(encoding="utf-8"), path
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}.", returncode=FAILED) from error


def _class_name(path: Path) -> str:
    """Return ``CategoryStatistics`` for ``category_statistics.sql``."""
    words = re.findall(r"[^\W_]+", path.stem)
    return "".join(word[:1].upper() + word[1:] for word in words)


def _in_app(path: Path) -> SQLFile | None:
    """Return how a TView refers to a file, if it is in the directory of an app."""
    absolute = path.resolve()
    directories = [Path(config.path).resolve() for config in apps.get_app_configs()]
    around = [directory for directory in directories if absolute.is_relative_to(directory)]
    if not around:
        return None
    nearest = max(around, key=lambda directory: len(directory.parts))
    return SQLFile(absolute.relative_to(nearest).as_posix())
