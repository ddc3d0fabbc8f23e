"""tview_sync: functions and triggers in line with the package and the definitions."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.db import models
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test import override_settings

from django_tviews import health, installer, maintenance, registry, synchronization
from django_tviews.errors import CatalogError, LockTimeout, MetadataNotFound, OutdatedTView
from django_tviews.operations import AlterTView, CreateTView
from django_tviews.synchronization import sync

from .test_alignment import DAMAGES
from .test_alignment import shop as shop  # noqa: PLC0414
from .test_commands import call

if TYPE_CHECKING:
    from .harness import Database


def changes(*labels: str) -> dict[str, tuple[str, ...]]:
    """What sync() changes, by label."""
    return {report.label: report.changes for report in sync(*labels) if report.changes}


def versions(database: Database) -> list[tuple[object, ...]]:
    """The row versions of all that may not be written without need."""
    return database.execute(
        "SELECT 'trigger', oid::text, xmin::text FROM pg_trigger"
        " UNION ALL SELECT 'function', oid::text, xmin::text FROM pg_proc"
        "  WHERE pronamespace = current_schema()::regnamespace"
        " UNION ALL SELECT 'view', oid::text, xmin::text FROM pg_class"
        "  WHERE relnamespace = current_schema()::regnamespace"
        " UNION ALL SELECT 'card', ctid::text, xmin::text FROM card"
        " UNION ALL SELECT 'registry', ctid::text, xmin::text FROM django_tviews_registry"
        " ORDER BY 1, 2"
    )


def test_nothing_is_written_where_all_is_in_line(shop: Database) -> None:
    before = versions(shop)
    assert changes() == {}
    assert versions(shop) == before
    assert call("tview_sync")[0].splitlines() == [
        "django_tviews: in line",
        "tests.card: in line",
        "tests.board: in line",
    ]


@pytest.mark.parametrize("damage", ["a function less", "a trigger less", "no guard"])
def test_damage_is_undone_and_rows_are_in_doubt(shop: Database, damage: str) -> None:
    with shop.rolled_back():
        shop.execute(DAMAGES[damage])
        found = {report.label: report for report in sync()}
        assert found["tests.card"].changes
        assert found["tests.card"].doubtful
        assert not found["tests.board"].changes
        assert "tview_verify --repair tests.card" in str(found["tests.card"])
        assert changes() == {}
        shop.run("UPDATE maker SET name = upper(name)", "DELETE FROM maker WHERE id = 1")


def test_a_disabled_trigger_is_enabled(shop: Database) -> None:
    shop.execute("ALTER TABLE maker DISABLE TRIGGER tviews_2_00_update_card")
    assert list(changes()) == ["tests.card"]
    shop.run("UPDATE maker SET name = upper(name)")


@pytest.mark.parametrize("table", ["card", "maker"])
def test_a_table_that_a_crash_would_empty_is_seen(shop: Database, table: str) -> None:
    def said() -> list[str]:
        return [each.message for each in health.check("tests.card") if "unlogged" in each.message]

    assert not said()
    shop.execute(f"ALTER TABLE {table} SET UNLOGGED")
    assert said()


def test_a_shared_function_is_put_back(shop: Database) -> None:
    lock = f"{shop.schema}.django_tviews_lock(regclass, integer[])"
    shop.execute(f"DROP FUNCTION {lock}")
    shop.execute("ALTER FUNCTION django_tviews_close() SECURITY INVOKER")
    assert changes() == {
        "django_tviews": (
            f"replaced function {shop.schema}.django_tviews_close()",
            f"created function {lock}",
        )
    }
    shop.run("UPDATE maker SET name = upper(name)")
    public = "SELECT has_function_privilege('public', %s, 'EXECUTE')"
    assert shop.value(public, lock) is False


def test_a_sequence_of_the_ring_of_writers_is_put_back(shop: Database) -> None:
    shop.execute("DROP SEQUENCE django_tviews_writer_3, django_tviews_entry_0 CASCADE")
    shop.execute("DROP VIEW django_tviews_refresh")
    names = ("refresh", "writer_3", "entry_0")
    created = tuple(f"created {shop.schema}.django_tviews_{name}" for name in names)
    found = changes()
    assert found["django_tviews"][:3] == created
    assert list(found) == ["django_tviews"]
    assert changes() == {}
    shop.run("UPDATE maker SET name = upper(name)")
    # A refresh goes through the view that was put back, and its trigger.
    maintenance.refresh("tests.card")


def test_another_version_of_the_package_is_no_reason_to_doubt_the_rows(shop: Database) -> None:
    shop.execute("UPDATE django_tviews_registry SET format_version = 0 WHERE label = 'tests.card'")
    shop.execute("ALTER FUNCTION tviews_card_rebuild() RESET ALL")
    (report,) = [report for report in sync() if report.changes]
    assert (report.label, report.doubtful) == ("tests.card", False)
    assert health.check("tests.card")[0].kind is health.ProblemKind.ORPHANED


def test_a_changed_setting_reaches_the_functions(shop: Database) -> None:
    with override_settings(DJANGO_TVIEWS={"BULK_THRESHOLD": 7}):
        assert set(changes()) == {"tests.card", "tests.board"}
        assert changes() == {}
    body = shop.value("SELECT prosrc FROM pg_proc WHERE proname = 'tviews_card_recompute'")
    assert "<= 7" in body


def test_a_view_that_was_edited_is_put_back(shop: Database) -> None:
    shop.execute(
        "CREATE OR REPLACE VIEW card_query AS SELECT p.id, p.name, upper(m.name) AS maker"
        " FROM product p LEFT JOIN maker m ON m.id = p.maker_id"
    )
    assert f"replaced view {shop.schema}.card_query" in changes()["tests.card"]
    shop.run("UPDATE maker SET name = 'x' || name")
    assert changes() == {}


def test_a_view_that_is_gone_is_put_back(shop: Database) -> None:
    shop.execute("DROP VIEW card_query")
    assert f"created view {shop.schema}.card_query" in changes()["tests.card"]
    shop.run("UPDATE maker SET name = 'x' || name")


def test_a_rename_that_nobody_has_told_us_of_is_followed(shop: Database) -> None:
    shop.execute("ALTER TABLE maker RENAME name TO title")
    assert list(changes()) == ["tests.card"]
    assert changes() == {}
    card, board = (tview.declaration for tview in shop.tviews)
    shop.execute("UPDATE maker SET title = upper(title)")
    assert shop.rows(card)[0] == (1, "a", "ACME")
    assert shop.rows(board) == [("ACME", 1), ("BEST", 1)]


def test_writers_go_on_while_functions_are_replaced_that_take_no_locks(shop: Database) -> None:
    shop.execute("ALTER FUNCTION tviews_card_rebuild() RESET ALL")
    other = shop.connect()
    with other.transaction():
        other.execute("UPDATE maker SET name = 'held' WHERE id = 1")
        assert list(changes()) == ["tests.card"]
    shop.run("UPDATE maker SET name = upper(name)")


def test_a_lock_that_is_not_granted_is_asked_for_again(
    shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synchronization, "_PAUSE", 0.01)
    shop.execute("DROP TRIGGER tviews_2_00_update_card ON maker")
    other = shop.connect()
    with override_settings(DJANGO_TVIEWS={"LOCK_TIMEOUT": "50ms"}):
        with other.transaction():
            other.execute("UPDATE maker SET name = 'held' WHERE id = 1")
            with pytest.raises(LockTimeout):
                sync()
        other.execute("BEGIN")
        other.execute("LOCK TABLE maker")
        release = threading.Timer(0.06, lambda: other.execute("COMMIT"))
        release.start()
        assert list(changes()) == ["tests.card"]
        release.join()


def test_an_unknown_label_is_refused_with_the_one_that_was_meant(shop: Database) -> None:
    with pytest.raises(MetadataNotFound, match="No TView"):
        sync("tests.cart")


def test_a_table_that_is_gone_and_that_no_migration_creates_is_named(shop: Database) -> None:
    shop.execute("DROP TABLE board CASCADE")
    with pytest.raises(OutdatedTView, match=r"table of tests\.board is gone"):
        sync()


@pytest.fixture
def faked(database: Database) -> Database:
    """The tables of the test app, with all its migrations recorded and no TView installed."""
    with database.connection.schema_editor() as editor:
        for model in apps.get_app_config("testapp").get_models():
            if not hasattr(model, "_maintenance"):
                editor.create_model(model)
    recorder = MigrationRecorder(database.connection)
    recorder.ensure_schema()
    for app_label in ("contenttypes", "auth", "django_tviews", "testapp"):
        recorder.record_applied(app_label, "0001_initial")
    database.execute("INSERT INTO testapp_product (name, price) VALUES ('kettle', 30), ('cup', 5)")
    return database


def test_a_tview_whose_migration_was_faked_is_installed_with_its_contents(faked: Database) -> None:
    labels = {
        model._meta.label
        for model in apps.get_app_config("testapp").get_models()
        if hasattr(model, "_maintenance")
    }
    assert health.check()
    assert set(changes()) == labels
    assert health.check() == []
    assert changes() == {}
    assert faked.value("SELECT products FROM testapp_stock") == 2
    faked.execute("DELETE FROM testapp_product WHERE name = 'cup'")
    assert faked.value("SELECT products FROM testapp_stock") == 1


def stock(history: dict[tuple[str, str], Migration], **changes: Any) -> AlterTView:
    """An operation that alters the TView Stock of the test app."""
    first = history["testapp", "0001_initial"]
    (created,) = (
        step for step in first.operations if isinstance(step, CreateTView) and step.name == "Stock"
    )
    return AlterTView(**{**created.arguments(), **changes})


@pytest.fixture
def altered(faked: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The test app installed, and then a migration recorded that alters one of its TViews."""
    sync()
    load = MigrationLoader.load_disk

    def load_disk(loader: MigrationLoader) -> None:
        load(loader)
        assert loader.disk_migrations is not None
        migration = Migration("0002_alter_stock", "testapp")
        migration.dependencies = [("testapp", "0001_initial")]
        query = "SELECT 1 AS id, count(*) + 1000 AS products FROM testapp_product"
        index = models.Index(fields=["products"], name="stock_products")
        fields = [
            ("id", models.IntegerField(primary_key=True)),
            ("products", models.BigIntegerField(null=True)),
        ]
        options = {"indexes": [index]}
        migration.operations = [
            stock(loader.disk_migrations, query=query, fields=fields, options=options)
        ]
        loader.disk_migrations["testapp", "0002_alter_stock"] = migration

    monkeypatch.setattr(MigrationLoader, "load_disk", load_disk)
    MigrationRecorder(faked.connection).record_applied("testapp", "0002_alter_stock")
    return faked


