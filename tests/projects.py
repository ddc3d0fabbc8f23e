"""Projects in a directory, with a database of their own, run as a developer runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from support.database import database_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parent.parent

# What scripts start with: said() gives what a command prints.
_PRELUDE = """
import io, json, sys
import django
django.setup()
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django_tviews.maintenance import verify

def said(*arguments):
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=out, no_color=True)
    return out.getvalue()

def rows(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()

def made():
    known = set(MigrationLoader(None).disk_migrations)
    said("makemigrations", "--no-input")
    disk = MigrationLoader(None).disk_migrations
    return [
        f"{key[0]}: {type(operation).__name__}"
        for key in sorted(disk.keys() - known)
        for operation in disk[key].operations
    ]

"""


class Project:
    """A project.

    Args:
        directory: an empty one.
        database: settings of its database.
        installed: its apps.
        own: those of them that are made here.
        settings: more lines of its settings.
    """

    def __init__(
        self,
        directory: Path,
        database: dict[str, Any],
        installed: Sequence[str],
        own: Sequence[str],
        settings: str = "",
    ) -> None:
        self.directory = directory
        for app in own:
            self.write(f"{app}/__init__.py", "")
            self.write(f"{app}/migrations/__init__.py", "")
        self.write(
            "settings.py",
            f"INSTALLED_APPS = {list(installed)!r}\n"
            f"DATABASES = {{'default': {database!r}}}\n"
            "SECRET_KEY = 'only for tests'\n"
            "DEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'\n" + settings,
        )

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        file = self.directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run(self, script: str) -> Any:
        """Run a script in a process of its own, and return what it says as JSON in the end."""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _PRELUDE + script],
            env=os.environ
            | {
                "DJANGO_SETTINGS_MODULE": "settings",
                "PYTHONPATH": os.pathsep.join([str(self.directory), str(ROOT)]),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def own_settings(server_url: str) -> Iterator[dict[str, Any]]:
    """Settings of a database that is empty, and of this test only."""
    name = f"tviews_project_{os.getpid()}"
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        yield {**database_settings(server_url), "NAME": name}
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
