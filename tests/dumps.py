"""Dumping a database of the harness with the server's own programs, and restoring it."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connections
from psycopg.conninfo import make_conninfo

from support.database import database_settings
from support.postgres import PrivateServer

from .harness import ALIAS, Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def url(database: Database) -> str:
    """Where a database is, as the server's programs want it."""
    parameters = database.connection.get_connection_params()
    return make_conninfo(
        **{
            name: parameters[name]
            for name in ("host", "port", "user", "dbname", "password")
            if parameters.get(name)
        }
    )


def dump(database: Database, programs: Path, *options: str) -> bytes:
    """Return what pg_dump writes about a database."""
    return subprocess.run(
        [programs / "pg_dump", "--dbname", url(database), *options],
        check=True,
        capture_output=True,
    ).stdout


def restore(database: Database, programs: Path, archive: Path, *options: str) -> None:
    """Let pg_restore read an archive."""
    subprocess.run(
        [
            *(programs / "pg_restore", "--exit-on-error", "--dbname", url(database)),
            *(*options, archive),
        ],
        check=True,
        capture_output=True,
    )


def psql(database: Database, programs: Path, script: bytes) -> None:
    """Let psql execute a script."""
    subprocess.run(
        [
            *(programs / "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"),
            *("--dbname", url(database)),
        ],
        input=script,
        check=True,
        capture_output=True,
    )


@contextmanager
def empty_database(database: Database) -> Iterator[Database]:
    """Give a second database of the server, under the same alias, with the same TViews expected."""
    usual = connections[ALIAS]
    name = f"{usual.settings_dict['NAME']}_restored"
    database.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    connections[ALIAS] = type(usual)({**usual.settings_dict, "NAME": name}, ALIAS)
    try:
        yield Database(database.schema, connections[ALIAS], list(database.tviews))
    finally:
        connections[ALIAS].close()
        connections[ALIAS] = usual
        database.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def cluster_of_its_own(database: Database) -> Iterator[Database]:
    """Give the empty database of a fresh server, under the same alias, with the same TViews."""
    usual = connections[ALIAS]
    with PrivateServer() as server:
        there = {**usual.settings_dict, **database_settings(server.url)}
        connections[ALIAS] = type(usual)(there, ALIAS)
        try:
            yield Database(database.schema, connections[ALIAS], list(database.tviews))
        finally:
            connections[ALIAS].close()
            connections[ALIAS] = usual
