"""The migration operations: what they leave in state and database, and how they are written."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, connections, migrations, models, transaction
from django.db.backends.sqlite3.base import DatabaseWrapper as SQLite
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.migrations.optimizer import MigrationOptimizer
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.writer import MigrationWriter
from hypothesis import given, settings
from hypothesis import strategies as st

from django_tviews import TView
from django_tviews.definition import Declaration, Maintenance
from django_tviews.errors import DependentColumn, MetadataNotFound
from django_tviews.operations import AlterTView, CreateTView, DeleteTView, RenameTView
from django_tviews.relational.canonical import same_query
from django_tviews.state import TViewState

from .histories import History, built_in_steps, model, project, read_back
from .oracle import assert_equals_query
from .test_autodetector import COLUMNS, LOOSE, RENAMED, states

if TYPE_CHECKING:
    from collections.abc import Iterator

ID = ("id", models.BigIntegerField(primary_key=True))


def create(
    name: str = "Card", query: str = "SELECT b.id FROM shop_book b", **more: Any
) -> CreateTView:
    return CreateTView(**({"name": name, "fields": [ID], "query": query} | more))


def alter(query: str = "SELECT b.id + 0 AS id FROM shop_book b", **more: Any) -> AlterTView:
    return AlterTView(**({"name": "Card", "fields": [ID], "query": query} | more))


class SetsTriggers(Operation):
    """What the operation of another package does in the state."""

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return (type(self).__name__, [], {})

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        state.models[app_label, "card"].options["triggers"] = ["protect"]


class TestState:
    def test_a_created_tview_keeps_its_definition_through_clones_and_models(self) -> None:
        state = ProjectState()
        operation = create(allow_rebuild=True, columns={"id": "one"}, options={"db_table": "cards"})
        operation.state_forwards("shop", state)
        for each in (state, state.clone(), state.clone().clone()):
            tview_state = each.models["shop", "card"]
            assert isinstance(tview_state, TViewState)
            assert tview_state.query == operation.query
            assert tview_state.maintenance == Maintenance("immediate", True, {"id": "one"})
            assert tview_state == state.models["shop", "card"]
            rendered = each.apps.get_model("shop", "Card")
            assert issubclass(rendered, TView)
            assert rendered._meta.db_table == "cards"
            assert Declaration.from_model(rendered).allow_rebuild

    def test_another_query_or_option_is_another_state(self) -> None:
        def state(**more: Any) -> ModelState:
            return create(**more).state("shop")

        assert state() == state()
        assert state() != state(query="SELECT 2 AS id")
        assert state() != state(allow_rebuild=True)
        assert state() != ModelState("shop", "Card", [ID])

    def test_an_altered_tview_is_replaced_and_what_points_to_it_still_does(self) -> None:
        state = project(model("shop.Wish", card=models.ForeignKey("shop.Card", models.DO_NOTHING)))
        create().state_forwards("shop", state)
        assert ("shop", "wish") in state.relations["shop", "card"]
        old = state.apps.get_model("shop", "Card")
        fields = [ID, ("name", models.TextField())]
        alter(fields=fields).state_forwards("shop", state)
        new = state.apps.get_model("shop", "Card")
        assert [field.name for field in new._meta.fields] == ["id", "name"]
        assert [field.name for field in old._meta.fields] == ["id"]
        assert state.apps.get_model("shop", "Wish")._meta.get_field("card").related_model is new
        assert ("shop", "wish") in state.relations["shop", "card"]

    def test_what_other_packages_have_set_stays(self) -> None:
        history = History()
        book, card = model("shop.Book"), create().state("shop")
        history.go_to(project(book, card))
        history.write("shop", SetsTriggers())
        assert history.detect(project(book, card)) == []
        history.go_to(project(book, alter().state("shop")))
        assert history.state.models["shop", "card"].options["triggers"] == ["protect"]

    def test_a_deleted_tview_is_gone(self) -> None:
        state = ProjectState()
        create().state_forwards("shop", state)
        DeleteTView("Card").state_forwards("shop", state)
        assert not state.models


class TestWords:
    @pytest.mark.parametrize(
        ("operation", "description", "fragment", "category"),
        [
            (create(), "Create TView Card", "card", OperationCategory.ADDITION),
            (alter(), "Alter TView Card", "alter_card", OperationCategory.ALTERATION),
            (DeleteTView("Card"), "Delete TView Card", "delete_card", OperationCategory.REMOVAL),
        ],
    )
    def test_an_operation_says_what_it_does(
        self, operation: Operation, description: str, fragment: str, category: OperationCategory
    ) -> None:
        assert operation.describe() == description
        assert operation.migration_name_fragment == fragment
        assert operation.category is category


QUERIES = [
    "SELECT b.id FROM shop_book b",
    "SELECT 'a\n\n   b' AS id",
    "SELECT 'a\\b' AS id",
    "SELECT E'tab\\tnewline\\n' AS id",
    'SELECT \'"""\' AS id',
    'SELECT \'ends with a quote"\' AS "id"',
    "SELECT '100%' AS id, b.x LIKE '%s' AS y FROM shop_book b",
    "SELECT 'line\u2028separator' AS id, 'form\ffeed' AS b",
    "SELECT '{}' AS id, $$dollar$$ AS d",
    'SELECT 1 AS "Straße ""x"""',
]


