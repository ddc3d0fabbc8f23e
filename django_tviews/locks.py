"""Locks on tables, taken before anything is read: in one order, for a bounded time, with retries.

Whoever waits for a lock on a table makes all later writers of the table wait as well. So the
waits are short, and between two attempts nothing is held that the attempt has taken.
"""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from django.db import OperationalError, transaction

from .conf import settings
from .errors import Deadlock, LockTimeout, TViewError
from .sql.quoting import complete, literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# The pause before the first retry, in seconds; each later one is twice as long.
_FIRST_PAUSE: Final = 0.25


class LockMode(StrEnum):
    """A lock on a table."""

    SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
    """Keeps writers out; others still read."""

    ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"
    """Keeps everybody out."""


@contextmanager
def bounded_waits(schema_editor: BaseDatabaseSchemaEditor) -> Iterator[None]:
    """Give up when a lock is not granted in time, instead of making all later writers wait."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        (previous,) = cursor.fetchone()
    schema_editor.execute(f"SET LOCAL lock_timeout = {literal(settings.LOCK_TIMEOUT)}", params=None)
    yield
    schema_editor.execute(f"SET LOCAL lock_timeout = {literal(previous)}", params=None)


def lock(
    schema_editor: BaseDatabaseSchemaEditor,
    tables: Mapping[str, LockMode],
    then: Iterable[str] = (),
) -> None:
    """Lock tables until COMMIT, in the order of their names; try again if that takes too long.

    Args:
        schema_editor: of the database, inside `bounded_waits`.
        tables: the quoted names of the tables, each with its lock.
        then: statements that take further locks, in this order.

    Raises:
        LockTimeout: a lock was not granted in any of ``LOCK_RETRIES`` + 1 attempts.
        Deadlock: PostgreSQL broke a deadlock by cancelling the last attempt.
    """
    statements = [f"LOCK TABLE {name} IN {tables[name]} MODE" for name in sorted(tables)]
    statements += then
    pause = _FIRST_PAUSE
    for attempts_left in range(settings.LOCK_RETRIES, -1, -1):
        try:
            # Going back to the savepoint releases what was locked after it.
            with transaction.atomic(schema_editor.connection.alias):
                for statement in statements:
                    schema_editor.execute(complete(statement), params=None)
        except OperationalError as error:
            known = TViewError.from_database_error(error)
            if not isinstance(known, LockTimeout | Deadlock):
                raise
            if not attempts_left:
                known.message += f" ({complete(statement)})"
                raise known from error
        else:
            return
        # Two that wait for each other must not meet again at the same time.
        time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
        pause *= 2
