"""Queries and facts in, routes out: the planner without a database."""

from __future__ import annotations

import pytest

from django_tviews.definition import Column, Declaration
from django_tviews.errors import ColumnMismatch, KeyMissing, KeyNull, UnsupportedQuery
from django_tviews.plan.plan import Plan, Strategy
from django_tviews.plan.planner import make_plan
from django_tviews.sql.routes import describe

from .plans import FACTS, routes, tree_of


class TestDirectRoutes:
    """The key is read off the changed row."""

    def test_the_key_is_a_column_of_the_changed_table(self) -> None:
        assert routes("SELECT id, name FROM product") == ["product | KEY product.id"]

    def test_a_condition_on_the_root_filters_its_changes(self) -> None:
        assert routes("SELECT id FROM product WHERE price > 5 AND name <> 'x'") == [
            "product WHERE (product.price > 5) AND (product.name <> 'x') | KEY product.id"
        ]

    def test_a_column_equal_to_the_key_stands_for_it(self) -> None:
        assert routes(
            "SELECT p.id, (SELECT count(*) FROM review r WHERE r.product_id = p.id) AS n "
            "FROM product p"
        ) == ["product | KEY product.id", "review | KEY review.product_id"]

    def test_equality_carries_over_several_columns(self) -> None:
        assert routes(
            "SELECT p.id FROM product p JOIN review r ON r.product_id = p.id "
            "JOIN tag t ON t.product_id = r.product_id"
        ) == [
            "product | KEY product.id",
            "review | KEY review.product_id",
            "tag | KEY tag.product_id",
        ]

    def test_a_constant_key_needs_nothing_of_the_row(self) -> None:
        assert routes("SELECT 1 AS id, count(*) AS n FROM product WHERE price > 1") == [
            "product WHERE (product.price > 1) | KEY 1"
        ]

    def test_a_key_may_be_an_expression(self) -> None:
        assert routes("SELECT lower(p.name) AS id, count(*) AS n FROM product p GROUP BY 1") == [
            "product | KEY lower(product.name)"
        ]

    def test_a_composite_key_is_read_off_together(self) -> None:
        assert routes("SELECT name, product_id FROM tag", "product_id, name") == [
            "tag | KEY tag.product_id, tag.name"
        ]


class TestPaths:
    """The key is found by joining."""

    def test_parents_are_joined_step_by_step(self) -> None:
        assert routes(
            "SELECT r.id, t.name FROM review r JOIN product p ON p.id = r.product_id "
            "LEFT JOIN category c ON c.id = p.category_id LEFT JOIN category t ON t.id = c.parent_id"
        ) == [
            "review | KEY review.id",
            "product | review ON (product.id = review.product_id) | KEY review.id",
            "category | product ON (category.id = product.category_id) "
            "| review ON (product.id = review.product_id) | KEY review.id",
            "category_2 | category ON (category_2.id = category.parent_id) "
            "| product ON (category.id = product.category_id) "
            "| review ON (product.id = review.product_id) | KEY review.id",
        ]

    def test_every_occurrence_of_a_table_has_a_route_of_its_own(self) -> None:
        assert routes(
            "SELECT a.product_id AS a, b.product_id AS b FROM tag a JOIN tag b "
            "ON a.name = b.name AND a.product_id < b.product_id",
            "a, b",
        ) == [
            "tag | tag_2 ON (tag.name = tag_2.name) AND (tag.product_id < tag_2.product_id) "
            "| KEY tag.product_id, tag_2.product_id",
            "tag_2 | tag ON (tag.name = tag_2.name) AND (tag.product_id < tag_2.product_id) "
            "| KEY tag.product_id, tag_2.product_id",
        ]

    def test_a_condition_on_one_relation_alone_leads_nowhere(self) -> None:
        found = routes(
            "SELECT m.country, c.name, count(*) AS n FROM product p "
            "JOIN maker m ON m.id = p.maker_id JOIN category c ON c.id = p.category_id "
            "WHERE m.country IS NOT NULL GROUP BY 1, 2",
            "country, name",
        )
        assert found[2] == (
            "category | product ON (category.id = product.category_id) "
            "| maker ON (maker.id = product.maker_id) AND (maker.country IS NOT NULL) "
            "| KEY maker.country, category.name"
        )
        assert routes("SELECT p.id FROM product p CROSS JOIN discount d WHERE p.price > 5")[1] == (
            "discount | NONE: no join condition leads from shop.discount to shop.product, "
            "which supplies the key"
        )

    def test_conditions_other_than_equality_lead_on_as_well(self) -> None:
        assert routes(
            "SELECT p.id, d.id AS discount FROM product p JOIN discount d "
            "ON p.price BETWEEN d.low AND d.high",
            "id, discount",
        ) == [
            "product | discount ON (product.price BETWEEN discount.low AND discount.high) "
            "| KEY product.id, discount.id",
            "discount | product ON (product.price BETWEEN discount.low AND discount.high) "
            "| KEY product.id, discount.id",
        ]

    def test_types_that_differ_do_not_stand_for_each_other(self) -> None:
        # numeric 1.0 equals bigint 1 and is not the same.
        assert (
            routes(
                "SELECT p.price AS id, count(*) AS n FROM product p JOIN review r "
                "ON r.product_id = p.price GROUP BY p.price"
            )[1]
            == "review | product ON (review.product_id = product.price) | KEY product.price"
        )

    def test_looks_that_differ_do_not_stand_for_each_other(self) -> None:
        assert routes("SELECT f.id FROM folded f JOIN folded g ON g.name = f.id")[1] == (
            "folded_2 | folded ON (folded_2.name = folded.id) | KEY folded.id"
        )


