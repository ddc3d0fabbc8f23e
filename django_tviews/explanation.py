"""Explain how PostgreSQL keeps a TView: per source and event the route, the strategy, the SQL."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass
from textwrap import indent
from typing import TYPE_CHECKING, Any, Final

from django.db import DEFAULT_DB_ALIAS, connections

from .errors import MetadataNotFound
from .indexes import IndexAdvice, missing_indexes
from .maintenance import chosen, plan_of
from .plan.locks import locks_of
from .plan.patches import Patch
from .plan.plan import Strategy
from .plan.roots import Root
from .sql import created, objects
from .sql.quoting import relation_name
from .sql.routes import describe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .plan.plan import Plan, SourcePlan

SKIP: Final = "skip"
"""What becomes of an event that cannot change the result of the query."""

EVENTS: Final = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")

ROW: Final = "ROW"
"""Rows of a partitioned source that no statement trigger sees."""

_FUNCTION: Final = re.compile(
    r" (?:BEFORE|AFTER) (\w+(?: OR \w+)*) ON .* FOR EACH (\w+) .*EXECUTE FUNCTION (.+)\(\)",
    re.DOTALL,
)


@dataclass(frozen=True)
class EventExplanation:
    """What happens after one kind of statement on a source.

    Attributes:
        event: ``INSERT``, ``UPDATE``, ``DELETE`` or ``TRUNCATE``; or ``ROW``, for rows of a
            partitioned source that no statement trigger sees.
        strategy: ``recompute`` for the affected keys, ``fold``, ``patch``, ``rebuild`` for
            everything, or ``skip``.
        patched: the columns of the TView that a ``patch`` writes, with the paths in a document.
        whole_row: the ``patch`` inserts or deletes a row; if several rows of the source have
            changed, it is a ``recompute``.
        deciding: the columns of the source whose change makes it a ``recompute``.
        sql: the triggers, and their function unless others call it, too, as they are created;
            "" for ``skip``.
    """

    event: str
    strategy: str
    sql: str
    patched: tuple[str, ...] = ()
    deciding: tuple[str, ...] = ()
    whole_row: bool = False

    def __str__(self) -> str:
        """Write the strategy for people."""
        text = " of ".join(filter(None, (self.strategy, ", ".join(self.patched))))
        if self.whole_row:
            text += " of a whole row, recompute of several"
        if self.deciding:
            text += f", recompute if {' or '.join(self.deciding)} changes"
        if self.event == "UPDATE" and self.strategy != SKIP:
            text += ", skip if only other columns change"
        return text


@dataclass(frozen=True)
class SourceExplanation:
    """How changes of one source reach the TView.

    Attributes:
        source: the table, with its schema.
        columns: the columns that the query reads; an update that leaves their values alone does
            nothing.
        routes: in words, for each time the query names the source, the way from a changed row to
            the keys it affects.
        locks: in words, what its writers lock, and whether they share it.
        events: by kind of statement.
    """

    source: str
    columns: tuple[str, ...]
    routes: tuple[str, ...]
    locks: str
    events: tuple[EventExplanation, ...]

    def __str__(self) -> str:
        """Write it for people, without the SQL."""
        lines = [self.source, f"    reads     {', '.join(self.columns) or 'no column, only rows'}"]
        lines += [f"    route     {route}" for route in self.routes]
        lines.append(f"    locks     {self.locks}")
        lines += [f"    {event.event:<8}  {event}" for event in self.events]
        return "\n".join(lines)


@dataclass(frozen=True)
class Explanation:
    """How PostgreSQL keeps a TView.

    Attributes:
        label: the TView.
        table: its table, with the schema.
        view: the backing view, with the schema.
        key: the columns that identify a row.
        depth: how many TViews lie below it.
        deferred: it is maintained once per transaction, at COMMIT, not after every statement.
        evaluated: what of the query is evaluated to recompute affected keys.
        sources: the tables it reads, through helper views, too.
        missing_indexes: the indexes that would help.
        hidden: the columns of the table that no field shows, with totals that maintenance needs.
        functions: what several triggers call, as it is created.
    """

    label: str
    table: str
    view: str
    key: tuple[str, ...]
    depth: int
    deferred: bool
    evaluated: str
    sources: tuple[SourceExplanation, ...]
    missing_indexes: tuple[IndexAdvice, ...]
    hidden: tuple[str, ...]
    functions: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the explanation as JSON holds it."""
        return asdict(self)

    def as_text(self, *, with_sql: bool = False) -> str:
        """Write the explanation for people.

        Args:
            with_sql: print the functions and triggers, too.
        """
        time = "at COMMIT" if self.deferred else "at the end of every statement"
        head = [
            self.label,
            f"    table  {self.table}",
            f"    query  {self.view}",
            f"    key    {', '.join(self.key)}",
            f"    kept   {time}{_after(self.depth)}",
            f"    reads  {self.evaluated}",
        ]
        if self.hidden:
            head.append(f"    hides  {', '.join(self.hidden)}")
        blocks = ["\n".join(head), *map(str, self.sources)]
        if self.missing_indexes:
            advice = "\n".join(indent(str(index), "    ") for index in self.missing_indexes)
            blocks.append(f"Indexes that would spare scans of whole tables:\n{advice}")
        if with_sql:
            blocks.extend(self.functions)
            blocks.extend(
                event.sql for source in self.sources for event in source.events if event.sql
            )
        return "\n\n".join(blocks)