def test_a_tview_that_a_faked_migration_was_to_alter_is_altered(altered: Database) -> None:
    found = changes()
    assert list(found) == ["testapp.Stock"]
    assert found["testapp.Stock"][0] == "altered it as its migrations say, of which one was faked"
    assert changes() == {}
    assert altered.value("SELECT products FROM testapp_stock") == 1002
    altered.execute("DELETE FROM testapp_product WHERE name = 'cup'")
    assert altered.value("SELECT products FROM testapp_stock") == 1001
    assert altered.value("SELECT to_regclass('stock_products') IS NOT NULL") is True


def test_what_no_migration_has_made_is_named(altered: Database) -> None:
    altered.execute(
        'UPDATE django_tviews_registry SET declaration = declaration || \'{"mode": "deferred"}\''
        " WHERE label = 'testapp.Stock'"
    )
    (report,) = sync("testapp.Stock")[1:]
    assert "No migration says what is installed." in str(report)
    assert altered.value("SELECT products FROM testapp_stock") == 2


def test_a_table_that_is_gone_is_made_again(faked: Database) -> None:
    sync()
    faked.execute("DROP TABLE testapp_stock CASCADE")
    assert changes() == {"testapp.Stock": ("installed it, with its contents",)}
    assert health.check() == []
    assert faked.value("SELECT products FROM testapp_stock") == 2