class TestOuterJoins:
    def test_an_anti_join_keeps_no_condition_on_the_missing_side(self) -> None:
        assert routes(
            "SELECT p.id FROM product p LEFT JOIN review r ON r.product_id = p.id "
            "AND r.stars > 3 WHERE r.id IS NULL AND p.price > 1"
        ) == [
            "product WHERE (product.price > 1) | KEY product.id",
            "review WHERE (review.stars > 3) | KEY review.product_id",
        ]

    def test_a_key_over_a_nullable_side_is_evaluated_both_ways(self) -> None:
        both = "KEY COALESCE(category.name, 'none') OR COALESCE(NULL, 'none')"
        assert routes(
            "SELECT coalesce(c.name, 'none') AS id, count(*) AS n FROM product p "
            "LEFT JOIN category c ON c.id = p.category_id GROUP BY 1"
        ) == [
            f"product | category ON (category.id = product.category_id) | {both}",
            f"category | {both}",
        ]

    def test_a_condition_of_the_join_does_not_filter_the_side_that_stays(self) -> None:
        assert routes(
            "SELECT p.id, s.name FROM product p LEFT JOIN maker s "
            "ON s.id = p.maker_id AND p.price > 5 AND s.country = 'de'"
        ) == [
            "product | KEY product.id",
            "maker WHERE (maker.country = 'de') "
            "| product ON (maker.id = product.maker_id) AND (product.price > 5) | KEY product.id",
        ]

    def test_a_condition_of_the_join_ties_no_rows_of_the_sides_that_stay(self) -> None:
        assert routes(
            "SELECT p.id, d.id AS discount, m.name FROM product p CROSS JOIN discount d "
            "LEFT JOIN maker m ON m.id = p.maker_id AND p.price > d.low",
            "id, discount",
        ) == [
            "product | discount ON true | KEY product.id, discount.id",
            "discount | product ON true | KEY product.id, discount.id",
            "maker | product ON (maker.id = product.maker_id) "
            "| discount ON (product.price > discount.low) | KEY product.id, discount.id",
        ]

    def test_where_over_a_nullable_side_does_not_filter_it(self) -> None:
        assert routes(
            "SELECT p.id FROM product p LEFT JOIN category c ON c.id = p.category_id "
            "WHERE coalesce(c.name, '') <> 'x'"
        ) == [
            "product | KEY product.id",
            "category | product ON (category.id = product.category_id) | KEY product.id",
        ]

    def test_both_sides_of_a_full_join_may_be_missing(self) -> None:
        found = routes(
            "SELECT coalesce(p.id, r.product_id, 0) AS id FROM product p "
            "FULL JOIN review r ON r.product_id = p.id"
        )
        assert [route.count(" OR ") for route in found] == [3, 3]
        assert all("COALESCE(NULL, NULL, 0)" in route for route in found)


class TestSublinks:
    def test_conditions_inside_a_sublink_lead_out_of_it(self) -> None:
        assert routes(
            "SELECT r.id FROM review r JOIN product p ON p.id = r.product_id WHERE EXISTS "
            "(SELECT FROM tag t WHERE t.product_id = p.id AND t.name = p.name)"
        ) == [
            "review | KEY review.id",
            "product | review ON (product.id = review.product_id) | KEY review.id",
            "tag | product ON (tag.product_id = product.id) AND (tag.name = product.name) "
            "| review ON (product.id = review.product_id) | KEY review.id",
        ]

    def test_conditions_inside_a_sublink_filter_nothing_outside(self) -> None:
        assert routes(
            "SELECT p.id FROM product p WHERE NOT EXISTS (SELECT FROM review r "
            "WHERE r.product_id = p.id AND p.price > 5)"
        ) == [
            "product | KEY product.id",
            "review | KEY review.product_id",
        ]

    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            ("p.category_id IN (SELECT c.id FROM category c)", True),
            ("p.id IN (SELECT c.parent_id FROM category c)", True),
            ("p.id NOT IN (SELECT c.id FROM category c)", True),
            ("EXISTS (SELECT FROM category c WHERE c.parent_id IS NULL)", False),
            ("p.price > (SELECT avg(q.price) FROM product q)", False),
        ],
    )
    def test_a_sublink_needs_something_that_ties_it(self, condition: str, expected: bool) -> None:
        found = routes(f"SELECT p.id FROM product p WHERE {condition}")
        assert found[0].endswith("| KEY product.id")
        assert ("NONE" not in found[1]) is expected

    @pytest.mark.parametrize(
        "query",
        [
            "SELECT p.id FROM product p WHERE p.id NOT IN (SELECT c.parent_id FROM category c)",
            "SELECT p.id FROM product p WHERE p.id <> ALL (SELECT c.parent_id FROM category c)",
            "SELECT p.id, p.id IN (SELECT c.parent_id FROM category c) AS f FROM product p",
            "SELECT p.id FROM product p WHERE (p.id IN (SELECT c.parent_id FROM category c)) IS NULL",
            "SELECT p.id FROM product p WHERE p.price > 5 "
            "OR p.id IN (SELECT c.parent_id FROM category c)",
        ],
    )
    def test_where_a_null_may_decide_it_affects_every_key(self, query: str) -> None:
        assert routes(query)[1:] == [
            "category | KEY category.parent_id",
            "category WHERE (category.parent_id IS NULL) | product ON true | KEY product.id",
        ]

    def test_where_both_sides_are_not_null_no_null_decides(self) -> None:
        found = routes("SELECT p.id, p.id IN (SELECT c.id FROM category c) AS f FROM product p")
        assert found[1:] == ["category | KEY category.id"]

    def test_rows_that_are_null_outside_are_affected_by_every_row_inside(self) -> None:
        assert routes(
            "SELECT p.id FROM product p WHERE p.category_id NOT IN (SELECT c.id FROM category c)"
        )[1:] == [
            "category | product ON (product.category_id OPERATOR(pg_catalog.=) category.id) "
            "| KEY product.id",
            "category | product ON (product.category_id IS NULL) | KEY product.id",
        ]

    @pytest.mark.parametrize(
        ("condition", "tie"),
        [
            (
                "p.price > ALL (SELECT d.low FROM discount d)",
                "(product.price > discount.low) IS NOT TRUE",
            ),
            ("p.price > ANY (SELECT d.low FROM discount d)", "product.price > discount.low"),
            ("NOT p.price > ANY (SELECT d.low FROM discount d)", "product.price > discount.low"),
            (
                "(p.price > ANY (SELECT r.stars FROM review r)) IS NULL",
                "(product.price > review.stars) IS NOT FALSE",
            ),
            ("p.price <> ALL (SELECT d.low FROM discount d)", "product.price = discount.low"),
        ],
    )
    def test_a_quantified_comparison_ties_the_rows_that_can_decide_it(
        self, condition: str, tie: str
    ) -> None:
        found = routes(f"SELECT p.id FROM product p WHERE {condition}")
        assert f"product ON ({tie})" in found[1]

    def test_rows_are_equal_column_by_column(self) -> None:
        assert routes(
            "SELECT t.name AS id FROM tag t JOIN product p ON (t.product_id, t.name) = (p.id, p.name)"
        )[1] == ("product | KEY product.name")


