"""The rules that maintenance rests on, each with the edit that switches it off."""

from __future__ import annotations

from .folds import FOLDS
from .laboratory import Mutation
from .locks import LOCKS
from .patches import PATCHES
from .roots import ROOTS

# Tests that compare tables with queries.
DATA = (
    "tests/test_fuzz_regressions.py",
    "tests/test_counter_examples.py",
    "tests/test_maintenance_set_operations.py",
    "tests/test_maintenance_windows.py",
    "tests/test_maintenance_statements.py",
    "tests/test_holes.py",
    "tests/test_maintenance_layers.py",
    "tests/test_maintenance_matrix.py",
)
# Tests of the compiler, most of them without a database.
COMPILER = ("tests/test_relational.py", "tests/test_plans.py")
ROUTES = (*COMPILER, *DATA, "tests/test_fuzz.py")
PASSED_ON = tuple(
    f"tests/test_maintenance_layers.py::test_{name}"
    for name in (
        "what_reads_a_tview_waits_for_more_than_one_statement",
        "what_reads_a_tview_waits_for_those_before_it",
        "a_fold_of_several_groups_is_not_passed_on_by_halves",
        "a_refresh_makes_none_wrong_that_its_difference_has_never_reached",
        "a_refresh_does_not_pass_on_a_difference_that_has_never_reached_what_it_reads",
    )
)
REFUSALS = (*COMPILER, "tests/test_open_results.py", *DATA)
CONCURRENCY = (
    "tests/test_locks.py",
    "tests/test_concurrency.py",
    "tests/test_hammer.py",
    "tests/test_holes.py",
    "tests/test_counter_examples.py",
)
GUARDS = ("tests/test_guards.py", "tests/test_holes.py", "tests/test_counter_examples.py")

