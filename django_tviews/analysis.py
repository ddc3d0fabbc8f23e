"""Run a statement, take it back, and tell where its time went: ``tview_explain --analyze``.

``EXPLAIN (ANALYZE)`` tells how long each trigger took, and PostgreSQL's module ``auto_explain`` how
long each statement inside of it. The module takes a superuser, or a server that preloads it;
without it there are the triggers' times only.
"""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from textwrap import indent
from typing import TYPE_CHECKING, Any, Final

from django.db import DEFAULT_DB_ALIAS, Error, connections, transaction

from . import catalog
from .errors import InvalidQuery
from .indexes import IndexAdvice, missing_indexes
from .maintenance import plan_of
from .registry import InstalledTView, installed
from .relational.syntax import parse_statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

# What EXPLAIN takes of what changes tables.
_EXPLAINABLE: Final = frozenset(
    {"insert_stmt", "update_stmt", "delete_stmt", "merge_stmt", "select_stmt"}
)

_SETTINGS: Final = (
    "auto_explain.log_min_duration = 0",
    "auto_explain.log_nested_statements = on",
    "auto_explain.log_analyze = on",
    "auto_explain.log_timing = on",
    "auto_explain.log_triggers = off",
    "auto_explain.log_verbose = off",
    "auto_explain.log_buffers = off",
    "auto_explain.log_wal = off",
    "auto_explain.log_settings = off",
    "auto_explain.log_format = json",
    "auto_explain.log_level = log",
    "auto_explain.sample_rate = 1",
    "client_min_messages = log",
)

_LOGGED: Final = re.compile(r"duration: ([\d.]+) ms\s+plan:\s*(\{.*\})\s*", re.DOTALL)

# In what a statement ran: "PL/pgSQL function shop.f(integer) line 12 at PERFORM".
_FRAME: Final = re.compile(
    r"^(?:PL/pgSQL function (?P<function>.+?) line (?P<line>\d+) at .+"
    r'|SQL function "?(?P<sql>[^"]+?)"? statement (?P<number>\d+))$',
    re.MULTILINE,
)


@dataclass(frozen=True)
class Node:
    """A node of a plan, without the nodes below it.

    Attributes:
        what: what it does, and to which table by which index.
        milliseconds: the time spent in it.
        rows: how many rows it gave, all loops together.
        expected: how many the planner had thought of.
        removed: how many rows it read and did not give.
    """

    what: str
    milliseconds: float
    rows: int
    expected: int
    removed: int

    def __str__(self) -> str:
        """Write it for people."""
        removed = f", {self.removed:,} read in vain" if self.removed else ""
        return (
            f"{self.milliseconds:.2f} ms  {self.what}: {_counted(self.rows, 'row')}"
            f" ({self.expected:,} expected){removed}"
        )


@dataclass(frozen=True)
class Step:
    """A statement of a function, all its executions together.

    Attributes:
        function: the function it stands in.
        line: where in that.
        calls: how often it was executed.
        milliseconds: how long that took, without the functions and triggers it led to.
        statement: its text.
        nodes: the nodes of its plans that took most of the time, the slowest first.
    """

    function: str
    line: int
    calls: int
    milliseconds: float
    statement: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class TriggerTime:
    """What one trigger of the statement took.

    Attributes:
        name: of the trigger or the constraint.
        table: the table it stands on.
        label: the TView that it keeps; "" if it belongs to none.
        calls: how often it was fired.
        milliseconds: how long that took, with everything it led to.
    """

    name: str
    table: str
    label: str
    calls: int
    milliseconds: float


