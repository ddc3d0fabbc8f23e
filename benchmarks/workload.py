"""What a workload is: tables, their contents, the queries to be kept, and what is written."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .tables import Tables

HAND_WRITTEN = Path(__file__).parent / "hand_written"

Levels = Literal["READ COMMITTED", "ALL LEVELS"]
"""The isolation levels at which triggers written by hand are exact."""

_BLOCK = re.compile(
    r"^ *--: (READ COMMITTED|ALL LEVELS)\n(.*?)^ *--: END\n", re.DOTALL | re.MULTILINE
)

FIRST_NEW = 1_000_000_000
"""From here on count the rows that operations insert; the contents lie below."""


@dataclass(frozen=True)
class View:
    """A query whose result every contender keeps, each in its own way.

    Attributes:
        name: of the table that holds the result.
        query: one SELECT.
        columns: the table's columns and their types, in the order of the query's.
        key: the columns that identify a row.
        indexes: what readers want indexed, as it stands after ``CREATE INDEX ON name``.
    """

    name: str
    query: str
    columns: Mapping[str, str]
    key: tuple[str, ...] = ("id",)
    indexes: tuple[str, ...] = ()

    @property
    def table(self) -> str:
        """The statement that creates the table."""
        columns = ", ".join(f"{name} {type_} NOT NULL" for name, type_ in self.columns.items())
        return f"CREATE TABLE {self.name} ({columns}, PRIMARY KEY ({', '.join(self.key)}))"


@dataclass(frozen=True)
class StatementOperation:
    """One SQL statement, which is a transaction.

    Attributes:
        name: what it does.
        statement: the SQL. It may have the parameters ``first`` and ``last`` (new ids), ``number``
            (another one each time), ``size``, ``parent`` and ``scale``.
        largest: for how many rows it is run at most.
    """

    name: str
    statement: str
    largest: int = sys.maxsize


@dataclass(frozen=True)
class ObjectOperation:
    """What Python does with objects of Django's ORM, in a transaction.

    Attributes:
        name: what it does.
        write: does it, with the models of the contender and the parameters of a statement.
        largest: for how many rows it is run at most.
    """

    name: str
    write: Callable[[Tables, Mapping[str, int]], None]
    largest: int = sys.maxsize


Operation = StatementOperation | ObjectOperation


@dataclass(frozen=True)
class Cycle:
    """Operations that leave the tables as they were, apart from a name here and there.

    Attributes:
        size: how many rows each of them concerns.
        operations: one after the other.
        parent: the row that the operations write to, for those with a ``parent``.
    """

    size: int
    operations: tuple[Operation, ...]
    parent: int = 0

    def parameters(self, scale: int, number: int) -> dict[str, int]:
        """Return the parameters of the operations.

        Args:
            scale: how many rows the workload's main table has.
            number: counts the runs of the cycle.
        """
        first = FIRST_NEW + number * self.size
        return {
            "first": first,
            "last": first + self.size - 1,
            "number": number,
            "size": self.size,
            "parent": self.parent,
            "scale": scale,
        }


@dataclass(frozen=True)
class Rename:
    """An operation on one parent, whose effect grows with the number of its children.

    Attributes:
        operation: what is done to it; it has the parameter ``parent``.
        parents: the id of the parent with that number of children.
    """

    operation: Operation
    parents: Mapping[int, int]


@dataclass(frozen=True)
class Workload:
    """Tables, contents, queries, and what is written to the tables.

    Attributes:
        name: short, as on the command line.
        title: what kind of query it is about.
        queries: the name of the queries; workloads may share them.
        schema: the statements that create its tables.
        contents: the statements that fill them; they have the parameter ``scale``.
        keys: the statements that give the full tables their keys and indexes, which is faster than
            to fill tables that have them.
        views: the queries, in an order in which they can be created.
        changes: the operations of a cycle for any number of rows.
        renames: what is done to parents.
    """

    name: str
    title: str
    queries: str
    schema: str
    contents: tuple[str, ...]
    keys: tuple[str, ...]
    views: tuple[View, ...]
    changes: tuple[Operation, ...]
    renames: tuple[Rename, ...] = ()

    @property
    def by_objects(self) -> bool:
        """Whether objects of the ORM are written, not SQL."""
        return any(isinstance(each, ObjectOperation) for each in self.changes)

    def hand_written(self, levels: Levels) -> str:
        """Return the triggers that an expert would write for these very views.

        Args:
            levels: the isolation levels at which they have to be exact. What differs by these
                stands in the file between the lines ``--: READ COMMITTED`` or ``--: ALL LEVELS``
                and ``--: END``.
        """
        text = (HAND_WRITTEN / f"{self.queries}.sql").read_text()
        return _BLOCK.sub(lambda block: block[2] if block[1] == levels else "", text)

    def cycles(self, scale: int, sizes: Iterable[int]) -> Iterator[Cycle]:
        """Yield what is run at a scale.

        Args:
            scale: how many rows the main table has.
            sizes: the numbers of rows to change at once; those that exceed the scale are left out.
        """
        for size in sizes:
            operations = tuple(each for each in self.changes if size <= each.largest)
            if size <= scale and operations:
                yield Cycle(size, operations)
        for rename in self.renames:
            for children, parent in rename.parents.items():
                # The contents give a parent its many children where half of the rows is enough.
                if children * 2 <= scale:
                    yield Cycle(children, (rename.operation,), parent)