class TestSetOperations:
    def test_each_branch_has_its_own_key(self) -> None:
        assert routes("SELECT name AS id FROM product UNION SELECT country FROM maker") == [
            "product | KEY product.name",
            "maker | KEY maker.country",
        ]

    def test_conditions_of_one_branch_say_nothing_about_another(self) -> None:
        assert routes(
            "SELECT id FROM product WHERE price > 5 UNION ALL SELECT id FROM maker WHERE id > 7 "
            "EXCEPT SELECT product_id FROM tag WHERE name = 'x'"
        ) == [
            "product WHERE (product.price > 5) | KEY product.id",
            "maker WHERE (maker.id > 7) | KEY maker.id",
            "tag WHERE (tag.name = 'x') | KEY tag.product_id",
        ]

    def test_a_relation_beside_a_union_is_routed_through_each_branch(self) -> None:
        assert routes(
            "SELECT u.id, c.name FROM category c JOIN (SELECT id, category_id FROM product "
            "UNION ALL SELECT id, id FROM maker) u ON u.category_id = c.id"
        ) == [
            "category | product ON (product.category_id = category.id) | KEY product.id",
            "category | KEY category.id",
            "product | KEY product.id",
            "maker | KEY maker.id",
        ]

    def test_a_relation_beside_an_except_is_routed_through_what_shows(self) -> None:
        assert routes(
            "SELECT u.id, c.name FROM category c JOIN (SELECT id, category_id FROM product "
            "EXCEPT SELECT id, id FROM maker) u ON u.category_id = c.id"
        ) == [
            "category | product ON (product.category_id = category.id) | KEY product.id",
            "product | KEY product.id",
            "maker | KEY maker.id",
        ]

    def test_types_are_resolved_as_in_the_query(self) -> None:
        assert routes("SELECT stars AS id FROM review UNION SELECT price FROM product") == [
            "review | KEY COALESCE(review.stars, CASE WHEN false THEN NULL END)",
            "product | KEY COALESCE(CASE WHEN false THEN NULL END, product.price)",
        ]
        assert routes("SELECT 'a'::text AS id FROM review UNION SELECT name FROM product") == [
            "review | KEY 'a'::text",
            "product | KEY product.name",
        ]

    def test_a_value_whose_type_is_not_known_is_no_key(self) -> None:
        assert (
            "columns whose common type is not known"
            in routes("SELECT stars AS id FROM review UNION SELECT max(price) FROM product")[0]
        )

    def test_a_limit_of_all_branches_tells_no_key(self) -> None:
        found = routes("SELECT id FROM product UNION SELECT id FROM maker ORDER BY id LIMIT 3")
        assert all("computed by LIMIT" in route for route in found)

    def test_the_columns_of_distinct_on_are_like_those_of_a_group(self) -> None:
        query = (
            "SELECT DISTINCT ON (maker_id) maker_id AS id, product.id AS first, name FROM product "
            "ORDER BY maker_id, product.id"
        )
        assert routes(query) == ["product | KEY product.maker_id"]
        assert "NONE: the key is computed by DISTINCT ON" in routes(query, "first")[0]

    def test_a_set_operation_shows_null_where_its_branches_do(self) -> None:
        for operation, expected in (("UNION", True), ("INTERSECT", False), ("EXCEPT", False)):
            (output,) = tree_of(
                f"SELECT id FROM product {operation} SELECT stars FROM review"
            ).outputs
            assert output.nullable is expected


