"""What AlterTView keeps: rows, grants, whatever depends on the table, and everybody's peace.

Each change is made forwards and backwards, with writes in between, the oracle after each step, and
another session that reads the TView all the time.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from django.db import IntegrityError, models
from django.test import override_settings

from django_tviews import health
from django_tviews.errors import (
    DependentColumn,
    IsolationUnsupported,
    KeyNotUnique,
    LockTimeout,
)
from django_tviews.health import ProblemKind
from django_tviews.operations import AlterTView, CreateTView, DeleteTView, RenameTView

from .test_operations import ID, TITLE, Library, card

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.migrations.state import ProjectState

    from .harness import Database


@pytest.fixture
def library(database: Database) -> Library:
    """Two books and their author under a card, in committed tables."""
    library = Library()
    author = library.model("Author").objects.create(name="Lem")
    for title, pages in [("Solaris", 204), ("Fiasco", None), ("Eden", 202)]:
        library.model("Book").objects.create(title=title, pages=pages, author_id=author.pk)
    library.forwards(CreateTView(**card()))
    return library


GROUPED = "SELECT c.id, count(*) AS n FROM library_card c GROUP BY c.id"
PAGES = ("pages", models.IntegerField(null=True))
SAME = card()
UPPER = card("SELECT b.id, upper(b.title) AS title FROM library_book b")
NULLABLE = card("SELECT b.id, b.title, b.pages FROM library_book b", PAGES)
NOT_NULL = card(
    "SELECT b.id, b.title, coalesce(b.pages, 0) AS pages FROM library_book b",
    ("pages", models.IntegerField()),
)
DROPPED = {**card("SELECT b.id FROM library_book b"), "fields": [ID]}
NARROWER = {**card(), "fields": [ID, ("title", models.CharField(max_length=200))]}
RETYPED = {
    **card("SELECT b.id, length(b.title) AS title FROM library_book b"),
    "fields": [ID, ("title", models.BigIntegerField())],
}
REKEYED = {
    **card("SELECT b.id + 1000 AS number, b.title FROM library_book b"),
    "fields": [("number", models.BigIntegerField(primary_key=True)), TITLE],
}
KEYED_BY_TITLE = {
    **card(),
    "fields": [
        ("id", models.BigIntegerField()),
        ("title", models.TextField(primary_key=True)),
    ],
}
TWO_COLUMNS = {
    **card(),
    "fields": [
        ("pk", models.CompositePrimaryKey("title", "id")),
        ("id", models.BigIntegerField()),
        TITLE,
    ],
}
RENAMED = card(options={"db_table": "library_cards"})
RENAMED_AND_MORE = card(
    "SELECT b.id, b.title, b.pages FROM library_book b", PAGES, options={"db_table": "cards"}
)
REBUILT = card(allow_rebuild=True)
DEFERRED = card(mode="deferred")
OUTPUT = card("SELECT b.id, b.title AS label FROM library_book b", columns={"title": "label"})
INDEXED = card(options={"indexes": [models.Index(fields=["title"], name="library_by_title")]})
CONSTRAINED = card(
    options={
        "constraints": [
            models.CheckConstraint(condition=models.Q(id__gt=0), name="library_positive"),
            models.UniqueConstraint(
                fields=["title", "id"], name="library_title", deferrable=models.Deferrable.DEFERRED
            ),
        ]
    }
)

CHANGES = {
    "an expression": UPPER,
    "a nullable column more": NULLABLE,
    "a column more that is NOT NULL": NOT_NULL,
    "a column less": DROPPED,
    "a narrower type": NARROWER,
    "another type": RETYPED,
    "another key": REKEYED,
    "an old column as the key": KEYED_BY_TITLE,
    "a key of two columns": TWO_COLUMNS,
    "another table": RENAMED,
    "another table and a column": RENAMED_AND_MORE,
    "another option": REBUILT,
    "another mode": DEFERRED,
    "another output column": OUTPUT,
    "an index": INDEXED,
    "constraints": CONSTRAINED,
}

# What a change may take from what hangs on the table: PostgreSQL has no key without its columns.
WITHOUT_TITLE = ("a column less", "another type", "a narrower type")


def hang_things_on_it(database: Database, *, title: bool) -> None:
    """Give the card's table all that a TView's table may have besides what Django made."""
    role = database.create_role()
    columns = "id, title" if title else "ctid"
    database.execute(
        f"GRANT SELECT ON library_card TO {role};"
        "COMMENT ON TABLE library_card IS 'Of people.';"
        "CREATE INDEX library_own ON library_card ((1));"
        f"CREATE VIEW library_shelf AS SELECT {columns} FROM library_card;"
        f"GRANT SELECT ON library_card_query TO {role};"
        "ALTER TABLE library_card ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY everybody ON library_card FOR SELECT USING (true);"
        "ALTER TABLE library_card SET (fillfactor = 70);"
        f"CREATE PUBLICATION {database.schema} FOR TABLE library_card;"
    )


def things_on(database: Database, table: str, view: str) -> list[tuple[Any, ...]]:
    return database.execute(f"""
        SELECT 'oid', '{table}'::regclass::oid::text
        UNION ALL SELECT 'grants', relacl::text FROM pg_class WHERE oid = '{table}'::regclass
        UNION ALL SELECT 'grants', relacl::text FROM pg_class WHERE oid = '{view}'::regclass
        UNION ALL SELECT 'comment', obj_description('{table}'::regclass, 'pg_class')
        UNION ALL SELECT 'index', i.indexrelid::regclass::text FROM pg_index i
            WHERE i.indrelid = '{table}'::regclass AND i.indkey = '0'
        UNION ALL SELECT 'view', 'library_shelf'::regclass::oid::text
        UNION ALL SELECT 'policy', oid::text FROM pg_policy WHERE polrelid = '{table}'::regclass
        UNION ALL SELECT 'storage', reloptions::text FROM pg_class WHERE oid = '{table}'::regclass
        UNION ALL SELECT 'publication', prpubid::text
            FROM pg_publication_rel WHERE prrelid = '{table}'::regclass
        UNION ALL SELECT 'row security', relrowsecurity::text
            FROM pg_class WHERE oid = '{table}'::regclass
    """)


class Reader(threading.Thread):
    """Reads a TView all the time, in sessions of its own, and remembers what it has seen."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.session = database.connect()
        self.seen: set[tuple[Any, ...]] = set()
        self.stopped = threading.Event()
        self.tables = ("library_card", "library_cards", "cards")

    def run(self) -> None:
        while not self.stopped.is_set():
            for table in self.tables:
                try:
                    rows = self.session.execute(
                        f"SELECT to_jsonb(card) FROM {table} AS card ORDER BY 1"
                    ).fetchall()
                except psycopg.errors.UndefinedTable:
                    continue
                self.seen.add(tuple(str(row) for (row,) in rows))


