"""What all commands of django_tviews have in common.

Standard output is the answer, as text or JSON; everything else goes to standard error. A command
ends with 0 if all is well, with 1 if it found what it was asked to look for (rows that differ,
problems), and with 2 if it could not do its work.
"""

from __future__ import annotations

import json
import math
import shutil
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn, Protocol

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, Error, connections

from django_tviews.errors import TViewError

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence

    from django.core.management.base import OutputWrapper

FOUND: Final = 1
"""Exit code of a command that found what it was asked to look for."""

FAILED: Final = 2
"""Exit code of a command that could not do its work; argparse uses it, too."""

_INSUFFICIENT_PRIVILEGE: Final = "42501"
_RIGHTS: Final = (
    "Run it as the role that migrates. To look, a role needs SELECT on django_tviews_registry, on "
    "the TViews and their backing views, and, where a TView has hidden columns, on what it reads."
)


class Report(Protocol):
    """What there is to say of a TView."""

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON holds it."""


class TViewCommand(BaseCommand):
    """A command over TViews of one database.

    Subclasses add their own arguments in `add_own_arguments` and do their work in `run`. An error
    that explains itself (a `TViewError`, or what the database says) ends the command with 2.
    """

    formats: ClassVar[tuple[str, ...]] = ("text", "json")
    """Formats the command can write; the first is the default."""

    labels_help: ClassVar[str] = "TViews, such as shop.ProductCard, or apps. By default all."

    # A command that looks into what is wrong must run while something is.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the labels, ``--database``, ``--format`` and the arguments of the command."""
        self.add_labels(parser)
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            metavar="ALIAS",
            help='Alias of the database in DATABASES. Defaults to "default".',
        )
        parser.add_argument(
            "--format",
            choices=self.formats,
            default=self.formats[0],
            help=f"What to write to standard output. Defaults to {self.formats[0]}.",
        )
        self.add_own_arguments(parser)

    def add_labels(self, parser: ArgumentParser) -> None:
        """Add the positional arguments."""
        parser.add_argument("labels", nargs="*", metavar="label", help=self.labels_help)

    def add_own_arguments(self, parser: ArgumentParser) -> None:
        """Add what only this command takes."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Do the work; turn errors that explain themselves into a message and exit code 2."""
        del args
        try:
            self.check_database(options["database"])
            self.run(**options)
        except TViewError as error:
            raise CommandError(str(error), returncode=FAILED) from error
        except Error as error:
            explained = TViewError.from_database_error(error) or error
            message = str(explained).strip()
            if getattr(error.__cause__, "sqlstate", None) == _INSUFFICIENT_PRIVILEGE:
                message += f"\nHINT: {_RIGHTS}"
            raise CommandError(message, returncode=FAILED) from error

    @abstractmethod
    def run(self, **options: Any) -> None:
        """Do the work of the command.

        Args:
            **options: the parsed arguments.
        """

    def check_database(self, alias: str) -> None:
        """Refuse an alias that is unknown or not PostgreSQL.

        Raises:
            CommandError: with exit code 2.
        """
        if alias not in connections:
            known = ", ".join(sorted(connections))
            raise CommandError(
                f'There is no database "{alias}" in DATABASES, only: {known}.', returncode=FAILED
            )
        if connections[alias].vendor != "postgresql":
            raise CommandError(
                f'Database "{alias}" is {connections[alias].display_name}; TViews need PostgreSQL.',
                returncode=FAILED,
            )

    def write_json(self, **answer: object) -> None:
        """Write the answer of the command as one JSON object, with its format number first."""
        self.stdout.write(json.dumps({"format": 1, **answer}, indent=2, ensure_ascii=False))

    def write_reports(
        self, reports: Sequence[Report], notable: Sequence[Report], **options: Any
    ) -> None:
        """Write what there is to say of each TView.

        Args:
            reports: of each that there is.
            notable: those that are written with ``-v 0``, too.
            **options: the parsed arguments.
        """
        if options["format"] == "json":
            self.write_json(
                database=options["database"], tviews=[report.as_dict() for report in reports]
            )
            return
        for report in reports if options["verbosity"] > 0 else notable:
            self.stdout.write(str(report))
        if not reports and options["verbosity"] > 0:
            self.stdout.write(f'No TViews are installed in database "{options["database"]}".')

    def found(self, message: str) -> NoReturn:
        """End the command with exit code 1."""
        raise CommandError(message, returncode=FOUND)


class ProgressBar:
    """A line that fills up on a terminal, and nothing at all anywhere else.

    Args:
        stream: where the terminal is, a command's standard error.
        shown: False keeps it silent on a terminal, too.
    """

    WIDTH: Final = 24

    def __init__(self, stream: OutputWrapper, *, shown: bool = True) -> None:
        self._stream = stream
        self._shown = shown and stream.isatty()

    def __call__(self, label: str, done: int, total: int) -> None:
        """Show how far the work on a TView has come; a full bar makes room for what follows."""
        if not self._shown:
            return
        line = ""
        if done < total:
            filled = math.floor(self.WIDTH * done / total)
            bar = "█" * filled + "░" * (self.WIDTH - filled)
            line = f"{bar} {done * 100 // total:3d} % {label}"
        line = line[: shutil.get_terminal_size().columns - 1]
        # Standard error is red on a terminal; str leaves the line as it is.
        self._stream.write(f"\r\x1b[K{line}", style_func=str, ending="")
        self._stream.flush()
