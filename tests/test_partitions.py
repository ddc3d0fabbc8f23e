"""Partitioned sources and inheritance: rows that change under another relation's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError

from django_tviews import catalog, explain, health, planning, registry
from django_tviews.alignment import align
from django_tviews.errors import OutdatedTView, TViewError, UnsupportedQuery
from django_tviews.health import ProblemKind
from django_tviews.sql import objects

from .dumps import dump, empty_database, restore

if TYPE_CHECKING:
    from pathlib import Path

    from .harness import Database


@pytest.fixture
def sales(database: Database) -> Database:
    """Sales, partitioned by year, 2024 by region again, under TViews of several forms."""
    database.execute("""
        CREATE TABLE shop (id integer PRIMARY KEY, name text NOT NULL);
        CREATE TABLE sale (
            id integer,
            year integer,
            region text,
            shop_id integer REFERENCES shop ON DELETE CASCADE ON UPDATE CASCADE,
            amount numeric(8, 2) NOT NULL,
            PRIMARY KEY (id, year, region)
        ) PARTITION BY RANGE (year);
        CREATE TABLE sale_2023 PARTITION OF sale FOR VALUES FROM (2023) TO (2024);
        CREATE TABLE sale_2024 PARTITION OF sale FOR VALUES FROM (2024) TO (2025)
            PARTITION BY LIST (region);
        CREATE TABLE sale_2024_eu PARTITION OF sale_2024 FOR VALUES IN ('eu');
        -- Other columns first, and one that was dropped.
        CREATE TABLE sale_2024_us (
            amount numeric(8, 2) NOT NULL, gone text, shop_id integer, region text NOT NULL,
            year integer NOT NULL, id integer NOT NULL
        );
        ALTER TABLE sale_2024_us DROP COLUMN gone;
        ALTER TABLE sale_2024 ATTACH PARTITION sale_2024_us FOR VALUES IN ('us');
        CREATE TABLE sale_rest PARTITION OF sale DEFAULT;
        CREATE INDEX ON sale (shop_id);
        INSERT INTO shop VALUES (1, 'Ann'), (2, 'Bob'), (3, 'Cy');
        INSERT INTO sale VALUES
            (1, 2023, 'eu', 1, 10), (2, 2024, 'eu', 1, 20), (3, 2024, 'us', 2, 30),
            (4, 2030, 'us', 2, 40), (5, 2030, 'eu', NULL, 50);
    """)
    database.tview(
        "SELECT s.id, s.year, s.region, s.amount, p.name FROM sale s "
        "LEFT JOIN shop p ON p.id = s.shop_id",
        "id integer, year integer, region text, amount numeric(8,2), name text NULL",
        "id, year, region",
        table="line",
    )
    database.tview(
        "SELECT year, count(*) AS n, sum(amount) AS amount FROM sale GROUP BY year",
        "year integer, n bigint, amount numeric",
        "year",
        table="by_year",
    )
    database.tview(
        "SELECT p.id, p.name, (SELECT coalesce(sum(s.amount), 0) FROM sale s WHERE s.shop_id = p.id) "
        "AS amount FROM shop p",
        "id integer, name text, amount numeric",
        table="by_shop",
    )
    # Neither reads the column by which rows are told into partitions.
    database.tview(
        "SELECT id, sum(amount) AS amount FROM sale_2024 GROUP BY id",
        "id integer, amount numeric",
        table="only_2024",
    )
    database.tview("SELECT id, amount FROM sale_2024_us", "id integer, amount numeric(8,2)")
    return database


class TestStatements:
    def test_through_the_parent(self, sales: Database) -> None:
        sales.run(
            "INSERT INTO sale VALUES (10, 2023, 'us', 3, 1), (11, 2024, 'us', 3, 2), (12, 1999, 'x', 3, 3)",
            "UPDATE sale SET amount = amount + 1",
            "UPDATE sale SET shop_id = 2 WHERE id IN (1, 11)",
            "DELETE FROM sale WHERE amount > 40",
            "DELETE FROM sale",
        )

    def test_directly_into_a_leaf(self, sales: Database) -> None:
        sales.run(
            "INSERT INTO sale_2023 VALUES (20, 2023, 'us', 1, 1), (21, 2023, 'eu', 2, 2)",
            "INSERT INTO sale_2024_us (id, year, region, shop_id, amount) VALUES (22, 2024, 'us', 1, 3)",
            "UPDATE sale_2024_us SET amount = amount * 2, shop_id = 1",
            "UPDATE sale_rest SET year = year + 1",
            "DELETE FROM sale_rest WHERE id = 4",
            "DELETE FROM sale_2023",
        )

    def test_into_a_partition_that_has_partitions(self, sales: Database) -> None:
        sales.run(
            "INSERT INTO sale_2024 VALUES (30, 2024, 'us', 1, 1), (31, 2024, 'eu', 2, 2)",
            "UPDATE sale_2024 SET amount = amount + 5",
            "UPDATE sale_2024 SET region = CASE region WHEN 'us' THEN 'eu' ELSE 'us' END",
            "DELETE FROM sale_2024",
        )

    def test_rows_that_move_to_another_partition(self, sales: Database) -> None:
        sales.run(
            "UPDATE sale SET year = 2024 WHERE year = 2023",
            "UPDATE sale SET region = 'us'",
            "UPDATE sale SET year = year + 1, amount = amount + 1",
            "UPDATE sale SET year = 2024, id = id + 100",
            "UPDATE sale SET year = 2030 WHERE id = 101",
        )

    def test_merge(self, sales: Database) -> None:
        source = (
            "(VALUES (1, 2024, 'us'), (3, 2023, 'eu'), (50, 2024, 'us')) AS v (id, year, region)"
        )
        sales.run(
            # Of these PostgreSQL puts the rows that move into no transition table at all.
            f"MERGE INTO sale s USING {source} ON s.id = v.id "
            "WHEN MATCHED THEN UPDATE SET year = v.year, region = v.region",
            f"MERGE INTO sale s USING {source} ON s.id = v.id "
            "WHEN MATCHED THEN UPDATE SET year = 2023 "
            "WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.year, v.region, 1, 7)",
            f"MERGE INTO sale s USING {source} ON s.id = v.id "
            "WHEN MATCHED AND s.id = 1 THEN DELETE "
            "WHEN MATCHED THEN UPDATE SET year = 2024, amount = 8",
            "MERGE INTO sale_2024 s USING shop p ON p.id = s.shop_id "
            "WHEN MATCHED THEN UPDATE SET region = CASE region WHEN 'us' THEN 'eu' ELSE 'us' END",
        )

    def test_upserts(self, sales: Database) -> None:
        sales.run(
            "INSERT INTO sale VALUES (1, 2023, 'eu', 2, 11), (60, 2024, 'us', 2, 12) "
            "ON CONFLICT (id, year, region) DO UPDATE SET amount = excluded.amount, shop_id = 3",
            "INSERT INTO sale_2024_us (id, year, region, amount) VALUES (60, 2024, 'us', 1) "
            "ON CONFLICT (id, year, region) DO UPDATE SET amount = sale_2024_us.amount + 1",
            "INSERT INTO sale VALUES (60, 2024, 'us', 2, 12) ON CONFLICT DO NOTHING",
        )

    def test_copy_and_truncate(self, sales: Database) -> None:
        for table in ("sale_2024_us", "sale_2024", "sale"):
            with (
                sales.connection.cursor() as cursor,
                cursor.copy(f"COPY {table} (id, year, region, shop_id, amount) FROM STDIN") as copy,
            ):
                for number in range(70, 90):
                    copy.write_row((number, 2024, "us", 1 + number % 3, number))
            sales.check(f"COPY {table}")
            sales.run(f"TRUNCATE {table}", "INSERT INTO sale VALUES (1, 2024, 'us', 1, 1)")
            sales.run("DELETE FROM sale_2024_us", "TRUNCATE sale_rest")

    def test_cascades_into_a_partitioned_table(self, sales: Database) -> None:
        sales.run(
            "UPDATE shop SET id = id + 10",
            "DELETE FROM shop WHERE id = 12",
            "TRUNCATE shop CASCADE",
        )

    def test_parent_and_leaf_in_one_statement(self, sales: Database) -> None:
        sales.run(
            "WITH a AS (UPDATE sale_rest SET amount = 0 RETURNING id), "
            "b AS (INSERT INTO sale VALUES (80, 2024, 'us', 1, 5)), "
            "c AS (DELETE FROM sale_2024_eu) UPDATE shop SET name = name || '!'",
        )

    def test_a_trigger_of_the_project_that_writes_to_a_leaf(self, sales: Database) -> None:
        sales.execute("""
            CREATE FUNCTION mirrored() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO sale_rest VALUES (NEW.id + 1000, 3000, NEW.region, NEW.shop_id, 1);
                RETURN NEW;
            END $$;
            CREATE TRIGGER mirrored BEFORE INSERT ON sale_2024_us
                FOR EACH ROW EXECUTE FUNCTION mirrored();
        """)
        sales.run(
            "INSERT INTO sale VALUES (90, 2024, 'us', 1, 5), (91, 2023, 'us', 1, 5)",
            "INSERT INTO sale_2024 VALUES (92, 2024, 'us', 2, 5)",
        )

    def test_partners_of_a_self_join_that_go_together(self, sales: Database) -> None:
        sales.tview(
            "SELECT a.id AS a, b.id AS b FROM sale a JOIN sale_2024 b "
            "ON b.shop_id = a.shop_id AND b.id > a.id",
            "a integer, b integer",
            "a, b",
        )
        # Both sources lose rows in one statement: which partners a row had is known of neither.
        sales.run(
            "INSERT INTO sale_2024 VALUES (6, 2024, 'eu', 2, 1), (7, 2024, 'us', 2, 1)",
            "DELETE FROM sale_2024 WHERE shop_id = 2",
            "UPDATE sale SET shop_id = 3",
            "UPDATE sale SET year = 2024",
            "DELETE FROM sale",
        )


def test_a_row_that_leaves_a_partition_looking_as_before(database: Database) -> None:
    database.execute("""
        CREATE TABLE entry (id integer NOT NULL, year integer NOT NULL) PARTITION BY LIST (year);
        CREATE TABLE entry_1 PARTITION OF entry (PRIMARY KEY (id)) FOR VALUES IN (1);
        CREATE TABLE entry_2 PARTITION OF entry FOR VALUES IN (2);
        INSERT INTO entry VALUES (1, 1), (2, 1), (3, 2);
    """)
    # Its key has no part in telling the partitions apart.
    database.tview("SELECT id FROM entry_1", "id integer")
    database.run(
        "UPDATE entry SET year = 2 WHERE id = 1",
        "UPDATE entry SET year = 1 WHERE id = 3",
        # Beside it a row of another partition comes to look as it did.
        "UPDATE entry SET id = CASE id WHEN 3 THEN 30 WHEN 1 THEN 3 ELSE id END",
        "MERGE INTO entry e USING entry_2 t ON t.id = e.id WHEN MATCHED THEN UPDATE SET year = 1",
        "DELETE FROM entry WHERE id = 2",
    )


class TestPartitionsThatAreNewer:
    """Statement triggers are not cloned to them, a trigger on rows is."""

    NEW = (
        "CREATE TABLE sale_2025 PARTITION OF sale FOR VALUES FROM (2025) TO (2026)",
        "CREATE TABLE sale_2024_asia PARTITION OF sale_2024 FOR VALUES IN ('asia')",
    )

    def test_writes_through_the_parent_are_kept(self, sales: Database) -> None:
        sales.run(
            *self.NEW,
            "INSERT INTO sale VALUES (100, 2025, 'eu', 1, 1), (101, 2024, 'asia', 2, 2)",
            "INSERT INTO sale_2024 VALUES (102, 2024, 'asia', 1, 1)",
            "UPDATE sale SET amount = amount + 1 WHERE year >= 2024",
            "UPDATE sale SET year = 2025",
            "MERGE INTO sale s USING shop p ON p.id = s.shop_id "
            "WHEN MATCHED THEN UPDATE SET year = 2024, region = 'asia'",
            "DELETE FROM sale WHERE region = 'asia'",
        )

    def test_direct_writes_are_refused_loudly(self, sales: Database) -> None:
        sales.run(*self.NEW)
        sales.run("INSERT INTO sale VALUES (100, 2025, 'eu', 1, 1), (101, 2024, 'asia', 2, 2)")
        for statement in (
            "INSERT INTO sale_2025 VALUES (110, 2025, 'eu', 1, 1)",
            "UPDATE sale_2025 SET amount = 0",
            "DELETE FROM sale_2025",
            "DELETE FROM sale_2024_asia",
        ):
            with pytest.raises(DatabaseError) as caught:
                sales.execute(statement)
            error = TViewError.from_database_error(caught.value)
            assert isinstance(error, OutdatedTView)
            assert "tview_sync" in error.hint
            sales.check(f"refusing {statement}")

    def test_direct_writes_inside_a_statement_that_is_seen_are_kept(self, sales: Database) -> None:
        sales.run(*self.NEW)
        sales.execute("""
            CREATE FUNCTION copied(integer) RETURNS integer LANGUAGE sql AS
                'INSERT INTO sale_2025 VALUES ($1, 2025, ''eu'', 1, 1) RETURNING id';
            CREATE FUNCTION mirrored() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO sale_2025 VALUES (NEW.id + 1000, 2025, 'eu', NEW.id, 1);
                DELETE FROM sale_2025 WHERE id < NEW.id;
                RETURN NEW;
            END $$;
            CREATE TRIGGER mirrored AFTER INSERT ON shop FOR EACH ROW EXECUTE FUNCTION mirrored();
        """)
        sales.run(
            "INSERT INTO sale SELECT copied(g), 2024, 'us', 2, 1 FROM generate_series(120, 122) g",
            "INSERT INTO shop VALUES (7, 'Di'), (200, 'Ed')",
            "WITH a AS (DELETE FROM shop WHERE id = 7) DELETE FROM sale_2025",
        )

    def test_sync_covers_them(self, sales: Database) -> None:
        assert aligned(sales) == {}
        sales.run(*self.NEW)
        changes = aligned(sales)
        assert changes.keys() == {tview.declaration.label for tview in sales.tviews[:-1]}
        assert aligned(sales) == {}
        assert catalog.enabled_clones(sales.connection) == {
            each
            for each in catalog.enabled_clones(sales.connection)
            # What looks out for rows that move, what keeps those that MERGE inserts apart, and what
            # leaves below 2024 will be cloned from.
            if "_moved_" in each[2] or "_apart_" in each[2] or each[1] == "sale_2024"
        }
        sales.run(
            "INSERT INTO sale_2025 VALUES (110, 2025, 'eu', 1, 1)",
            "INSERT INTO sale_2024_asia VALUES (111, 2024, 'asia', 1, 1)",
            "UPDATE sale_2025 SET amount = 7",
            "DELETE FROM sale_2025",
            "CREATE TABLE sale_2024_rest PARTITION OF sale_2024 DEFAULT",
        )
        with pytest.raises(DatabaseError, match="newer"):
            sales.execute("INSERT INTO sale_2024_rest VALUES (112, 2024, 'x', 1, 1)")

    def test_sync_lets_go_of_what_is_detached(self, sales: Database) -> None:
        sales.execute("DELETE FROM sale_2023; ALTER TABLE sale DETACH PARTITION sale_2023")
        aligned(sales)
        sales.run("INSERT INTO sale_2023 VALUES (110, 2023, 'eu', 1, 1)")
        assert not sales.value(
            "SELECT count(*) FROM pg_trigger "
            "WHERE tgrelid = 'sale_2023'::regclass AND NOT tgisinternal"
        )


def aligned(database: Database) -> dict[str, list[str]]:
    with database.connection.schema_editor() as editor:
        return align(editor, registry.installed(database.connection))


class TestWhatCheckSees:
    """ATTACH, DETACH and INHERIT change what is read, and fire nothing."""

    @staticmethod
    def problems(label: str) -> dict[str, set[ProblemKind]]:
        found: dict[str, set[ProblemKind]] = {}
        for problem in health.check(label):
            place = problem.name.rpartition(".")[2].rpartition(" on ")[2]
            found.setdefault(place, set()).add(problem.kind)
        # The harness installs TViews that no model declares.
        assert found.pop(label.rpartition(".")[2]) >= {ProblemKind.ORPHANED}
        return found

    def test_a_new_partition(self, sales: Database) -> None:
        assert self.problems("tests.by_year") == {}
        sales.execute("CREATE TABLE sale_2025 PARTITION OF sale FOR VALUES FROM (2025) TO (2026)")
        assert self.problems("tests.by_year") == {"sale_2025": {ProblemKind.MISSING}}
        assert self.problems("tests.only_2024") == {}

    def test_a_partition_that_is_gone(self, sales: Database) -> None:
        sales.execute("ALTER TABLE sale DETACH PARTITION sale_2023")
        assert self.problems("tests.by_year") == {"sale_2023": {ProblemKind.ORPHANED}}
        with pytest.raises(DatabaseError, match="detached"):
            sales.execute("DELETE FROM sale_2023")
        sales.execute("DROP TABLE sale_2023")
        assert self.problems("tests.by_year") == {}
        (problem,) = (
            each for each in health.check("tests.by_year") if each.kind is ProblemKind.OUTDATED
        )
        assert "has changed" in problem.message

    def test_a_new_child(self, database: Database) -> None:
        database.execute("CREATE TABLE place (id integer PRIMARY KEY)")
        database.tview("SELECT id FROM place", "id integer", table="places")
        database.execute("CREATE TABLE city () INHERITS (place)")
        assert self.problems("tests.places") == {"city": {ProblemKind.MISSING}}


class TestInheritance:
    @pytest.fixture
    def family(self, database: Database) -> Database:
        database.execute("""
            CREATE TABLE place (id integer PRIMARY KEY, name text, size integer);
            CREATE TABLE city (mayor text) INHERITS (place);
            CREATE TABLE capital (country text) INHERITS (city);
            CREATE TABLE port (size integer, id integer, draught integer) INHERITS (place);
            INSERT INTO place VALUES (1, 'Hill', 1);
            INSERT INTO city VALUES (2, 'Graz', 2, 'Ann');
            INSERT INTO capital VALUES (3, 'Wien', 3, 'Bob', 'AT');
            INSERT INTO port VALUES (4, 'Ulm', 4, 5);
        """)
        database.tview(
            "SELECT coalesce(size, 0) AS size, count(*) AS n, max(name) AS last FROM place "
            "GROUP BY coalesce(size, 0)",
            "size integer, n bigint, last text NULL",
            "size",
        )
        database.tview("SELECT id, name FROM ONLY place", "id integer, name text NULL")
        database.tview(
            "SELECT name, count(*) AS n FROM city WHERE name IS NOT NULL GROUP BY name",
            "name text, n bigint",
            "name",
        )
        return database

    def test_through_the_parent_and_directly(self, family: Database) -> None:
        family.run(
            "INSERT INTO place VALUES (10, 'Dale', 1)",
            "INSERT INTO capital VALUES (11, 'Bern', 2, 'Cy', 'CH')",
            "INSERT INTO port (id, name, size, draught) VALUES (12, 'Pula', 3, 9)",
            "UPDATE place SET size = size + 1",
            "UPDATE ONLY place SET size = 0, name = name || '!'",
            "UPDATE city SET name = 'X'",
            "UPDATE capital SET size = NULL, country = 'XX'",
            # The same id in parent and child: a key of the parent holds for its own rows only.
            "UPDATE place SET id = 1, name = id::text WHERE id <> 10",
            "UPDATE place SET name = 'one' WHERE id = 1",
            "DELETE FROM place WHERE id = 1 AND size IS NULL",
            "DELETE FROM ONLY city",
            "TRUNCATE capital",
            "TRUNCATE place",
        )

    def test_the_key_of_the_parent_puts_no_rows_in_order(self, family: Database) -> None:
        with pytest.raises(UnsupportedQuery) as refusal:
            family.tview(
                "SELECT size, string_agg(name, ', ' ORDER BY id) AS names FROM place "
                "WHERE size IS NOT NULL GROUP BY size",
                "size integer, names text NULL",
                "size",
            )
        assert refusal.value.context["construct"] == "open-order"

    def test_a_column_that_the_parent_lacks_is_refused(self, family: Database) -> None:
        with pytest.raises(UnsupportedQuery, match="mayor is none of its parent") as refusal:
            family.tview(
                "SELECT mayor, count(*) AS n FROM city WHERE mayor IS NOT NULL GROUP BY mayor",
                "mayor text, n bigint",
                "mayor",
            )
        assert refusal.value.context["construct"] == "relation-kind"


def test_a_restored_dump_goes_on_being_maintained(
    sales: Database, server_programs: Path, tmp_path: Path
) -> None:
    sales.run(*TestPartitionsThatAreNewer.NEW)
    archive = tmp_path / "dump"
    archive.write_bytes(dump(sales, server_programs, "--format=custom"))
    with empty_database(sales) as copy:
        restore(copy, server_programs, archive)
        copy.execute(f"SET search_path = {sales.schema}, public")
        clones = catalog.enabled_clones(sales.connection)
        assert catalog.enabled_clones(copy.connection) == clones
        copy.run(
            "INSERT INTO sale VALUES (1, 2025, 'us', 1, 1), (2, 2024, 'us', 1, 1)",
            "UPDATE sale SET year = 2025",
            "DELETE FROM sale_2023",
        )
        with pytest.raises(DatabaseError, match="newer"):
            copy.execute("DELETE FROM sale_2025")


def test_the_explanation_has_every_trigger_and_function(sales: Database) -> None:
    for tview in sales.tviews:
        explained = explain(tview.declaration.label)
        parts = [event.sql for source in explained.sources for event in source.events]
        sql = "\n".join([*parts, *explained.functions])
        plan = planning.plan_of(sales.connection, tview.declaration, sales.schema)
        for trigger in objects.source_triggers(plan):
            shown_in = len(plan.sources) if trigger.source == 0 else 1
            assert trigger.shared or 1 <= sql.count(trigger.create) <= shown_in
        for function in objects.functions(plan):
            assert sql.count(function.create.rstrip()) == 1
    events = {event.event: event.strategy for event in explain("tests.by_year").sources[0].events}
    assert events["ROW"] == "recompute"


def test_a_tview_of_a_partitioned_source_leaves_nothing_behind(sales: Database) -> None:
    for tview in [*sales.tviews]:
        sales.drop(tview.declaration)
    assert sales.execute("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'tviews%'") == []
    sales.execute("DELETE FROM sale_2024")


@pytest.mark.parametrize("key", ["PRIMARY KEY", "NOT NULL"])
@pytest.mark.parametrize("mode", ["deferred", "immediate"])
def test_a_merge_that_inserts_some_rows_and_updates_others_is_followed(
    database: Database, mode: str, key: str
) -> None:
    """PostgreSQL by itself shows the inserted row in place of each updated one (seen in 18.6)."""
    database.execute(f"""
        CREATE TABLE part (id integer {key}, kind text NOT NULL) PARTITION BY RANGE (id);
        CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (MINVALUE) TO (5);
        CREATE TABLE part_high (kind text NOT NULL, id integer NOT NULL);
        ALTER TABLE part ATTACH PARTITION part_high FOR VALUES FROM (5) TO (MAXVALUE);
        INSERT INTO part VALUES (3, 'a'), (5, 'b'), (7, 'b'), (8, 'b');
    """)
    for source in ("part", "part_high"):
        database.tview(
            f"SELECT kind, count(*) AS n FROM {source} GROUP BY kind",
            "kind text, n bigint",
            "kind",
            table=f"kinds_of_{source}",
            mode=mode,
        )
    for rows, changes, inserted in (
        ("(4, 'a'), (5, 'c'), (7, 'c')", "kind = new.kind", "new.id"),
        ("(2, 'b'), (7, 'd')", "kind = new.kind", "new.id"),
        ("(1, 'e'), (3, 'e'), (8, 'e')", "id = part.id + 100, kind = new.kind", "new.id"),
        # What is inserted has the keys that what is updated had: nothing of it looks wrong.
        ("(7, 'f'), (-3, 'g'), (5, 'f'), (-5, 'g')", "id = part.id + 100", "new.id + 10"),
    ):
        database.run(
            f"MERGE INTO part USING (VALUES {rows}) AS new (id, kind) ON part.id = new.id "
            f"WHEN MATCHED THEN UPDATE SET {changes} "
            f"WHEN NOT MATCHED THEN INSERT VALUES ({inserted}, new.kind)"
        )


def test_a_merge_is_followed_where_a_partitioned_table_became_a_partition(sales: Database) -> None:
    sales.execute("""
        CREATE TABLE every_sale (LIKE sale) PARTITION BY RANGE (year);
        ALTER TABLE every_sale ATTACH PARTITION sale FOR VALUES FROM (2000) TO (2100);
        CREATE TABLE every_sale_before PARTITION OF every_sale FOR VALUES FROM (1900) TO (2000);
    """)
    aligned(sales)
    sales.run(
        # In this order: the inserted row first.
        "SET enable_hashjoin = off; SET enable_mergejoin = off",
        "MERGE INTO every_sale USING (VALUES (500, 1950), (501, 2024), (502, 2024)) AS new (id, year)"
        " ON every_sale.year = new.year "
        "WHEN MATCHED AND new.id = 501 THEN UPDATE SET id = every_sale.id + 100 "
        "WHEN MATCHED THEN DO NOTHING "
        "WHEN NOT MATCHED THEN INSERT (id, year, region, amount) VALUES (new.id, new.year, 'eu', 1)",
    )
