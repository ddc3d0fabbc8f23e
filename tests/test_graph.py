from __future__ import annotations

import json

import pytest
from django.test import override_settings

from django_tviews.definition import Declaration
from django_tviews.errors import CircularDependency, DependencyDepthExceeded, MetadataNotFound
from django_tviews.facts import RelationFacts, RelationKind
from django_tviews.graph import Edge, Graph, Node, NodeKind
from django_tviews.renderers import render_dot, render_json, render_mermaid, render_text


def declaration(label: str, *reads: str) -> Declaration:
    """A TView that reads some relations; its table has the name Django would give it."""
    tables = ", ".join(f"{name} AS t{number}" for number, name in enumerate(reads))
    return Declaration(
        label=label,
        table=label.lower().replace(".", "_"),
        query=f"SELECT 1 AS id FROM {tables}",
        columns=(),
        key=("id",),
    )


def helper_view(name: str, *reads: str) -> RelationFacts:
    tables = ", ".join(f"{name} AS t{number}" for number, name in enumerate(reads))
    return RelationFacts("public", name, RelationKind.VIEW, definition=f"SELECT 1 FROM {tables}")


SHOP = Graph.of(
    [
        declaration("shop.ProductCard", "shop_product", "shop_priced"),
        declaration("shop.OrderSummary", "shop_order", "shop_line"),
        declaration("shop.CustomerTotals", "shop_ordersummary", "crm.customer"),
    ],
    {
        (None, "shop_priced"): helper_view("shop_priced", "public.shop_offer", "shop_product"),
        (None, "shop_product"): RelationFacts("public", "shop_product"),
    },
)

CIRCLE = Graph.of(
    [
        declaration("shop.Price", "shop_margin"),
        declaration("shop.Margin", "shop_cost"),
        declaration("shop.Cost", "shop_price", "shop_product"),
        declaration("shop.ProductCard", "shop_product"),
    ]
)


def tower(height: int) -> Graph:
    return Graph.of(
        declaration(f"shop.Level{level}", f"shop_level{level - 1}")
        for level in range(1, height + 1)
    )


class TestWhatTheGraphHolds:
    def test_tviews_helper_views_and_sources_are_told_apart(self) -> None:
        assert {node.name: node.kind for node in SHOP.nodes} == {
            "shop.ProductCard": NodeKind.TVIEW,
            "shop.OrderSummary": NodeKind.TVIEW,
            "shop.CustomerTotals": NodeKind.TVIEW,
            "shop_priced": NodeKind.HELPER_VIEW,
            "shop_product": NodeKind.SOURCE,
            "shop_offer": NodeKind.SOURCE,
            "shop_order": NodeKind.SOURCE,
            "shop_line": NodeKind.SOURCE,
            "crm.customer": NodeKind.SOURCE,
        }

    def test_helper_views_are_looked_through(self) -> None:
        assert SHOP.reads["shop.ProductCard"] == ("shop_priced", "shop_product")
        assert SHOP.reads["shop_priced"] == ("shop_offer", "shop_product")

    def test_without_a_database_a_helper_view_counts_as_a_source(self) -> None:
        graph = Graph.of([declaration("shop.ProductCard", "shop_priced")])
        assert graph.by_name["shop_priced"].kind is NodeKind.SOURCE

    def test_a_tview_that_another_one_reads_is_its_tview_not_a_source(self) -> None:
        assert Edge("shop.CustomerTotals", "shop.OrderSummary") in SHOP.edges
        assert "shop_ordersummary" not in SHOP.by_name

    def test_a_tview_is_recognised_behind_the_name_of_its_schema(self) -> None:
        graph = Graph.of(
            [declaration("shop.Low", "shop_product"), declaration("shop.High", "public.shop_low")]
        )
        assert graph.reads["shop.High"] == ("shop.Low",)

    def test_a_schema_given_through_django_s_db_table_is_understood(self) -> None:
        low = Declaration("shop.Low", 'stats"."low', "SELECT 1 AS id FROM a", (), ("id",))
        graph = Graph.of([low, declaration("shop.High", "stats.low")])
        assert graph.reads["shop.High"] == ("shop.Low",)
        assert graph.by_name["shop.Low"].relation == "stats.low"

    def test_an_unqualified_name_is_in_the_schema_where_the_database_finds_it(self) -> None:
        graph = Graph.of(
            [declaration("shop.High", "low", "other.low")],
            {(None, "low"): RelationFacts("other", "low")},
        )
        assert graph.reads["shop.High"] == ("other.low",)

    def test_a_source_knows_its_model(self) -> None:
        graph = Graph.of([declaration("shop.Types", "django_content_type", "auth_user_groups")])
        assert graph.by_name["django_content_type"].model == "contenttypes.ContentType"
        assert graph.by_name["auth_user_groups"].model == "auth.User_groups"

    def test_a_table_called_like_a_label_does_not_become_that_tview(self) -> None:
        graph = Graph.of([declaration("shop.card", "shop.card")])
        assert graph.reads["shop.card"] == ('"shop"."card"',)

    def test_equal_declarations_in_another_order_make_an_equal_graph(self) -> None:
        parts = [declaration("shop.A", "x", "y"), declaration("shop.B", "shop_a", "y")]
        assert Graph.of(parts) == Graph.of(reversed(parts))
        assert hash(Graph.of(parts)) == hash(Graph.of(reversed(parts)))


