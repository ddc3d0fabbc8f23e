"""The triggers that call the functions of a TView."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django_tviews.facts import RelationFacts, RelationKind

from .created import Trigger
from .events import ROW_EVENTS, events_of, rows_move
from .names import GUARD, quoted_function, source_function, trigger_name
from .quoting import identifier, literal, qualified, regclass, relation_name
from .shared import plain_name, setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django_tviews.plan.plan import Plan, SourcePlan

TRANSITION_TABLES = {
    "INSERT": "REFERENCING NEW TABLE AS new_rows",
    "UPDATE": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "DELETE": "REFERENCING OLD TABLE AS old_rows",
}


def shared_triggers(
    relation: RelationFacts, runtime_schema: str, events: Iterable[str] = (*ROW_EVENTS, "TRUNCATE")
) -> Iterator[Trigger]:
    """Return the triggers that count open statements on a table.

    TViews of several registries (a schema for each tenant) may read one table; each counts its own.
    """
    table, runtime = relation_name(relation), identifier(runtime_schema)
    for event in events:
        # An event trigger may write between the two: what is opened has to be closed.
        for order, timing, name in ((3, "AFTER", "close"), (1, "BEFORE", "open")):
            trigger = f"tviews_{order}_{name}_{event.lower()}_{plain_name(runtime_schema)}"
            yield Trigger(
                table,
                trigger,
                f"CREATE OR REPLACE TRIGGER {trigger} {timing} {event} ON {table}\n"
                f"    FOR EACH STATEMENT EXECUTE FUNCTION {runtime}.django_tviews_{name}()",
                shared=True,
            )


def counting_rows(runtime_schema: str) -> frozenset[str]:
    """Name the triggers that count open statements on the rows of a table that TViews read."""
    counting = shared_triggers(RelationFacts("", ""), runtime_schema, ROW_EVENTS)
    return frozenset(trigger.name for trigger in counting)


class Triggers:
    """Writes the triggers of one TView."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.tview = regclass(plan.schema, plan.table)
        self.truncated = quoted_function(plan, "truncated")

    def source_triggers(self) -> Iterator[Trigger]:
        """Yield those on the sources, which keep the TView."""
        for source in self.plan.sources:
            for target in source.relation.targets:
                yield from shared_triggers(target, self.plan.runtime_schema)
                for event in events_of(source):
                    function = qualified(
                        self.plan.schema, source_function(self.plan, source, event)
                    )
                    yield self._trigger(target, event, function, source)
                yield self._trigger(target, "TRUNCATE", self.truncated)
            yield from self._row_triggers(source)

    def _row_triggers(self, source: SourcePlan) -> Iterator[Trigger]:
        """Return the triggers on rows that statement triggers do not see.

        PostgreSQL clones them to partitions that are created or attached later.
        """
        relation = source.relation
        updating = literal(setting(self.plan.runtime_schema, "updating"))
        function = qualified(self.plan.schema, source_function(self.plan, source, "row"))
        if rows_move(relation):
            # A MERGE that inserts a row into a partition shows it in place of each row that it then
            # updates (seen in PostgreSQL 15 and 18). Where a trigger may change a row before it is
            # inserted, PostgreSQL shows each as it is. This one is never called.
            yield self._row_trigger(
                source,
                # The clones have its name, and what was outermost becomes a partition by ATTACH.
                f"apart_{len(relation.ancestors)}",
                "BEFORE INSERT",
                f"false AND {self.tview} IS NOT NULL",
                function,
                relation.outermost,
            )
            # MERGE leaves the row that it moves to another partition out of all transition tables.
            yield self._row_trigger(
                source,
                "moved",
                "AFTER INSERT OR DELETE",
                f"current_setting({updating}, true) = 'on' AND {self.tview} IS NOT NULL",
                function,
                relation,
            )
        if relation.kind is RelationKind.PARTITIONED_TABLE:
            trigger = self._row_trigger(
                source,
                "row",
                "AFTER INSERT OR UPDATE OR DELETE",
                f"{self.tview} IS NOT NULL",
                function,
                relation,
            )
            leaves = (
                relation_name(each)
                for each in relation.descendants
                if each.kind is RelationKind.PARTITION
            )
            yield replace(trigger, disabled_on=tuple(leaves))

    def _row_trigger(
        self,
        source: SourcePlan,
        suffix: str,
        events: str,
        condition: str,
        function: str,
        relation: RelationFacts,
    ) -> Trigger:
        table = relation_name(relation)
        name = trigger_name(self.plan, relation, suffix, source)
        return Trigger(
            table,
            name,
            f"CREATE OR REPLACE TRIGGER {identifier(name)} {events} ON {table}\n"
            f"    FOR EACH ROW WHEN ({condition})\n"
            f"    EXECUTE FUNCTION {function}()",
            source=source.number,
        )

    def own_triggers(self) -> Iterator[Trigger]:
        """Yield those on the TView itself, which keep others from writing to it."""
        own = RelationFacts(self.plan.schema, self.plan.table)
        # Other statements write to it only inside of maintenance; they count where TViews read it.
        yield from shared_triggers(own, self.plan.runtime_schema, ["TRUNCATE"])
        yield self._trigger(own, "TRUNCATE", self.truncated)
        table, runtime = relation_name(own), identifier(self.plan.runtime_schema)
        yield Trigger(
            table,
            GUARD,
            f"CREATE OR REPLACE TRIGGER {GUARD} BEFORE INSERT OR UPDATE OR DELETE "
            f"ON {table}\n    FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0)\n"
            f"    EXECUTE FUNCTION {runtime}.django_tviews_refuse_write()",
        )

    def _trigger(
        self, relation: RelationFacts, event: str, function: str, source: SourcePlan | None = None
    ) -> Trigger:
        table = relation_name(relation)
        name = trigger_name(self.plan, relation, event.lower(), source)
        transition = f" {TRANSITION_TABLES[event]}" if event in TRANSITION_TABLES else ""
        # The constant in WHEN makes the trigger depend on the TView's table: DROP TABLE is
        # refused while it exists, and DROP TABLE ... CASCADE takes it along.
        return Trigger(
            table,
            name,
            f"CREATE OR REPLACE TRIGGER {identifier(name)} AFTER {event} ON {table}{transition}\n"
            f"    FOR EACH STATEMENT WHEN ({self.tview} IS NOT NULL)\n"
            f"    EXECUTE FUNCTION {function}()",
            source=source.number if source is not None else 0,
        )