class TestWriting:
    @pytest.mark.parametrize("query", QUERIES)
    def test_a_query_is_read_back_as_it_was_and_written_the_same_again(self, query: str) -> None:
        migration = Migration("0001_initial", "shop")
        migration.operations = [create(query=query), alter(query=query)]
        once = read_back(migration)
        for operation in once.operations:
            assert same_query(operation.query, query)
        text = MigrationWriter(once, include_header=False).as_string()
        again = MigrationWriter(read_back(once), include_header=False).as_string()
        assert again == text

    def test_people_can_read_the_query(self) -> None:
        migration = Migration("0001_initial", "shop")
        migration.operations = [
            create(
                query="SELECT b.id, count(*) AS n FROM shop_book b GROUP BY b.id",
                reads=["shop.Book"],
            )
        ]
        assert '''            query="""
                SELECT b.id,
                       count(*) AS n
                FROM shop_book b
                GROUP BY b.id
            """,
            reads=[
                'shop.Book',
            ],
''' in MigrationWriter(migration).as_string()

    def test_only_what_differs_from_the_default_is_written(self) -> None:
        assert set(create().deconstruct()[2]) == {"name", "fields", "query"}
        more = {
            "options": {"db_table": "cards"},
            "bases": (Mixin, TView),
            "managers": [("objects", models.Manager())],
            "allow_rebuild": True,
            "columns": {"id": "one"},
            "reads": ["shop.Book"],
        }
        name, arguments, keywords = create(**more).deconstruct()
        assert (name, arguments) == ("CreateTView", [])
        assert {key: keywords[key] for key in more} == more


class Mixin:
    """A base that is no model."""


