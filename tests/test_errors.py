from __future__ import annotations

import pickle
import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, Error, IntegrityError, connection, transaction

from django_tviews import errors
from django_tviews.errors import (
    CascadeDepthExceeded,
    ConfigurationError,
    Deadlock,
    KeyNotUnique,
    KeyNull,
    LockTimeout,
    RefreshFailed,
    SerializationConflict,
    TViewError,
    TViewReadOnly,
    UnsupportedQuery,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE = Path(__file__).parent.parent / "docs" / "reference" / "errors.md"

CLASSES: list[type[TViewError]] = [TViewError, *TViewError.__subclasses__()]


class TestTheHierarchy:
    def test_every_error_is_exported(self) -> None:
        assert {error.__name__ for error in CLASSES} == set(errors.__all__)

    @pytest.mark.parametrize("error", CLASSES)
    def test_every_error_has_a_sqlstate_and_explains_itself(self, error: type[TViewError]) -> None:
        assert re.fullmatch(r"[0-9A-Z]{5}", error.sqlstate)
        assert error.__doc__

    def test_the_anchor_is_the_class_name_with_hyphens(self) -> None:
        assert TViewError.anchor == "tview-error"
        assert TViewReadOnly.anchor == "tview-read-only"
        assert errors.InvalidTViewName.anchor == "invalid-tview-name"
        assert errors.OutdatedTView.anchor == "outdated-tview"
        assert errors.CircularDependency.anchor == "circular-dependency"

    def test_str_is_the_message_and_the_hint_on_a_line_of_its_own(self) -> None:
        assert str(TViewError("It broke.")) == "It broke."
        assert str(TViewError("It broke.", hint="Mend it.")) == "It broke.\nHINT: Mend it."

    def test_an_error_survives_pickling_with_everything_it_says(self) -> None:
        error = UnsupportedQuery(
            "No.", hint="Yes.", tview="shop.ProductCard", construct="now()", position=7
        )
        copied = pickle.loads(pickle.dumps(error))
        assert type(copied) is UnsupportedQuery
        assert str(copied) == "No.\nHINT: Yes."
        assert copied.tview == "shop.ProductCard"
        assert copied.context == {"construct": "now()", "position": 7}

    def test_a_configuration_error_is_one_to_django_too(self) -> None:
        assert issubclass(ConfigurationError, ImproperlyConfigured)


class TestTheReference:
    def sections(self) -> dict[str, tuple[str, str]]:
        found = re.findall(
            r'^<a id="([\w-]+)"></a>\n### (\w+)\n(.*?)(?=^<a id|^## |\Z)',
            REFERENCE.read_text(),
            re.MULTILINE | re.DOTALL,
        )
        return {name: (anchor, text) for anchor, name, text in found}

    def test_every_error_has_one_section_and_every_section_is_an_error(self) -> None:
        assert [(name, anchor) for name, (anchor, _) in self.sections().items()] == [
            (error.__name__, error.anchor) for error in CLASSES
        ]

    @pytest.mark.parametrize("error", CLASSES)
    def test_a_section_says_when_shows_an_example_and_says_what_to_do(
        self, error: type[TViewError]
    ) -> None:
        _, text = self.sections()[error.__name__]
        parts = re.findall(r"^\*\*(.+?)\.\*\*", text, re.MULTILINE)
        assert parts == ["When", "Example", "What to do"]

    @pytest.mark.parametrize("error", TViewError.__subclasses__())
    def test_a_section_and_the_list_name_the_sqlstate(self, error: type[TViewError]) -> None:
        _, text = self.sections()[error.__name__]
        assert text.lstrip().startswith(f"SQLSTATE `{error.sqlstate}`")
        entry = f"| [{error.__name__}](#{error.anchor}) | {error.sqlstate} |"
        assert entry in REFERENCE.read_text()


def caught(statement: str) -> BaseException:
    """Return what Django raises for a statement, undoing what the statement did."""
    with pytest.raises(Error) as failure, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    return failure.value


@pytest.fixture
def maintained(db: None) -> Iterator[None]:
    """A table, and functions that stand for ours and for the project's own."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE TABLE errors_card (id integer PRIMARY KEY, name varchar(3) NOT NULL);
            INSERT INTO errors_card VALUES (1, 'one');
            CREATE FUNCTION "tviews_run card"(statement text) RETURNS void
                LANGUAGE plpgsql AS 'BEGIN EXECUTE statement; END';
            CREATE FUNCTION project_run(statement text) RETURNS void
                LANGUAGE plpgsql AS 'BEGIN EXECUTE statement; END';
            CREATE FUNCTION django_tviews_raise(state text) RETURNS void LANGUAGE plpgsql AS $$
            BEGIN
                RAISE 'ours says %', state USING
                    ERRCODE = state, SCHEMA = 'public', TABLE = 'errors_card', COLUMN = 'name',
                    HINT = 'Do this.', DETAIL = 'A detail.';
            END $$;
            CREATE FUNCTION project_raise(state text) RETURNS void LANGUAGE plpgsql AS $$
            BEGIN
                RAISE 'the project says %', state USING ERRCODE = state;
            END $$;
            """
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DROP FUNCTION "tviews_run card";
            DROP FUNCTION project_run;
            DROP FUNCTION django_tviews_raise;
            DROP FUNCTION project_raise;
            DROP TABLE errors_card;
            """
        )


def from_statement(statement: str) -> TViewError | None:
    return TViewError.from_database_error(caught(statement))


def in_maintenance(statement: str) -> TViewError | None:
    quoted = statement.replace("'", "''")
    return from_statement(f"SELECT \"tviews_run card\"('{quoted}')")


@pytest.mark.usefixtures("maintained")
class TestErrorsOfTheDatabase:
    def test_what_a_function_of_ours_raises_arrives_with_all_its_fields(self) -> None:
        exc = caught("SELECT django_tviews_raise('42809')")
        error = TViewError.from_database_error(exc)
        assert type(error) is TViewReadOnly
        assert error.message == "ours says 42809"
        assert error.hint == "Do this."
        assert error.__cause__ is exc
        where = error.context.pop("where")
        assert "django_tviews_raise" in str(where)
        assert error.context == {
            "sqlstate": "42809",
            "schema": "public",
            "table": "errors_card",
            "column": "name",
            "detail": "A detail.",
        }

    @pytest.mark.parametrize(
        ("sqlstate", "expected"),
        [
            ("54001", CascadeDepthExceeded),
            ("55000", errors.OutdatedTView),
            ("58000", RefreshFailed),
            ("21000", KeyNotUnique),
            ("23502", KeyNull),
            ("42704", errors.MetadataNotFound),
            ("XX000", errors.CatalogError),
            ("P0001", RefreshFailed),
        ],
    )
    def test_the_sqlstate_of_our_function_chooses_the_class(
        self, sqlstate: str, expected: type[TViewError]
    ) -> None:
        assert type(from_statement(f"SELECT django_tviews_raise('{sqlstate}')")) is expected

    def test_the_sqlstate_of_a_function_of_the_project_is_not_ours(self) -> None:
        assert from_statement("SELECT project_raise('42809')") is None
        assert from_statement("SELECT project_run('SELECT 1/0')") is None

    def test_a_function_of_the_project_that_raises_inside_ours_is_a_failed_refresh(self) -> None:
        error = in_maintenance("SELECT project_raise('42809')")
        assert type(error) is RefreshFailed
        assert error.context["sqlstate"] == "42809"

    def test_our_guard_is_recognised_below_a_function_of_the_project(self) -> None:
        error = from_statement("SELECT project_run('SELECT django_tviews_raise(''42809'')')")
        assert type(error) is TViewReadOnly

    def test_a_unique_violation_is_ours_only_inside_our_functions(self) -> None:
        insert = "INSERT INTO errors_card VALUES (1, 'uno')"
        assert from_statement(insert) is None
        error = in_maintenance(insert)
        assert type(error) is KeyNotUnique
        assert error.context["constraint"] == "errors_card_pkey"
        assert error.context["table"] == "errors_card"
        assert "deferrable" in error.hint

    def test_two_rows_from_a_scalar_subquery_are_a_failed_refresh(self) -> None:
        error = in_maintenance("SELECT (SELECT n FROM generate_series(1, 2) AS n)")
        assert type(error) is RefreshFailed
        assert error.context["sqlstate"] == "21000"

    def test_null_in_a_column_that_forbids_it_names_the_column(self) -> None:
        error = in_maintenance("INSERT INTO errors_card VALUES (2, NULL)")
        assert type(error) is KeyNull
        assert error.context["column"] == "name"

    @pytest.mark.parametrize(
        ("statement", "sqlstate"),
        [
            ("SELECT 1/0", "22012"),
            ("UPDATE errors_card SET name = 'three'", "22001"),
            ("SELECT nothing FROM errors_card", "42703"),
        ],
    )
    def test_any_other_error_inside_our_functions_is_a_failed_refresh(
        self, statement: str, sqlstate: str
    ) -> None:
        assert from_statement(statement) is None
        error = in_maintenance(statement)
        assert type(error) is RefreshFailed
        assert error.context["sqlstate"] == sqlstate
        assert isinstance(error.__cause__, DatabaseError)

    @pytest.mark.parametrize(
        ("sqlstate", "expected"),
        [("40P01", Deadlock), ("40001", SerializationConflict), ("55P03", LockTimeout)],
    )
    def test_errors_to_try_again_after_are_recognised_whoever_caused_them(
        self, sqlstate: str, expected: type[TViewError]
    ) -> None:
        error = from_statement(f"SELECT project_raise('{sqlstate}')")
        assert type(error) is expected
        assert error.hint == expected.advice

    def test_the_driver_s_own_exception_will_do(self) -> None:
        driver = caught("SELECT django_tviews_raise('42809')").__cause__
        assert driver is not None
        assert type(TViewError.from_database_error(driver)) is TViewReadOnly


@pytest.mark.django_db(transaction=True)
def test_an_error_at_commit_is_recognised() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE TABLE errors_ticket (id integer);
            CREATE FUNCTION django_tviews_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE 'at commit' USING ERRCODE = '55000', TABLE = 'errors_ticket';
            END $$;
            CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON errors_ticket
                DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION django_tviews_at_commit();
            """
        )
    try:
        with pytest.raises(Error) as failure, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("INSERT INTO errors_ticket VALUES (1)")
        error = TViewError.from_database_error(failure.value)
        assert type(error) is errors.OutdatedTView
        assert error.message == "at commit"
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE errors_ticket; DROP FUNCTION django_tviews_at_commit")


