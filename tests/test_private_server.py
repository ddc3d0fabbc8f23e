"""The private server the suite and the demo run on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from support.database import database_settings
from support.postgres import PrivateServer, ServerError

ROOT = Path(__file__).parent.parent


def _directory(url: str) -> Path:
    return Path(str(database_settings(url)["HOST"]))


def _gone(directory: Path) -> bool:
    deadline = time.monotonic() + 10
    while directory.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not directory.exists()


def test_a_private_server_is_gone_after_its_block() -> None:
    with PrivateServer() as server:
        url = server.url
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not _directory(url).exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


def test_a_private_server_does_not_outlive_a_killed_program() -> None:
    program = (
        "from support.postgres import PrivateServer\n"
        "server = PrivateServer()\n"
        "server.start()\n"
        "print(server.url, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        directory = _directory(process.stdout.readline().strip())
        assert directory.exists()
        os.kill(process.pid, signal.SIGKILL)
    assert _gone(directory)


def test_a_server_that_cannot_start_says_why_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)  # the server's account is not ours if we are root
        monkeypatch.setenv("TMPDIR", directory)
        server = PrivateServer(settings={"max_connections": "many"})
        with pytest.raises(ServerError, match='invalid value for parameter "max_connections"'):
            server.start()
        assert list(Path(directory).iterdir()) == []


def test_a_server_without_its_programs_is_refused_by_the_directory_s_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TVIEWS_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(ServerError, match=str(tmp_path)):
        PrivateServer()


def test_a_server_that_was_not_started_has_no_address() -> None:
    with pytest.raises(ServerError, match="has not been started"):
        PrivateServer().url  # noqa: B018


def test_the_settings_of_a_url_keep_what_django_has_no_name_for() -> None:
    assert database_settings("postgresql://ann:pw@db.example:5433/shop?sslmode=require") == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "shop",
        "USER": "ann",
        "PASSWORD": "pw",
        "HOST": "db.example",
        "PORT": "5433",
        "OPTIONS": {"sslmode": "require"},
    }
