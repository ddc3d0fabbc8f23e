"""Folds as SQL: what has changed of each group, and what becomes of its row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django_tviews.relational.tree import Join

from .joins import Rows
from .quoting import identifier, relation_name
from .routes import known
from .transitions import REMOVED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django_tviews.plan.columns import KeyColumn
    from django_tviews.plan.folds import Fold, FoldedColumn
    from django_tviews.relational.tree import Expression

# How many rows a group has more than before; no column can be expected to have this name.
_ROWS = identifier("rows?")
# The changed rows, in ``fold.sql``.
_MOVED = identifier("moved")
_NAN = "CAST('NaN' AS numeric)"
# By which operator a value is more extreme, and which function picks the one that is.
_UPPER, _LOWER = (">", "greatest"), ("<", "least")
_EXTREMES = {
    **dict.fromkeys(("max", "bool_or"), _UPPER),
    **dict.fromkeys(("min", "bool_and", "every"), _LOWER),
}


@dataclass(frozen=True)
class _Part:
    """What one column contributes to the statement.

    Attributes:
        changes: what has to be known of the rows that have come and gone.
        changed: tells that this is not nothing.
        settled: tells that it decides the new value.
        value: the new value.
    """

    changes: tuple[str, ...]
    changed: tuple[str, ...]
    settled: tuple[str, ...]
    value: str


def fold_values(
    key: Sequence[KeyColumn], fold: Fold, affected: Sequence[str], matches: str, replaced: str
) -> dict[str, str]:
    """Return the values of the placeholders of ``fold.sql`` that concern the fold.

    Args:
        key: the TView's key.
        fold: of the source.
        affected: names for the key of a group.
        matches: tells that a row of the TView is that of a change.
        replaced: tells that some of the rows that have come may be gone again.
    """
    rows = Rows(fold.occurrences)
    grouped_by = rows.key(fold.key, key)
    joined = _joined(fold, fold.rows, rows)
    if fold.filter is not None:
        # Before anything else is computed of a row: what it leaves out may be what that fails for.
        joined += f"\nWHERE ({rows.expression(fold.filter)})"
    totals = _Totals(rows, rows.alias(fold.start.number), replaced)
    parts = [totals.part(place, column) for place, column in enumerate(fold.columns, start=1)]
    by_column = dict(zip((column.name for column in fold.columns), parts, strict=True))
    changed = [each for part in parts for each in part.changed]
    settled = [matches]
    counted: tuple[str, ...] = ()
    if fold.row_count is not None:
        settled.append(f"{by_column[fold.row_count].value} > 0")
        if not fold.counts_every_row:
            # A group may begin or end with rows that no column counts.
            counted = (f"{totals.difference('count', '*')} AS {_ROWS}",)
            changed.append(f"change.{_ROWS} <> 0")
    settled += [each for part in parts for each in part.settled]
    return {
        "joined": joined,
        "grouped_by": _listed(
            f"{expression} AS {name}" for expression, name in zip(grouped_by, affected, strict=True)
        ),
        "changes": ",\n".join([*counted, *(change for part in parts for change in part.changes)]),
        "known": known(f"change.{name}" for name in affected),
        "places": _listed(str(place) for place in range(1, len(key) + 1)),
        "changed": "\nOR ".join(changed),
        "new_values": ",\n".join(
            f"{identifier(column.name)} = {part.value}"
            for column, part in zip(fold.columns, parts, strict=True)
        ),
        "settled": "\n  AND ".join(settled),
        "change_key": _listed(f"change.{name}" for name in affected),
        "change_keys": _listed(f"array_agg(change.{name})" for name in affected),
    }


def _joined(fold: Fold, joined: int | Join, rows: Rows) -> str:
    """Write what FROM gives for the changed rows in the place of their source."""
    if isinstance(joined, Join):
        left, right = _joined(fold, joined.left, rows), _joined(fold, joined.right, rows)
        condition = "true" if joined.condition is None else rows.expression(joined.condition)
        return f"({left} {joined.keyword} {right} ON {condition})"
    relation = _MOVED
    if joined != fold.start.number:
        relation = relation_name(fold.occurrences[joined - 1].relation)
    return f"{relation} AS {rows.alias(joined)}"


def shows_extremes(fold: Fold) -> bool:
    """Tell whether a fold depends on more than sums of what has come and gone."""
    return any(column.total.function in _EXTREMES for column in fold.columns)


class _Totals:
    """Totals of the changed rows.

    Args:
        rows: what the changed rows are joined with, and they themselves.
        start: their alias.
        replaced: tells that some of those that have come may be gone again.
    """

    def __init__(self, rows: Rows, start: str, replaced: str) -> None:
        self._rows = rows
        self._start = start
        self._replaced = replaced

    def difference(
        self, function: str, argument: str, condition: Expression | None = None, only: str = ""
    ) -> str:
        """By how much a total grows: that of the rows added, less that of the rows removed."""
        added = self._of(function, argument, condition, only, removed=False)
        removed = self._of(function, argument, condition, only, removed=True)
        if function == "sum":
            return f"coalesce({added}, 0) - coalesce({removed}, 0)"
        return f"{added} - {removed}"

    def part(self, place: int, column: FoldedColumn) -> _Part:
        """What a column contributes to the statement.

        Args:
            place: among the columns, from 1.
            column: which.
        """
        total = column.total
        argument = "*" if total.argument is None else self._rows.expression(total.argument)
        stored = f"tview.{identifier(column.name)}"
        if total.function in _EXTREMES:
            return self._extreme(place, column, argument, stored)
        if total.function == "count":
            more = identifier(f"more_{place}?")
            difference = self.difference("count", argument, total.filter)
            change = f"change.{more}"
            return _Part(
                (f"{difference} AS {more}",), (f"{change} <> 0",), (), f"{stored} + {change}"
            )
        return self._sum(place, column, argument, stored)

    def _sum(self, place: int, column: FoldedColumn, argument: str, stored: str) -> _Part:
        """What a sum contributes, or an average, which is a sum divided."""
        total, condition = column.total, column.total.filter
        more, values = identifier(f"more_{place}?"), identifier(f"values_{place}?")
        if column.summed_by is not None:
            stored = f"tview.{identifier(column.summed_by)}"
        changes, changed, settled = [], [], []
        number = ""
        if column.may_be_nan:
            # Counted by themselves: NaN that has come and gone may not hide what else has.
            nans, number = identifier(f"nans_{place}?"), f"({argument}) <> {_NAN}"
            of_nan = self.difference("count", "*", condition, f"({argument}) = {_NAN}")
            changes.append(f"{of_nan} AS {nans}")
            changed.append(f"change.{nans} <> 0")
            settled += [f"({stored} <> {_NAN}) IS NOT FALSE", f"change.{nans} = 0"]
        changes.append(f"{self.difference('sum', argument, condition, number)} AS {more}")
        changed.append(f"change.{more} <> 0")
        value = f"{stored} + change.{more}"
        if column.nullable or (column.summed_by is not None and total.or_zero):
            value = f"coalesce({stored}, 0) + change.{more}"
        if total.as_bigint:
            # Where the column holds more, the query refuses what bigint does not.
            value = f"CAST({value} AS bigint)"
        if column.counted_by is not None:
            changes.append(f"{self.difference('count', argument, condition)} AS {values}")
            changed.append(f"change.{values} <> 0")
            count = f"(tview.{identifier(column.counted_by)} + change.{values})"
            if total.function == "avg":
                decimals = total.decimals.most if total.decimals else 0
                value = f"round(CAST({value} AS numeric), {decimals}) / {count}"
            if column.nullable:
                value = f"CASE WHEN {count} > 0 THEN {value} END"
        return _Part(tuple(changes), tuple(changed), tuple(settled), value)

    def _extreme(self, place: int, column: FoldedColumn, argument: str, stored: str) -> _Part:
        added, removed = identifier(f"added_{place}?"), identifier(f"removed_{place}?")
        function, condition = column.total.function, column.total.filter
        better, picks = _EXTREMES[function]
        # An extreme that has both come and gone need not be there.
        replaced = f"change.{added} = change.{removed} AND ({self._replaced})"
        stays = (
            f"(change.{removed} IS NULL OR change.{added} {better} change.{removed} "
            f"OR {stored} {better} change.{removed} "
            f"OR change.{added} = change.{removed} AND NOT ({self._replaced}))"
        )
        return _Part(
            (
                f"{self._of(function, argument, condition, removed=False)} AS {added}",
                f"{self._of(function, argument, condition, removed=True)} AS {removed}",
            ),
            (f"change.{added} IS DISTINCT FROM change.{removed}", replaced),
            (stays,),
            f"{picks}({stored}, change.{added})",
        )

    def _of(
        self,
        function: str,
        argument: str,
        condition: Expression | None,
        only: str = "",
        *,
        removed: bool,
    ) -> str:
        wanted = f"{'' if removed else 'NOT '}{self._start}.{REMOVED}"
        if condition is not None:
            wanted += f" AND ({self._rows.expression(condition)}) IS TRUE"
        # Last: the condition may be what keeps the argument from failing.
        if only:
            wanted += f" AND {only}"
        return f"{function}({argument}) FILTER (WHERE {wanted})"


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(parts)
