"""Functions and triggers in line with tables that have changed: what align() writes, and what not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from django_tviews import registry
from django_tviews.alignment import align
from django_tviews.errors import ColumnMismatch

if TYPE_CHECKING:
    from .harness import Database


@pytest.fixture
def shop(database: Database) -> Database:
    """Makers and products under a card, and a TView over it."""
    database.execute("""
        CREATE TABLE maker (id integer PRIMARY KEY, name text NOT NULL);
        CREATE TABLE product (id integer PRIMARY KEY, name text NOT NULL, maker_id integer);
        INSERT INTO maker VALUES (1, 'acme'), (2, 'best');
        INSERT INTO product VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', NULL);
    """)
    database.tview(
        "SELECT p.id, p.name, m.name AS maker FROM product p LEFT JOIN maker m ON m.id = p.maker_id",
        "id integer, name text, maker text NULL",
        table="card",
    )
    database.tview(
        "SELECT maker, count(*) AS n FROM card WHERE maker IS NOT NULL GROUP BY maker",
        "maker text, n bigint",
        "maker",
        table="board",
    )
    return database


def aligned(database: Database, **options: bool) -> dict[str, list[str]]:
    with database.connection.schema_editor() as editor:
        return align(editor, registry.installed(database.connection), **options)


def versions(database: Database) -> list[tuple[object, ...]]:
    """The row versions of what may not be written without need: triggers, functions, rows."""
    return database.execute(
        "SELECT 'trigger', oid::text, xmin::text FROM pg_trigger WHERE tgname LIKE 'tviews%%'"
        " UNION ALL SELECT 'function', p.oid::text, p.xmin::text FROM pg_proc p"
        " WHERE pronamespace = current_schema()::regnamespace"
        " UNION ALL SELECT 'card', ctid::text, xmin::text FROM card"
        " UNION ALL SELECT 'registry', ctid::text, xmin::text FROM django_tviews_registry"
        " ORDER BY 1, 2"
    )


def test_what_is_in_line_is_not_written(shop: Database) -> None:
    before = versions(shop)
    assert aligned(shop) == {}
    assert versions(shop) == before


RENAMES = {
    "column": "ALTER TABLE maker RENAME name TO title",
    "key column": "ALTER TABLE maker RENAME id TO number",
    "table": "ALTER TABLE maker RENAME TO manufacturer",
    "schema": "CREATE SCHEMA {other}; ALTER TABLE maker SET SCHEMA {other}",
}


@pytest.mark.parametrize("rename", RENAMES.values(), ids=RENAMES)
def test_functions_follow_a_rename_and_contents_and_other_triggers_stay(
    shop: Database, rename: str
) -> None:
    other = f"{shop.schema}_other"
    shop.execute(rename.format(other=other))
    shop.execute(f"SET search_path = {shop.schema}, {other}, public")
    before = {row for row in versions(shop) if row[0] in ("trigger", "card")}
    (maker,) = shop.execute(
        "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger"
        " WHERE tgrelid::regclass::text IN ('maker', 'manufacturer')"
    )[0]
    titles = shop.value(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 2", maker
    )
    changed = aligned(shop)
    assert set(changed) == {"tests.card"}
    assert {row for row in versions(shop) if row[0] == "card"} < before
    number = shop.value(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 1", maker
    )
    card, board = (tview.declaration for tview in shop.tviews)
    shop.execute(f"UPDATE {maker} SET {titles} = upper({titles})")
    shop.execute(f"INSERT INTO {maker} ({number}, {titles}) VALUES (7, 'new')")
    shop.execute("UPDATE product SET maker_id = 7 WHERE id = 3")
    assert shop.rows(card) == [(1, "a", "ACME"), (2, "b", "BEST"), (3, "c", "new")]
    assert shop.rows(board) == [("ACME", 1), ("BEST", 1), ("new", 1)]
    assert aligned(shop) == {}
    shop.execute(f"DROP SCHEMA IF EXISTS {other} CASCADE")


def test_a_tview_that_cannot_be_kept_any_more_leaves_everything_as_it_was(shop: Database) -> None:
    before = versions(shop)
    shop.execute("ALTER TABLE product ALTER name DROP NOT NULL")
    with pytest.raises(ColumnMismatch, match=r"tests\.card: column 'name' is NOT NULL"):
        aligned(shop)
    assert versions(shop) == before


DAMAGES = {
    "a function less": "DROP FUNCTION tviews_card_recompute(integer[])",
    "another body": "CREATE OR REPLACE FUNCTION tviews_card_on_maker_update() RETURNS trigger"
    " LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "another setting": "ALTER FUNCTION tviews_card_on_maker_update() SET TimeZone = 'Asia/Tokyo'",
    "no setting": "ALTER FUNCTION tviews_card_on_maker_update() RESET ALL",
    "the writer's rights": "ALTER FUNCTION tviews_card_on_maker_update() SECURITY INVOKER",
    "everybody's function": "GRANT EXECUTE ON FUNCTION tviews_card_on_maker_update() TO PUBLIC",
    "a trigger less": "DROP TRIGGER tviews_2_00_update_card ON maker",
    "no count of statements": "DROP TRIGGER tviews_1_open_insert_{schema} ON maker",
    "no guard": "DROP TRIGGER tviews_0_guard ON card",
    "another trigger": "CREATE OR REPLACE TRIGGER tviews_2_00_update_card AFTER DELETE ON maker"
    " FOR EACH STATEMENT WHEN ('card'::regclass IS NOT NULL)"
    " EXECUTE FUNCTION tviews_card_truncated()",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_done_by_hand_is_undone(shop: Database, damage: str) -> None:
    with shop.rolled_back():
        shop.execute(damage.format(schema=shop.schema))
        assert set(aligned(shop)) == {"tests.card"}
        assert aligned(shop) == {}
        shop.run(
            "UPDATE maker SET name = upper(name)",
            "DELETE FROM maker WHERE id = 1",
            "INSERT INTO maker VALUES (3, 'new')",
            "UPDATE product SET maker_id = 3",
            "TRUNCATE maker",
        )


def test_a_disabled_trigger_is_enabled_only_if_asked_for(shop: Database) -> None:
    shop.execute("ALTER TABLE maker DISABLE TRIGGER tviews_2_00_update_card")
    assert aligned(shop) == {}
    name = f"tviews_2_00_update_card on {shop.schema}.maker"
    assert aligned(shop, enable=True) == {"tests.card": [f"enabled trigger {name}"]}
    shop.run("UPDATE maker SET name = upper(name)")


def test_a_helper_view_that_reads_another_table_moves_the_triggers(database: Database) -> None:
    database.execute("""
        CREATE TABLE first (id integer PRIMARY KEY); CREATE TABLE second (id integer PRIMARY KEY);
        INSERT INTO first VALUES (1); INSERT INTO second VALUES (1);
        CREATE VIEW helper AS SELECT id FROM first;
    """)
    database.tview("SELECT id FROM helper", "id integer", table="copy")
    database.execute("CREATE OR REPLACE VIEW helper AS SELECT id FROM second")
    assert set(aligned(database)) == {"tests.copy"}
    on = "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE 'tviews%%'"
    assert database.execute(on + " ORDER BY 1") == [("copy",), ("second",)]
    database.run("INSERT INTO second VALUES (2)", "DELETE FROM second WHERE id = 1")


def test_readers_follow_a_tview_that_comes_to_lie_higher(database: Database) -> None:
    database.execute("""
        CREATE TABLE base (id integer PRIMARY KEY);
        INSERT INTO base VALUES (1);
        CREATE VIEW helper AS SELECT id FROM base;
    """)
    database.tview("SELECT id FROM base", "id integer", table="lowest")
    database.tview("SELECT id FROM helper", "id integer", table="middle")
    database.tview("SELECT id FROM middle", "id integer", table="upper_one")
    database.execute("CREATE OR REPLACE VIEW helper AS SELECT id FROM lowest")
    assert set(aligned(database)) == {"tests.middle", "tests.upper_one"}
    depths = database.execute("SELECT label, depth FROM django_tviews_registry ORDER BY depth")
    assert depths == [("tests.lowest", 0), ("tests.middle", 1), ("tests.upper_one", 2)]
    database.run("INSERT INTO base VALUES (2)", "DELETE FROM base WHERE id = 1", "TRUNCATE base")
