"""The table of mutations fits the code, and a sample of it is tried."""

from __future__ import annotations

import pytest

from .mutations.laboratory import PROJECT, Mutation, laboratory
from .mutations.rules import MUTATIONS

# Rules of several kinds, with the tests that are known to notice.
SAMPLE = {
    "A derived table may be missing with all that it computes.": (
        "tests/test_fuzz_regressions.py::"
        "test_an_expression_of_a_row_that_is_missing_is_null_and_not_its_value_over_nulls"
    ),
    "Old rows are routed over the current rows together with those removed.": (
        "tests/test_counter_examples.py::TestFromADeltaToKeys::"
        "test_a_self_join_whose_partners_go_together"
    ),
    "While other statements are open, changes wait in the spool.": (
        "tests/test_counter_examples.py::TestFromADeltaToKeys::"
        "test_a_key_of_two_parents_that_change_in_one_statement"
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.rule)
def test_a_rule_stands_where_its_mutation_looks_for_it(mutation: Mutation) -> None:
    text = (PROJECT / "django_tviews" / mutation.path).read_text("utf-8")
    assert mutation.applied_to(text) != text
    assert mutation.tests
    for path in mutation.tests:
        assert (PROJECT / path).exists()


def test_rules_have_names_of_their_own() -> None:
    assert len({mutation.rule for mutation in MUTATIONS}) == len(MUTATIONS)


def test_a_sample_of_mutations_is_noticed() -> None:
    chosen = [mutation for mutation in MUTATIONS if mutation.rule in SAMPLE]
    assert len(chosen) == len(SAMPLE)
    with laboratory() as room:
        for mutation in chosen:
            test = SAMPLE[mutation.rule]
            assert room.outcome(mutation, tests=(test,)).noticed_by.startswith(test), mutation.rule
