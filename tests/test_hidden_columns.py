"""Hidden columns: totals that no field shows, kept so that groups need not be read again."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from django_tviews import alignment, health, maintenance, registry
from django_tviews.errors import (
    ColumnMismatch,
    DependencyResolutionFailed,
    DependentColumn,
    OutdatedTView,
)
from django_tviews.plan.plan import Strategy
from django_tviews.relational.canonical import canonical_sql
from django_tviews.relational.hidden import HiddenTotal, with_hidden

from .harness import branch, strategies
from .oracle import quoted
from .plans import planned
from .test_commands import call

if TYPE_CHECKING:
    from django_tviews.definition import Declaration

    from .harness import Database

ROWS, COUNT, SUM = "django_tviews:rows", "django_tviews:count:n", "django_tviews:sum:n"

SALES = (
    "CREATE TABLE sale (id integer PRIMARY KEY, shop integer NOT NULL, pieces integer NOT NULL, "
    "bonus integer, price numeric(8,2))"
)
FIRST = (
    "INSERT INTO sale VALUES (1, 1, 3, NULL, 9.99), (2, 1, 4, 5, 1.10), (3, 2, 1, NULL, NULL), "
    "(4, 2, 2, 3, 7), (5, 3, 1, 1, 0.01)"
)
CHANGES = (
    "UPDATE sale SET pieces = pieces + 1 WHERE id = 1",
    "UPDATE sale SET price = price * 3 WHERE id < 3",
    "UPDATE sale SET bonus = NULL",
    "UPDATE sale SET bonus = id WHERE id IN (1, 3)",
    "INSERT INTO sale VALUES (6, 1, 10, 2, 2.22), (7, 4, 1, NULL, NULL)",
    "UPDATE sale SET price = 'NaN' WHERE id IN (1, 7)",
    "DELETE FROM sale WHERE id IN (2, 3)",
    "UPDATE sale SET price = 0.5 WHERE price = 'NaN'",
    "UPDATE sale SET shop = 1 WHERE shop = 2",
    "DELETE FROM sale WHERE id = 7",
)


@pytest.mark.parametrize(
    ("total", "type_sql", "needed"),
    [
        ("count(*)", "bigint", ()),
        ("count(id)", "integer", ()),
        ("count(category_id)", "bigint", (ROWS,)),
        ("sum(id)", "bigint", (ROWS,)),
        ("COALESCE(sum(category_id), 0)", "bigint", (ROWS,)),
        ("sum(category_id)", "numeric", (ROWS, COUNT)),
        ("sum(id) FILTER (WHERE id > 3)", "numeric", (ROWS, COUNT)),
        ("max(created_at)", "timestamp with time zone", (ROWS,)),
        ("avg(id)", "numeric", (ROWS, SUM)),
        ("avg(category_id)", "double precision", (ROWS, SUM, COUNT)),
        # What a column rounds, or writes as a float, is added up elsewhere.
        ("sum(CAST(price AS numeric(8,2)))", "numeric(12,1)", (ROWS, SUM)),
        ("COALESCE(sum(CAST(price AS numeric(8,2))), 0)", "double precision", (ROWS, SUM)),
        ("sum(CAST(price AS numeric(8,2)) * 0.125)", "numeric(20,4)", (ROWS, SUM)),
        # These are computed again.
        ("COALESCE(sum(CAST(price AS numeric(8,2))), 0)", "text", ()),
        ("avg(price)", "numeric", ()),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, tuple) else value,
)
def test_what_a_fold_needs_and_no_field_shows_is_hidden(
    total: str, type_sql: str, needed: tuple[str, ...]
) -> None:
    plan = planned(
        f"SELECT maker_id AS k, {total} AS n FROM product GROUP BY 1", f"bigint, {type_sql}"
    )
    assert tuple(column.name for column in plan.hidden) == needed
    assert bool(plan.query) == bool(needed)


def test_totals_of_the_same_values_have_one_hidden_column() -> None:
    plan = planned(
        "SELECT 1 AS k, avg(stars) AS n, avg(stars) AS again, sum(id) AS ids, sum(stars) AS total, "
        "avg(stars) FILTER (WHERE id > 3) AS late FROM review",
        "integer, numeric, numeric, bigint, numeric, double precision",
    )
    assert [column.name for column in plan.hidden] == [
        COUNT,
        "django_tviews:count:ids",
        "django_tviews:sum:late",
        "django_tviews:count:late",
    ]


def test_hidden_totals_are_computed_beside_those_that_are_shown() -> None:
    text = with_hidden(
        "SELECT maker_id, COALESCE(sum(price) FILTER (WHERE id > 3), 0) AS n FROM product "
        "GROUP BY maker_id ORDER BY 2",
        [HiddenTotal("count"), HiddenTotal("sum", "n"), HiddenTotal("count", "n")],
    )
    assert " ".join(text.split()).replace("( ", "(") == (
        "SELECT maker_id, COALESCE(sum(price) FILTER (WHERE id > 3), 0) AS n, "
        'count(*) AS "django_tviews:rows", '
        'sum(price) FILTER (WHERE id > 3) AS "django_tviews:sum:n", '
        'count(price) FILTER (WHERE id > 3) AS "django_tviews:count:n" '
        "FROM product GROUP BY maker_id ORDER BY 2"
    )


def test_a_field_cannot_take_the_name_of_a_hidden_column() -> None:
    with pytest.raises(ColumnMismatch, match="name of a hidden column"):
        planned(
            f'SELECT maker_id AS k, count(*) AS "{ROWS}" FROM product GROUP BY 1', "bigint, bigint"
        )


def test_names_of_hidden_columns_stay_apart_however_long_they_are() -> None:
    names = {HiddenTotal("sum", f"{'x' * 62}{end}").name for end in "ab"}
    assert len(names) == 2
    assert all(len(name) <= 63 for name in names)


def hidden_columns(database: Database, declaration: Declaration) -> list[str]:
    """Return the names of a TView's columns that no field shows."""
    return [
        name
        for (name,) in database.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
            "AND NOT attisdropped ORDER BY attnum",
            declaration.table,
        )
        if name not in {column.name for column in declaration.columns}
    ]