@dataclass(frozen=True)
class Analysis:
    """Where the time of one statement went.

    Attributes:
        statement: the statement.
        first: the milliseconds it took at first, when functions were compiled and plans made.
        milliseconds: what it took the last time, without anything else being measured.
        own: what the statement took without its triggers; None if EXPLAIN does not take it.
        triggers: the triggers that it fired itself, the slowest first.
        at_commit: what deferred TViews took at its end; None if there are none.
        steps: the statements of the functions, the slowest first.
        unmeasured: why there are no steps, "" if there are.
        missing_indexes: the indexes that would help the TViews it reached.
    """

    statement: str
    first: float
    milliseconds: float
    own: float | None
    triggers: tuple[TriggerTime, ...]
    at_commit: float | None
    steps: tuple[Step, ...]
    unmeasured: str
    missing_indexes: tuple[IndexAdvice, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the analysis as JSON holds it."""
        return asdict(self)

    def as_text(self, *, with_sql: bool = False) -> str:
        """Write the analysis for people.

        Args:
            with_sql: print the statements of the functions, too.
        """
        lines = [
            _shortened(self.statement),
            f"    {self.milliseconds:9.2f} ms  ({self.first:.2f} ms the first time)",
        ]
        if self.own is not None:
            lines += ["", "Triggers, while being measured:"]
            lines.append(f"    {self.own:9.2f} ms  the statement itself")
            lines += [
                f"    {each.milliseconds:9.2f} ms  {f'{each.label}: ' if each.label else ''}"
                f"{each.name} on {each.table}{_repeated(each.calls)}"
                for each in self.triggers
            ]
        if self.at_commit is not None:
            lines.append(f"    {self.at_commit:9.2f} ms  at COMMIT")
        if self.steps:
            lines += ["", "Statements of functions, without what they led to:"]
            for step in self.steps:
                lines.append(
                    f"    {step.milliseconds:9.2f} ms  {step.function} line {step.line}"
                    f"{_repeated(step.calls)}"
                )
                lines += [f"                  {node}" for node in step.nodes]
                if with_sql:
                    lines += [f"                  {line}" for line in step.statement.splitlines()]
        if self.unmeasured:
            lines += ["", f"What the functions' statements took is not known: {self.unmeasured}"]
        if self.missing_indexes:
            lines += ["", "Indexes that would spare scans of whole tables:"]
            lines += [indent(str(index), "    ") for index in self.missing_indexes]
        return "\n".join(lines)


_NOTEWORTHY: Final = 0.01
"""Milliseconds below which a step is not worth a line."""

_REPEATS: Final = 7
_PATIENCE: Final = 1000.0
"""Milliseconds after which a statement is not repeated any more."""

_NODES: Final = 3
"""How many nodes of a step's plans are shown."""


def analyze(sql: str, using: str = DEFAULT_DB_ALIAS) -> list[Analysis]:
    """Run statements one after the other, take them back, and tell where their time went.

    Each is executed several times, until its plans are made, and once more to be looked into.
    Rows are as they were afterwards; sequences have gone on, and locks were held meanwhile.

    Args:
        sql: one statement or several, with semicolons between them.
        using: alias of the database.

    Raises:
        InvalidQuery: the text does not parse, holds no statement, or one that begins or ends
            transactions and so could not be taken back. Nothing is run.
    """
    statements = parse_statements(sql)
    _refuse_what_would_stay(statements)
    connection = connections[using]
    tviews = installed(connection)
    labels: dict[int | None, str] = {tview.oid: tview.label for tview in tviews}
    owners = {
        (trigger.table, trigger.name): labels.get(trigger.tview, "")
        for trigger in catalog.triggers(connection)
    }
    analyses = []
    with transaction.atomic(using):
        for statement, kind in statements:
            explainable = kind in _EXPLAINABLE
            analyses.append(_analysis(connection, statement, explainable, tviews, owners))
            _execute(connection, statement)
        transaction.set_rollback(True, using)
    return analyses


def _refuse_what_would_stay(statements: Sequence[tuple[str, str]]) -> None:
    if not statements:
        raise InvalidQuery(
            "There is no statement to analyze.", hint="Give an INSERT, UPDATE, DELETE or MERGE."
        )
    for statement, kind in statements:
        if kind == "transaction_stmt":
            raise InvalidQuery(
                f"{_shortened(statement)} cannot be analyzed: what stands before it could not be "
                "taken back.",
                hint="Leave it out; all statements run in one transaction, which is rolled back.",
            )


def _analysis(
    connection: BaseDatabaseWrapper,
    statement: str,
    explainable: bool,
    tviews: Sequence[InstalledTView],
    owners: Mapping[tuple[str, str], str],
) -> Analysis:
    def timed() -> float:
        started = time.perf_counter()
        _execute(connection, statement)
        _execute(connection, "SET CONSTRAINTS ALL IMMEDIATE")
        return (time.perf_counter() - started) * 1000

    times: list[float] = []
    # From the sixth time on, PostgreSQL may keep a plan; what takes long is not repeated for that.
    while len(times) < _REPEATS and sum(times[1:]) < _PATIENCE:
        with _taken_back(connection):
            times.append(timed())
    unmeasured = _cannot_look(connection)
    with _taken_back(connection), _heard(connection, look=not unmeasured) as heard:
        plan = _explained(connection, statement) if explainable else None
        if plan is None:
            _execute(connection, statement)
        started = time.perf_counter()
        _execute(connection, "SET CONSTRAINTS ALL IMMEDIATE")
        at_commit = (time.perf_counter() - started) * 1000
    deferred = any(tview.declaration.mode == "deferred" for tview in tviews)
    triggers = tuple(_triggers(plan or {}, owners))
    steps = tuple(_steps(heard))
    return Analysis(
        statement=statement,
        first=times[0],
        milliseconds=times[-1],
        own=(
            None
            if plan is None
            else plan["Execution Time"] - sum(each.milliseconds for each in triggers)
        ),
        triggers=triggers,
        at_commit=at_commit if deferred else None,
        steps=steps,
        unmeasured=unmeasured,
        missing_indexes=_missing_indexes(connection, tviews, triggers),
    )


def _explained(connection: BaseDatabaseWrapper, statement: str) -> dict[str, Any]:
    """Execute a statement by EXPLAIN, and return what that says."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT json) {statement}", None)
        (found,) = cursor.fetchone()
    explained: dict[str, Any] = (json.loads(found) if isinstance(found, str) else found)[0]
    return explained


def _triggers(plan: dict[str, Any], owners: Mapping[tuple[str, str], str]) -> Iterator[TriggerTime]:
    found = [
        TriggerTime(
            name=each.get("Constraint Name") or each["Trigger Name"],
            table=each["Relation"],
            label=owners.get((each["Relation"], each.get("Trigger Name", "")), ""),
            calls=int(each["Calls"]),
            milliseconds=each["Time"],
        )
        for each in plan.get("Triggers", ())
    ]
    yield from sorted(found, key=lambda each: -each.milliseconds)


@dataclass(frozen=True)
class _Heard:
    """A message of auto_explain: a statement has ended.

    Attributes:
        frames: function and line it stands in, and those that led there, outwards.
        milliseconds: how long it took.
        plan: its text and its plan.
    """

    frames: tuple[tuple[str, int], ...]
    milliseconds: float
    plan: dict[str, Any]


@contextmanager
def _heard(connection: BaseDatabaseWrapper, *, look: bool) -> Iterator[list[_Heard]]:
    """Hear what auto_explain says of the statements that functions execute inside."""
    heard: list[_Heard] = []

    def hear(diagnostic: Any) -> None:
        logged = _LOGGED.fullmatch(diagnostic.message_primary or "")
        frames = tuple(_frames(diagnostic.context or ""))
        if logged and frames:
            heard.append(_Heard(frames, float(logged[1]), json.loads(logged[2])))

    if not look:
        yield heard
        return
    for setting in _SETTINGS:
        _execute(connection, f"SET LOCAL {setting}")
    connection.connection.add_notice_handler(hear)
    try:
        yield heard
    finally:
        connection.connection.remove_notice_handler(hear)


def _frames(context: str) -> Iterator[tuple[str, int]]:
    for frame in _FRAME.finditer(context):
        if frame["function"]:
            yield frame["function"], int(frame["line"])
        else:
            yield frame["sql"], int(frame["number"])


def _cannot_look(connection: BaseDatabaseWrapper) -> str:
    """Load auto_explain; return why that cannot be done, or "" if it can."""
    try:
        with transaction.atomic(connection.alias):
            _execute(connection, "LOAD 'auto_explain'")
            _execute(connection, "SET LOCAL auto_explain.log_min_duration = -1")
    except Error as error:
        return f"{str(error).strip().splitlines()[0]}."
    return ""


def _steps(heard: Iterable[_Heard]) -> Iterator[Step]:
    """Put the executions of each statement together, the slowest first."""
    executions: dict[tuple[str, int, str], list[tuple[float, _Heard]]] = {}
    for own, each in _own_times(heard):
        key = (*each.frames[0], each.plan.get("Query Text", ""))
        executions.setdefault(key, []).append((own, each))
    steps = [
        Step(
            function,
            line,
            len(found),
            sum(own for own, _ in found),
            text,
            _slowest([each.plan["Plan"] for _, each in found], sum(own for own, _ in found)),
        )
        for (function, line, text), found in executions.items()
    ]
    for step in sorted(steps, key=lambda step: -step.milliseconds):
        if step.milliseconds >= _NOTEWORTHY:
            yield step


def _own_times(heard: Iterable[_Heard]) -> Iterator[tuple[float, _Heard]]:
    """Yield each execution with its time, less that of what it led to, which is heard before it."""
    pending: dict[int, float] = {}
    for each in heard:
        depth = len(each.frames)
        led_to = pending.get(depth + 1, 0.0)
        pending = {above: spent for above, spent in pending.items() if above <= depth}
        pending[depth] = pending.get(depth, 0.0) + each.milliseconds
        yield max(each.milliseconds - led_to, 0.0), each


def _slowest(plans: Iterable[dict[str, Any]], milliseconds: float) -> tuple[Node, ...]:
    """Return the nodes that took most of the time that a step took for itself."""
    nodes: dict[str, Node] = {}
    for plan in plans:
        for node in _own_nodes(plan):
            known = nodes.get(node.what)
            nodes[node.what] = node if known is None else _added(known, node)
    noteworthy = [
        node
        for node in nodes.values()
        # A node that calls functions has their time, too, and says nothing.
        if max(_NOTEWORTHY, milliseconds / 10) <= node.milliseconds <= milliseconds
    ]
    return tuple(sorted(noteworthy, key=lambda node: -node.milliseconds)[:_NODES])


def _nodes(plan: dict[str, Any]) -> Iterator[Node]:
    """Yield the nodes of a plan, each with the time that is its own."""
    loops = plan.get("Actual Loops", 0)
    below = plan.get("Plans", ())
    read = [each for each in below if not each.get("Subplan Name", "").startswith(_CTE)]
    yield Node(
        _described(plan),
        max(_inclusive(plan) - sum(map(_inclusive, read)), 0.0),
        round(plan.get("Actual Rows", 0) * loops),
        round(plan.get("Plan Rows", 0) * loops),
        round(
            sum(
                plan.get(f"Rows Removed by {reason}", 0)
                for reason in ("Filter", "Join Filter", "Index Recheck", "Conflict Filter")
            )
            * loops
        ),
    )
    for each in below:
        yield from _nodes(each)


_CTE: Final = "CTE "
"""How the plan of a common table expression is named. Its time is in the nodes that scan it."""


def _inclusive(plan: dict[str, Any]) -> float:
    inclusive: float = plan.get("Actual Total Time", 0.0) * plan.get("Actual Loops", 0)
    return inclusive


def _own_nodes(plan: dict[str, Any]) -> Iterator[Node]:
    """Yield the nodes of a plan; what scans a common table expression does not count its plan."""
    expressions = {
        f"CTE Scan on {each['Subplan Name'].removeprefix(_CTE)}": _inclusive(each)
        for each in _plans(plan)
        if each.get("Subplan Name", "").startswith(_CTE)
    }
    for node in sorted(_nodes(plan), key=lambda node: -node.milliseconds):
        within = expressions.pop(node.what, 0.0)
        yield replace(node, milliseconds=max(node.milliseconds - within, 0.0))


def _plans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _plans(each)


def _described(plan: dict[str, Any]) -> str:
    what = plan["Node Type"]
    if what == "ModifyTable":
        what = plan.get("Operation", what)
    relation = plan.get("Relation Name") or plan.get("CTE Name") or plan.get("Function Name")
    on = f" on {relation}" if relation else ""
    using = f" using {plan['Index Name']}" if "Index Name" in plan else ""
    return f"{what}{using}{on}"


def _added(one: Node, other: Node) -> Node:
    return Node(
        one.what,
        one.milliseconds + other.milliseconds,
        one.rows + other.rows,
        one.expected + other.expected,
        one.removed + other.removed,
    )


def _missing_indexes(
    connection: BaseDatabaseWrapper,
    tviews: Iterable[InstalledTView],
    triggers: Iterable[TriggerTime],
) -> tuple[IndexAdvice, ...]:
    """Return the indexes that the TViews kept by triggers miss."""
    reached = {trigger.label for trigger in triggers}
    found: dict[IndexAdvice, None] = {}
    for tview in tviews:
        if tview.label in reached:
            found |= dict.fromkeys(missing_indexes(connection, plan_of(connection, tview)))
    return tuple(found)


@contextmanager
def _taken_back(connection: BaseDatabaseWrapper) -> Iterator[None]:
    with transaction.atomic(connection.alias):
        yield
        transaction.set_rollback(True, connection.alias)


def _execute(connection: BaseDatabaseWrapper, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, None)


def _shortened(statement: str) -> str:
    text = " ".join(statement.split())
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


_WIDTH: Final = 100


def _repeated(calls: int) -> str:
    return "" if calls == 1 else f", {calls:,} times"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