def explain(label: str, using: str = DEFAULT_DB_ALIAS) -> Explanation:
    """Explain how a TView is kept.

    Args:
        label: the TView, such as ``"shop.ProductCard"``.
        using: alias of the database.

    Raises:
        MetadataNotFound: the label is not that of an installed TView.
        OutdatedTView: its table or its view is gone.
    """
    connection = connections[using]
    found = [tview for tview in chosen(connection, label) if tview.label.lower() == label.lower()]
    if not found:
        raise MetadataNotFound(
            f'"{label}" is an app, not a TView.', hint="Give one label, such as shop.ProductCard."
        )
    plan = plan_of(connection, found[0])
    functions = {
        function.signature: _statement(function.create) for function in objects.functions(plan)
    }
    triggers = [_triggers(plan, source) for source in plan.sources]
    calls = Counter(
        signature
        for by_event in triggers
        for called in by_event.values()
        for signature in {_called(trigger)[1] for trigger in called}
    )
    own = {signature: create for signature, create in functions.items() if calls[signature] == 1}
    return Explanation(
        label=plan.label,
        table=f"{plan.schema}.{plan.table}",
        view=f"{plan.schema}.{plan.view}",
        key=tuple(column.name for column in plan.key),
        depth=plan.depth,
        deferred=plan.deferred,
        evaluated=_evaluated(plan),
        sources=tuple(
            _source(plan, source, by_event, own)
            for source, by_event in zip(plan.sources, triggers, strict=True)
        ),
        missing_indexes=tuple(missing_indexes(connection, plan)),
        hidden=tuple(column.name for column in plan.hidden),
        functions=tuple(create for signature, create in functions.items() if signature not in own),
    )


def _triggers(plan: Plan, source: SourcePlan) -> dict[str, list[created.Trigger]]:
    """Return the triggers that see changes of a source, by event."""
    targets = {relation_name(target) for target in source.relation.targets}
    found: dict[str, list[created.Trigger]] = {}
    for trigger in objects.source_triggers(plan):
        if (
            not trigger.shared
            and trigger.relation in targets
            and trigger.source in (0, source.number)
        ):
            found.setdefault(_called(trigger)[0], []).append(trigger)
    return found


def _source(
    plan: Plan,
    source: SourcePlan,
    triggers: Mapping[str, Sequence[created.Trigger]],
    functions: Mapping[str, str],
) -> SourceExplanation:
    events = []
    for event in (*EVENTS, ROW) if ROW in triggers else EVENTS:
        if event not in triggers:
            events.append(EventExplanation(event, SKIP, ""))
            continue
        strategy = Strategy.REBUILD if event == "TRUNCATE" else source.strategy_of(event)
        shortcut = source.shortcut_of(event)
        patch = shortcut if isinstance(shortcut, Patch) else None
        called = dict.fromkeys(_called(trigger)[1] for trigger in triggers[event])
        statements = [functions.get(signature, "") for signature in called]
        for trigger in triggers[event]:
            statements += map(_statement, trigger.statements)
        events.append(
            EventExplanation(
                event,
                strategy,
                "\n\n".join(filter(None, statements)),
                tuple(map(str, patch.columns)) if patch else (),
                patch.deciding if patch else (),
                isinstance(shortcut, Root),
            )
        )
    return SourceExplanation(
        source=source.relation.full_name,
        columns=tuple(name for name, _ in source.columns),
        routes=tuple(describe(route) for route in source.routes),
        locks=str(locks_of(plan.sources, source)),
        events=tuple(events),
    )


def _called(trigger: created.Trigger) -> tuple[str, str]:
    """Return the event of a trigger and the signature of the function it calls."""
    event, level, function = _FUNCTION.findall(trigger.create)[0]
    return ROW if level == "ROW" else event, f"{function}()"


def _statement(create: str) -> str:
    return f"{create.rstrip().rstrip(';')};"


def _evaluated(plan: Plan) -> str:
    if plan.by_key:
        return "what the affected keys are made of"
    if plan.unit is not None:
        columns = ", ".join(column.output for column in plan.unit.columns)
        return f"the partitions of the affected keys, by {columns}"
    return (
        "the whole query at every change of a key; show the columns of PARTITION BY to have it "
        "read only their partitions"
    )


def _after(depth: int) -> str:
    if depth == 0:
        return ""
    return f", after the {depth} {'TView' if depth == 1 else 'TViews'} below it"