class TestWindows:
    """The rows of the partition are the FROM items once more, tied by PARTITION BY."""

    def test_a_row_affects_the_rows_of_its_partition(self) -> None:
        assert routes(
            "SELECT p.id, rank() OVER (PARTITION BY p.maker_id ORDER BY p.price) AS r "
            "FROM product p WHERE p.price > 5"
        ) == [
            "product WHERE (product.price > 5) | KEY product.id",
            "product_2 WHERE (product_2.price > 5) | product ON (product.price > 5) "
            "AND (product.maker_id OPERATOR(pg_catalog.=) product_2.maker_id) | KEY product.id",
        ]

    def test_nulls_are_a_partition_of_their_own(self) -> None:
        assert routes(
            "SELECT p.id, rank() OVER (PARTITION BY p.category_id ORDER BY p.price) AS r "
            "FROM product p"
        ) == [
            "product | KEY product.id",
            "product_2 | product ON (product.category_id OPERATOR(pg_catalog.=) product_2.category_id) | KEY product.id",
            "product_2 | product ON (product.category_id IS NULL AND product_2.category_id "
            "IS NULL) | KEY product.id",
        ]

    def test_what_a_subquery_in_the_window_reads_affects_the_whole_partition(self) -> None:
        stars = "(SELECT max(r.stars) FROM review r WHERE r.product_id = p.id)"
        for call in (
            f"avg({stars}) OVER (PARTITION BY p.maker_id)",
            f"rank() OVER (PARTITION BY p.maker_id ORDER BY {stars})",
            f"count(*) FILTER (WHERE {stars} > 3) OVER (PARTITION BY p.maker_id)",
        ):
            assert (
                "review | product_2 ON (review.product_id = product_2.id) "
                "| product ON (product.maker_id OPERATOR(pg_catalog.=) product_2.maker_id) "
                "| KEY product.id"
            ) in routes(f"SELECT p.id, {call} AS n FROM product p")

    def test_equality_is_that_of_the_type(self) -> None:
        found = routes("SELECT p.id, count(*) OVER (PARTITION BY p.code) AS n FROM product p")
        assert "product ON (product.code OPERATOR(public.=) product_2.code)" in found[1]

    def test_computed_partitions_are_compared_as_records(self) -> None:
        found = routes(
            "SELECT p.id, count(*) OVER (PARTITION BY lower(p.name)) AS n FROM product p"
        )
        assert found[1] == (
            "product_2 | product ON (CAST(ROW(lower(product.name)) AS record) "
            "OPERATOR(pg_catalog.=) CAST(ROW(lower(product_2.name)) AS record)) | KEY product.id"
        )

    def test_each_partitioning_has_routes_of_its_own(self) -> None:
        found = routes(
            "SELECT t.name AS id, count(*) OVER (PARTITION BY t.product_id) AS a, "
            "count(*) OVER (PARTITION BY t.name) AS b, sum(1) OVER (PARTITION BY t.product_id) "
            "AS c FROM tag t"
        )
        assert found == [
            "tag | KEY tag.name",
            "tag_2 | tag ON (tag.product_id OPERATOR(pg_catalog.=) tag_2.product_id) | KEY tag.name",
            "tag_3 | KEY tag_3.name",
        ]

    def test_named_windows_are_looked_up(self) -> None:
        found = routes(
            "SELECT t.name AS id, count(*) OVER v AS a, count(*) OVER (w ORDER BY t.name) AS b "
            "FROM tag t WINDOW w AS (PARTITION BY t.product_id), v AS (w ORDER BY t.name)"
        )
        assert found[1:] == [
            "tag_2 | tag ON (tag.product_id OPERATOR(pg_catalog.=) tag_2.product_id) | KEY tag.name"
        ]

    @pytest.mark.parametrize(
        "over",
        [
            "()",
            "(ORDER BY p.price)",
            "(PARTITION BY (SELECT max(r.stars) FROM review r WHERE r.product_id = p.id))",
            # The partition of rows without a match changes, too.
            "(PARTITION BY c.name)",
        ],
    )
    def test_where_nothing_ties_a_partition_there_is_no_route(self, over: str) -> None:
        found = routes(
            f"SELECT p.id, count(*) OVER {over} AS n FROM product p "
            "LEFT JOIN category c ON c.id = p.category_id"
        )
        assert any("NONE: no join condition leads" in route for route in found)

    def test_a_window_is_no_key(self) -> None:
        found = routes("SELECT row_number() OVER (ORDER BY id) AS id FROM product")
        assert "NONE: the key is computed by a window function" in found[0]


