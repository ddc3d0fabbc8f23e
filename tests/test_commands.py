from __future__ import annotations

import io
import json
import re
import uuid
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connections
from django.db import models as django_models

from django_tviews import explanation, health, maintenance
from django_tviews.definition import Declaration
from django_tviews.errors import (
    KeyMissing,
    MetadataNotFound,
    OutdatedTView,
    RefreshFailed,
)
from django_tviews.graph import NodeKind, of_project
from django_tviews.health import ProblemKind
from django_tviews.maintenance import (
    Difference,
    DifferenceKind,
    Key,
    RefreshReport,
    VerifyReport,
)
from django_tviews.management.base import ProgressBar
from tests.testapp import models

from .harness import database  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .harness import Database

TVIEWS = (models.ProductCard, models.ProductTag, models.Stock, models.SupplierTotals)


@pytest.fixture
def shop(database: Database) -> Database:  # noqa: F811
    """The models and TViews of the test app, installed in the schema of the test, with rows."""
    with database.connection.schema_editor() as editor:
        for model in (models.Supplier, models.Tag, models.Product, models.Review):
            editor.create_model(model)
    for model in TVIEWS:
        database.install(Declaration.from_model(model))
    ann = models.Supplier.objects.create(name="Ann")
    bob = models.Supplier.objects.create(name="Bob")
    lamp = models.Product.objects.create(name="Lamp", price=20, supplier=ann)
    chair = models.Product.objects.create(name="Chair", price=50, supplier=bob)
    models.Product.objects.create(name="Table", price=200)
    models.Review.objects.create(product=lamp, stars=5)
    for name in ("oak", "red, dark"):
        chair.tags.add(models.Tag.objects.create(name=name))
    return database


@contextmanager
def unguarded(database: Database) -> Iterator[None]:  # noqa: F811
    """Let writes pass by all triggers, as a logical replica does."""
    database.execute("SET session_replication_role = replica")
    yield
    database.execute("SET session_replication_role = DEFAULT")


def call(name: str, *arguments: object, code: int = 0, **options: Any) -> tuple[str, str]:
    """Run a command, check its exit code, return what it wrote and the message it ended with."""
    out = io.StringIO()
    message = ""
    ended = pytest.raises(CommandError) if code else nullcontext()
    with ended as error:
        call_command(name, *arguments, stdout=out, stderr=io.StringIO(), **options)
    if error is not None:
        assert error.value.returncode == code
        message = str(error.value)
    return out.getvalue(), message


def answer(name: str, *arguments: object, code: int = 0) -> dict[str, Any]:
    """Run a command with ``--format json`` and return its answer."""
    out, _ = call(name, *arguments, "--format", "json", code=code)
    parsed: dict[str, Any] = json.loads(out)
    assert parsed["format"] == 1
    return parsed


@pytest.mark.parametrize("command", ["tview_verify", "tview_refresh"])
@pytest.mark.usefixtures("database")
def test_a_command_over_no_tviews_says_that_there_are_none(command: str) -> None:
    assert call(command) == ('No TViews are installed in database "default".\n', "")
    assert call(command, verbosity=0) == ("", "")
    assert answer(command)["tviews"] == []


ALL = [
    "tview_graph",
    "tview_refresh",
    "tview_verify",
    "tview_check",
    "tview_explain",
    "tview_sync",
]