class TestReducing:
    READS = {"reads": ["shop.Book"]}

    def optimized(self, *operations: Operation) -> list[Operation]:
        return MigrationOptimizer().optimize(list(operations), "shop")

    def test_created_and_altered_is_created_so(self) -> None:
        (found,) = self.optimized(create(**self.READS), alter(allow_rebuild=True))
        assert type(found) is CreateTView
        assert found.query == alter().query
        assert found.maintenance.allow_rebuild

    def test_created_and_deleted_is_nothing(self) -> None:
        assert self.optimized(create(), DeleteTView("Card")) == []
        assert self.optimized(create(), alter(), DeleteTView("Card")) == []

    def test_of_two_alterations_the_later_one_stays(self) -> None:
        last = alter("SELECT 3 AS id")
        assert self.optimized(alter(), last) == [last]
        deletion = DeleteTView("Card")
        assert self.optimized(alter(), deletion) == [deletion]

    @pytest.mark.parametrize(
        "operation",
        [
            migrations.AddField("Card", "name", models.TextField()),
            migrations.AlterField("Card", "id", models.IntegerField(primary_key=True)),
            migrations.AddIndex("Card", models.Index(fields=["id"], name="card_id")),
            migrations.AlterModelOptions("Card", {"verbose_name": "x"}),
            migrations.AlterModelTable("Card", "cards"),
            migrations.AlterModelManagers("Card", [("all", models.Manager())]),
            migrations.RenameModel("Card", "Index"),
        ],
        ids=lambda operation: type(operation).__name__,
    )
    def test_what_django_merges_stays_a_tview(self, operation: Operation) -> None:
        created = create(allow_rebuild=True, **self.READS)
        (found,) = self.optimized(created, operation)
        assert type(found) is CreateTView
        assert found.query == created.query
        assert found.maintenance == created.maintenance
        assert found.reads == created.reads
        by_hand, merged = ProjectState(), ProjectState()
        created.state_forwards("shop", by_hand)
        operation.state_forwards("shop", by_hand)
        found.state_forwards("shop", merged)
        assert by_hand.models == merged.models

    def test_a_model_is_not_renamed_before_what_points_to_it_under_its_old_name(self) -> None:
        pointing = ("product", models.ForeignKey("shop.Product", models.DO_NOTHING))
        operations = [
            create(fields=[ID, pointing], **self.READS),
            migrations.RenameModel("Product", "Item"),
            RenameTView("Card", "Sheet"),
        ]
        optimized = self.optimized(*operations)
        by_steps, merged = (project(model("shop.Product")) for _ in range(2))
        for step in operations:
            step.state_forwards("shop", by_steps)
        for step in optimized:
            step.state_forwards("shop", merged)
        assert merged.models == by_steps.models

    def test_a_renamed_field_is_not_merged(self) -> None:
        operations = [create(**self.READS), migrations.RenameField("Card", "id", "key")]
        assert self.optimized(*operations) == operations

    def test_nothing_passes_that_touches_what_is_read(self) -> None:
        book = migrations.CreateModel("Book", [("id", models.BigAutoField(primary_key=True))])
        price = migrations.AddField("Book", "price", models.IntegerField(null=True))
        for between in (
            create(**self.READS),
            alter(**self.READS),
            create(),
            alter(),
            DeleteTView("Card"),
        ):
            assert self.optimized(book, between, price) == [book, between, price]

    def test_what_touches_other_models_passes(self) -> None:
        other = migrations.CreateModel("Other", [("id", models.BigAutoField(primary_key=True))])
        name = migrations.AddField("Other", "name", models.TextField())
        between = create(**self.READS)
        found = self.optimized(other, between, name)
        assert [type(operation) for operation in found] == [CreateTView, migrations.CreateModel]
        assert self.optimized(between, other, alter(**self.READS))[-1].name == "Card"
        assert len(self.optimized(between, other, alter(**self.READS))) == 2

    def test_it_references_what_it_reads_points_to_and_is(self) -> None:
        fields = [ID, ("author", models.ForeignKey("shop.Author", models.DO_NOTHING))]
        operation = create(fields=fields, reads=["shop.Book", "catalog.Product"])
        for name, app_label in [
            ("card", "shop"),
            ("Book", "shop"),
            ("product", "catalog"),
            ("Author", "shop"),
        ]:
            assert operation.references_model(name, app_label)
        assert not operation.references_model("Book", "catalog")
        assert not operation.references_model("Other", "shop")
        assert create().references_model("Other", "shop")


