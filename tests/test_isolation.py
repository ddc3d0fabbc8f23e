"""tview_check --isolation: what transactions really get, who says so, and what goes past TViews."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from django.core.checks import Tags, run_checks
from django.db import connections
from psycopg import IsolationLevel

from django_tviews import catalog
from django_tviews.health import ProblemKind
from django_tviews.isolation import Saying, isolation, startup_settings

from .harness import ALIAS
from .test_commands import answer, call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_tviews.isolation import IsolationReport, Setting

    from .harness import Database

LEVEL = "default_transaction_isolation"


@pytest.fixture
def shop(database: Database) -> Iterator[Database]:
    """A TView of each mode; what the test sets for the database and the role is reset after it."""
    database.execute("CREATE TABLE maker (id integer PRIMARY KEY)")
    database.execute("CREATE TABLE product (id integer PRIMARY KEY, name text NOT NULL)")
    database.tview("SELECT id, name FROM product", "id integer, name text", table="card")
    database.tview(
        "SELECT p.id, (SELECT count(*) FROM maker) AS makers FROM product p",
        "id integer, makers bigint",
        table="share",
        mode="deferred",
        allow_rebuild=True,
    )
    yield database
    name = database.connection.settings_dict["NAME"]
    database.execute(f"ALTER DATABASE {name} RESET ALL")
    database.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {name} RESET ALL")


def say(database: Database, whose: str, setting: str) -> None:
    """Set something for new connections: ``DATABASE`` or ``ROLE … IN DATABASE``."""
    name = database.connection.settings_dict["NAME"]
    database.execute(f"ALTER {whose} {name} SET {setting}")


@contextmanager
def connected(database: Database, **options: Any) -> Iterator[None]:
    """Connect again, with other OPTIONS; the schema is found as before."""
    connection = database.connection
    connection.close()
    path = f"-c search_path={database.schema},public"
    options["options"] = f"{path} {options.get('options', '')}".strip()
    usual = connection.settings_dict["OPTIONS"]
    connection.settings_dict["OPTIONS"] = options
    try:
        yield
    finally:
        connection.settings_dict["OPTIONS"] = usual
        connection.close()
        database.execute(f"SET search_path = {database.schema}, public")


def found(report: IsolationReport, name: str = LEVEL) -> Setting:
    (setting,) = [setting for setting in report.settings if setting.name == name]
    return setting


def test_without_any_settings_the_server_decides(shop: Database) -> None:
    report = isolation()
    assert (report.in_transactions, report.in_autocommit) == ("read committed", "read committed")
    assert found(report).said == (Saying("server", "read committed"),)
    assert {promise.label: str(promise) for promise in report.promises} == {
        "tests.card": "exact after each statement",
        "tests.share": f"exact at COMMIT; writers of {shop.schema}.maker one at a time",
    }
    assert report.problems == ()
    assert "waits for another one" in report.notes[0]


def test_each_place_that_says_something_is_named_and_the_last_is_in_force(shop: Database) -> None:
    say(shop, "DATABASE", f"{LEVEL} = 'repeatable read'")
    name = shop.connection.settings_dict["NAME"]
    role = shop.value("SELECT current_user")
    with connected(shop):
        assert found(isolation()).said == (Saying(f"database {name}", "repeatable read"),)
    say(shop, "ROLE CURRENT_USER IN DATABASE", f"{LEVEL} = serializable")
    with connected(shop):
        report = isolation()
        assert found(report).said[1:] == (
            Saying(f"role {role} in database {name}", "serializable"),
        )
        assert report.in_transactions == found(report).in_force == "serializable"
    with connected(shop, options=rf"-c {LEVEL}=read\ committed"):
        report = isolation()
        assert found(report).said[2:] == (Saying('Django, OPTIONS["options"]', "read committed"),)
        assert report.in_transactions == "read committed"


def test_the_level_that_django_asks_for_holds_in_transactions_only(shop: Database) -> None:
    with connected(shop, isolation_level=IsolationLevel.SERIALIZABLE):
        report = isolation()
        assert report.asked == report.in_transactions == "serializable"
        assert report.in_autocommit == "read committed"
        assert 'in transactions    SERIALIZABLE  (Django, OPTIONS["isolation_level"])' in str(
            report
        )
        assert any("Refused with 25001" in note for note in report.notes)
        (share,) = isolation("tests.share").promises
        assert share.when == "exact at COMMIT, which may fail with 40001"
        assert report.problems == ()


def test_what_was_set_after_the_connection_began_is_noticed(shop: Database) -> None:
    with connected(shop, options=f"-c {LEVEL}=serializable"):
        assert not found(isolation()).dropped
        shop.execute(f"SET {LEVEL} = 'read committed'")
        report = isolation()
        assert found(report).dropped
        assert any("not what Django has asked for" in note for note in report.notes)


def test_a_pooler_is_recognised_by_the_process_that_answers(
    shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not any("pooler" in note for note in isolation().notes)
    other = replace(catalog.server(shop.connection), process=1)
    monkeypatch.setattr(catalog, "server", lambda _: other)
    assert any("pooler" in note for note in isolation().notes)


def test_what_else_matters_is_noted(shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(shop.connection.settings_dict, "ATOMIC_REQUESTS", True)
    standby = replace(catalog.server(shop.connection), in_recovery=True)
    monkeypatch.setattr(catalog, "server", lambda _: standby)
    notes = " ".join(isolation().notes)
    assert "ATOMIC_REQUESTS is on" in notes
    assert "standby" in notes


def test_a_replica_role_goes_past_triggers_whoever_has_it(shop: Database) -> None:
    shop.execute("SET session_replication_role = replica")
    (problem,) = isolation().problems
    assert problem.kind is ProblemKind.BYPASSED
    assert "replica on this connection" in problem.message
    shop.execute("RESET session_replication_role")
    other = shop.create_role()
    say(shop, f"ROLE {other} IN DATABASE", "session_replication_role = replica")
    (problem,) = isolation().problems
    assert f"for role {other} in database" in problem.message
    shop.execute(problem.hint.partition(";")[0])
    assert isolation().problems == ()
    say(shop, "DATABASE", "session_replication_role = replica")
    (problem,) = isolation().problems
    shop.execute(problem.hint.partition(";")[0])
    assert isolation().problems == ()


def test_a_subscription_that_writes_to_a_source_goes_past_triggers(shop: Database) -> None:
    with shop.rolled_back():
        shop.execute(
            "CREATE SUBSCRIPTION s CONNECTION 'dbname=nowhere' PUBLICATION p"
            " WITH (connect = false, slot_name = NONE)"
        )
        subscribe = (
            "INSERT INTO pg_subscription_rel (srsubid, srrelid, srsubstate)"
            " SELECT oid, %s::regclass, 'r' FROM pg_subscription WHERE subname = 's'"
        )
        shop.execute(subscribe, "product")
        card, share = isolation().problems
        assert (card.label, share.label) == ("tests.card", "tests.share")
        assert f"the subscription s writes to {shop.schema}.product" in card.message
        assert isolation("tests.card").problems == (card,)
        # Where the TView comes with its sources, nothing has to be kept.
        shop.execute(subscribe, "card")
        assert isolation().problems == (share,)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"version_number": 140010, "version": "14.10"}, "too old"),
        ({"lock_table": 200}, "room for"),
    ],
)
def test_a_server_that_cannot_do_it_is_a_problem(
    shop: Database, monkeypatch: pytest.MonkeyPatch, what: dict[str, Any], message: str
) -> None:
    changed = replace(catalog.server(shop.connection), **what)
    monkeypatch.setattr(catalog, "server", lambda _: changed)
    (problem,) = isolation().problems
    assert problem.kind is ProblemKind.UNSUPPORTED
    assert message in problem.message


def test_a_tview_that_cannot_be_planned_promises_nothing(shop: Database) -> None:
    shop.execute("DROP VIEW card_query")
    (card,) = isolation("tests.card").promises
    assert str(card).startswith("nothing: The view card_query of tests.card is gone.")


def test_the_command_ends_with_1_only_if_something_goes_past_tviews(shop: Database) -> None:
    out, _ = call("tview_check", "--isolation")
    assert out.startswith('Database "default": PostgreSQL ')
    assert "\ndefault_transaction_isolation = read committed  (server)\n" in out
    assert "\ntests.card   exact after each statement\n" in out
    shop.execute("SET session_replication_role = replica")
    parsed = answer("tview_check", "--isolation", code=1)
    assert parsed["database"] == ALIAS
    assert parsed["problems"][0]["kind"] == "bypassed"


def test_w003_is_asked_for_databases_only(shop: Database) -> None:
    shop.execute("SET session_replication_role = replica")
    assert run_checks() == []
    (reported,) = run_checks(tags=[Tags.database], databases=[ALIAS])
    assert reported.id == "django_tviews.W003"
    assert reported.msg.startswith('Database "default": session_replication_role is replica')
    shop.execute("RESET session_replication_role")
    assert run_checks(tags=[Tags.database], databases=[ALIAS]) == []
    assert connections[ALIAS].vendor == "postgresql"


@pytest.mark.parametrize(
    ("options", "read"),
    [
        ("-c lock_timeout=3s", {"lock_timeout": "3s"}),
        ("-clock_timeout=3s --Lock-Timeout=4s", {"lock_timeout": "4s"}),
        (r"-c a.b=one\ two  -c c=", {"a.b": "one two", "c": ""}),
        ("-E", {}),
    ],
)
def test_startup_options_are_read_as_the_server_reads_them(
    options: str, read: dict[str, str]
) -> None:
    assert startup_settings(options) == read
