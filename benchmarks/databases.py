"""The databases: a server, a filled database per workload, and a copy of it per contender."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

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

REPORTED: Final = (
    "server_version",
    "shared_buffers",
    "fsync",
    "synchronous_commit",
    "autovacuum",
    "jit",
)

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


class Databases(ABC):
    """The databases of one workload at one scale, one for each contender."""

    @abstractmethod
    def fill(self, workload: Workload, scale: int) -> None:
        """Make the contents that `copy` copies."""

    @abstractmethod
    def copy(self, alias: str) -> None:
        """Give an alias, which need not have been known, a fresh copy of the contents."""

    @abstractmethod
    def url(self, alias: str) -> str:
        """Return the connection string of the database of an alias."""

    @abstractmethod
    def empty(self) -> None:
        """Remove the contents, once they have been copied."""

    @abstractmethod
    def drop(self, aliases: Iterable[str]) -> None:
        """Remove the databases of aliases, and the contents."""

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """Return the server's version and the settings that matter."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what is held beside the databases of aliases."""

    def connect(self, alias: str) -> psycopg.Connection[Any]:
        """Open a connection to the database of an alias, as clients have it."""
        return psycopg.connect(
            self.url(alias), autocommit=True, cursor_factory=psycopg.ClientCursor
        )


class ServerDatabases(Databases):
    """Databases of a server, of which each is copied from a template.

    Args:
        url: of the server.
    """

    def __init__(self, url: str) -> None:
        self._server = psycopg.connect(url, autocommit=True)
        self._url = url

    def fill(self, workload: Workload, scale: int) -> None:
        self._create(_TEMPLATE, "template0")
        with psycopg.connect(self._url, dbname=_TEMPLATE, autocommit=True) as connection:
            create_contents(connection, workload, scale)

    def copy(self, alias: str) -> None:
        make_known(alias, {"NAME": _name(alias)})
        self._create(_name(alias), _TEMPLATE)

    def url(self, alias: str) -> str:
        return psycopg.conninfo.make_conninfo(self._url, dbname=_name(alias))

    def empty(self) -> None:
        self._drop(_TEMPLATE)
        self._server.execute("CHECKPOINT")

    def drop(self, aliases: Iterable[str]) -> None:
        for alias in aliases:
            if alias in connections.settings:
                connections[alias].close()
            self._drop(_name(alias))
        self._drop(_TEMPLATE)

    def describe(self) -> dict[str, str]:
        return settings_of(self._server)

    def close(self) -> None:
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


def create_contents(connection: psycopg.Connection[Any], workload: Workload, scale: int) -> None:
    """Create the tables of a workload in an empty database, and fill them."""
    # In one transaction, since what fills a table of the same transaction is not logged.
    with connection.transaction():
        connection.execute(workload.schema)
        for statement in workload.contents:
            connection.execute(inline(statement, {"scale": scale}))
        for statement in workload.keys:
            connection.execute(statement)
    connection.execute("VACUUM (FREEZE, ANALYZE)")


def make_known(alias: str, where: Mapping[str, object]) -> None:
    """Tell Django of an alias, whose database is like the default one but for where it is."""
    known = connections.settings
    known.setdefault(alias, {**known[DEFAULT_DB_ALIAS], **where})
    # What it is connected to is about to be replaced.
    connections[alias].close()


def settings_of(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Return a server's version and the settings that matter."""
    return {
        name: connection.execute("SELECT current_setting(%s)", [name]).fetchone()[0]
        for name in REPORTED
    }


def inline(statement: str, parameters: Mapping[str, int]) -> str:
    """Write numbers into a statement, as a client does that binds parameters itself."""
    return statement % parameters if parameters else statement


def _name(alias: str) -> str:
    return f"benchmark_{alias}"
