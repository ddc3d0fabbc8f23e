"""The table of mutations fits the code, and a sample of it is tried."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from .mutations import __main__ as program
from .mutations.laboratory import (
    PROJECT,
    BrokenMutationError,
    Mutation,
    Outcome,
    laboratory,
)
from .mutations.record import PAGE, known_witnesses, page
from .mutations.rules import MUTATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Rules of several kinds.
SAMPLE = {
    "A derived table may be missing with all that it computes.",
    "Old rows are routed over the current rows together with those removed.",
    "While other statements are open, changes wait in the spool.",
}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.rule)
def test_a_rule_stands_where_its_mutation_looks_for_it(mutation: Mutation) -> None:
    text = (PROJECT / "django_tviews" / mutation.path).read_text("utf-8")
    assert mutation.applied_to(text) != text
    assert mutation.tests
    for path in mutation.tests:
        assert (PROJECT / path.partition("::")[0]).exists()


def test_rules_have_names_of_their_own() -> None:
    assert len({mutation.rule for mutation in MUTATIONS}) == len(MUTATIONS)


def test_the_page_names_a_test_for_each_rule() -> None:
    witnesses = known_witnesses()
    assert witnesses.keys() == {mutation.rule for mutation in MUTATIONS}
    assert page(witnesses) == PAGE.read_text("utf-8")


def test_the_page_names_tests_that_are_there() -> None:
    tests = sorted(set(known_witnesses().values()))
    collection = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "--collect-only", "-qq", *tests],
        cwd=PROJECT,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert collection.returncode == 0, collection.stderr


def test_the_page_names_no_parameter_by_its_position() -> None:
    # With a query put before it, `query7` is another one.
    for test in known_witnesses().values():
        name, _, given = test.partition("[")
        path, *names = name.split("::")
        text = (PROJECT / path).read_text("utf-8")
        head = re.search(rf"def {names[-1]}\((.*?)\) -> None:", text, re.DOTALL)
        assert head, test
        parameters = "|".join(re.findall(r"(\w+):", head[1])) or "none"
        assert not re.search(rf"(^|-)({parameters})\d+(-|\]$)", given), test


def test_a_sample_of_mutations_is_noticed() -> None:
    witnesses = known_witnesses()
    chosen = [mutation for mutation in MUTATIONS if mutation.rule in SAMPLE]
    assert len(chosen) == len(SAMPLE)
    with laboratory() as room:
        for mutation in chosen:
            witness = witnesses[mutation.rule]
            assert room.outcome(mutation, first=witness).noticed_by.startswith(witness)


class Room:
    """Stands for a laboratory in which the first mutation cannot be tried."""

    def outcome(self, mutation: Mutation, first: str = "") -> Outcome:
        """Say that the mutation was noticed, or that the test is not there."""
        if mutation is MUTATIONS[0]:
            raise BrokenMutationError(f"pytest could not run {first}")
        return Outcome(mutation, first)


@contextmanager
def room() -> Iterator[Room]:
    """Enter it."""
    yield Room()


def test_a_mutation_that_cannot_be_tried_is_named_and_the_others_are_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "laboratory", room)
    monkeypatch.setattr(program, "PAGE", tmp_path / "page.md")
    assert program.main([]) == 1
    out = capsys.readouterr().out
    rule = MUTATIONS[0].rule
    witness = known_witnesses()[rule]
    assert f"{rule}\n    -> NOT TRIED: pytest could not run {witness}\n" in out
    assert out.endswith(f"{len(MUTATIONS)} mutations, 0 survived, 1 not tried\n")
    # What was known of it stays.
    assert (tmp_path / "page.md").read_text("utf-8") == PAGE.read_text("utf-8")