_ROUTES = (
    Mutation(
        "A condition of an outer join need not hold where its nullable side is not matched.",
        "plan/routes.py",
        "return condition.outer_joins <= matched and not condition.full",
        "return not condition.full",
        ROUTES,
    ),
    Mutation(
        "The condition of a FULL JOIN need not hold: each side shows without a match.",
        "plan/routes.py",
        "return condition.outer_joins <= matched and not condition.full",
        "return condition.outer_joins <= matched",
        ROUTES,
    ),
    Mutation(
        "A condition inside a sublink says nothing about the rows around it.",
        "plan/routes.py",
        "    if not all(_encloses(sublinks, start.sublinks) for sublinks in inside):\n"
        "        return False\n",
        "",
        ROUTES,
    ),
    Mutation(
        "Only an equality is sure to fail where a row is replaced by NULLs.",
        "plan/routes.py",
        "return condition.equality is not None or all(",
        "return True or all(",
        ROUTES,
    ),
    Mutation(
        "Only an equality proves that a nullable side is matched.",
        "plan/routes.py",
        "if condition.equality is None or not self._follows(condition, matched):",
        "if not self._follows(condition, matched):",
        ROUTES,
    ),
    Mutation(
        "A key over a nullable side is evaluated with the row and with NULLs in its place.",
        "plan/routes.py",
        "for size in range(len(missable) + 1)",
        "for size in range(1)",
        ROUTES,
    ),
    Mutation(
        "A derived table may be missing with all that it computes.",
        "plan/routes.py",
        "[*nullable, *derived]",
        "[*nullable]",
        ROUTES,
    ),
    Mutation(
        "A row filters itself only by conditions that must hold.",
        "plan/routes.py",
        "if alone and self._must_hold(condition):",
        "if alone:",
        ROUTES,
    ),
    Mutation(
        "A relation is joined only by conditions that lead to it.",
        "plan/routes.py",
        "            and self._leads_to(condition, number)\n            and condition.instead_of",
        "            and condition.instead_of",
        ROUTES,
    ),
    Mutation(
        "A condition leads to a nullable side only if it decides that side's match.",
        "plan/routes.py",
        "return self._must_hold(condition) or condition.outer_joins <= sides",
        "return True",
        ROUTES,
    ),
    Mutation(
        "The condition of a FULL JOIN leads to one side only if the other is there.",
        "plan/routes.py",
        "entered = bool(condition.full & sides) and condition.full - sides <= self.matched",
        "entered = bool(condition.full & sides)",
        ROUTES,
    ),
    Mutation(
        "Equal columns of different types do not stand for each other.",
        "plan/routes.py",
        'facts[0].type == facts[1].type != ""\n            and all',
        "all",
        ROUTES,
    ),
    Mutation(
        "Columns under a collation that calls different texts equal stand for no other.",
        "plan/routes.py",
        "            and all(each.deterministic for each in facts)\n",
        "",
        ROUTES,
    ),
    Mutation(
        "A key that is computed from a column may tell equal values of it apart.",
        "plan/routes.py",
        "            and (not looked_at or facts[0].one_look)\n",
        "",
        ROUTES,
    ),
    Mutation(
        "A condition on one relation alone leads nowhere.",
        "plan/routes.py",
        "joins = len(condition.expression.occurrences) > 1",
        "joins = True",
        ROUTES,
    ),
    Mutation(
        "There is no route to a key that no single rows give.",
        "plan/routes.py",
        "        if expression.opaque:\n",
        "        if False:\n",
        ROUTES,
    ),
    Mutation(
        "Every occurrence of a source has a route.",
        "plan/planner.py",
        "            }.values()\n        ),",
        "            }.values()\n        )[:1],",
        ROUTES,
    ),
    Mutation(
        "Routes that filter by different conditions are different.",
        "plan/routes.py",
        "return (text(self.filters), steps, *(text(key) for key in self.keys))",
        "return (steps, *(text(key) for key in self.keys))",
        ROUTES,
    ),
    Mutation(
        "Routes that join by different conditions are different.",
        "plan/routes.py",
        "                text(step.conditions),\n",
        "",
        ROUTES,
    ),
    Mutation(
        "What a route joins may be missing.",
        "sql/joins.py",
        'yield f"LEFT JOIN {',
        'yield f"JOIN {',
        ROUTES,
    ),
    Mutation(
        "Old rows are routed over the current rows together with those removed.",
        "sql/transitions.py",
        'f"UNION ALL SELECT {columns} FROM {delta} WHERE {REMOVED}"',
        'f"UNION ALL SELECT {columns} FROM {delta} WHERE {REMOVED} AND false"',
        ROUTES,
    ),
    Mutation(
        "A source that is joined with itself is joined as it was, too.",
        "sql/reactions.py",
        'return {relation: "states"} if joined and self.event != "INSERT" else {}',
        "return {}",
        ROUTES,
    ),
    Mutation(
        "Each key is recomputed once.",
        "sql/routes.py",
        'select = "SELECT DISTINCT"',
        'select = "SELECT"',
        ROUTES,
    ),
)