class TestUnits:
    """How much of a query with windows is evaluated for a few keys."""

    @staticmethod
    def plan(query: str, columns: str, key: str = "id") -> Plan:
        return TestPlan.plan(query, columns, key)

    def test_without_windows_a_query_is_evaluated_by_key(self) -> None:
        plan = self.plan(
            "SELECT maker_id AS id, count(*) AS n FROM product GROUP BY maker_id",
            "id bigint, n bigint",
        )
        assert plan.by_key
        assert plan.unit is None

    @pytest.mark.parametrize(
        "query",
        [
            "SELECT maker_id AS id, count(*) OVER (PARTITION BY maker_id) AS n FROM product",
            "SELECT m.id, x.n FROM maker m JOIN (SELECT maker_id, row_number() OVER "
            "(PARTITION BY maker_id ORDER BY id) AS n FROM product) x ON x.maker_id = m.id",
            "SELECT m.id, (SELECT max(x.n) FROM (SELECT row_number() OVER (ORDER BY p.id) AS n "
            "FROM product p WHERE p.maker_id = m.id) x) AS n FROM maker m",
        ],
    )
    def test_where_the_key_tells_the_partition_it_is_evaluated_by_key(self, query: str) -> None:
        assert self.plan(query, "id bigint, n? bigint").by_key

    def test_partitions_are_looked_up_by_the_key(self) -> None:
        plan = self.plan(
            "SELECT r.id, p.maker_id, count(*) OVER (PARTITION BY p.maker_id) AS n "
            "FROM review r JOIN product p ON p.id = r.product_id",
            "id bigint, maker_id bigint, n? bigint",
        )
        assert not plan.by_key
        assert plan.unit is not None
        assert [column.output for column in plan.unit.columns] == ["maker_id"]
        assert plan.unit.key == ("id",)
        assert describe(plan.unit.way) == "review → product → key"

    def test_only_what_all_windows_are_partitioned_by_tells_the_unit(self) -> None:
        plan = self.plan(
            "SELECT id, maker_id, category_id, name, count(*) OVER (PARTITION BY maker_id, name) "
            "AS n, rank() OVER (PARTITION BY name, category_id ORDER BY price) AS m FROM product",
            "id bigint, maker_id bigint, category_id? bigint, name text, n? bigint, m? bigint",
        )
        assert plan.unit is not None
        assert [column.output for column in plan.unit.columns] == ["name"]

    @pytest.mark.parametrize(
        ("query", "key"),
        [
            pytest.param(
                "SELECT id, '' AS x, count(*) OVER (PARTITION BY name) AS n FROM product",
                "id",
                id="a partition that does not show",
            ),
            pytest.param(
                "SELECT id, name AS x, count(*) OVER (PARTITION BY lower(name)) AS n FROM product",
                "id",
                id="a partition by an expression",
            ),
            pytest.param(
                "SELECT id + 1 AS id, name AS x, count(*) OVER (PARTITION BY name) AS n "
                "FROM product",
                "id",
                id="a key that is computed",
            ),
            pytest.param(
                "SELECT id, name AS x, count(*) OVER (PARTITION BY name) AS n FROM product "
                "UNION ALL SELECT id, name, 1 FROM category",
                "id, x",
                id="a branch without the partition",
            ),
        ],
    )
    def test_where_no_output_tells_it_the_whole_query_is_evaluated(
        self, query: str, key: str
    ) -> None:
        plan = self.plan(query, "id bigint, x? text, n? bigint", key)
        assert (plan.by_key, plan.unit) == (key == "id, x", None)


class TestComputedRelations:
    """Functions that give rows, and VALUES, never change: a route computes them itself."""

    @pytest.mark.parametrize(
        ("query", "key", "expected"),
        [
            (
                "SELECT p.id, l.n FROM product p, unnest(p.labels) WITH ORDINALITY AS l (label, n)",
                "id, n",
                "product | unnest ON true | KEY product.id, unnest.ordinality",
            ),
            (
                "SELECT id, unnest(labels) AS label FROM product",
                "id, label",
                "product | unnest ON true | KEY product.id, unnest.value_1",
            ),
            (
                "SELECT unnest(labels) AS id, count(*) AS n FROM product GROUP BY 1",
                "id",
                "product | unnest ON true | KEY unnest.value_1",
            ),
            (
                "SELECT p.id, j.key FROM product p LEFT JOIN LATERAL jsonb_each(p.data) j ON true",
                "id, key",
                "product | jsonb_each ON true | KEY product.id, jsonb_each.key OR product.id, NULL",
            ),
            (
                "SELECT id, unnest(labels) AS a, generate_series(1, 2) AS b FROM product",
                "id, a, b",
                "product | rows ON true | KEY product.id, rows.value_1, rows.value_2",
            ),
            (
                "SELECT p.id, v.x FROM product p CROSS JOIN (VALUES (1), (2)) v (x)",
                "id, x",
                "product | values ON true | KEY product.id, values.column1",
            ),
            (
                "SELECT p.id, l.x FROM product p, unnest(p.labels) l (x) WHERE l.x <> p.name",
                "id, x",
                "product WHERE EXISTS (SELECT FROM ROWS FROM (unnest(product.labels)) AS unnest (l) "
                "WHERE unnest.l <> product.name) | unnest ON (unnest.l <> product.name) "
                "| KEY product.id, unnest.l",
            ),
            (
                "SELECT p.id FROM product p, unnest(p.labels) l",
                "id",
                "product | KEY product.id",
            ),
        ],
    )
    def test_the_function_is_joined_where_the_key_needs_it(
        self, query: str, key: str, expected: str
    ) -> None:
        assert routes(query, key) == [expected]

    def test_a_route_goes_on_from_what_the_function_gives(self) -> None:
        assert routes(
            "SELECT m.id, count(*) AS n FROM product p CROSS JOIN unnest(p.labels) l (x) "
            "JOIN maker m ON m.name = l.x GROUP BY m.id"
        ) == [
            "product | unnest ON true | maker ON (maker.name = unnest.l) | KEY maker.id",
            "maker | KEY maker.id",
        ]

    def test_a_route_finds_the_rows_that_a_function_takes_a_value_from(self) -> None:
        assert routes(
            "SELECT p.id, m.country FROM product p CROSS JOIN unnest(p.labels) l (x) "
            "JOIN maker m ON m.name = l.x",
        )[1] == (
            "maker | product ON EXISTS (SELECT FROM ROWS FROM (unnest(product.labels)) "
            "AS unnest (l) WHERE maker.name = unnest.l) | KEY product.id"
        )

    @pytest.mark.parametrize(
        ("call", "known"),
        [
            ("generate_series(c.id, 5)", True),
            ("generate_series(coalesce(c.id, 1), 5)", False),
            ("generate_series(1, c.id)", False),
            ("string_to_table(c.name, ',')", True),
        ],
    )
    def test_a_function_of_a_missing_row_must_give_none(self, call: str, known: bool) -> None:
        found = routes(
            "SELECT p.id, g.n FROM product p LEFT JOIN category c ON c.id = p.category_id "
            f"CROSS JOIN {call} AS g (n)",
            "id, n",
        )
        assert ("a function over rows that an outer join may miss" in found[1]) is not known

    def test_rows_that_nothing_ties_are_joined_after_what_they_are_computed_from(self) -> None:
        query = (
            "SELECT m.id, g.v FROM product p JOIN generate_series(1, p.id) AS g (v) ON true "
            "CROSS JOIN maker m"
        )
        assert routes(query, "id, v") == [
            "product | generate_series ON true | maker ON true | KEY maker.id, generate_series.g",
            "maker | product ON true | generate_series ON true | KEY maker.id, generate_series.g",
        ]

    def test_a_function_of_an_aggregate_tells_no_key(self) -> None:
        found = routes(
            "SELECT maker_id, unnest(array_agg(name ORDER BY id)) AS name FROM product "
            "GROUP BY maker_id",
            "maker_id, name",
        )
        assert found == ["product | NONE: the key is computed by an aggregate"]


