"""Performs the writes and measures them against refreshing a materialized view."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connection

from django_tviews import TView
from django_tviews.definition import Declaration

if TYPE_CHECKING:
    from collections.abc import Callable

    from shop.writes import Write

Row = dict[str, object]


@dataclass(frozen=True)
class Measurement:
    """What one write did, and what it cost.

    Attributes:
        write: The write.
        shown: The TView that ``before`` and ``after`` are a row of.
        before: The row before the write, documents taken apart into paths.
        after: The same row after it.
        rows: How many rows it changed in each TView that it changed.
        milliseconds: The write with all TViews kept, until its transaction was committed.
        refresh_milliseconds: REFRESH of a materialized view of each of those TViews' queries.
    """

    write: Write
    shown: type[TView]
    before: Row
    after: Row
    rows: dict[type[TView], int]
    milliseconds: float
    refresh_milliseconds: float


def tviews() -> list[type[TView]]:
    """The TViews of the shop."""
    return [model for model in apps.get_app_config("shop").get_models() if issubclass(model, TView)]


def create_materialized_views() -> None:
    """Create a materialized view of each TView's query, to compare with."""
    for model in tviews():
        view = connection.ops.quote_name(Declaration.from_model(model).view)
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE MATERIALIZED VIEW {_materialized(model)} AS TABLE {view}")


def measure(write: Write) -> Measurement:
    """Perform a write and look at its effect."""
    written = write.choose()
    shown = write.shown(written)
    model, key = type(shown), shown.pk
    before, counts = _row(model, key), _counts()
    next_transaction = _scalar("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
    milliseconds = _milliseconds(lambda: write.perform(written))
    rows = {
        tview: changed
        for tview, count in _counts().items()
        if (changed := _written(tview, next_transaction) + max(counts[tview] - count, 0))
    }
    refresh = sum(_milliseconds(lambda tview=tview: _refresh(tview)) for tview in rows)
    return Measurement(write, model, before, _row(model, key), rows, milliseconds, refresh)


def _counts() -> dict[type[TView], int]:
    return {tview: tview.objects.count() for tview in tviews()}


def _written(model: type[TView], next_transaction: int) -> int:
    """How many rows stem from this transaction or a later one."""
    table = connection.ops.quote_name(model._meta.db_table)
    return _scalar(f"SELECT count(*) FROM {table} WHERE xmin::text::bigint >= %s", next_transaction)


def _refresh(model: type[TView]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"REFRESH MATERIALIZED VIEW {_materialized(model)}")


def _materialized(model: type[TView]) -> str:
    return connection.ops.quote_name(f"demo_{model._meta.model_name}")


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def _scalar(statement: str, *parameters: object) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        (value,) = cursor.fetchone()
    return value


def _row(model: type[TView], key: object) -> Row:
    columns = model.objects.filter(pk=key).values().get()
    return {path: leaf for name, value in columns.items() for path, leaf in _leaves(name, value)}


def _leaves(path: str, value: Any) -> list[tuple[str, object]]:
    """A value, or the values a document is made of, each with its path."""
    match value:
        case dict():
            parts = [(f"{path}.{name}", part) for name, part in value.items()]
        case list():
            parts = [(f"{path}[{index}]", part) for index, part in enumerate(value)]
        case _:
            return [(path, value)]
    return [leaf for part_path, part in parts for leaf in _leaves(part_path, part)]
