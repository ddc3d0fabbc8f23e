"""Declarations of installed TViews under the names that what they read has by now.

PostgreSQL's views follow a renamed table or column by themselves. What the registry says that a
TView declares is text, and is followed here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from . import catalog
from .alignment import computes
from .relational.canonical import read_relations
from .relational.renames import Renames, follow

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from .catalog import Standing, Structure
    from .facts import RelationName
    from .registry import InstalledTView
    from .relational.renames import ColumnsOf


def following(
    connection: BaseDatabaseWrapper, tview: InstalledTView, old: Standing, new: Standing
) -> InstalledTView:
    """Return a TView with its query under present names.

    Args:
        connection: where it is installed.
        tview: as it was declared under the old names.
        old: what it stood on when these were right.
        new: what it stands on now.
    """
    declaration = tview.declaration
    renamed = _renames(declaration.query, old, new)
    if not renamed:
        return tview
    followed = follow(declaration.query, renamed, _columns_of(declaration.query, old))
    if followed is None or not computes(connection, tview, followed):
        served = catalog.view_definition(connection, tview.schema or "", declaration.view)
        followed = served.rstrip(";")
    return replace(tview, declaration=replace(declaration, query=followed))


def _read(query: str, standing: Standing) -> dict[RelationName, Structure]:
    """Return the relations that a query names, as far as that is certain."""
    found = {}
    for schema, name in read_relations(query):
        named = [
            each
            for each in standing.relations.values()
            if each.name == name and schema in (None, each.schema)
        ]
        if len(named) == 1:
            found[schema, name] = named[0]
    return found


def _renames(query: str, old: Standing, new: Standing) -> Renames:
    """Return what a query names, and what has another name now."""
    tables, columns = {}, {}
    for name, before in _read(query, old).items():
        after = new.relations.get(before.oid)
        if after is None:
            continue
        if (before.schema, before.name) != (after.schema, after.name):
            schema = name[0] if before.schema == after.schema else after.schema
            tables[name] = (schema, after.name)
        for number, column in before.columns.items():
            if after.columns.get(number, column) != column:
                columns[name, column] = after.columns[number]
    return Renames(tables, columns)


def _columns_of(query: str, standing: Standing) -> ColumnsOf:
    """Return a function that names the columns of what a query reads."""
    columns = {name: tuple(each.columns.values()) for name, each in _read(query, standing).items()}
    return columns.get
