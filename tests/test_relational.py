"""SQL text to relational tree: what is understood, completed, and refused by name."""

from __future__ import annotations

import pytest

from django_tviews.errors import DependencyResolutionFailed, InvalidQuery, UnsupportedQuery
from django_tviews.relational.builder import complete_order
from django_tviews.relational.canonical import (
    called_functions,
    canonical_sql,
    formatted,
    output_names,
    read_relations,
    same_query,
)
from django_tviews.relational.constructs import CONSTRUCTS
from django_tviews.relational.zones import reads_zone_abbreviations

from .plans import FACTS, tree_of

# Which overload of a cast or an operator a text means, and what a key of a table proves, only a
# server can tell.
TOLD_BY_THE_SERVER = {"text-to-time", "float-aggregate", "inherited-key"}


class TestRefusals:
    @pytest.mark.parametrize(
        "slug", [slug for slug in CONSTRUCTS if slug not in TOLD_BY_THE_SERVER]
    )
    def test_every_construct_of_the_table_is_refused_by_its_name(self, slug: str) -> None:
        construct = CONSTRUCTS[slug]
        with pytest.raises(UnsupportedQuery) as refusal:
            tree_of(construct.example)
        assert refusal.value.context["construct"] == slug
        assert refusal.value.hint == construct.advice

    @pytest.mark.parametrize(
        ("query", "slug"),
        [
            ("SELECT id, current_date AS d FROM product", "time-dependent"),
            ("SELECT id FROM product WHERE created_at > now()", "time-dependent"),
            ("SELECT id, localtimestamp(0) AS d FROM product", "time-dependent"),
            ("SELECT id, current_user AS d FROM product", "time-dependent"),
            (
                "SELECT id, CASE WHEN id > 1 THEN random() END AS r FROM product",
                "volatile-function",
            ),
            ("SELECT id FROM product ORDER BY random() LIMIT 1", "volatile-function"),
            ("SELECT id, roulette(id) AS r FROM product", "volatile-function"),
            (
                "SELECT id, (SELECT max(roulette(r.id)) FROM review r) AS r FROM product",
                "volatile-function",
            ),
            ("SELECT id, lookup(id) AS r FROM product", "unpinned-function"),
            (
                "SELECT count(*) FILTER (WHERE lookup(id) > 1) AS r FROM product",
                "unpinned-function",
            ),
            ("SELECT id, to_tsvector(name) AS v FROM product", "default-argument"),
            ("SELECT id, row_to_json(product) AS d FROM product", "whole-row"),
            ("SELECT id, count(product.*) AS d FROM product GROUP BY id", "whole-row"),
            ("SELECT id, tableoid AS t FROM product", "system-column"),
            ("SELECT id, xmin AS t FROM rated", "system-column"),
            ("SELECT id, code IS DISTINCT FROM 'x' AS f FROM product", "foreign-equality"),
            ("SELECT id, nullif(code, 'x') AS f FROM product", "foreign-equality"),
            ("SELECT id, CASE code WHEN 'x' THEN 1 END AS f FROM product", "foreign-equality"),
            ("SELECT id FROM product WHERE code IN (SELECT code FROM product)", "foreign-equality"),
            ("SELECT a.id FROM product a NATURAL JOIN product b", "foreign-equality"),
            ("SELECT id FROM product LIMIT 3", "open-order"),
            ("SELECT id, ARRAY(SELECT stars FROM review) AS s FROM product", "open-order"),
            ("SELECT string_agg(name, ',' ORDER BY price) AS s FROM product", "open-order"),
            ("SELECT any_value(name) AS s FROM product", "open-order"),
            ("SELECT id FROM materialized_view", "relation-kind"),
            ("SELECT id FROM foreign_table", "relation-kind"),
            ("SELECT id FROM temporary_table", "relation-kind"),
            (
                "SELECT p.id FROM product p WHERE EXISTS (SELECT FROM secret s WHERE s.id = p.id)",
                "row-security",
            ),
            ("TABLE product FOR SHARE", "row-locking"),
            (
                "WITH x AS (INSERT INTO review DEFAULT VALUES RETURNING id) SELECT id FROM x",
                "modifying-cte",
            ),
        ],
    )
    def test_a_construct_is_found_wherever_it_stands(self, query: str, slug: str) -> None:
        with pytest.raises(UnsupportedQuery) as refusal:
            tree_of(query)
        assert refusal.value.context["construct"] == slug

    @pytest.mark.parametrize(
        "query",
        [
            "SELECT id, xmlforest(name) AS x FROM product",
            "SELECT id, XMLSERIALIZE(CONTENT name::xml AS text) AS x FROM product",
            "SELECT id, JSON_OBJECT('a': name) AS j FROM product",
            "SELECT id, JSON_VALUE(data, '$.a') AS j FROM product",
            "SELECT id, data IS JSON AS j FROM product",
            "SELECT j.id FROM product, JSON_TABLE(data, '$' COLUMNS (id integer PATH '$.id')) j",
            "SELECT x.id FROM product, XMLTABLE('/r' PASSING '<r/>' COLUMNS id integer) x",
            "SELECT j.id FROM (product JOIN review USING (id)) AS j",
            "SELECT j.id FROM product JOIN review USING (id) AS j",
            "SELECT id FROM ONLY partitioned_table",
            "SELECT id FROM product UNION SELECT id FROM review ORDER BY upper('x')",
            "SELECT id, merge_action() AS a FROM ROWS FROM (unnest(ARRAY[1])) AS t (id)",
        ],
    )
    def test_syntax_that_is_not_known_is_refused_and_not_let_through(self, query: str) -> None:
        with pytest.raises((UnsupportedQuery, InvalidQuery)) as refusal:
            tree_of(query)
        if isinstance(refusal.value, UnsupportedQuery):
            assert refusal.value.context["construct"] in (
                "unknown-syntax",
                "set-returning-function",
                "relation-kind",
            )

    def test_a_refusal_says_where(self) -> None:
        query = "SELECT id, name, random() AS lottery FROM product"
        with pytest.raises(UnsupportedQuery, match="at character 18") as refusal:
            tree_of(query)
        assert refusal.value.context["position"] == query.index("random")

    def test_the_place_of_a_refusal_counts_characters(self) -> None:
        query = "SELECT id, 'é漢😀' AS a, random() AS lottery FROM product"
        with pytest.raises(UnsupportedQuery, match="at character 24, is") as refusal:
            tree_of(query)
        assert refusal.value.context["position"] == query.index("random")

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            ("SELECT id FROM nowhere", "'nowhere', which does not exist"),
            ("SELECT nothing FROM product", "'nothing', which does not exist"),
            ("SELECT p.nothing AS n FROM product p", "'p.nothing', which does not exist"),
            ("SELECT product.id FROM product p", "'product.id', which does not exist"),
            ("SELECT x.* FROM product p", '"x"'),
            ("SELECT p.id FROM product p JOIN review r USING (nothing)", '"nothing"'),
            ("SELECT a.id FROM product a, (SELECT a.id) AS b", "'a.id', which does not exist"),
        ],
    )
    def test_a_name_that_is_not_there_is_named(self, query: str, message: str) -> None:
        with pytest.raises(DependencyResolutionFailed, match=message):
            tree_of(query)

    @pytest.mark.parametrize(
        "query",
        [
            "",
            ";",
            "SELEC id FROM product",
            "SELECT id FROM product; SELECT id FROM review",
            "DELETE FROM product",
            "CREATE TABLE x (id integer)",
            "EXPLAIN SELECT 1",
        ],
    )
    def test_what_is_not_one_query_is_refused(self, query: str) -> None:
        with pytest.raises(InvalidQuery):
            canonical_sql(query)

    def test_a_column_of_two_relations_is_ambiguous(self) -> None:
        with pytest.raises(InvalidQuery, match="'id' is ambiguous"):
            tree_of("SELECT id FROM product, review")

    def test_the_position_of_a_syntax_error_counts_characters(self) -> None:
        with pytest.raises(InvalidQuery) as error:
            canonical_sql("SELECT 'äöü' AS a FROMM product")
        assert error.value.context["position"] == "SELECT 'äöü' AS a FROMM product".index("FROMM")


