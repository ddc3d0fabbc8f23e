"""Migrations of tables that TViews read: the TViews stay exact, or nothing changes at all."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connections, migrations, models, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.sqlite3.base import DatabaseWrapper as SQLite

from django_tviews import registry
from django_tviews.errors import (
    ColumnMismatch,
    DependentColumn,
    IsolationUnsupported,
    TViewError,
)
from django_tviews.operations import AlterTView, CreateTView, DeleteTView
from django_tviews.schema_editor import TViewSchemaEditor, compose
from django_tviews.synchronization import sync

from .harness import database_of_its_own
from .histories import model, project
from .oracle import assert_equals_query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.migrations.operations.base import Operation
    from django.db.migrations.state import ProjectState
    from pytest_django import DjangoDbBlocker

    from .harness import Database

ID = ("id", models.BigIntegerField(primary_key=True))

START = project(
    model("shop.Maker", name=models.TextField(), country=models.TextField(default="de")),
    model("shop.Label", text=models.TextField()),
    model(
        "shop.Product",
        name=models.CharField(max_length=40),
        price=models.DecimalField(max_digits=10, decimal_places=2),
        stock=models.IntegerField(null=True),
        note=models.TextField(default=""),
        code=models.CharField(max_length=10, unique=True),
        maker=models.ForeignKey("shop.Maker", models.CASCADE, null=True),
        labels=models.ManyToManyField("shop.Label"),
    ),
)

TVIEWS = {
    "Card": CreateTView(
        "Card",
        [
            ID,
            ("name", models.CharField(max_length=40)),
            ("price", models.DecimalField(max_digits=10, decimal_places=2)),
            ("stock", models.IntegerField(null=True)),
            ("maker_name", models.TextField(null=True)),
            ("data", models.JSONField()),
        ],
        # Parts of the query stand in functions, for patches of the document.
        "SELECT p.id, p.name, p.price, p.stock, m.name AS maker_name, jsonb_build_object("
        "'price', p.price, 'maker', jsonb_build_object('id', m.id, "
        "'name', m.name)) AS data FROM shop_product p LEFT JOIN shop_maker m ON m.id = p.maker_id",
    ),
    "Board": CreateTView(
        "Board",
        [
            ("maker_name", models.TextField(primary_key=True)),
            ("products", models.BigIntegerField()),
            ("price", models.DecimalField(max_digits=20, decimal_places=2, null=True)),
        ],
        "SELECT maker_name, count(*) AS products, sum(price) AS price FROM shop_card "
        "WHERE maker_name IS NOT NULL GROUP BY maker_name",
    ),
    "Shelf": CreateTView(
        "Shelf",
        [ID, ("code", models.CharField(max_length=10))],
        "SELECT id, code FROM shop_coded",
    ),
    "Labelled": CreateTView(
        "Labelled",
        [("product_id", models.BigIntegerField(primary_key=True)), ("n", models.BigIntegerField())],
        "SELECT product_id, count(*) AS n FROM shop_product_labels GROUP BY product_id",
    ),
    "Fan": CreateTView(
        "Fan",
        [
            (
                "maker",
                models.OneToOneField(
                    "shop.Maker", models.DO_NOTHING, primary_key=True, db_constraint=False
                ),
            ),
            ("label", models.TextField()),
            ("products", models.BigIntegerField()),
        ],
        # Of the maker's columns only the key is grouped by.
        "SELECT m.id AS maker_id, m.name || lower(m.country) AS label, count(p.id) AS products "
        "FROM shop_maker m LEFT JOIN shop_product p ON p.maker_id = m.id GROUP BY m.id",
    ),
}


@dataclass
class Shop:
    """An app that migrates step by step, with writes and the oracle in between."""

    database: Database
    states: list[ProjectState] = field(default_factory=lambda: [START.clone()])
    operations: list[Operation] = field(default_factory=list)

    def install(self) -> None:
        with self.database.connection.schema_editor() as editor:
            for name in MODELS:
                editor.create_model(self.model(name))
        self.database.execute("CREATE VIEW shop_coded AS SELECT id, code FROM shop_product")
        for operation in TVIEWS.values():
            self.apply(operation)
        self.check("the beginning")

    def model(self, name: str) -> Any:
        return self.states[-1].apps.get_model("shop", name)

    def apply(self, *operations: Operation) -> None:
        """Apply the operations of one migration, and ask the oracle."""
        before, states = self.states[-1], []
        with self.database.connection.schema_editor() as editor:
            for operation in operations:
                after = before.clone()
                operation.state_forwards("shop", after)
                operation.database_forwards("shop", editor, before, after)
                states.append(after)
                before = after
        self.states += states
        self.operations += operations

    def forwards(self, *operations: Operation) -> None:
        """Apply the operations of one migration, write, and ask the oracle."""
        self.apply(*operations)
        self.check(", ".join(operation.describe() for operation in operations))

    def backwards(self) -> None:
        operation, after = self.operations.pop(), self.states.pop()
        with self.database.connection.schema_editor() as editor:
            operation.database_backwards("shop", editor, after, self.states[-1])
        self.check(f"taking back: {operation.describe()}")

    def check(self, step: str) -> None:
        self.ask(step)
        self.write(step)
        # What is deferred would be in the way of the next ALTER TABLE.
        self.database.execute("SET CONSTRAINTS ALL IMMEDIATE")

    def ask(self, step: str) -> None:
        """Ask the oracle about every TView."""
        connection = self.database.connection
        for tview in registry.installed(connection):
            assert_equals_query(connection, tview.declaration, step=step)
        assert not self.database.value("SELECT count(*) FROM django_tviews_spool"), step

    def write(self, step: str) -> None:
        """Write to every column of every table, whatever it is called now."""
        using = self.database.connection.alias
        rows: dict[str, Any] = {}
        for name in MODELS:
            found = self.found(name)
            if found is None:
                continue
            columns = [each for each in found._meta.concrete_fields if not each.primary_key]
            relations = {each.name: rows["maker"] for each in columns if each.is_relation}
            plain = [each for each in columns if not each.is_relation]
            row = found._base_manager.using(using).create(
                **relations, **{each.name: self.value(each) for each in plain}
            )
            rows[name.lower()] = row
            for many in found._meta.local_many_to_many:
                getattr(row, many.name).add(rows["label"])
            self.ask(f"inserting into {name} after {step}")
            one = found._base_manager.using(using).filter(pk=row.pk)
            one.update(**{each.name: self.value(each) for each in plain})
            self.ask(f"updating {name} after {step}")
        for row in reversed(rows.values()):
            row.delete(using=using)
        self.ask(f"deleting after {step}")
        self.keep(rows)

    def keep(self, rows: dict[str, Any]) -> None:
        """Leave some rows for the next step."""
        for name in ("label", "maker", "product"):
            if row := rows.get(name):
                row.pk = None
                row.save(using=self.database.connection.alias, force_insert=True)
                if name == "maker" and "product" in rows:
                    (relation,) = [
                        each for each in rows["product"]._meta.concrete_fields if each.is_relation
                    ]
                    setattr(rows["product"], relation.name, row)

    def found(self, name: str) -> Any:
        for app_label, key in self.states[-1].models:
            if key in (name.lower(), f"new{name.lower()}"):
                return self.states[-1].apps.get_model(app_label, key)
        return None

    def value(self, each: Any) -> Any:
        number = next(COUNTER)
        match each:
            case models.CharField():
                return str(number)[: each.max_length]
            case models.TextField():
                return f"text {number}"
            case _:
                return number % 97

    def names(self) -> set[str]:
        return {
            name
            for (name,) in self.database.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
            )
        }

    def versions(self) -> list[tuple[Any, ...]]:
        """All that a refused operation must leave as it was."""
        return self.database.execute(
            "SELECT 'relation', oid::text, relname::text FROM pg_class"
            " WHERE relnamespace = current_schema()::regnamespace"
            " UNION ALL SELECT 'column', attrelid::text,"
            "  concat_ws(' ', attname, atttypid, atttypmod, attnotnull) FROM pg_attribute"
            "  JOIN pg_class c ON c.oid = attrelid"
            "  WHERE relnamespace = current_schema()::regnamespace AND attnum > 0"
            " UNION ALL SELECT 'function', oid::text, xmin::text FROM pg_proc"
            "  WHERE pronamespace = current_schema()::regnamespace"
            " UNION ALL SELECT 'trigger', t.oid::text, t.xmin::text FROM pg_trigger t"
            "  JOIN pg_class c ON c.oid = tgrelid"
            "  WHERE relnamespace = current_schema()::regnamespace"
            " UNION ALL SELECT 'constraint', oid::text, conname::text FROM pg_constraint"
            "  WHERE connamespace = current_schema()::regnamespace"
            " UNION ALL SELECT 'registry', tview::oid::text, xmin::text FROM django_tviews_registry"
            " ORDER BY 1, 2, 3"
        )


COUNTER = count(1)
MODELS = ("Maker", "Label", "Product")


@pytest.fixture(scope="module")
def installed_shop(
    server_url: str, own_database: str, django_db_blocker: DjangoDbBlocker
) -> Iterator[Shop]:
    with database_of_its_own(server_url, own_database, django_db_blocker) as database:
        shop = Shop(database)
        shop.install()
        yield shop


@pytest.fixture
def shop(installed_shop: Shop, django_db_blocker: DjangoDbBlocker) -> Iterator[Shop]:
    """Give the shop with all its TViews; what a test does to it is rolled back."""
    with django_db_blocker.unblock(), installed_shop.database.rolled_back():
        yield Shop(
            installed_shop.database, list(installed_shop.states), list(installed_shop.operations)
        )


def alter(name: str, new: models.Field[Any, Any], of: str = "Product") -> migrations.AlterField:
    return migrations.AlterField(of, name, new)


def text(**options: Any) -> models.CharField:
    return models.CharField(max_length=40, **options)


FOLLOWED = {
    # Names
    "rename a used column": [migrations.RenameField("Product", "name", "title")],
    "rename a column of the other table": [migrations.RenameField("Maker", "name", "title")],
    "rename a column behind a helper view": [migrations.RenameField("Product", "code", "sku")],
    "rename an unused column": [migrations.RenameField("Product", "note", "memo")],
    "rename a key column": [migrations.RenameField("Product", "id", "number")],
    "rename a foreign key": [migrations.RenameField("Product", "maker", "firm")],
    "another name in the database": [alter("name", text(db_column="product_name"))],
    "rename a model": [migrations.RenameModel("Product", "NewProduct")],
    "rename the other model": [migrations.RenameModel("Maker", "NewMaker")],
    "another table": [migrations.AlterModelTable("Product", "goods")],
    "rename a relation of many": [migrations.RenameField("Product", "labels", "tags")],
    # Types
    "a longer text": [alter("name", models.CharField(max_length=80))],
    "text without a length": [alter("name", models.TextField())],
    "more digits": [alter("price", models.DecimalField(max_digits=14, decimal_places=4))],
    "fewer digits": [alter("price", models.DecimalField(max_digits=8, decimal_places=0))],
    "the type of an unused column": [alter("note", models.CharField(max_length=99))],
    "a wider key": [alter("id", models.BigAutoField(primary_key=True), "Maker")],
    "a narrower key": [alter("id", models.AutoField(primary_key=True), "Maker")],
    "a type and a name": [alter("name", models.TextField(db_column="full_name"))],
    "a comment": [alter("name", text(db_comment="what it is called"))],
    "a collation": [alter("name", text(db_collation="C"))],
    # NULL and defaults
    "null on an unused column": [alter("note", models.TextField(null=True))],
    "null where the tview takes it": [alter("stock", models.IntegerField(default=7), "Product")],
    "a name, a type and a default instead of null": [
        alter("stock", models.BigIntegerField(default=7, db_column="amount"), "Product")
    ],
    "a default in the database": [alter("stock", models.IntegerField(null=True, db_default=3))],
    # Columns and tables that nobody reads
    "a new column": [migrations.AddField("Product", "colour", models.TextField(default="red"))],
    "a new column that is NULL": [
        migrations.AddField("Product", "colour", models.TextField(null=True))
    ],
    "one column less": [migrations.RemoveField("Product", "note")],
    "a table less": [
        DeleteTView("Labelled"),
        migrations.RemoveField("Product", "labels"),
        migrations.DeleteModel("Label"),
    ],
    # Indexes and constraints
    "an index": [migrations.AddIndex("Product", models.Index(fields=["name"], name="by_name"))],
    "a unique constraint": [
        migrations.AddConstraint(
            "Product", models.UniqueConstraint(fields=["name", "code"], name="unique_name")
        )
    ],
    "unique together": [migrations.AlterUniqueTogether("Product", {("name", "code")})],
    "a check": [
        migrations.AddConstraint(
            "Product",
            models.CheckConstraint(condition=models.Q(price__gte=0), name="not_negative"),
        )
    ],
    "no longer unique": [alter("code", models.CharField(max_length=10))],
    "an index on a used column": [alter("name", text(db_index=True))],
    "a table comment": [migrations.AlterModelTableComment("Product", "what we sell")],
}


class TestWhatIsFollowed:
    @pytest.mark.parametrize("operations", FOLLOWED.values(), ids=FOLLOWED)
    def test_tviews_stay_exact_there_and_back(
        self, shop: Shop, operations: list[Operation]
    ) -> None:
        start = len(shop.operations)
        shop.forwards(*operations)
        while len(shop.operations) > start:
            shop.backwards()


@dataclass(frozen=True)
class Refusal:
    """An operation that is refused.

    Attributes:
        operations: what is tried.
        error: its class.
        words: what the message says.
        hint: what the hint says.
    """

    operations: list[Operation]
    words: str
    error: type[TViewError] = DependentColumn
    hint: str = "or delete {label} first"
    label: str = "shop.Card"


REFUSED = {
    "a used column": Refusal(
        [migrations.RemoveField("Product", "stock")],
        r"Cannot drop column shop_product\.stock: TView shop\.Card reads it\.",
    ),
    "a column that two read": Refusal(
        [migrations.RemoveField("Product", "maker")],
        r"Cannot drop column shop_product\.maker_id: TView shop\.Card reads it\. So does shop\.Fan\.",
    ),
    "a column behind a helper view": Refusal(
        [migrations.RemoveField("Product", "code")],
        r"column shop_product\.code: TView shop\.Shelf reads it through view \w+\.shop_coded\.",
        label="shop.Shelf",
    ),
    "a column that only the key proves to be one": Refusal(
        [migrations.RemoveField("Maker", "country")],
        r"Cannot drop column shop_maker\.country: TView shop\.Fan reads it\.",
        label="shop.Fan",
    ),
    "a relation of many": Refusal(
        [migrations.RemoveField("Product", "labels")],
        r"Cannot drop table shop_product_labels: TView shop\.Labelled reads it\.",
        label="shop.Labelled",
    ),
    "a table": Refusal(
        [migrations.DeleteModel("Product")],
        r"Cannot drop table shop_product: TView shop\.Card reads it\. So do shop\.\w+, shop\.\w+\.",
    ),
    "the column of a TView": Refusal(
        [migrations.RemoveField("Card", "stock")],
        r"Cannot drop column shop_card\.stock: it belongs to TView shop\.Card\.",
        hint="AlterTView does that",
    ),
    "a TView as a table": Refusal(
        [migrations.DeleteModel("Board")],
        r"Cannot drop table shop_board: it belongs to TView shop\.Board\.",
        hint="DeleteTView does that",
        label="shop.Board",
    ),
    "another name for the table of a TView": Refusal(
        [migrations.AlterModelTable("Card", "cards")],
        r"The table of TView shop\.Card cannot be renamed like others",
        hint="AlterTView does that",
    ),
    "the type of a column behind a helper view": Refusal(
        [alter("code", models.TextField())],
        r"Cannot change the type of column shop_product\.code: TView shop\.Shelf reads it through "
        r"view \w+\.shop_coded\.",
        label="shop.Shelf",
    ),
    "the type of a key that a helper view shows": Refusal(
        [alter("id", models.AutoField(primary_key=True))],
        r"column shop_product\.id: TView shop\.Shelf reads it through view \w+\.shop_coded\.",
        label="shop.Shelf",
    ),
    "NULL in a column that is NOT NULL in the TView": Refusal(
        [alter("name", text(null=True))],
        r"shop\.Card: column 'name' is NOT NULL, but the query does not rule out NULL",
        ColumnMismatch,
    ),
    "a type that the query does not take": Refusal(
        [
            migrations.AlterField("Maker", "country", models.BinaryField()),
        ],
        r"The query of TView shop\.Fan does not fit the new type of column shop_maker\.country",
        label="shop.Fan",
    ),
    "dropping by hand": Refusal(
        [migrations.RunSQL("ALTER TABLE shop_product DROP COLUMN stock CASCADE")],
        r"A statement has taken its view shop_card_query from TView shop\.Card\.",
    ),
    "dropping a table by hand": Refusal(
        [migrations.RunSQL("DROP TABLE shop_product_labels CASCADE")],
        r"A statement has taken its view shop_labelled_query from TView shop\.Labelled\.",
        label="shop.Labelled",
    ),
    "dropping a trigger by hand": Refusal(
        [migrations.RunSQL("DROP TRIGGER tviews_2_00_update_shop_card ON shop_maker")],
        r"A statement has taken its trigger tviews_2_00_update_shop_card from TView shop\.Card\.",
    ),
    "dropping a TView by hand": Refusal(
        [migrations.RunSQL("DROP TABLE shop_card CASCADE")],
        r"A statement has taken its table from TView shop\.Card\.",
    ),
    "dropping a column of a TView by hand": Refusal(
        [migrations.RunSQL("ALTER TABLE shop_labelled DROP COLUMN n")],
        r"A statement has taken its column n from TView shop\.Labelled\.",
        label="shop.Labelled",
    ),
    "NULL by hand": Refusal(
        [migrations.RunSQL("ALTER TABLE shop_product ALTER name DROP NOT NULL")],
        r"shop\.Card: column 'name' is NOT NULL, but the query does not rule out NULL",
        ColumnMismatch,
    ),
    "a helper view that is no longer to be kept": Refusal(
        [
            migrations.RunSQL(
                "CREATE OR REPLACE VIEW shop_coded AS"
                " SELECT id, code FROM shop_product ORDER BY code LIMIT 3"
            )
        ],
        "shop.Shelf",
        TViewError,
        label="shop.Shelf",
    ),
    "DDL around the schema editor": Refusal(
        [
            migrations.RunPython(
                lambda _, editor: editor.connection.cursor().execute(
                    "ALTER TABLE shop_product DROP COLUMN stock CASCADE"
                )
            )
        ],
        r"A statement has taken its view shop_card_query from TView shop\.Card\.",
    ),
}


class TestWhatIsRefused:
    @pytest.mark.parametrize("refusal", REFUSED.values(), ids=REFUSED)
    def test_nothing_changes(self, shop: Shop, refusal: Refusal) -> None:
        before = shop.versions()
        with pytest.raises(refusal.error, match=refusal.words) as caught, transaction.atomic():
            shop.apply(*refusal.operations)
        assert refusal.hint.format(label=refusal.label) in caught.value.hint
        assert caught.value.tview == refusal.label
        assert shop.versions() == before
        shop.check("a refusal")


class TestOneMigration:
    def test_data_migrations_between_operations_find_tviews_exact(self, shop: Shop) -> None:
        seen = []

        def write(apps: Any, editor: Any) -> None:
            model = apps.get_model("shop", "Product")
            column = "title" if hasattr(model, "title") else "name"
            model.objects.create(**{column: f"p{len(seen)}", "price": 3, "code": f"c{len(seen)}"})
            model.objects.update(price=models.F("price") + 1)
            shop.ask(f"data migration {len(seen)}")
            # What is deferred would be in the way of the next ALTER TABLE, TView or not.
            shop.database.execute("SET CONSTRAINTS ALL IMMEDIATE")
            seen.append(column)

        shop.forwards(
            migrations.RunPython(write),
            migrations.RenameField("Product", "name", "title"),
            migrations.RunPython(write),
            alter("price", models.DecimalField(max_digits=12, decimal_places=3)),
            migrations.RunPython(write),
            migrations.AddField("Product", "colour", models.TextField(default="red")),
            migrations.RemoveField("Product", "note"),
            migrations.RunPython(write),
        )
        assert seen == ["name", "title", "title", "title"]

    def test_a_column_goes_once_the_tview_has_stopped_reading_it(self, shop: Shop) -> None:
        card = TVIEWS["Card"]
        shop.forwards(
            AlterTView(
                "Card",
                [each for each in card.fields if each[0] != "stock"],
                card.query.replace("p.stock, ", ""),
            ),
            migrations.RemoveField("Product", "stock"),
        )

    def test_a_column_may_be_null_once_the_tview_takes_it(self, shop: Shop) -> None:
        card = TVIEWS["Card"]
        nullable = [
            (name, text(null=True) if name == "name" else each) for name, each in card.fields
        ]
        shop.forwards(AlterTView("Card", nullable, card.query), alter("name", text(null=True)))
        shop.backwards()
        shop.backwards()

    def test_a_column_goes_once_the_tview_is_deleted(self, shop: Shop) -> None:
        shop.forwards(
            DeleteTView("Board"), DeleteTView("Card"), migrations.RemoveField("Product", "stock")
        )

    def test_a_tview_reads_a_column_that_has_just_come(self, shop: Shop) -> None:
        card = TVIEWS["Card"]
        shop.forwards(
            migrations.AddField("Product", "colour", models.TextField(default="red")),
            AlterTView(
                "Card",
                [*card.fields, ("colour", models.TextField())],
                card.query.replace("p.stock, ", "p.stock, p.colour, "),
            ),
            migrations.RenameField("Product", "colour", "paint"),
        )


RAW = {
    "a renamed column": "ALTER TABLE shop_product RENAME name TO title",
    "a renamed table": "ALTER TABLE shop_maker RENAME TO makers",
    "another helper view": "CREATE OR REPLACE VIEW shop_coded AS"
    " SELECT id, upper(code)::varchar(10) AS code FROM shop_product WHERE id % 2 = 0",
    "a helper view over another table": "CREATE OR REPLACE VIEW shop_coded AS"
    " SELECT id, left(text, 10)::varchar(10) AS code FROM shop_label",
    "a key less": "ALTER TABLE shop_label DROP CONSTRAINT shop_label_pkey CASCADE",
}


_FUNCTION = "CREATE OR REPLACE FUNCTION {} RETURNS integer IMMUTABLE LANGUAGE sql {}"

# What is there first, how the query uses it, and how that is changed.
BEHIND_A_CALL = {
    "a body in standard SQL": (
        _FUNCTION.format("f(integer)", "RETURN $1 * 2"),
        "f(n)",
        _FUNCTION.format("f(integer)", "RETURN $1 * 3"),
    ),
    "whether it is called for NULL": (
        _FUNCTION.format("f(integer)", "AS 'SELECT COALESCE($1, 7)'"),
        "f(NULLIF(n, 1))",
        "ALTER FUNCTION f(integer) STRICT",
    ),
    "an operator": (
        _FUNCTION.format("f(integer, integer)", "AS 'SELECT $1 * $2'")
        + "; CREATE OPERATOR ### (LEFTARG = integer, RIGHTARG = integer, FUNCTION = f)",
        "n ### 2",
        _FUNCTION.format("f(integer, integer)", "AS 'SELECT $1 - $2'"),
    ),
    "an aggregate": (
        _FUNCTION.format("f(integer, integer)", "AS 'SELECT $1 + $2'")
        + "; CREATE AGGREGATE total(integer) (SFUNC = f, STYPE = integer, INITCOND = '0')",
        "(SELECT total(s.n ORDER BY s.id) FROM t AS s WHERE s.id = t.id)",
        _FUNCTION.format("f(integer, integer)", "AS 'SELECT $1 - $2'"),
    ),
    "what an aggregate begins with": (
        _FUNCTION.format("f(integer, integer)", "AS 'SELECT $1 + $2'")
        + "; CREATE AGGREGATE total(integer) (SFUNC = f, STYPE = integer, INITCOND = '0')",
        "(SELECT total(s.n ORDER BY s.id) FROM t AS s WHERE s.id = t.id)",
        "CREATE OR REPLACE AGGREGATE total(integer) (SFUNC = f, STYPE = integer, INITCOND = '5')",
    ),
    "a function that it calls in standard SQL": (
        _FUNCTION.format("g(integer)", "RETURN $1 * 2")
        + "; "
        + _FUNCTION.format("f(integer)", "RETURN g($1) + 1"),
        "f(n)",
        _FUNCTION.format("g(integer)", "RETURN $1 * 3"),
    ),
}


class TestRawSQL:
    @pytest.mark.parametrize("statement", RAW.values(), ids=RAW)
    def test_what_it_changes_is_followed(self, shop: Shop, statement: str) -> None:
        shop.database.execute("INSERT INTO shop_label (text) VALUES ('a label')")
        shop.apply(migrations.RunSQL(statement))
        shop.ask(statement)
        for write in (
            "INSERT INTO shop_label (text) VALUES ('another')",
            "DELETE FROM shop_product_labels",
            "DELETE FROM shop_label WHERE id % 2 = 1",
            "DELETE FROM shop_product WHERE id % 2 = 1",
        ):
            shop.database.execute(write)
            shop.ask(f"{write} after {statement}")

    def test_a_function_that_the_query_calls(self, shop: Shop) -> None:
        database = shop.database
        create = (
            "CREATE OR REPLACE FUNCTION shout(text) RETURNS text IMMUTABLE LANGUAGE sql AS"
            " $$ SELECT {}($1) $$"
        )
        database.execute(create.format("upper"))
        shop.apply(
            CreateTView(
                "Loud",
                [ID, ("name", models.TextField(null=True))],
                "SELECT id, shout(name) AS name FROM shop_product",
            )
        )
        shop.apply(migrations.RunSQL(create.format("reverse")))
        shop.check("another function")

    @pytest.mark.parametrize("case", BEHIND_A_CALL.values(), ids=BEHIND_A_CALL)
    def test_what_is_behind_a_call(self, database: Database, case: tuple[str, str, str]) -> None:
        create, call, change = case
        database.execute("CREATE TABLE t (id integer PRIMARY KEY, n integer NOT NULL)")
        database.execute("INSERT INTO t VALUES (1, 1), (2, 5)")
        database.execute(create)
        tview = database.tview(f"SELECT id, {call} AS n FROM t", "id integer, n integer NULL")
        before = database.rows(tview)
        with database.connection.schema_editor() as editor:
            editor.execute(change, params=None)
        database.check(change)
        assert database.rows(tview) != before

    def test_a_partition_that_is_attached_or_detached(self, database: Database) -> None:
        database.execute("""
            CREATE TABLE sale (id integer NOT NULL, amount integer NOT NULL) PARTITION BY RANGE (id);
            CREATE TABLE sale_1 PARTITION OF sale FOR VALUES FROM (0) TO (10);
            CREATE TABLE sale_2 (id integer NOT NULL, amount integer NOT NULL);
            INSERT INTO sale VALUES (1, 5); INSERT INTO sale_2 VALUES (11, 7);
        """)
        database.tview(
            "SELECT amount, count(*) AS n FROM sale GROUP BY amount",
            "amount integer, n bigint",
            "amount",
        )
        for statement in (
            "ALTER TABLE sale ATTACH PARTITION sale_2 FOR VALUES FROM (10) TO (20)",
            "CREATE TABLE sale_3 PARTITION OF sale FOR VALUES FROM (20) TO (30)",
            "ALTER TABLE sale DETACH PARTITION sale_1",
        ):
            with database.connection.schema_editor() as editor:
                editor.execute(statement)
            database.check(statement)
            database.run("INSERT INTO sale VALUES (15, 7)", "TRUNCATE sale_2")


class TestWhenItIsNotOneTransaction:
    @pytest.fixture
    def books(self, database: Database) -> Database:
        """One table and one TView, in autocommit mode."""
        database.execute("""
            CREATE TABLE book (id integer PRIMARY KEY, title varchar(20) NOT NULL, pages integer);
            INSERT INTO book VALUES (1, 'The Waves', 200);
        """)
        database.tview(
            "SELECT id, title, pages FROM book",
            "id integer, title varchar(20), pages integer NULL",
            table="page",
        )
        return database

    def book(self, **fields: models.Field[Any, Any]) -> Any:
        columns = {
            "title": models.CharField(max_length=20),
            "pages": models.IntegerField(null=True),
        }
        state = model("books.Book", **{**columns, **fields}, options={"db_table": "book"})
        state.fields["id"] = models.IntegerField(primary_key=True)
        return project(state).apps.get_model("books", "Book")

    def alter(self, editor: Any, **new: models.Field[Any, Any]) -> None:
        ((name, _),) = new.items()
        before, after = self.book(), self.book(**new)
        editor.alter_field(before, before._meta.get_field(name), after._meta.get_field(name))

    def test_an_operation_is_all_or_nothing(self, books: Database) -> None:
        with books.connection.schema_editor(atomic=False) as editor:
            self.alter(editor, title=models.TextField())
            books.check("another type")
            with pytest.raises(ColumnMismatch):
                self.alter(editor, title=models.TextField(null=True))
            with pytest.raises(DependentColumn):
                editor.remove_field(self.book(), self.book()._meta.get_field("pages"))
            self.alter(editor, pages=models.IntegerField(default=1))
        books.run("INSERT INTO book VALUES (2, 'Orlando', 300)")
        assert books.value(
            "SELECT attnotnull FROM pg_attribute"
            " WHERE attrelid = 'book'::regclass AND attname = 'title'"
        )

    def test_indexes_are_made_concurrently(self, books: Database) -> None:
        index = models.Index(fields=["title"], name="book_title")
        with books.connection.schema_editor(atomic=False) as editor:
            editor.add_index(self.book(), index, concurrently=True)
            editor.remove_index(self.book(), index, concurrently=True)
        books.check("indexes")

    def test_a_raw_statement_stays_and_the_hint_says_how_to_mend_it(self, books: Database) -> None:
        with (
            pytest.raises(DependentColumn, match="its view page_query") as caught,
            books.connection.schema_editor(atomic=False) as editor,
        ):
            editor.execute("ALTER TABLE book DROP COLUMN pages CASCADE")
        assert "tview_sync tests.page" in caught.value.hint
        books.execute("ALTER TABLE book ADD COLUMN pages integer")
        sync("tests.page")
        books.execute("UPDATE book SET pages = 1")
        books.check("putting it back")

    def test_a_failed_statement_that_is_caught_does_not_blind_the_guard(
        self, books: Database
    ) -> None:
        with books.connection.schema_editor() as editor:
            for _ in range(2):
                with pytest.raises(DependentColumn), transaction.atomic():
                    editor.execute("ALTER TABLE book DROP COLUMN pages CASCADE")
            editor.execute("ALTER TABLE book RENAME title TO name")
        books.execute("UPDATE book SET name = 'Orlando'")
        assert books.value("SELECT title FROM page") == "Orlando"

    @pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
    def test_above_read_committed_names_are_followed_and_types_refused(
        self, books: Database, level: str
    ) -> None:
        books.execute(f"SET default_transaction_isolation = '{level}'")
        with books.connection.schema_editor() as editor:
            self.alter(editor, title=models.CharField(max_length=20, db_column="name"))
        books.execute("UPDATE book SET name = 'Orlando'")
        assert books.value("SELECT title FROM page") == "Orlando"
        with (
            pytest.raises(IsolationUnsupported, match=level),
            books.connection.schema_editor() as editor,
        ):
            self.alter(editor, pages=models.BigIntegerField(null=True))
        books.execute("RESET default_transaction_isolation")

    def test_a_writer_before_a_new_helper_view_is_not_lost(self, books: Database) -> None:
        books.execute("CREATE VIEW helper AS SELECT id, title FROM book")
        books.tview("SELECT id, title FROM helper", "id integer, title text", table="helped")
        other = books.connect()
        other.execute("BEGIN")
        other.execute("INSERT INTO book VALUES (2, 'Orlando', 300)")
        commit = threading.Timer(0.3, lambda: other.execute("COMMIT"))
        commit.start()
        with books.connection.schema_editor() as editor:
            editor.execute(
                "CREATE OR REPLACE VIEW helper AS SELECT id, upper(title)::varchar(20) AS title FROM book"
            )
        commit.join()
        books.check("a new helper view")

    def test_rights_on_the_view_survive_and_views_over_it_are_named(self, books: Database) -> None:
        role = books.create_role()
        books.execute(f"GRANT SELECT ON page_query TO {role}")
        with books.connection.schema_editor() as editor:
            self.alter(editor, title=models.TextField())
        assert books.value("SELECT has_table_privilege(%s, 'page_query', 'SELECT')", role)
        books.execute("CREATE VIEW report AS SELECT title FROM page_query")
        with (
            pytest.raises(DependentColumn, match=r"view \w+\.report reads page_query"),
            books.connection.schema_editor() as editor,
        ):
            self.alter(editor, title=models.CharField(max_length=30))

    def test_a_key_that_a_tview_groups_by_is_not_dropped(self, books: Database) -> None:
        books.tview(
            "SELECT b.id, b.title, count(*) AS n FROM book b GROUP BY b.id",
            "id integer, title text, n bigint",
            table="counted",
        )
        key = models.UniqueConstraint(fields=["id"], name="book_pkey")
        with (
            pytest.raises(DependentColumn, match=r"TView tests\.counted groups by it"),
            books.connection.schema_editor() as editor,
        ):
            editor.remove_constraint(self.book(), key)
        books.run("DELETE FROM book")

    def test_sqlmigrate_prints_how_a_view_is_lifted(self, books: Database) -> None:
        with books.connection.schema_editor(collect_sql=True) as editor:
            self.alter(editor, title=models.TextField())
            editor.remove_field(self.book(), self.book()._meta.get_field("pages"))
        assert [" ".join(sql.split()[:2]) for sql in editor.collected_sql if "SET" not in sql] == [
            "LOCK TABLE",
            f"SELECT set_config('django_tviews.{books.schema}_open',",
            "DROP VIEW",
            "ALTER TABLE",
            "CREATE VIEW",
            f"SELECT set_config('django_tviews.{books.schema}_open',",
            "INSERT INTO",
            "ALTER TABLE",
        ]
        books.check("nothing")


class TestComposing:
    def test_it_is_composed_once_with_whatever_is_there(self) -> None:
        class Theirs(BaseDatabaseSchemaEditor):
            pass

        ours = compose(Theirs)
        assert issubclass(ours, TViewSchemaEditor)
        assert issubclass(ours, Theirs)
        assert compose(Theirs) is ours
        assert compose(ours) is ours

        class Later(ours):  # type: ignore[misc, valid-type]
            pass

        assert compose(Later) is Later

    def test_every_postgresql_alias_has_it_in_every_thread(self) -> None:
        found = []
        threads = [
            threading.Thread(
                target=lambda alias=alias: found.append(connections[alias].SchemaEditorClass)
            )
            for alias in connections
        ]
        for thread in threads:
            thread.start()
            thread.join()
        assert all(issubclass(each, TViewSchemaEditor) for each in found)
        assert len(found) == len(list(connections))

    def test_another_database_is_left_alone(self) -> None:
        assert not issubclass(SQLite.SchemaEditorClass, TViewSchemaEditor)


class TestDeferredTViews:
    @pytest.fixture
    def books(self, database: Database) -> Database:
        """A table, a TView that is kept at COMMIT, and one over it that is kept at once."""
        database.execute("""
            CREATE TABLE book (id integer PRIMARY KEY, title varchar(20) NOT NULL, pages integer);
            INSERT INTO book VALUES (1, 'The Waves', 200), (2, 'Orlando', 300);
        """)
        database.tview(
            "SELECT title, sum(pages) AS pages FROM book GROUP BY title",
            "title varchar(20), pages bigint NULL",
            "title",
            table="page",
            mode="deferred",
        )
        return database

    @pytest.mark.parametrize(
        "statement",
        [
            "ALTER TABLE book RENAME title TO name",
            "ALTER TABLE book RENAME TO books",
            "ALTER TABLE book DROP CONSTRAINT book_pkey",
            "ALTER TABLE book ALTER pages SET NOT NULL",
        ],
    )
    def test_what_waits_for_commit_is_not_lost_to_ddl(
        self, books: Database, statement: str
    ) -> None:
        with books.connection.schema_editor() as editor:
            editor.execute("UPDATE book SET title = title || '!', pages = pages + 1")
            editor.execute("DELETE FROM book WHERE id = 2")
            editor.execute(statement)
            table = "books" if "books" in statement else "book"
            editor.execute(f"INSERT INTO {table} VALUES (3, 'Flush', 100)")
        rows = books.execute("SELECT title, pages FROM page ORDER BY title")
        assert rows == [("Flush", 100), ("The Waves!", 201)]

    def test_what_waits_for_commit_is_not_lost_to_a_new_type(self, books: Database) -> None:
        before, after = (
            project(
                model(
                    "books.Book",
                    title=title,
                    pages=models.IntegerField(null=True),
                    options={"db_table": "book"},
                )
            ).apps.get_model("books", "Book")
            for title in (models.CharField(max_length=20), models.CharField(max_length=15))
        )
        with books.connection.schema_editor() as editor:
            editor.execute("UPDATE book SET title = title || '!', pages = pages + 1")
            editor.alter_field(
                before, before._meta.get_field("title"), after._meta.get_field("title")
            )
            editor.execute("DELETE FROM book WHERE id = 2")
        books.check("another type")
        assert books.value("SELECT count(*) FROM page") == 1