@contextmanager
def reading(database: Database) -> Iterator[Reader]:
    reader = Reader(database)
    reader.start()
    try:
        yield reader
    finally:
        reader.stopped.set()
        reader.join()


def contents(library: Library) -> tuple[str, ...]:
    table = library.model("Card")._meta.db_table
    with library.connection.cursor() as cursor:
        cursor.execute(f"SELECT to_jsonb(card) FROM {table} AS card ORDER BY 1")
        return tuple(str(json.loads(row)) for (row,) in cursor.fetchall())


@pytest.mark.parametrize("name", CHANGES)
def test_what_hangs_on_the_table_survives_there_and_back(
    library: Library, database: Database, name: str
) -> None:
    hang_things_on_it(database, title=name not in WITHOUT_TITLE and "key" not in name)
    before = things_on(database, "library_card", "library_card_query")
    library.forwards(AlterTView(**CHANGES[name]))
    table = library.model("Card")._meta.db_table
    after = things_on(database, table, f"{table}_query")
    assert after == before
    library.backwards()
    assert things_on(database, "library_card", "library_card_query") == before
    database.execute(f"DROP PUBLICATION {database.schema}")


@pytest.mark.parametrize("name", CHANGES)
def test_others_see_the_old_contents_or_the_new_ones(
    library: Library, database: Database, name: str
) -> None:
    steps = [contents(library)]
    with reading(database) as reader, library.quiet():
        library.forwards(AlterTView(**CHANGES[name]))
        steps.append(contents(library))
        library.backwards()
        steps.append(contents(library))
    assert reader.seen
    assert reader.seen <= set(steps)


VERSIONS = "SELECT id, xmin::text FROM library_card ORDER BY id"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a nullable column more", 2),
        ("a column less", 0),
        # PostgreSQL itself writes them, to look at their lengths.
        ("a narrower type", 3),
        ("an old column as the key", 0),
        ("a key of two columns", 0),
        ("another option", 0),
        ("another output column", 0),
        ("an index", 0),
        ("constraints", 0),
    ],
)
def test_only_rows_that_differ_are_written(
    library: Library, database: Database, name: str, written: int
) -> None:
    before = database.execute(VERSIONS)
    with library.quiet():
        library.forwards(AlterTView(**CHANGES[name]))
    after = database.execute(VERSIONS)
    assert sum(old != new for old, new in zip(before, after, strict=True)) == written