class TestTree:
    def test_occurrences_have_names_of_their_own(self) -> None:
        tree = tree_of(
            "SELECT a.id FROM category a JOIN category b ON b.id = a.parent_id "
            "WHERE a.id IN (SELECT id FROM category)"
        )
        assert [each.alias for each in tree.occurrences] == ["category", "category_2", "category_3"]
        assert [len(each.sublinks) for each in tree.occurrences] == [0, 0, 1]

    def test_columns_are_those_that_are_read_anywhere(self) -> None:
        tree = tree_of(
            "SELECT p.id, count(*) FILTER (WHERE r.stars > 1) AS n FROM product p "
            "JOIN review r ON r.product_id = p.id GROUP BY p.id HAVING max(p.price) > 1 "
            "ORDER BY max(p.name)"
        )
        assert [each.columns for each in tree.occurrences] == [
            ("id", "name", "price"),
            ("product_id", "stars"),
        ]

    def test_outer_joins_say_who_may_be_missing(self) -> None:
        tree = tree_of(
            "SELECT p.id FROM product p LEFT JOIN (category c JOIN maker m ON m.name = c.name) "
            "ON c.id = p.category_id FULL JOIN tag t ON t.product_id = p.id"
        )
        assert {each.alias: each.nullable for each in tree.occurrences} == {
            "product": True,
            "category": True,
            "maker": True,
            "tag": True,
        }
        tree = tree_of("SELECT p.id FROM review r RIGHT JOIN product p ON p.id = r.product_id")
        assert [each.nullable for each in tree.occurrences] == [True, False]

    def test_stars_are_expanded(self) -> None:
        tree = tree_of("SELECT t.*, m.name AS maker FROM tag t, maker m")
        assert [output.name for output in tree.outputs] == ["product_id", "name", "maker"]
        tree = tree_of("SELECT * FROM (SELECT id, name AS n FROM maker) x")
        assert [output.name for output in tree.outputs] == ["id", "n"]

    def test_aliases_of_columns_are_followed(self) -> None:
        tree = tree_of(
            "WITH w (a, b) AS (SELECT id, name FROM maker) SELECT v.c, v.b FROM w AS v (c)"
        )
        assert [output.name for output in tree.outputs] == ["c", "b"]
        assert [str(output.expression.column) for output in tree.outputs] == [
            "ColumnOf(occurrence=1, name='id')",
            "ColumnOf(occurrence=1, name='name')",
        ]

    def test_a_common_table_expression_hides_a_table_and_is_read_as_often_as_it_is_named(
        self,
    ) -> None:
        tree = tree_of(
            "WITH product AS (SELECT id FROM review) SELECT a.id FROM product a "
            "JOIN product b ON a.id = b.id JOIN shop.product c ON c.id = a.id"
        )
        assert [each.relation.name for each in tree.occurrences] == ["review", "review", "product"]


