"""The databases: a server, a filled database per workload, and a copy of it per contender."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import django
import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg import sql

from support.database import database_settings
from support.postgres import PrivateServer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .workload import Workload

SERVER: Mapping[str, str] = {
    # What runs in the background would hit one contender and spare another.
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "max_wal_size": "16GB",
    "shared_buffers": "1GB",
    "max_connections": "200",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "maintenance_work_mem": "1GB",
}

DURABLE: Mapping[str, str] = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}

_TEMPLATE = "benchmark_contents"


@contextmanager
def server(url: str | None, *, durable: bool) -> Iterator[str]:
    """Give the URL of a server: of the one named, or of a private one for as long as this lasts.

    Args:
        url: of a running server, as a superuser; None starts a private one.
        durable: the private server waits for the disk at every COMMIT.
    """
    if url is not None:
        yield url
        return
    with PrivateServer(settings={**SERVER, **(DURABLE if durable else {})}) as private:
        yield private.url


def configure(url: str, apps: Iterable[str] = ()) -> None:
    """Set Django up."""
    settings.configure(
        DATABASES={DEFAULT_DB_ALIAS: database_settings(url)},
        INSTALLED_APPS=["django_tviews", "benchmarks", *apps],
        USE_TZ=True,
        # At its best.
        COMPUTEDFIELDS_FASTUPDATE=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()


class Databases:
    """The databases of one workload at one scale, one for each contender.

    Args:
        url: of the server.
    """

    def __init__(self, url: str) -> None:
        self._server = psycopg.connect(url, autocommit=True)
        self._url = url

    def fill(self, workload: Workload, scale: int) -> None:
        """Make the database that `copy` copies."""
        self._create(_TEMPLATE, "template0")
        with psycopg.connect(self._url, dbname=_TEMPLATE, autocommit=True) as connection:
            # In one transaction, since what fills a table of the same transaction is not logged.
            with connection.transaction():
                connection.execute(workload.schema)
                for statement in workload.contents:
                    connection.execute(inline(statement, {"scale": scale}))
                for statement in workload.keys:
                    connection.execute(statement)
            connection.execute("VACUUM (FREEZE, ANALYZE)")

    def copy(self, alias: str) -> None:
        """Give an alias, which need not have been known, a fresh copy of the contents."""
        known = connections.settings
        known.setdefault(alias, {**known[DEFAULT_DB_ALIAS], "NAME": _name(alias)})
        connections[alias].close()
        self._create(_name(alias), _TEMPLATE)

    def connect(self, alias: str) -> psycopg.Connection[Any]:
        """Open a connection to the database of an alias, as clients have it."""
        return psycopg.connect(
            self._url, dbname=_name(alias), autocommit=True, cursor_factory=psycopg.ClientCursor
        )

    def url(self, alias: str) -> str:
        """Return the connection string of the database of an alias."""
        return psycopg.conninfo.make_conninfo(self._url, dbname=_name(alias))

    def empty(self) -> None:
        """Remove the contents, once they have been copied."""
        self._drop(_TEMPLATE)
        self._server.execute("CHECKPOINT")

    def drop(self, aliases: Iterable[str]) -> None:
        """Remove the databases of aliases, and the contents."""
        for alias in aliases:
            if alias in connections.settings:
                connections[alias].close()
            self._drop(_name(alias))
        self._drop(_TEMPLATE)

    def describe(self) -> dict[str, str]:
        """Return the server's version and the settings that matter."""
        names = (
            "server_version",
            "shared_buffers",
            "fsync",
            "synchronous_commit",
            "autovacuum",
            "jit",
        )
        return {
            name: self._server.execute("SELECT current_setting(%s)", [name]).fetchone()[0]
            for name in names
        }

    def close(self) -> None:
        """Close the connection to the server."""
        self._server.close()

    def _create(self, name: str, template: str) -> None:
        self._drop(name)
        self._server.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )

    def _drop(self, name: str) -> None:
        self._server.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


def inline(statement: str, parameters: Mapping[str, int]) -> str:
    """Write numbers into a statement, as a client does that binds parameters itself."""
    return statement % parameters if parameters else statement


def _name(alias: str) -> str:
    return f"benchmark_{alias}"
