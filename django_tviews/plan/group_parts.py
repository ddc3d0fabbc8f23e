"""Parts of groups: what rows that stand for groups show, as far as it does not tell groups apart.

    SELECT author.id, author.name, count(book.id) FROM author LEFT JOIN book ON …
    GROUP BY author.id, author.name

**Claim.** Who changes the name of an author, leaves the groups and their totals as they are. *Why.*
The key leads to one row of author (:mod:`.dependencies`). So all combinations of a group have the
same name, and those with one key are in one group with the name in GROUP BY or without it. What is
grouped without it is the same, and so is what else is computed of it. ∎

That makes the name a part of the query, as those of :mod:`django_tviews.relational.parts` are of a
query without groups, and what reads it alone can be patched.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django_tviews.relational.parts import Part, Parts, Reads
from django_tviews.relational.tree import Join

from .dependencies import rows_led_to

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from django_tviews.relational.tree import Alternative, Expression, Groups, QueryTree


def find_group_parts(tree: QueryTree, sql: str, key: Collection[str]) -> Parts | None:
    """Find out what each output column of a query reads that is no total of a group.

    Args:
        tree: the query.
        sql: its text.
        key: the names of its output columns that identify a row.

    Returns:
        None if the query is anything but groups of rows of tables, told apart by the key.
    """
    alternative = tree.alternatives[0]
    groups = alternative.groups
    if groups is None or len(tree.alternatives) > 1:
        return None
    expressions = [output.expression for output in alternative.outputs if output.name in key]
    led_to = rows_led_to(alternative, [each.column for each in expressions if each.column])
    if not all(each in expressions or each.occurrences <= led_to for each in groups.grouped_by):
        return None
    totals = {total.output for total in groups.totals}
    return Parts(
        sql,
        _reads(alternative, _decisive(groups)),
        tuple(
            Part(output.name, (), _reads(alternative, [output.expression]), output.expression)
            for output in alternative.outputs
            if output.name not in totals
        ),
    )


def _decisive(groups: Groups) -> Iterator[Expression]:
    """Yield what decides which rows are grouped, and what totals are made of."""
    yield from _conditions(groups.rows)
    if groups.filter is not None:
        yield groups.filter
    for total in groups.totals:
        yield from (each for each in (total.argument, total.filter) if each is not None)


def _conditions(rows: int | Join) -> Iterator[Expression]:
    if isinstance(rows, Join):
        yield from _conditions(rows.left)
        yield from _conditions(rows.right)
        if rows.condition is not None:
            yield rows.condition


def _reads(alternative: Alternative, expressions: Iterable[Expression]) -> Reads:
    read = {column for each in expressions for column in each.columns}
    return Reads(
        tuple(
            replace(
                each,
                columns=tuple(
                    column.name for column in sorted(read) if column.occurrence == each.number
                ),
            )
            for each in alternative.occurrences
        )
    )
