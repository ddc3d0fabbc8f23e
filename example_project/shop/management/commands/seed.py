from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from shop.console import console, row_progress
from shop.seeding import generate, load


def positive_number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


class Command(BaseCommand):
    help = "Fill an empty shop with plausible data, the same at every run."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--products",
            type=positive_number,
            default=10_000,
            metavar="N",
            help="how many products; five times as many reviews (default: %(default)s)",
        )
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS)

    def handle(self, *, products: int, database: str, **options: Any) -> None:
        tables = generate(products)
        for table in tables:
            if table.model.objects.using(database).exists():
                raise CommandError(
                    f"the table {table.model._meta.db_table} is not empty; "
                    "'manage.py flush' empties the shop"
                )
        with row_progress(console()) as progress:
            task = progress.add_task("Seeding", total=sum(len(table.values) for table in tables))
            load(tables, database, lambda rows: progress.advance(task, rows))