def in_one_app(state: ModelState) -> ModelState:
    """Move a model of a random project to the app "all"."""
    moved = state.clone()
    moved.app_label = "all"
    moved.name = f"{state.app_label}{state.name}".replace("_", "")
    for name, field in state.fields.items():
        if field.many_to_one:
            target = str(field.related_model).replace("_", "").replace(".", "")
            moved.fields[name] = models.ForeignKey(f"all.{target}", **LOOSE, null=True)
    if isinstance(moved, TViewState):
        for app_label in ("m_base", "z_base", "a_view", "n_view", "z_view"):
            prefix = f"all_{app_label.replace('_', '')}"
            moved.query = moved.query.replace(f"{app_label}_", prefix)
    return moved


@settings(deadline=None, max_examples=30)
@given(
    steps=st.lists(
        st.tuples(states(), st.sets(st.sampled_from([*COLUMNS, *RENAMED]))), min_size=2, max_size=4
    ),
    applied=st.integers(0, 3),
)
def test_squashing_gives_the_same_project_and_every_step_of_it_works(
    steps: list[tuple[tuple[ModelState, ...], set[str]]], applied: int
) -> None:
    history = History()
    start = ProjectState()
    operations: list[Operation] = []
    for number, (step, renames) in enumerate(steps):
        if number == applied % len(steps):
            start, operations = history.state, []
        for migration in history.go_to(project(*map(in_one_app, step)), renames):
            operations += migration.operations
    squashed = MigrationOptimizer().optimize(operations, "all")
    by_steps = built_in_steps(start, operations, "all")
    assert built_in_steps(start, squashed, "all").models == by_steps.models


BOOKS = project(
    model(
        "library.Book",
        title=models.TextField(),
        pages=models.IntegerField(null=True),
        author=models.ForeignKey("library.Author", models.CASCADE, db_constraint=False),
    ),
    model("library.Author", name=models.TextField()),
)

BY_BOOK = "SELECT b.id, b.title FROM library_book b"
TITLE = ("title", models.TextField())


