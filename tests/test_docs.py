"""What the documentation shows is what happens."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from .documents import DOCS, Reader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .harness import Database

# Pages that go on with the project of the tutorial; each starts where the tutorial ends.
PAGES = [
    "explanation/concurrency.md",
    "explanation/how_it_works.md",
    "how_to/backup_and_restore.md",
    "how_to/changing_a_query.md",
    "how_to/testing.md",
    "how_to/triggers.md",
]


def new_name() -> str:
    return f"library_{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def library(
    tmp_path_factory: pytest.TempPathFactory, server_url: str, server_programs: Path
) -> Iterator[Reader]:
    """Give a reader who has followed the tutorial."""
    directory = tmp_path_factory.mktemp("library")
    reader = Reader(directory, server_url, server_programs, new_name())
    try:
        reader.follow(DOCS / "tutorial.md")
        yield reader
    finally:
        reader.forget()


@pytest.fixture
def reader(library: Reader, tmp_path: Path) -> Iterator[Reader]:
    """Give the same, to do as they like."""
    copy = library.copy(tmp_path, new_name())
    try:
        yield copy
    finally:
        copy.forget()


@pytest.mark.parametrize("page", PAGES)
def test_a_reader_who_has_followed_the_tutorial_can_follow_the_page(
    reader: Reader, page: str
) -> None:
    reader.follow(DOCS / page)


def test_a_tview_whose_table_was_dropped_comes_back(reader: Reader) -> None:
    reader.type("psql library -c 'DROP TABLE books_bookpage CASCADE'")
    reader.follow(DOCS / "how_to" / "troubleshooting.md")
    reader.follow(DOCS / "how_to" / "changing_a_query.md")


def test_triggers_see_the_tview_as_the_page_about_triggers_says(database: Database) -> None:
    database.execute("CREATE TABLE book (id integer PRIMARY KEY, title text NOT NULL)")
    declaration = database.tview("SELECT id, title FROM book", "id integer, title text")
    database.execute(
        f"""
        CREATE TABLE seen (number serial, by_trigger text, rows bigint);
        CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO seen (by_trigger, rows)
            SELECT TG_NAME, (SELECT count(*) FROM {declaration.table});
            RETURN NEW;
        END $$;
        CREATE TRIGGER before_row BEFORE INSERT ON book FOR EACH ROW EXECUTE FUNCTION look();
        CREATE TRIGGER zz_row AFTER INSERT ON book FOR EACH ROW EXECUTE FUNCTION look();
        CREATE TRIGGER aa_notify AFTER INSERT ON book EXECUTE FUNCTION look();
        CREATE TRIGGER zz_notify AFTER INSERT ON book EXECUTE FUNCTION look();
        CREATE CONSTRAINT TRIGGER constraint_ AFTER INSERT ON book DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION look();
        """
    )
    database.run("INSERT INTO book VALUES (1, 'The Waves')")
    assert database.execute("SELECT by_trigger, rows FROM seen ORDER BY number") == [
        ("before_row", 0),
        ("zz_row", 0),
        ("aa_notify", 0),
        ("zz_notify", 1),
        ("constraint_", 1),
    ]
