"""Plans as SQL text: names and literals, templates, deltas, functions and triggers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from django_tviews.definition import Column, Declaration
from django_tviews.plan.plan import MAINTENANCE_ENVIRONMENT, Plan
from django_tviews.plan.planner import make_plan
from django_tviews.sql import objects, shared
from django_tviews.sql.quoting import (
    complete,
    equals,
    identifier,
    literal,
    on_one_line,
    qualified,
    regclass,
)
from django_tviews.sql.routes import affected_keys
from django_tviews.sql.templates import render
from django_tviews.sql.transitions import current_and_removed, transition_delta
from django_tviews.text import bounded, indented

from .plans import FACTS, tree_of

if TYPE_CHECKING:
    from .harness import Database


class TestQuoting:
    @pytest.mark.parametrize(
        ("name", "written"),
        [
            ("product", "product"),
            ("_a1", "_a1"),
            ("Order", '"Order"'),
            ("order", '"order"'),
            ("two words", '"two words"'),
            ('a"b', '"a""b"'),
            ("1st", '"1st"'),
            ("é", '"é"'),
            ("", '""'),
        ],
    )
    def test_a_name_is_quoted_if_it_has_to_be(self, name: str, written: str) -> None:
        assert identifier(name) == written

    def test_every_keyword_of_the_server_is_quoted(self, database: Database) -> None:
        words = [
            word
            for (word,) in database.execute(
                "SELECT word FROM pg_get_keywords() WHERE catcode <> 'U' AND word <> 'none'"
            )
        ]
        assert len(words) > 100
        assert [word for word in words if identifier(word) == word] == []

    @pytest.mark.parametrize(
        "value", ["", "it's", "back\\slash", "\\'", "two\nlines", "%s %%", "😀", "$tag$", "a\rb"]
    )
    def test_a_literal_comes_back_as_it_was(self, database: Database, value: str) -> None:
        for setting in ("on", "off"):
            database.execute(f"SET standard_conforming_strings = {setting}")
            with database.connection.cursor() as cursor:
                cursor.execute(f"SELECT{complete(literal(value))}", None)
                assert cursor.fetchone() == (value,)

    def test_names_with_schemas(self) -> None:
        assert qualified("My", "table") == '"My"."table"'
        assert qualified(None, "product") == "product"
        assert regclass("shop", "it's") == """'shop."it''s"'::regclass"""
        assert equals("pg_catalog") == "="
        assert equals("Ext") == 'OPERATOR("Ext".=)'

    def test_a_long_name_is_cut_and_stays_its_own(self) -> None:
        first, second = bounded("x" * 70 + "1"), bounded("x" * 70 + "2")
        assert first != second
        assert len(first) == len(second) == 63
        assert len(bounded("ü" * 40).encode()) <= 63
        assert bounded("x" * 63) == "x" * 63

    def test_a_line_break_in_a_name_survives_indenting(self) -> None:
        text = indented(f"SELECT 1\nFROM {identifier('a' + chr(10) + 'b')}")
        assert complete(text) == '    SELECT 1\n    FROM "a\nb"'
        assert on_one_line(identifier("a\nb")) == '"a b"'


class TestTemplates:
    def test_what_has_several_lines_is_indented_like_its_place(self) -> None:
        text = render("few_or_many", **dict.fromkeys(("few", "of_few", "of_many"), "a\nb"))
        assert "\n    a\n    b" in text

    def test_a_placeholder_without_a_value_is_an_error(self) -> None:
        with pytest.raises(KeyError):
            render("write")

    def test_a_dollar_quote_gives_way_to_its_contents(self) -> None:
        text = render("bulk_routes", routes="'$bulk$ and $bulk_$'", key_variables="x")
        assert "$bulk__$" in text

    def test_statements_are_told_apart(self) -> None:
        statements = shared.runtime_statements("public")
        assert all(statements)
        assert sum("CREATE UNLOGGED TABLE" in each for each in statements) == 1


def plan(
    query: str = "SELECT p.id, count(t.name) AS n FROM product p "
    "LEFT JOIN tag t ON t.product_id = p.id GROUP BY p.id",
    columns: tuple[Column, ...] = (
        Column("id", "bigint", nullable=False, output="id"),
        Column("n", "bigint", nullable=False, output="n"),
    ),
    table: str = "shop_card",
) -> Plan:
    declaration = Declaration("shop.Card", table, query, columns, ("id",))
    return make_plan(
        declaration, tree_of(query), FACTS, schema="shop", runtime_schema="public", depth=3
    )


class TestDeltas:
    def test_one_sided_events_read_one_transition_table(self) -> None:
        source = plan().sources[1]
        assert transition_delta(source, "INSERT") == (
            'SELECT false AS "removed?", product_id, name FROM new_rows'
        )
        assert transition_delta(source, "DELETE") == (
            'SELECT true AS "removed?", product_id, name FROM old_rows'
        )

    def test_an_update_pairs_images_by_the_key_and_compares_them_by_look(self) -> None:
        text = transition_delta(plan().sources[1], "UPDATE")
        assert "THEN o.product_id END = n.product_id AND o.name = n.name" in text
        assert "record_image_ne(ROW(o.product_id, o.name), ROW(n.product_id, n.name))" in text

    def test_without_a_key_all_images_count(self) -> None:
        query = "SELECT kind AS id, count(*) AS n FROM event WHERE kind IS NOT NULL GROUP BY kind"
        made = plan(
            query,
            (
                Column("id", "text", nullable=False, output="id"),
                Column("n", "bigint", nullable=False, output="n"),
            ),
        )
        assert transition_delta(made.sources[0], "UPDATE") == (
            'SELECT true AS "removed?", kind FROM old_rows\n'
            'UNION ALL SELECT false AS "removed?", kind FROM new_rows'
        )

    def test_removed_rows_are_joined_beside_the_current_ones(self) -> None:
        assert current_and_removed(plan().sources[1], "delta") == (
            "SELECT product_id, name FROM shop.tag\n"
            'UNION ALL SELECT product_id, name FROM delta WHERE "removed?"'
        )

    def test_keys_of_all_routes_are_united(self) -> None:
        made = plan()
        deltas = ["first AS (SELECT 1)", "second AS (SELECT 2)"]
        text = affected_keys(made, deltas, {1: "first", 2: "second"}, {}, into=["keys", "locks"])
        assert text.startswith("WITH first AS (SELECT 1),\nsecond AS (SELECT 2),\naffected (id) AS")
        assert "FROM first AS product\n    UNION\n" in text
        assert 'SELECT keys.id, keys."locks?"\nINTO keys, locks\nFROM (\n' in text
        alone = affected_keys(made, deltas[:1], {1: "first"}, {})
        assert "SELECT DISTINCT CAST(product.id AS bigint)" in alone

    @pytest.mark.parametrize(
        ("counted", "start"),
        [
            ("tag t WHERE t.name = p.name", "(SELECT DISTINCT name FROM delta) AS tag"),
            ('folded f WHERE f.name COLLATE "C" = p.name', "delta AS folded"),
        ],
        ids=["equal rows are one", "equal rows may look different"],
    )
    def test_what_is_joined_to_equal_rows_is_joined_once(self, counted: str, start: str) -> None:
        made = plan(f"SELECT p.id, (SELECT count(*) FROM {counted}) AS n FROM product p")
        (number,) = (each.number for each in made.sources if each.relation.name != "product")
        assert f"FROM {start}" in affected_keys(made, [], {number: "delta"}, {})


class TestObjects:
    def test_functions_are_safe_to_be_called_by_anybody(self) -> None:
        functions = objects.functions(plan())
        assert len({function.signature for function in functions}) == len(functions)
        for function in functions:
            assert function.name.startswith("tviews_")
            assert len(function.name.encode()) <= 63
            if "RETURNS trigger" in function.create:
                assert "SECURITY DEFINER" in function.create
                assert "TG_RELID" in function.body
                assert "SET search_path = pg_catalog" in function.create
        assert all(
            any(f"SET {name} = " in function.create for function in functions)
            for name, _ in MAINTENANCE_ENVIRONMENT
        )

    def test_triggers_depend_on_the_tview_and_close_after_it(self) -> None:
        triggers = objects.source_triggers(plan())
        own = [trigger for trigger in triggers if not trigger.shared]
        shared = [trigger for trigger in triggers if trigger.shared]
        assert all("WHEN ('shop.shop_card'::regclass IS NOT NULL)" in each.create for each in own)
        opening = [each.name for each in shared if "open" in each.name]
        closing = [each.name for each in shared if "close" in each.name]
        # PostgreSQL fires them in the order of their names.
        assert max(opening) < min(each.name for each in own)
        assert max(each.name for each in own) < min(closing)

    def test_deeper_tviews_are_maintained_first(self) -> None:
        shallow = objects.source_triggers(replace(plan(), depth=2))[-1].name
        deep = objects.source_triggers(replace(plan(), depth=10))[-1].name
        assert shallow < deep

    def test_names_of_long_tables_stay_apart(self) -> None:
        long = "a_table_whose_name_is_nearly_as_long_as_postgresql_allows_it_"
        first, second = plan(table=long + "1"), plan(table=long + "2")
        names = [
            name
            for each in (first, second)
            for name in (
                *(function.name for function in objects.functions(each)),
                *(f"{t.relation} {t.name}" for t in objects.source_triggers(each) if not t.shared),
            )
        ]
        assert len(set(names)) == len(names)

    def test_the_fingerprint_tells_what_is_generated(self) -> None:
        assert objects.fingerprint(plan()) == objects.fingerprint(plan())
        assert objects.fingerprint(plan()) != objects.fingerprint(replace(plan(), bulk_threshold=7))
        assert objects.fingerprint(plan()) != objects.fingerprint(plan(table="shop_other"))

    @pytest.mark.parametrize("schema", ["public", "My Schema", "a.b", "x" * 63])
    def test_a_setting_has_a_name_that_the_server_takes(
        self, database: Database, schema: str
    ) -> None:
        name = shared.setting(schema, "open")
        assert database.value("SELECT set_config(%s, '1', true)", name) == "1"
        assert shared.setting("public", "open") != shared.setting("Public", "open")