class Library:
    """An app that migrates step by step in a database."""

    def __init__(self, alias: str = "default") -> None:
        self.connection = connections[alias]
        self.states = [BOOKS.clone()]
        self.operations: list[Operation] = []
        self.writes = True
        with self.connection.schema_editor() as editor:
            for name in ("Author", "Book"):
                editor.create_model(self.model(name))

    def model(self, name: str) -> type[models.Model]:
        return self.states[-1].apps.get_model("library", name)

    def forwards(self, operation: Operation) -> None:
        before = self.states[-1]
        after = before.clone()
        operation.state_forwards("library", after)
        with self.connection.schema_editor() as editor:
            operation.database_forwards("library", editor, before, after)
        self.states.append(after)
        self.operations.append(operation)
        self.check()

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Leave out the writes around each step."""
        self.writes = False
        yield
        self.writes = True

    def backwards(self) -> None:
        operation, after = self.operations.pop(), self.states.pop()
        with self.connection.schema_editor() as editor:
            operation.database_backwards("library", editor, after, self.states[-1])
        self.check()

    def declarations(self) -> list[Declaration]:
        return [
            Declaration.from_model(self.states[-1].apps.get_model(*key))
            for key, state in self.states[-1].models.items()
            if isinstance(state, TViewState)
        ]

    def check(self) -> None:
        """Write to the sources, and compare every TView with its query before and after."""
        for declaration in self.declarations():
            assert_equals_query(self.connection, declaration)
        if not self.writes:
            return
        author = self.model("Author").objects.create(name="Le Guin")
        books = self.model("Book").objects
        book = books.create(title="The Dispossessed", pages=341, author_id=author.pk)
        books.filter(pk=book.pk).update(title="An Ambiguous Utopia")
        for declaration in self.declarations():
            assert_equals_query(self.connection, declaration)
        books.filter(pk=book.pk).delete()
        for declaration in self.declarations():
            assert_equals_query(self.connection, declaration)

    def rows(self, name: str = "Card") -> list[dict[str, Any]]:
        return list(self.model(name).objects.order_by("pk").values())

    def relations(self) -> set[str]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT relname FROM pg_class"
                " WHERE relname LIKE 'library_%' AND relkind IN ('r', 'v')"
            )
            return {name for (name,) in cursor.fetchall()}


@pytest.fixture
def library(db: None) -> Library:
    library = Library()
    author = library.model("Author").objects.create(name="Lem")
    for title, pages in [("Solaris", 204), ("Fiasco", 322)]:
        library.model("Book").objects.create(title=title, pages=pages, author_id=author.pk)
    return library


def card(
    query: str = BY_BOOK, *more: tuple[str, models.Field[Any, Any]], **options: Any
) -> dict[str, Any]:
    return {"name": "Card", "query": query, "fields": [ID, TITLE, *more], **options}


class TestInADatabase:
    def test_creating_fills_the_table_and_going_back_leaves_nothing(self, library: Library) -> None:
        before = library.relations()
        library.forwards(CreateTView(**card()))
        assert [row["title"] for row in library.rows()] == ["Solaris", "Fiasco"]
        assert library.relations() - before == {"library_card", "library_card_query"}
        library.backwards()
        assert library.relations() == before

    def test_deleting_leaves_nothing_and_going_back_fills_the_table(self, library: Library) -> None:
        before = library.relations()
        library.forwards(CreateTView(**card()))
        rows = library.rows()
        library.forwards(DeleteTView("Card"))
        assert library.relations() == before
        library.backwards()
        assert library.rows() == rows

    @pytest.mark.parametrize(
        "changed",
        [
            card("SELECT b.id, upper(b.title) AS title FROM library_book b"),
            card(
                "SELECT b.id, b.title, b.pages FROM library_book b",
                ("pages", models.IntegerField(null=True)),
            ),
            card(
                "SELECT b.id, b.title, coalesce(b.pages, 0) AS pages FROM library_book b",
                ("pages", models.IntegerField()),
            ),
            card(
                "SELECT b.id, b.title, a.name FROM library_book b"
                " JOIN library_author a ON a.id = b.author_id",
                ("name", models.TextField()),
                options={"indexes": [models.Index(fields=["name"], name="library_by_name")]},
            ),
            {**card("SELECT b.id FROM library_book b"), "fields": [ID]},
            {
                **card("SELECT b.id, length(b.title) AS title FROM library_book b"),
                "fields": [ID, ("title", models.IntegerField())],
            },
            {
                **card("SELECT b.title, b.id AS number FROM library_book b"),
                "fields": [
                    ("title", models.TextField(primary_key=True)),
                    ("number", models.BigIntegerField()),
                ],
            },
            card(options={"db_table": "library_cards"}),
            card(options={"db_table_comment": "By Django."}),
            card(
                columns={"title": "label"},
                query="SELECT b.id, b.title AS label FROM library_book b",
            ),
            card(
                options={
                    "constraints": [
                        models.CheckConstraint(
                            condition=models.Q(id__gt=0), name="library_positive"
                        ),
                        models.UniqueConstraint(
                            fields=["title"],
                            name="library_title",
                            deferrable=models.Deferrable.DEFERRED,
                        ),
                    ]
                }
            ),
        ],
        ids=[
            "query",
            "a column that may be NULL",
            "a column NOT NULL",
            "a join and an index",
            "a column less",
            "another type",
            "another key",
            "another table",
            "a comment",
            "an output column",
            "constraints",
        ],
    )
    def test_altering_works_there_and_back(self, library: Library, changed: dict[str, Any]) -> None:
        library.forwards(CreateTView(**card()))
        before, relations = library.rows(), library.relations()
        library.forwards(AlterTView(**changed))
        library.backwards()
        assert library.rows() == before
        assert library.relations() == relations
        library.backwards()

    def test_an_index_more_touches_no_row_and_no_trigger(self, library: Library) -> None:
        library.forwards(CreateTView(**card()))
        with connection.cursor() as cursor:
            cursor.execute("SELECT xmin::text, ctid::text FROM library_card ORDER BY id")
            before = cursor.fetchall()
        indexes = [models.Index(fields=["title"], name="library_title")]
        after_creation = library.states[-1]
        operation = AlterTView(**card(options={"indexes": indexes}))
        altered = after_creation.clone()
        operation.state_forwards("library", altered)
        with connection.schema_editor(collect_sql=True) as editor:
            operation.database_forwards("library", editor, after_creation, altered)
        (statement,) = editor.collected_sql
        assert statement.startswith('CREATE INDEX "library_title"')
        with connection.cursor() as cursor:
            cursor.execute("SELECT xmin::text, ctid::text FROM library_card ORDER BY id")
            assert cursor.fetchall() == before

    def test_grants_survive_an_alteration(self, library: Library) -> None:
        library.forwards(CreateTView(**card()))
        with connection.cursor() as cursor:
            cursor.execute("GRANT SELECT ON library_card TO PUBLIC")
            library.forwards(
                AlterTView(
                    **card(
                        "SELECT b.id, b.title, coalesce(b.pages, 0) AS pages FROM library_book b",
                        ("pages", models.IntegerField()),
                    )
                )
            )
            cursor.execute(
                "SELECT relacl::text LIKE '%=r/%' FROM pg_class WHERE relname = 'library_card'"
            )
            assert cursor.fetchone() == (True,)

    def test_what_another_tview_reads_is_not_deleted(self, library: Library) -> None:
        library.forwards(CreateTView(**card()))
        library.forwards(
            CreateTView(
                "Titles",
                [("title", models.TextField(primary_key=True)), ("n", models.IntegerField())],
                "SELECT c.title, count(*) AS n FROM library_card c GROUP BY c.title",
            )
        )
        with (
            pytest.raises(DependentColumn, match=r"library\.Titles reads it"),
            transaction.atomic(),
        ):
            library.forwards(DeleteTView("Card"))
        library.forwards(
            AlterTView(**card("SELECT b.id, lower(b.title) AS title FROM library_book b"))
        )
        assert [row["title"] for row in library.rows("Titles")] == ["fiasco", "solaris"]

    def test_altering_what_is_not_installed_is_an_error(self, library: Library) -> None:
        create = CreateTView(**card())
        before = library.states[-1].clone()
        create.state_forwards("library", before)
        alter = AlterTView(**card("SELECT b.id, upper(b.title) AS title FROM library_book b"))
        after = before.clone()
        alter.state_forwards("library", after)
        with (
            pytest.raises(MetadataNotFound),
            transaction.atomic(),
            connection.schema_editor() as editor,
        ):
            alter.database_forwards("library", editor, before, after)


class Elsewhere:
    """A router that keeps the library out of a database."""

    def allow_migrate(self, db: str, app_label: str, **_: Any) -> bool | None:
        return False if app_label == "library" else None


class Untouched:
    """A schema editor that must not be asked for anything."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


def every_operation_in_every_direction(editor: Any) -> None:
    for operation in (
        CreateTView(**card()),
        AlterTView(**card("SELECT b.id, upper(b.title) AS title FROM library_book b")),
        DeleteTView("Card"),
    ):
        before, after = BOOKS.clone(), BOOKS.clone()
        if not isinstance(operation, CreateTView):
            CreateTView(**card()).state_forwards("library", before)
        if not isinstance(operation, DeleteTView):
            CreateTView(**card()).state_forwards("library", after)
        operation.database_forwards("library", editor, before, after)
        operation.database_backwards("library", editor, after, before)


def test_nothing_happens_where_a_router_says_no(settings: Any) -> None:
    settings.DATABASE_ROUTERS = [Elsewhere()]
    every_operation_in_every_direction(Untouched(connection))


def test_nothing_happens_in_a_database_that_is_not_postgresql() -> None:
    sqlite = SQLite({**connection.settings_dict, "NAME": ":memory:", "OPTIONS": {}}, "sqlite")
    every_operation_in_every_direction(Untouched(sqlite))
