"""The rules of rows that come and go with one row of a source, each with the edit against it."""

from __future__ import annotations

from .laboratory import Mutation

TESTS = ("tests/test_roots.py",)

ROOTS = (
    Mutation(
        "A row of the TView stays if any row still has its key.",
        "sql/templates/delete_one.sql",
        "\n  AND NOT EXISTS (SELECT FROM @{root} AS root WHERE @{root_has_key})",
        "",
        TESTS,
    ),
    Mutation(
        "A row that is there already is brought up to date.",
        "sql/templates/source_root.sql",
        "IF NOT FOUND THEN",
        "IF false THEN",
        TESTS,
    ),
    Mutation(
        "A new row is inserted as it is only if there can be no second one.",
        "plan/roots.py",
        'event == "INSERT" and self.single',
        'event == "INSERT"',
        TESTS,
    ),
    Mutation(
        "There is one row for a key only if the key leads to all that it is made of.",
        "plan/roots.py",
        "parts.joins_tables and combined <= led_to",
        "parts.joins_tables",
        TESTS,
    ),
    Mutation(
        "What is no table may give a row several times.",
        "plan/roots.py",
        "parts.joins_tables and combined <= led_to",
        "combined <= led_to",
        TESTS,
    ),
    Mutation(
        "The name of a WITH is not that of a table.",
        "relational/parts.py",
        'not select.HasField("with_clause") and all(',
        "all(",
        TESTS,
    ),
    Mutation(
        "Without its row of a nullable side a row of the TView may stay.",
        "plan/roots.py",
        "        start.nullable\n        or ",
        "        ",
        TESTS,
    ),
    Mutation(
        "Only a row that the key shows takes a row of the TView along.",
        "plan/roots.py",
        "any(column.occurrence != start.number for column in columns)",
        "False",
        TESTS,
    ),
    Mutation(
        "A source that occurs twice leads to other keys, too.",
        "plan/roots.py",
        " or len(source.routes) != 1 or source.overlaps",
        " or source.overlaps",
        TESTS,
    ),
    Mutation(
        "A group that one row's change does not settle is recomputed.",
        "sql/templates/fold_row.sql",
        "IF NOT FOUND THEN",
        "IF false THEN",
        ("tests/test_folds.py",),
    ),
)
