"""What writers of each source lock: queries and facts in, locks as text out."""

from __future__ import annotations

import pytest

from django_tviews.definition import Column, Declaration
from django_tviews.plan.columns import KeyColumn
from django_tviews.plan.locks import keys_are_told_apart, locks_of
from django_tviews.plan.planner import make_plan

from .plans import FACTS, tree_of


def locks(query: str, types: str = "bigint", key: str = "id") -> dict[str, str]:
    """Write what writers of each source of a query lock."""
    tree = tree_of(query)
    names = key.split(", ")
    typed = dict(zip(names, types.split(", "), strict=True))
    columns = tuple(
        Column(output.name, typed.get(output.name, "text"), output.name not in typed, output.name)
        for output in tree.outputs
    )
    declaration = Declaration(
        "shop.Card", "shop_card", query, columns, tuple(names), allow_rebuild=True
    )
    plan = make_plan(declaration, tree, FACTS, schema="shop", runtime_schema="public")
    return {source.relation.name: str(locks_of(plan.sources, source)) for source in plan.sources}


def test_a_key_that_stands_in_the_changed_row_is_all_that_is_locked() -> None:
    assert locks(
        "SELECT p.id, (SELECT count(*) FROM review r WHERE r.product_id = p.id) AS n FROM product p"
    ) == {"product": "exclusive: the keys", "review": "exclusive: the keys"}


def test_a_parent_excludes_whoever_moves_its_children_and_they_share() -> None:
    assert locks("SELECT p.id, m.name FROM product p LEFT JOIN maker m ON m.id = p.maker_id") == {
        "product": "exclusive: the keys; shared: shop.product (maker_id)",
        "maker": "exclusive: the keys, shop.product (maker_id)",
    }


def test_every_step_of_a_route_is_a_place_of_its_own() -> None:
    assert locks(
        "SELECT r.id, c.name FROM review r JOIN product p ON p.id = r.product_id"
        " JOIN category c ON c.id = p.category_id"
    ) == {
        "review": "exclusive: the keys; shared: shop.review (product_id)",
        "product": "exclusive: the keys, shop.review (product_id); "
        "shared: shop.product (category_id)",
        "category": "exclusive: the keys, shop.product (category_id), shop.review (product_id)",
    }


def test_what_is_joined_by_an_inequality_is_locked_as_a_whole() -> None:
    assert locks(
        "SELECT p.id, (SELECT count(*) FROM discount d WHERE d.low < p.price) AS n FROM product p"
    ) == {
        "product": "exclusive: the keys; shared: shop.product (any row)",
        "discount": "exclusive: the keys, shop.product (any row)",
    }


def test_columns_of_types_that_hash_differently_are_no_place() -> None:
    assert locks(
        "SELECT p.id, (SELECT count(*) FROM discount d WHERE d.low = p.id) AS n FROM product p"
    ) == {
        "product": "exclusive: the keys; shared: shop.product (any row)",
        "discount": "exclusive: the keys, shop.product (any row)",
    }


def test_both_occurrences_of_a_self_join_share_and_exclude() -> None:
    assert locks(
        "SELECT c.id, u.name FROM category c LEFT JOIN category u ON u.id = c.parent_id"
    ) == {
        "category": "exclusive: the keys, shop.category (parent_id); "
        "shared: shop.category (parent_id)"
    }


def test_a_place_may_have_several_columns() -> None:
    assert locks(
        "SELECT r.id, t.name FROM review r JOIN tag t ON t.product_id = r.product_id"
        " AND t.name = r.body"
    ) == {
        "review": "exclusive: the keys; shared: shop.review (body, product_id)",
        "tag": "exclusive: the keys, shop.review (body, product_id)",
    }


def test_a_source_without_a_route_locks_the_whole_tview() -> None:
    assert locks("SELECT p.id, (SELECT count(*) FROM maker m) AS n FROM product p") == {
        "product": "exclusive: the keys",
        "maker": "exclusive: the whole TView",
    }


@pytest.mark.parametrize("key_type", ["bigint", "text", "uuid", "numeric(10,2)"])
def test_keys_of_types_that_are_hashed_are_told_apart(key_type: str) -> None:
    assert keys_are_told_apart([KeyColumn("id", key_type, "id")])
    assert not keys_are_told_apart([KeyColumn("id", key_type, "id"), KeyColumn("b", "bit", "b")])