_CHANGES = (
    Mutation(
        "Old and new images are compared by their look, not by their value.",
        "sql/transitions.py",
        'return f"record_image_ne(ROW',
        'return f"record_ne(ROW',
        ROUTES,
    ),
    Mutation(
        "Images are not paired where a statement has changed a row twice.",
        "sql/transitions.py",
        "pairing(source, unless=changed_twice(source, event))",
        "pairing(source)",
        ROUTES,
    ),
    Mutation(
        "Deletions have a trigger.",
        "sql/events.py",
        "for event in ROW_EVENTS:",
        "for event in ROW_EVENTS[:2]:",
        DATA,
    ),
    Mutation(
        "Updates have a trigger.",
        "sql/events.py",
        "for event in ROW_EVENTS:",
        "for event in ROW_EVENTS[::2]:",
        DATA,
    ),
    Mutation(
        "Insertions have a trigger.",
        "sql/events.py",
        "for event in ROW_EVENTS:",
        "for event in ROW_EVENTS[1:]:",
        DATA,
    ),
    Mutation(
        "TRUNCATE of a source has a trigger.",
        "sql/triggers.py",
        '                yield self._trigger(target, "TRUNCATE", self.truncated)\n',
        "",
        ("tests/test_maintenance_statements.py", *DATA),
    ),
    Mutation(
        "TRUNCATE of a TView has a trigger.",
        "sql/triggers.py",
        '        yield self._trigger(own, "TRUNCATE", self.truncated)\n',
        "",
        ("tests/test_maintenance_statements.py", *DATA),
    ),
    Mutation(
        "A refresh in the middle of a statement is refused.",
        "sql/templates/runtime.sql",
        "IF coalesce(nullif(current_setting(@{open_setting}, true), ''), '0') <> '0' THEN\n        -- Only",
        "IF false THEN\n        -- Only",
        ("tests/test_maintenance_statements.py",),
    ),
    Mutation(
        "While other statements are open, changes wait in the spool.",
        "sql/templates/others_open.sql",
        "current_setting(@{open_setting}, true) IS DISTINCT FROM '1'",
        "false",
        ROUTES,
    ),
    Mutation(
        "What comes after a spooled change waits with it.",
        "sql/templates/others_open.sql",
        "    OR current_setting(@{spooled_setting}, true) = 'on'\n",
        "",
        ROUTES,
    ),
    Mutation(
        "A TView is passed on by the statement that makes all of its difference.",
        "sql/templates/runtime.sql",
        "            OR current_setting(@{open_setting}, true) IS DISTINCT FROM '2'\n",
        "",
        PASSED_ON,
    ),
    Mutation(
        "A TView is not passed on beside what waits in the spool.",
        "sql/templates/runtime.sql",
        "            OR current_setting(@{spooled_setting}, true) = 'on' THEN\n        RETURN",
        "            THEN\n        RETURN",
        PASSED_ON,
    ),
    Mutation(
        "A TView is passed on while it is maintained, and not later.",
        "sql/templates/source_write.sql",
        "    ignored := @{pass_no_more};\n",
        "",
        PASSED_ON,
    ),
    Mutation(
        "A TView is passed on if it is the last to be told of a change.",
        "sql/templates/runtime.sql",
        "AND tgname > array_to_string(passing[4:], ' ') AND",
        "AND false AND",
        PASSED_ON,
    ),
    Mutation(
        "A fold of several groups is not passed on: what it leaves over comes later.",
        "sql/reactions.py",
        "CASE WHEN {values['number_of_keys']} = 1 THEN {passing} END",
        "{passing}",
        PASSED_ON,
    ),
    Mutation(
        "Keys that are ordered by some of their columns have one more at most.",
        "sql/routes.py",
        "if not cheap or len(key) - len(cheap) > 1:",
        "if not cheap:",
        ("tests/test_maintenance_statements.py",),
    ),
    Mutation(
        "Only the last statement out maintains from the spool.",
        "sql/templates/runtime.sql",
        "IF still_open <= 0 AND 'on' IN (current_setting(@{spooled_setting}",
        "IF 'on' IN (current_setting(@{spooled_setting}",
        ROUTES,
    ),
    Mutation(
        "While the spool is drained, a statement counts as open.",
        "sql/templates/runtime.sql",
        "        ignored := @{runtime}.django_tviews_drain(false);\n    END IF;\n"
        "    ignored := set_config(@{open_setting}, greatest(",
        "        ignored := set_config(@{open_setting}, '0', true);\n"
        "        ignored := @{runtime}.django_tviews_drain(false);\n    END IF;\n"
        "    ignored := set_config(@{open_setting}, greatest(",
        ROUTES,
    ),
    Mutation(
        "What is due in the middle of a statement is maintained at its end.",
        "sql/templates/runtime_deferred.sql",
        "IF coalesce(nullif(current_setting(@{open_setting}, true), ''), '0')::integer > 0 THEN",
        "IF false THEN",
        ("tests/test_deferred.py::test_immediate_constraints_wait_for_the_end_of_a_cascade",),
    ),
    Mutation(
        "What maintenance itself makes due is maintained, too.",
        "sql/templates/runtime.sql",
        "        deferred := deferred OR (",
        "        deferred := deferred OR rounds = 0 AND (",
        ("tests/test_deferred.py",),
    ),
    Mutation(
        "A row that MERGE inserts is not shown in place of those that it updates.",
        "sql/triggers.py",
        '"BEFORE INSERT",',
        '"AFTER INSERT",',
        ("tests/test_partitions.py",),
    ),
    Mutation(
        "Nor is one that it inserts into a partition which is no source.",
        "sql/triggers.py",
        "relation.outermost,",
        "relation,",
        ("tests/test_partitions.py",),
    ),
    Mutation(
        "The function that reads a row changes with the types of its columns.",
        "sql/templates/read_row.sql",
        " until this text changes with them: @{types}.",
        "",
        ("tests/test_one_row.py",),
    ),
    Mutation(
        "The function that recomputes a row changes with the types of its values.",
        "sql/templates/write_one.sql",
        " until this text changes with them: @{types}.",
        "",
        ("tests/test_one_row.py",),
    ),
    Mutation(
        "A virtual column is converted to its type.",
        "sql/catalog/columns.sql",
        "'CAST((' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) || ') AS '\n"
        "            || pg_catalog.format_type(a.atttypid, a.atttypmod) || ')'\n",
        "'(' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) || ')'\n",
        ("tests/test_sources.py",),
    ),
    Mutation(
        "A constraint that is not valid yet does not prove that no value is NULL.",
        "sql/catalog/columns.sql",
        "AND NOT c.convalidated",
        "AND false",
        ("tests/test_sources.py",),
    ),
    Mutation(
        "TViews are drained in the order in which they read each other.",
        "sql/templates/runtime.sql",
        "ORDER BY registry.depth, ",
        "ORDER BY -registry.depth, ",
        (*ROUTES, "tests/test_sql.py"),
    ),
    Mutation(
        "What waits for several TViews is drained for all of them.",
        "sql/templates/runtime.sql",
        "WHERE spool.first = spool.last AND (deferred",
        "WHERE (deferred",
        ("tests/test_deferred.py",),
    ),
    Mutation(
        "What maintenance puts into the spool is drained before what comes later.",
        "sql/templates/runtime.sql",
        "            EXIT WHEN more;\n",
        "",
        ("tests/test_deferred.py",),
    ),
    Mutation(
        "What maintenance puts into the spool is drained.",
        "sql/templates/runtime.sql",
        "            more := current_setting(@{spooled_setting}, true) = 'on'\n",
        "            more := current_setting(@{spooled_setting}, true) = 'never'\n",
        ROUTES,
    ),
    Mutation(
        "What a transaction changes after its TViews were maintained has a ticket, too.",
        "sql/templates/runtime.sql",
        "set_config(@{ticket_setting}, 'none', true) || set_config(@{due_setting}",
        "set_config(@{due_setting}",
        ("tests/test_deferred.py",),
    ),
    Mutation(
        "A ticket that the setting has lost is honoured.",
        "sql/templates/runtime_deferred.sql",
        "IF tickets = 'none' THEN",
        "IF tickets IN ('none', '') THEN",
        (
            "tests/test_deferred.py::"
            "test_a_ticket_that_a_reset_has_taken_off_the_list_still_counts[small]",
        ),
    ),
    Mutation(
        "Immediate TViews over the only deferred one that waits are maintained after it.",
        "sql/templates/runtime_deferred.sql",
        "IF next_drain IS NULL OR current_setting(@{spooled_setting}, true) = 'on'\n",
        "IF next_drain IS NULL OR false\n",
        (
            "tests/test_deferred.py::"
            "test_what_reads_the_only_deferred_tview_that_waits_follows[small-immediate]",
        ),
    ),
    Mutation(
        "Triggers of a table fire in the order in which TViews read each other.",
        "sql/names.py",
        "{MAINTENANCE_PREFIX}{plan.depth:02}_",
        "{MAINTENANCE_PREFIX}",
        ("tests/test_sql.py", *ROUTES),
    ),
    Mutation(
        "After TRUNCATE everything is compared.",
        "sql/templates/drain_look.sql",
        "coalesce(bool_or(spool.source = 0 AND spool.image IS NULL), false)",
        "false",
        DATA,
    ),
    Mutation(
        "Partitions and children have triggers, too.",
        "sql/triggers.py",
        "for target in source.relation.targets:\n                yield from shared",
        "for target in source.relation.targets[:1]:\n                yield from shared",
        ("tests/test_partitions.py", *ROUTES),
    ),
    Mutation(
        "A row that MERGE moves to another partition has a trigger.",
        "sql/triggers.py",
        "f\"current_setting({updating}, true) = 'on' AND",
        'f"false AND',
        ("tests/test_partitions.py", *ROUTES),
    ),
    Mutation(
        "A row in a partition that is newer than the triggers is refused.",
        "sql/triggers.py",
        "        if relation.kind is RelationKind.PARTITIONED_TABLE:\n            trigger = ",
        "        if False:\n            trigger = ",
        ("tests/test_partitions.py", *ROUTES),
    ),
    Mutation(
        "The key of an inheritance parent does not hold for its children.",
        "catalog.py",
        "relation = replace(relation, columns=columns, keys=())",
        "relation = replace(relation, columns=columns)",
        ("tests/test_partitions.py", *ROUTES),
    ),
    Mutation(
        "Virtual columns, which triggers see as NULL, are computed.",
        "sql/transitions.py",
        "    if not any(computed.values()):\n",
        "    if True:\n",
        ("tests/test_partitions.py", *ROUTES),
    ),
    Mutation(
        "An update through the parent may move a row out of a partition that is read.",
        "plan/planner.py",
        "if relation.keys and not relation.ancestors else ()",
        "if relation.keys else ()",
        ("tests/test_partitions.py", *ROUTES),
    ),
    Mutation(
        "Sources that share rows are maintained together.",
        "sql/reactions.py",
        '        if self.source.overlaps:\n            return "true"\n',
        "",
        ("tests/test_partitions.py", *ROUTES),
    ),
    Mutation(
        "The spool of one source is not read as that of another.",
        "sql/spooled.py",
        "AND spool.source = {source.number}",
        "",
        ROUTES,
    ),
    Mutation(
        "What waits in the spool has the collation of its column.",
        "sql/spooled.py",
        'f"{_collated(source.relation.by_name[name])}"',
        'f""',
        ("tests/test_types.py",),
    ),
    Mutation(
        "A key whose blanks its column would take away is refused.",
        "sqltypes.py",
        "    for family in (_INTEGERS, _BLANK_PADDED):\n        if name in family:",
        "    for family in (_INTEGERS,):\n        if name in family:",
        ("tests/test_types.py",),
    ),
    Mutation(
        "So is one whose blanks its column would cut.",
        "sqltypes.py",
        '            and other_modifier != ""\n'
        "            and _length(other_modifier) <= _length(modifier)\n",
        "",
        (
            "tests/test_counter_examples.py"
            "::TestEqualThatIsNotTheSame::test_a_key_that_assignment_would_change",
        ),
    ),
)

