"""The events on a source that a TView has triggers for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_tviews.facts import RelationKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_tviews.facts import RelationFacts
    from django_tviews.plan.plan import SourcePlan

ROW_EVENTS = ("INSERT", "UPDATE", "DELETE")

TRIGGER_TYPES = {"INSERT": 4, "DELETE": 8, "UPDATE": 16}
"""``pg_trigger.tgtype`` of what fires after a statement, by its event."""


def events_of(source: SourcePlan) -> Iterator[str]:
    """Yield the events on rows of a source that may change a TView."""
    for event in ROW_EVENTS:
        # An update changes nothing that is read of a source of which no column is read.
        if event != "UPDATE" or source.columns:
            yield event


def rows_move(relation: RelationFacts) -> bool:
    """Tell whether an update can move a row of a relation to another partition."""
    return relation.kind in (RelationKind.PARTITIONED_TABLE, RelationKind.PARTITION)