def average(database: Database, **options: str) -> Declaration:
    """Install a TView of averages by shop."""
    return database.tview(
        "SELECT shop, avg(pieces) AS n FROM sale GROUP BY shop",
        "shop integer, n numeric NULL",
        "shop",
        **options,
    )


LONE_TOTALS = (
    ("avg(pieces)", "numeric NULL"),
    ("avg(bonus)", "double precision NULL"),
    ("avg(price * bonus)", "numeric NULL"),
    ("avg(price) FILTER (WHERE bonus > 1)", "numeric(9,3) NULL"),
    ("sum(bonus)", "bigint NULL"),
    ("sum(price)", "numeric(12,1) NULL"),
    ("COALESCE(sum(price), 0)", "numeric(12,1)"),
    ("sum(price)", "double precision NULL"),
    ("COALESCE(sum(price), 0)", "real"),
    ("sum(price * bonus)", "numeric(12) NULL"),
    ("max(pieces)", "integer NULL"),
    ("count(bonus)", "integer"),
)


@pytest.mark.parametrize(("mode", "size"), [("immediate", "small"), ("deferred", "bulk")])
def test_totals_that_stand_alone_stay_exact(database: Database, mode: str, size: str) -> None:
    database.execute(SALES)
    with branch(size):
        database.install_all(
            database.declare(
                f"SELECT {key} AS shop, {total} AS n FROM sale{group}",
                f"shop integer, n {type_sql}",
                "shop",
                table=f"total_{number}_{key}",
                mode=mode,
            )
            for number, (total, type_sql) in enumerate(LONE_TOTALS)
            for key, group in (("shop", " GROUP BY shop"), ("1", ""))
        )
    for tview in database.tviews:
        assert "Add to the groups" in database.value(
            "SELECT string_agg(prosrc, '') FROM pg_proc WHERE starts_with(proname, %s) "
            "AND pronamespace = %s::regnamespace",
            f"tviews_{tview.declaration.table}_",
            database.schema,
        )
    database.run(FIRST, *CHANGES, "TRUNCATE sale")


