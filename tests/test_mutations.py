"""The table of mutations fits the code, and a sample of it is tried."""

from __future__ import annotations

import pytest

from .mutations.laboratory import PROJECT, Mutation, laboratory
from .mutations.record import PAGE, known_witnesses, page
from .mutations.rules import MUTATIONS

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
    for test in witnesses.values():
        path, *names = test.partition("[")[0].split("::")
        text = (PROJECT / path).read_text("utf-8")
        assert f"def {names[-1]}(" in text, test


def test_a_sample_of_mutations_is_noticed() -> None:
    witnesses = known_witnesses()
    chosen = [mutation for mutation in MUTATIONS if mutation.rule in SAMPLE]
    assert len(chosen) == len(SAMPLE)
    with laboratory() as room:
        for mutation in chosen:
            witness = witnesses[mutation.rule]
            assert room.outcome(mutation, first=witness).noticed_by.startswith(witness)