class TestNullability:
    """What may be declared NOT NULL."""

    @pytest.mark.parametrize(
        "expression",
        [
            "p.id",
            "p.name || 'x'",
            "p.price * 2 + 1",
            "coalesce(c.name, 'none')",
            "coalesce(c.name, p.name)",
            "CASE WHEN c.id IS NULL THEN 'a' ELSE p.name END",
            "c.id IS NULL",
            "p.price > 1 AND c.id IS NOT NULL",
            "(SELECT count(*) FROM review r WHERE r.product_id = p.id)",
            "coalesce((SELECT max(r.stars) FROM review r WHERE r.product_id = p.id), 0)",
            "EXISTS (SELECT FROM review r WHERE r.product_id = p.id)",
            "ARRAY(SELECT r.id FROM review r WHERE r.product_id = p.id ORDER BY r.id)",
            "jsonb_build_object('c', c.name)",
            "concat(c.name, p.name)",
            "p.id IS DISTINCT FROM c.id",
            "upper(p.name)",
            "greatest(c.id, p.id)",
            "ARRAY[c.name]",
            "p.id::text",
            "r.product_id",
        ],
    )
    def test_never_null(self, expression: str) -> None:
        (output,) = tree_of(
            f"SELECT {expression} AS v FROM product p LEFT JOIN category c ON c.id = p.category_id "
            "JOIN review r ON r.product_id = p.id"
        ).outputs
        assert not output.nullable

    @pytest.mark.parametrize(
        "expression",
        [
            "p.category_id",
            "c.id",
            "c.name || 'x'",
            "NULL",
            "nullif(p.id, 1)",
            "coalesce(c.name, NULL)",
            "CASE WHEN p.id = 1 THEN 'a' END",
            "CASE WHEN p.id = 1 THEN c.name ELSE 'a' END",
            "(SELECT r.stars FROM review r WHERE r.id = p.id)",
            "(SELECT max(r.id) FROM review r)",
            "(SELECT count(*) FROM review r WHERE r.id = p.id GROUP BY r.id)",
            "p.id IN (SELECT q.category_id FROM product q)",
            "p.data ->> 'a'",
            "p.data -> 'a'",
            "p.labels[1]",
            "shout(p.name)",
            "c.id = p.id",
            "substring(p.name FROM 'a.c')",
            "(p.data -> 'a')::integer",
            "p.data::integer",
            "lower('empty'::int4range)",
            "upper(int4range(p.id::integer, p.id::integer))",
        ],
    )
    def test_perhaps_null(self, expression: str) -> None:
        (output,) = tree_of(
            f"SELECT {expression} AS v FROM product p LEFT JOIN category c ON c.id = p.category_id"
        ).outputs
        assert output.nullable

    def test_a_column_of_a_derived_table_that_may_be_missing_is_perhaps_null(self) -> None:
        for side in ("(SELECT id FROM category)", "(SELECT count(*) AS id FROM category)"):
            query = f"SELECT d.id FROM product p LEFT JOIN {side} AS d ON d.id = p.id"
            assert tree_of(query).outputs[0].nullable

    @pytest.mark.parametrize(
        ("condition", "nullable"),
        [
            ("p.category_id IS NOT NULL", False),
            ("p.category_id = 1", False),
            ("1 < p.category_id AND p.id > 1", False),
            ("p.category_id <> p.id", False),
            ("p.category_id IS NOT NULL OR p.id = 1", True),
            ("NOT p.category_id IS NULL", True),
            ("p.category_id IS NULL", True),
            ("coalesce(p.category_id, 1) = 1", True),
        ],
    )
    def test_where_proves_it(self, condition: str, nullable: bool) -> None:
        (output,) = tree_of(f"SELECT p.category_id AS v FROM product p WHERE {condition}").outputs
        assert output.nullable is nullable

    def test_an_inner_join_proves_it_and_an_outer_join_does_not(self) -> None:
        for kind, nullable in (("JOIN", False), ("LEFT JOIN", True)):
            (output,) = tree_of(
                f"SELECT p.category_id AS v FROM product p {kind} category c "
                "ON c.id = p.category_id"
            ).outputs
            assert output.nullable is nullable

    def test_where_proves_what_is_computed_below(self) -> None:
        query = "SELECT r.mean AS v FROM rated r WHERE r.mean IS NOT NULL"
        assert not tree_of(query).outputs[0].nullable
        # Another derived table's column of the same text is another column.
        counts = "(SELECT kind, max(weight) AS n FROM event GROUP BY kind)"
        query = f"SELECT b.n AS v FROM {counts} a JOIN {counts} b ON a.kind = b.kind WHERE a.n > 1"
        assert tree_of(query).outputs[0].nullable

    @pytest.mark.parametrize(
        ("expression", "grouped", "alone"),
        [
            ("count(*)", False, False),
            ("sum(e.id)", False, True),
            ("max(e.stars)", True, True),
            ("sum(e.id) FILTER (WHERE e.id > 1)", True, True),
            ("array_agg(e.stars ORDER BY e.id)", False, True),
            ("avg(e.id)", False, True),
            ("stddev(e.id)", True, True),
            ("coalesce(max(e.stars), 0)", False, False),
        ],
    )
    def test_aggregates_over_groups_and_over_nothing(
        self, expression: str, grouped: bool, alone: bool
    ) -> None:
        query = f"SELECT {expression} AS v FROM review e"
        assert tree_of(query).outputs[0].nullable is alone
        assert tree_of(f"{query} GROUP BY e.product_id").outputs[0].nullable is grouped


