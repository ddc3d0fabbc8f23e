"""The page about supported queries says what is so: each of its examples is tried."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from django_tviews import planning
from django_tviews.errors import UnsupportedQuery
from django_tviews.explanation import explain
from django_tviews.relational.builder import build_tree
from django_tviews.relational.canonical import canonical_sql
from django_tviews.relational.constructs import CONSTRUCTS, Construct
from support.kept_forms import SCHEMA, KeptForm, kept_forms
from support.query_reference import PAGE, declare, install, page, routes

from .harness import Installed

if TYPE_CHECKING:
    from .harness import Database

# What only examples of refused constructs read.
MORE_SCHEMA = """
CREATE EXTENSION citext;
ALTER TABLE product
    ADD COLUMN code citext, ADD COLUMN weight double precision;
CREATE TABLE place (id bigint PRIMARY KEY, name text);
CREATE TABLE city () INHERITS (place);
CREATE TABLE secret (id bigint PRIMARY KEY);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE ROLE nobody_special NOLOGIN;
GRANT ALL ON SCHEMA {schema} TO nobody_special;
GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO nobody_special;
SET LOCAL ROLE nobody_special;
"""

# Each text is one statement after the other; then the oracle is asked.
WRITES = (
    """
    INSERT INTO category VALUES (1, 'Kitchen', NULL), (2, 'Pots', 1), (3, 'Lids', 2);
    INSERT INTO discount VALUES (1, 0, 50), (2, 40, 200);
    INSERT INTO product
    SELECT n, 'Product ' || n, n * 30, 1 + n % 3, '2031-01-01'::timestamptz + n * interval '20 days'
    FROM generate_series(1, 9) AS n;
    INSERT INTO product VALUES (10, 'Loose', 5, NULL, '2031-12-31');
    INSERT INTO review SELECT n, 1 + n % 7, 1 + n % 5, 'Text ' || n FROM generate_series(1, 30) n;
    INSERT INTO tag SELECT 1 + n % 9, 'tag ' || n % 4 FROM generate_series(1, 20) n
    ON CONFLICT DO NOTHING
    """,
    """
    UPDATE category SET name = 'Cooking' WHERE id = 1;
    UPDATE product SET price = price + 11, created_at = created_at + interval '1 month';
    UPDATE review SET body = NULL WHERE id % 2 = 0;
    UPDATE discount SET high = 90 WHERE id = 1;
    UPDATE tag SET name = 'new' WHERE name = 'tag 1'
    """,
    """
    UPDATE category SET parent_id = NULL WHERE id = 2;
    UPDATE product SET category_id = NULL WHERE id = 4;
    UPDATE product SET category_id = 3 WHERE id = 10;
    UPDATE review SET product_id = 9, rating = 5 WHERE id <= 4
    """,
    """
    DELETE FROM review WHERE rating < 3;
    DELETE FROM product WHERE id = 9;
    DELETE FROM category WHERE id = 3;
    DELETE FROM discount
    """,
    "TRUNCATE category CASCADE",
)


def test_kept_forms_have_the_routes_that_the_page_shows_and_stay_equal(database: Database) -> None:
    database.execute(SCHEMA)
    routes_of = {}
    for number, form in enumerate(kept_forms(), start=1):
        declaration = declare(database.connection, form, number)
        install(database.connection, declaration)
        database.tviews.append(Installed(declaration))
        routes_of[form.title] = routes(database.connection, declaration, database.schema)
    assert page(routes_of) == PAGE.read_text(), "run python -m support.query_reference"
    database.run(*WRITES)


def test_every_kept_form_is_explained(database: Database) -> None:
    database.execute(SCHEMA)
    for number, form in enumerate(kept_forms(), start=1):
        declaration = declare(database.connection, form, number)
        install(database.connection, declaration)
        found = routes(database.connection, declaration, database.schema)
        explained = explain(declaration.label, using=database.connection.alias)
        assert explained.key == form.key
        text = explained.as_text(with_sql=True)
        for source in explained.sources:
            assert source.routes
            assert source.source in text
        # The page shows what takes everything along in fewer words.
        for route in found:
            assert route in text or (form.allow_rebuild and "every key, because" in text), (
                form.title
            )


@pytest.mark.parametrize(
    "form", [form for form in kept_forms() if form.allow_rebuild], ids=lambda form: form.title
)
def test_what_is_kept_by_rebuilding_is_refused_otherwise(
    database: Database, form: KeptForm
) -> None:
    database.execute(SCHEMA)
    declaration = declare(database.connection, form, 1)
    with pytest.raises(UnsupportedQuery) as refused:
        database.install(replace(declaration, allow_rebuild=False))
    assert refused.value.context["construct"] == "no-route"


@pytest.mark.parametrize("construct", CONSTRUCTS.values(), ids=lambda construct: construct.slug)
def test_a_refused_construct_is_refused_by_its_name(
    database: Database, construct: Construct
) -> None:
    query = canonical_sql(construct.example)
    with database.rolled_back():
        database.execute(SCHEMA + MORE_SCHEMA.format(schema=database.schema))
        with pytest.raises(UnsupportedQuery) as refused:
            judge(database, query)
    assert refused.value.context["construct"] == construct.slug
    assert refused.value.hint == construct.advice


def judge(database: Database, query: str) -> None:
    """Refuse a query by its text, or else by what the server makes of it."""
    build_tree(query, planning.read_facts(database.connection, query))
    database.install(database.declare(query, "id bigint"))