_WRITING = (
    Mutation(
        "A row is written if it looks different, though equal.",
        "sql/comparison.py",
        'return f"record_image_ne(ROW(',
        'return f"record_ne(ROW(',
        ROUTES,
    ),
    Mutation(
        "A row that stays as it is is not written.",
        "sql/comparison.py",
        'return f"record_image_ne(ROW({stored}), ROW({given}))"',
        'return "true"',
        ("tests/test_maintenance_statements.py",),
    ),
    Mutation(
        "A value that is too long for its varchar is assigned, so that it is refused.",
        "sqltypes.py",
        "return unbounded(declared) if",
        "return declared if",
        ("tests/test_guards.py",),
    ),
    Mutation(
        "A value that is too long for any other type is assigned, so that it is refused.",
        "sqltypes.py",
        "unbounded(declared) if name in _CAST_AS_ASSIGNED else None",
        "unbounded(declared)",
        ("tests/test_guards.py",),
    ),
    Mutation(
        "A recomputed key that the query no longer has is deleted.",
        "sql/templates/write.sql",
        "evaluated.@{found} IS NULL THEN\n",
        "evaluated.@{found} IS NULL AND false THEN\n",
        ROUTES,
    ),
    Mutation(
        "A rebuild deletes the keys that the query no longer has.",
        "sql/templates/rebuild.sql",
        "WHERE NOT EXISTS (SELECT FROM fresh",
        "WHERE false AND NOT EXISTS (SELECT FROM fresh",
        ROUTES,
    ),
    Mutation(
        "A key that comes twice is refused, also where neither row has to be written.",
        "sql/templates/write.sql",
        "WHEN evaluated.@{found} > 1 THEN @{refuse_repeated}\n    ELSE @{differs}",
        "WHEN false THEN false\n    ELSE @{differs}",
        ("tests/test_guards.py", *ROUTES),
    ),
    Mutation(
        "A rebuild refuses a key that comes twice.",
        "sql/templates/rebuild.sql",
        "row_number() OVER (PARTITION BY @{typed_key_of_fresh})",
        "1",
        ("tests/test_guards.py", *ROUTES),
    ),
    Mutation(
        "A key that comes twice is refused while the table has none, too.",
        "sql/templates/rekey.sql",
        "fresh.@{found} > 1",
        "false",
        ("tests/test_alter_tview.py",),
    ),
    Mutation(
        "Keys are compared by the equality of their type.",
        "sql/phrases.py",
        "{equals(column.equality)} {left}",
        "{equals('pg_catalog')} {left}",
        DATA,
    ),
)

