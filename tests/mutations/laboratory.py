"""Where mutations are tried: a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support.postgres import PrivateServer

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parent.parent.parent
COPIED = ("django_tviews", "support", "tests", "pyproject.toml")
# Longer than any run should take; what goes on for ever in the server ends before.
TIMEOUT = 1200
STATEMENT_TIMEOUT = "60s"

# What pytest's exit codes stand for.
_ALL_PASSED, _SOME_FAILED = 0, 1


class BrokenMutationError(Exception):
    """A mutation could not be tried: its rule or its tests are not where they should be."""


@dataclass(frozen=True)
class Mutation:
    """A rule, and the edit that switches it off.

    Attributes:
        rule: what holds, as a sentence.
        path: the file, below the package.
        old: a text that stands in it exactly once.
        new: what takes its place.
        tests: what ought to notice, as arguments of pytest; the likeliest first.
    """

    rule: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied_to(self, text: str) -> str:
        """Return a file's text after the edit.

        Raises:
            BrokenMutationError: the rule does not stand there, or more than once.
        """
        if text.count(self.old) != 1:
            raise BrokenMutationError(f"{self.path} has {text.count(self.old)} x {self.old!r}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Outcome:
    """What became of a mutation.

    Attributes:
        mutation: which.
        noticed_by: the first test that failed; empty if all passed.
    """

    mutation: Mutation
    noticed_by: str

    def report(self) -> str:
        """Return a line of the table."""
        return f"{self.mutation.rule}\n    -> {self.noticed_by or 'SURVIVED'}"


@dataclass(frozen=True)
class Laboratory:
    """A copy of the project, and a server for its tests.

    Attributes:
        directory: where the copy is.
        server_url: of the server.
        path: where the programs are that belong to the server, and all others.
    """

    directory: Path
    server_url: str
    path: str

    def outcome(self, mutation: Mutation, first: str = "") -> Outcome:
        """Try a mutation.

        Args:
            mutation: which.
            first: a test that is known to notice; the others run only if it does not.

        Raises:
            BrokenMutationError: the rule is not there, pytest did not come to run a test, or one
                fails in any case.
        """
        path = self.directory / "django_tviews" / mutation.path
        original = path.read_text("utf-8")
        path.write_text(mutation.applied_to(original), "utf-8")
        try:
            noticed_by = self._first_failure((first,)) if first else ""
            noticed_by = noticed_by or self._first_failure(mutation.tests)
        finally:
            path.write_text(original, "utf-8")
        if "::" in noticed_by and noticed_by != first and self._first_failure((noticed_by,)):
            raise BrokenMutationError(f"{noticed_by} fails without the mutation, too")
        return Outcome(mutation, noticed_by)

    def _first_failure(self, tests: tuple[str, ...]) -> str:
        options = ["-n", "0", "-x", "-q", "--tb=no", "-rfE", "-p", "no:randomly"]
        try:
            run = subprocess.run(
                [sys.executable, "-m", "pytest", *options, *tests],
                cwd=self.directory,
                env={
                    **os.environ,
                    "TVIEWS_DATABASE_URL": self.server_url,
                    "PATH": self.path,
                    # Options of the run around this one (--cov) are not for a mutant.
                    "PYTEST_ADDOPTS": "",
                    # What is not mutated is compiled once.
                    "PYTHONDONTWRITEBYTECODE": "",
                    "PGOPTIONS": f"-c statement_timeout={STATEMENT_TIMEOUT}",
                },
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"no end within {TIMEOUT} s"
        if run.returncode == _ALL_PASSED:
            return ""
        found = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", run.stdout, re.MULTILINE)
        if run.returncode != _SOME_FAILED or found is None or "::" not in found[1]:
            raise BrokenMutationError(
                f"pytest could not run {' '.join(tests)}:\n{run.stdout}{run.stderr}".rstrip()
            )
        return found[1]


@contextmanager
def laboratory() -> Iterator[Laboratory]:
    """Copy the project, start a server, and remove both afterwards."""
    with tempfile.TemporaryDirectory(prefix="tviews-mutations-") as name, PrivateServer() as server:
        directory = Path(name)
        for part in COPIED:
            if (PROJECT / part).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(PROJECT / part, directory / part, ignore=ignored)
            else:
                shutil.copy(PROJECT / part, directory)
        path = os.pathsep.join([str(server.binaries), os.environ["PATH"]])
        yield Laboratory(directory, server.url, path)
