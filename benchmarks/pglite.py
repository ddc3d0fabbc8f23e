"""PGlite: PostgreSQL as a WebAssembly program, for which npm has pg_ivm where no server has it.

Each of its processes is one database with one backend, which connections use in turn. All that it
does takes a multiple of the time that it takes a server; what can be compared are the contenders.
"""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, Final

import psycopg
from django.db import connections

from support.database import database_settings

from .databases import Databases, create_contents, make_known, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .workload import Workload

PATIENCE: Final = 120.0
"""Seconds that a process may take to begin."""

CONNECTIONS: Final = 8
"""How many may be open to a process at once."""


class PGliteDatabases(Databases):
    """Databases of which each is a process of PGlite.

    Args:
        program: ``pglite-server``, where npm has put it beside the extension.
        folder: for the sockets.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program.absolute()
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def fill(self, workload: Workload, scale: int) -> None:
        # A process cannot copy what another one holds.
        self._contents = (workload, scale)

    def copy(self, alias: str) -> None:
        make_known(alias, database_settings(self.url(alias)))
        self.drop([alias])
        self._begin(alias)
        with self.connect(alias) as connection:
            create_contents(connection, *self._contents)

    def url(self, alias: str) -> str:
        folder = str(self._folder / alias)
        return psycopg.conninfo.make_conninfo(host=folder, dbname="postgres", user="postgres")

    def empty(self) -> None:
        pass

    def drop(self, aliases: Iterable[str]) -> None:
        for alias in aliases:
            if process := self._processes.pop(alias, None):
                connections[alias].close()
                process.kill()
                process.wait()
                self._socket(alias).unlink()

    def describe(self) -> dict[str, str]:
        self._begin("described")
        with psycopg.connect(self.url("described")) as connection:
            return settings_of(connection)

    def close(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()

    def _socket(self, alias: str) -> Path:
        return self._folder / alias / ".s.PGSQL.5432"

    def _begin(self, alias: str) -> None:
        """Start the process of an alias.

        Raises:
            RuntimeError: it does not listen.
        """
        socket = self._socket(alias)
        socket.parent.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [
                self._program,
                f"--path={socket}",
                f"--max-connections={CONNECTIONS}",
                "--extensions=@electric-sql/pglite-pg_ivm:pg_ivm",
            ],
            cwd=self._program.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._processes[alias] = process
        deadline = time.monotonic() + PATIENCE
        while not socket.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise RuntimeError(f"{self._program} does not listen: {process.communicate()[0]}")
            time.sleep(0.1)
