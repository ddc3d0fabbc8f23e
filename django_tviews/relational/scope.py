"""What the expressions of one SELECT can name: FROM items, their columns, and the SELECTs around.

Names are resolved as in PostgreSQL's ``parse_relation.c``: the innermost scope first.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from django_tviews.errors import DependencyResolutionFailed, InvalidQuery
from django_tviews.text import words

from .constructs import refuse
from .syntax import Node, names, position, same
from .tree import Output

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_tviews.facts import ColumnFacts

    from .grouping import Grouping
    from .tree import ColumnOf, Expression

_SYSTEM_COLUMNS = words(
    """
    cmax cmin ctid tableoid xmax xmin
    """
)


@dataclass(frozen=True)
class BoundColumn:
    """A column as a FROM item shows it to the expressions around it.

    Attributes:
        name: what it is called.
        expression: what it is made of.
        nullable: the structure of the query does not rule out NULL.
        facts: those of the column of a base relation that it shows.
        type: its type, where the text tells it.
        one_look: values of it that are equal look the same, as far as the text tells.
        open_look: it shows any of several values that are equal and may look different.
    """

    name: str
    expression: Expression
    nullable: bool
    facts: ColumnFacts | None = None
    type: str = ""
    one_look: bool = False
    open_look: bool = False

    @property
    def output(self) -> Output:
        """The output that shows this column and nothing else."""
        return Output(
            self.name,
            self.expression,
            self.nullable,
            self.type,
            self.one_look,
            self.open_look,
        )

    @property
    def base(self) -> ColumnOf | None:
        """The column of a base relation that it shows, whatever picks the rows it is shown of."""
        return replace(self.expression, opaque="").column


@dataclass
class Item:
    """A FROM item: its name and its columns, in order; without a name nothing can name them."""

    alias: str
    columns: list[BoundColumn]
    # The occurrences whose rows make up its rows; None where groups stand for rows.
    rows: frozenset[int] | None

    def column(self, name: str) -> BoundColumn | None:
        """Return the column of that name."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass
class Merged:
    """The one column that JOIN USING shows for two, and the items it hides."""

    column: BoundColumn
    items: list[Item]


@dataclass
class Block:
    """What is known of one SELECT once it is bound.

    Attributes:
        outputs: its output columns.
        rows: the occurrences whose rows make up its rows; None where groups stand for rows.
    """

    outputs: list[Output]
    rows: frozenset[int] | None


@dataclass(frozen=True)
class Cte:
    """A common table expression.

    Attributes:
        node: the ``CommonTableExpr``.
        visible: the ones that it can name.
        outer: what is around the SELECT that it belongs to, whose columns it can name, too.
        shown: within a recursive one, what it shows to itself.
        recursive: it names itself.
    """

    node: Node
    visible: dict[str, Cte]
    outer: Scope | None = None
    shown: list[BoundColumn] | None = None
    recursive: bool = False


@dataclass
class Scope:
    """What one SELECT can name: its own FROM items, then those of the SELECTs around it."""

    items: list[Item] = field(default_factory=list)
    # Columns merged by JOIN USING, which hide those of the items; inner joins before outer ones.
    merged: list[Merged] = field(default_factory=list)
    outer: Scope | None = None
    ctes: dict[str, Cte] = field(default_factory=dict)
    sublinks: tuple[int, ...] = ()
    outer_joins: frozenset[int] = frozenset()
    # In the ON clause of a FULL JOIN: its two sides.
    full: frozenset[int] = frozenset()
    # Which row comes first decides nothing here: EXISTS.
    order_matters: bool = True
    # The rows of this SELECT in their order are its value: ARRAY(SELECT ...).
    rows_in_order: bool = False
    # What the rows of this SELECT have been grouped by; None as long as they have not.
    grouped_by: list[Node] | None = None
    # Where the subqueries stand that show any of several values that are equal.
    open_sublinks: set[int] = field(default_factory=set)
    # Columns that a top-level conjunct of WHERE proves to be not NULL.
    proven: list[BoundColumn] = field(default_factory=list)
    # The functions that give rows in the select list, and the columns that stand for them.
    unnested: list[tuple[Node, BoundColumn]] = field(default_factory=list)
    # They run before rows are grouped, so that groups are of their rows.
    unnested_first: bool = False
    # The grouping sets, if there are several, while what is computed of groups is bound.
    grouping: Grouping | None = None

    def unnested_column(self, call: Node) -> BoundColumn | None:
        """Return the column that stands for a function in the select list."""
        return next((column for known, column in self.unnested if same(known, call)), None)

    def resolve(self, reference: Node) -> BoundColumn:
        """Find the column a reference names, in the innermost scope that knows it.

        Raises:
            UnsupportedQuery: it names a whole row or a system column.
            DependencyResolutionFailed: it names nothing.
        """
        name = names(reference.fields)
        if name[-1] == "*":
            refuse("whole-row", ".".join(name), position=position(reference))
        scopes = list(self._outwards())
        for scope in scopes:
            found = scope.own_column(name, position(reference))
            if found is not None:
                if scope is not self and scope.grouping is not None:
                    return scope.grouping.seen_from_below(found, scope)
                return found
        if name[-1] in _SYSTEM_COLUMNS:
            refuse("system-column", ".".join(name), position=position(reference))
        if len(name) == 1 and any(item.alias == name[0] for s in scopes for item in s.items):
            refuse("whole-row", name[0], position=position(reference))
        raise DependencyResolutionFailed(
            f"The query reads column {'.'.join(name)!r}, which does not exist.",
            hint="Check the column's name, and that the migration that adds it comes first.",
            column=name[-1],
        )

    def own_column(self, name: tuple[str, ...], where: int | None) -> BoundColumn | None:
        """Return the column of this SELECT's own FROM items that a name stands for."""
        if len(name) > 1:
            for item in self.items:
                if item.alias == name[-2] and (column := item.column(name[-1])) is not None:
                    return column
            return None
        for merged in reversed(self.merged):
            if merged.column.name == name[0]:
                return merged.column
        found = [
            column
            for item in self.items
            if item.alias and (column := item.column(name[0])) is not None
        ]
        if len(found) > 1:
            raise InvalidQuery(
                f"Column {name[0]!r} is ambiguous.",
                hint="Write the alias of its relation before it.",
                position=where,
            )
        return found[0] if found else None

    def rows_around(self) -> Iterable[int]:
        """Yield the occurrences of the SELECTs around: one row of each while this is evaluated."""
        for scope in self._outwards():
            if scope is not self:
                for item in scope.items:
                    yield from item.rows or ()

    def columns_around(self) -> Iterable[ColumnOf]:
        """Yield the columns of occurrences that the SELECTs around show in their FROM items."""
        for scope in self._outwards():
            if scope is not self:
                for item in scope.items:
                    yield from (each.base for each in item.columns if each.base is not None)

    def _outwards(self) -> Iterable[Scope]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer
