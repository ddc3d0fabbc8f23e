"""Parts: what the rows of a query show, as far as it has no say in which rows there are.

    SELECT post.id, post.title, author.name FROM post JOIN author ON author.id = post.author_id

The name of an author is read by one output column and by nothing else. Whoever changes it leaves
the rows of the result and their other columns as they are. What an output column alone reads is
found by leaving out all the others: the query that is left is read like any other one.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .branches import Branches
from .builder import Builder
from .canonical import output_name
from .syntax import Node, calls, kind, parse_select

if TYPE_CHECKING:
    from django_tviews.facts import Facts, RelationFacts

    from .tree import Occurrence


@dataclass(frozen=True)
class Reads:
    """What a query reads.

    Attributes:
        occurrences: the base relations, each with the columns read of it.
    """

    occurrences: tuple[Occurrence, ...]

    def reads(self, relation: RelationFacts) -> bool:
        """Tell whether a relation occurs, with columns or without."""
        return any(each.relation == relation for each in self.occurrences)

    def columns(self, relation: RelationFacts) -> frozenset[str]:
        """Return the columns of a relation that are read."""
        return frozenset(
            name for each in self.occurrences if each.relation == relation for name in each.columns
        )


@dataclass(frozen=True)
class Part:
    """An output column.

    Attributes:
        output: its name.
        reads: what the query reads if it shows nothing else.
    """

    output: str
    reads: Reads


@dataclass(frozen=True)
class Parts:
    """A query whose output columns do not decide which rows there are.

    Attributes:
        rows: what the query reads to find the rows, before it shows anything of them.
        shown: the output columns.
    """

    rows: Reads
    shown: tuple[Part, ...]


def find_parts(sql: str, facts: Facts) -> Parts | None:
    """Find out what each output column of a query reads.

    Args:
        sql: one SELECT that :func:`~.builder.build_tree` accepts.
        facts: the relations, views included, and the functions that it names.

    Returns:
        None if output columns decide about rows, as in DISTINCT, or rows stand for several.
    """
    select = parse_select(sql)
    if not _is_plain(select, Builder(facts, Branches())):
        return None
    shown = []
    for target in select.target_list:
        name = output_name(target.res_target)
        if name is None:
            return None
        shown.append(Part(name, _reads(select, target, facts)))
    return Parts(_reads(select, None, facts), tuple(shown))


def _is_plain(select: Node, builder: Builder) -> bool:
    return not (
        select.HasField("larg")
        or select.values_lists
        or select.distinct_clause
        or kind(select.limit_count)
        or kind(select.limit_offset)
        or builder.selects.is_grouped(select)
        or any(
            builder.computed.gives_rows(call)
            for target in select.target_list
            for call in calls(target)
        )
    )


def _reads(select: Node, target: Node | None, facts: Facts) -> Reads:
    """Return what a query reads if it shows one column only, or none."""
    rest = copy.deepcopy(select)
    # The order of the rows is no matter, and may name what is not shown any more.
    del rest.sort_clause[:]
    del rest.target_list[:]
    if target is not None:
        rest.target_list.add().CopyFrom(target)
    alternative = Builder(facts, Branches()).build(rest)
    return Reads(tuple(each for each in alternative.occurrences if each.computed is None))
