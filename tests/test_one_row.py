"""A statement that changes one row, beside one that changes several: keys, locks and results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.apps.registry import Apps
from django.db import models

from django_tviews.sql.shared import LOCK_CLASS

if TYPE_CHECKING:
    from .harness import Database

# Those on the TView; which cell of the ring a transaction keeps depends on its number.
_LOCKS = f"""
    SELECT array_agg(format('%s %s', objid, mode) ORDER BY objid, mode)
    FROM pg_locks
    WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND classid <> {LOCK_CLASS}
"""

# A key of several columns, one of which may be NULL; a filter; a parent whose rows are looked for;
# texts that are equal and look different.
_FORMS = {
    "composite": (
        "SELECT shop, number, sum(price) AS price FROM item "
        "WHERE shop IS NOT NULL AND number IS NOT NULL GROUP BY shop, number",
        "shop integer, number integer, price bigint NULL",
        "shop, number",
    ),
    "filtered": (
        "SELECT i.id, i.price FROM item AS i WHERE i.price < 90",
        "id integer, price integer",
        "id",
    ),
    "joined": (
        "SELECT i.id, i.number, s.name FROM item AS i LEFT JOIN shop AS s ON s.id = i.shop",
        "id integer, number integer NULL, name text NULL",
        "id",
    ),
    "collated": (
        "SELECT label, max(price) AS price FROM item WHERE label IS NOT NULL GROUP BY label",
        "label citext, price integer NULL",
        "label",
    ),
}


@pytest.fixture
def items(database: Database, request: pytest.FixtureRequest) -> Database:
    database.execute(f"CREATE EXTENSION citext SCHEMA {database.schema}")
    database.execute("""
        CREATE TABLE shop (id integer PRIMARY KEY, name text NOT NULL);
        CREATE TABLE item (
            id integer PRIMARY KEY, shop integer, number integer, price integer, label citext);
        INSERT INTO shop VALUES (1, 'North'), (2, 'South');
        INSERT INTO item VALUES (1, 1, 1, 10, 'Pen'), (7, 2, 2, 20, 'pen');
    """)
    database.tview(*_FORMS[request.param], by_value=("label",))
    return database


def changed(items: Database, statement: str) -> set[str]:
    """Run a statement, compare, and take it back; return what it has locked."""
    with items.rolled_back():
        items.execute(statement)
        items.check(statement)
        return set(items.value(_LOCKS) or ())


# What is done to row 1, and may be done to row 7 as well: alone, and in one statement with it.
_CHANGES = (
    "UPDATE item SET shop = 2, number = 3, label = 'Ink' WHERE id IN ({})",
    "UPDATE item SET number = NULL WHERE id IN ({})",
    "UPDATE item SET price = 95 WHERE id IN ({})",
    "UPDATE item SET price = 0 WHERE id IN ({})",
    "UPDATE item SET label = upper(label::text) WHERE id IN ({})",
    "UPDATE item SET price = NULL, shop = NULL WHERE id IN ({})",
    "UPDATE item SET id = id + 100 WHERE id IN ({})",
    "INSERT INTO item SELECT id + 100, shop, 5, price, 'Ink' FROM item WHERE id IN ({})",
    "INSERT INTO item SELECT id + 100, shop, 5, 95, 'Ink' FROM item WHERE id IN ({})",
    "DELETE FROM item WHERE id IN ({})",
)


@pytest.mark.parametrize("items", _FORMS, indirect=True)
def test_one_row_is_kept_and_locked_as_one_of_several(items: Database) -> None:
    for change in _CHANGES:
        alone = changed(items, change.format(1)) | changed(items, change.format(7))
        assert changed(items, change.format("1, 7")) == alone, change


@pytest.mark.parametrize("mode", ["deferred", "immediate"])
def test_a_session_that_has_written_goes_on_after_a_column_was_retyped(
    database: Database, mode: str
) -> None:
    """A variable of PL/pgSQL keeps the types of the first row that it held."""
    database.execute("""
        CREATE TABLE shop (id integer PRIMARY KEY, region integer NOT NULL DEFAULT 1);
        CREATE TABLE item (id integer PRIMARY KEY, shop integer, price integer);
        INSERT INTO shop VALUES (1);
        INSERT INTO item VALUES (1, 1, 5);
    """)
    database.tview(
        "SELECT id, price::text AS price FROM item", "id integer, price text NULL", mode=mode
    )
    database.tview(
        "SELECT s.id, (SELECT sum(i.price + 1) FROM item i WHERE i.shop = s.id) AS price FROM shop s",
        "id integer, price numeric NULL",
        mode=mode,
    )
    database.tview(
        "SELECT s.region AS id, count(*) AS items, avg(i.price) AS price "
        "FROM item i JOIN shop s ON s.id = i.shop GROUP BY s.region",
        "id integer, items bigint, price numeric NULL",
        mode=mode,
    )
    writer = database.connect()
    writer.autocommit = True

    def write() -> None:
        for statement in (
            "DELETE FROM shop",
            "INSERT INTO shop VALUES (1)",
            "UPDATE item SET price = price + 1",
            "INSERT INTO item VALUES (2, 1, 7)",
            "DELETE FROM item WHERE id = 2",
        ):
            writer.execute(statement)
            database.check(statement)

    write()
    item = type(
        "Item",
        (models.Model,),
        {
            "__module__": "shop",
            "Meta": type("Meta", (), {"apps": Apps(), "app_label": "shop", "db_table": "item"}),
            "price": models.IntegerField(),
        },
    )
    longer = models.BigIntegerField()
    longer.set_attributes_from_name("price")
    longer.model = item
    with database.connection.schema_editor() as editor:
        editor.alter_field(item, item._meta.get_field("price"), longer)
    write()