class TestGroupingSets:
    """Each set is an alternative, in which what it leaves out is NULL."""

    def test_a_row_is_in_a_group_of_each_set(self) -> None:
        assert routes(
            "SELECT coalesce(p.name, '') AS id, grouping(p.name, p.maker_id) AS g, "
            "coalesce(p.maker_id, 0) AS m FROM product p GROUP BY CUBE (p.name, p.maker_id)",
            "id, m, g",
        ) == [
            "product | KEY COALESCE(product.name, ''), COALESCE(product.maker_id, 0), (0)",
            "product | KEY COALESCE(product.name, ''), "
            "COALESCE((CASE WHEN false THEN NULL END), 0), (1)",
            "product | KEY COALESCE((CASE WHEN false THEN NULL END), ''), "
            "COALESCE(product.maker_id, 0), (2)",
            "product | KEY COALESCE((CASE WHEN false THEN NULL END), ''), "
            "COALESCE((CASE WHEN false THEN NULL END), 0), (3)",
        ]

    @pytest.mark.parametrize(
        ("clause", "sets"),
        [
            ("ROLLUP (name, maker_id)", [0, 1, 3]),
            ("ROLLUP ((name, maker_id))", [0, 3]),
            ("CUBE (name, maker_id)", [0, 1, 2, 3]),
            ("GROUPING SETS ((name), (maker_id))", [1, 2]),
            ("GROUPING SETS (ROLLUP (name), maker_id)", [1, 3, 2]),
            ("name, ROLLUP (maker_id)", [0, 1]),
            ("ROLLUP (name), ROLLUP (maker_id)", [0, 1, 2, 3]),
            ("ROLLUP (2, 3)", [0, 1, 3]),
        ],
    )
    def test_sets_are_those_that_postgresql_makes_of_them(
        self, clause: str, sets: list[int]
    ) -> None:
        found = routes(
            f"SELECT grouping(name, maker_id) AS id, name, maker_id FROM product GROUP BY {clause}"
        )
        assert found == [f"product | KEY ({number})" for number in sets]

    def test_a_condition_is_over_rows_and_not_over_groups(self) -> None:
        found = routes(
            "SELECT coalesce(p.name, '') AS id FROM product p WHERE p.name > 'm' "
            "GROUP BY GROUPING SETS ((p.name), (p.maker_id))"
        )
        assert all(route.startswith("product WHERE (product.name > 'm') |") for route in found)

    def test_what_some_set_leaves_out_may_be_null(self) -> None:
        outputs = tree_of(
            "SELECT name, maker_id, count(*) AS n, max(price) AS p, grouping(name) AS g "
            "FROM product GROUP BY name, ROLLUP (maker_id)"
        ).outputs
        assert [output.nullable for output in outputs] == [False, True, False, False, False]
        outputs = tree_of("SELECT max(price) AS p FROM product GROUP BY ROLLUP (name)").outputs
        assert outputs[0].nullable

    def test_a_subquery_is_not_tied_by_what_a_set_leaves_out(self) -> None:
        assert routes(
            "SELECT coalesce(p.maker_id, 0) AS id, (SELECT m.name FROM maker m "
            "WHERE m.id = p.maker_id) AS name FROM product p GROUP BY ROLLUP (p.maker_id)"
        )[2:] == [
            "maker | KEY COALESCE(maker.id, 0)",
            "maker | KEY COALESCE((CASE WHEN false THEN NULL END), 0)",
        ]


