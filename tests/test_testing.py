"""Tests of projects with TViews: the helpers for them, and every way to run them."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
import uuid
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from django.test import TestCase

from django_tviews import pytest_plugin
from django_tviews.errors import MetadataNotFound
from django_tviews.testing import TViewsExactMixin, assert_exact_in, assert_tviews_exact

from .documents import ROOT, plugin_is_installed
from .testapp.models import Product, ProductCard, Stock, Supplier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .harness import Database


@contextmanager
def unguarded() -> Iterator[None]:
    """Let writes pass by all triggers, as a logical replica does."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.django_db
class TestAssertTViewsExact:
    def drift(self) -> tuple[Product, Product]:
        supplier = Supplier.objects.create(name="Ann")
        lamp = Product.objects.create(name="Lamp", price=20, supplier=supplier)
        chair = Product.objects.create(name="Chair", price=50)
        with unguarded():
            execute(f"UPDATE testapp_productcard SET name = 'x' WHERE product_id = {lamp.pk}")
            execute(f"DELETE FROM testapp_productcard WHERE product_id = {chair.pk}")
            execute("INSERT INTO testapp_productcard VALUES (99, 'y', 'Bob', 1)")
        return lamp, chair

    def message(self, *tviews: type[ProductCard] | str, limit: int = 10) -> str:
        with pytest.raises(AssertionError) as failed:
            assert_tviews_exact(*tviews, limit=limit)
        return str(failed.value)

    def test_exact_tviews_pass(self) -> None:
        Product.objects.create(name="Lamp", price=20)
        assert_tviews_exact()
        assert_tviews_exact(ProductCard, "testapp.Stock")
        assert_tviews_exact("testapp")

    def test_it_shows_which_tview_differs_and_where(self) -> None:
        lamp, chair = self.drift()
        assert self.message(ProductCard) == (
            "A TView differs from its query.\n"
            "\n"
            "testapp.ProductCard: 2 rows, differs from the query: 1 missing, 1 extra, 1 different\n"
            f"    different  product_id={lamp.pk}\n"
            "        name: 'x' in the table, 'Lamp' in the query\n"
            f"    missing    product_id={chair.pk}\n"
            "        in the query: name='Chair', supplier_name=NULL, review_count='0'\n"
            "    extra      product_id=99\n"
            "        in the table: name='y', supplier_name='Bob', review_count='1'"
        )

    def test_tviews_that_are_exact_are_only_counted(self) -> None:
        self.drift()
        # SupplierTotals reads the cards, and was not told either.
        assert self.message().startswith("1 of 4 TViews differs from its query.\n\ntestapp.Pro")

    def test_it_shows_a_few_rows_and_says_how_many_there_are(self) -> None:
        self.drift()
        assert self.message(ProductCard, limit=1).endswith("in the query\n    … and 2 more")

    def test_tviews_that_are_not_asked_for_may_differ(self) -> None:
        self.drift()
        assert_tviews_exact(Stock)

    def test_long_values_are_shown_from_where_they_differ(self) -> None:
        lamp = Product.objects.create(name="a" * 90, price=20)
        with unguarded():
            lamp.name = "a" * 80 + "b" + "a" * 9
            lamp.save()
        line = self.message(ProductCard).splitlines()[-1]
        assert line.strip() == (
            f"name: …'{'a' * 30}' in the table, …'{'a' * 20}b{'a' * 9}' in the query"
        )

    def test_long_values_are_cut(self) -> None:
        with unguarded():
            Product.objects.create(name="a" * 90, price=20)
        assert f"name='{'a' * 60}'…, supplier_name=NULL" in self.message(ProductCard)

    def test_a_tview_that_is_not_installed_cannot_be_verified(self) -> None:
        with pytest.raises(MetadataNotFound):
            assert_tviews_exact("testapp.Nothing")

    def test_a_declared_tview_that_is_not_installed_fails(self) -> None:
        execute("DELETE FROM django_tviews_registry WHERE label = 'testapp.Stock'")
        with pytest.raises(AssertionError, match=r"TView testapp.Stock is not installed in"):
            assert_tviews_exact()
        assert_tviews_exact(ProductCard)

    def test_databases_are_named_as_test_cases_name_them(self) -> None:
        assert_exact_in([])
        assert_exact_in({"default"})
        self.drift()
        assert_exact_in([])
        with pytest.raises(AssertionError, match="1 of 4 TViews"):
            assert_exact_in({"default"})


def test_deferred_tviews_are_maintained_before_they_are_verified(database: Database) -> None:
    database.execute("CREATE TABLE base (id integer PRIMARY KEY)")
    declaration = database.tview("SELECT id FROM base", "id integer", mode="deferred")
    with database.transaction():
        database.execute("INSERT INTO base VALUES (1)")
        assert database.rows(declaration) == []
        assert_tviews_exact(declaration.label)
        assert database.rows(declaration) == [(1,)]


class Drifting(TViewsExactMixin, TestCase):
    def drift(self) -> None:
        with unguarded():
            Product.objects.create(name="Unseen", price=1)

    def drift_and_fail(self) -> None:
        self.drift()
        raise ValueError

    def break_the_transaction(self) -> None:
        self.drift()
        with pytest.raises(DatabaseError):
            execute("SELECT 1 / 0")

    def nothing(self) -> None:
        pass


def run(method: str) -> tuple[list[str], list[str]]:
    """Run one test of `Drifting`; return the last lines of its failures and errors."""
    result = unittest.TestResult()
    with transaction.atomic():
        Drifting(method).run(result)
        transaction.set_rollback(True)
    assert result.testsRun == 1
    failures, errors = (
        [text.strip().splitlines()[-1] for _, text in found]
        for found in (result.failures, result.errors)
    )
    return failures, errors


