"""What the documentation shows is what happens."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import uuid
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, cast

import pytest

import django_tviews
from django_tviews import testing
from django_tviews.sql.shared import LOCK_LIMIT, LOCK_SLOTS

from .documents import DOCS, ROOT, Reader, anchors, blocks, links

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .harness import Database

# Pages that go on with the project of the tutorial; each starts where the tutorial ends.
PAGES = [
    "explanation/concurrency.md",
    "explanation/how_it_works.md",
    "how_to/backup_and_restore.md",
    "how_to/changing_a_query.md",
    "how_to/changing_models_that_tviews_read.md",
    "how_to/deploying.md",
    "how_to/from_sql.md",
    "how_to/retrying.md",
    "how_to/testing.md",
    "how_to/triggers.md",
    "reference/api.md",
    "reference/testing.md",
]

DOCUMENTS = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])


def new_name() -> str:
    return f"library_{uuid.uuid4().hex[:8]}"


@pytest.fixture
def library(tmp_path: Path, server_url: str, server_programs: Path) -> Iterator[Reader]:
    """Give a reader who has followed the tutorial."""
    directory = tmp_path / "library"
    directory.mkdir()
    reader = Reader(directory, server_url, server_programs, new_name())
    try:
        reader.follow(DOCS / "tutorial.md")
        yield reader
    finally:
        reader.forget()


# One test, since each of these begins with the tutorial, which takes longest.
def test_a_reader_can_follow_the_tutorial_and_then_each_page(
    library: Reader, tmp_path: Path
) -> None:
    for page in PAGES:
        with library.copied(tmp_path / page.replace("/", "_"), new_name()) as reader:
            reader.follow(DOCS / page)
    with library.copied(tmp_path / "dropped", new_name()) as reader:
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


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_inside_the_documentation_leads_somewhere(document: Path) -> None:
    for target in links(document):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        linked = (document.parent / path).resolve() if path else document
        assert linked.is_file(), f"{target} in {document.name}"
        assert not anchor or anchor in anchors(linked), f"{target} in {document.name}"


def test_the_index_leads_to_every_page() -> None:
    index = DOCS / "index.md"
    linked = {(DOCS / target).resolve() for target in links(index)}
    assert set(DOCS.rglob("*.md")) - {index} <= linked


def test_the_page_about_concurrency_names_the_numbers_as_they_are() -> None:
    page = (DOCS / "explanation" / "concurrency.md").read_text()
    assert f"more than {LOCK_LIMIT} locks" in page
    assert f"{LOCK_SLOTS:,} locks for each place" in page


class TestTheReferenceOfTheAPI:
    API = DOCS / "reference" / "api.md"
    TESTING = DOCS / "reference" / "testing.md"

    def test_it_has_every_public_name(self) -> None:
        for page, module in ((self.API, django_tviews), (self.TESTING, testing)):
            text = page.read_text()
            assert [name for name in module.__all__ if name not in text] == []

    @pytest.mark.parametrize("page", [API, TESTING], ids=lambda page: page.name)
    def test_every_signature_is_that_of_the_code(self, page: Path) -> None:
        signatures = [block for block in blocks(page) if "module" in block.attributes]
        assert signatures
        for block in signatures:
            module = import_module(block.attributes["module"])
            for shown in ast.parse(block.text).body:
                compare_definition(shown, module, str(block))


def compare_definition(shown: ast.stmt, where: object, place: str) -> None:
    """Compare a function or class as a document shows it with the one in a module or class."""
    assert isinstance(shown, ast.FunctionDef | ast.ClassDef), place
    real = inspect.getattr_static(where, shown.name)
    place = f"{shown.name} in {place}"
    if isinstance(shown, ast.ClassDef):
        for part in shown.body:
            if isinstance(part, ast.FunctionDef):
                compare_definition(part, real, place)
        attributes = [part for part in shown.body if isinstance(part, ast.AnnAssign)]
        if dataclasses.is_dataclass(real):
            assert [ast.unparse(each.target) for each in attributes] == [
                each.name for each in dataclasses.fields(real)
            ], place
            assert [ast.unparse(each.annotation) for each in attributes] == [
                each.type for each in dataclasses.fields(real)
            ], place
        return
    if isinstance(real, property):
        real = real.fget
    elif isinstance(real, cached_property):
        real = real.func
    expected = inspect.signature(real)
    namespace: dict[str, object] = {}
    exec(f"from __future__ import annotations\n{ast.unparse(without_decorators(shown))}", namespace)
    given = inspect.signature(cast("Callable[..., object]", namespace[shown.name]))
    assert str(given) == str(expected), place


def without_decorators(function: ast.FunctionDef) -> ast.FunctionDef:
    function.decorator_list = []
    return function