def triggers(database: Database) -> set[tuple[Any, ...]]:
    return set(
        database.execute(
            "SELECT t.oid, t.tgrelid::regclass::text, t.tgname, t.xmin::text FROM pg_trigger t"
            " WHERE tgname LIKE 'tviews%%' AND tgrelid = 'library_book'::regclass"
        )
    )


@pytest.mark.parametrize("name", [name for name in CHANGES if "another table" not in name])
def test_no_trigger_on_a_source_is_made_again(
    library: Library, database: Database, name: str
) -> None:
    before = triggers(database)
    with library.quiet():
        library.forwards(AlterTView(**CHANGES[name]))
    assert triggers(database) >= before


@pytest.mark.parametrize("name", CHANGES)
def test_an_altered_tview_has_the_functions_of_a_new_one(
    library: Library, database: Database, name: str
) -> None:
    library.forwards(AlterTView(**CHANGES[name]))
    altered = generated(database)
    library.backwards()
    library.backwards()
    library.forwards(CreateTView(**CHANGES[name]))
    assert generated(database) == altered


@pytest.mark.parametrize("name", CHANGES)
def test_what_sqlmigrate_prints_does_the_same_by_hand(
    library: Library, database: Database, name: str
) -> None:
    operation = AlterTView(**CHANGES[name])
    before = generated(database)
    for_hand = printed(library, operation)
    library.forwards(operation)
    after, rows = generated(database), contents(library)
    back_by_hand = printed(library, operation, backwards=True)
    library.backwards()
    assert generated(database) == before
    database.execute(for_hand)
    assert generated(database) == after
    library.states.append(altered(library, operation))
    assert contents(library) == rows
    # Printed as well when the migration has been applied.
    library.states.pop()
    assert printed(library, operation) == for_hand
    database.execute(back_by_hand)
    assert generated(database) == before


def altered(library: Library, operation: Any) -> ProjectState:
    after = library.states[-1].clone()
    operation.state_forwards("library", after)
    return after


def printed(library: Library, operation: Any, *, backwards: bool = False) -> str:
    with library.connection.schema_editor(collect_sql=True) as editor:
        if backwards:
            operation.database_backwards("library", editor, *library.states[:-3:-1])
        else:
            states = (library.states[-1], altered(library, operation))
            operation.database_forwards("library", editor, *states)
    statements = "\n".join(editor.collected_sql)
    assert "rehears" not in statements
    return f"BEGIN;\n{statements}\nCOMMIT;"


def generated(database: Database) -> set[tuple[Any, ...]]:
    """Everything in the schema but physical order, by name."""
    return set(
        database.execute("""
            SELECT 'function', p.oid::regprocedure::text, prosrc, proconfig::text,
                obj_description(p.oid, 'pg_proc'), proacl::text
            FROM pg_proc p WHERE pronamespace = current_schema()::regnamespace
            UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid),
                NULL, tgenabled::text
            FROM pg_trigger WHERE tgname LIKE 'tviews%%'
            UNION ALL SELECT 'relation', relname, relkind::text, NULL,
                obj_description(oid, 'pg_class'),
                CASE relkind WHEN 'v' THEN pg_get_viewdef(oid)
                    WHEN 'i' THEN pg_get_indexdef(oid) END
            FROM pg_class WHERE relnamespace = current_schema()::regnamespace
                AND relname NOT LIKE '%%\\_pkey'
            UNION ALL SELECT 'column', attrelid::regclass::text, attname,
                format_type(atttypid, atttypmod), attnotnull::text, NULL
            FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
            WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
                AND attnum > 0 AND NOT attisdropped
            UNION ALL SELECT 'constraint', conrelid::regclass::text, contype::text,
                pg_get_constraintdef(oid), NULL, NULL
            FROM pg_constraint WHERE connamespace = current_schema()::regnamespace
                AND contype <> 'n'
            UNION ALL SELECT 'registry', label, declaration::text, depth::text, drain, fingerprint
            FROM django_tviews_registry
        """)
    )


def numeric(places: int) -> models.DecimalField:
    return models.DecimalField(max_digits=places + 8, decimal_places=places)


