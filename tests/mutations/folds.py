"""The rules of folds, each with the edit that switches it off."""

from __future__ import annotations

from .laboratory import Mutation

PLANS = ("tests/test_folds.py", "tests/test_folds_of_joins.py")
DATA = ("tests/test_folds_of_joins.py", "tests/test_folds.py")

FOLDS = (
    Mutation(
        "A row on a nullable side is no difference: a match may begin or end.",
        "plan/folds.py",
        "        not occurrence.nullable\n        and relation.kind",
        "        relation.kind",
        DATA,
    ),
    Mutation(
        "Changed rows of a table that stands in FROM twice meet each other.",
        "plan/folds.py",
        "[each.relation for each in tree.occurrences].count(relation) == 1",
        "True",
        PLANS,
    ),
    Mutation(
        "A row that the key leads to is shown as it is, and not folded.",
        "plan/folds.py",
        "occurrence.number not in led_to and",
        "",
        DATA,
    ),
    Mutation(
        "What a fold leaves as it is follows from the key.",
        "plan/folds.py",
        "each in expressions or each.occurrences <= led_to for each",
        "True for each",
        PLANS,
    ),
    Mutation(
        "A nullable side follows from the key only if all that decides its match does.",
        "plan/dependencies.py",
        "column.occurrence != occurrence.number and not self._is_known(column)",
        "False",
        DATA,
    ),
    Mutation(
        "Equal values lead to one row only if they hash alike.",
        "plan/dependencies.py",
        "or condition.sublinks or not self.alternative.hash_alike(equality)",
        "or condition.sublinks",
        DATA,
    ),
    Mutation(
        "A group with rows that may be its last is recomputed.",
        "sql/folds.py",
        'stays = [f"change.{_ROWS} >= 0"]',
        "stays = []",
        PLANS,
    ),
    Mutation(
        "A group without rows left is recomputed.",
        "sql/folds.py",
        '+ change.{_ROWS} > 0"]',
        '+ change.{_ROWS} >= 0"]',
        PLANS,
    ),
    Mutation(
        "Nothing leads back from NaN.",
        "sql/folds.py",
        'settled += [f"({stored} <> {_NAN}) IS NOT FALSE", f"change.{nans} = 0"]',
        "pass",
        PLANS,
    ),
    Mutation(
        "NaN that comes and goes hides nothing else, and a group that loses and gets it is left alone.",
        "sql/folds.py",
        "self.difference('sum', argument, condition, number)",
        "self.difference('sum', argument, condition)",
        PLANS,
    ),
    Mutation(
        "An extreme that may have left is looked for again.",
        "sql/folds.py",
        "            (stays,),\n",
        "            (),\n",
        PLANS,
    ),
    Mutation(
        "Rows that are not grouped are not folded.",
        "sql/folds.py",
        '"filter": where,',
        '"filter": "true",',
        PLANS,
    ),
    Mutation(
        "A fold joins as the query does.",
        "sql/folds.py",
        'return f"({left} {joined.keyword} {right} ON {condition})"',
        'return f"({left} JOIN {right} ON {condition})"',
        DATA,
    ),
    Mutation(
        "Only addition that is exact is folded.",
        "plan/folds.py",
        "return held >= decimals.most",
        "return True",
        PLANS,
    ),
    Mutation(
        "An average needs a sum whose decimals do not depend on its rows.",
        "plan/folds.py",
        "if total.decimals is None or not total.decimals.always:",
        "if total.decimals is None:",
        PLANS,
    ),
    Mutation(
        "What may be NULL is not counted with the rows.",
        "plan/folds.py",
        "if every_row and (total.argument is None or not total.nullable):",
        "if total.argument is None or not total.nullable:",
        PLANS,
    ),
    Mutation(
        "A total without values is NULL.",
        "sql/folds.py",
        'value = f"CASE WHEN {count} > 0 THEN {value} END"',
        "pass",
        PLANS,
    ),
    Mutation(
        "A product has the decimals of both factors.",
        "relational/decimals.py",
        "Decimals(left.most + right.most, ",
        "Decimals(max(left.most, right.most), ",
        PLANS,
    ),
    Mutation(
        "One of several values has as many decimals as the others only if all have as many.",
        "relational/decimals.py",
        "all(each == Decimals(most) for each in known)",
        "True",
        PLANS,
    ),
    Mutation(
        "What waits is folded only if it is of one source, and nobody has asked for keys.",
        "sql/templates/drain_counted.sql",
        "CASE WHEN min(spool.source) = max(spool.source) THEN min(spool.source) END",
        "max(spool.source)",
        DATA,
    ),
    Mutation(
        "An image that a later change has replaced is no extreme.",
        "sql/functions.py",
        "if not shows_extremes(fold):",
        "if True:",
        DATA,
    ),
    Mutation(
        "An extreme that a cascade has brought and taken in one statement is none.",
        "sql/functions.py",
        "self._folding(fold, moved, few, changed_twice(source, event))",
        "self._folding(fold, moved, few)",
        DATA,
    ),
    Mutation(
        "A row of a table without a key may have been changed twice.",
        "sql/routes.py",
        '        return "true"\n    key = ',
        '        return "false"\n    key = ',
        PLANS,
    ),
)
