from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

import psycopg
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from psycopg import sql
from rich import box
from rich.syntax import Syntax
from rich.table import Table

from shop.console import console
from shop.demonstration import create_materialized_views, measure
from shop.management.commands.seed import positive_number
from shop.writes import WRITES
from support.database import database_settings
from support.postgres import PrivateServer, ServerError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from shop.demonstration import Measurement

VALUE_WIDTH = 30
SHOWN_CHANGES = 8
ABSENT = "-"


class Command(BaseCommand):
    help = (
        "Show what TViews do: seed a shop, write to it in six ways, look at the TViews. Runs in a "
        "PostgreSQL server of its own, or in a database of its own on the server that "
        "TVIEWS_DATABASE_URL names, and leaves nothing behind."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--products",
            type=positive_number,
            default=10_000,
            metavar="N",
            help="how many products to seed; five times as many reviews (default: %(default)s)",
        )

    def handle(self, *, products: int, **options: Any) -> None:
        self.console = console()
        try:
            with _server_url() as url, _database_of_its_own(url):
                self.demonstrate(products)
        except ServerError as error:
            raise CommandError(str(error)) from error

    def demonstrate(self, products: int) -> None:
        self.heading("1. A shop: nine models and five TViews")
        started = time.perf_counter()
        call_command("migrate", verbosity=0)
        seconds = time.perf_counter() - started
        self.console.print(f"{_server_name()}: migrated in {seconds:.1f} s.\n")
        call_command("seed", products=products)
        create_materialized_views()

        self.heading("2. What reads what")
        self.console.print("$ manage.py tview_graph\n", style="dim")
        call_command("tview_graph")

        self.heading("3. Six ways to write, and a row of a TView before and after")
        measurements = [self.show(measure(write)) for write in WRITES]

        self.heading("4. Side by side")
        self.console.print(_summary(measurements))
        self.console.print(
            "'with TViews' is the whole write until COMMIT, with all TViews brought up to date.\n"
            "'REFRESH' is REFRESH MATERIALIZED VIEW of the queries of the TViews that changed:\n"
            "what it takes to show the same with materialized views.",
            style="dim",
        )

        self.heading("5. Is every row of every TView what its query says?")
        self.console.print("$ manage.py tview_verify\n", style="dim")
        call_command("tview_verify")

    def heading(self, text: str) -> None:
        self.console.print()
        self.console.print(text, style="bold")
        self.console.print()

    def show(self, measurement: Measurement) -> Measurement:
        self.console.print(measurement.write.title, style="bold cyan")
        self.console.print(
            Syntax(measurement.write.code, "python", theme="ansi_dark", background_color="default")
        )
        table = Table(measurement.shown.__name__, "before", "after", box=box.SIMPLE)
        changes = _changes(measurement)
        for change in changes[:SHOWN_CHANGES]:
            table.add_row(*change)
        if len(changes) > SHOWN_CHANGES:
            table.add_row(f"and {len(changes) - SHOWN_CHANGES} more")
        self.console.print(table)
        self.console.print(
            f"{measurement.milliseconds:,.1f} ms; rows changed in {_names(measurement)}: "
            f"{sum(measurement.rows.values()):,}\n"
        )
        return measurement


@contextlib.contextmanager
def _server_url() -> Iterator[str]:
    """The server that was named, or a private one for as long as the demo runs."""
    named = os.environ.get("TVIEWS_DATABASE_URL")
    if named:
        yield named
    else:
        with PrivateServer() as server:
            yield server.url


@contextlib.contextmanager
def _database_of_its_own(url: str) -> Iterator[None]:
    """Create a database, let Django use it, and drop it again."""
    name = f"tviews_demo_{os.getpid()}"
    database = sql.Identifier(name)
    try:
        administration = psycopg.connect(url, autocommit=True)
        administration.execute(sql.SQL("CREATE DATABASE {}").format(database))
    except psycopg.Error as error:
        raise CommandError(f"the demo needs a database of its own: {error}") from error
    with administration:
        try:
            connection.settings_dict.update(database_settings(url), NAME=name)
            yield
        finally:
            connection.close()
            administration.execute(sql.SQL("DROP DATABASE {}").format(database))


def _server_name() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (version,) = cursor.fetchone()
    return f"PostgreSQL {version}"


def _summary(measurements: list[Measurement]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("write")
    table.add_column("TViews changed", max_width=34)
    for header in ("rows", "with TViews\nms", "REFRESH\nms", "ratio"):
        table.add_column(header, justify="right")
    for measurement in measurements:
        table.add_row(
            measurement.write.title,
            _names(measurement),
            f"{sum(measurement.rows.values()):,}",
            f"{measurement.milliseconds:,.1f}",
            f"{measurement.refresh_milliseconds:,.1f}",
            f"{measurement.refresh_milliseconds / measurement.milliseconds:,.1f} x",
        )
    return table


def _names(measurement: Measurement) -> str:
    return ", ".join(tview.__name__ for tview in measurement.rows)


def _changes(measurement: Measurement) -> list[tuple[str, str, str]]:
    """Path, old value and new value of everything in the shown row that is not what it was."""
    before, after = measurement.before, measurement.after
    return [
        (path, _clipped(before.get(path, ABSENT)), _clipped(after.get(path, ABSENT)))
        for path in {**before, **after}
        if before.get(path, ABSENT) != after.get(path, ABSENT)
    ]


def _clipped(value: object) -> str:
    text = str(value)
    return text if len(text) <= VALUE_WIDTH else f"{text[: VALUE_WIDTH - 1]}…"