def test_the_language_of_the_server_makes_no_difference() -> None:
    exc = Error("FEHLER")
    exc.__cause__ = driver = Exception("FEHLER")
    vars(driver)["diag"] = SimpleNamespace(
        sqlstate="22012",
        message_primary="Division durch Null",
        source_function="int4div",
        context=(
            "PL/pgSQL-Funktion shop.django_tviews_maintain() Zeile 3 bei EXECUTE\n"
            "SQL-Anweisung »DELETE FROM shop_review«"
        ),
    )
    error = TViewError.from_database_error(exc)
    assert type(error) is RefreshFailed
    assert error.message == "Division durch Null"


def test_exceptions_that_are_no_database_errors_are_none() -> None:
    assert TViewError.from_database_error(ValueError("no")) is None
    assert TViewError.from_database_error(IntegrityError("no driver behind it")) is None


def test_an_error_of_ours_is_returned_as_it_is_wherever_it_is_in_the_chain() -> None:
    ours = TViewReadOnly("No.")
    assert TViewError.from_database_error(ours) is ours
    outer = RuntimeError("outer")
    outer.__cause__ = ours
    assert TViewError.from_database_error(outer) is ours


def test_a_chain_of_causes_that_bites_its_tail_ends() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert TViewError.from_database_error(first) is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("table", "label"),
    [("testapp_productcard", "testapp.ProductCard"), ("django_content_type", None)],
)
def test_the_label_is_that_of_the_tview_whose_table_is_named(table: str, label: str | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            CREATE FUNCTION django_tviews_guard() RETURNS void LANGUAGE plpgsql AS $$
            BEGIN
                RAISE 'no' USING ERRCODE = '42809', TABLE = '{table}';
            END $$;
            """
        )
    error = from_statement("SELECT django_tviews_guard()")
    assert error is not None
    assert error.tview == label
