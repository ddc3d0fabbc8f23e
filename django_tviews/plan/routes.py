"""Routes: from a changed row of one occurrence to the keys of the rows it may affect.

**Claim.** Let *t* be a row of occurrence T that a statement removed or added, and let *o* be a
row of the query's result that differs between the state before and the state after. If *o*
differs because of *t*, then the route of T, evaluated over *t* and over the relations' current
rows together with all rows removed, yields the key of *o*.

**Why.** The route is a join of T with further occurrences, by conditions that every combination
of rows in which *t* takes part must satisfy (:meth:`_Search._must_hold`), or that decide what a
nullable side shows beside *t*:

* a condition of T's own SELECT or of one around it, for a combination without *t* stays as it
  was. Conditions of other sublinks (and of what counts as one, see :mod:`relational.tree`) say
  nothing about *t* and are left out;
* a condition under an outer join, only if T stands on its nullable side or *t* takes part
  only where that side is matched, since otherwise *t* shows with or without a match;
* a condition over a row that may be replaced by NULLs, only if NULLs cannot satisfy it.

Both states are made of rows that are current or removed, so the join finds the combination.

**Windows.** The value of a window function over a row depends on the rows of its partition, in
the state that the row shows in. So it is computed by a sublink over the same FROM items, whose
conditions are those of the SELECT and that both rows are in one partition. A partition of NULLs has
an alternative of its own; where rows that NULLs replace decide about it, nothing ties them.

**LIMIT.** Whether a row is among the first few depends on all the rows before the LIMIT, as its
number among them would: they are one partition, tied by what LATERAL demands of them. If *o* comes
or goes and neither its own row nor the row around it has changed, some *t* beside it has, and these
three satisfy the conditions in a state that *t* was in.

**Computed relations.** The rows of a function in FROM, and of VALUES, follow from the rows that
they are computed from, which are part of the combination; so the route computes them from these. If
it takes rows that NULLs may replace, that must be as if there were no row; otherwise it is opaque.

**Alternatives.** A row of a UNION is made of rows of one branch, so *o* is made of a combination
of one :class:`~django_tviews.relational.tree.Alternative`, and each that *t* takes part in has its
own route. INTERSECT and EXCEPT show rows of their left side; a row of the right side matters only
to those with equal values, which it stands for in the alternative about its changes.

GROUPING SETS are a UNION ALL of as many queries with one GROUP BY, and so are their alternatives.

The key is then read off the combination. A relation on a nullable side may have been, or now
be, replaced by NULLs, and so may a derived table with all that it computes: the key expressions
are evaluated both ways (:attr:`Route.keys`). Joining
with LEFT JOIN, dropping a condition and adding keys only ever widens the result, and an extra
key costs a recomputation that changes nothing. ∎
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, combinations
from typing import TYPE_CHECKING

from django_tviews.relational.tree import (
    Alternative,
    ColumnOf,
    Condition,
    Expression,
    Occurrence,
    Presence,
    QueryTree,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence


@dataclass(frozen=True)
class Step:
    """A relation that the route joins.

    Attributes:
        occurrence: which.
        conditions: what its rows must satisfy, with the rows joined before it.
        looked_up_by: the columns of it that these conditions equate with columns of rows joined
            before, as far as equal values of the two have equal hashes; each with that column.
    """

    occurrence: Occurrence
    conditions: tuple[Expression, ...]
    looked_up_by: tuple[tuple[str, ColumnOf], ...] = ()


@dataclass(frozen=True)
class Route:
    """SQL, not yet rendered, that takes changed rows of one occurrence to keys.

    Attributes:
        occurrence: where the changed rows stand in.
        filters: conditions on the changed row alone.
        steps: the relations joined, in order; none for a direct route.
        keys: the key expressions, once for each way in which rows may be replaced by NULLs.
    """

    occurrence: Occurrence
    filters: tuple[Expression, ...]
    steps: tuple[Step, ...]
    keys: tuple[tuple[Expression, ...], ...]

    @property
    def starts_from(self) -> tuple[str, ...]:
        """The columns of a changed row that decide where the route leads."""
        expressions = chain(
            self.filters,
            *(step.conditions for step in self.steps),
            (step.occurrence.computed for step in self.steps if step.occurrence.computed),
            *self.keys,
        )
        read = {
            column.name
            for each in expressions
            for column in each.columns
            if column.occurrence == self.occurrence.number
        }
        return tuple(name for name in self.occurrence.columns if name in read)

    @property
    def shape(self) -> tuple[object, ...]:
        """The route apart from what its occurrences are called; equal shapes find equal keys."""
        places = {self.occurrence.number: 0}
        places |= {step.occurrence.number: place for place, step in enumerate(self.steps, 1)}

        def text(expressions: Iterable[Expression]) -> tuple[str, ...]:
            return tuple(
                each.render(lambda column: f"{places[column.occurrence]}.{column.name}")
                for each in expressions
            )

        steps = tuple(
            (
                step.occurrence.relation.full_name,
                text(() if step.occurrence.computed is None else (step.occurrence.computed,)),
                text(step.conditions),
            )
            for step in self.steps
        )
        return (text(self.filters), steps, *(text(key) for key in self.keys))


@dataclass(frozen=True)
class NoRoute:
    """A change of the occurrence may affect every key.

    Attributes:
        occurrence: where the changed rows stand in.
        reason: why there is no route, as the end of the sentence "there is no route because".
    """

    occurrence: Occurrence
    reason: str

    @property
    def shape(self) -> tuple[object, ...]:
        """The reason: one of its kind is enough."""
        return (self.reason,)


def find_routes(tree: QueryTree, number: int, key: Sequence[str]) -> tuple[Route | NoRoute, ...]:
    """Find the shortest joins from an occurrence to what the key is made of.

    Args:
        tree: the query.
        number: of the occurrence where rows change.
        key: the names of the output columns that identify a row of the result.

    Returns:
        A route for each alternative that the occurrence takes part in.
    """
    found: dict[object, Route | NoRoute] = {}
    for alternative in tree.alternatives:
        if number in alternative.routed:
            outputs = [alternative.output(name) for name in key]
            expressions = [output.expression for output in outputs if output is not None]
            route = find_way(alternative, number, expressions)
            found[route.shape] = route
    return tuple(found.values())


def find_way(tree: Alternative, number: int, key: Sequence[Expression]) -> Route | NoRoute:
    """Find the shortest join from an occurrence to what expressions are made of.

    Args:
        tree: an alternative of the query.
        number: of the occurrence.
        key: the expressions.
    """
    occurrence = tree.occurrences[number - 1]
    for expression in key:
        if expression.opaque:
            return NoRoute(occurrence, f"the key is computed by {expression.opaque}")
    search = _Search(tree, occurrence, key)
    wanted = sorted(set(chain.from_iterable(expression.columns for expression in key)))
    missing = [column for column in wanted if not search.supply(column)]
    # What nothing ties to the changed row goes with it in every combination. Then the rows that
    # it affects are as many as the combinations, unless they are all the rows there are.
    if missing and len(missing) == len(wanted) and not tree.far_reaching:
        relation = tree.occurrences[missing[0].occurrence - 1].relation
        return NoRoute(
            occurrence,
            f"no join condition leads from {occurrence.relation.full_name} to "
            f"{relation.full_name}, which supplies the key",
        )
    for column in missing:
        if not search.join_all(column):
            relation = tree.occurrences[column.occurrence - 1].relation
            return NoRoute(
                occurrence, f"nothing tells which rows {relation.full_name} is computed from"
            )
    return Route(
        occurrence,
        tuple(search.filters()),
        tuple(search.steps),
        tuple(search.keys(key, wanted)),
    )


class _Search:
    def __init__(self, tree: Alternative, start: Occurrence, key: Sequence[Expression]) -> None:
        self.tree = tree
        self.start = start
        # A key that is a column is matched by value; one computed from it may tell looks apart.
        self.looked_at = frozenset(
            chain.from_iterable(each.columns for each in key if each.column is None)
        )
        self.usable = [
            condition for condition in tree.conditions if _usable(tree, start, condition)
        ]
        self.joined = {start.number}
        self.steps: list[Step] = []
        self.matched = self._matched()

    def _matched(self) -> frozenset[int]:
        """The nullable sides that are not NULL in any combination with the changed row.

        Its own, and those of every row that it can only be combined with by an equality.
        """
        matched = self.start.outer_joins
        grown = True
        while grown:
            grown = False
            for condition in self.usable:
                if condition.equality is None or not self._follows(condition, matched):
                    continue
                for column in condition.equality:
                    sides = self.tree.occurrences[column.occurrence - 1].outer_joins
                    grown = grown or not sides <= matched
                    matched |= sides
        return matched

    def _must_hold(self, condition: Condition) -> bool:
        """Tell whether every combination that the changed row takes part in satisfies it."""
        return self._follows(condition, self.matched)

    @staticmethod
    def _follows(condition: Condition, matched: frozenset[int]) -> bool:
        return condition.outer_joins <= matched and not condition.full

    def filters(self) -> Iterable[Expression]:
        """The conditions that the changed row satisfies by itself."""
        for condition in self.usable:
            alone = condition.expression.occurrences == {self.start.number}
            if alone and self._must_hold(condition):
                yield condition.expression

    def keys(
        self, key: Sequence[Expression], wanted: Sequence[ColumnOf]
    ) -> Iterable[tuple[Expression, ...]]:
        """The key, evaluated with every choice of what an outer join may miss."""
        nullable = sorted(
            {
                column.occurrence
                for column in wanted
                if self.tree.occurrences[column.occurrence - 1].nullable
            }
        )
        derived = dict.fromkeys(
            part for expression in key for part in expression.parts if isinstance(part, Presence)
        )
        missable: list[int | Presence] = [*nullable, *derived]
        choices = chain.from_iterable(
            combinations(missable, size) for size in range(len(missable) + 1)
        )
        for absent in choices:
            yield tuple(self._evaluated(expression, absent) for expression in key)

    def _evaluated(self, expression: Expression, absent: Collection[int | Presence]) -> Expression:
        parts: list[str | ColumnOf | Presence] = []
        for part in expression.parts:
            if isinstance(part, str):
                parts.append(part)
            elif isinstance(part, Presence):
                parts.append("false" if part in absent else "true")
            elif part.occurrence in absent:
                parts += self._null(part)
            else:
                parts.append(self._at_hand(part) or part)
        return Expression(tuple(parts))

    def _null(self, column: ColumnOf) -> tuple[str | ColumnOf, ...]:
        type_sql = self.tree.facts_of(column).type
        if "." in type_sql or not type_sql:
            # Not PostgreSQL's own, so perhaps a domain, which may refuse a cast of NULL.
            return ("(CASE WHEN false THEN ", self._at_hand(column) or column, " END)")
        # In parentheses, since the column may be subscripted.
        return (f"(CAST(NULL AS {type_sql}))",)

    def supply(self, column: ColumnOf) -> bool:
        """Join what is needed until the column's value is at hand."""
        while self._at_hand(column) is None:
            path = self._shortest_path({equal.occurrence for equal in self._equals(column)})
            if path is None:
                return False
            for number in path:
                self._join(number)
        return True

    def join_all(self, column: ColumnOf) -> bool:
        """Join all rows of the relation that has the column; tell whether that can be done."""
        return self._at_hand(column) is not None or self._join_with_inputs(column.occurrence)

    def _join_with_inputs(self, number: int) -> bool:
        """Join a relation, and before it what it is computed from."""
        occurrence = self.tree.occurrences[number - 1]
        if occurrence.computed is not None and number not in self.joined:
            inputs = sorted(occurrence.computed.occurrences)
            if not all(self._join_with_inputs(each) for each in inputs):
                return False
            if not self._computable(occurrence, self.joined):
                return False
        self._join(number)
        return True

    def _leads_to(self, condition: Condition, number: int) -> bool:
        """Tell whether rows of an occurrence may be found by the condition.

        Either it must hold, or it decides the match of a nullable side that the occurrence
        stands on; where there is no match the occurrence is NULL, as in the query. In a FULL
        JOIN that is so only if the other side is there.
        """
        sides = self.tree.occurrences[number - 1].outer_joins
        if condition.full:
            entered = bool(condition.full & sides) and condition.full - sides <= self.matched
            return entered and condition.outer_joins <= sides
        return self._must_hold(condition) or condition.outer_joins <= sides

    def _at_hand(self, column: ColumnOf) -> ColumnOf | None:
        """The column itself or an equal one, of a relation already joined."""
        if column.occurrence in self.joined:
            return column
        at_hand = (equal for equal in self._equals(column) if equal.occurrence in self.joined)
        return min(at_hand, default=None)

    def _equals(self, column: ColumnOf) -> set[ColumnOf]:
        """The columns that may stand for one in the key, in every combination with the row."""
        looked_at = column in self.looked_at
        found = {column}
        pending = [column]
        while pending:
            known = pending.pop()
            for condition in self.usable:
                if (
                    condition.equality is None
                    or known not in condition.equality
                    or not self._leads_to(condition, known.occurrence)
                    or not self._interchangeable(*condition.equality, looked_at=looked_at)
                ):
                    continue
                new = set(condition.equality) - found
                found |= new
                pending.extend(new)
        return found

    def _interchangeable(self, first: ColumnOf, second: ColumnOf, *, looked_at: bool) -> bool:
        """Tell whether of equal values of two columns either may be used."""
        facts = [self.tree.facts_of(column) for column in (first, second)]
        return (
            facts[0].type == facts[1].type != ""
            and all(each.deterministic for each in facts)
            and (not looked_at or facts[0].one_look)
        )

    def _shortest_path(self, targets: set[int]) -> list[int] | None:
        """The occurrences to join, in order, so that one of the targets is joined."""
        reached: dict[int, list[int]] = {number: [] for number in self.joined}
        frontier = True
        while frontier:
            frontier = False
            if arrived := targets & reached.keys():
                return min((reached[number] for number in arrived), key=len)
            found: dict[int, list[int]] = {}
            for condition in self.usable:
                if self._at_hand_itself(condition, reached):
                    continue
                missing = condition.expression.occurrences - reached.keys()
                # A condition on one relation alone would lead to it from anywhere, to all its rows.
                joins = len(condition.expression.occurrences) > 1
                if joins and len(missing) == 1 and self._leads_to(condition, min(missing)):
                    (number,) = missing
                    if self.tree.occurrences[number - 1].computed is not None:
                        continue
                    before = chain.from_iterable(
                        reached[other]
                        for other in sorted(condition.expression.occurrences)
                        if other != number
                    )
                    path = [*dict.fromkeys(before), number]
                    if number not in found or len(path) < len(found[number]):
                        found[number] = path
            for occurrence in self.tree.occurrences:
                if self._computable(occurrence, reached):
                    inputs = sorted(occurrence.computed.occurrences) if occurrence.computed else []
                    before = chain.from_iterable(reached[number] for number in inputs)
                    found[occurrence.number] = [*dict.fromkeys(before), occurrence.number]
            if found:
                reached |= found
                frontier = True
        return None

    def _at_hand_itself(self, condition: Condition, reached: Collection[int]) -> bool:
        """Tell whether a computed relation can be joined, so that nothing need stand for it."""
        if condition.instead_of is None:
            return False
        computed = self.tree.occurrences[condition.instead_of - 1].computed
        return computed is not None and computed.occurrences <= set(reached)

    def _computable(self, occurrence: Occurrence, reached: Collection[int]) -> bool:
        """Tell whether a computed relation follows from what is reached."""
        return (
            occurrence.computed is not None
            and not occurrence.computed.opaque
            and occurrence.number not in reached
            and occurrence.computed.occurrences <= set(reached)
            and _encloses(occurrence.sublinks, self.start.sublinks)
        )

    def _join(self, number: int) -> None:
        if number in self.joined:
            return
        self.joined.add(number)
        conditions = [
            condition
            for condition in self.usable
            if number in condition.expression.occurrences
            and condition.expression.occurrences <= self.joined
            and self._leads_to(condition, number)
            and condition.instead_of not in self.joined
        ]
        self.steps.append(
            Step(
                self.tree.occurrences[number - 1],
                tuple(condition.expression for condition in conditions),
                tuple(self._looked_up_by(number, conditions)),
            )
        )

    def _looked_up_by(
        self, number: int, conditions: Iterable[Condition]
    ) -> Iterable[tuple[str, ColumnOf]]:
        by_column: dict[str, ColumnOf] = {}
        for condition in conditions:
            own, other = sorted(
                condition.equality or (), key=lambda column: column.occurrence != number
            ) or (None, None)
            if own is None or other is None or other.occurrence == own.occurrence:
                continue
            if self.tree.hash_alike((own, other)):
                by_column.setdefault(own.name, other)
        return sorted(by_column.items())


def _usable(tree: Alternative, start: Occurrence, condition: Condition) -> bool:
    """Tell whether the condition says anything about combinations with the changed row."""
    occurrences = [tree.occurrences[number - 1] for number in condition.expression.occurrences]
    missable = [each.outer_joins for each in occurrences]
    missable += [each.outer_joins for each in condition.expression.presences]
    inside = [condition.sublinks, *(each.sublinks for each in occurrences)]
    if not all(_encloses(sublinks, start.sublinks) for sublinks in inside):
        return False
    # NULLs in place of a row satisfy no equality, but they may satisfy anything else.
    return condition.equality is not None or all(
        outer_joins <= condition.outer_joins | condition.full for outer_joins in missable
    )


def _encloses(outer: tuple[int, ...], inner: tuple[int, ...]) -> bool:
    return inner[: len(outer)] == outer