class TestReaders:
    """TViews over the one that changes."""

    @pytest.fixture
    def read(self, library: Library) -> Library:
        library.forwards(
            CreateTView(
                "Titles",
                [("title", models.TextField(primary_key=True)), ("n", models.IntegerField())],
                "SELECT c.title, count(*) AS n FROM library_card c GROUP BY c.title",
            )
        )
        return library

    @pytest.mark.parametrize(
        "name",
        [
            "an expression",
            "a nullable column more",
            "a column more that is NOT NULL",
            "a narrower type",
            "another key",
            "an old column as the key",
            "a key of two columns",
            "another option",
            "another output column",
            "constraints",
        ],
    )
    def test_they_follow_there_and_back(self, read: Library, database: Database, name: str) -> None:
        orphaned = {ProblemKind.ORPHANED, ProblemKind.NOT_INSTALLED}
        for step in (partial(read.forwards, AlterTView(**CHANGES[name])), read.backwards):
            step()
            assert not [each for each in health.check() if each.kind not in orphaned]

    def test_they_follow_values_that_postgresql_converts(
        self, library: Library, database: Database
    ) -> None:
        half = "SELECT b.id, b.title, b.id / 8.0 AS part FROM library_book b"
        library.forwards(AlterTView(**card(half, ("part", numeric(4)))))
        library.forwards(
            CreateTView(
                "Parts", [ID, ("part", numeric(4))], "SELECT c.id, c.part FROM library_card c"
            )
        )
        role = database.create_role()
        database.execute(f"GRANT SELECT ON library_parts_query TO {role}")
        granted = "SELECT relacl::text FROM pg_class WHERE relname = 'library_parts_query'"
        before = database.value(granted)
        library.forwards(AlterTView(**card(half, ("part", numeric(1)))))
        library.backwards()
        assert database.value(granted) == before

    @pytest.mark.parametrize("query", ["SELECT c.id FROM library_card c", GROUPED])
    def test_they_follow_a_key_whose_column_is_made_anew(
        self, library: Library, database: Database, query: str
    ) -> None:
        fields = [ID] if query != GROUPED else [ID, ("n", models.IntegerField())]
        library.forwards(CreateTView("Ids", fields, query))
        library.forwards(CreateTView("Over", [ID], "SELECT i.id FROM library_ids i"))
        narrower = {
            **card("SELECT b.id::integer AS id, b.title FROM library_book b"),
            "fields": [("id", models.IntegerField(primary_key=True)), TITLE],
        }
        library.forwards(AlterTView(**narrower))
        library.backwards()
        assert not database.value(
            """SELECT count(*) FROM django_tviews_registry WHERE declaration -> 'columns' @> '[{"nullable": true}]'"""
        )

    def test_one_that_goes_takes_nothing_from_what_it_has_read(
        self, library: Library, database: Database
    ) -> None:
        before = generated(database)
        library.forwards(CreateTView("Ids", [ID], "SELECT c.id FROM library_card c"))
        library.forwards(DeleteTView("Ids"))
        assert generated(database) == before

    def test_a_column_that_one_reads_does_not_go(self, read: Library, database: Database) -> None:
        before = generated(database), contents(read)
        with pytest.raises(DependentColumn, match="title"):
            read.forwards(AlterTView(**DROPPED))
        assert (generated(database), contents(read)) == before
        read.check()


class TestRefusals:
    @pytest.mark.parametrize(
        "change", [DROPPED, NARROWER, RETYPED], ids=["drop", "alter", "replace"]
    )
    def test_a_view_of_somebody_else_keeps_its_column(
        self, library: Library, database: Database, change: dict[str, Any]
    ) -> None:
        database.execute("CREATE VIEW shelf AS SELECT title FROM library_card")
        before = generated(database), contents(library)
        with pytest.raises(DependentColumn, match="shelf") as raised:
            library.forwards(AlterTView(**change))
        assert "CASCADE" not in str(raised.value)
        assert (generated(database), contents(library)) == before

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            (
                {**KEYED_BY_TITLE, "query": "SELECT b.id, 'same' AS title FROM library_book b"},
                KeyNotUnique,
            ),
            (
                {**KEYED_BY_TITLE, "query": "SELECT b.id, 'Solaris' AS title FROM library_book b"},
                KeyNotUnique,
            ),
            (
                card(
                    options={
                        "constraints": [
                            models.CheckConstraint(condition=models.Q(id__lt=0), name="negative")
                        ]
                    }
                ),
                IntegrityError,
            ),
        ],
        ids=["a key that is not one", "a key of which a row stays", "a constraint"],
    )
    def test_what_the_rows_break_is_not_changed(
        self, library: Library, database: Database, change: dict[str, Any], error: type[Exception]
    ) -> None:
        before = generated(database), contents(library)
        with pytest.raises(error):
            library.forwards(AlterTView(**change))
        assert (generated(database), contents(library)) == before
        library.check()

    def test_a_snapshot_that_may_be_older_than_a_write_is_refused(
        self, library: Library, database: Database
    ) -> None:
        database.execute("SET default_transaction_isolation = 'repeatable read'")
        with pytest.raises(IsolationUnsupported):
            library.forwards(AlterTView(**UPPER))


