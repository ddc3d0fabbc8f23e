"""Migrations of tables that TViews read: the TViews stay exact, or nothing changes at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from django.db import migrations, models, transaction

from django_tviews import installer
from django_tviews.errors import (
    ColumnMismatch,
    DependentColumn,
    TViewError,
)
from django_tviews.operations import CreateTView, DeleteTView

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
        ],
        "SELECT p.id, p.name, p.price, p.stock, m.name AS maker_name FROM shop_product p "
        "LEFT JOIN shop_maker m ON m.id = p.maker_id",
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

    def apply(self, *operations: Operation, atomic: bool = True) -> None:
        """Apply the operations of one migration, and ask the oracle."""
        before, states = self.states[-1], []
        with self.database.connection.schema_editor(atomic=atomic) as editor:
            for operation in operations:
                after = before.clone()
                operation.state_forwards("shop", after)
                operation.database_forwards("shop", editor, before, after)
                states.append(after)
                before = after
        self.states += states
        self.operations += operations

    def forwards(self, *operations: Operation, atomic: bool = True) -> None:
        """Apply the operations of one migration, write, and ask the oracle."""
        self.apply(*operations, atomic=atomic)
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
        for tview in installer.installed(connection):
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
        [migrations.RunSQL("DROP TRIGGER tviews_2_00_shop_card_update ON shop_maker")],
        r"A statement has taken its trigger tviews_2_00_shop_card_update from TView shop\.Card\.",
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
    @pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "not atomic"])
    def test_nothing_changes(self, shop: Shop, refusal: Refusal, atomic: bool) -> None:
        before = shop.versions()
        with pytest.raises(refusal.error, match=refusal.words) as caught, transaction.atomic():
            shop.apply(*refusal.operations, atomic=atomic)
        assert refusal.hint.format(label=refusal.label) in caught.value.hint
        assert caught.value.tview == refusal.label
        assert shop.versions() == before
        shop.check("a refusal")
