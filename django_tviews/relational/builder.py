"""From canonical SQL and facts to the relational tree.

The builder walks a SELECT once for each alternative, from the outside in. Every syntax node it
meets is either known to it or refused by name; nothing is accepted by falling through. What it
does with a SELECT, its FROM clause, its conditions and its expressions stands in the modules of
these names; here is what they share.

Sources: the parse nodes are those of PostgreSQL's ``parsenodes.h`` and ``primnodes.h``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .branches import Branches
from .computed import ComputedRelations
from .expressions import Expressions
from .from_clause import FromClause
from .limits import Limits
from .looks import Looks
from .nullability import Nullability
from .predicates import Predicates
from .recursion import Recursion
from .scope import Scope
from .selects import Selects
from .set_operations import SetOperations
from .strictness import Strictness
from .syntax import Node, deparse_select, parse_select
from .totals import Totals
from .tree import Alternative, Condition, Expression, Occurrence, QueryTree
from .types import Types
from .windows import Windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_tviews.facts import ColumnFacts, Facts, RelationFacts

    from .tree import ColumnOf


def build_tree(sql: str, facts: Facts) -> QueryTree:
    """Flatten a query into its relational tree.

    Args:
        sql: one SELECT; helper views are looked through by means of ``facts``.
        facts: the relations, views included, and the functions that the query names.

    Returns:
        The tree, every column bound to its occurrence.

    Raises:
        UnsupportedQuery: a construct that cannot be kept, by name.
        DependencyResolutionFailed: a relation or column that the facts do not know.
        InvalidQuery: the text is not one query, or its output columns have no names.
    """
    select = parse_select(sql)
    branches = Branches()
    alternatives = []
    while True:
        builder = Builder(facts, branches)
        alternatives.append(builder.build(select))
        if not branches.another():
            _check_numbers(alternatives)
            return QueryTree(tuple(alternatives))


def _check_numbers(alternatives: Sequence[Alternative]) -> None:
    """Make sure that a number stands for the same occurrence in every alternative.

    Routes that go by another one's number would lead nowhere, or to wrong keys.
    """
    named = {tuple(each.relation.full_name for each in one.occurrences) for one in alternatives}
    if len(named) > 1:
        raise AssertionError(f"the alternatives of a query read different relations: {named}")


def complete_order(sql: str, facts: Facts) -> str:
    """Make every ORDER BY that decides a result total, by adding primary keys to it.

    ``array_agg(name)`` has no defined order, so evaluating it twice may give two answers. Where
    the aggregated relation's key is known it is added, visibly: ``array_agg(name ORDER BY id)``.

    Args:
        sql: one SELECT.
        facts: the relations it names, as far as they are known.

    Returns:
        The canonical SQL with the additions, or of the query as it is.
    """
    select = parse_select(sql)
    Builder(facts, Branches(), completing=True).build(select)
    return deparse_select(select)


@dataclass
class Draft:
    """An occurrence while its columns are still being collected."""

    number: int
    alias: str
    relation: RelationFacts
    sublinks: tuple[int, ...]
    outer_joins: frozenset[int]
    columns: set[str] = field(default_factory=set)
    computed: Expression | None = None

    def finished(self) -> Occurrence:
        """Return the occurrence."""
        read = tuple(column.name for column in self.relation.columns if column.name in self.columns)
        return Occurrence(
            self.number,
            self.alias,
            self.relation,
            read,
            self.sublinks,
            self.outer_joins,
            self.computed,
        )


class Builder:
    """One walk over one query; use :func:`build_tree`.

    Attributes:
        facts: about what the query names.
        branches: which way to take through it.
        completing: add to an open ORDER BY what makes it total, instead of refusing it.
        drafts: the occurrences met so far.
        conditions: those met so far.
        far_reaching: see :attr:`Alternative.far_reaching`.
        partitions: see :attr:`Alternative.partitions`.
    """

    def __init__(self, facts: Facts, branches: Branches, *, completing: bool = False) -> None:
        self.facts = facts
        self.branches = branches
        self.completing = completing
        self.drafts: list[Draft] = []
        self.conditions: list[Condition] = []
        # The occurrences in branches that are not taken, and those that the alternative is about.
        self._left_out: set[int] = set()
        self._about: set[int] | None = None
        # Those that no alternative may leave out.
        self._kept: set[int] = set()
        self.far_reaching = False
        self.partitions: list[frozenset[ColumnOf]] = []
        self._sublink_count = 0
        # The sublinks that are none in the text: what other alternatives show the rows of.
        self._elsewhere: set[int] = set()
        self._outer_join_count = 0
        self.selects = Selects(self)
        self.from_clause = FromClause(self)
        self.predicates = Predicates(self)
        self.set_operations = SetOperations(self)
        self.windows = Windows(self)
        self.limits = Limits(self)
        self.computed = ComputedRelations(self)
        self.recursion = Recursion(self)
        self.expressions = Expressions(self)
        self.nullability = Nullability(self)
        self.strictness = Strictness(self)
        self.looks = Looks(self)
        self.types = Types()
        self.totals = Totals(self)

    def build(self, select: Node) -> Alternative:
        """Bind the outermost SELECT."""
        self.branches.start()
        scope = Scope()
        block = self.selects.bind(select, scope)
        groups = None if self.completing else self.totals.of(select, scope)
        occurrences = tuple(draft.finished() for draft in self.drafts)
        routed = {occurrence.number for occurrence in occurrences} - self._left_out
        if self._about is not None:
            routed &= self._about
        routed |= self._kept
        return Alternative(
            occurrences,
            tuple(self.conditions),
            tuple(block.outputs),
            frozenset(routed),
            self.far_reaching,
            tuple(self.partitions),
            groups,
        )

    def leave_out(self, places: range) -> None:
        """Say that the alternative does not take the branch that these drafts stand in."""
        self._left_out |= {self.drafts[place].number for place in places}

    def keep_all(self, places: range) -> None:
        """Say that every alternative is about changes of these drafts, too."""
        self._kept |= {self.drafts[place].number for place in places}

    def mark(self) -> tuple[int, int]:
        """Remember how far the query has been bound."""
        return len(self.drafts), len(self.conditions)

    def rewind(self, mark: tuple[int, int]) -> None:
        """Forget what has been bound since :meth:`mark`."""
        del self.drafts[mark[0] :]
        del self.conditions[mark[1] :]

    def leave_out_all_but(self, places: range) -> None:
        """Say that the alternative is only about changes of these drafts."""
        inside = {self.drafts[place].number for place in places}
        self._about = inside if self._about is None else self._about & inside

    def inside(self, scope: Scope) -> tuple[int, ...]:
        """The way to a subquery that the rows around it show with or without."""
        self._sublink_count += 1
        return (*scope.sublinks, self._sublink_count)

    def elsewhere(self, scope: Scope) -> tuple[int, ...]:
        """The way to rows that another alternative shows."""
        way = self.inside(scope)
        self._elsewhere.add(self._sublink_count)
        return way

    def in_sublink(self, scope: Scope) -> bool:
        """Tell whether a SELECT stands in a sublink, which is the same in every alternative."""
        return not self._elsewhere.issuperset(scope.sublinks)

    def nullable_side(self, outer_joins: frozenset[int]) -> frozenset[int]:
        """The way to a side of an outer join that may be missing."""
        self._outer_join_count += 1
        return outer_joins | {self._outer_join_count}

    def draft(self, relation: RelationFacts, scope: Scope, outer_joins: frozenset[int]) -> Draft:
        """Add an occurrence of a relation."""
        taken = {draft.alias for draft in self.drafts}
        alias, suffix = relation.name, 1
        while alias in taken:
            suffix += 1
            tail = f"_{suffix}"
            alias = relation.name.encode()[: 63 - len(tail)].decode(errors="ignore") + tail
        draft = Draft(len(self.drafts) + 1, alias, relation, scope.sublinks, outer_joins)
        self.drafts.append(draft)
        return draft

    def facts_of(self, column: ColumnOf) -> ColumnFacts:
        """Return the facts of a column of an occurrence."""
        return self.drafts[column.occurrence - 1].relation.by_name[column.name]

    def note_read(self, expression: Expression) -> None:
        """Record that the query depends on these columns."""
        for column in expression.columns:
            draft = self.drafts[column.occurrence - 1]
            draft.columns.add(column.name)