class TestOrderAndDepth:
    def test_tviews_come_after_those_they_read(self) -> None:
        assert SHOP.tviews == ("shop.OrderSummary", "shop.CustomerTotals", "shop.ProductCard")
        assert [name for name in SHOP.order if name in SHOP.tviews] == list(SHOP.tviews)

    def test_depth_counts_tviews_and_helper_views(self) -> None:
        assert dict(SHOP.depths) == {
            "shop.ProductCard": 2,
            "shop.OrderSummary": 1,
            "shop.CustomerTotals": 2,
            "shop_priced": 1,
            "shop_product": 0,
            "shop_offer": 0,
            "shop_order": 0,
            "shop_line": 0,
            "crm.customer": 0,
        }

    def test_a_graph_in_order_is_valid(self) -> None:
        SHOP.validate()
        Graph((), ()).validate()

    def test_a_circle_is_spelt_from_reader_to_read_and_back(self) -> None:
        with pytest.raises(CircularDependency) as caught:
            CIRCLE.validate()
        path = ("shop.Cost", "shop.Price", "shop.Margin", "shop.Cost")
        assert caught.value.context["path"] == path
        assert "shop.Cost → shop.Price → shop.Margin → shop.Cost" in caught.value.message

    def test_a_tview_that_reads_itself_is_the_shortest_circle(self) -> None:
        with pytest.raises(CircularDependency, match=r"shop\.Loop → shop\.Loop"):
            Graph.of([declaration("shop.Loop", "shop_loop")]).validate()

    def test_a_circle_through_a_helper_view_is_found(self) -> None:
        graph = Graph.of(
            [declaration("shop.Card", "shop_priced")],
            {(None, "shop_priced"): helper_view("shop_priced", "shop_card")},
        )
        with pytest.raises(CircularDependency, match=r"shop\.Card → shop_priced → shop\.Card"):
            graph.validate()

    def test_a_stack_at_the_limit_is_valid_and_one_higher_is_not(self) -> None:
        tower(10).validate()
        with pytest.raises(DependencyDepthExceeded) as caught:
            tower(11).validate()
        error = caught.value
        assert error.tview == "shop.Level11"
        assert error.context["depth"] == 11
        assert error.context["limit"] == 10
        assert "shop.Level11 → shop.Level10 → " in error.message
        assert error.message.endswith("shop.Level1 → shop_level0.")

    def test_the_limit_is_a_setting(self) -> None:
        with override_settings(DJANGO_TVIEWS={"DEPTH_LIMIT": 11}):
            tower(11).validate()
        with (
            override_settings(DJANGO_TVIEWS={"DEPTH_LIMIT": 2}),
            pytest.raises(DependencyDepthExceeded),
        ):
            tower(3).validate()