def test_a_table_that_is_gone_does_not_keep_what_tviews_share_from_being_put_back(
    faked: Database,
) -> None:
    sync()
    first = registry.installed(faked.connection)[0]
    faked.execute(f"DROP TABLE {first.declaration.table} CASCADE")
    faked.execute("DROP FUNCTION django_tviews_committed(bigint)")
    assert {"django_tviews", first.label} <= changes().keys()
    assert health.check() == []


def test_a_table_whose_rows_are_there_already_is_compared(faked: Database) -> None:
    sync()
    faked.execute("DELETE FROM django_tviews_registry WHERE label = 'testapp.Stock'")
    faked.execute("ALTER TABLE testapp_stock DISABLE TRIGGER ALL")
    faked.execute("UPDATE testapp_stock SET products = 9")
    faked.execute("ALTER TABLE testapp_stock ENABLE TRIGGER ALL")
    assert set(changes()) == {"testapp.Stock"}
    assert faked.value("SELECT products FROM testapp_stock") == 2


def test_runtime_that_was_faked_is_installed(faked: Database) -> None:
    with faked.connection.schema_editor() as editor:
        installer.drop_runtime(editor)
    assert "django_tviews" in changes()
    assert health.check() == []


def test_where_no_tview_is_expected_nothing_happens(faked: Database) -> None:
    with faked.connection.schema_editor() as editor:
        installer.drop_runtime(editor)
    MigrationRecorder(faked.connection).flush()
    assert sync() == []