class TestBesideOthers:
    def test_a_writer_is_waited_for_again_and_again(
        self, library: Library, database: Database
    ) -> None:
        writer = database.connect()
        writer.execute("BEGIN")
        writer.execute("INSERT INTO library_book (title, author_id) VALUES ('Fiasko', 1)")
        before = generated(database)
        with (
            override_settings(DJANGO_TVIEWS={"LOCK_TIMEOUT": "100ms", "LOCK_RETRIES": 1}),
            pytest.raises(LockTimeout),
            library.quiet(),
        ):
            library.forwards(AlterTView(**UPPER))
        assert generated(database) == before
        done = threading.Timer(0.3, writer.execute, ["COMMIT"])
        done.start()
        with override_settings(DJANGO_TVIEWS={"LOCK_TIMEOUT": "100ms", "LOCK_RETRIES": 9}):
            library.forwards(AlterTView(**UPPER))
        done.join()
        assert "FIASKO" in str(contents(library))

    def test_between_two_attempts_writers_go_on(self, library: Library, database: Database) -> None:
        reader, writer = database.connect(), database.connect()
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM library_card")
        writer.execute("SET lock_timeout = '5s'")
        with override_settings(DJANGO_TVIEWS={"LOCK_TIMEOUT": "300ms", "LOCK_RETRIES": 3}):
            other = threading.Thread(
                target=writer.execute,
                args=["INSERT INTO library_book (title, author_id) VALUES ('Eden 2', 1)"],
            )
            other.start()
            with library.quiet(), pytest.raises(LockTimeout):
                library.forwards(AlterTView(**NULLABLE))
            other.join()
        library.check()

    def test_an_older_snapshot_goes_on_seeing_the_old_rows(
        self, library: Library, database: Database
    ) -> None:
        older = database.connect()
        older.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        read = "SELECT id, title FROM library_card ORDER BY id"
        before = older.execute(read).fetchall()
        with library.quiet():
            library.forwards(AlterTView(**UPPER))
        assert older.execute(read).fetchall() == before
        older.execute("COMMIT")
        assert older.execute(read).fetchall() != before

    def test_an_older_transaction_that_writes_has_to_try_again(
        self, library: Library, database: Database
    ) -> None:
        older = database.connect()
        older.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        older.execute("SELECT count(*) FROM library_card")
        with library.quiet():
            library.forwards(AlterTView(**UPPER))
        with pytest.raises(psycopg.errors.SerializationFailure):
            older.execute("UPDATE library_book SET title = 'x'")


def test_checks_that_writes_before_have_put_off_are_no_obstacle(
    library: Library, database: Database
) -> None:
    database.execute(
        "ALTER TABLE library_book ADD FOREIGN KEY (author_id) REFERENCES library_author"
        " DEFERRABLE INITIALLY DEFERRED"
    )
    for operation in (AlterTView(**RENAMED), AlterTView(**KEYED_BY_TITLE), DeleteTView("Card")):
        with database.transaction():
            database.execute("UPDATE library_book SET author_id = author_id, title = title || '!'")
            library.forwards(operation)


def test_a_renamed_tview_is_the_same_table_under_another_name(
    library: Library, database: Database
) -> None:
    hang_things_on_it(database, title=True)
    before, made = things_on(database, "library_card", "library_card_query"), generated(database)
    versions = database.execute(VERSIONS)
    library.forwards(RenameTView("Card", "Index"))
    assert things_on(database, "library_index", "library_index_query") == before
    assert database.execute(VERSIONS.replace("card", "index")) == versions
    assert not database.execute("SELECT 1 FROM pg_proc WHERE proname LIKE 'tviews_library_card%%'")
    library.backwards()
    assert generated(database) == made
    database.execute(f"DROP PUBLICATION {database.schema}")