class TestCompletingOrders:
    @pytest.mark.parametrize(
        ("query", "completed"),
        [
            (
                "SELECT maker_id, array_agg(name) AS n FROM product GROUP BY maker_id",
                "SELECT maker_id, array_agg(name ORDER BY product.id) AS n FROM product "
                "GROUP BY maker_id",
            ),
            (
                "SELECT maker_id, string_agg(p.name, ',' ORDER BY p.price DESC) AS n "
                "FROM product p GROUP BY maker_id",
                "SELECT maker_id, string_agg(p.name, ',' ORDER BY p.price DESC, p.id) AS n "
                "FROM product p GROUP BY maker_id",
            ),
            (
                "SELECT product_id, jsonb_agg(name) AS n FROM tag GROUP BY product_id",
                "SELECT product_id, jsonb_agg(name ORDER BY tag.product_id, tag.name) AS n "
                "FROM tag GROUP BY product_id",
            ),
            (
                "SELECT id, ARRAY(SELECT r.stars FROM review r WHERE r.product_id = p.id) AS s "
                "FROM product p",
                "SELECT id, ARRAY(SELECT r.stars FROM review r WHERE r.product_id = p.id "
                "ORDER BY r.id) AS s FROM product p",
            ),
            (
                "SELECT id, coalesce((SELECT jsonb_agg(r.body) FROM review r "
                "WHERE r.product_id = p.id), '[]') AS s FROM product p",
                "SELECT id, COALESCE((SELECT jsonb_agg(r.body ORDER BY r.id) FROM review r "
                "WHERE r.product_id = p.id), '[]') AS s FROM product p",
            ),
            (
                "SELECT c.id, (SELECT jsonb_agg(ARRAY(SELECT t.name FROM tag t "
                "WHERE t.product_id = p.id)) FROM product p WHERE p.category_id = c.id) AS s "
                "FROM category c",
                "SELECT c.id, (SELECT jsonb_agg(ARRAY(SELECT t.name FROM tag t "
                "WHERE t.product_id = p.id ORDER BY t.product_id, t.name) ORDER BY p.id) "
                "FROM product p WHERE p.category_id = c.id) AS s FROM category c",
            ),
            (
                "SELECT p.id FROM product p WHERE p.price > (SELECT r.stars FROM review r "
                "WHERE r.product_id = p.id LIMIT 1)",
                "SELECT p.id FROM product p WHERE p.price > (SELECT r.stars FROM review r "
                "WHERE r.product_id = p.id ORDER BY r.id LIMIT 1)",
            ),
            (
                "SELECT id, name FROM product ORDER BY 2 LIMIT 3",
                "SELECT id, name FROM product ORDER BY 2, product.id LIMIT 3",
            ),
            (
                "SELECT m.id, jsonb_agg(c.name) AS w FROM maker m JOIN product p "
                "ON p.maker_id = m.id JOIN category c ON c.id = p.category_id GROUP BY m.id",
                "SELECT m.id, jsonb_agg(c.name ORDER BY m.id, p.id, c.id) AS w FROM maker m JOIN "
                "product p ON p.maker_id = m.id JOIN category c ON c.id = p.category_id "
                "GROUP BY m.id",
            ),
            (
                "SELECT id, row_number() OVER (PARTITION BY maker_id) AS n FROM product",
                "SELECT id, row_number() OVER (PARTITION BY maker_id ORDER BY product.id) AS n "
                "FROM product",
            ),
            (
                "SELECT id, lag(name) OVER (ORDER BY name) AS n, first_value(name) "
                "OVER (ORDER BY price) AS f FROM product",
                "SELECT id, lag(name) OVER (ORDER BY name, product.id) AS n, first_value(name) "
                "OVER (ORDER BY price, product.id) AS f FROM product",
            ),
            (
                "SELECT id, sum(price) OVER (ORDER BY price ROWS UNBOUNDED PRECEDING) AS s "
                "FROM product",
                "SELECT id, sum(price) OVER (ORDER BY price, product.id ROWS UNBOUNDED PRECEDING) "
                "AS s FROM product",
            ),
            (
                "SELECT maker_id, row_number() OVER (ORDER BY count(*) DESC) AS n FROM product "
                "GROUP BY maker_id",
                "SELECT maker_id, row_number() OVER (ORDER BY count(*) DESC, maker_id) AS n "
                "FROM product GROUP BY maker_id",
            ),
            (
                "SELECT maker_id, array_agg(l.x) AS n FROM product p, unnest(p.labels) "
                "WITH ORDINALITY AS l (x, o) GROUP BY maker_id",
                "SELECT maker_id, array_agg(l.x ORDER BY p.id, l.o) AS n FROM product p, "
                "unnest(p.labels) WITH ORDINALITY l(x, o) GROUP BY maker_id",
            ),
            (
                "SELECT maker_id, count(*) AS n FROM product GROUP BY maker_id "
                "ORDER BY count(*) LIMIT 3",
                "SELECT maker_id, count(*) AS n FROM product GROUP BY maker_id "
                "ORDER BY count(*), maker_id LIMIT 3",
            ),
        ],
    )
    def test_the_key_of_the_rows_is_added(self, query: str, completed: str) -> None:
        assert complete_order(query, FACTS) == completed
        with pytest.raises(UnsupportedQuery):
            tree_of(query)
        tree_of(completed)

    @pytest.mark.parametrize(
        "query",
        [
            "SELECT maker_id, array_agg(name ORDER BY id) AS n FROM product GROUP BY maker_id",
            "SELECT maker_id, array_agg(DISTINCT name) AS n FROM product GROUP BY maker_id",
            "SELECT kind, array_agg(weight ORDER BY weight) AS w FROM event GROUP BY kind",
            "SELECT maker_id, max(name) AS n, count(*) AS c FROM product GROUP BY maker_id",
            "SELECT m.id, jsonb_agg(m.name ORDER BY p.id) AS w FROM maker m "
            "JOIN product p ON p.maker_id = m.id GROUP BY m.id",
            "SELECT r.id FROM review r WHERE EXISTS (SELECT 1 FROM tag t WHERE t.name = r.body LIMIT 1)",
            "SELECT id, (SELECT jsonb_agg(x.body ORDER BY x.id) FROM (SELECT r.id, r.body "
            "FROM review r WHERE r.product_id = p.id ORDER BY r.stars, r.id LIMIT 5) x) AS s "
            "FROM product p",
            "SELECT id, rank() OVER (ORDER BY price) AS n, sum(price) OVER (ORDER BY price) AS s, "
            "count(*) OVER () AS c FROM product",
            "SELECT product_id, row_number() OVER (PARTITION BY product_id ORDER BY name) AS n "
            "FROM tag",
            "SELECT id, first_value(name) OVER (ORDER BY name) AS n FROM product",
            "SELECT id, sum(price) OVER (ORDER BY price ROWS BETWEEN UNBOUNDED PRECEDING "
            "AND UNBOUNDED FOLLOWING) AS s FROM product",
            "SELECT array_agg(l.x ORDER BY l.x, p.id) AS n FROM product p, unnest(p.labels) l (x)",
            "SELECT array_agg(v.x ORDER BY v.x) AS n FROM (VALUES (1), (2)) v (x)",
            "SELECT maker_id, ntile(3) OVER (ORDER BY maker_id) AS n FROM product "
            "GROUP BY maker_id",
        ],
    )
    def test_an_order_that_is_total_stays_as_it_is(self, query: str) -> None:
        assert complete_order(query, FACTS) == canonical_sql(query)
        tree_of(query)

    @pytest.mark.parametrize(
        "query",
        [
            "SELECT kind, array_agg(weight) AS w FROM event GROUP BY kind",
            "SELECT x.category_id, jsonb_agg(x.mean) AS m FROM rated x GROUP BY x.category_id",
            "SELECT DISTINCT ON (maker_id) maker_id, name FROM product ORDER BY maker_id, price",
            "SELECT array_agg(x.n) AS m FROM (SELECT count(*) AS n FROM tag GROUP BY name) x",
            "SELECT kind, row_number() OVER (ORDER BY weight) AS n FROM event",
            "SELECT array_agg(l.x) AS n FROM product p, unnest(p.labels) AS l (x)",
            "SELECT id, unnest(labels) AS x FROM product ORDER BY id LIMIT 3",
            # One more item in the order would be another frame, or another window's order.
            "SELECT id, array_agg(name) OVER (ORDER BY price) AS n FROM product",
            "SELECT id, last_value(name) OVER (ORDER BY price) AS n FROM product",
            "SELECT id, row_number() OVER w AS n, rank() OVER w AS r FROM product "
            "WINDOW w AS (ORDER BY price)",
        ],
    )
    def test_where_no_key_is_known_it_is_refused(self, query: str) -> None:
        with pytest.raises(UnsupportedQuery) as refusal:
            complete_order(query, FACTS)
        assert refusal.value.context["construct"] == "open-order"