class TestWhatAllCommandsShare:
    @pytest.mark.parametrize("name", ALL)
    def test_an_unknown_alias_is_refused_with_the_known_ones(self, name: str) -> None:
        _, message = call(name, "testapp.Stock", "--database", "nowhere", code=2)
        assert message == ('There is no database "nowhere" in DATABASES, only: default, other.')

    @pytest.mark.parametrize("name", ALL)
    def test_a_database_that_is_not_postgresql_is_refused(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lite = {**connections.settings["default"], "ENGINE": "django.db.backends.sqlite3"}
        monkeypatch.setitem(connections.settings, "lite", {**lite, "NAME": ":memory:"})
        try:
            _, message = call(name, "testapp.Stock", "--database", "lite", code=2)
        finally:
            del connections["lite"]
        assert message == 'Database "lite" is SQLite; TViews need PostgreSQL.'

    @pytest.mark.parametrize("name", ALL)
    @pytest.mark.usefixtures("shop")
    def test_an_unknown_label_is_refused_with_the_one_that_was_meant(self, name: str) -> None:
        _, message = call(name, "testapp.ProductCrad", code=2)
        assert '"testapp.ProductCrad"' in message
        assert "Did you mean testapp.ProductCard" in message

    @pytest.mark.parametrize("name", ["tview_refresh", "tview_verify", "tview_explain"])
    @pytest.mark.usefixtures("database")
    def test_a_declared_tview_that_is_not_installed_says_what_to_run(self, name: str) -> None:
        _, message = call(name, "testapp.ProductCard", code=2)
        assert "HINT: The project declares it: run migrate" in message

    @pytest.mark.usefixtures("database")
    def test_so_does_the_label_of_an_app(self) -> None:
        _, message = call("tview_verify", "testapp", code=2)
        assert "HINT: The project declares it: run migrate" in message

    @pytest.mark.parametrize("name", ALL)
    @pytest.mark.usefixtures("database")
    def test_a_server_that_cannot_be_reached_ends_a_command_without_a_traceback(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nowhere = {**connections.settings["default"], "HOST": "127.0.0.1", "PORT": "1"}
        monkeypatch.setitem(connections.settings, "far", nowhere)
        try:
            _, message = call(name, "testapp.Stock", "--database", "far", code=2)
        finally:
            del connections["far"]
        assert "connection" in message

    def test_an_error_of_the_database_ends_a_command_without_a_traceback(
        self, shop: Database
    ) -> None:
        shop.execute("SET statement_timeout = 1")
        _, message = call("tview_refresh", code=2)
        assert "statement timeout" in message


class TestTviewGraph:
    def test_helper_views_are_looked_through_by_asking_the_database(
        self, shop: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shop.execute("CREATE VIEW priced AS SELECT id, price FROM testapp_product WHERE price > 1")
        query = "SELECT 1 AS id, count(*) AS products, 0 AS value FROM priced"
        monkeypatch.setattr(models.Stock, "query", query)
        graph = of_project()
        names = {node.relation: node.kind for node in graph.around("testapp.Stock").nodes}
        assert names == {
            "testapp_stock": NodeKind.TVIEW,
            "priced": NodeKind.HELPER_VIEW,
            "testapp_product": NodeKind.SOURCE,
        }

    def test_text_shows_what_is_declared_whether_installed_or_not(self, database: Database) -> None:  # noqa: F811
        out, _ = call("tview_graph")
        assert out.startswith("testapp.ProductTag (TView, depth 1)\n")
        assert "testapp.SupplierTotals (TView, depth 2)\n" in out
        assert "── testapp.ProductCard (TView, depth 1)\n" in out

    def test_labels_choose_a_part(self, shop: Database) -> None:
        out, _ = call("tview_graph", "testapp.Tag")
        assert out.startswith("testapp.ProductTag (TView, depth 1)\n")
        assert "SupplierTotals" not in out

    @pytest.mark.usefixtures("shop")
    def test_every_format_can_be_written(self) -> None:
        assert answer("tview_graph")["order"] == [
            "testapp.ProductCard",
            "testapp.ProductTag",
            "testapp.Stock",
            "testapp.SupplierTotals",
        ]
        assert call("tview_graph", "--format", "dot")[0].startswith("digraph tviews {")
        assert call("tview_graph", "--format", "mermaid")[0].startswith("flowchart LR")

    @pytest.mark.usefixtures("shop")
    def test_a_circle_is_spelt_out_and_drawn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            models.ProductCard,
            "query",
            "SELECT supplier_id AS product_id, 'a' AS product_name, 'b' AS supplier_name,"
            " 0 AS review_count FROM testapp_suppliertotals",
        )
        out, message = call("tview_graph", code=2)
        path = "testapp.ProductCard → testapp.SupplierTotals → testapp.ProductCard"
        assert path in message
        assert out == ""
        out, message = call("tview_graph", "--format", "dot", code=2)
        assert path in message
        assert '"testapp.ProductCard" -> "testapp.SupplierTotals";' in out


class TestTviewRefresh:
    def test_nothing_is_written_where_nothing_differs(self, shop: Database) -> None:
        reports = maintenance.refresh()
        assert [report.label for report in reports] == [
            "testapp.ProductCard",
            "testapp.ProductTag",
            "testapp.Stock",
            "testapp.SupplierTotals",
        ]
        assert not any(report.changed for report in reports)

    def test_rows_that_differ_are_written_and_counted(self, shop: Database) -> None:
        with unguarded(shop):
            shop.execute("UPDATE testapp_productcard SET name = 'x' WHERE name = 'Lamp'")
            shop.execute("DELETE FROM testapp_productcard WHERE name = 'Chair'")
            shop.execute("INSERT INTO testapp_productcard VALUES (98, 'y', 'z', 1)")
            shop.execute("INSERT INTO testapp_productcard VALUES (99, 'y', 'z', 1)")
        out, _ = call("tview_refresh", "testapp.ProductCard")
        head, _, time = out.rpartition(" (")
        assert head == ("testapp.ProductCard: 1 row inserted, 1 row updated, 2 rows deleted")
        assert time.endswith("s)\n")
        shop.check()

    def test_json_has_the_counts(self, shop: Database) -> None:
        with unguarded(shop):
            shop.execute("DELETE FROM testapp_productcard")
        [report] = answer("tview_refresh", "testapp.ProductCard")["tviews"]
        assert report.pop("seconds") > 0
        assert report == {
            "label": "testapp.ProductCard",
            "inserted": 3,
            "updated": 0,
            "deleted": 0,
        }

    def test_where_the_server_does_not_count_the_counts_are_unknown(self, shop: Database) -> None:
        with unguarded(shop):
            shop.execute("DELETE FROM testapp_productcard")
        shop.execute("SET track_counts = off")
        try:
            out, _ = call("tview_refresh", "testapp.ProductCard")
            [report] = answer("tview_refresh", "testapp.ProductCard")["tviews"]
        finally:
            shop.execute("RESET track_counts")
        assert out.startswith("testapp.ProductCard: recomputed; how many rows changed is unknown")
        assert report["inserted"] is None
        shop.check()

    def test_a_tview_that_reads_a_refreshed_one_follows(self, shop: Database) -> None:
        with unguarded(shop):
            shop.execute("UPDATE testapp_productcard SET review_count = 7 WHERE name = 'Lamp'")
            shop.execute("UPDATE testapp_suppliertotals SET reviews = 7 WHERE reviews = 1")
        maintenance.refresh("testapp.ProductCard")
        shop.check()

    def test_keys_are_recomputed_alone(self, shop: Database) -> None:
        with unguarded(shop):
            shop.execute("UPDATE testapp_productcard SET name = 'x'")
        lamp, chair, _ = models.Product.objects.order_by("pk")
        out, _ = call("tview_refresh", "testapp.ProductCard", "--key", lamp.pk, "--key", chair.pk)
        assert out.startswith("testapp.ProductCard: 2 rows updated")
        [report] = maintenance.refresh("testapp.ProductCard", keys=[lamp.pk])
        assert not report.changed
        [left] = maintenance.refresh("testapp.ProductCard")
        assert left.updated == 1

    def test_a_composite_key_is_written_with_commas(self, shop: Database) -> None:
        with unguarded(shop):
            shop.execute("UPDATE testapp_producttag SET label = 'x'")
        (product, tag), _ = shop.execute(
            "SELECT product_id, tag_id FROM testapp_producttag ORDER BY 1, 2"
        )
        out, _ = call("tview_refresh", "testapp.ProductTag", "--key", f"{product},{tag}")
        assert out.startswith("testapp.ProductTag: 1 row updated")

    def test_keys_of_every_type_are_understood(self, database: Database) -> None:  # noqa: F811
        database.execute(
            "CREATE TABLE base (a text, b uuid, c timestamptz, d bytea, e boolean, f date,"
            " PRIMARY KEY (a, b, c, d, e, f))"
        )
        tview = database.tview(
            "SELECT a, b, c, d, e, f FROM base",
            "a text, b uuid, c timestamptz, d bytea, e boolean, f date",
            "a, b, c, d, e, f",
        )
        database.execute(
            "INSERT INTO base VALUES ('x, \"y\"', %s, now(), '\\x0001ff', true, '2026-01-02')",
            uuid.uuid4(),
        )
        [key] = database.rows(tview)
        with unguarded(database):
            database.execute(f"DELETE FROM {tview.table}")
        [report] = maintenance.refresh(tview.label, keys=[key])
        assert report.inserted == 1
        database.check()

    def test_a_key_with_too_few_columns_is_refused(self, shop: Database) -> None:
        with pytest.raises(KeyMissing, match="product_id, tag_id"):
            maintenance.refresh("testapp.ProductTag", keys=[1])
        _, message = call("tview_refresh", "testapp.ProductCard", "--key", "1,2", code=2)
        assert "does not fit" in message

    def test_a_key_that_is_null_is_that_of_no_row(self, shop: Database) -> None:
        with unguarded(shop):
            shop.execute("UPDATE testapp_productcard SET name = 'x'")
        [report] = maintenance.refresh("testapp.ProductCard", keys=[None])
        assert not report.changed

    def test_keys_of_several_tviews_are_refused(self, shop: Database) -> None:
        with pytest.raises(ValueError, match="not for 4"):
            maintenance.refresh(keys=[1])
        _, message = call("tview_refresh", "testapp", "--key", "1", code=2)
        assert message == "Keys can be given for one TView, not for 4."

    def test_a_key_of_another_type_is_refused_by_the_database(self, shop: Database) -> None:
        _, message = call("tview_refresh", "testapp.ProductCard", "--key", "lamp", code=2)
        assert message == 'invalid input syntax for type bigint: "lamp"'

    def test_a_role_without_the_right_to_refresh_is_told_so(self, shop: Database) -> None:
        with shop.role("pg_read_all_data"):
            _, message = call("tview_refresh", "testapp.Stock", code=2)
        assert message.startswith("permission denied for view django_tviews_refresh\nHINT: ")

    def test_a_value_that_cannot_be_stored_is_a_failed_refresh(self, database: Database) -> None:  # noqa: F811
        database.execute(
            "CREATE TABLE base (id integer PRIMARY KEY);"
            "INSERT INTO base VALUES (1);"
            "CREATE FUNCTION ratio(integer) RETURNS integer IMMUTABLE LANGUAGE sql"
            " AS 'SELECT 10 / $1'"
        )
        tview = database.tview(
            f"SELECT id, {database.schema}.ratio(id) AS r FROM base", "id integer, r integer NULL"
        )
        database.execute(
            "CREATE OR REPLACE FUNCTION ratio(integer) RETURNS integer IMMUTABLE LANGUAGE sql"
            " AS 'SELECT 10 / ($1 - 1)'"
        )
        with pytest.raises(RefreshFailed, match="division by zero") as caught:
            maintenance.refresh(tview.label)
        assert caught.value.tview == tview.label
        assert caught.value.context["sqlstate"] == "22012"

    @pytest.mark.usefixtures("database")
    def test_where_nothing_is_installed_nothing_is_refreshed(self) -> None:
        assert maintenance.refresh() == []


class TestTviewVerify:
    def test_tviews_that_equal_their_queries_end_with_0(self, shop: Database) -> None:
        out, _ = call("tview_verify")
        assert [line.partition(" (")[0] for line in out.splitlines()] == [
            "testapp.ProductCard: 3 rows, equal to the query",
            "testapp.ProductTag: 2 rows, equal to the query",
            "testapp.Stock: 1 row, equal to the query",
            "testapp.SupplierTotals: 2 rows, equal to the query",
        ]

    def drift(self, shop: Database) -> tuple[int, int]:
        with unguarded(shop):
            shop.execute("UPDATE testapp_productcard SET name = 'x' WHERE name = 'Lamp'")
            shop.execute("DELETE FROM testapp_productcard WHERE name = 'Chair'")
            shop.execute("INSERT INTO testapp_productcard VALUES (99, 'y', NULL, 1)")
        names = dict(shop.execute("SELECT name, id FROM testapp_product"))
        return names["Lamp"], names["Chair"]

    def test_each_kind_of_difference_is_named_with_its_key(self, shop: Database) -> None:
        lamp, chair = self.drift(shop)
        [report] = maintenance.verify("testapp.ProductCard")
        assert not report.exact
        assert (report.rows, report.missing, report.extra, report.different) == (3, 1, 1, 1)
        assert report.differences == (
            Difference(
                DifferenceKind.DIFFERENT,
                Key(("product_id",), (str(lamp),)),
                ("name",),
                stored={"name": "x"},
                queried={"name": "Lamp"},
            ),
            Difference(
                DifferenceKind.MISSING,
                Key(("product_id",), (str(chair),)),
                queried={"name": "Chair", "supplier_name": "Bob", "review_count": "0"},
            ),
            Difference(
                DifferenceKind.EXTRA,
                Key(("product_id",), ("99",)),
                stored={"name": "y", "supplier_name": None, "review_count": "1"},
            ),
        )

    def test_drift_ends_with_1_and_lists_the_first_keys(self, shop: Database) -> None:
        lamp, _ = self.drift(shop)
        out, message = call("tview_verify", "testapp.ProductCard", "--limit", "1", code=1)
        head, listed, more = out.splitlines()
        assert head.startswith(
            "testapp.ProductCard: 3 rows, differs from the query: 1 missing, 1 extra, 1 different"
        )
        assert listed == f"    different  product_id={lamp}: name"
        assert more == "    … and 2 more"
        says, hint = message.splitlines()
        assert says == "testapp.ProductCard differs from the query."
        assert "--repair" in hint

    def test_only_what_differs_is_written_to_who_wants_it_quiet(self, shop: Database) -> None:
        assert call("tview_verify", "-v", "0") == ("", "")
        assert call("tview_refresh", "-v", "0") == ("", "")
        self.drift(shop)
        out, _ = call("tview_verify", "-v", "0", "--limit", "0", code=1)
        assert re.findall("^testapp.*:", out, re.MULTILINE) == [
            "testapp.ProductCard: 3 rows, differs from the query:",
            "testapp.SupplierTotals: 2 rows, differs from the query:",
        ]
        out, _ = call("tview_refresh", "-v", "0")
        assert "testapp.ProductCard: 1 row inserted" in out
        assert "nothing" not in out

    @pytest.mark.parametrize("limit", ["-1", "x"])
    def test_a_limit_that_is_no_number_is_refused(self, limit: str) -> None:
        with pytest.raises(CommandError, match=f'"{limit}" is no number of keys'):
            call_command("tview_verify", f"--limit={limit}")

    def test_json_lists_the_differences(self, shop: Database) -> None:
        _, chair = self.drift(shop)
        [report] = answer("tview_verify", "testapp.ProductCard", code=1)["tviews"]
        assert report["exact"] is False
        assert report["differences"][1] == {
            "kind": "missing",
            "key": {"product_id": str(chair)},
            "columns": [],
        }
        assert report["repair"] is None

    def test_repair_mends_and_still_ends_with_1(self, shop: Database) -> None:
        self.drift(shop)
        out, message = call("tview_verify", "--repair", code=1)
        assert "    repaired: 1 row inserted, 1 row updated, 1 row deleted (" in out
        assert message == "testapp.ProductCard differs from the query; repaired."
        shop.check()
        call("tview_verify")

    def test_repair_leaves_alone_what_is_exact(self, shop: Database) -> None:
        assert [report.repair for report in maintenance.verify(repair=True)] == [None] * 4

    def test_values_that_look_different_are_different_though_equal(
        self,
        database: Database,  # noqa: F811
    ) -> None:
        database.execute("CREATE TABLE base (id integer PRIMARY KEY, every interval)")
        tview = database.tview("SELECT id, every FROM base", "id integer, every interval NULL")
        database.run("INSERT INTO base VALUES (1, '1 month')")
        with unguarded(database):
            database.execute(f"UPDATE {tview.table} SET every = '30 days'")
        [report] = maintenance.verify(tview.label)
        assert report.different == 1

    def test_a_null_is_a_difference_like_any_value(self, shop: Database) -> None:
        with unguarded(shop):
            shop.execute("UPDATE testapp_productcard SET supplier_name = NULL")
        [report] = maintenance.verify("testapp.ProductCard")
        assert report.different == 2

    def test_a_key_that_the_query_gives_twice_is_a_missing_row(
        self,
        database: Database,  # noqa: F811
    ) -> None:
        database.execute("CREATE TABLE base (id integer, name text)")
        database.execute("INSERT INTO base VALUES (1, 'a')")
        database.execute("ALTER TABLE base ALTER id SET NOT NULL")
        tview = database.tview("SELECT id, name FROM base", "id integer, name text NULL")
        with unguarded(database):
            database.execute("INSERT INTO base VALUES (1, 'a')")
        [report] = maintenance.verify(tview.label)
        assert (report.missing, report.extra, report.different) == (1, 0, 0)

    def test_values_are_compared_as_the_table_stores_them(self, database: Database) -> None:  # noqa: F811
        database.execute("CREATE TABLE base (id integer PRIMARY KEY, a numeric, b text, c text)")
        tview = database.tview(
            "SELECT id, a, b, c FROM base",
            "id bigint, a numeric(6, 2) NULL, b varchar(3) NULL, c char(4) NULL",
        )
        database.run("INSERT INTO base VALUES (1, 1.005, 'abc', 'ab')")
        assert maintenance.verify(tview.label)[0].exact
        with unguarded(database):
            database.execute("UPDATE base SET b = 'abcd'")
        assert maintenance.verify(tview.label)[0].differences[0].columns == ("b",)

    def test_the_settings_of_the_session_make_no_difference_and_stay(
        self,
        database: Database,  # noqa: F811
    ) -> None:
        database.execute("CREATE TABLE base (id integer PRIMARY KEY, at timestamptz)")
        tview = database.tview(
            "SELECT id, jsonb_build_object('at', at) AS data FROM base",
            "id integer, data jsonb NULL",
        )
        database.run("INSERT INTO base VALUES (1, '2026-01-01 12:00+00')")
        database.execute("SET TimeZone = 'Asia/Tokyo'")
        with database.transaction():
            assert maintenance.verify(tview.label)[0].exact
            assert database.value("SHOW TimeZone") == "Asia/Tokyo"
            assert database.value("SELECT current_schema()") == database.schema

    def test_types_of_an_extension_are_found(self, database: Database) -> None:  # noqa: F811
        database.execute("CREATE DOMAIN code AS text CHECK (value <> '')")
        database.execute("CREATE TABLE base (id integer PRIMARY KEY, code code)")
        tview = database.tview(
            "SELECT id, code FROM base", f"id integer, code {database.schema}.code NULL"
        )
        database.run("INSERT INTO base VALUES (1, 'a')")
        assert maintenance.verify(tview.label)[0].exact

    def test_quoted_and_odd_names_are_no_trouble(self, database: Database) -> None:  # noqa: F811
        database.execute('CREATE TABLE "Odd %s" ("Key ""a" integer PRIMARY KEY, "%" text)')
        tview = database.tview(
            'SELECT "Key ""a" AS "k;", "%" AS "v%s" FROM "Odd %s"',
            '"k;" integer, "v%s" text NULL',
            "k;",
            table="it's",
        )
        database.run("INSERT INTO \"Odd %s\" VALUES (1, 'a')")
        with unguarded(database):
            database.execute(f'UPDATE "{tview.table}" SET "v%s" = \'b\'')
        [report] = maintenance.verify(tview.label, repair=True)
        assert report.differences == (
            Difference(
                DifferenceKind.DIFFERENT,
                Key(("k;",), ("1",)),
                ("v%s",),
                stored={"v%s": "b"},
                queried={"v%s": "a"},
            ),
        )
        database.check()

    def test_a_column_that_is_gone_says_so(self, shop: Database) -> None:
        shop.execute("ALTER TABLE testapp_stock DROP COLUMN value")
        with pytest.raises(OutdatedTView, match='no column "value"'):
            maintenance.verify("testapp.Stock")

    def test_a_view_that_is_gone_says_so(self, shop: Database) -> None:
        shop.execute("DROP VIEW testapp_stock_query")
        with pytest.raises(OutdatedTView, match="view testapp_stock_query of"):
            maintenance.verify("testapp.Stock")


class TestTviewCheck:
    def test_an_installation_in_order_has_no_problems(self, shop: Database) -> None:
        assert health.check() == []
        assert call("tview_check") == ("Everything is as it should be.\n", "")
        assert call("tview_check", "-v", "0") == ("", "")
        assert answer("tview_check")["problems"] == []

    def one(self, kind: ProblemKind, *labels: str) -> health.Problem:
        [problem] = health.check(*labels)
        assert problem.kind is kind
        return problem

    @pytest.mark.usefixtures("database")
    def test_a_declared_tview_that_is_not_there_is_not_installed(self) -> None:
        problem = self.one(ProblemKind.NOT_INSTALLED, "testapp.Stock")
        assert problem.label == "testapp.Stock"

    def test_a_tview_that_nobody_declares_is_orphaned(self, shop: Database) -> None:
        shop.tview("SELECT id, name FROM testapp_tag", "id bigint, name text", table="left")
        problem = self.one(ProblemKind.ORPHANED)
        assert problem.label == "tests.left"

    def test_another_declaration_is_outdated(
        self, shop: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            models.Stock,
            "query",
            "SELECT 1 AS id, count(*) AS products, 0 AS value FROM testapp_product",
        )
        problem = self.one(ProblemKind.OUTDATED)
        assert "makemigrations" in problem.hint

    def test_another_alias_in_the_query_is_no_other_declaration(
        self, shop: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        query = str(models.ProductTag.query)
        monkeypatch.setattr(models.ProductTag, "query", query.replace("pt", "link"))
        assert health.check() == []

    def test_functions_of_another_format_are_outdated(self, shop: Database) -> None:
        shop.execute(
            "UPDATE django_tviews_registry SET format_version = 0 WHERE label = 'testapp.Stock'"
        )
        assert "format 0" in self.one(ProblemKind.OUTDATED).message

    def test_a_source_that_was_altered_since_is_noticed(self, shop: Database) -> None:
        shop.execute("ALTER TABLE testapp_review DROP CONSTRAINT testapp_review_pkey")
        assert {problem.kind for problem in health.check("testapp.ProductCard")} == {
            ProblemKind.OUTDATED
        }

    def test_a_function_that_is_gone_is_missing(self, shop: Database) -> None:
        shop.execute("DROP FUNCTION tviews_testapp_stock_rebuild()")
        assert "tviews_testapp_stock_rebuild" in self.one(ProblemKind.MISSING).message

    def test_a_function_with_another_body_is_edited(self, shop: Database) -> None:
        shop.execute(
            "UPDATE pg_proc SET prosrc = prosrc || ' -- quick fix'"
            " WHERE proname = 'tviews_testapp_stock_rebuild'"
        )
        assert "tviews_testapp_stock_rebuild" in self.one(ProblemKind.EDITED).message

    def test_a_function_that_everybody_may_execute_is_reported(self, shop: Database) -> None:
        shop.execute("GRANT EXECUTE ON FUNCTION tviews_testapp_stock_rebuild() TO PUBLIC")
        problem = self.one(ProblemKind.EDITED)
        assert "everybody may execute" in problem.message
        shop.execute(problem.hint)
        assert health.check() == []

    def trigger(self, shop: Database) -> str:
        return str(
            shop.value(
                "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'tviews%%insert%%producttag'"
                " AND tgrelid = 'testapp_tag'::regclass"
            )
        )

    @pytest.mark.parametrize(
        ("damage", "kind"),
        [
            ("DROP TRIGGER {} ON testapp_tag", ProblemKind.MISSING),
            ("ALTER TABLE testapp_tag DISABLE TRIGGER {}", ProblemKind.DISABLED),
        ],
    )
    def test_a_trigger_that_is_gone_or_disabled_is_reported_and_the_hint_mends_it(
        self, shop: Database, damage: str, kind: ProblemKind
    ) -> None:
        shop.execute(damage.format(self.trigger(shop)))
        problem = self.one(kind)
        assert problem.hint == (
            "Run tview_sync testapp.ProductTag, then tview_verify --repair testapp.ProductTag."
        )
        call("tview_sync", "testapp.ProductTag")
        assert health.check() == []

    def test_a_trigger_with_another_definition_is_edited(self, shop: Database) -> None:
        trigger = self.trigger(shop)
        definition = shop.value(
            "SELECT pg_get_triggerdef(oid) FROM pg_trigger"
            " WHERE tgname = %s AND tgrelid = 'testapp_tag'::regclass",
            trigger,
        )
        shop.execute(f"DROP TRIGGER {trigger} ON testapp_tag")
        shop.execute(definition.replace("FOR EACH STATEMENT WHEN", "FOR EACH STATEMENT --\nWHEN"))
        assert health.check() == []
        shop.execute(f"DROP TRIGGER {trigger} ON testapp_tag")
        unconditional = (
            definition.partition("WHEN")[0] + "EXECUTE" + definition.rpartition("EXECUTE")[2]
        )
        shop.execute(unconditional)
        assert trigger in self.one(ProblemKind.EDITED).message

    def test_a_trigger_without_a_tview_is_orphaned(self, shop: Database) -> None:
        shop.execute(
            "CREATE TABLE lonely (id integer);"
            "CREATE TRIGGER tviews_1_open_insert BEFORE INSERT ON lonely"
            " FOR EACH STATEMENT EXECUTE FUNCTION django_tviews_open()"
        )
        problem = self.one(ProblemKind.ORPHANED)
        shop.execute(problem.hint)
        assert health.check() == []

    def test_a_view_that_is_gone_is_missing(self, shop: Database) -> None:
        shop.execute("DROP VIEW testapp_stock_query")
        assert "testapp_stock_query" in self.one(ProblemKind.MISSING).message

    def test_a_query_that_can_no_longer_be_kept_is_outdated(self, shop: Database) -> None:
        shop.execute("ALTER TABLE testapp_product ALTER name DROP NOT NULL")
        assert "'name' is NOT NULL" in self.one(ProblemKind.OUTDATED, "testapp.ProductCard").message

    def test_a_view_that_was_edited_is_reported_though_it_is_kept_alike(
        self, shop: Database
    ) -> None:
        shop.execute(
            "CREATE OR REPLACE VIEW testapp_stock_query AS"
            " SELECT 1 AS id, count(*) AS products, sum(-price) AS value FROM testapp_product"
        )
        assert "view testapp_stock_query is not" in self.one(ProblemKind.EDITED).message

    def test_a_view_that_was_edited_and_cannot_be_kept_is_reported(self, shop: Database) -> None:
        shop.execute(
            "CREATE OR REPLACE VIEW testapp_stock_query AS"
            " SELECT 1 AS id, count(*) AS products, random()::numeric AS value"
            " FROM testapp_product"
        )
        assert "view testapp_stock_query is not" in self.one(ProblemKind.EDITED).message

    def test_a_table_that_is_gone_is_missing(self, shop: Database) -> None:
        shop.execute("DROP TABLE testapp_stock CASCADE")
        kinds = {problem.kind for problem in health.check("testapp.Stock")}
        assert ProblemKind.MISSING in kinds

    def test_problems_end_with_1_and_come_with_what_to_do(self, shop: Database) -> None:
        trigger = self.trigger(shop)
        shop.execute(f"ALTER TABLE testapp_tag DISABLE TRIGGER {trigger}")
        out, message = call("tview_check", code=1)
        first, second = out.splitlines()
        assert first.startswith(f"testapp.ProductTag: trigger {trigger} on ")
        assert second.startswith("    HINT: Run tview_sync testapp.ProductTag, then")
        assert message == "1 problem."
        [problem] = answer("tview_check", code=1)["problems"]
        assert problem["kind"] == "disabled"
        shop.execute("ALTER TABLE testapp_tag DISABLE TRIGGER USER")
        _, message = call("tview_check", code=1)
        assert message.endswith(" problems.")


class TestTviewExplain:
    def test_sources_come_with_routes_and_strategies(self, shop: Database) -> None:
        explained = explanation.explain("testapp.ProductCard")
        assert explained.label == "testapp.ProductCard"
        assert explained.key == ("product_id",)
        sources = {source.source.partition(".")[2]: source for source in explained.sources}
        assert set(sources) == {"testapp_product", "testapp_supplier", "testapp_review"}
        review = sources["testapp_review"]
        assert review.columns == ("id", "product_id")
        [route] = review.routes
        assert route.startswith("testapp_review → ")
        assert [(event.event, event.strategy) for event in review.events] == [
            ("INSERT", "fold"),
            ("UPDATE", "fold"),
            ("DELETE", "fold"),
            ("TRUNCATE", "rebuild"),
        ]

    def test_the_text_has_the_sql_only_if_asked_for(self, shop: Database) -> None:
        short, _ = call("tview_explain", "testapp.stock")
        assert short.startswith("testapp.Stock\n    table  ")
        assert "CREATE OR REPLACE" not in short
        long, _ = call("tview_explain", "testapp.stock", "-v", "2")
        assert long.startswith(short.strip())
        assert long.count("CREATE OR REPLACE FUNCTION") == len(
            shop.execute(
                "SELECT proname FROM pg_proc WHERE proname LIKE 'tviews_testapp_stock_%'"
                " AND pronamespace = current_schema()::regnamespace"
            )
        )
        assert "CREATE OR REPLACE TRIGGER" in long

    def test_the_sql_is_what_was_installed(self, shop: Database) -> None:
        for label in ("testapp.ProductCard", "testapp.ProductTag", "testapp.Stock"):
            long, _ = call("tview_explain", label, "-v", "2")
            shop.execute("DROP FUNCTION IF EXISTS tviews_testapp_stock_rebuild()")
            shop.execute(long[long.index("CREATE OR REPLACE FUNCTION") :])
        problems = health.check()
        assert all("may execute" in problem.message for problem in problems)

    def test_json_always_has_the_sql(self, shop: Database) -> None:
        explained = answer("tview_explain", "testapp.ProductTag")
        assert explained["key"] == ["product_id", "tag_id"]
        event = explained["sources"][0]["events"][0]
        assert event["sql"].startswith("-- ")
        assert "CREATE OR REPLACE FUNCTION" in event["sql"]

    def test_an_event_that_changes_nothing_is_skipped(self, database: Database) -> None:  # noqa: F811
        database.execute("CREATE TABLE base (id integer)")
        tview = database.tview(
            "SELECT 1 AS id, count(*) AS n FROM base",
            "id integer, n bigint",
            allow_rebuild=True,
        )
        [source] = explanation.explain(tview.label).sources
        assert [event.strategy for event in source.events if event.event == "UPDATE"] == ["skip"]
        assert "no column, only rows" in str(source)

    def test_a_missing_index_is_advised_and_creating_it_is_enough(
        self,
        database: Database,  # noqa: F811
    ) -> None:
        database.execute(
            "CREATE TABLE post (id integer PRIMARY KEY, title text);"
            "CREATE TABLE comment (id integer PRIMARY KEY, post_id integer)"
        )
        tview = database.tview(
            "SELECT p.id, p.title, (SELECT count(*) FROM comment c WHERE c.post_id = p.id) AS n"
            " FROM post p",
            "id integer, title text NULL, n bigint",
        )
        [advice] = explanation.explain(tview.label).missing_indexes
        assert advice.table == f"{database.schema}.comment"
        assert advice.columns == ("post_id",)
        out, _ = call("tview_explain", tview.label)
        assert f"\n    {advice.statement}" in out
        database.execute(advice.statement)
        assert explanation.explain(tview.label).missing_indexes == ()
        assert "Indexes" not in call("tview_explain", tview.label)[0]

    def test_the_check_names_missing_indexes_and_ends_with_0(self, shop: Database) -> None:
        assert call("tview_check", "testapp.ProductCard")[0] == "Everything is as it should be.\n"
        [(index,)] = shop.execute(
            "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
            " AND tablename = 'testapp_review' AND indexdef LIKE '%%(product_id)'"
        )
        shop.execute(f"DROP INDEX {index}")
        out, _ = call("tview_check", "testapp.ProductCard")
        statement = f"CREATE INDEX CONCURRENTLY ON {shop.schema}.testapp_review (product_id);"
        assert out.splitlines() == [
            "Everything is as it should be.",
            "Indexes that would spare scans of whole tables:",
            f"    {statement}",
            "    or, for makemigrations, in Meta.indexes of testapp.Review:"
            ' models.Index(fields=["product"])',
        ]
        [missing] = answer("tview_check", "testapp.ProductCard")["missing_indexes"]
        assert missing["statement"] == statement
        assert missing["model"] == "testapp.Review"

    def test_the_index_that_is_advised_in_python_is_the_one_that_is_missing(
        self, shop: Database
    ) -> None:
        [(index,)] = shop.execute(
            "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
            " AND tablename = 'testapp_review' AND indexdef LIKE '%%(product_id)'"
        )
        shop.execute(f"DROP INDEX {index}")
        [advice] = health.advice("testapp.ProductCard")
        assert advice.model is not None
        assert advice.declaration is not None
        added = eval(advice.declaration, {"models": django_models})
        added.name = "advised"
        with shop.connection.schema_editor() as editor:
            editor.add_index(apps.get_model(advice.model), added)
        assert health.advice("testapp.ProductCard") == []

    def test_a_join_is_looked_up_from_both_sides(self, database: Database) -> None:  # noqa: F811
        database.execute(
            "CREATE TABLE author (id integer PRIMARY KEY, country text);"
            "CREATE TABLE post (id integer PRIMARY KEY, author_id integer, country text);"
        )
        tview = database.tview(
            "SELECT p.id, a.id AS author FROM post p"
            " JOIN author a ON p.author_id = a.id AND p.country = a.country"
            " AND a.country < p.country || 'x'",
            "id integer, author integer",
        )
        [advice] = explanation.explain(tview.label).missing_indexes
        assert advice.table == f"{database.schema}.post"
        assert set(advice.columns) == {"author_id", "country"}

    def test_where_no_route_leads_to_the_key_no_index_is_advised(
        self,
        database: Database,  # noqa: F811
    ) -> None:
        database.execute("CREATE TABLE a (id integer PRIMARY KEY); CREATE TABLE b (id integer)")
        tview = database.tview(
            "SELECT a.id, (SELECT count(*) FROM b) AS n FROM a",
            "id integer, n bigint",
            allow_rebuild=True,
        )
        explained = explanation.explain(tview.label)
        assert explained.missing_indexes == ()
        assert "rebuild" in str(explained.sources[1])
        assert "every key, because" in str(explained.sources[1])

    def test_an_app_is_no_tview(self, shop: Database) -> None:
        with pytest.raises(MetadataNotFound, match="is an app"):
            explanation.explain("testapp")

    def test_a_tview_over_another_says_how_deep_it_is(self, shop: Database) -> None:
        out, _ = call("tview_explain", "testapp.SupplierTotals")
        assert "at the end of every statement, after the 1 TView below it\n" in out


class TestReports:
    def test_counts_and_times_are_written_for_people(self) -> None:
        assert str(RefreshReport("a.B", 0, 0, 0, 0.0123456)) == "a.B: nothing to change (12.3 ms)"
        assert str(RefreshReport("a.B", 12345, 1, 0, 61.5)) == (
            "a.B: 12,345 rows inserted, 1 row updated (61.5 s)"
        )

    def test_a_null_in_a_key_is_written_as_such(self) -> None:
        assert str(Key(("a", "b"), ("1", None))) == "a=1, b=NULL"

    def test_a_report_without_differences_is_exact(self) -> None:
        report = VerifyReport("a.B", 1, 0, 0, 0, (), 0.5)
        assert report.exact
        assert report.as_dict()["exact"] is True


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestTheProgressBar:
    def shown(self, stream: io.StringIO, *, shown: bool = True) -> str:
        from django.core.management.base import OutputWrapper

        bar = ProgressBar(OutputWrapper(stream), shown=shown)
        bar("shop.ProductCard", 1, 4)
        bar("shop.ProductCard", 4, 4)
        return stream.getvalue()

    def test_a_terminal_shows_how_far_it_is_and_is_clean_afterwards(self) -> None:
        text = self.shown(Terminal())
        assert text == "\r\x1b[K██████░░░░░░░░░░░░░░░░░░  25 % shop.ProductCard\r\x1b[K"

    def test_anything_but_a_terminal_shows_nothing(self) -> None:
        assert self.shown(io.StringIO()) == ""

    def test_it_can_be_silenced_on_a_terminal(self) -> None:
        assert self.shown(Terminal(), shown=False) == ""

    def test_it_is_told_before_and_after_each_tview(self, shop: Database) -> None:
        told: list[tuple[str, int, int]] = []
        maintenance.verify(
            "testapp.Stock",
            "testapp.ProductCard",
            progress=lambda label, done, total: told.append((label, done, total)),
        )
        assert told == [
            ("testapp.ProductCard", 0, 2),
            ("testapp.ProductCard", 1, 2),
            ("testapp.Stock", 1, 2),
            ("testapp.Stock", 2, 2),
        ]