_NULLS = tuple(
    Mutation(rule, path, old, new, REFUSALS)
    for rule, path, old, new in (
        (
            "A column on the nullable side of an outer join may be NULL.",
            "relational/from_clause.py",
            "nullable=not column.not_null or bool(outer_joins)",
            "nullable=not column.not_null",
        ),
        (
            "A derived table on the nullable side of an outer join may be NULL.",
            "relational/from_clause.py",
            "output.nullable or bool(inner.outer_joins)",
            "output.nullable",
        ),
        (
            "What an outer join demands proves nothing about the rows it shows.",
            "relational/from_clause.py",
            "prove = inside == scope.outer_joins",
            "prove = True",
        ),
        (
            "An aggregate without GROUP BY may find no row.",
            "relational/nullability.py",
            'if not grouped or call.HasField("agg_filter"):',
            'if call.HasField("agg_filter"):',
        ),
        (
            "An aggregate with FILTER may find no row.",
            "relational/nullability.py",
            'if not grouped or call.HasField("agg_filter"):',
            "if not grouped:",
        ),
        (
            "A JSON null may become an SQL NULL.",
            "relational/nullability.py",
            'column.facts is None or column.facts.type in ("json", "jsonb")',
            "column.facts is None",
        ),
        (
            "A subquery that is no aggregate may find no row.",
            "relational/nullability.py",
            "return not one_row or ",
            "return ",
        ),
        (
            "A key that may be NULL is refused.",
            "plan/planner.py",
            "    if nullable or not output.nullable:\n",
            "    if True:\n",
        ),
    )
)

