"""The suite's PostgreSQL: one private server for the run, one test database for each process."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from django.conf import settings

from support.database import database_settings
from support.postgres import PrivateServer

# Fixtures of all test modules.
from tests.harness import database, maintained, own_connection, own_database  # noqa: F401

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

# The suite says the same twice, however slow the machine is; what looks for news is a command.
hypothesis.settings.register_profile(
    "suite",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("suite")

SERVER = pytest.StashKey[PrivateServer]()


def _started_server(config: pytest.Config) -> PrivateServer:
    """The run's private server, started when somebody first asks for it."""
    if SERVER not in config.stash:
        server = PrivateServer()
        server.start()
        config.stash[SERVER] = server
    return config.stash[SERVER]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Give an xdist worker the address of the server that the controller keeps for all of them."""
    if "TVIEWS_DATABASE_URL" not in os.environ:
        node.workerinput["server_url"] = _started_server(node.config).url


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server, if this process started one."""
    if SERVER in config.stash:
        config.stash[SERVER].stop()


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> str:
    """Connection URL of the server under test, into a database that is not a test database."""
    from_environment = os.environ.get("TVIEWS_DATABASE_URL")
    from_controller = getattr(request.config, "workerinput", {}).get("server_url")
    return from_environment or from_controller or _started_server(request.config).url


@pytest.fixture(scope="session")
def server_programs(request: pytest.FixtureRequest, server_url: str) -> Path:
    """Directory of the programs that belong to the server: pg_dump, pg_restore, psql, pgbench."""
    if "TVIEWS_DATABASE_URL" not in os.environ:
        return PrivateServer().binaries
    found = shutil.which("pg_dump")
    assert found, "tests against another server need its pg_dump on the PATH"
    return Path(found).parent


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    server_url: str,
    django_db_modify_db_settings_parallel_suffix: None,
) -> None:
    """Point Django at the server, and each worker at test databases of its own."""
    for entry in settings.DATABASES.values():
        entry.update(database_settings(server_url))
