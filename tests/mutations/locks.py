"""The rules of the locks, each with the interleaving that goes wrong without it."""

from __future__ import annotations

from .laboratory import Mutation

LOCKS_SQL = "sql/templates/runtime_locks.sql"
CELL_SQL = "sql/templates/enter_cell.sql"
ROUTES_PY = "sql/routes.py"


def _order(*scenarios: str) -> tuple[str, ...]:
    return tuple(
        f"tests/test_interleavings.py::test_every_order_is_exact[{scenario}]"
        for scenario in scenarios
    )


def _ring(*tests: str) -> tuple[str, ...]:
    return tuple(f"tests/test_concurrency.py::{test}" for test in tests)


LOCKS = tuple(
    Mutation(rule, path, old, new, tests)
    for rule, path, old, new, tests in (
        (
            "K: a writer excludes others from the keys that it recomputes.",
            ROUTES_PY,
            '_lock(plan, "exclusive", KEYS,',
            '_lock(plan, "shared", KEYS,',
            _order("no locks"),
        ),
        (
            "K, P and R are taken where routes look rows up.",
            "sql/templates/look.sql",
            "                ignored := @{runtime}.django_tviews_lock(@{tview}, held);\n",
            "                NULL;\n",
            _order("no key lock between sibling branches"),
        ),
        (
            "K is taken where keys stand in the changed rows.",
            "sql/templates/look_once.sql",
            "ignored := @{runtime}.django_tviews_lock(@{tview}, @{wanted});\n",
            "",
            _order("no locks"),
        ),
        (
            "P: a writer excludes others from the places where its routes look.",
            ROUTES_PY,
            'lock_if_known(self._plan, "exclusive", lookup.place.number, values)',
            'lock_if_known(self._plan, "shared", lookup.place.number, values)',
            _order("everybody shares"),
        ),
        (
            "P is taken at every step of a route, not at the first alone.",
            ROUTES_PY,
            "for lookup in lookups(plan.sources, route):\n",
            "for lookup in list(lookups(plan.sources, route))[:1]:\n",
            _order("one level only", "one level only, downwards"),
        ),
        (
            "R: a writer shares the places at which its rows may be looked for.",
            "plan/locks.py",
            "return tuple(place for place in places(sources) if place.relation == source.relation)",
            "return ()",
            _order("keys only"),
        ),
        (
            "R: several rows share them as one row does.",
            ROUTES_PY,
            "        for place in rows_looked_for(plan.sources, source):\n",
            "        for place in ():\n",
            _order("keys only, of several rows"),
        ),
        (
            "R: at all of these places, not at the first alone.",
            "plan/locks.py",
            "return tuple(place for place in places(sources) if place.relation == source.relation)",
            "return tuple(each for each in places(sources) if each.relation == source.relation)[:1]",
            _order("one place only"),
        ),
        (
            "A writer routes again once it has its locks.",
            "sql/templates/look.sql",
            "EXIT WHEN seen = pg_current_snapshot()::text;",
            "EXIT WHEN seen IS NOT NULL;",
            _order("no second look"),
        ),
        (
            "It locks what it finds then, too.",
            "sql/templates/look.sql",
            "EXIT WHEN held = '{0}' OR wanted = held OR wanted <@ held;",
            "EXIT WHEN held <> '{}';",
            _order("a second look without its locks"),
        ),
        (
            "It gives its locks up before it takes more, and takes all in their order.",
            "sql/templates/look.sql",
            "            IF held <> '{}' THEN\n                RAISE SQLSTATE 'TV001';\n"
            "            END IF;\n            held := wanted;\n",
            "            held := ARRAY(SELECT DISTINCT lock FROM unnest(held || wanted) AS lock"
            " ORDER BY lock);\n",
            _order("more locks without giving up the first"),
        ),
        (
            "The triggers on an event fire in the order in which the drain maintains.",
            "sql/names.py",
            "{plan.depth:02}_{suffix}_{foreign}{plan.table}{number}",
            "{plan.depth:02}_{foreign}{plan.table}_{suffix}{number}",
            _order("triggers fire in another order than the drain maintains"),
        ),
        (
            "Keys whose types cannot be hashed are one key to the locks.",
            ROUTES_PY,
            "if keys_are_told_apart(plan.key) else",
            "if True else",
            _order("keys that have no hash"),
        ),
        (
            "Where equal values hash differently, the place is the whole source.",
            "plan/routes.py",
            "if self.tree.hash_alike((own, other)):",
            "if all(self.tree.facts_of(each).deterministic for each in (own, other)):",
            _order("columns whose types hash differently"),
        ),
        (
            "Whoever locks a whole TView excludes those who lock parts of it.",
            LOCKS_SQL,
            "        locks := '{0}';\n",
            "        locks := '{1}';\n",
            _order("one row of everything", "refresh of all beside a writer"),
        ),
        (
            "Whoever locks parts of a TView shares the lock on the whole.",
            LOCKS_SQL,
            "ELSIF NOT pg_try_advisory_xact_lock_shared(class, 0) THEN\n",
            "ELSIF false THEN\n",
            _order("one row of everything", "refresh of all beside a writer"),
        ),
        (
            "A rebuild locks the whole TView.",
            "sql/templates/source_rebuild.sql",
            "PERFORM @{runtime}.django_tviews_lock(@{tview}, '{0}');\n",
            "",
            _order("one row of everything"),
        ),
        (
            "TRUNCATE and a refresh of all lock the whole TView.",
            "sql/templates/drain_look.sql",
            "    PERFORM @{runtime}.django_tviews_lock(@{tview}, '{0}');\n",
            "    NULL;\n",
            _order("refresh of all beside a writer", "truncate beside a writer"),
        ),
        (
            "So they do where the keys stand in the changed rows.",
            "sql/draining.py",
            "CASE WHEN everything THEN '{0}' ELSE wanted END",
            "wanted",
            (
                "tests/test_interleavings.py::test_who_shares_does_not_wait_and_who_excludes_does"
                "[refresh of all groups and a writer]",
            ),
        ),
        (
            "A transaction takes the whole TView before it fills shared memory.",
            "sql/shared.py",
            "LOCK_LIMIT = 256",
            "LOCK_LIMIT = 100000",
            _ring("test_a_long_transaction_takes_no_more_locks_than_can_be_spared"),
        ),
        (
            "At REPEATABLE READ a writer that does not see a conflicting one fails.",
            LOCKS_SQL,
            "IN ('repeatable read', 'serializable')",
            "IN ('serializable')",
            _order("everybody shares"),
        ),
        (
            "At SERIALIZABLE a writer that does not see a conflicting one fails.",
            LOCKS_SQL,
            "IN ('repeatable read', 'serializable')",
            "IN ('repeatable read')",
            _order("everybody shares"),
        ),
        (
            "A writer enters what it has locked.",
            CELL_SQL,
            "THEN setval(of_entry, entry) END;\n",
            "THEN setval(of_entry, 0) END;\n",
            _order("everybody shares"),
        ),
        (
            "A writer adds to what its earlier statements have entered.",
            CELL_SQL,
            "        entry := entry | pg_sequence_last_value(of_entry);\n",
            "        NULL;\n",
            _ring("TestTheRing::test_a_second_statement_adds_to_the_entry_of_the_first"),
        ),
        (
            "A lock that excludes conflicts with one that was shared.",
            LOCKS_SQL,
            "(exclusive | (exclusive << @{bits}) | shared)",
            "(exclusive | shared)",
            _order("everybody shares"),
        ),
        (
            "A lock that is shared conflicts with one that excluded.",
            LOCKS_SQL,
            "(exclusive | (exclusive << @{bits}) | shared)",
            "(exclusive | (exclusive << @{bits}))",
            _order("everybody shares"),
        ),
        (
            "A writer that ran at the time of the snapshot may have been replaced in the ring.",
            LOCKS_SQL,
            "       OR ring.writer > running.id AND",
            "       OR false AND",
            _ring("TestTheRing::test_the_entry_of_a_writer_that_ran_at_the_time_is_replaced"),
        ),
        (
            "A writer that began after the snapshot may have been replaced in the ring.",
            LOCKS_SQL,
            "    WHERE ring.writer = own OR EXISTS (\n",
            "    WHERE ring.writer = own OR false AND EXISTS (\n",
            _ring("TestTheRing::test_the_entry_of_a_writer_that_began_later_is_replaced"),
        ),
        (
            "A transaction may have replaced the entry of another by its own.",
            LOCKS_SQL,
            "    WHERE ring.writer = own OR EXISTS (\n",
            "    WHERE EXISTS (\n",
            _ring("TestTheRing::test_a_transaction_replaces_an_entry_by_its_own"),
        ),
        (
            "An older writer leaves the entry of a later one in the ring.",
            CELL_SQL,
            "coalesce(writer, 0) <= own THEN",
            "true THEN",
            _ring("TestTheRing::test_an_older_writer_does_not_replace_the_entry_of_a_later_one"),
        ),
        (
            "A writer leaves the cell of another one that still runs alone.",
            LOCKS_SQL,
            "    IF pg_try_advisory_xact_lock(@{lock_class}, cell) THEN\n",
            "    IF true THEN\n",
            _ring("TestTheRing::test_a_writer_whose_cell_is_taken_enters_the_spare_one"),
        ),
        (
            "A writer whose cell is taken enters the spare one.",
            LOCKS_SQL,
            "    ELSE\n        ignored := @{runtime}.django_tviews_enter_spare(own, entry);\n",
            "",
            _ring("TestTheRing::test_a_writer_whose_cell_is_taken_enters_the_spare_one"),
        ),
        (
            "Who ran at the time of the snapshot may have been replaced in the spare cell.",
            LOCKS_SQL,
            "ring.cell IN (running.id % @{cells} + 1, @{cells} + 1)",
            "ring.cell = running.id % @{cells} + 1",
            _ring("TestTheRing::test_who_ran_at_the_time_is_replaced_in_the_spare_cell"),
        ),
        (
            "Whoever began later may have been replaced in the spare cell, of any number.",
            LOCKS_SQL,
            "THEN @{cells} ELSE 1 END",
            "THEN @{cells} ELSE @{cells} END",
            _ring("TestTheRing::test_who_began_later_is_replaced_in_the_spare_cell"),
        ),
        (
            "A crash empties the ring beside prepared transactions.",
            LOCKS_SQL,
            "    WHERE ring.writer IS NULL\n",
            "    WHERE false\n",
            (
                "tests/test_interruptions.py::"
                "test_after_a_crash_everything_is_exact_and_prepared_transactions_still_exclude",
            ),
        ),
        (
            "Writers of another cluster, whose numbers came with a dump, fail nobody.",
            LOCKS_SQL,
            "EXCEPTION WHEN invalid_parameter_value THEN\n    RETURN NULL;",
            "EXCEPTION WHEN invalid_parameter_value THEN\n    RETURN true;",
            _ring("test_a_transaction_number_from_another_cluster_fails_nobody"),
        ),
    )
)