_CONDITIONS = (
    Mutation(
        "An aggregate without GROUP BY gives a row whatever it finds.",
        "relational/selects.py",
        "        if sets and not sets[taken]:\n",
        "        if False:\n",
        ROUTES,
    ),
    Mutation(
        "What is shown through LIMIT does not lead to a key.",
        "relational/selects.py",
        'return ["LIMIT"] * len(select.target_list)',
        'return [""] * len(select.target_list)',
        REFUSALS,
    ),
    Mutation(
        "In LATERAL, all the rows before a LIMIT decide which of them show.",
        "relational/limits.py",
        "        self._builder.selects.bind_again(select, scope, self._decides(select))\n",
        "",
        ("tests/test_maintenance_mixtures.py", *ROUTES),
    ),
    Mutation(
        "An occurrence has the same number whichever branch is taken.",
        "relational/limits.py",
        "not self._builder.in_sublink(scope)",
        "not scope.sublinks",
        ("tests/test_maintenance_mixtures.py",),
    ),
    Mutation(
        "What rows are ordered by before a LIMIT decides which of them show.",
        "relational/limits.py",
        "bind_again(select, scope, self._decides(select))",
        "bind_again(select, scope, ())",
        ("tests/test_maintenance_mixtures.py", *ROUTES),
    ),
    Mutation(
        "Of the columns of DISTINCT ON only those that it groups by lead to a key.",
        "relational/selects.py",
        'for node in grouped_by) else "DISTINCT ON"',
        'for node in grouped_by) else ""',
        ROUTES,
    ),
    Mutation(
        "What one branch of a UNION demands says nothing about the other.",
        "relational/set_operations.py",
        "sublinks=scope.sublinks if taken else builder.elsewhere(scope),",
        "sublinks=scope.sublinks,",
        ROUTES,
    ),
    Mutation(
        "Each branch of a UNION has routes of its own.",
        "relational/set_operations.py",
        "taken = self._builder.branches.choose(2)",
        "taken = 0",
        ROUTES,
    ),
    Mutation(
        "A branch that is not taken has no part in an alternative.",
        "relational/set_operations.py",
        "            builder.leave_out(range(before, len(builder.drafts)))\n",
        "",
        ROUTES,
    ),
    Mutation(
        "The right side of EXCEPT stands for the left one only where itself changes.",
        "relational/set_operations.py",
        "            builder.leave_out_all_but(range(before, len(builder.drafts)))\n",
        "            pass\n",
        ROUTES,
    ),
    Mutation(
        "What is shown through the LIMIT of a UNION does not lead to a key.",
        "relational/set_operations.py",
        '"LIMIT" if limited else ""',
        '""',
        ROUTES,
    ),
    Mutation(
        "A value of a UNION has the common type of all branches.",
        "relational/set_operations.py",
        "if not expression.opaque and not same:",
        "if False:",
        ROUTES,
    ),
    Mutation(
        "Beside NULLs, IN gives a route only where it filters.",
        "relational/predicates.py",
        "if filtering or not nullable:",
        "if True:",
        ROUTES,
    ),
    Mutation(
        "NOT IN is decided by NULLs as well as by equal rows.",
        "relational/predicates.py",
        "taken = self._builder.branches.choose(1 + len(nullable))",
        "taken = 0",
        ROUTES,
    ),
    Mutation(
        "A NULL among the values of NOT IN reaches every row.",
        "relational/predicates.py",
        "        self._builder.far_reaching = True\n",
        "",
        ROUTES,
    ),
    Mutation(
        "ALL depends on the rows for which the comparison is not TRUE.",
        "relational/predicates.py",
        "IS NOT {'TRUE' if every else 'FALSE'}",
        "IS NOT FALSE",
        ROUTES,
    ),
    Mutation(
        "ANY outside of a filter depends on rows for which the comparison is NULL.",
        "relational/predicates.py",
        "if every or (nullable and not filtering):",
        "if every:",
        ROUTES,
    ),
    Mutation(
        "An expression of a derived table that is missing is NULL, whatever it computes.",
        "relational/from_clause.py",
        "        if not outer_joins:\n            return expression\n",
        "        if True:\n            return expression\n",
        ROUTES,
    ),
    Mutation(
        "A comparison that does not name its operator is refused over a type of an extension.",
        "relational/expressions.py",
        "facts is not None and facts.type in self._builder.facts.equality_schemas",
        "False",
        REFUSALS,
    ),
)