def test_an_average_is_not_read_again(database: Database) -> None:
    database.execute(SALES)
    declaration = average(database)
    database.run(FIRST)
    with database.rolled_back():
        wrong(database, declaration, SUM, 100)
        database.execute("INSERT INTO sale VALUES (6, 1, 5)")
        database.execute("DELETE FROM sale WHERE id = 1")
        # 4 and 5 pieces, and the 100 that nobody has sold.
        assert database.value("SELECT round(n, 2) FROM tview_1 WHERE shop = 1") == Decimal("54.50")


def test_verify_compares_hidden_columns_and_repairs_them(database: Database) -> None:
    database.execute(SALES)
    declaration = average(database)
    database.run(FIRST)
    wrong(database, declaration, ROWS, 1)
    (report,) = maintenance.verify(repair=True)
    assert report.different == 1
    assert report.differences[0].columns == (ROWS,)
    assert report.repair is not None
    assert report.repair.updated == 1
    database.check("the repair")


def test_a_role_that_verifies_hidden_columns_is_told_which_rights_it_needs(
    database: Database,
) -> None:
    database.execute(SALES)
    database.tview("SELECT id, pieces FROM sale", "id integer, pieces integer", table="plain")
    reader = database.create_role()
    database.execute(f"GRANT SELECT ON django_tviews_registry, plain, plain_query TO {reader}")
    with database.role(reader):
        call("tview_verify")
    average(database)
    database.execute(f"GRANT SELECT ON tview_2, tview_2_query TO {reader}")
    with database.role(reader):
        _, message = call("tview_verify", code=2)
    assert message.startswith("permission denied for table sale")
    assert "HINT: Run it as the role that migrates." in message
    database.execute(f"GRANT SELECT ON sale TO {reader}")
    with database.role(reader):
        call("tview_verify")


def test_another_query_brings_and_takes_hidden_columns(database: Database) -> None:
    database.execute(SALES)
    database.execute(FIRST)
    declaration = average(database)
    reader = database.tview("SELECT shop AS id, n FROM tview_1", "id integer, n numeric NULL")
    for total, hidden in (
        ("avg(bonus)", [ROWS, SUM, COUNT]),
        ("avg(price)", [ROWS, SUM, COUNT]),
        ("sum(id)", [ROWS]),
        ("avg(pieces / 2.0)", []),
        ("avg(pieces)", [ROWS, SUM]),
    ):
        changed = replace(
            declaration, query=canonical_sql(declaration.query.replace("avg(pieces)", total))
        )
        database.replace(database.tviews[0].declaration, changed)
        database.tviews[0].declaration = changed
        assert sorted(hidden_columns(database, changed)) == sorted(hidden)
        database.check(total)
        with database.rolled_back():
            database.run(*CHANGES)
    database.drop(reader)
    database.drop(declaration)


