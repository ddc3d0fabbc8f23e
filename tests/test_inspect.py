"""The class that tview_inspect writes is the one that the query needs."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import uuid
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from django_tviews.errors import InvalidQuery, KeyMissing, UnsupportedQuery
from django_tviews.facts import ColumnFacts, Facts, RelationFacts
from django_tviews.inspection import inspect_query
from django_tviews.query import SQLFile
from django_tviews.relational.identity import row_keys
from support.kept_forms import SCHEMA, kept_forms

from .documents import ROOT
from .test_query_reference import WRITES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .harness import Database


@pytest.fixture
def empty_database(server_url: str) -> Iterator[str]:
    """Give the name of a database with nothing in it."""
    name = f"tviews_inspect_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        yield name
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_the_class_for_every_kept_form_passes_the_checks_and_migrates_as_it_is(
    tmp_path: Path, server_url: str, empty_database: str
) -> None:
    (tmp_path / "forms" / "migrations").mkdir(parents=True)
    for name in ("__init__.py", "migrations/__init__.py"):
        (tmp_path / "forms" / name).touch()
    shutil.copyfile(ROOT / "tests" / "forms" / "tables.py", tmp_path / "forms" / "models.py")
    # The others take rows away again.
    (tmp_path / "writes.sql").write_text(";".join(WRITES[:2]))
    for step in ("create", "inspect", "inspect_others", "keep"):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "tests.forms", step, server_url, empty_database],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_the_key_of_every_kept_form_is_certain(database: Database) -> None:
    database.execute(SCHEMA)
    page = next(form for form in kept_forms() if form.table)
    database.execute(f"CREATE VIEW {page.table} AS {page.sql}")
    found = {form.title: inspect_query(form.sql) for form in kept_forms()}
    keys = {title: inspected.key for title, inspected in found.items()}
    assert keys == {form.title: form.key for form in kept_forms()}
    # In these it depends on the values: another row may have the one that COALESCE puts in.
    assert [title for title in found if not found[title].certain] == [
        "FULL JOIN",
        "GROUPING SETS, ROLLUP and CUBE",
    ]


def table(name: str, columns: str, *keys: str) -> RelationFacts:
    """Return a table ``shop.<name>``; a column with a question mark may be NULL."""
    return RelationFacts(
        "shop",
        name,
        columns=tuple(
            ColumnFacts(column.rstrip("?"), "bigint", not_null=not column.endswith("?"))
            for column in columns.split()
        ),
        keys=tuple(tuple(key.split()) for key in keys),
    )


TABLES = [
    table("author", "id name code", "id", "code"),
    table("book", "id title author_id?", "id"),
    table("copy", "shelf number book_id", "shelf number"),
    table("note", "book_id text?"),
    RelationFacts(
        "shop",
        "code",
        columns=(
            ColumnFacts("insensitive", "public.citext", not_null=True),
            ColumnFacts("exact", "text", not_null=True),
            ColumnFacts("short", "integer", not_null=True),
        ),
        keys=(("insensitive",), ("exact",), ("short",)),
    ),
]
FACTS = Facts({("shop", each.name): each for each in TABLES})


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("SELECT b.id, b.title FROM shop.book b", "id"),
        ("SELECT a.name, a.code, a.id FROM shop.author a", "code | id"),
        ("SELECT b.title FROM shop.book b", None),
        ("SELECT n.book_id FROM shop.note n", None),
        ("SELECT c.number, c.shelf FROM shop.copy c", "number shelf"),
        ("SELECT c.number FROM shop.copy c WHERE c.shelf = 3", "number"),
        ("SELECT b.title AS t FROM shop.book b WHERE b.id = 1::bigint", ""),
        # Joins.
        ("SELECT b.id FROM shop.book b JOIN shop.author a ON a.id = b.author_id", "id"),
        ("SELECT b.id FROM shop.book b, shop.author a WHERE b.author_id = a.id", "id"),
        ("SELECT b.id, a.id AS a FROM shop.book b CROSS JOIN shop.author a", "id a"),
        ("SELECT b.id FROM shop.book b CROSS JOIN shop.author a", None),
        ("SELECT a.id FROM shop.author a JOIN shop.book b ON b.author_id = a.id", None),
        ("SELECT a.id FROM shop.author a JOIN shop.book b ON b.author_id > a.id", None),
        ("SELECT b.id, a.id AS a FROM shop.book b JOIN shop.author a ON a.id > b.id", "id a"),
        ("SELECT a.id FROM shop.author a JOIN shop.book b USING (id)", "id"),
        ("SELECT id FROM shop.author JOIN shop.book USING (id)", "id"),
        ("SELECT x.id FROM (shop.author a JOIN shop.book b USING (id)) AS x", None),
        ("SELECT b.id FROM shop.book b LEFT JOIN shop.author a ON a.id = b.author_id", "id"),
        ("SELECT b.id FROM shop.author a RIGHT JOIN shop.book b ON a.id = b.author_id", "id"),
        (
            "SELECT b.id FROM shop.book b LEFT JOIN shop.author a ON a.id = b.author_id AND a.code > 1",
            "id",
        ),
        ("SELECT b.id FROM shop.book b LEFT JOIN shop.copy c ON c.book_id = b.id", None),
        ("SELECT a.id FROM shop.book b LEFT JOIN shop.author a ON a.id = b.author_id", None),
        (
            "SELECT b.id FROM shop.book b LEFT JOIN shop.copy c ON c.book_id = b.id WHERE c.shelf IS NULL AND c.number IS NULL",
            "id",
        ),
        ("SELECT b.id FROM shop.book b FULL JOIN shop.author a ON a.id = b.id", None),
        ("SELECT b.id, a.id AS a FROM shop.book b FULL JOIN shop.author a ON a.id = b.id", "id a"),
        ("SELECT a.id FROM shop.author a WHERE a.id = 1 OR a.code = 2", "id"),
        ("SELECT a.id FROM shop.author a JOIN shop.code c ON c.short = a.id", "id"),
        ("SELECT c.insensitive FROM shop.code c JOIN shop.code d ON d.exact = c.insensitive", None),
        (
            "SELECT x.e FROM (SELECT c.exact AS e FROM shop.code c) x JOIN shop.code d ON d.exact = x.e",
            "e",
        ),
        # Groups.
        ("SELECT b.author_id, count(*) AS n FROM shop.book b GROUP BY b.author_id", "author_id"),
        ("SELECT count(*) AS n FROM shop.book b GROUP BY b.author_id", None),
        ("SELECT count(*) AS n FROM shop.book b", ""),
        ("SELECT 1 AS one FROM shop.book b HAVING count(*) > 1", ""),
        ("SELECT a.id, a.name, count(*) AS n FROM shop.author a GROUP BY a.id, a.name", "id"),
        (
            "SELECT a.name, count(b.id) AS n FROM shop.author a LEFT JOIN shop.book b ON b.author_id = a.id GROUP BY a.code, a.name",
            None,
        ),
        ("SELECT lower(a.name) AS l FROM shop.author a GROUP BY lower(a.name)", "l"),
        ("SELECT a.id FROM shop.author a GROUP BY a.id, lower(a.name)", "id"),
        ("SELECT a.name, a.code FROM shop.author a GROUP BY GROUPING SETS (a.name, a.code)", None),
        ("SELECT count(*) OVER () AS n, a.id FROM shop.author a", "id"),
        # DISTINCT.
        ("SELECT DISTINCT b.title, b.author_id FROM shop.book b", "title author_id"),
        ("SELECT DISTINCT b.id, b.title FROM shop.book b", "id"),
        ("SELECT DISTINCT ON (b.author_id) b.author_id, b.id FROM shop.book b", "author_id | id"),
        # Set operations.
        ("SELECT b.title FROM shop.book b UNION SELECT a.name FROM shop.author a", "title"),
        ("SELECT b.id FROM shop.book b UNION ALL SELECT a.id FROM shop.author a", None),
        ("SELECT b.id, b.title FROM shop.book b EXCEPT SELECT c.number, c.shelf FROM shop.copy c", "id"),
        (
            "SELECT c.book_id, c.shelf FROM shop.copy c INTERSECT ALL SELECT a.code, a.id FROM shop.author a",
            "book_id | shelf",
        ),
        (
            "SELECT 'book' AS kind, b.id FROM shop.book b UNION ALL SELECT 'author', a.id FROM shop.author a UNION ALL SELECT 'copy', c.number FROM shop.copy c WHERE c.shelf = 1",
            "kind id",
        ),
        (
            "SELECT 1 AS kind, b.id FROM shop.book b UNION ALL SELECT 2, a.id FROM shop.author a UNION ALL SELECT 1, a.id FROM shop.author a",
            None,
        ),
        (
            "SELECT 'a'::citext AS kind, b.id FROM shop.book b UNION ALL SELECT 'A'::citext, a.id FROM shop.author a",
            None,
        ),
        (
            "SELECT 'book'::text AS kind, b.id, b.title FROM shop.book b UNION SELECT 'author'::text, a.id, a.name FROM shop.author a",
            "kind id",
        ),
        # Derived tables.
        (
            "SELECT x.a, x.n FROM (SELECT b.author_id, count(*) AS n FROM shop.book b GROUP BY b.author_id) x(a)",
            "a",
        ),
        (
            "WITH x AS (SELECT b.author_id AS a FROM shop.book b GROUP BY b.author_id) SELECT y.z FROM x y(z)",
            "z",
        ),
        (
            "WITH RECURSIVE x AS (SELECT 1 AS n UNION SELECT x.n + 1 FROM x WHERE x.n < 9) SELECT x.n FROM x",
            "n",
        ),
        (
            "SELECT a.id, x.n FROM shop.author a CROSS JOIN LATERAL (SELECT count(*) AS n FROM shop.book b WHERE b.author_id = a.id) x",
            "id",
        ),
        (
            "SELECT a.id, x.t FROM shop.author a CROSS JOIN LATERAL (SELECT DISTINCT b.title AS t FROM shop.book b WHERE b.author_id = a.id) x",
            "id t",
        ),
        # Rows that are computed.
        ("SELECT a.id FROM shop.author a CROSS JOIN generate_series(1, 3) g", None),
        ("SELECT a.id, g.n FROM shop.author a CROSS JOIN generate_series(1, 3) g(n)", "id n"),
        ("SELECT a.id, u.n FROM shop.author a CROSS JOIN unnest(ARRAY[1, 1]) u(n)", None),
        (
            "SELECT a.id, u.n, u.o FROM shop.author a CROSS JOIN unnest(ARRAY[1, 1]) WITH ORDINALITY u(n, o)",
            "id o",
        ),
        ("SELECT a.id, generate_series(1, 3) AS g FROM shop.author a", "id g"),
        ("SELECT a.id, unnest(ARRAY[1, 1]) AS u FROM shop.author a", None),
        ("SELECT a.id, generate_series(1, 3) % 2 AS g FROM shop.author a", None),
        ("SELECT v.a FROM (VALUES (1), (2)) v(a)", "a"),
        ("SELECT v.a FROM (VALUES (1), (1)) v(a)", None),
        ("SELECT v.a, v.b FROM (VALUES (1.0, 'x'), (1, 'y')) v(a, b)", "b"),
        # A large key.
        (
            "SELECT w.id AS w, x.id AS x, y.id AS y, z.id AS z, w.title FROM shop.book w, shop.book x, shop.book y, shop.book z",
            "w x y z",
        ),
    ],
)  # fmt: skip
def test_keys_follow_from_the_structure_of_a_query(query: str, keys: str | None) -> None:
    found = row_keys(query, FACTS)
    expected = [] if keys is None else [frozenset(key.split()) for key in keys.split("|")]
    assert list(found) == expected


def written(sql: str, **options: Any) -> str:
    """Return the body of the class for a query over the models of the test app."""
    _, _, body = str(inspect_query(dedent(sql), **options)).partition("(TView):\n")
    return dedent(body.partition("\n\n    query")[0])


@pytest.mark.django_db
class TestTheClass:
    def test_a_file_is_referred_to(self) -> None:
        inspected = inspect_query(
            "SELECT id, name FROM testapp_tag", name="TagName", file=SQLFile("sql/tag_name.sql")
        )
        assert str(inspected) == dedent(
            """\
            from django.db import models

            from django_tviews import SQLFile, TView


            class TagName(TView):
                tag = models.OneToOneField(
                    "testapp.Tag",
                    models.DO_NOTHING,
                    primary_key=True,
                    db_constraint=False,
                    db_column="id",
                )
                name = models.CharField(max_length=50)

                query = SQLFile("sql/tag_name.sql")"""
        )

    def test_keys_that_are_those_of_models_are_relations(self) -> None:
        assert written(
            """
            SELECT r.product_id, p.supplier_id, count(*) AS reviews
            FROM testapp_review r JOIN testapp_product p ON p.id = r.product_id
            GROUP BY r.product_id, p.supplier_id
            """
        ) == dedent(
            """\
            product = models.OneToOneField(
                "testapp.Product", models.DO_NOTHING, primary_key=True, db_constraint=False
            )
            supplier = models.ForeignKey(
                "testapp.Supplier", models.DO_NOTHING, db_constraint=False, null=True
            )
            reviews = models.BigIntegerField()"""
        )

    def test_a_key_of_several_columns_is_composite(self) -> None:
        assert written("SELECT product_id, tag_id FROM testapp_productcard, (SELECT id FROM testapp_tag) AS t (tag_id)") == dedent(
            """\
            pk = models.CompositePrimaryKey("product_id", "tag_id")
            product = models.ForeignKey(
                "testapp.Product", models.DO_NOTHING, db_constraint=False
            )
            tag = models.ForeignKey("testapp.Tag", models.DO_NOTHING, db_constraint=False)"""
        )  # fmt: skip

    def test_two_relations_to_one_model_have_no_way_back(self) -> None:
        assert (
            written(
                "SELECT a.id AS a_id, b.id AS b_id FROM testapp_tag a JOIN testapp_tag b ON a.name < b.name"
            ).count('related_name="+"')
            == 2
        )

    def test_columns_may_be_null_where_the_query_does_not_rule_it_out(self) -> None:
        assert written(
            """
            SELECT p.id, s.name, coalesce(s.name, '') AS named, count(r.id) AS reviews,
                   max(r.stars) AS best, p.supplier_id IS NULL AS alone
            FROM testapp_product p
            LEFT JOIN testapp_supplier s ON s.id = p.supplier_id
            LEFT JOIN testapp_review r ON r.product_id = p.id
            GROUP BY p.id, s.id
            """
        ).partition("\n)\n")[2] == dedent(
            """\
            name = models.CharField(max_length=100, null=True)
            named = models.CharField()
            reviews = models.BigIntegerField()
            best = models.IntegerField(null=True)
            alone = models.BooleanField()"""
        )

    def test_names_that_django_or_python_do_not_take_are_changed(self) -> None:
        fields = [
            line.removesuffix(")").replace(" = models.CharField(max_length=50, db_column=", " ")
            for line in written(
                """
                SELECT tag.id AS pk, name AS "class", name AS "Big Name", name AS query,
                       name AS save, name AS id, name AS id_field, name AS save_field
                FROM testapp_tag AS tag
                """
            ).splitlines()
            if line.endswith('")')
        ]
        assert fields == [
            'class_field "class"',
            'big_name "Big Name"',
            'query_field "query"',
            'save_field "save"',
            'id_field "id"',
            'id_field_0 "id_field"',
            'save_field_0 "save_field"',
        ]

    def test_types_that_only_postgresql_has(self, database: Database) -> None:
        database.execute(
            """
            CREATE TYPE mood AS ENUM ('sad', 'glad');
            CREATE TABLE base (
                id uuid PRIMARY KEY, a integer[] NOT NULL, b varchar(9)[], c int4range, d tsvector,
                e mood, f timestamp, g json, h inet, i interval, j numeric(8, 3), k "char"
            )
            """
        )
        assert written("SELECT * FROM base") == dedent(
            """\
            id = models.UUIDField(primary_key=True)
            a = ArrayField(models.IntegerField())
            b = ArrayField(models.CharField(max_length=9), null=True)
            c = IntegerRangeField(null=True)
            d = SearchVectorField(null=True)
            # The query computes mood, for which Django has no field.
            e = models.TextField(null=True)
            # The query computes timestamp without time zone.
            f = models.DateTimeField(null=True)
            # The query computes json.
            g = models.JSONField(null=True)
            h = models.GenericIPAddressField(null=True)
            i = models.DurationField(null=True)
            j = models.DecimalField(max_digits=8, decimal_places=3, null=True)
            # The query computes "char", for which Django has no field.
            k = models.TextField(null=True)"""
        ).replace("computes mood", f"computes {database.schema}.mood")
        assert str(inspect_query("SELECT * FROM base")).startswith(
            "from django.contrib.postgres.fields import ArrayField, IntegerRangeField\n"
            "from django.contrib.postgres.search import SearchVectorField\n"
            "from django.db import models\n"
        )

    def test_a_key_that_is_not_certain_is_said_to_be_a_guess(self, database: Database) -> None:
        database.execute("CREATE TABLE base (kind text, base_id integer NOT NULL, id integer)")
        sql = "SELECT kind, base_id, id FROM base"
        assert not inspect_query(sql).certain
        assert written(sql) == dedent(
            """\
            # The structure of the query does not tell which columns identify a row. Check that
            # base_id cannot be the same in two rows.
            kind = models.TextField(null=True)
            base_id = models.IntegerField(primary_key=True)
            id_field = models.IntegerField(null=True, db_column="id")"""
        )

    def test_the_only_row_is_identified_by_a_constant(self) -> None:
        assert written("SELECT count(*) AS id, 1 AS one FROM testapp_tag") == dedent(
            """\
            id_field = models.BigIntegerField(db_column="id")
            one = models.IntegerField(primary_key=True)"""
        )

    def test_a_query_without_a_possible_key_is_refused(self) -> None:
        with pytest.raises(KeyMissing, match="No output column of the query can be a primary key"):
            inspect_query("SELECT p.supplier_id, count(*) FROM testapp_product p GROUP BY 1")

    def test_what_has_to_be_rebuilt_is_said(self) -> None:
        source = str(inspect_query("SELECT id, name FROM testapp_tag ORDER BY name, id LIMIT 3"))
        assert "    class Maintenance:\n        # A change of public.testapp_tag may" in source
        assert source.endswith("\n        allow_rebuild = True")

    def test_an_order_that_models_complete_stays_as_it_is(self) -> None:
        sql = "SELECT supplier_id AS id, array_agg(name) AS names FROM testapp_product WHERE supplier_id IS NOT NULL GROUP BY 1"
        assert inspect_query(sql).query == sql

    def test_an_order_that_models_do_not_complete_is_completed(self, database: Database) -> None:
        database.execute("CREATE TABLE base (id integer PRIMARY KEY, kind text NOT NULL)")
        inspected = inspect_query(
            "SELECT kind, array_agg(id % 7) AS ids FROM base GROUP BY kind", file=SQLFile("x.sql")
        )
        assert "array_agg(id % 7 ORDER BY base.id)" in " ".join(str(inspected.query).split())
        assert "# Each ORDER BY that left rows tied is completed" in str(inspected)

    def test_text_of_any_kind_comes_through(self) -> None:
        sql = 'SELECT id, \'a\nb\' AS a, \'\\ """ %s {x}\' AS "b c" FROM testapp_tag'
        namespace: dict[str, Any] = {}
        source = str(inspect_query(sql)).replace("(TView)", "").replace("from django_tviews", "#")
        exec(source.replace("models.", "str and dict and models."), namespace)
        assert "'a\nb' AS a, '\\ \"\"\" %s {x}' AS" in namespace["NewTView"].query

    @pytest.mark.parametrize(
        ("sql", "error", "message"),
        [
            ("SELECT 1 AS id; SELECT 2", InvalidQuery, "this text holds 2 statements"),
            ("SELECT id, FROM testapp_tag", InvalidQuery, "at character 12"),
            (
                "SELECT id, name || 'x' FROM testapp_tag",
                InvalidQuery,
                "Output column 2 of the query",
            ),
            (
                "SELECT t.id,\n       now() AS at\nFROM testapp_tag AS t",
                UnsupportedQuery,
                r"now\(\), at character 21",
            ),
        ],
    )
    def test_what_migrations_refuse_is_refused_at_its_place(
        self, sql: str, error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            inspect_query(sql)

    def test_the_database_stays_as_it_is(self) -> None:
        def objects() -> int:
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_class")
                count: int = cursor.fetchone()[0]
                return count

        before = objects()
        inspect_query("SELECT id, ARRAY[name] AS names FROM testapp_tag")
        assert objects() == before


@pytest.mark.django_db
class TestTheCommand:
    def call(self, *arguments: str) -> str:
        out = io.StringIO()
        call_command("tview_inspect", *arguments, stdout=out)
        return out.getvalue()

    def test_it_writes_the_class_of_a_select(self) -> None:
        sql = "SELECT id, name FROM testapp_tag"
        assert self.call(sql) == f"{inspect_query(sql)}\n"
        assert "\n\n\nclass TagName(TView):\n" in self.call(sql, "--name", "TagName")

    def test_a_file_of_an_app_gives_name_and_query(self) -> None:
        source = self.call(str(ROOT / "tests/testapp/sql/supplier_totals.sql"))
        assert "\n\n\nclass SupplierTotals(TView):\n    supplier = models.OneToOne" in source
        assert source.endswith('    query = SQLFile("sql/supplier_totals.sql")\n')

    def test_another_file_is_copied(self, tmp_path: Path) -> None:
        path = tmp_path / "tags.sql"
        path.write_text("SELECT id, name FROM testapp_tag")
        source = self.call(str(path))
        assert "class Tags(TView):" in source
        assert source.endswith('        SELECT id, name FROM testapp_tag\n    """\n')

    def test_it_reads_standard_input(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT id, name FROM testapp_tag"))
        assert self.call("-") == self.call("SELECT id, name FROM testapp_tag")

    def test_json_has_the_parts_and_the_source(self) -> None:
        sql = "SELECT id, name FROM testapp_tag"
        answer = json.loads(self.call(sql, "--format", "json"))
        assert answer["format"] == 1
        assert answer["key"] == ["id"]
        assert answer["certain"] is True
        assert answer["fields"][1]["column"] == "name"
        assert answer["source"] == str(inspect_query(sql))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["SELECT id FROM nowhere"], "The query reads 'nowhere', which does not exist"),
            (["SELECT now() AS id"], "The query cannot be kept: now()"),
            (["SELECT id FROM testapp_tag", "--name", "1x"], '"1x" cannot be the name of a class'),
            (["SELECT id FROM testapp_tag", "--name", "class"], '"class" cannot be the name of'),
            (["nowhere.sql"], "nowhere.sql cannot be read: "),
        ],
    )
    def test_what_it_cannot_do_ends_with_2(self, arguments: list[str], message: str) -> None:
        with pytest.raises(CommandError) as ended:
            self.call(*arguments)
        assert ended.value.returncode == 2
        assert message in str(ended.value)
