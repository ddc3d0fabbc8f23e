"""The rules of patches, each with the edit that switches it off."""

from __future__ import annotations

from .laboratory import Mutation

TESTS = ("tests/test_patches.py",)

PATCHES = (
    Mutation(
        "What the key reads decides.",
        "plan/patches.py",
        "*(part.reads for part in parts.shown if part.output in key)",
        "",
        TESTS,
    ),
    Mutation(
        "What groups show of a row is theirs alone if the key leads to it.",
        "plan/group_parts.py",
        "if not all(each in expressions or each.occurrences <= led_to for each in groups.grouped_by):",
        "if False:",
        TESTS,
    ),
    Mutation(
        "What WHERE reads decides which rows are grouped.",
        "plan/group_parts.py",
        "if groups.filter is not None:",
        "if False:",
        TESTS,
    ),
    Mutation(
        "What a join reads decides which rows are grouped.",
        "plan/group_parts.py",
        "if rows.condition is not None:",
        "if False:",
        TESTS,
    ),
    Mutation(
        "What a total reads decides.",
        "plan/group_parts.py",
        "for each in (total.argument, total.filter) if each is not None",
        "for each in () if each is not None",
        TESTS,
    ),
    Mutation(
        "Rows may come and go with those of a table that is read to find them.",
        "plan/patches.py",
        '(event in ("INSERT", "DELETE") and not self.decides)',
        'event in ("INSERT", "DELETE")',
        TESTS,
    ),
    Mutation(
        "An UPDATE of a column that decides is no patch.",
        "sql/reactions.py",
        "if not patch.deciding:",
        "if True:",
        TESTS,
    ),
    Mutation(
        "Images are compared as they are only where one row was updated.",
        "sql/one_row.py",
        'f"NOT EXISTS (SELECT FROM {table} OFFSET 1)"',
        'f"EXISTS (SELECT FROM {table})"',
        ("tests/test_folds.py",),
    ),
    Mutation(
        "One updated row may decide, too.",
        "sql/one_row.py",
        """f"{images_differ(deciding)} AS {identifier('decided?')}\"""",
        """f"false AS {identifier('decided?')}\"""",
        TESTS,
    ),
    Mutation(
        "An updated row is locked by its old values, and by its new ones.",
        "sql/one_row.py",
        'return [lower, f"nullif({upper}, {lower})"]',
        "return [lower]",
        ("tests/test_one_row.py",),
    ),
    Mutation(
        "A row has no key in a query that leaves it out.",
        "sql/one_row.py",
        "conditions = [rows.expression(each) for each in route.filters]",
        "conditions: list[str] = []",
        ("tests/test_one_row.py",),
    ),
    Mutation(
        "Only a key tells which rows of an UPDATE belong together.",
        "plan/patches.py",
        "(deciding and not source.identity) or",
        "",
        TESTS,
    ),
    Mutation(
        "A patch evaluates a row for its key.",
        "plan/planner.py",
        "parts is not None and by_key:",
        "parts is not None:",
        TESTS,
    ),
    Mutation(
        "The output columns of DISTINCT decide.",
        "relational/parts.py",
        "        or select.distinct_clause\n",
        "",
        TESTS,
    ),
    Mutation(
        "Groups are more than one row.",
        "relational/parts.py",
        "        or builder.selects.is_grouped(select)\n",
        "",
        TESTS,
    ),
    Mutation(
        "A function that gives rows decides how many there are.",
        "relational/parts.py",
        "            builder.computed.gives_rows(call)\n",
        "            False\n",
        TESTS,
    ),
    Mutation(
        "Of two members with one key the last one counts.",
        "relational/parts.py",
        "return found if 2 * len(found) == len(call.args) else None",
        "return found",
        TESTS,
    ),
    Mutation(
        "The text of a query that reads a view does not follow when that is renamed.",
        "relational/parts.py",
        "[((), target.res_target.val)] if views else _values(target.res_target.val)",
        "_values(target.res_target.val)",
        TESTS,
    ),
    Mutation(
        "Only jsonb keeps members in one order, whatever the order they come in.",
        "plan/patches.py",
        'if column.type != "jsonb" or _is_all(',
        "if _is_all(",
        TESTS,
    ),
    Mutation(
        "What is taken from a changed row is read of no other.",
        "plan/patches.py",
        "        or not all(part.reads_alone(relation) for part in affected)\n",
        "",
        TESTS,
    ),
    Mutation(
        "A row of the TView shows the changed row that leads to it: the way back has its key.",
        "plan/patches.py",
        "        if not has_key(relation, leads_back):\n",
        "        if False:\n",
        TESTS,
    ),
    Mutation(
        "A changed row that gives values of a document gives all that is written.",
        "plan/patches.py",
        "        if decides\n"
        "        and all(each.members or _is_all(parts, affected, each.column) for each in patched)\n",
        "        if decides\n",
        TESTS,
    ),
)