@pytest.mark.django_db
class TestTViewsExactMixin:
    def test_a_test_after_which_a_tview_differs_fails(self) -> None:
        failures, errors = run("drift")
        assert ["in the table, '1.00' in the query" in line for line in failures] == [True]
        assert errors == []

    def test_it_verifies_after_the_tear_down(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            Drifting, "tearDown", lambda _: execute("TRUNCATE testapp_product CASCADE")
        )
        assert run("drift") == ([], [])

    def test_a_test_after_which_they_are_exact_passes(self) -> None:
        assert run("nothing") == ([], [])

    def test_a_test_that_fails_by_itself_shows_both(self) -> None:
        failures, errors = run("drift_and_fail")
        assert len(failures) == 1
        assert errors == ["ValueError"]

    def test_a_broken_transaction_is_left_alone(self) -> None:
        assert run("break_the_transaction") == ([], [])


@pytest.mark.django_db(databases="__all__")
def test_every_database_is_verified() -> None:
    assert_exact_in("__all__")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        Product.objects.create(name="Lamp", price=20)
    with pytest.raises(AssertionError, match=r"testapp.ProductCard"):
        assert_exact_in("__all__")
    assert_exact_in({"other"})


@dataclass
class Project:
    """The project in ``tests/project``, run in processes of its own.

    Attributes:
        server_url: of the server.
        database: the name of its test database.
        directory: where it writes down what happened.
    """

    server_url: str
    database: str
    directory: Path

    def run(self, *command: str, code: int = 0) -> str:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTEST", "DJANGO_", "COV_"))
        }
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env={
                **kept,
                "DJANGO_SETTINGS_MODULE": "tests.project.settings",
                "TVIEWS_DATABASE_URL": self.server_url,
                "PROJECT_TEST_DATABASE": self.database,
                "PROJECT_SEEN": str(self.directory / "seen"),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def pytest(self, module: str, *arguments: str, code: int = 0) -> dict[str, str]:
        """Run pytest over a module of the project; return the outcome of each test."""
        report = self.directory / "report.xml"
        # None of the suite's own options.
        settings = self.directory / "pytest.ini"
        settings.write_text("[pytest]\npythonpath = .\n")
        self.run(
            *("pytest", "-c", str(settings), "--rootdir", str(ROOT), "-p", "no:cacheprovider"),
            *(() if plugin_is_installed() else ("-p", "django_tviews.pytest_plugin")),
            *("-o", "addopts=--strict-markers", "--junitxml", str(report)),
            *arguments,
            f"tests/project/{module}.py",
            code=code,
        )
        return {
            case.attrib["name"]: (case[0].text or "") if len(case) else "passed"
            for case in ET.parse(report).iter("testcase")
        }

    def seen(self) -> Counter[str]:
        """Return in which databases tests ran since the last time, relative to the test database."""
        path = self.directory / "seen"
        lines = path.read_text().splitlines()
        path.unlink()
        return Counter(line.removeprefix(self.database) for line in lines)


@pytest.fixture
def project(server_url: str, tmp_path: Path) -> Iterator[Project]:
    project = Project(server_url, f"test_project_{uuid.uuid4().hex[:8]}", tmp_path)
    yield project
    with psycopg.connect(server_url, autocommit=True) as server:
        for (name,) in server.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [project.database]
        ).fetchall():
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_djangos_runner_keeps_and_clones_the_test_database(project: Project) -> None:
    # Copies of a database by CREATE DATABASE ... TEMPLATE have all its OIDs, and so its registry.
    project.run("django", "test", "tests.project", "--keepdb", "--parallel", "2")
    assert project.seen().keys() == {"_1", "_2"}
    # Not what Django loads again: a flush has given the content types of kept clones other keys.
    again = project.run(
        *("django", "test", "tests.project", "--keepdb", "--parallel=2", "--reverse"),
        *("--exclude-tag", "serialized_rollback"),
    )
    assert "Using existing clone" in again
    assert project.seen().keys() == {"_1", "_2"}


def test_pytest_django_creates_and_reuses_the_test_database(project: Project) -> None:
    option = ("-o", "tviews_exact=true")
    for arguments, databases in (
        (("--create-db", "--reuse-db", "-n", "1"), {"_gw0"}),
        (("--reuse-db", "-n", "1"), {"_gw0"}),
        (("--create-db", "--no-migrations"), {""}),
    ):
        outcomes = project.pytest("check_pytest", *option, *arguments)
        assert set(outcomes.values()) == {"passed"}
        assert project.seen().keys() == databases


def test_the_plugin_sees_drift_where_it_is_asked_to_look(project: Project) -> None:
    outcomes = project.pytest("drift", code=1)
    for name, outcome in outcomes.items():
        if name.startswith("test_seen"):
            assert "AssertionError: 2 of 4 TViews differ" in outcome, name
        elif name.startswith("test_left_alone"):
            assert outcome == "passed", name
        else:
            assert "no review" in outcome, name
    assert len(outcomes) == 14


def test_the_plugin_imports_nothing_before_a_test_asks_for_it(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(
        "import sys\n"
        "def test_nothing():\n"
        "    assert not [name for name in sys.modules if name.startswith('django.')]\n"
        "    assert 'django_tviews.testing' not in sys.modules\n"
    )
    arguments = ["-q", "-p", "no:django", "-p", "no:cacheprovider", "-o", "tviews_exact=true"]
    if not plugin_is_installed():
        arguments += ["-p", "django_tviews.pytest_plugin"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_package_announces_the_plugin() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"django_tviews": pytest_plugin.__name__}
