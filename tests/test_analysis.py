"""``tview_explain --analyze``: a statement is run and taken back, and its time is accounted for."""

from __future__ import annotations

import json
from io import StringIO
from itertools import chain
from typing import TYPE_CHECKING

import pytest
from django.core.management import CommandError, call_command

from django_tviews import health
from django_tviews.analysis import Analysis, _Heard, _steps, analyze
from django_tviews.errors import InvalidQuery

from .harness import database  # noqa: F401

if TYPE_CHECKING:
    from pathlib import Path

    from .harness import Database


@pytest.fixture
def blog(database: Database) -> Database:  # noqa: F811
    """Posts with comments that no index leads to, a TView over both, and one over that."""
    database.execute(
        "CREATE TABLE post (id integer PRIMARY KEY, title text NOT NULL);"
        "CREATE TABLE comment (id integer PRIMARY KEY, post_id integer);"
        "INSERT INTO post SELECT n, 'post ' || n FROM generate_series(1, 30) AS n;"
        "INSERT INTO comment SELECT n, 1 + n % 30 FROM generate_series(1, 9000) AS n"
    )
    database.tview(
        "SELECT p.id, p.title, (SELECT count(*) FROM comment c WHERE c.post_id = p.id) AS n"
        " FROM post p",
        "id integer, title text, n bigint",
        table="card",
    )
    database.tview(
        "SELECT n, count(*) AS cards FROM card GROUP BY n", "n bigint, cards bigint", "n"
    )
    return database


def one(sql: str) -> Analysis:
    [analysis] = analyze(sql)
    return analysis


def called(*arguments: str) -> str:
    out = StringIO()
    call_command("tview_explain", *arguments, stdout=out)
    return out.getvalue()


def test_an_analyzed_write_is_taken_back(blog: Database) -> None:
    before = blog.execute("SELECT * FROM card ORDER BY id")
    one("DELETE FROM comment WHERE id < 50")
    assert blog.execute("SELECT * FROM card ORDER BY id") == before
    assert blog.value("SELECT count(*) FROM comment") == 9000
    blog.check("analyzing")


@pytest.mark.parametrize("end", ["COMMIT", "end", "ROLLBACK AND CHAIN", "PREPARE TRANSACTION 'x'"])
def test_what_could_not_be_taken_back_is_refused_before_anything_runs(
    blog: Database, end: str
) -> None:
    with pytest.raises(InvalidQuery, match=f"^{end} cannot be analyzed"):
        analyze(f"DELETE FROM comment WHERE id < 50; /* 'é;' */ {end}; SELECT 1")
    assert blog.value("SELECT count(*) FROM comment") == 9000


def test_statements_end_where_postgresql_says_so(blog: Database) -> None:
    found = analyze(
        "; UPDATE post SET title = 'é;' WHERE id = 1;; DELETE FROM post -- all; of it\n;"
    )
    assert [each.statement for each in found] == [
        "UPDATE post SET title = 'é;' WHERE id = 1",
        "DELETE FROM post -- all; of it",
    ]


def test_the_trigger_of_each_tview_has_its_time(blog: Database) -> None:
    analysis = one("UPDATE comment SET post_id = 7 WHERE id = 1")
    assert analysis.own is not None
    keeping = [trigger for trigger in analysis.triggers if trigger.label]
    assert [(each.label, each.table, each.calls) for each in keeping] == [
        ("tests.card", "comment", 1)
    ]
    assert sum(each.milliseconds for each in analysis.triggers) > 0


def test_the_statements_of_the_functions_have_their_own_time_and_slowest_nodes(
    blog: Database,
) -> None:
    sql = "UPDATE comment SET post_id = 7 WHERE id = 1"
    analysis = one(sql)
    assert not analysis.unmeasured
    assert [*analysis.steps] == sorted(analysis.steps, key=lambda step: -step.milliseconds)
    written = [
        step
        for step in analysis.steps
        if any(words in step.statement for words in ("MERGE INTO", "UPDATE"))
    ]
    # Those of the TView over the TView are reached through its triggers.
    assert {"card", "tview_2"} <= {
        table for table in ("card", "tview_2") for step in written if table in step.statement
    }
    # Beside other programs a statement may be held up anywhere, for longer than a scan takes.
    analyses = chain([analysis], (one(sql) for _ in range(9)))
    assert any(
        node.what == "Seq Scan on comment"
        for each in analyses
        for step in each.steps
        for node in step.nodes
    )