class TestRecursion:
    TREE = (
        "WITH RECURSIVE t (id, up, depth) AS (SELECT id, parent_id, 1 FROM category "
        "UNION ALL SELECT t.id, c.parent_id, t.depth + 1 FROM t JOIN category c ON c.id = t.up) "
    )

    def test_it_has_no_route(self) -> None:
        found = routes(f"{self.TREE} SELECT id, depth FROM t", "id, depth")
        assert found == [
            f"{name} | NONE: the key is computed by WITH RECURSIVE"
            for name in ("category", "category_2")
        ]

    def test_what_stands_beside_it_has_one(self) -> None:
        found = routes(
            f"{self.TREE}, m AS (SELECT id FROM maker) SELECT p.id, t.depth FROM product p "
            "JOIN t ON t.id = p.category_id JOIN m ON m.id = p.maker_id"
        )
        assert [("NONE" in route, route.split()[0]) for route in found] == [
            (False, "product"),
            (True, "category"),
            (True, "category_2"),
            (False, "maker"),
        ]

    def test_terms_in_set_operations_and_their_branches_count_all(self) -> None:
        found = routes(
            "WITH RECURSIVE t AS (SELECT id FROM category UNION (SELECT c.id FROM t "
            "JOIN category c ON c.parent_id = t.id UNION SELECT t.id FROM t JOIN maker m "
            "ON m.id = t.id)) SELECT p.id FROM product p UNION SELECT id FROM t"
        )
        assert list(dict.fromkeys(route.split()[0] for route in found)) == [
            "product",
            "category",
            "category_2",
            "maker",
        ]
        assert all("NONE" in route for route in found[1:])

    def test_null_is_found_however_long_it_takes(self) -> None:
        outputs = tree_of(
            "WITH RECURSIVE t AS (SELECT id AS a, id AS b, id AS c FROM category "
            "UNION ALL SELECT t.b, t.c, k.parent_id FROM t JOIN category k ON k.id = t.a) "
            "SELECT a, b, c, (SELECT count(*) FROM t) AS n FROM t"
        ).outputs
        assert [output.nullable for output in outputs] == [True, True, True, False]
        outputs = tree_of(
            "WITH RECURSIVE t AS (SELECT id AS a, 1 AS b FROM category UNION ALL "
            "SELECT k.id, t.b + 1 FROM t JOIN category k ON k.parent_id = t.a) SELECT a, b FROM t"
        ).outputs
        assert [output.nullable for output in outputs] == [False, False]


class TestCrossJoins:
    def test_what_shows_beside_every_row_has_as_many_keys(self) -> None:
        query = "SELECT p.id AS a, d.id AS b, c.name FROM product p CROSS JOIN discount d LEFT JOIN category c ON c.id = p.category_id"
        assert routes(query, "a, b") == [
            "product | discount ON true | KEY product.id, discount.id",
            "discount | product ON true | KEY product.id, discount.id",
            "category | product ON (category.id = product.category_id) | discount ON true "
            "| KEY product.id, discount.id",
        ]


class TestLayers:
    def test_helper_views_are_looked_through(self) -> None:
        assert routes(
            "SELECT c.id, r.mean FROM category c LEFT JOIN rated r ON r.category_id = c.id"
        ) == [
            "category | KEY category.id",
            "product | KEY product.category_id",
            "review | product ON (review.product_id = product.id) | KEY product.category_id",
        ]

    def test_the_rows_beside_each_other_before_a_limit_lead_to_each_other(self) -> None:
        assert routes(
            "SELECT p.id, top.name FROM product p JOIN LATERAL (SELECT t.name FROM tag t "
            "WHERE t.product_id = p.id ORDER BY t.name LIMIT 2) top ON top.name > 'b'",
            "id, name",
        ) == [
            "product | tag ON (tag.product_id = product.id) AND (tag.name > 'b') "
            "| KEY product.id, tag.name",
            "tag WHERE (tag.name > 'b') | KEY tag.product_id, tag.name",
            "tag_2 | product ON (tag_2.product_id = product.id) "
            "| tag ON (tag.product_id = product.id) AND (tag.name > 'b') "
            "| KEY product.id, tag.name",
        ]

    def test_derived_tables_ctes_and_laterals_are_looked_through(self) -> None:
        expected = ["product | KEY product.id", "tag | KEY tag.product_id"]
        grouped = "SELECT product_id, count(*) AS n FROM tag GROUP BY product_id"
        for query in (
            f"SELECT p.id, t.n FROM product p JOIN ({grouped}) t ON t.product_id = p.id",
            f"WITH t AS ({grouped}) SELECT p.id, t.n FROM product p JOIN t ON t.product_id = p.id",
        ):
            assert routes(query) == expected
        lateral = (
            "SELECT p.id, t.name FROM product p LEFT JOIN LATERAL (SELECT x.name FROM tag x "
            "WHERE x.product_id = p.id ORDER BY x.name LIMIT 1) t ON true"
        )
        assert routes(lateral) == [*expected, "tag_2 | KEY tag_2.product_id"]

    @pytest.mark.parametrize(
        ("query", "construct"),
        [
            ("SELECT id FROM product ORDER BY price, id LIMIT 3", "LIMIT"),
            ("SELECT max(id) AS id FROM product GROUP BY maker_id", "an aggregate"),
            ("SELECT (SELECT max(r.id) FROM review r) AS id FROM product", "a subquery"),
        ],
    )
    def test_a_key_that_no_single_row_tells_has_no_route(self, query: str, construct: str) -> None:
        assert f"NONE: the key is computed by {construct}" in routes(query)[0]