_ORDERS = tuple(
    Mutation(rule, "relational/ordering.py", old, new, REFUSALS)
    for rule, old, new in (
        (
            "Values that are equal though they look different leave an order open.",
            "any(same(value, item) for item in ordered) and builder.looks.one_look(value, scope)",
            "any(same(value, item) for item in ordered)",
        ),
        (
            "The rows of a UNION have no key: nothing less than all columns orders them.",
            "and len(ordered) < outputs:",
            "and False:",
        ),
        (
            "What another sublink demands does not complete an order.",
            "            if condition.sublinks != scope.sublinks[: len(condition.sublinks)]:\n"
            "                continue\n",
            "",
        ),
        (
            "What an outer join demands does not complete the order of the side that stays.",
            "second not in known and condition.outer_joins <= follows:",
            "second not in known:",
        ),
    )
)

_REFUSALS = (
    Mutation(
        "A source without a route is refused, unless it may be rebuilt.",
        "plan/planner.py",
        "    if not declaration.allow_rebuild:\n        _refuse_rebuilds(plan)\n",
        "",
        REFUSALS,
    ),
    Mutation(
        "A key that assignment would change is refused.",
        "plan/planner.py",
        "    if not keeps_values(declared, computed):\n",
        "    if False:\n",
        REFUSALS,
    ),
    Mutation(
        "A key that is an array is refused.",
        "plan/planner.py",
        """kind = "an array" if declared.endswith("]") else facts""",
        "kind = facts",
        REFUSALS,
    ),
    Mutation(
        "A key that the table compares by another collation than the query is refused.",
        "installer.py",
        "    refuse_other_collations(schema_editor.connection, plan)\n",
        "",
        DATA,
    ),
    Mutation(
        "An operator or a cast that is not immutable is refused, though the text hides it.",
        "planning.py",
        "        if not may_be_called(schema, name, volatility):\n"
        "            refuse_function(name, volatility)\n    for type_name",
        "        pass\n    for type_name",
        ("tests/test_counter_examples.py", "tests/test_holes.py", *DATA),
    ),
    Mutation(
        "A cast from text to a time is refused.",
        "planning.py",
        '        refuse("text-to-time", f"a cast to {type_name}")\n',
        "        pass\n",
        (*DATA, "tests/test_query_reference.py"),
    ),
    Mutation(
        "Aggregates that add up floats are refused.",
        "planning.py",
        '        refuse("float-aggregate", f"{name}()")\n',
        "        pass\n",
        (*DATA, "tests/test_query_reference.py"),
    ),
    Mutation(
        "A table whose rows a policy would filter is refused.",
        "relational/from_clause.py",
        "        if relation.row_security:\n",
        "        if False:\n",
        (*COMPILER, "tests/test_guards.py"),
    ),
    Mutation(
        "A syntax node that is not known is refused.",
        "relational/expressions.py",
        "case other if other and other not in _TRANSPARENT:",
        "case other if False:",
        COMPILER,
    ),
)

