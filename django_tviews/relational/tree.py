"""The relational tree of a query: base relations and the conditions that tie them together.

A query is *flattened*: helper views, derived tables and common table expressions are looked
through until only base relations are left, each appearance being an :class:`Occurrence`. What
remains of the nesting is what routing needs to know about each occurrence and each condition:

``sublinks``
    the subqueries that it stands in and that only compute something for the rows around them,
    outermost first: those in expressions, and those in FROM that give one row whatever they find
    (an aggregate without GROUP BY). A row of an occurrence in one never shows in the result
    itself, and what it must satisfy there says nothing about the rows around.
``outer_joins``
    the nullable sides of outer joins that it stands on. Such a row may be replaced by NULLs. A
    FULL JOIN has two of them, and a number for each.

A row of a UNION comes from one branch or the other. So the tree has :class:`alternatives
<Alternative>`: flat queries that read the same occurrences and differ in the branches they take.

An expression that cannot be evaluated from single rows (an aggregate, a sublink, a window, a
column behind a LIMIT) is *opaque*: it says which construct makes it so, and routing stops there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django_tviews.sqltypes import hashed_as

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from django_tviews.facts import ColumnFacts, RelationFacts


@dataclass(frozen=True, order=True)
class ColumnOf:
    """A column of one occurrence.

    Attributes:
        occurrence: the number of the occurrence.
        name: the column's name, unquoted.
    """

    occurrence: int
    name: str


@dataclass(frozen=True)
class Presence:
    """TRUE where a derived table is there, FALSE where an outer join has put NULLs in its place.

    Attributes:
        outer_joins: the nullable sides that the derived table stands on.
    """

    outer_joins: frozenset[int]


@dataclass(frozen=True)
class Expression:
    """SQL text with the columns it reads left open, and whether derived tables are there.

    Attributes:
        parts: text and what is left open, in reading order.
        opaque: empty, or the construct that keeps the expression from being evaluated on single
            rows of its occurrences.
    """

    parts: tuple[str | ColumnOf | Presence, ...]
    opaque: str = ""

    @property
    def columns(self) -> frozenset[ColumnOf]:
        """The columns read."""
        return frozenset(part for part in self.parts if isinstance(part, ColumnOf))

    @property
    def occurrences(self) -> frozenset[int]:
        """The numbers of the occurrences read."""
        return frozenset(column.occurrence for column in self.columns)

    @property
    def presences(self) -> frozenset[Presence]:
        """The derived tables that the value depends on being there."""
        return frozenset(part for part in self.parts if isinstance(part, Presence))

    @property
    def column(self) -> ColumnOf | None:
        """The column, if the expression is nothing but one."""
        if not self.opaque and len(self.parts) == 1 and isinstance(self.parts[0], ColumnOf):
            return self.parts[0]
        return None

    def parenthesised(self) -> Expression:
        """Return it so that it can stand anywhere in another one."""
        if self.column is not None:
            return self
        return Expression(("(", *self.parts, ")"), self.opaque)

    def render(self, column_sql: Callable[[ColumnOf], str]) -> str:
        """Return the SQL text over rows that are there, each column as ``column_sql`` writes it."""
        return "".join(
            column_sql(part)
            if isinstance(part, ColumnOf)
            else "true"
            if isinstance(part, Presence)
            else part
            for part in self.parts
        )


@dataclass(frozen=True)
class Occurrence:
    """One appearance of a base relation in the query, or of one that is computed.

    Attributes:
        number: its place in reading order, from 1.
        alias: a name no other occurrence has, made from the relation's.
        relation: the facts of the relation.
        columns: the columns of it that the query reads, in the relation's order.
        sublinks: the sublinks it stands in, outermost first.
        outer_joins: the outer joins on whose nullable side it stands.
        computed: for a function in FROM, or VALUES, its text over columns of other occurrences;
            None for a base relation.
    """

    number: int
    alias: str
    relation: RelationFacts
    columns: tuple[str, ...]
    sublinks: tuple[int, ...] = ()
    outer_joins: frozenset[int] = frozenset()
    computed: Expression | None = None

    @property
    def nullable(self) -> bool:
        """Rows of it may be replaced by NULLs."""
        return bool(self.outer_joins)


@dataclass(frozen=True)
class Condition:
    """A conjunct of a WHERE or ON clause, or what an IN sublink in one demands.

    Attributes:
        expression: the predicate.
        equality: the two columns, if it demands that they are equal (``=`` of two columns, which
            no NULL satisfies).
        sublinks: the sublinks it stands in.
        outer_joins: the outer joins that it only decides the match of, or only filters the
            nullable side of; rows extended with NULLs need not satisfy it.
        full: for a conjunct of a FULL JOIN's ON clause, its two sides; a row of either shows
            with or without a match.
        instead_of: the computed relation whose rows another condition is about, if this one says
            the same of the rows that those are computed from.
    """

    expression: Expression
    equality: tuple[ColumnOf, ColumnOf] | None = None
    sublinks: tuple[int, ...] = ()
    outer_joins: frozenset[int] = frozenset()
    full: frozenset[int] = frozenset()
    instead_of: int | None = None


@dataclass(frozen=True)
class Output:
    """An output column of the query.

    Attributes:
        name: its name.
        expression: what it is computed from.
        nullable: the structure of the query does not rule out NULL.
        type: its type, where the text tells it.
        one_look: values of it that are equal look the same, as far as the text tells.
        open_look: it shows any of several values that are equal and may look different.
    """

    name: str
    expression: Expression
    nullable: bool
    type: str = ""
    one_look: bool = False
    open_look: bool = False


@dataclass(frozen=True)
class Decimals:
    """How many decimals numeric values have.

    Attributes:
        most: none has more.
        always: each has as many.
    """

    most: int
    always: bool = True


HIDDEN: Final = "django_tviews:"
"""What the names of columns begin with that no field shows (see :mod:`.hidden`)."""


@dataclass(frozen=True)
class Total:
    """An output column that follows from what it was and from the rows that have come and gone.

    Attributes:
        output: its name.
        function: the aggregate: ``count``, ``sum``, ``avg``, ``min``, ``bool_and``…
        argument: of what; None for ``count(*)``.
        filter: the condition of FILTER.
        or_zero: a sum of nothing is zero: ``COALESCE(sum(…), 0)``.
        type: the type of the argument, where the text tells it.
        decimals: those of the argument's values, where the text tells them.
        nullable: the structure of the query does not rule out that the argument is NULL.
        as_bigint: a sum is cast to ``bigint``, which refuses what is too large.
        needed: the occurrences without a row of any of which it has no part in a combination.
    """

    output: str
    function: str
    argument: Expression | None
    filter: Expression | None = None
    or_zero: bool = False
    type: str = ""
    decimals: Decimals | None = None
    nullable: bool = False
    as_bigint: bool = False
    needed: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Join:
    """Two parts of a FROM clause, and how it joins them.

    Attributes:
        left: an occurrence, by its number, or a join.
        right: likewise.
        keyword: ``JOIN``, or ``LEFT JOIN``, ``RIGHT JOIN``, ``FULL JOIN``.
        condition: that of ON; None if every row is joined with every row.
        needed: the occurrences without a row of any of which the condition is not TRUE.
    """

    left: int | Join
    right: int | Join
    keyword: str
    condition: Expression | None
    needed: frozenset[int] = frozenset()

    @property
    def occurrences(self) -> frozenset[int]:
        """The numbers of all that it joins."""
        return numbers_of(self.left) | numbers_of(self.right)


def numbers_of(rows: int | Join) -> frozenset[int]:
    """Return the numbers of the occurrences that a part of a FROM clause consists of."""
    return rows.occurrences if isinstance(rows, Join) else frozenset({rows})


@dataclass(frozen=True)
class Groups:
    """The outermost SELECT groups rows of tables and shows nothing but totals of the groups.

    Attributes:
        rows: what it groups: an occurrence, by its number, or a join of several.
        grouped_by: by what; nothing else tells groups apart.
        totals: the output columns that are totals; the others are the same for a whole group.
        filter: the condition of WHERE.
        one: there is no GROUP BY, so one group, with rows or without.
        needed: the occurrences without a row of any of which the filter is not TRUE.
    """

    rows: int | Join
    grouped_by: tuple[Expression, ...]
    totals: tuple[Total, ...]
    filter: Expression | None = None
    one: bool = False
    needed: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Alternative:
    """A flat query: one of those whose rows together decide what the result is.

    Attributes:
        occurrences: the base relations, and those that are computed, in reading order; every
            alternative has the same.
        conditions: what ties them together and filters them.
        outputs: the output columns.
        routed: the occurrences whose changes this alternative is about. Those in a branch that it
            does not take are missing, and, where a branch only decides which rows of another one
            show (the right side of EXCEPT), all those outside of it.
        far_reaching: a change that satisfies the conditions affects every row that they do not
            exclude: a NULL among the values of NOT IN.
        partitions: for each PARTITION BY outside of sublinks, the columns it consists of, as far
            as it consists of columns; for each LIMIT in LATERAL, those of the rows around it.
        groups: what it consists of, if that is groups of rows of tables.
    """

    occurrences: tuple[Occurrence, ...]
    conditions: tuple[Condition, ...]
    outputs: tuple[Output, ...]
    routed: frozenset[int]
    far_reaching: bool = False
    partitions: tuple[frozenset[ColumnOf], ...] = ()
    groups: Groups | None = None

    def output(self, name: str) -> Output | None:
        """Return the output column of that name."""
        return next((output for output in self.outputs if output.name == name), None)

    def facts_of(self, column: ColumnOf) -> ColumnFacts:
        """Return what is known about a column of one of the occurrences."""
        return self.occurrences[column.occurrence - 1].relation.by_name[column.name]

    def hash_alike(self, columns: Iterable[ColumnOf]) -> bool:
        """Tell whether equal values of columns have equal hashes, whichever has which."""
        facts = [self.facts_of(column) for column in columns]
        hashes = {hashed_as(each.type) for each in facts}
        return len(hashes) == 1 and None not in hashes and all(each.deterministic for each in facts)


@dataclass(frozen=True)
class QueryTree:
    """A query, flattened.

    Attributes:
        alternatives: the flat queries it consists of, at least one.
    """

    alternatives: tuple[Alternative, ...]

    @property
    def occurrences(self) -> tuple[Occurrence, ...]:
        """The base relations, in reading order."""
        return tuple(each for each in self.alternatives[0].occurrences if each.computed is None)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The output columns, as the first alternative computes them."""
        return self.alternatives[0].outputs

    def output(self, name: str) -> Output | None:
        """Return the output column of that name, as the first alternative computes it."""
        return self.alternatives[0].output(name)

    def open_look(self, name: str) -> bool:
        """Tell whether an output shows any of several values that are equal."""
        found = [alternative.output(name) for alternative in self.alternatives]
        return any(output is None or output.open_look for output in found)