def test_the_time_of_a_statement_is_that_without_what_it_led_to() -> None:
    def heard(milliseconds: float, *frames: tuple[str, int]) -> _Heard:
        return _Heard(
            frames,
            milliseconds,
            {
                "Query Text": "SELECT 1",
                "Plan": {
                    "Node Type": "Result",
                    "Actual Total Time": 0,
                    "Actual Rows": 1,
                    "Actual Loops": 1,
                    "Plan Rows": 1,
                },
            },
        )

    # Those that a statement led to are heard before it.
    steps = _steps(
        [
            heard(2, ("inner", 3), ("outer", 1)),
            heard(4, ("inner", 3), ("outer", 1)),
            heard(10, ("outer", 1)),
            heard(1, ("inner", 3), ("outer", 2)),
            heard(3, ("outer", 2)),
        ]
    )
    assert [(step.function, step.line, step.milliseconds) for step in steps] == [
        ("inner", 3, 7),
        ("outer", 1, 4),
        ("outer", 2, 2),
    ]


def test_an_index_that_a_route_misses_is_named_by_the_analysis_and_the_check(
    blog: Database,
) -> None:
    expected = f"CREATE INDEX CONCURRENTLY ON {blog.schema}.comment (post_id);"
    analysis = one("DELETE FROM comment WHERE id = 1")
    assert [index.statement for index in analysis.missing_indexes] == [expected]
    assert expected in analysis.as_text()
    # A post leads to the same TView; the statement that nothing reads leads to none.
    assert one("SELECT 1").missing_indexes == ()
    assert expected in {index.statement for index in health.advice()}
    blog.execute("CREATE INDEX ON comment (post_id)")
    assert expected not in {index.statement for index in health.advice()}


def test_a_statement_sees_what_those_before_it_wrote(blog: Database) -> None:
    inserted, updated, truncated = analyze(
        "INSERT INTO comment VALUES (10000, 3); UPDATE comment SET post_id = 4 WHERE id = 10000;"
        " TRUNCATE comment;"
    )
    assert [len(each.triggers) > 0 for each in (inserted, updated)] == [True, True]
    written = [step for step in updated.steps if "UPDATE " in step.statement]
    assert written
    # EXPLAIN does not take TRUNCATE, but the functions it leads to are heard all the same.
    assert truncated.own is None
    assert truncated.triggers == ()
    assert truncated.steps
    assert blog.value("SELECT count(*) FROM comment") == 9000


def test_what_deferred_tviews_take_at_commit_is_part_of_it(blog: Database) -> None:
    assert one("DELETE FROM comment WHERE id = 1").at_commit is None
    blog.tview(
        "SELECT id, post_id FROM comment", "id integer, post_id integer NULL", mode="deferred"
    )
    analysis = one("DELETE FROM comment WHERE id = 1")
    assert analysis.at_commit is not None
    assert "at COMMIT" in analysis.as_text()
    assert any("tview_3" in step.statement for step in analysis.steps)


def test_without_auto_explain_there_are_the_times_of_the_triggers(blog: Database) -> None:
    role = blog.create_role()
    blog.execute(f"GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA {blog.schema} TO {role}")
    with blog.role(role):
        analysis = one("UPDATE comment SET post_id = 7 WHERE id = 1")
    assert analysis.steps == ()
    assert "access to library" in analysis.unmeasured
    assert analysis.unmeasured in analysis.as_text()
    assert {trigger.label for trigger in analysis.triggers} == {"tests.card", ""}


def test_the_command_takes_statements_and_files_of_them(blog: Database, tmp_path: Path) -> None:
    statement = "UPDATE comment SET post_id = 7 WHERE id = 1"
    text = called("--analyze", statement)
    assert text.startswith(f"{statement}\n")
    assert "tests.card: tviews_2_" in text
    # The statement for several changed rows, in the middle of which text is left out.
    assert "WHEN NOT MATCHED" not in text
    assert "WHEN NOT MATCHED" in called("--analyze", statement, "-v", "2")
    file = tmp_path / "writes.sql"
    file.write_text(f"{statement};\nDELETE FROM comment WHERE id = 2;\n")
    found = json.loads(called("--analyze", f"@{file}", "--format", "json"))
    assert [each["statement"] for each in found["statements"]] == [
        statement,
        "DELETE FROM comment WHERE id = 2",
    ]
    assert found["statements"][0]["steps"][0]["nodes"] is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Give the label of a TView"),
        (("tests.card", "--analyze", "SELECT 1"), "--analyze takes no label"),
        (("--analyze", "@/nowhere.sql"), "/nowhere.sql cannot be read: No such file"),
        (("--analyze", "SELECT nothing"), 'column "nothing" does not exist'),
        (("--analyze", "SELECT 1 FORM t x"), 'The statement is not valid SQL: .* at or near "t"'),
        (("--analyze", "-- nothing but this"), "There is no statement to analyze"),
    ],
)
@pytest.mark.usefixtures("database")
def test_what_cannot_be_analyzed_ends_with_2(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError, match=message) as raised:
        called(*arguments)
    assert raised.value.returncode == 2
