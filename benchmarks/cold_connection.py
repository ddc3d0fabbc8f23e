"""What the first write on a new connection costs, with 0, 1 and 20 TViews on its table.

Django closes its connection after every request by default (``CONN_MAX_AGE = 0``), so that each
request compiles the trigger functions it fires and plans their statements again.

    python -m benchmarks.cold_connection --repeat 15

prints, for each number of TViews, the median milliseconds of the first and of a later UPDATE of
one row, at the client, in a transaction of its own.
"""

from __future__ import annotations

import argparse
import statistics
import time

import django
import psycopg
from django.conf import settings

from support.database import database_settings
from support.postgres import PrivateServer

PRODUCTS = 1_000


def main() -> None:
    """Measure on a private server and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeat", type=int, default=15, help="new connections per measurement")
    repeat = parser.parse_args().repeat
    with PrivateServer() as server:
        settings.configure(
            DATABASES={"default": database_settings(server.url)},
            INSTALLED_APPS=["django_tviews"],
            USE_TZ=True,
        )
        django.setup()
        _prepare()
        print(f"{'TViews':>6}  {'first write':>12}  {'later write':>12}")
        installed = 0
        for number in (0, 1, 20):
            for next_number in range(installed, number):
                _install(next_number)
            installed = max(installed, number)
            first, later = _measure(server.url, repeat)
            print(f"{number:>6}  {first:>9.2f} ms  {later:>9.2f} ms")


def _prepare() -> None:
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE supplier (id bigint PRIMARY KEY, name text NOT NULL);"
            "CREATE TABLE product (id bigint PRIMARY KEY, name text NOT NULL,"
            " supplier_id bigint NOT NULL REFERENCES supplier);"
            "CREATE INDEX ON product (supplier_id);"
            "INSERT INTO supplier SELECT g, 'supplier ' || g FROM generate_series(0, 49) g;"
            "INSERT INTO product SELECT g, 'product ' || g, mod(g, 50)"
            f" FROM generate_series(1, {PRODUCTS}) g;"
        )


def _install(number: int) -> None:
    """Install a join of product and supplier, a TView like any other of its kind."""
    from django.db import connection

    from django_tviews import installer
    from django_tviews.definition import Column, Declaration

    declaration = Declaration(
        label=f"cold.Card{number}",
        table=f"cold_card{number}",
        query="SELECT p.id, p.name, s.name AS supplier_name"
        " FROM product p JOIN supplier s ON s.id = p.supplier_id",
        columns=(
            Column("id", "bigint", nullable=False, output="id"),
            Column("name", "text", nullable=False, output="name"),
            Column("supplier_name", "text", nullable=False, output="supplier_name"),
        ),
        key=("id",),
    )
    with connection.schema_editor() as editor:
        installer.create(
            editor,
            declaration,
            lambda: editor.execute(
                f"CREATE TABLE {declaration.table} (id bigint PRIMARY KEY,"
                " name text NOT NULL, supplier_name text NOT NULL)"
            ),
        )


def _measure(url: str, repeat: int) -> tuple[float, float]:
    """Return the median milliseconds of the first and of a later write."""
    first, later = [], []
    for number in range(repeat):
        row = number % PRODUCTS + 1
        with psycopg.connect(url, autocommit=True) as connection:
            first.append(_write(connection, row))
            later.append(statistics.median(_write(connection, row) for _ in range(10)))
    return statistics.median(first), statistics.median(later)


def _write(connection: psycopg.Connection, row: int) -> float:
    """Give a product another name; return the milliseconds it took."""
    name = f"product at {time.time_ns()}"
    started = time.perf_counter()
    connection.execute("UPDATE product SET name = %s WHERE id = %s", [name, row])
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    main()
