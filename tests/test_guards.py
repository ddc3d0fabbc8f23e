"""Who may write what, whose rights and settings count, and what survives DROP and pg_restore."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from django.db import DatabaseError

from django_tviews import health, installer, registry
from django_tviews.errors import (
    ColumnMismatch,
    DependencyResolutionFailed,
    ExtensionMissing,
    IsolationUnsupported,
    KeyNotUnique,
    KeyNull,
    OutdatedTView,
    RefreshFailed,
    TViewAlreadyExists,
    TViewError,
    TViewReadOnly,
    UnsupportedQuery,
)
from django_tviews.plan.plan import MAINTENANCE_ENVIRONMENT
from django_tviews.sql.shared import RING_CELLS
from django_tviews.synchronization import sync
from tests.dumps import cluster_of_its_own, dump, empty_database, psql, restore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness import Database


@pytest.fixture
def shop(database: Database) -> Database:
    """Suppliers, products and stock under a card and a TView over it."""
    database.execute("""
        CREATE TABLE supplier (id integer PRIMARY KEY, name text NOT NULL);
        CREATE TABLE product (id integer PRIMARY KEY, name text NOT NULL,
            added timestamptz NOT NULL DEFAULT '2024-06-01 12:00+00',
            supplier_id integer REFERENCES supplier ON DELETE SET NULL);
        CREATE TABLE stock (id integer PRIMARY KEY, amount integer,
            product_id integer REFERENCES product ON DELETE CASCADE);
        INSERT INTO supplier VALUES (1, 'acme'), (2, 'best');
        INSERT INTO product (id, name, supplier_id) VALUES (1, 'a', 1), (2, 'b', NULL), (3, 'c', 2);
        INSERT INTO stock VALUES (1, 5, 1), (2, 7, 1), (3, NULL, 2);
    """)
    database.tview(
        "SELECT p.id, p.name, s.name AS supplier, "
        "(SELECT coalesce(sum(t.amount), 0) FROM stock t WHERE t.product_id = p.id) AS amount "
        "FROM product p LEFT JOIN supplier s ON s.id = p.supplier_id",
        "id integer, name text, supplier text NULL, amount bigint",
        table="card",
    )
    database.tview(
        "SELECT coalesce(supplier, 'none') AS supplier, sum(amount) AS amount, count(*) AS n "
        "FROM card GROUP BY coalesce(supplier, 'none')",
        "supplier text, amount numeric, n bigint",
        "supplier",
        table="board",
    )
    return database


WRITES = (
    "INSERT INTO product (id, name, supplier_id) VALUES (9, 'i', 2)",
    "UPDATE supplier SET name = upper(name)",
    "UPDATE stock SET product_id = 3 WHERE id < 3",
    "WITH s AS (UPDATE supplier SET name = 'x' || id RETURNING 1) DELETE FROM stock WHERE id = 1",
    "INSERT INTO stock VALUES (2, 1, 1), (20, 2, 1) ON CONFLICT (id) "
    "DO UPDATE SET amount = excluded.amount",
    "DELETE FROM supplier WHERE id = 2",
    "DELETE FROM product WHERE id = 1",
    "TRUNCATE stock",
)


class TestWritesToATView:
    @pytest.mark.parametrize(
        "write",
        [
            "INSERT INTO card VALUES (100, 'x', NULL, 0)",
            "UPDATE card SET amount = 0",
            "UPDATE card SET amount = 0 WHERE false",
            "DELETE FROM card WHERE id = 1",
            "DELETE FROM card",
            "MERGE INTO card USING (VALUES (1)) AS s (id) ON s.id = card.id "
            "WHEN MATCHED THEN UPDATE SET amount = 0",
            "WITH u AS (UPDATE card SET amount = 0 RETURNING 1) SELECT 1",
            "INSERT INTO card VALUES (1, 'x', NULL, 0) ON CONFLICT DO NOTHING",
            "UPDATE board SET n = 0",
        ],
    )
    def test_sql_is_refused_with_42809(self, shop: Database, write: str) -> None:
        with pytest.raises(DatabaseError) as refusal:
            shop.execute(write)
        cause = refusal.value.__cause__
        assert isinstance(cause, psycopg.Error)
        assert cause.sqlstate == "42809"
        assert cause.diag.schema_name == shop.schema
        assert cause.diag.table_name in ("card", "board")
        assert "write to the tables the query reads" in (cause.diag.message_hint or "")
        assert isinstance(TViewError.from_database_error(refusal.value), TViewReadOnly)
        shop.check(write)

    def test_copy_is_refused(self, shop: Database) -> None:
        with (
            pytest.raises(psycopg.errors.WrongObjectType),
            shop.connection.cursor() as cursor,
            cursor.copy("COPY card FROM STDIN") as copy,
        ):
            copy.write_row((100, "x", None, 0))

    def test_an_owner_who_is_no_superuser_is_refused_too(self, shop: Database) -> None:
        owner = shop.create_role()
        shop.execute(f"ALTER TABLE card OWNER TO {owner}")
        with shop.role(owner), pytest.raises(DatabaseError, match="cannot change TView"):
            shop.execute("UPDATE card SET amount = 0")

    def test_locking_rows_of_a_tview_is_allowed(self, shop: Database) -> None:
        with shop.transaction():
            assert len(shop.execute("SELECT id FROM card FOR UPDATE")) == 3
            shop.run("UPDATE product SET name = 'locked'")

    def test_a_foreign_key_to_a_tview_follows_its_rows(self, shop: Database) -> None:
        shop.execute("CREATE TABLE favourite (card_id integer REFERENCES card ON DELETE CASCADE)")
        shop.execute("INSERT INTO favourite VALUES (1), (2)")
        shop.run("DELETE FROM product WHERE id = 1", "UPDATE product SET name = 'z'")
        assert shop.execute("SELECT card_id FROM favourite") == [(2,)]


class TestOtherRoles:
    @pytest.fixture
    def writer(self, shop: Database) -> str:
        name = shop.create_role()
        shop.execute(
            f"GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON supplier, product, stock TO {name}"
        )
        return name

    def test_a_writer_of_the_base_tables_needs_no_right_on_tviews(
        self, shop: Database, writer: str
    ) -> None:
        for statement in WRITES:
            with shop.role(writer):
                shop.execute(statement)
                with (
                    shop.transaction(),
                    pytest.raises(DatabaseError, match="permission denied"),
                    shop.transaction(),
                ):
                    shop.execute("SELECT * FROM card")
            shop.check(statement)

    def test_a_role_without_rights_sees_none_of_our_objects(
        self, shop: Database, writer: str
    ) -> None:
        functions = shop.execute(
            "SELECT oid::regprocedure::text, proname FROM pg_proc WHERE pronamespace = "
            "current_schema()::regnamespace AND prokind = 'f'"
        )
        assert len(functions) > 20
        with shop.role(writer):
            for signature, _ in functions:
                assert not shop.value(
                    "SELECT has_function_privilege(%s::regprocedure, 'EXECUTE')", signature
                ), signature
            for table in ("registry", "spool", "refresh"):
                for right in ("SELECT", "INSERT", "UPDATE", "DELETE"):
                    name = f"django_tviews_{table}"
                    assert not shop.value("SELECT has_table_privilege(%s, %s)", name, right), name
            for view in ("card_query", "board_query"):
                assert not shop.value("SELECT has_table_privilege(%s, 'SELECT')", view)

    def test_a_stranger_cannot_attach_our_functions(self, shop: Database, writer: str) -> None:
        shop.execute(f"GRANT CREATE ON SCHEMA {shop.schema} TO {writer}")
        with shop.role(writer):
            shop.execute("CREATE TABLE mine (LIKE product)")
            for (function,) in shop.execute(
                "SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace "
                "AND prorettype = 'trigger'::regtype"
            ):
                with pytest.raises(DatabaseError, match="permission denied"):
                    shop.execute(
                        "CREATE TRIGGER forged AFTER INSERT ON mine "
                        f"REFERENCING NEW TABLE AS new_rows EXECUTE FUNCTION {function}()"
                    )

    def test_an_attached_function_refuses_to_run_where_acls_were_lost(
        self, shop: Database, writer: str
    ) -> None:
        # As after pg_restore --no-acl: everybody may execute everything.
        shop.execute(f"GRANT CREATE ON SCHEMA {shop.schema} TO {writer}")
        shop.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {shop.schema} TO PUBLIC")
        with shop.role(writer):
            shop.execute("CREATE TABLE mine (LIKE product)")
            for event, tables in (
                ("INSERT", "REFERENCING NEW TABLE AS new_rows"),
                ("UPDATE", "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows"),
                ("DELETE", "REFERENCING OLD TABLE AS old_rows"),
                ("TRUNCATE", ""),
            ):
                function = "tviews_card_" + (
                    "truncated" if event == "TRUNCATE" else f"on_product_{event.lower()}"
                )
                shop.execute(
                    f"CREATE TRIGGER forged AFTER {event} ON mine {tables} "
                    f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
                )
                write = {
                    "INSERT": "INSERT INTO mine VALUES (666, 'forged', now(), NULL)",
                    "UPDATE": "UPDATE mine SET name = 'forged'",
                    "DELETE": "DELETE FROM mine",
                    "TRUNCATE": "TRUNCATE mine",
                }[event]
                with pytest.raises(DatabaseError) as refusal:
                    shop.execute(write)
                assert refusal.value.__cause__.sqlstate == "42501"  # type: ignore[union-attr]
                shop.execute("DROP TRIGGER forged ON mine")
        shop.check("the forgery")

    def test_everything_works_without_any_superuser(self, database: Database) -> None:
        owner, writer = database.create_role(), database.create_role()
        schema = f"{database.schema}_plain"
        database.execute(f"CREATE SCHEMA {schema} AUTHORIZATION {owner}")
        try:
            database.execute(f"SET ROLE {owner}")
            database.execute(f"SET search_path = {schema}")
            with database.connection.schema_editor() as editor:
                installer.install_runtime(editor)
            database.execute(f"""
                CREATE TABLE p (id integer PRIMARY KEY, name text NOT NULL);
                CREATE TABLE c (id integer PRIMARY KEY, p_id integer REFERENCES p ON DELETE CASCADE);
                GRANT USAGE ON SCHEMA {schema} TO {writer};
                GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON p, c TO {writer};
            """)
            database.tview(
                "SELECT p.id, p.name, count(c.id) AS n FROM p LEFT JOIN c ON c.p_id = p.id "
                "GROUP BY p.id",
                "id integer, name text, n bigint",
                table="counted",
            )
            database.tview(
                "SELECT n, count(*) AS parents FROM counted GROUP BY n",
                "n bigint, parents bigint",
                "n",
            )
            for statement in (
                "INSERT INTO p VALUES (1, 'a'), (2, 'b')",
                "INSERT INTO c VALUES (1, 1), (2, 1), (3, 2)",
                "UPDATE c SET p_id = 2",
                "DELETE FROM p WHERE id = 2",
                "TRUNCATE p, c",
            ):
                database.execute(f"SET ROLE {writer}")
                database.execute(statement)
                database.execute(f"SET ROLE {owner}")
                database.check(statement)
            database.drop(database.tviews[1].declaration)
            database.drop(database.tviews[0].declaration)
        finally:
            database.execute("RESET ROLE")
            database.execute(f"SET search_path = {database.schema}, public")
            database.execute(f"DROP SCHEMA {schema} CASCADE")

    @pytest.mark.parametrize("mode", ["immediate", "deferred"])
    @pytest.mark.parametrize("options", ["", "SUPERUSER"])
    def test_who_migrates_need_not_be_who_migrated_first(
        self, database: Database, options: str, mode: str
    ) -> None:
        first, second, writer = (database.create_role(each) for each in ("", options, ""))
        database.execute(f"GRANT {first} TO {second}")
        schema = f"{database.schema}_shared"
        database.execute(f"CREATE SCHEMA {schema} AUTHORIZATION {first}")
        try:
            database.execute(f"SET ROLE {first}")
            database.execute(f"SET search_path = {schema}")
            with database.connection.schema_editor() as editor:
                installer.install_runtime(editor)
            database.execute(f"""
                CREATE TABLE p (id integer PRIMARY KEY, name text NOT NULL);
                CREATE TABLE c (id integer PRIMARY KEY, p_id integer REFERENCES p ON DELETE CASCADE);
                INSERT INTO p VALUES (1, 'a'), (2, 'b');
                INSERT INTO c VALUES (1, 1), (2, 1), (3, 2);
                GRANT USAGE ON SCHEMA {schema} TO {writer};
                GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON p, c TO {writer};
            """)
            database.execute(f"SET ROLE {second}")
            tview = database.tview(
                "SELECT p.id, p.name, (SELECT count(*) FROM c WHERE c.p_id = p.id) AS n FROM p",
                "id integer, name text, n bigint",
                mode=mode,
            )
            for statement in (
                "UPDATE p SET name = 'x' WHERE id = 1",
                "WITH moved AS (UPDATE c SET p_id = 2 WHERE id = 1 RETURNING p_id) "
                "UPDATE p SET name = 'y' FROM moved WHERE p.id = moved.p_id",
                "DELETE FROM p WHERE id = 2",
                "TRUNCATE c",
            ):
                database.execute(f"SET ROLE {writer}")
                database.execute(statement)
                database.execute(f"SET ROLE {second}")
                database.check(statement)
            # As after ALTER FUNCTION ... OWNER TO, which takes the right along.
            drain = f"tviews_{tview.table}_drain()"
            database.execute(f"REVOKE EXECUTE ON FUNCTION {drain} FROM {first}")
            message = f"the owner of what TViews share may not execute function {schema}.{drain}."
            assert message in [problem.message for problem in health.check(tview.label)]
            sync(tview.label)
            database.execute(f"SET ROLE {writer}")
            database.execute("INSERT INTO c VALUES (7, 1) ON CONFLICT (id) DO UPDATE SET p_id = 1")
            database.execute(f"SET ROLE {second}")
            database.check("an upsert")
        finally:
            database.execute("RESET ROLE")
            database.execute(f"SET search_path = {database.schema}, public")
            database.execute(f"DROP SCHEMA {schema} CASCADE")


class TestRowLevelSecurity:
    def test_what_the_writer_may_see_makes_no_difference(self, shop: Database) -> None:
        writer = shop.create_role()
        shop.execute(f"""
            GRANT SELECT, INSERT, UPDATE, DELETE ON supplier, product, stock TO {writer};
            ALTER TABLE product ENABLE ROW LEVEL SECURITY;
            ALTER TABLE supplier ENABLE ROW LEVEL SECURITY;
            ALTER TABLE card ENABLE ROW LEVEL SECURITY;
            CREATE POLICY one_row ON product USING (id = 1) WITH CHECK (true);
            CREATE POLICY no_row ON supplier USING (false) WITH CHECK (true);
        """)
        for statement in (
            "UPDATE product SET name = 'mine'",
            "INSERT INTO product (id, name, supplier_id) VALUES (50, 'new', 1)",
            "INSERT INTO supplier VALUES (51, 'unseen')",
            "UPDATE stock SET product_id = 2",
        ):
            with shop.role(writer):
                shop.execute(statement)
            shop.check(statement)
        assert shop.value("SELECT supplier FROM card WHERE id = 50") == "acme"

    @contextmanager
    def owned(self, database: Database) -> Iterator[str]:
        """A plain role that owns a schema of its own, current inside."""
        owner = database.create_role()
        schema = f"{database.schema}_owned"
        database.execute(f"CREATE SCHEMA {schema} AUTHORIZATION {owner}")
        try:
            database.execute(f"SET ROLE {owner}")
            database.execute(f"SET search_path = {schema}")
            with database.connection.schema_editor() as editor:
                installer.install_runtime(editor)
            database.execute("CREATE TABLE t (id integer PRIMARY KEY, tenant integer)")
            database.execute("CREATE POLICY p ON t USING (tenant = 1) WITH CHECK (true)")
            yield owner
        finally:
            database.execute("RESET ROLE")
            database.execute(f"SET search_path = {database.schema}, public")
            database.execute(f"DROP SCHEMA {schema} CASCADE")

    def test_a_table_that_filters_its_owner_is_refused(self, database: Database) -> None:
        with self.owned(database):
            database.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
            with pytest.raises(UnsupportedQuery) as refusal:
                database.tview("SELECT id FROM t", "id integer")
            assert refusal.value.context["construct"] == "row-security"

    def test_a_table_of_another_owner_under_row_security_is_refused(
        self, database: Database
    ) -> None:
        with self.owned(database) as owner:
            database.execute("RESET ROLE")
            database.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY")
            database.execute("ALTER TABLE t OWNER TO current_user")
            database.execute(f"GRANT ALL ON t TO {owner}")
            database.execute(f"SET ROLE {owner}")
            with pytest.raises(UnsupportedQuery) as refusal:
                database.tview("SELECT id FROM t", "id integer")
            assert refusal.value.context["construct"] == "row-security"

    def test_filtering_the_owner_later_fails_writes_and_never_filters(
        self, database: Database
    ) -> None:
        with self.owned(database):
            database.tview("SELECT id, tenant FROM t", "id integer, tenant integer NULL")
            database.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY")
            database.run("INSERT INTO t VALUES (1, 1), (2, 2)")
            database.execute("ALTER TABLE t FORCE ROW LEVEL SECURITY")
            with pytest.raises(DatabaseError, match="row-level security"):
                database.execute("INSERT INTO t VALUES (3, 1), (4, 2)")
            database.execute("ALTER TABLE t NO FORCE ROW LEVEL SECURITY")
            database.check("the refusal")


@pytest.mark.parametrize(
    "setting",
    [
        "TimeZone = 'Pacific/Chatham'",
        "DateStyle = 'SQL, DMY'",
        "IntervalStyle = 'iso_8601'",
        "extra_float_digits = -10",
        "bytea_output = 'escape'",
        "search_path = ''",
        "search_path = pg_temp",
        "standard_conforming_strings = off",
        "transform_null_equals = on",
        "default_text_search_config = 'pg_catalog.german'",
        "xmlbinary = 'hex'",
        "array_nulls = off",
        "enable_hashjoin = off",
        "plan_cache_mode = force_generic_plan",
        "row_security = off",
        "client_encoding = 'LATIN1'",
        "lc_messages = 'C'",
    ],
)
def test_settings_of_the_session_make_no_difference(database: Database, setting: str) -> None:
    database.execute("""
        CREATE TABLE t (id integer PRIMARY KEY, at timestamptz, gap interval, f double precision,
            raw bytea, price numeric, label text);
        INSERT INTO t VALUES (1, '2024-01-31 23:30+00', '1 day 2 hours', 0.1, '\\x00ff', 1.5, 'x');
    """)
    database.tview(
        "SELECT id, jsonb_build_object('at', at, 'gap', gap, 'f', f, 'raw', raw) AS data, "
        "at::text AS at_text, at::date AS day, date_trunc('day', at) AS midnight, "
        "to_char(at, 'YYYY-MM-DD HH24:MI TZ') AS shown, gap::text AS gap_text, f::text AS f_text, "
        "concat(at, gap, f, raw) AS joined, ARRAY[label, NULL]::text AS list, "
        "extract(hour FROM at) AS hour, label = 'x' AS same, label LIKE E'a\\\\b' AS odd FROM t",
        "id integer, data jsonb, at_text text NULL, day date NULL, midnight timestamptz NULL, "
        "shown text NULL, gap_text text NULL, f_text text NULL, joined text, list text NULL, "
        "hour numeric NULL, same boolean NULL, odd boolean NULL",
    )
    database.tview(
        "SELECT date_trunc('month', at) AS month, count(*) AS n FROM t WHERE at IS NOT NULL "
        "GROUP BY date_trunc('month', at)",
        "month timestamptz, n bigint",
        "month",
    )
    database.execute(f"SET {setting}")
    schema = database.schema
    for statement in (
        f"INSERT INTO {schema}.t SELECT g, '2024-03-31 22:30+00', '30 days', g / 3.0, 'abc', g, 'a\\b' "
        "FROM generate_series(2, 5) AS g",
        f"UPDATE {schema}.t SET at = at + '1 hour'::interval, f = f / 7",
        f"WITH u AS (UPDATE {schema}.t SET gap = '1 mon -1 day' WHERE id = 2 RETURNING 1) "
        f"DELETE FROM {schema}.t WHERE id = 3",
        f"TRUNCATE {schema}.t",
        f"INSERT INTO {schema}.t (id, at) VALUES (1, '2024-01-01 00:00+00')",
    ):
        database.execute(statement)
        database.execute(f"SET search_path = {schema}, public")
        database.check(f"SET {setting}; {statement}")
        database.execute(f"SET {setting}")


# Each with a value that a session may have instead.
@pytest.mark.parametrize(
    ("setting", "other"),
    [
        ("TimeZone", "Pacific/Chatham"),
        ("DateStyle", "SQL, DMY"),
        ("IntervalStyle", "iso_8601"),
        ("extra_float_digits", "-10"),
        ("bytea_output", "escape"),
        ("lc_monetary", "POSIX"),
        ("lc_numeric", "POSIX"),
        ("lc_time", "POSIX"),
        ("array_nulls", "off"),
        ("xmloption", "document"),
        ("quote_all_identifiers", "on"),
        ("gin_fuzzy_search_limit", "7"),
        ("row_security", "on"),
        ("timezone_abbreviations", "Australia"),
    ],
)
def test_functions_of_the_project_run_in_the_maintenance_environment(
    database: Database, setting: str, other: str
) -> None:
    # It is not what it is declared to be, so that it tells where it is called.
    database.execute(f"""
        CREATE FUNCTION seen(id integer) RETURNS text IMMUTABLE LANGUAGE plpgsql
            AS $$ BEGIN RETURN current_setting('{setting}'); END $$;
        CREATE TABLE t (id integer PRIMARY KEY);
        INSERT INTO t VALUES (1);
    """)
    tview = database.tview("SELECT id, seen(id) AS seen FROM t", "id integer, seen text NULL")
    database.execute(f"SET {setting} = '{other}'")
    database.run("INSERT INTO t VALUES (2)")
    assert {seen for _, seen in database.rows(tview)} == {dict(MAINTENANCE_ENVIRONMENT)[setting]}


def test_functions_that_the_writer_puts_before_those_of_postgresql_are_not_called(
    maintained: Database,
) -> None:
    schema = maintained.schema
    maintained.execute("""
        CREATE TABLE parent (id integer PRIMARY KEY, name text NOT NULL);
        CREATE TABLE child (id integer PRIMARY KEY, parent_id integer NOT NULL);
        INSERT INTO parent VALUES (1, 'a'), (2, 'b');
        INSERT INTO child VALUES (1, 1), (2, 2);
    """)
    maintained.tview(
        "SELECT c.id, p.name FROM child c JOIN parent p ON p.id = c.parent_id",
        "id integer, name text",
    )
    maintained.execute("""
        CREATE FUNCTION record_image_ne(record, record) RETURNS boolean LANGUAGE plpgsql
            AS 'BEGIN RETURN false; END';
        CREATE FUNCTION unnest(integer[]) RETURNS SETOF integer LANGUAGE sql
            AS 'SELECT 0 WHERE false';
        CREATE FUNCTION current_setting(text, boolean) RETURNS text LANGUAGE sql
            AS $$ SELECT '9' $$;
    """)
    for statement in (
        f"UPDATE {schema}.parent SET name = name || '!'",
        f"DELETE FROM {schema}.child WHERE id = 1",
        f"WITH moved AS (UPDATE {schema}.parent SET id = 3 WHERE id = 2 RETURNING id) "
        f"UPDATE {schema}.child SET parent_id = moved.id FROM moved",
    ):
        maintained.execute(f"SET search_path = {schema}, pg_catalog")
        maintained.execute(statement)
        maintained.execute(f"SET search_path = pg_catalog, {schema}, public")
        maintained.check(statement)


class TestErrorsOfAWrite:
    """What cannot be known beforehand fails the write cleanly, with a name."""

    @pytest.fixture
    def family(self, maintained: Database) -> Database:
        maintained.execute("""
            CREATE TABLE parent (id integer PRIMARY KEY, name text);
            CREATE TABLE child (id integer PRIMARY KEY, parent_id integer, name text);
            INSERT INTO parent VALUES (1, 'a'), (2, 'b');
            INSERT INTO child VALUES (1, 1, 'b'), (2, 2, 'c');
        """)
        return maintained

    @pytest.mark.parametrize("union", ["", " UNION ALL SELECT -1, NULL, NULL WHERE false"])
    @pytest.mark.parametrize(
        "write",
        [
            "INSERT INTO child VALUES (9, 1, 'z')",
            "INSERT INTO child VALUES (9, 1, 'A')",
            "INSERT INTO child VALUES (0, 1, 'z')",
            # What is there already looks like each of the two.
            "INSERT INTO child VALUES (9, 1, 'b'), (10, 2, 'c')",
            "UPDATE child SET parent_id = 1",
            "UPDATE child SET parent_id = 1, name = 'other' || id",
            "WITH a AS (UPDATE parent SET name = 'x' RETURNING 1) "
            "INSERT INTO child VALUES (9, 1, 'z')",
        ],
    )
    def test_a_key_that_comes_twice(self, family: Database, write: str, union: str) -> None:
        tview = family.tview(
            "SELECT p.id, p.name, c.name AS child FROM parent p "
            f"LEFT JOIN child c ON c.parent_id = p.id{union}",
            "id integer, name text NULL, child text NULL",
            allow_rebuild=True,
        )
        with pytest.raises(DatabaseError) as refusal:
            family.execute(write)
        error = TViewError.from_database_error(refusal.value)
        assert isinstance(error, KeyNotUnique)
        assert error.hint
        family.check("the refusal")
        family.run("DELETE FROM child WHERE id = 1", "INSERT INTO child VALUES (5, 1, 'fine')")
        assert len(family.rows(tview)) == 2

    def test_a_key_that_comes_twice_in_a_rebuild_that_writes_neither_row(
        self, family: Database
    ) -> None:
        family.execute("ALTER TABLE parent DROP CONSTRAINT parent_pkey")
        family.tview(
            "SELECT id, name FROM parent ORDER BY id, name LIMIT 9",
            "id integer, name text NULL",
            allow_rebuild=True,
        )
        with pytest.raises(DatabaseError) as refusal:
            family.execute("INSERT INTO parent VALUES (1, 'a')")
        assert isinstance(TViewError.from_database_error(refusal.value), KeyNotUnique)
        family.check("the refusal")

    def test_a_value_that_is_null_after_all(self, family: Database) -> None:
        # Declared NOT NULL by hand, behind the back of the declaration.
        family.tview(
            "SELECT p.id, p.name FROM parent p",
            "id integer, name text NULL",
            constraints=("CONSTRAINT named CHECK (name IS NOT NULL)",),
        )
        family.execute("ALTER TABLE tview_1 ALTER COLUMN name SET NOT NULL")
        with pytest.raises(DatabaseError) as refusal:
            family.execute("UPDATE parent SET name = NULL WHERE id = 1")
        error = TViewError.from_database_error(refusal.value)
        assert isinstance(error, KeyNull)
        assert error.context["column"] == "name"
        family.check("the refusal")

    @pytest.mark.parametrize(
        ("expression", "type_sql", "write"),
        [
            ("100 / length(p.name)", "integer", "UPDATE parent SET name = '' WHERE id = 1"),
            ("p.name", "varchar(3)", "INSERT INTO parent VALUES (3, 'four')"),
            # Cut off, these would be what is there already.
            ("p.name", "varchar(1)", "UPDATE parent SET name = name || 'x'"),
            ("ARRAY[p.name]", "varchar(1)[]", "UPDATE parent SET name = name || 'x'"),
            ("p.name", "char(1)", "UPDATE parent SET name = name || 'x'"),
            ("p.name", "VARCHAR(1)", "UPDATE parent SET name = name || 'x'"),
            ("p.name", "short", "UPDATE parent SET name = name || 'x'"),
            ("p.id * 1000000000", "integer", "UPDATE parent SET id = 9 WHERE id = 2"),
            ("p.id::numeric ^ 9", "numeric(5, 2)", "INSERT INTO parent VALUES (99, 'x')"),
            ("p.name::integer + 1", "integer", "UPDATE parent SET name = 'seven'"),
            (
                "(SELECT c.name FROM child c WHERE c.parent_id = p.id)",
                "text",
                "UPDATE child SET parent_id = 1",
            ),
        ],
    )
    def test_a_value_that_cannot_be_computed_or_stored(
        self, family: Database, expression: str, type_sql: str, write: str
    ) -> None:
        family.execute("UPDATE parent SET name = id; CREATE DOMAIN short AS varchar(1)")
        family.tview(
            f"SELECT p.id, {expression} AS v FROM parent p", f"id integer, v {type_sql} NULL"
        )
        with pytest.raises(DatabaseError) as refusal:
            family.execute(write)
        assert isinstance(TViewError.from_database_error(refusal.value), RefreshFailed)
        family.check("the refusal")
        family.run("UPDATE parent SET name = '8' WHERE id = 1", "DELETE FROM child")

    @pytest.mark.parametrize(
        ("part", "fails"), [("100 / i.size", True), ("100 / NULLIF(i.size, 0)", False)]
    )
    def test_a_key_that_a_condition_on_another_table_guards(
        self, database: Database, part: str, fails: bool
    ) -> None:
        database.execute("""
            CREATE TABLE shop (id integer PRIMARY KEY, sells boolean);
            CREATE TABLE item (id integer PRIMARY KEY, shop_id integer, size integer NOT NULL);
            INSERT INTO shop VALUES (1, true), (2, false);
            INSERT INTO item VALUES (1, 1, 20);
        """)
        database.tview(
            f"SELECT COALESCE({part}, 0) AS id, count(*) AS n, 7 / max(i.size) AS shown "
            f"FROM item i JOIN shop s ON s.id = i.shop_id WHERE s.sells GROUP BY 1",
            "id integer, n bigint, shown integer NULL",
        )
        write = "INSERT INTO item VALUES (2, 2, 0)"
        if fails:
            with pytest.raises(DatabaseError) as refusal:
                database.execute(write)
            error = TViewError.from_database_error(refusal.value)
            assert isinstance(error, RefreshFailed)
            assert "for every row of its sources" in error.hint
            database.check("the refusal")
        else:
            database.run(write, "UPDATE item SET size = size + 1")
        database.run("INSERT INTO item VALUES (3, 1, 20)")

    def test_an_error_of_the_drain_at_the_end_of_a_cascade(self, family: Database) -> None:
        family.tview(
            "SELECT p.id, 10 / (SELECT count(*) FROM child c WHERE c.parent_id = p.id) AS v FROM parent p",
            "id integer, v bigint NULL",
        )
        with pytest.raises(DatabaseError) as refusal:
            family.execute(
                "WITH d AS (DELETE FROM child WHERE id = 1 RETURNING 1) "
                "UPDATE parent SET name = 'x' WHERE id = 2"
            )
        assert isinstance(TViewError.from_database_error(refusal.value), RefreshFailed)
        family.check("the refusal")
        with family.transaction():
            with pytest.raises(DatabaseError), family.transaction():
                family.execute("DELETE FROM child")
            family.run("INSERT INTO child VALUES (3, 1, 'more')")

    def test_an_error_of_a_table_of_the_project_is_none_of_ours(self, family: Database) -> None:
        family.tview("SELECT id FROM parent", "id integer")
        with pytest.raises(DatabaseError) as failure:
            family.execute("INSERT INTO parent VALUES (1, 'again')")
        assert TViewError.from_database_error(failure.value) is None


class TestInstalling:
    """All of a TView or nothing."""

    @pytest.mark.parametrize(
        ("value", "type_sql", "extension"),
        [
            ("metaphone(name, 4)", "text", ""),
            ("hstore(name, name)::text", "text", "hstore"),
            ("name", "citext", "citext"),
        ],
    )
    def test_an_extension_that_is_missing_is_named(
        self, database: Database, value: str, type_sql: str, extension: str
    ) -> None:
        database.execute("CREATE TABLE t (id integer PRIMARY KEY, name text)")
        declaration = database.declare(
            f"SELECT id, {value} AS v FROM t", f"id integer, v {type_sql} NULL"
        )
        with (
            database.transaction(),
            pytest.raises((ExtensionMissing, DatabaseError)) as refusal,
            database.transaction(),
        ):
            database.install(declaration)
        assert isinstance(refusal.value, ExtensionMissing) is bool(extension)
        assert extension in str(refusal.value)
        assert database.value("SELECT count(*) FROM django_tviews_registry") == 0

    @pytest.mark.parametrize("taken", ["card", "card_query"])
    def test_a_name_that_something_else_has_is_named(self, database: Database, taken: str) -> None:
        database.execute("CREATE TABLE t (id integer PRIMARY KEY)")
        database.execute(f"CREATE TABLE {taken} (id integer)")
        with pytest.raises(TViewAlreadyExists, match=f'tests.card .* relation "{taken}" already'):
            database.tview("SELECT id FROM t", "id integer", table="card")
        assert database.value("SELECT count(*) FROM django_tviews_registry") == 0

    @pytest.mark.parametrize(
        ("query", "columns", "refusal", "message"),
        [
            ("SELECT id FROM nowhere", "id integer", DependencyResolutionFailed, '"nowhere" does'),
            ("SELECT idd AS id FROM t", "id integer", DependencyResolutionFailed, '"idd" does'),
            ("SELECT id, name FROM t", "id integer, name integer", ColumnMismatch, "of type text"),
            ("SELECT length(name) AS id FROM t", "id integer", KeyNotUnique, r"\(id\) ?= ?\(3\)"),
            ("SELECT id, name FROM t", "id integer, name varchar(2)", RefreshFailed, "too long"),
        ],
    )
    def test_what_the_query_meets_is_told_of_the_tview_made_or_altered(
        self,
        database: Database,
        query: str,
        columns: str,
        refusal: type[TViewError],
        message: str,
    ) -> None:
        database.execute("CREATE TABLE t (id integer PRIMARY KEY, name text NOT NULL)")
        database.execute("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
        refused = database.declare(query, columns, table="card")
        with pytest.raises(refusal, match=f"^tests.card: .*{message}.*") as met:
            database.install(refused)
        assert met.value.tview == "tests.card"
        name = ", 7 AS name" if "name" in columns else ""
        standing = database.tview(f"SELECT id{name} FROM t", columns, table="card")
        with pytest.raises(refusal, match=f"^tests.card: .*{message}.*"):
            database.replace(standing, refused)

    def test_the_key_comes_back_to_its_tablespace(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        space = f"space_{uuid4().hex}"
        database.execute("SET allow_in_place_tablespaces = on")
        database.execute(f"CREATE TABLESPACE {space} LOCATION ''")
        try:
            database.execute("CREATE TABLE t (id integer PRIMARY KEY)")
            there = f"CREATE TABLE card (id integer PRIMARY KEY USING INDEX TABLESPACE {space})"
            monkeypatch.setattr(database, "create_table", lambda *_: there)
            database.tview("SELECT id FROM t", "id integer", table="card")
            assert (
                database.value(
                    "SELECT tablespace FROM pg_indexes WHERE indexname = 'card_pkey' AND schemaname = %s",
                    database.schema,
                )
                == space
            )
        finally:
            database.execute("DROP TABLE IF EXISTS card CASCADE")
            database.execute(f"DROP TABLESPACE {space}")

    def test_a_deferrable_constraint_that_the_contents_break_is_named(
        self, database: Database
    ) -> None:
        database.execute("CREATE TABLE t AS SELECT n AS id, 5 AS v FROM generate_series(1, 2) AS n")
        with pytest.raises(KeyNotUnique, match="card_v"):
            database.tview(
                "SELECT id, v FROM t",
                "id integer NULL, v integer NULL",
                table="card",
                constraints=("CONSTRAINT card_v UNIQUE (v) DEFERRABLE INITIALLY DEFERRED",),
            )
        assert not [name for _, name in self.objects(database) if "card" in name]

    @pytest.mark.parametrize(
        ("query", "columns"),
        [
            ("SELECT id, missing FROM t", "id integer, missing text"),
            ("SELECT id, random() AS r FROM t", "id integer, r double precision"),
            ("SELECT id, name FROM t", "id integer, other text NULL"),
            ("SELECT id, name FROM t", "id integer, name text"),
            ("SELECT 1 / (id - 1) AS id, name FROM t", "id integer, name text NULL"),
            ("SELECT id % 1 AS id, name FROM t", "id integer, name text NULL"),
            ("SELECT id, name FROM t", "id integer, name varchar(2) NULL"),
            ("SELECT id, name FROM t", "id integer, name date NULL"),
        ],
    )
    def test_a_failure_leaves_nothing_behind(
        self, database: Database, query: str, columns: str
    ) -> None:
        database.execute(
            "CREATE TABLE t (id integer PRIMARY KEY, name text); "
            "INSERT INTO t VALUES (1, 'one'), (2, 'two')"
        )
        before = self.objects(database)
        with pytest.raises((TViewError, DatabaseError)):
            database.tview(query, columns)
        assert self.objects(database) == before
        assert registry.installed(database.connection) == []
        database.execute("INSERT INTO t VALUES (3, 'three')")
        database.tview("SELECT id, name FROM t", "id integer, name text NULL")

    def test_an_event_trigger_may_write_to_a_source_meanwhile(self, database: Database) -> None:
        database.execute(f"""
            CREATE TABLE log (id integer PRIMARY KEY, n integer NOT NULL);
            INSERT INTO log VALUES (1, 0);
            CREATE FUNCTION log() RETURNS event_trigger LANGUAGE plpgsql
                SET search_path = {database.schema}
                AS 'BEGIN UPDATE log SET n = n + 1; END';
            CREATE EVENT TRIGGER log ON ddl_command_end EXECUTE FUNCTION log();
        """)
        try:
            tview = database.declare("SELECT id, n FROM log", "id integer, n integer", table="copy")
            database.install_all([tview])
        finally:
            database.execute("DROP EVENT TRIGGER log")
        assert database.rows(tview) == database.execute("SELECT id, n FROM log")
        database.run("UPDATE log SET n = 0")

    def test_a_dropped_tview_leaves_nothing_behind(self, database: Database) -> None:
        database.execute("CREATE TABLE t (id integer PRIMARY KEY, name text)")
        before = self.objects(database)
        tview = database.tview("SELECT id, name FROM t", "id integer, name text NULL")
        assert self.objects(database) != before
        database.drop(tview)
        assert self.objects(database) == before
        assert registry.installed(database.connection) == []

    def test_dropping_the_runtime_leaves_nothing_behind(self, database: Database) -> None:
        with database.connection.schema_editor() as editor:
            installer.drop_runtime(editor)
        assert self.objects(database) == []
        with database.connection.schema_editor() as editor:
            installer.install_runtime(editor)

    @staticmethod
    def objects(database: Database) -> list[tuple[object, ...]]:
        return database.execute("""
            SELECT 'relation', relname::text FROM pg_class
            WHERE relnamespace = current_schema()::regnamespace
            UNION ALL
            SELECT 'function', oid::regprocedure::text FROM pg_proc
            WHERE pronamespace = current_schema()::regnamespace
            UNION ALL
            SELECT 'trigger', tgname || ' on ' || c.relname FROM pg_trigger t
            JOIN pg_class c ON c.oid = t.tgrelid
            WHERE c.relnamespace = current_schema()::regnamespace
            ORDER BY 1, 2
        """)

    @pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
    def test_installing_above_read_committed_is_refused_with_25001(
        self, shop: Database, level: str
    ) -> None:
        shop.execute(f"SET default_transaction_isolation = '{level}'")
        with pytest.raises(IsolationUnsupported) as refusal:
            shop.drop(shop.tviews[-1].declaration)
        assert refusal.value.sqlstate == "25001"
        shop.execute("SET default_transaction_isolation = 'read committed'")
        shop.run("UPDATE product SET name = 'still kept'")


class TestDrop:
    def test_drop_table_is_refused_without_cascade(self, shop: Database) -> None:
        with pytest.raises(DatabaseError) as refusal:
            shop.execute("DROP TABLE board")
        assert refusal.value.__cause__.sqlstate == "2BP01"  # type: ignore[union-attr]
        shop.run("UPDATE product SET name = 'still kept'")

    def test_drop_table_with_cascade_leaves_no_broken_trigger(self, shop: Database) -> None:
        shop.execute("DROP TABLE board CASCADE")
        shop.tviews.pop()
        shop.run(*WRITES)
        shop.execute("DROP TABLE card CASCADE")
        shop.tviews.clear()
        shop.run("INSERT INTO product (id, name) VALUES (70, 'free')", "TRUNCATE product, stock")

    def test_a_source_dropped_with_cascade_makes_later_writes_fail_and_not_drift(
        self, shop: Database
    ) -> None:
        shop.execute("DROP TABLE stock CASCADE")
        with pytest.raises(DatabaseError):
            shop.execute("INSERT INTO product (id, name) VALUES (70, 'x')")
        # Patched from the changed rows, whatever else there is.
        shop.execute("UPDATE product SET name = 'x'")
        assert shop.execute("SELECT DISTINCT name FROM card") == [("x",)]

    def test_a_renamed_tview_or_schema_fails_writes_and_not_silently(self, shop: Database) -> None:
        shop.execute("ALTER TABLE card RENAME TO moved")
        with pytest.raises(DatabaseError):
            shop.execute("UPDATE product SET name = 'x'")
        shop.execute("ALTER TABLE moved RENAME TO card")
        shop.run("UPDATE product SET name = 'y'")


class TestDumpAndRestore:
    """A full pg_dump is a backup: triggers come last, everything works afterwards."""

    @staticmethod
    def verify(restored: Database) -> None:
        restored.execute(f"SET search_path = {restored.schema}, public")
        restored.check("restoring")
        restored.run(*WRITES)
        with pytest.raises(DatabaseError, match="cannot change TView"):
            restored.execute("DELETE FROM card")
        with pytest.raises(DatabaseError, match="other objects depend on it"):
            restored.execute("DROP TABLE board")
        assert [each.label for each in registry.installed(restored.connection)] == [
            "tests.card",
            "tests.board",
        ]
        restored.drop(restored.tviews[-1].declaration)

    @pytest.mark.parametrize("options", [(), ("--no-acl", "--no-owner"), ("--jobs=3",)])
    def test_an_archive(
        self, shop: Database, server_programs: Path, tmp_path: Path, options: tuple[str, ...]
    ) -> None:
        shop.run("UPDATE product SET name = 'dumped'")
        archive = tmp_path / "archive"
        archive.write_bytes(dump(shop, server_programs, "--format=custom"))
        with empty_database(shop) as restored:
            restore(restored, server_programs, archive, *options)
            self.verify(restored)

    def test_a_script(self, shop: Database, server_programs: Path) -> None:
        script = dump(shop, server_programs, "--inserts")
        with empty_database(shop) as restored:
            psql(restored, server_programs, script)
            self.verify(restored)

    @pytest.mark.parametrize("mode", ["immediate", "deferred"])
    def test_a_schema_without_the_registry_fails_writes_and_drifts_not(
        self, shop: Database, server_programs: Path, mode: str
    ) -> None:
        shop.tview("SELECT id, amount FROM stock", "id integer, amount integer NULL", mode=mode)
        schema = dump(shop, server_programs, "--schema-only")
        registry = dump(
            shop, server_programs, "--data-only", f"--table={shop.schema}.django_tviews_registry"
        )
        write = (
            "WITH new AS (INSERT INTO supplier VALUES (1, 'a'), (2, 'b') RETURNING id), "
            "product AS (INSERT INTO product (id, name, supplier_id) SELECT id, 'new', id FROM new "
            "RETURNING id) INSERT INTO stock SELECT id, 10, id FROM product"
        )
        with empty_database(shop) as restored:
            psql(restored, server_programs, schema)
            restored.execute(f"SET search_path = {restored.schema}, public")
            with pytest.raises(DatabaseError, match="is not in the registry") as failure:
                restored.execute(write)
            assert isinstance(TViewError.from_database_error(failure.value), OutdatedTView)
            restored.check("the failure")
            psql(restored, server_programs, registry)
            restored.run(write, "INSERT INTO product VALUES (3, 'third')", *WRITES)

    def test_into_a_cluster_that_has_not_reached_the_numbers_in_the_ring(
        self, shop: Database, server_programs: Path, tmp_path: Path
    ) -> None:
        shop.execute(
            "DO $$ BEGIN FOR number IN 1..5000 LOOP "
            "PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
        )
        shop.run(*(f"UPDATE product SET name = '{number}'" for number in range(RING_CELLS)))
        entered = "SELECT max(writer) FROM django_tviews_ring"
        ended = shop.value(entered)
        archive = tmp_path / "archive"
        archive.write_bytes(dump(shop, server_programs, "--format=custom"))
        with cluster_of_its_own(shop) as restored:
            restore(restored, server_programs, archive)
            restored.execute(f"SET search_path = {restored.schema}, public")
            assert restored.value(entered) == ended
            assert ended > restored.value("SELECT pg_current_xact_id()::text::bigint")
            for level in ("REPEATABLE READ", "SERIALIZABLE"):
                restored.execute(f"SET default_transaction_isolation = '{level}'")
                restored.run("UPDATE product SET name = name || '!' WHERE id = 1")
            restored.execute("RESET default_transaction_isolation")
            self.verify(restored)

    def test_over_what_is_there(self, shop: Database, server_programs: Path) -> None:
        script = dump(shop, server_programs, "--clean", "--if-exists")
        shop.execute("DELETE FROM product; UPDATE supplier SET name = 'to be replaced'")
        psql(shop, server_programs, script)
        self.verify(shop)

    def test_data_alone_is_refused_by_a_live_schema(
        self, shop: Database, server_programs: Path
    ) -> None:
        script = dump(shop, server_programs, "--data-only", "--table=*.card")
        with pytest.raises(subprocess.CalledProcessError) as refusal:
            psql(shop, server_programs, script)
        assert b"cannot change TView" in refusal.value.stderr
        shop.check("the refusal")


PINNED_FORMATS = (
    "SELECT bool_or('TimeZone=UTC' = ANY (proconfig)) FROM pg_proc "
    "WHERE pronamespace = %s::regnamespace AND proname = 'tviews_card_on_t_insert'"
)


@pytest.mark.parametrize(
    ("query", "types"),
    [
        ("SELECT id, at::text AS shown FROM t", "id integer, shown text NULL"),
        ("SELECT id, at AS shown FROM t", "id integer, shown timestamptz NULL"),
        ("SELECT id, f > 0.5 AS shown FROM t", "id integer, shown boolean NULL"),
        ("SELECT id, n::text AS shown FROM t", "id integer, shown text NULL"),
        ("SELECT id, n::double precision::text AS shown FROM t", "id integer, shown text NULL"),
        ("SELECT id, jsonb_build_object('n', n) AS shown FROM t", "id integer, shown jsonb"),
        ("SELECT id, own(n) AS shown FROM t", "id integer, shown integer NULL"),
        ("SELECT id, ARRAY[n] AS shown FROM t", "id integer, shown integer[]"),
        (
            "SELECT id, n AS shown FROM t WHERE at > '2024-01-01+00'",
            "id integer, shown integer NULL",
        ),
        ("SELECT id, shown FROM helper", "id integer, shown text NULL"),
    ],
)
def test_formats_are_pinned_where_a_query_may_depend_on_them(
    database: Database, query: str, types: str
) -> None:
    database.execute("""
        CREATE TABLE t (id integer PRIMARY KEY, at timestamptz, f double precision, n integer);
        CREATE FUNCTION own(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1';
        CREATE VIEW helper AS SELECT id, at::text AS shown FROM t;
    """)
    database.tview(query, types, table="card")
    assert database.value(PINNED_FORMATS, database.schema)


def test_formats_are_not_pinned_where_nothing_depends_on_them(database: Database) -> None:
    database.execute("""
        CREATE TABLE t (id integer PRIMARY KEY, at timestamptz, label text, n integer,
            price numeric(8,2), on_sale boolean, given uuid, more jsonb);
    """)
    database.tview(
        """
        SELECT t.id, lower(t.label) || '{QUERY' AS "{label", t.price * 2 AS price, t.on_sale,
            t.given, t.more, COALESCE(other.n, 0) AS n, other.more -> 'a' AS a,
            (SELECT count(*) FROM t AS same WHERE same.n = t.n) AS same
        FROM t LEFT JOIN t AS other ON other.id = t.n
        WHERE t.label LIKE 'a%' OR t.on_sale
        """,
        'id integer, "{label" text NULL, price numeric NULL, on_sale boolean NULL, '
        "given uuid NULL, more jsonb NULL, n integer, a jsonb NULL, same bigint",
        table="card",
    )
    assert not database.value(PINNED_FORMATS, database.schema)
    database.execute("SET DateStyle = 'SQL, DMY'; SET array_nulls = off; SET lc_numeric = 'C'")
    database.run(
        "INSERT INTO t SELECT g, now(), 'a' || g, g / 2, g / 3.0, g = 2, NULL, "
        "jsonb_build_object('a', g) FROM generate_series(1, 5) AS g",
        "WITH gone AS (DELETE FROM t WHERE id = 1) UPDATE t SET price = price + 1",
    )
