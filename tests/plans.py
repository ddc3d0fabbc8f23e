"""Queries, facts written by hand, and plans as text: what the tests of the compiler work on."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

from django_tviews.definition import Column, Declaration
from django_tviews.facts import ColumnFacts, Facts, RelationFacts, RelationKind, Volatility
from django_tviews.plan.plan import Strategy
from django_tviews.plan.planner import make_plan
from django_tviews.plan.routes import NoRoute, Route, find_routes
from django_tviews.relational.builder import build_tree
from django_tviews.relational.parts import find_parts

if TYPE_CHECKING:
    from django_tviews.plan.plan import Plan
    from django_tviews.relational.tree import ColumnOf, QueryTree


def table(
    name: str,
    columns: str,
    *keys: str,
    schema: str = "shop",
    kind: RelationKind = RelationKind.TABLE,
    definition: str | None = None,
    row_security: bool = False,
) -> RelationFacts:
    """Write the facts of a relation.

    Args:
        name: its name.
        columns: ``id bigint!, price numeric``: an exclamation mark for NOT NULL, a question mark
            for a nondeterministic collation, a tilde and the expression for a virtual column:
            ``doubled bigint~(id * 2)``.
        keys: the columns of each key, with commas.
        schema: its schema.
        kind: what it is.
        definition: of a view.
        row_security: its owner is filtered.
    """
    found = []
    for column in columns.split(", "):
        declared, _, generation = column.partition("~")
        column_name, _, type_sql = declared.partition(" ")
        found.append(
            ColumnFacts(
                column_name,
                type_sql.rstrip("!?"),
                not_null="!" in type_sql,
                deterministic="?" not in type_sql,
                generation=generation or None,
            )
        )
    return RelationFacts(
        schema,
        name,
        kind,
        tuple(found),
        tuple(tuple(key.split(", ")) for key in keys),
        definition,
        row_security,
    )


RELATIONS = (
    table("category", "id bigint!, name text!, parent_id bigint", "id"),
    table(
        "product",
        "id bigint!, name text!, price numeric!, code public.citext, category_id bigint, "
        "maker_id bigint!, labels text[]!, created_at timestamp with time zone!, data jsonb!, "
        "doubled bigint~(id * 2), weight double precision",
        "id",
    ),
    table("review", "id bigint!, product_id bigint!, stars integer, body text", "id"),
    table("tag", "product_id bigint!, name text!", "product_id, name"),
    table("maker", "id bigint!, name text!, country text", "id"),
    table("event", "kind text, weight integer"),
    table("discount", "id bigint!, low numeric!, high numeric!", "id"),
    table("secret", "id bigint!", "id", row_security=True),
    table("folded", "id text?!, name text?", "id"),
    table(
        "rated",
        "id bigint, category_id bigint, mean numeric",
        kind=RelationKind.VIEW,
        definition="SELECT p.id, p.category_id, avg(r.stars) AS mean FROM shop.product p "
        "JOIN shop.review r ON r.product_id = p.id GROUP BY p.id",
    ),
    table(
        "liked",
        "id bigint, product_id bigint",
        kind=RelationKind.VIEW,
        definition="SELECT r.id, r.product_id FROM shop.review r WHERE r.stars > 3",
    ),
    *(
        table(kind.name.lower(), "id bigint!", "id", kind=kind)
        for kind in RelationKind
        if kind not in (RelationKind.TABLE, RelationKind.VIEW)
    ),
    table(
        "pg_class",
        "oid oid!, relname name!",
        "oid",
        schema="pg_catalog",
        kind=RelationKind.SYSTEM_CATALOG,
    ),
)

FACTS = Facts(
    relations={
        **{(None, each.name): each for each in RELATIONS},
        **{(each.schema, each.name): each for each in RELATIONS},
    },
    functions={
        ("pg_catalog", "obj_description"): Volatility.STABLE,
        (None, "shout"): Volatility.IMMUTABLE,
        (None, "roulette"): Volatility.VOLATILE,
        (None, "lookup"): Volatility.STABLE,
        (None, "longest"): Volatility.IMMUTABLE,
    },
    aggregates=frozenset({(None, "longest")}),
    equality_schemas={"public.citext": "public"},
)


def tree_of(query: str) -> QueryTree:
    """Build the tree of a query over `FACTS`."""
    return build_tree(query, FACTS)


def planned(
    query: str, types: str, key: str = "k", *, computed: str = "", allow_rebuild: bool = False
) -> Plan:
    """Plan a query over `FACTS`.

    Args:
        query: the query.
        types: the types of its output columns, in their order.
        key: the columns of the key.
        computed: the types that a server says the query computes, where they differ.
        allow_rebuild: as in the inner class ``Maintenance``.
    """
    tree = tree_of(query)
    names = [output.name for output in tree.outputs]
    columns = tuple(
        Column(name, type_sql, name not in key.split(", "), name)
        for name, type_sql in zip(names, types.split(", "), strict=True)
    )
    return make_plan(
        Declaration(
            "shop.Card", "card", query, columns, tuple(key.split(", ")), allow_rebuild=allow_rebuild
        ),
        tree,
        FACTS,
        schema="shop",
        runtime_schema="public",
        output_types=dict(zip(names, (computed or types).split(", "), strict=True)),
        parts=find_parts(query, FACTS),
    )


def folded(plan: Plan) -> str:
    """Name the sources whose changes are folded."""
    found = [
        each.relation.name for each in plan.sources if each.strategy_of("INSERT") is Strategy.FOLD
    ]
    return ", ".join(found)


def routes(query: str, key: str = "id") -> list[str]:
    """Write the route of each occurrence of a query, in reading order.

    ``review | product ON product.id = review.product_id | KEY product.id``: the changed row with
    its filters, the relations joined, and the key, once for each way to evaluate it.
    """
    tree = tree_of(query)
    return [
        _written(route, tree)
        for occurrence in tree.occurrences
        for route in find_routes(tree, occurrence.number, key.split(", "))
    ]


def _written(route: Route | NoRoute, tree: QueryTree) -> str:
    if isinstance(route, NoRoute):
        return f"{route.occurrence.alias} | NONE: {route.reason}"

    def name(column: ColumnOf) -> str:
        return f"{tree.alternatives[0].occurrences[column.occurrence - 1].alias}.{column.name}"

    def listed(expressions: object) -> str:
        return " AND ".join(each.render(name) for each in expressions)  # type: ignore[attr-defined]

    filters = f" WHERE {listed(route.filters)}" if route.filters else ""
    steps = [
        f"{step.occurrence.alias} ON {listed(step.conditions) or 'true'}" for step in route.steps
    ]
    keys = [", ".join(part.render(name) for part in key) for key in route.keys]
    text = " | ".join(
        chain([f"{route.occurrence.alias}{filters}"], steps, [f"KEY {' OR '.join(keys)}"])
    )
    # How a NULL of the column's type is written is no matter.
    return re.sub(r"\(CAST\(NULL AS \w+\)\)|\(CASE WHEN false THEN \S+ END\)", "NULL", text)