class TestPlan:
    """make_plan: what is checked of a declaration, and what a plan holds."""

    @staticmethod
    def plan(query: str, columns: str, key: str = "id", *, allow_rebuild: bool = False) -> Plan:
        return make_plan(
            Declaration(
                "shop.Card",
                "shop_card",
                query,
                tuple(
                    Column(name.strip("?"), type_sql, name.endswith("?"), name.strip("?"))
                    for name, type_sql in (part.split(" ", 1) for part in columns.split(", "))
                ),
                tuple(key.split(", ")),
                allow_rebuild=allow_rebuild,
            ),
            tree_of(query),
            FACTS,
            schema="shop",
            runtime_schema="public",
        )

    def test_a_source_is_named_once_however_often_it_occurs(self) -> None:
        plan = self.plan(
            "SELECT p.id, a.name, b.name AS other FROM product p LEFT JOIN category a "
            "ON a.id = p.category_id LEFT JOIN category b ON b.id = a.parent_id",
            "id bigint, name? text, other? text",
        )
        assert [source.relation.name for source in plan.sources] == ["product", "category"]
        assert [len(source.routes) for source in plan.sources] == [1, 2]
        assert [describe(route) for route in plan.sources[1].routes] == [
            "category → product → key",
            "category_2 → category → product → key",
        ]

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (
                "SELECT p.id FROM product p WHERE p.price > 9",
                "SELECT p.id FROM product p WHERE p.price < 1",
            ),
            (
                "SELECT p.id FROM product p JOIN category c ON c.id = p.category_id",
                "SELECT p.id FROM product p JOIN category c ON c.id = p.maker_id",
            ),
        ],
        ids=["filters", "joins"],
    )
    def test_routes_that_differ_in_a_condition_are_kept_apart(
        self, first: str, second: str
    ) -> None:
        plan = self.plan(f"{first} UNION {second}", "id bigint")
        assert [len(each.routes) for each in plan.sources][-1] == 2

    def test_an_image_has_the_key_and_what_is_read(self) -> None:
        plan = self.plan(
            "SELECT p.id FROM product p JOIN category c ON c.name = p.name", "id bigint"
        )
        assert [name for name, _ in plan.sources[0].columns] == ["id", "name"]
        assert [name for name, _ in plan.sources[1].columns] == ["id", "name"]

    def test_a_table_without_a_key_has_no_identity(self) -> None:
        plan = self.plan(
            "SELECT weight AS id, count(*) AS n FROM event WHERE weight IS NOT NULL GROUP BY 1",
            "id integer, n bigint",
        )
        assert plan.sources[0].identity == ()
        assert plan.sources[0].columns == (("weight", "integer"),)

    def test_without_a_route_the_source_is_refused_by_name(self) -> None:
        query = "SELECT p.id, (SELECT max(d.high) FROM discount d) AS top FROM product p"
        with pytest.raises(
            UnsupportedQuery, match=r"shop\.discount may affect every row"
        ) as refusal:
            self.plan(query, "id bigint, top? numeric")
        assert refusal.value.context["construct"] == "no-route"
        assert "allow_rebuild" in refusal.value.hint
        plan = self.plan(query, "id bigint, top? numeric", allow_rebuild=True)
        assert [source.strategy_of("UPDATE") for source in plan.sources] == [
            Strategy.RECOMPUTE,
            Strategy.REBUILD,
        ]
        assert [source.relation.name for source, _ in plan.rebuilds] == ["discount"]

    def test_a_column_without_an_output_is_a_mismatch(self) -> None:
        with pytest.raises(ColumnMismatch, match="'title', which the query does not have") as error:
            self.plan("SELECT id, name FROM product", "id bigint, title text")
        assert "It has: id, name." in error.value.message

    def test_an_output_without_a_column_is_a_mismatch(self) -> None:
        with pytest.raises(ColumnMismatch, match="no field takes output column 'name'"):
            self.plan("SELECT id, name FROM product", "id bigint")

    def test_a_key_without_an_output_is_missing(self) -> None:
        with pytest.raises(KeyMissing):
            self.plan("SELECT name FROM product", "name text, id bigint")

    def test_a_key_that_may_be_null_is_refused(self) -> None:
        query = "SELECT category_id AS id, count(*) AS n FROM product{} GROUP BY 1"
        with pytest.raises(KeyNull):
            self.plan(query.format(""), "id bigint, n bigint")
        self.plan(query.format(" WHERE category_id IS NOT NULL"), "id bigint, n bigint")

    def test_an_array_is_no_key(self) -> None:
        with pytest.raises(ColumnMismatch, match="array"):
            self.plan(
                "SELECT labels AS id, count(*) AS n FROM product GROUP BY 1", "id text[], n bigint"
            )

    def test_grouped_columns_are_compared_by_value(self) -> None:
        plan = self.plan(
            "SELECT price AS id, count(*) AS n FROM product GROUP BY price", "id numeric, n bigint"
        )
        assert [column.value_equal for column in plan.columns] == [True, False]
        plan = self.plan("SELECT id, price FROM product", "id bigint, price numeric")
        assert [column.value_equal for column in plan.columns] == [False, False]

    def test_equal_declarations_give_equal_plans(self) -> None:
        arguments = ("SELECT p.id FROM product p JOIN tag t ON t.product_id = p.id", "id bigint")
        assert self.plan(*arguments) == self.plan(*arguments)
        assert hash(self.plan(*arguments)) == hash(self.plan(*arguments))