def test_json_has_the_changes(shop: Database) -> None:
    shop.execute("DROP FUNCTION tviews_card_rebuild()")
    out, _ = call("tview_sync", "tests.card", "--format", "json")
    assert '"label": "tests.card"' in out
    assert f"created function {shop.schema}.tviews_card_rebuild()" in out
    assert '"doubtful": true' in out


@pytest.fixture
def earlier(shop: Database) -> Database:
    """The shop as a state before the first release has left it, whose spool knew no tickets."""
    shop.tview(
        "SELECT maker_id AS id, avg(id) AS n FROM product WHERE maker_id IS NOT NULL "
        "GROUP BY maker_id",
        "id integer, n numeric NULL",
        table="mean",
        mode="deferred",
    )
    shop.execute("DROP TRIGGER django_tviews_apply ON django_tviews_spool")
    shop.execute("ALTER TABLE django_tviews_spool DROP COLUMN ticket")
    shop.execute("COMMENT ON TABLE django_tviews_registry IS 'django_tviews: the TViews'")
    shop.execute("UPDATE django_tviews_registry SET format_version = 0")
    # Functions that wrote no tickets, and knew nothing of hidden columns.
    for name, returns, body in (
        ("mean_on_product_update", "trigger", "RETURN NULL"),
        ("mean_drain", "void", "RETURN"),
    ):
        shop.execute(
            f"CREATE OR REPLACE FUNCTION tviews_{name}() RETURNS {returns} LANGUAGE plpgsql "
            f"AS 'BEGIN {body}; END'"
        )
    return shop


def test_an_installation_of_an_earlier_form_is_renewed_as_a_whole(earlier: Database) -> None:
    writer = earlier.create_role()
    earlier.execute(f"GRANT SELECT, INSERT ON django_tviews_refresh TO {writer}")
    with earlier.transaction():
        earlier.execute("SET LOCAL session_replication_role = replica")
        earlier.execute('UPDATE mean SET "django_tviews:sum:n" = 0')
    found = changes("tests.card")
    assert f"created {earlier.schema}.django_tviews_spool" in found["django_tviews"]
    assert {"tests.card", "tests.board", "tests.mean"} < found.keys()
    assert "filled the hidden columns" in found["tests.mean"]
    assert {each.kind for each in health.check() if not each.label.startswith("testapp.")} <= {
        health.ProblemKind.ORPHANED
    }
    assert changes() == {}
    assert earlier.value(
        "SELECT has_table_privilege(%s, 'django_tviews_refresh', 'INSERT')", writer
    )
    with earlier.transaction():
        earlier.execute("UPDATE maker SET name = name || name")
        earlier.execute("INSERT INTO product VALUES (4, 'd', 1)")
    earlier.check("writes of a deferred TView")
    earlier.run("DELETE FROM product WHERE id = 1")


def test_an_installation_of_an_earlier_form_is_named_and_not_mixed_with_a_new_one(
    earlier: Database,
) -> None:
    (problem,) = [each for each in health.check() if each.label == ""]
    assert problem.kind is health.ProblemKind.OUTDATED
    assert "tview_sync" in problem.hint
    with pytest.raises(OutdatedTView, match="not of the form"):
        earlier.tview("SELECT id, name FROM maker", "id integer, name text", table="fresh")
    assert earlier.value("SELECT to_regclass('fresh')") is None


def test_an_earlier_form_stays_while_somebody_writes(
    earlier: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synchronization, "_PAUSE", 0.01)
    other = earlier.connect()
    with override_settings(DJANGO_TVIEWS={"LOCK_TIMEOUT": "50ms"}), other.transaction():
        other.execute("LOCK TABLE product IN ROW EXCLUSIVE MODE")
        with pytest.raises(LockTimeout):
            sync()
    assert not installer.runtime_is_current(earlier.connection)
    assert changes()
    earlier.run("UPDATE maker SET name = upper(name)")


@pytest.mark.parametrize("entry", ["declaration || '{\"later\": 1}'", "declaration - 'key'"])
def test_an_entry_that_a_later_version_has_written_is_named(shop: Database, entry: str) -> None:
    update = f"UPDATE django_tviews_registry SET declaration = {entry} WHERE label = 'tests.card'"
    with shop.rolled_back():
        shop.execute(update)
        for ask in (health.check, sync, maintenance.verify):
            with pytest.raises(CatalogError, match=r"entry of tests\.card") as refusal:
                ask()
        assert "a later version" in refusal.value.hint