class TestCanonicalText:
    def test_layout_comments_and_the_semicolon_go(self) -> None:
        assert canonical_sql("select  a.id -- key\nfrom\tproduct AS a /* all */ ;") == (
            "SELECT a.id FROM product a"
        )

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ('SELECT "U0"."id" FROM "review" "U0"', "SELECT u0.id FROM review U0"),
            ("SELECT a.id FROM product a", "SELECT b.id FROM product b"),
            (
                "SELECT a.id FROM product a WHERE EXISTS (SELECT 1 FROM review b WHERE b.id = a.id)",
                "SELECT b.id FROM product b WHERE EXISTS (SELECT 1 FROM review a WHERE a.id = b.id)",
            ),
            ("SELECT product.id FROM product", "SELECT p.id FROM product p"),
            (
                "SELECT x.n FROM (SELECT a.id AS n FROM product a) x",
                "SELECT y.n FROM (SELECT b.id AS n FROM product b) y",
            ),
            ("SELECT id FROM t WHERE a <> 1", "SELECT id FROM t WHERE a != 1"),
            (
                "SELECT p.id, p.name FROM product p",
                "SELECT p.id AS id, p.name AS name FROM product p",
            ),
        ],
    )
    def test_the_same_query_in_other_words(self, first: str, second: str) -> None:
        assert same_query(first, second)
        assert same_query(second, first)

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("SELECT a.id FROM product a", "SELECT a.id FROM review a"),
            ("SELECT a.id FROM product a", "SELECT a.id AS key FROM product a"),
            ("SELECT a.id FROM t a, t b", "SELECT b.id FROM t a, t b"),
            ("SELECT a.id, b.id FROM t a, t b", "SELECT b.id, a.id FROM t a, t b"),
            ("SELECT id FROM t WHERE a = 'x'", "SELECT id FROM t WHERE a = 'X'"),
            ("SELECT id FROM t WHERE a = '1'", "SELECT id FROM t WHERE a = 1"),
            ("SELECT id FROM s.t", "SELECT id FROM t"),
            ("SELECT id FROM t LIMIT 1", "SELECT id FROM t LIMIT 2"),
        ],
    )
    def test_another_query(self, first: str, second: str) -> None:
        assert not same_query(first, second)

    def test_relations_are_named_without_common_table_expressions(self) -> None:
        found = read_relations(
            "WITH x AS (SELECT id FROM product) SELECT x.id FROM x JOIN shop.maker m ON true "
            "WHERE EXISTS (SELECT FROM x) OR x.id IN (SELECT id FROM review UNION SELECT id FROM tag)"
        )
        assert sorted(found, key=str) == [
            ("shop", "maker"),
            (None, "product"),
            (None, "review"),
            (None, "tag"),
        ]

    def test_a_schema_qualified_name_is_never_a_common_table_expression(self) -> None:
        assert read_relations("WITH x AS (SELECT 1 AS id) SELECT id FROM s.x") == (("s", "x"),)

    def test_functions_are_named_once(self) -> None:
        found = called_functions(
            "SELECT upper(a), pg_catalog.lower(b), upper(c) FROM t WHERE s.f(upper(a))"
        )
        assert sorted(found, key=str) == [("pg_catalog", "lower"), ("s", "f"), (None, "upper")]

    @pytest.mark.parametrize(
        ("expression", "name"),
        [
            ("a.b", "b"),
            ("a AS c", "c"),
            ("upper(a)", "upper"),
            ("a::text", "a"),
            ("1::bigint", "int8"),
            ("coalesce(a, b)", "coalesce"),
            ("CASE WHEN a THEN 1 ELSE 2 END", "case"),
            ("CASE WHEN a THEN 1 ELSE b END", "b"),
            ("ARRAY[a]", "array"),
            ("greatest(a, b)", "greatest"),
            ("least(a, b)", "least"),
            ("EXISTS (SELECT)", "exists"),
            ("ARRAY(SELECT a)", "array"),
            ("(SELECT a.b FROM a)", "b"),
            ("a + b", "?column?"),
            ("a.*", None),
        ],
    )
    def test_outputs_are_named_as_the_server_names_them(
        self, expression: str, name: str | None
    ) -> None:
        assert output_names(f"SELECT {expression} FROM t") == (name,)

    @pytest.mark.parametrize(
        "query",
        [
            "SELECT id, name FROM product WHERE price > 1 AND name LIKE 'a%'",
            r"SELECT id FROM t WHERE a LIKE 'C:\' AND b <> 'x, SELECT y FROM z'",
            r"SELECT E'it''s \\' AS x, 'p,q' AS y FROM t WHERE b = ', AND '",
            "SELECT 'two\nlines, or FROM more' AS x FROM t",
            "SELECT 1 AS a" + ", (SELECT max(b) FROM t)" * 1500,
        ],
    )
    def test_formatting_changes_no_query(self, query: str) -> None:
        canonical = canonical_sql(query)
        assert canonical_sql(formatted(canonical)) == canonical

    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ("at AT TIME ZONE 'EST'", True),
            ("at AT TIME ZONE 'EST'::text", True),
            ("at AT TIME ZONE zone", True),
            ("pg_catalog.timezone(lower(zone), at)", True),
            ("(SELECT max(at AT TIME ZONE zone) FROM u)", True),
            ("date_trunc('day', at, 'EST')", True),
            ("to_timestamp(label, 'YYYY-MM-DD TZ')", True),
            ("to_timestamp(label, template)", True),
            ("jsonb_path_query_first(data, '$.datetime(\"HH24:MI TZ\")')", True),
            ("jsonb_path_query_first(data, '$.timestamp_tz()')", True),
            ("jsonb_path_query_first(data, path)", True),
            ("data @? path", True),
            ("data @@ path::jsonpath", True),
            ("data @? ANY (ARRAY['$.a.time_tz()'::jsonpath])", True),
            ("at AT TIME ZONE 'Europe/Berlin'", False),
            ("at AT TIME ZONE 'UTC'::text", False),
            ("at AT LOCAL", False),
            ("date_trunc('day', at)", False),
            ("date_trunc('day', at, 'Europe/Berlin')", False),
            ("to_timestamp(label, 'YYYY-MM-DD')", False),
            ("to_timestamp(seconds)", False),
            ("'EST'", False),
            ("jsonb_path_query_first(data, '$.a')", False),
            ("data @@ '$.a > 1'::jsonpath", False),
            ("words @@ to_tsquery('simple', label)", False),
            ("words @@ 'a'::tsquery", False),
        ],
    )
    def test_which_queries_may_look_up_abbreviations_of_time_zones(
        self, expression: str, expected: bool
    ) -> None:
        assert reads_zone_abbreviations(["SELECT id FROM t", f"SELECT {expression} AS at"]) is (
            expected
        )

    def test_formatting_is_for_people(self) -> None:
        assert formatted("SELECT id, name FROM product WHERE price > 1") == (
            "SELECT id,\n       name\nFROM product\nWHERE price > 1"
        )