_BUILDING = (
    Mutation(
        "Before a TView is built it locks its sources, and tries again for them.",
        "installer.py",
        "    lock(schema_editor, dict.fromkeys(source_tables(plan), LockMode.SHARE_ROW_EXCLUSIVE))\n",
        "",
        CONCURRENCY,
    ),
    Mutation(
        "A TView is not built from a snapshot older than its triggers.",
        "installer.py",
        'if level not in ("read committed", "read uncommitted"):',
        "if False:",
        GUARDS,
    ),
    Mutation(
        "A trigger depends on the table of its TView.",
        "sql/triggers.py",
        "FOR EACH STATEMENT WHEN ({self.tview} IS NOT NULL)",
        "FOR EACH STATEMENT WHEN (true)",
        GUARDS,
    ),
    Mutation(
        "Nobody but maintenance writes to a TView.",
        "sql/triggers.py",
        "WHEN (pg_trigger_depth() = 0)",
        "WHEN (false)",
        GUARDS,
    ),
    Mutation(
        "Nobody else's table feeds a TView.",
        "sql/templates/source.sql",
        "IF @{stranger} THEN",
        "IF false THEN",
        GUARDS,
    ),
    Mutation(
        "Nobody else's TRUNCATE reaches a TView.",
        "sql/templates/truncated.sql",
        "IF @{stranger} THEN",
        "IF false THEN",
        GUARDS,
    ),
    Mutation(
        "What waits for a TView that the registry has lost fails the write.",
        "sql/templates/runtime.sql",
        "AND registry.tview IS NULL",
        "AND false",
        GUARDS,
    ),
    Mutation(
        "What TViews share may drain each of them, whoever it belongs to.",
        "installer.py",
        "        let_shared_call(schema_editor, function)\n",
        "",
        GUARDS,
    ),
    Mutation(
        "Nobody but us may call our functions.",
        "installer.py",
        '        execute(schema_editor, f"REVOKE ALL ON FUNCTION {function.signature} FROM PUBLIC")\n',
        "",
        GUARDS,
    ),
)

_ENVIRONMENT = (
    Mutation(
        "Maintenance does not depend on what time zone abbreviations the writer uses.",
        "plan/plan.py",
        "zones = ZONES if self.reads_zone_abbreviations else ()",
        "zones = ()",
        ("tests/test_open_results.py",),
    ),
    *(
        Mutation(
            f"Maintenance does not depend on the writer's {name}.",
            "plan/plan.py",
            f'    ("{name}", "{value}"),\n',
            "",
            (*GUARDS, "tests/test_open_results.py"),
        )
        for name, value in (
            ("search_path", "pg_catalog, pg_temp"),
            ("TimeZone", "UTC"),
            ("DateStyle", "ISO, MDY"),
            ("IntervalStyle", "postgres"),
            ("extra_float_digits", "1"),
            ("bytea_output", "hex"),
            ("lc_monetary", "C"),
            ("lc_numeric", "C"),
            ("lc_time", "C"),
            ("array_nulls", "on"),
            ("xmloption", "content"),
            ("quote_all_identifiers", "off"),
            ("gin_fuzzy_search_limit", "0"),
            ("row_security", "off"),
        )
    ),
)

MUTATIONS = (
    *_ROUTES,
    *_CHANGES,
    *_WRITING,
    *_NULLS,
    *_CONDITIONS,
    *_ORDERS,
    *_REFUSALS,
    *LOCKS,
    *FOLDS,
    *PATCHES,
    *ROOTS,
    *_BUILDING,
    *_ENVIRONMENT,
)
