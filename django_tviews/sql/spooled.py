"""Changed rows that wait in the spool: their images, as arrays of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .joins import Row
from .quoting import identifier
from .transitions import REMOVED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_tviews.facts import ColumnFacts
    from django_tviews.plan.plan import Plan, SourcePlan

# The cast from text to these looks a name up, and cannot read all that the cast to text writes.
_WRITTEN_AS_NUMBERS = frozenset({"regclass"})


def image(source: SourcePlan, row: str) -> str:
    """Return the image of a row as an array of text.

    Args:
        source: the relation of the row.
        row: the alias of the row.
    """
    return array_of(source, [f"{row}.{identifier(name)}" for name, _ in source.columns])


def array_of(source: SourcePlan, values: Sequence[str]) -> str:
    """Return the image of a row as an array of text, from the values of its columns.

    Args:
        source: the relation of the row.
        values: of the columns that the query reads, in order.
    """
    columns = zip(values, source.columns, strict=True)
    texts = [_as_text(value, type_sql) for value, (_, type_sql) in columns]
    return f"ARRAY[{', '.join(texts)}]::text[]"


def _as_text(value: str, type_sql: str) -> str:
    if type_sql == "bpchar":
        # A cast cuts off the blanks at its end, which nothing would add again.
        return f"textin(bpcharout({value}))"
    return f"{value}{'::oid' if type_sql in _WRITTEN_AS_NUMBERS else ''}::text"


def _from_text(text: str, type_sql: str) -> str:
    between = "oid" if type_sql in _WRITTEN_AS_NUMBERS else type_sql
    value = f"CAST({text} AS {between})"
    return value if between == type_sql else f"CAST({value} AS {type_sql})"


def _collated(column: ColumnFacts) -> str:
    """A cast gives the collation of the type, where a column may have its own."""
    return f" COLLATE {column.collation}" if column.collation else ""


def spool_delta(source: SourcePlan, spooled: str) -> str:
    """Return a query for the changed rows of a source that stand in the spool."""
    return f"SELECT {image_columns(source)}\n{spooled} AND spool.source = {source.number}"


def image_columns(source: SourcePlan) -> str:
    """Return what a query for rows of a source shows of their images in the spool."""
    outputs = [f"spool.removed AS {REMOVED}"]
    outputs += [f"{value} AS {identifier(name)}" for name, value in _values(source).items()]
    return ", ".join(outputs)


def requested_key(plan: Plan) -> list[str]:
    """Write the columns of a key that the spool holds beside no source: it was asked for."""
    return [
        f"CAST(spool.image[{place}] AS {column.type})"
        for place, column in enumerate(plan.key, start=1)
    ]


class Images(Row):
    """Images in the spool, in the place of the rows of a source.

    Args:
        source: whose rows they show.
    """

    def __init__(self, source: SourcePlan) -> None:
        super().__init__(identifier(f"image_{source.number}?"))
        self._source = source

    def joined(self) -> str:
        """Write what FROM gives beside the spool: NULL for the images of other sources."""
        outputs = ", ".join(
            # No text of another source may be cast.
            f"CASE spool.source WHEN {self._source.number} THEN {value} END AS {identifier(name)}"
            for name, value in _values(self._source).items()
        )
        return f"CROSS JOIN LATERAL (SELECT {outputs}) AS {self.name}"


def _values(source: SourcePlan) -> dict[str, str]:
    """Write the columns of an image, by their names."""
    return {
        name: f"{_from_text(f'spool.image[{place}]', type_sql)}"
        f"{_collated(source.relation.by_name[name])}"
        for place, (name, type_sql) in enumerate(source.columns, start=1)
    }
