"""Sources of every kind: through which relations they are written, and what a row's image is.

Plans as text, and what a database makes of the ways to number rows. Partitions and inheritance
children in a database are in test_partitions.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from django_tviews.definition import Column, Declaration
from django_tviews.errors import UnsupportedQuery
from django_tviews.facts import Facts, RelationFacts, RelationKind
from django_tviews.plan.planner import make_plan
from django_tviews.relational.builder import build_tree
from django_tviews.sql import objects
from django_tviews.sql.transitions import transition_delta

from .plans import table

if TYPE_CHECKING:
    from django_tviews.plan.plan import Plan

    from .harness import Database

SALE = "id bigint!, year integer!, amount numeric!, doubled bigint~(id * 2)"


def hierarchy() -> dict[str, RelationFacts]:
    """Facts of a table with a partition that has partitions, and of a child with its parent."""
    whole = table("sale", SALE, "id, year", kind=RelationKind.PARTITIONED_TABLE)
    recent = table("recent", SALE, "id, year", kind=RelationKind.PARTITIONED_TABLE)
    leaf = table("leaf", SALE, "id, year", kind=RelationKind.PARTITION)
    parent = table("place", "id bigint!", kind=RelationKind.INHERITANCE_PARENT)
    child = table("city", "id bigint!, mayor text", "id")
    related = (
        replace(whole, descendants=(leaf, recent)),
        replace(recent, descendants=(leaf,), ancestors=(whole,)),
        replace(leaf, ancestors=(recent, whole)),
        replace(parent, descendants=(child,)),
        replace(child, ancestors=(parent,)),
    )
    return {each.name: each for each in related}


def planned(query: str, columns: str = "id bigint", key: str = "id") -> Plan:
    facts = Facts({(None, name): each for name, each in hierarchy().items()})
    return make_plan(
        Declaration(
            "shop.Card",
            "card",
            query,
            tuple(Column(name, type_sql, False, name) for name, type_sql in _pairs(columns)),
            tuple(key.split(", ")),
        ),
        build_tree(query, facts),
        facts,
        schema="shop",
        runtime_schema="public",
    )


def _pairs(columns: str) -> list[tuple[str, str]]:
    return [
        (name, type_sql) for name, _, type_sql in (c.partition(" ") for c in columns.split(", "))
    ]


def sources(plan: Plan) -> list[str]:
    """Write each source: what pairs images, what an image has, and what may be written to."""
    return [
        f"{source.relation.name} | BY {', '.join(name for name, _ in source.identity)} "
        f"| IMAGE {', '.join(name for name, _ in source.columns)} "
        f"| WRITTEN AS {', '.join(target.name for target in source.relation.targets)}"
        + (" | WITH ANOTHER" if source.overlaps else "")
        for source in plan.sources
    ]


class TestPlans:
    def test_a_partitioned_table_is_written_through_itself_and_its_partitions(self) -> None:
        plan = planned("SELECT id, year FROM sale", "id bigint, year integer", "id, year")
        assert sources(plan) == [
            "sale | BY id, year | IMAGE id, year | WRITTEN AS sale, leaf, recent"
        ]

    def test_rows_of_a_partition_may_leave_it_unchanged(self) -> None:
        assert sources(planned("SELECT id FROM leaf")) == [
            "leaf | BY  | IMAGE id | WRITTEN AS leaf, recent, sale"
        ]

    def test_one_statement_may_change_a_table_and_its_partition(self) -> None:
        plan = planned(
            "SELECT s.id, l.id AS other FROM sale s JOIN leaf l ON l.year = s.year",
            "id bigint, other bigint",
            "id, other",
        )
        assert sources(plan) == [
            "sale | BY id, year | IMAGE id, year | WRITTEN AS sale, leaf, recent | WITH ANOTHER",
            "leaf | BY  | IMAGE id, year | WRITTEN AS leaf, recent, sale | WITH ANOTHER",
        ]

    def test_a_column_that_a_parent_does_not_show_is_refused(self) -> None:
        assert sources(planned("SELECT id FROM city")) == [
            "city | BY  | IMAGE id | WRITTEN AS city, place"
        ]
        with pytest.raises(
            UnsupportedQuery, match=r"column mayor is none of its parent shop\.place"
        ):
            planned("SELECT id FROM city WHERE mayor IS NOT NULL")

    def test_only_a_parent_is_read_like_the_parent(self) -> None:
        assert sources(planned("SELECT id FROM ONLY place")) == sources(
            planned("SELECT id FROM place")
        )

    @pytest.mark.parametrize("kind", [RelationKind.FOREIGN_TABLE, RelationKind.UNLOGGED_TABLE])
    def test_a_partition_without_triggers_refuses_the_whole(self, kind: RelationKind) -> None:
        whole = hierarchy()["sale"]
        leaf = replace(whole.descendants[0], kind=kind)
        facts = Facts({(None, "sale"): replace(whole, descendants=(leaf,))})
        with pytest.raises(UnsupportedQuery, match=rf"shop.leaf \({kind}\)"):
            build_tree("SELECT id FROM sale", facts)


class TestTriggers:
    @staticmethod
    def triggers(query: str) -> list[str]:
        return sorted(
            f"{trigger.relation} {trigger.name.removeprefix('tviews_2_00_').removesuffix('_card')}"
            + "".join(f" but on {each}" for each in trigger.disabled_on)
            for trigger in objects.source_triggers(planned(query))
            if not trigger.shared
        )

    def test_every_relation_of_a_partitioned_table_has_them(self) -> None:
        assert self.triggers("SELECT DISTINCT id FROM sale") == [
            *(f"shop.leaf {event}" for event in ("delete", "insert", "truncate", "update")),
            *(f"shop.recent {event}" for event in ("delete", "insert", "truncate", "update")),
            "shop.sale apart_0",
            "shop.sale delete",
            "shop.sale insert",
            "shop.sale moved",
            "shop.sale row but on shop.leaf",
            "shop.sale truncate",
            "shop.sale update",
        ]

    def test_a_leaf_has_no_newer_partitions(self) -> None:
        found = self.triggers("SELECT id FROM leaf")
        assert "shop.leaf moved" in found
        assert not any("row" in each for each in found)

    def test_rows_of_inheritance_children_do_not_move(self) -> None:
        assert self.triggers("SELECT DISTINCT id FROM place") == [
            f"shop.{table} {event}"
            for table in ("city", "place")
            for event in ("delete", "insert", "truncate", "update")
        ]


def test_virtual_columns_are_computed_from_what_a_trigger_shows() -> None:
    (source,) = planned(
        "SELECT doubled AS id, count(*) AS n FROM sale WHERE doubled IS NOT NULL GROUP BY doubled",
        "id bigint, n bigint",
    ).sources
    assert transition_delta(source, "INSERT") == (
        'SELECT false AS "removed?", id, year, doubled '
        "FROM (SELECT id, year, (id * 2) AS doubled FROM new_rows AS stored)"
    )


@pytest.mark.parametrize("identity", ["FULL", "NOTHING", "DEFAULT"])
def test_replica_identity_does_not_matter_and_columns_may_number_themselves(
    database: Database, identity: str
) -> None:
    database.execute(f"""
        CREATE TABLE event (
            id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            number bigserial, kind text, label text GENERATED ALWAYS AS (upper(kind)) STORED
        );
        ALTER TABLE event REPLICA IDENTITY {identity};
    """)
    database.tview(
        "SELECT id, number, label FROM event", "id integer, number bigint, label text NULL"
    )
    database.tview(
        "SELECT label, count(*) AS n FROM event WHERE label IS NOT NULL GROUP BY label",
        "label text, n bigint",
        "label",
    )
    database.run(
        "INSERT INTO event (kind) VALUES ('a'), ('b'), (NULL)",
        "INSERT INTO event (id, kind) OVERRIDING SYSTEM VALUE VALUES (70, 'A')",
        "UPDATE event SET kind = 'b' WHERE id = 1",
        "UPDATE event SET id = DEFAULT, number = DEFAULT",
        "DELETE FROM event WHERE kind = 'b'",
        "TRUNCATE event RESTART IDENTITY",
        "INSERT INTO event (kind) VALUES ('a')",
    )


VIRTUAL = "CREATE TABLE probe (a integer, b integer GENERATED ALWAYS AS (a) VIRTUAL)"


@pytest.mark.parametrize("mode", ["immediate", "deferred"])
@pytest.mark.parametrize(
    ("type_sql", "total"),
    [("numeric(8,1)", "sum(v)"), ("numeric(8,1)", "avg(v)"), ("integer", "sum(v)")],
)
def test_a_virtual_column_is_read_as_its_type_rounds_it(
    database: Database, type_sql: str, total: str, mode: str
) -> None:
    if not database.server_has(VIRTUAL):
        return
    database.execute(
        "CREATE TABLE sale (id integer PRIMARY KEY, shop integer NOT NULL, pieces integer NOT NULL, "
        f"v {type_sql} GENERATED ALWAYS AS (pieces * 1.25) VIRTUAL)"
    )
    database.tview(
        f"SELECT shop, {total} AS n FROM sale GROUP BY shop",
        "shop integer, n numeric NULL",
        "shop",
        mode=mode,
    )
    database.run(
        "INSERT INTO sale VALUES (1, 1, 1), (2, 1, 2)",
        "INSERT INTO sale VALUES (3, 1, 1)",
        "UPDATE sale SET pieces = pieces + 1 WHERE id = 1",
    )


def test_a_virtual_column_is_read_in_its_own_collation(database: Database) -> None:
    if not database.server_has(VIRTUAL):
        return
    database.execute(
        'CREATE TABLE item (id integer PRIMARY KEY, t text COLLATE "C", n integer NOT NULL, '
        'v text COLLATE "pg_c_utf8" GENERATED ALWAYS AS (t) VIRTUAL)'
    )
    database.tview(
        "SELECT n AS k, count(*) AS c FROM item WHERE lower(v) = 'ä' GROUP BY n",
        "k integer, c bigint",
        "k",
    )
    database.run("INSERT INTO item VALUES (1, 'ä', 1)", "INSERT INTO item VALUES (2, 'Ä', 1)")


def test_a_constraint_that_is_not_valid_yet_proves_nothing(database: Database) -> None:
    if not database.server_has("CREATE TABLE p (a int); ALTER TABLE p ADD NOT NULL a NOT VALID"):
        return
    database.execute("CREATE TABLE sale (id integer PRIMARY KEY, shop integer NOT NULL, n integer)")
    database.execute("INSERT INTO sale VALUES (1, 1, 3), (2, 1, 4), (3, 1, NULL)")
    database.execute("ALTER TABLE sale ADD CONSTRAINT filled NOT NULL n NOT VALID")
    database.tview(
        "SELECT shop, avg(n) AS n FROM sale GROUP BY shop", "shop integer, n numeric NULL", "shop"
    )
    database.run("UPDATE sale SET n = n + 1 WHERE id = 1", "DELETE FROM sale WHERE id = 3")
