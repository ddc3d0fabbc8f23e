"""How a contender is written to: by SQL statements, or by objects of Django's ORM."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from .databases import inline
from .workload import ObjectOperation, StatementOperation

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from .contenders import Contender
    from .tables import Tables
    from .workload import Operation


@dataclass
class Session(ABC):
    """A contender that has its results in place, and the connection it is written through.

    Attributes:
        alias: of its database.
        contender: who it is.
        scale: how many rows its main table has.
        following: the statements that follow each operation in its transaction.
    """

    alias: str
    contender: Contender
    scale: int
    following: tuple[str, ...]

    @abstractmethod
    def run(self, operation: Operation, parameters: Mapping[str, int]) -> float:
        """Run an operation as a transaction and return the milliseconds it took."""

    @abstractmethod
    def close(self) -> None:
        """Close what it writes through."""

    def tidy(self) -> None:
        """Do what autovacuum would do, at a time when nobody is measured."""
        with connections[self.alias].cursor() as cursor:
            cursor.execute(
                "SELECT string_agg(oid::regclass::text, ', ') FROM pg_class"
                " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'm')"
            )
            (tables,) = cursor.fetchone()
            cursor.execute(f"VACUUM ANALYZE {tables}")


@dataclass
class StatementSession(Session):
    """Runs SQL."""

    connection: psycopg.Connection[Any]

    def run(self, operation: Operation, parameters: Mapping[str, int]) -> float:
        assert isinstance(operation, StatementOperation)
        # One message to the server, as it is one transaction.
        text = ";".join((inline(operation.statement, parameters), *self.following))
        started = time.perf_counter()
        self.connection.execute(text)
        return (time.perf_counter() - started) * 1000

    def close(self) -> None:
        self.connection.close()


@dataclass
class ObjectSession(Session):
    """Runs Python that writes objects of Django's ORM, on the connection ``default``."""

    tables: Tables

    def run(self, operation: Operation, parameters: Mapping[str, int]) -> float:
        assert isinstance(operation, ObjectOperation)
        connections[DEFAULT_DB_ALIAS] = connection = connections[self.alias]
        started = time.perf_counter()
        with transaction.atomic():
            operation.write(self.tables, parameters)
            if self.following:
                with connection.cursor() as cursor:
                    cursor.execute(";".join(self.following), None)
        return (time.perf_counter() - started) * 1000

    def close(self) -> None:
        connections[self.alias].close()