class TestPartsOfTheGraph:
    def test_around_a_tview_is_what_it_reads_and_what_reads_it(self) -> None:
        names = {node.name for node in SHOP.around("shop.OrderSummary").nodes}
        assert names == {"shop.OrderSummary", "shop_order", "shop_line", "shop.CustomerTotals"}

    def test_around_a_source_is_everything_that_depends_on_it(self) -> None:
        part = SHOP.around("shop_offer")
        assert part.edges == (
            Edge("shop.ProductCard", "shop_priced"),
            Edge("shop_priced", "shop_offer"),
        )

    def test_around_several_is_all_of_them(self) -> None:
        part = SHOP.around("shop.ProductCard", "shop.OrderSummary", "shop.CustomerTotals")
        assert part == SHOP

    def test_a_node_is_found_by_label_relation_and_model_in_any_case(self) -> None:
        graph = Graph.of([declaration("shop.Types", "django_content_type")])
        source = Node(
            "django_content_type",
            NodeKind.SOURCE,
            "django_content_type",
            "contenttypes.ContentType",
        )
        for name in ("django_content_type", "contenttypes.ContentType", "contenttypes.contenttype"):
            assert graph.find(name) == source
        for name in ("shop.Types", "shop.types", "shop_types"):
            assert graph.find(name).name == "shop.Types"

    def test_an_unknown_name_is_refused_with_those_that_come_near(self) -> None:
        with pytest.raises(MetadataNotFound) as caught:
            SHOP.around("shop.productcrad")
        assert caught.value.hint == "Did you mean shop.ProductCard?"
        with pytest.raises(MetadataNotFound) as caught:
            SHOP.find("")
        assert caught.value.context["near"] == ()


class TestRenderers:
    def test_text_is_a_tree_from_readers_to_sources(self) -> None:
        assert render_text(SHOP) == (
            "shop.CustomerTotals (TView, depth 2)\n"
            "├── crm.customer\n"
            "└── shop.OrderSummary (TView, depth 1)\n"
            "    ├── shop_line\n"
            "    └── shop_order\n"
            "\n"
            "shop.ProductCard (TView, depth 2)\n"
            "├── shop_priced (helper view, depth 1)\n"
            "│   ├── shop_offer\n"
            "│   └── shop_product\n"
            "└── shop_product\n"
            "\n"
            "3 TViews over 5 sources through 1 helper view.\n"
            "Kept in this order: shop.OrderSummary, shop.CustomerTotals, shop.ProductCard."
        )

    def test_text_draws_what_two_tviews_read_once(self) -> None:
        graph = Graph.of(
            [
                declaration("shop.Low", "shop_product"),
                declaration("shop.Left", "shop_low"),
                declaration("shop.Right", "shop_low"),
            ]
        )
        assert render_text(graph).startswith(
            "shop.Left (TView, depth 2)\n"
            "└── shop.Low (TView, depth 1)\n"
            "    └── shop_product\n"
            "\n"
            "shop.Right (TView, depth 2)\n"
            "└── shop.Low (TView, depth 1), as above\n"
        )

    def test_text_names_the_model_of_a_source(self) -> None:
        text = render_text(Graph.of([declaration("shop.Types", "django_content_type")]))
        assert "└── django_content_type (contenttypes.ContentType)\n" in text
        assert text.endswith("1 TView over 1 source.")

    def test_text_of_an_empty_graph_says_so(self) -> None:
        assert render_text(Graph((), ())) == "There are no TViews."

    def test_text_of_a_circle_is_refused(self) -> None:
        with pytest.raises(CircularDependency):
            render_text(CIRCLE)

    def test_json_has_a_fixed_shape(self) -> None:
        graph = Graph.of([declaration("shop.Types", "django_content_type")])
        assert json.loads(render_json(graph)) == {
            "format": 1,
            "nodes": [
                {
                    "name": "django_content_type",
                    "kind": "source",
                    "relation": "django_content_type",
                    "model": "contenttypes.ContentType",
                    "depth": 0,
                },
                {
                    "name": "shop.Types",
                    "kind": "TView",
                    "relation": "shop_types",
                    "model": "shop.Types",
                    "depth": 1,
                },
            ],
            "edges": [{"reader": "shop.Types", "read": "django_content_type"}],
            "order": ["shop.Types"],
        }

    def test_dot_quotes_every_name(self) -> None:
        odd = Graph((Node('a"b\\c', NodeKind.SOURCE, 'a"b\\c'),), ())
        assert render_dot(odd).splitlines()[2] == '    "a\\"b\\\\c" [shape=cylinder];'
        dot = render_dot(SHOP)
        assert dot.startswith("digraph tviews {\n")
        assert '    "shop.CustomerTotals" -> "shop.OrderSummary";\n' in dot
        assert dot.endswith("\n}")

    def test_mermaid_numbers_the_nodes_and_quotes_their_names(self) -> None:
        graph = Graph.of([declaration("shop.Card", '"a#""b"')])
        assert render_mermaid(graph) == (
            'flowchart LR\n    n0[("a#35;#quot;b")]\n    n1["shop.Card"]\n    n1 --> n0'
        )