def test_an_older_installation_gets_its_hidden_columns(database: Database) -> None:
    database.execute(SALES)
    database.execute(FIRST)
    declaration = average(database)
    database.execute(f"ALTER TABLE tview_1 DROP COLUMN {quoted(ROWS)}, DROP COLUMN {quoted(SUM)}")
    with pytest.raises(OutdatedTView, match=r"tview_sync"):
        maintenance.verify()
    found = [each.name for each in health.check() if each.kind is health.ProblemKind.MISSING]
    assert found == [f'hidden column "{name}"' for name in (ROWS, SUM)]
    with strategies(Strategy.PATCH):
        # As a version left it that knew no hidden columns.
        assert align(database) != []
    assert hidden_columns(database, declaration) == []
    assert align(database) == [
        *(f'added hidden column "{name}"' for name in (ROWS, SUM)),
        *(
            f"replaced function {database.schema}.tviews_tview_1_{name}"
            for name in (
                *("recompute(integer[])", "rebuild()", "drain()"),
                *(f"on_sale_{event}()" for event in ("insert", "update", "delete")),
            )
        ),
        "updated the registry",
        "filled the hidden columns",
    ]
    assert align(database) == []
    database.run(*CHANGES)


def test_hidden_columns_follow_what_is_known_of_the_tables(database: Database) -> None:
    database.execute(SALES)
    database.execute(FIRST)
    declaration = average(database)
    for change, hidden in (
        ("ALTER COLUMN pieces DROP NOT NULL", {ROWS, SUM, COUNT}),
        ("ALTER COLUMN pieces SET NOT NULL", {ROWS, SUM}),
    ):
        database.execute(f"ALTER TABLE sale {change}")
        align(database)
        assert set(hidden_columns(database, declaration)) == hidden
        database.check(change)
    database.run(*CHANGES)


def test_hidden_columns_mean_nothing_to_those_who_read_the_tview(database: Database) -> None:
    database.execute(SALES)
    average(database)
    average(database, table="other")
    database.tview("SELECT shop AS id, n FROM tview_1", "id integer, n numeric NULL")
    with pytest.raises(ColumnMismatch) as refused:
        database.tview("SELECT * FROM tview_1", "shop integer, n numeric NULL", "shop")
    assert "hidden column" in refused.value.hint
    with pytest.raises(DependencyResolutionFailed, match="hidden columns"):
        database.tview(
            "SELECT a.shop, a.n FROM tview_1 AS a NATURAL JOIN other AS b",
            "shop integer, n numeric NULL",
            "shop",
        )
    database.tview(
        "SELECT shop, a.n FROM tview_1 AS a JOIN other AS b USING (shop)",
        "shop integer, n numeric NULL",
        "shop",
    )
    database.run(FIRST, *CHANGES)


def test_a_hidden_column_that_a_view_shows_is_not_dropped_without_a_word(
    database: Database,
) -> None:
    database.execute(SALES)
    declaration = average(database)
    database.execute("CREATE VIEW report AS SELECT * FROM tview_1")
    with pytest.raises(DependentColumn):
        database.replace(
            declaration,
            replace(
                declaration, query=declaration.query.replace("avg(pieces)", "avg(pieces / 2.0)")
            ),
        )
    database.run(FIRST, *CHANGES)


def wrong(database: Database, declaration: Declaration, column: str, by: int) -> None:
    """Make a column of a TView wrong without anybody taking notice."""
    with database.transaction():
        database.execute("SET LOCAL session_replication_role = replica")
        name = quoted(column)
        database.execute(f"UPDATE {declaration.table} SET {name} = {name} + {by} WHERE shop = 1")
        database.execute("SET LOCAL session_replication_role = origin")


def align(database: Database) -> list[str]:
    """Bring all TViews in line; return what was changed."""
    with database.connection.schema_editor() as editor:
        changes = alignment.align(editor, registry.installed(database.connection))
    return [change for each in changes.values() for change in each]


def test_the_hidden_sum_of_no_values_is_null_where_the_field_shows_zero(
    database: Database,
) -> None:
    database.execute(
        "CREATE TABLE sale (id integer PRIMARY KEY, shop integer NOT NULL, price numeric(8,2))"
    )
    database.tview(
        "SELECT shop, COALESCE(sum(price), 0) AS n FROM sale GROUP BY shop",
        "shop integer, n numeric(12,1)",
        "shop",
    )
    database.run("INSERT INTO sale VALUES (1, 1, 5)", "UPDATE sale SET price = NULL")
