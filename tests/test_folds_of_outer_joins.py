"""Folds over outer joins: rows of a nullable side add to the groups that are there without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db.models import Avg, Case, Count, F, Max, Q, Sum, When

from django_tviews.plan.plan import Strategy
from django_tviews.query import queryset_sql
from django_tviews.relational import functions
from django_tviews.sqltypes import has_cast_of_its_own

from .harness import branch, strategies
from .plans import folded, planned
from .testapp.models import Product, Review, Supplier, Tag

if TYPE_CHECKING:
    from .harness import Database

MAKER = "FROM maker m LEFT JOIN product p ON p.maker_id = m.id"
REVIEWED = f"{MAKER} LEFT JOIN review r ON r.product_id = p.id"


@pytest.mark.parametrize(
    ("query", "types", "sources"),
    [
        # What Django writes for annotate(): all columns of the maker in GROUP BY.
        pytest.param(
            f"SELECT m.id AS k, m.name AS m, count(p.id) AS n, COALESCE(sum(p.id), 0) AS s {MAKER} "
            "WHERE m.name <> 'none' GROUP BY m.id, m.name",
            "bigint, text, bigint, numeric(20,0)",
            "product",
            id="what annotate() writes",
        ),
        pytest.param(
            "SELECT m.id AS k, max(p.id) AS x, bool_or(p.id > 3) AS b, avg(p.id) AS a "
            "FROM product p RIGHT JOIN maker m ON p.maker_id = m.id GROUP BY m.id",
            "bigint, bigint, boolean, numeric",
            "product",
            id="RIGHT JOIN",
        ),
        # Values that are NULL, or filtered out, where there is no product.
        *(
            pytest.param(
                f"SELECT m.id AS k, {total} AS n {MAKER} GROUP BY m.id",
                f"bigint, {type_sql}",
                source,
                id=total,
            )
            for total, type_sql, source in (
                ("sum(p.id * 2 + m.id)", "numeric", "product"),
                ("sum(CAST(p.id AS integer))", "bigint", "product"),
                ("count(lower(p.name))", "bigint", "product"),
                ("sum(CASE WHEN p.id > 3 THEN 1 END)", "bigint", "product"),
                ("sum(CASE m.id WHEN 3 THEN p.id ELSE -p.id END)", "numeric", "product"),
                ("sum(NULLIF(p.id, 3))", "numeric", "product"),
                ("sum(greatest(p.id, p.category_id))", "numeric", "product"),
                ("count(*) FILTER (WHERE p.id > 3)", "bigint", "product"),
                ("count(*) FILTER (WHERE p.name LIKE 'a%')", "bigint", "product"),
                ("count(*) FILTER (WHERE p.id = ANY ('{}') AND m.id > 3)", "bigint", "product"),
                ("count(m.id) FILTER (WHERE p.code IS NOT NULL)", "bigint", "product"),
                ("count(*) FILTER (WHERE (p.id > 3) IS TRUE OR p.id < 0)", "bigint", "product"),
                ("count(*) FILTER (WHERE NOT p.id > 3)", "bigint", "product"),
                ("count(*) FILTER (WHERE (p.id > 3) IS FALSE)", "bigint", "product"),
                # Something is there in place of NULLs.
                ("count(*)", "bigint", ""),
                ("count(m.id)", "bigint", ""),
                ("sum(COALESCE(p.id, 0))", "numeric", ""),
                ("sum(COALESCE(p.id, m.id))", "numeric", ""),
                ("sum(greatest(p.id, m.id))", "numeric", ""),
                ("sum(CASE WHEN p.id > 3 THEN 1 ELSE 0 END)", "bigint", ""),
                ("sum(CASE WHEN p.id IS NULL THEN 1 END)", "bigint", ""),
                ("count(*) FILTER (WHERE p.id IS NULL)", "bigint", ""),
                ("count(*) FILTER (WHERE p.id > 3 OR m.id > 3)", "bigint", ""),
                ("count(*) FILTER (WHERE (p.id > 3) IS NOT TRUE)", "bigint", ""),
                ("count(*) FILTER (WHERE NOT (p.id > 3 AND m.id > 3))", "bigint", ""),
                ("count(*) FILTER (WHERE p.id IS DISTINCT FROM 3)", "bigint", ""),
                ("count(p.labels || m.name)", "bigint", ""),
                ("count(p.id OPERATOR(shop.+) 1)", "bigint", ""),
                ("count(shout(p.name))", "bigint", ""),
                ("count(p.code::text)", "bigint", ""),
                # Cast to boolean by what does not show.
                ("count(*) FILTER (WHERE p.code)", "bigint", ""),
                ("count(*) FILTER (WHERE p.code IS TRUE)", "bigint", ""),
                ("count(*) FILTER (WHERE p.code IS FALSE)", "bigint", ""),
                ("count(*) FILTER (WHERE NOT p.code)", "bigint", ""),
                ("sum(CASE WHEN p.code THEN 1 END)", "bigint", ""),
                ("sum((p.id > 3)::bigint)", "numeric", ""),
                ("sum(CASE WHEN p.id > 3 THEN 1 ELSE NULL::integer END)", "bigint", "product"),
                ("count(p.created_at::date)", "bigint", "product"),
            )
        ),
        # A condition that NULLs do not satisfy makes it an inner join.
        pytest.param(
            f"SELECT m.id AS k, count(*) AS n {MAKER} WHERE p.id > 3 GROUP BY m.id",
            "bigint, bigint",
            "product",
            id="a condition makes it an inner join",
        ),
        pytest.param(
            f"SELECT m.id AS k, count(*) AS n {MAKER} JOIN category c ON c.id = p.category_id "
            "GROUP BY m.id",
            "bigint, bigint",
            "product, category",
            id="a later join makes it an inner join",
        ),
        pytest.param(
            f"SELECT m.id AS k, count(p.id) AS n {MAKER} WHERE p.id IS NULL OR p.id > 3 "
            "GROUP BY m.id",
            "bigint, bigint",
            "",
            id="a condition that NULLs may satisfy",
        ),
        # A chain: reviews show with their product, products without a review show, too.
        pytest.param(
            f"SELECT m.id AS k, sum(r.stars) AS s {REVIEWED} GROUP BY m.id",
            "bigint, bigint",
            "product, review",
            id="a chain",
        ),
        pytest.param(
            f"SELECT m.id AS k, sum(r.stars) AS s, count(p.id) AS n {REVIEWED} GROUP BY m.id",
            "bigint, bigint, bigint",
            "product",
            id="a chain whose middle shows",
        ),
        pytest.param(
            "SELECT m.id AS k, sum(r.stars) AS s FROM maker m LEFT JOIN (product p "
            "JOIN review r ON r.product_id = p.id) ON p.maker_id = m.id GROUP BY m.id",
            "bigint, bigint",
            "product, review",
            id="a nested inner join",
        ),
        pytest.param(
            "SELECT m.id AS k, sum(r.stars) AS s FROM maker m LEFT JOIN (product p "
            "LEFT JOIN review r ON r.product_id = p.id) ON r.id = m.id GROUP BY m.id",
            "bigint, bigint",
            "product, review",
            id="a nested outer join",
        ),
        # Two sides beside each other multiply what the other one shows.
        pytest.param(
            "SELECT p.id AS k, count(r.id) AS r, count(t.name) AS t FROM product p "
            "LEFT JOIN review r ON r.product_id = p.id LEFT JOIN tag t ON t.product_id = p.id "
            "GROUP BY p.id",
            "bigint, bigint, bigint",
            "",
            id="two sides beside each other",
        ),
        pytest.param(
            "SELECT p.id AS k, count(r.id) AS r FROM product p LEFT JOIN review r "
            "ON r.product_id = p.id LEFT JOIN tag t ON t.product_id = p.id GROUP BY p.id",
            "bigint, bigint",
            "review",
            id="one side beside another",
        ),
        # Which tags show depends on the reviews, even without one.
        pytest.param(
            "SELECT p.id AS k, count(t.name) AS t FROM product p LEFT JOIN review r "
            "ON r.product_id = p.id LEFT JOIN tag t ON t.product_id = p.id AND t.name = COALESCE(r.body, '') "
            "GROUP BY p.id",
            "bigint, bigint",
            "tag",
            id="a side that is joined by what another shows",
        ),
        pytest.param(
            "SELECT p.id AS k, count(r.id) AS r FROM product p LEFT JOIN review r "
            "ON r.product_id = p.id LEFT JOIN tag t ON t.product_id = p.id "
            "AND t.name = COALESCE(r.body, '') WHERE t.name IS NULL GROUP BY p.id",
            "bigint, bigint",
            "",
            id="a condition on a side that is joined by what another shows",
        ),
        # The key is not that of one row: makers without products may be all there is of a country.
        pytest.param(
            f"SELECT m.country AS k, count(p.id) AS n {MAKER} WHERE m.country IS NOT NULL "
            "GROUP BY m.country",
            "text, bigint",
            "maker, product",
            id="groups of several rows",
        ),
        pytest.param(
            f"SELECT m.country AS k, count(p.id) AS n, count(*) AS r {MAKER} "
            "WHERE m.country IS NOT NULL GROUP BY m.country",
            "text, bigint, bigint",
            "maker",
            id="groups of several rows that are counted",
        ),
        pytest.param(
            f"SELECT 1 AS k, sum(p.id) AS n {MAKER}",
            "bigint, numeric",
            "maker, product",
            id="one group",
        ),
        # The nullable side decides which groups there are, or what they show.
        pytest.param(
            f"SELECT COALESCE(p.name, '') AS k, count(p.id) AS n {MAKER} GROUP BY 1",
            "text, bigint",
            "maker",
            id="the nullable side is in the key",
        ),
        pytest.param("SELECT m.id AS k " + MAKER + " GROUP BY m.id", "bigint", "", id="no totals"),
        pytest.param(
            "SELECT COALESCE(m.id, 0) AS k, count(p.id) AS n FROM maker m FULL JOIN product p "
            "ON p.maker_id = m.id GROUP BY 1",
            "bigint, bigint",
            "",
            id="FULL JOIN",
        ),
        pytest.param(
            f"SELECT m.id AS k, count(p.id) AS n {MAKER} GROUP BY m.id HAVING count(p.id) > 1",
            "bigint, bigint",
            "",
            id="HAVING",
        ),
        pytest.param(
            f"SELECT m.id AS k, count(DISTINCT p.id) AS n {MAKER} GROUP BY m.id",
            "bigint, bigint",
            "",
            id="DISTINCT",
        ),
    ],
)
def test_what_shows_nothing_without_a_row_is_folded(query: str, types: str, sources: str) -> None:
    assert folded(planned(query, types, allow_rebuild=True)) == sources


def test_groups_are_counted_by_rows_that_no_match_brings() -> None:
    def hidden(totals: str, types: str) -> list[str]:
        plan = planned(
            f"SELECT m.country AS k, {totals} {MAKER} WHERE m.country IS NOT NULL "
            "GROUP BY m.country",
            f"text, {types}",
        )
        return [column.name for column in plan.hidden]

    assert hidden("max(p.id) AS x", "bigint") == ["django_tviews:count:x"]
    assert hidden("count(p.name) AS n", "bigint") == []
    assert hidden("count(*) AS n", "bigint") == []
    assert hidden("max(m.id) AS n", "bigint") == ["django_tviews:rows"]


def test_what_is_taken_for_strict_is_so_in_all_of_its_forms(database: Database) -> None:
    lenient = "pg_catalog.pg_proc AS p WHERE NOT p.proisstrict AND p.pronamespace = 11 AND"
    assert database.execute(
        "SELECT DISTINCT o.oprname FROM pg_catalog.pg_operator AS o JOIN pg_catalog.pg_proc AS p "
        "ON p.oid = o.oprcode WHERE NOT p.proisstrict AND o.oprnamespace = 11"
    ) == [(name,) for name in functions.NOT_STRICT_OPERATORS]
    assert not database.execute(
        f"SELECT p.proname FROM {lenient} p.proname = ANY (%s)", sorted(functions.STRICT)
    )
    assert not database.execute(
        f"SELECT p.proname FROM {lenient} p.oid IN (SELECT castfunc FROM pg_catalog.pg_cast)"
    )
    types = ["smallint", "integer", "bigint", "numeric", "real", "double precision", "text"]
    types += ["varchar", "bpchar", "date", "timestamptz", "timestamp", "boolean", "interval"]
    for source, target in database.execute(
        "SELECT format_type(s::regtype, NULL), format_type(t::regtype, NULL) "
        "FROM unnest(%s::text[]) AS s, unnest(%s::text[]) AS t WHERE s <> t AND NOT EXISTS ("
        "SELECT FROM pg_cast WHERE castsource = s::regtype AND casttarget = t::regtype)",
        types,
        types,
    ):
        assert not has_cast_of_its_own(source, target)


def test_what_others_call_as_postgresql_does_may_make_something_of_null(
    database: Database,
) -> None:
    for statement in (
        *TABLES,
        "CREATE FUNCTION round(float8, integer) RETURNS numeric IMMUTABLE LANGUAGE sql "
        "RETURN coalesce(pg_catalog.round($1::numeric, $2), 1)",
        "CREATE FUNCTION added(text, integer) RETURNS integer IMMUTABLE LANGUAGE sql "
        "RETURN coalesce($2, 1)",
        "CREATE OPERATOR + (LEFTARG = text, RIGHTARG = integer, FUNCTION = added)",
    ):
        database.execute(statement)
    for name, total in (
        ("called", "sum(round(b.pages::float8, 1)::numeric(9,1))"),
        ("operated", "sum(a.name + b.pages)"),
    ):
        database.tview(
            f"SELECT a.id, {total} AS n FROM author a LEFT JOIN book b ON b.author_id = a.id "
            "GROUP BY a.id",
            "id integer, n numeric(20,1) NULL",
            table=name,
        )
        assert not database.folding(name)
    database.run("INSERT INTO author VALUES (1, 'Ann')", "INSERT INTO book VALUES (1, 1, 3)")


TABLES = (
    "CREATE TABLE author (id integer PRIMARY KEY, name text NOT NULL, country text, "
    "active boolean NOT NULL DEFAULT true)",
    # Without a foreign key, so that there may be books before their author.
    "CREATE TABLE book (id integer PRIMARY KEY, author_id integer, pages integer, "
    "price numeric(8,2), printed date, "
    "sequel_of integer REFERENCES book ON DELETE CASCADE ON UPDATE CASCADE)",
    "CREATE TABLE review (id integer PRIMARY KEY, book_id integer, stars integer)",
)

# Each: the query, the columns, the key, and the sources that are folded.
TOTALS = {
    "by_author": (
        "SELECT a.id, a.name, sum(b.price) AS total, count(b.id) AS number, "
        "count(b.id) FILTER (WHERE b.pages > 100) AS thick, avg(b.pages) AS mean, "
        "COALESCE(sum(b.pages * 2), 0) AS pages, min(b.printed) AS first, max(b.price) AS dearest, "
        "bool_and(b.pages > 50) AS long "
        "FROM author a LEFT JOIN book b ON a.id = b.author_id WHERE a.active GROUP BY a.id, a.name",
        "id integer, name text, total numeric NULL, number bigint, thick bigint, "
        "mean numeric NULL, pages bigint, first date NULL, dearest numeric(8,2) NULL, "
        "long boolean NULL",
        "id",
        {"book"},
    ),
    "by_country": (
        "SELECT a.country, sum(b.price) AS total, max(b.pages) AS most FROM book b "
        "RIGHT JOIN author a ON a.id = b.author_id AND b.pages > 10 "
        "WHERE a.country IS NOT NULL GROUP BY a.country",
        "country text, total numeric(20,1) NULL, most integer NULL",
        "country",
        {"author", "book"},
    ),
    "chain": (
        "SELECT a.id, a.name, sum(r.stars) AS stars, count(r.stars) AS n, max(r.stars) AS best "
        "FROM author a LEFT JOIN book b ON a.id = b.author_id LEFT JOIN review r "
        "ON r.book_id = b.id GROUP BY a.id, a.name",
        "id integer, name text, stars bigint NULL, n bigint, best integer NULL",
        "id",
        {"book", "review"},
    ),
    "nested": (
        "SELECT a.id, sum(r.stars * b.pages) AS n FROM author a LEFT JOIN (book b JOIN review r "
        "ON r.book_id = b.id) ON a.id = b.author_id GROUP BY a.id",
        "id integer, n bigint NULL",
        "id",
        {"book", "review"},
    ),
    "beside": (
        "SELECT a.id, sum(b.pages) AS pages, count(b.id) AS n FROM author a "
        "LEFT JOIN book b ON a.id = b.author_id LEFT JOIN review r ON r.stars = a.id "
        "GROUP BY a.id",
        "id integer, pages bigint NULL, n bigint",
        "id",
        {"book"},
    ),
    "inner_after_all": (
        "SELECT a.id, count(*) AS n, sum(r.stars) AS stars FROM author a LEFT JOIN book b "
        "ON a.id = b.author_id LEFT JOIN review r ON r.book_id = b.id WHERE b.pages > 20 "
        "GROUP BY a.id",
        "id integer, n bigint, stars bigint NULL",
        "id",
        {"book"},
    ),
    "one": (
        "SELECT 1 AS id, sum(b.pages) AS pages, count(b.price) AS n FROM author a "
        "LEFT JOIN book b ON a.id = b.author_id",
        "id integer, pages bigint NULL, n bigint",
        "id",
        {"author", "book"},
    ),
}

STATEMENTS = (
    "INSERT INTO book VALUES (1, 1, 120, 9.99, '2020-01-01', NULL), (2, 1, 40, NULL, NULL, 1), "
    "(3, 2, NULL, 1.10, '2021-01-01', 2), (4, NULL, 200, 5, NULL, NULL), (5, 9, 90, 2, NULL, NULL)",
    "INSERT INTO review VALUES (1, 1, 5), (2, 1, 3), (3, 2, NULL), (4, 7, 4), (5, NULL, 1)",
    # Their books have been there before them.
    "INSERT INTO author VALUES (1, 'Ann', 'north', true), (2, 'Bo', 'south', true), "
    "(3, 'Cy', 'north', true), (4, 'Di', NULL, true), (5, 'Ed', 'east', false)",
    "INSERT INTO book SELECT g, g % 6, g * 3, g / 8.0, date '2022-01-01' + g "
    "FROM generate_series(100, 130) AS g",
    "INSERT INTO review SELECT g, g % 40 + 95, g % 5 FROM generate_series(100, 140) AS g",
    "UPDATE book SET price = coalesce(price, 0) + 1, pages = pages + 1",
    "UPDATE book SET author_id = 3 WHERE id IN (1, 3)",
    "UPDATE book SET author_id = coalesce(author_id, 0) % 5 + 1",
    "UPDATE book SET price = NULL, pages = NULL WHERE author_id = 2",
    "UPDATE book SET price = 'NaN' WHERE id = 101",
    "UPDATE book SET pages = 12 WHERE id % 2 = 0",
    "UPDATE review SET stars = stars + 1",
    "UPDATE review SET book_id = book_id + 1",
    "UPDATE review SET stars = NULL WHERE book_id = 101",
    "UPDATE author SET active = NOT active WHERE id > 3",
    "UPDATE author SET country = 'west' WHERE id < 3",
    "UPDATE author SET name = upper(name)",
    "UPDATE author SET name = 'Zoe' WHERE id = 3",
    "UPDATE author SET name = 'Eve', active = true WHERE id = 5",
    "UPDATE author SET id = id + 10 WHERE id IN (1, 4)",
    "UPDATE book SET id = id + 1000 WHERE id < 3",
    "UPDATE book SET price = 4 WHERE id = 101",
    "INSERT INTO book VALUES (5, 2, 30, 1), (6, 3, 30, 1) "
    "ON CONFLICT (id) DO UPDATE SET author_id = 3, pages = 300",
    "MERGE INTO book USING (VALUES (6), (7)) AS given (id) ON book.id = given.id "
    "WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (given.id, 14, 70, 3)",
    "WITH new AS (INSERT INTO author VALUES (6, 'Fi', 'east') RETURNING id) "
    "UPDATE book SET author_id = new.id FROM new WHERE book.id > 120",
    "WITH gone AS (DELETE FROM review WHERE id < 110 RETURNING book_id) "
    "UPDATE book SET pages = 77 FROM gone WHERE book.id = gone.book_id",
    "DELETE FROM book WHERE author_id = 3",
    "DELETE FROM author WHERE id = 2",
    "DELETE FROM review WHERE stars > 2",
    "INSERT INTO author VALUES (7, 'Gi', 'nowhere')",
    "DELETE FROM book WHERE id BETWEEN 110 AND 115 OR sequel_of IS NULL AND id < 9",
    "UPDATE author SET country = 'nowhere'",
    "DELETE FROM book",
    "INSERT INTO book VALUES (1, 7, 120, 9.99, '2020-01-01', NULL)",
    "TRUNCATE review",
    "DELETE FROM author",
)


def create(database: Database, mode: str = "immediate") -> None:
    for table in TABLES:
        database.execute(table)
    for name, (query, columns, key, _) in TOTALS.items():
        database.tview(query, columns, key, table=name, mode=mode)


@pytest.mark.parametrize("size", ["small", "bulk"])
def test_totals_of_nullable_sides_stay_exact_whatever_happens_to_the_rows(
    database: Database, size: str
) -> None:
    with branch(size):
        create(database)
    for name, (_, _, _, sources) in TOTALS.items():
        assert database.folding(name) == sources
    database.run(*STATEMENTS)


@pytest.mark.parametrize(("size", "statements_in_one"), [("small", 1), ("bulk", 3)])
def test_deferred_totals_of_nullable_sides_stay_exact_whatever_a_transaction_does(
    database: Database, size: str, statements_in_one: int
) -> None:
    with branch(size):
        create(database, mode="deferred")
    for first in range(0, len(STATEMENTS), statements_in_one):
        with database.transaction():
            for statement in STATEMENTS[first : first + statements_in_one]:
                database.execute(statement)
        database.check(statement)


def test_what_is_folded_over_outer_joins_is_the_same_when_it_is_recomputed(
    database: Database,
) -> None:
    with strategies(*(set(Strategy) - {Strategy.FOLD})):
        create(database)
    assert not any(database.folding(name) for name in TOTALS)
    database.run(*STATEMENTS[:8])


@pytest.mark.parametrize("mode", ["immediate", "deferred"])
def test_a_group_without_a_match_is_added_to_and_not_read_again(
    database: Database, mode: str
) -> None:
    create(database, mode)
    database.run(*STATEMENTS[:3])
    for change, number in (
        ("INSERT INTO book VALUES (9, 3, 10)", 44),
        ("UPDATE book SET author_id = 3 WHERE id = 4", 44),
        ("UPDATE book SET author_id = 3 WHERE author_id = 1", 45),
        ("UPDATE book SET pages = 7, price = 3 WHERE id = 4", 43),
    ):
        with database.rolled_back():
            # What is wrong before stays wrong by as much: nothing has evaluated the query.
            database.execute("SET LOCAL session_replication_role = replica")
            database.execute("UPDATE by_author SET number = 43 WHERE id = 3")
            database.execute("SET LOCAL session_replication_role = origin")
            database.execute(change)
            database.execute("SET CONSTRAINTS ALL IMMEDIATE")
            assert database.value("SELECT number FROM by_author WHERE id = 3") == number, change


def test_what_changes_no_total_writes_no_row(database: Database) -> None:
    for table in TABLES:
        database.execute(table)
    database.tview(
        "SELECT a.id, sum(b.pages) AS pages FROM author a LEFT JOIN book b ON a.id = b.author_id "
        "GROUP BY a.id",
        "id integer, pages bigint NULL",
        table="shown",
    )
    database.run("INSERT INTO author VALUES (1, 'Ann', NULL)")
    before = database.value("SELECT xmin FROM shown")
    database.run("INSERT INTO book VALUES (1, 1, NULL)", "UPDATE book SET price = 3")
    assert database.value("SELECT xmin FROM shown") == before


ANNOTATED = {
    "beside": (
        Supplier.objects.annotate(
            number=Count("products"),
            dear=Count("products", filter=Q(products__price__gt=5)),
            total=Sum("products__price", default=0),
            best=Max("products__price"),
            paid=Sum(Case(When(products__price__lt=8, then=F("products__price") * 2))),
        ),
        "id bigint, name varchar(100), number bigint, dear bigint, total numeric(20,2), "
        "best numeric(12,2) NULL, paid numeric(20,2) NULL",
        {"testapp_product"},
    ),
    "below": (
        Supplier.objects.values("id").annotate(
            stars=Sum("products__reviews__stars"), mean=Avg("products__reviews__stars")
        ),
        "id bigint, stars bigint NULL, mean numeric NULL",
        {"testapp_product", "testapp_review"},
    ),
    "through": (
        Product.objects.values("id", "name").annotate(tagged=Count("tags")),
        "id bigint, name varchar(100), tagged bigint",
        {"testapp_product_tags"},
    ),
    # Each product is counted as often as it has reviews, or once.
    "multiplied": (
        Supplier.objects.annotate(number=Count("products"), stars=Sum("products__reviews__stars")),
        "id bigint, name varchar(100), number bigint, stars bigint NULL",
        {"testapp_product"},
    ),
    "distinct": (
        Supplier.objects.annotate(number=Count("products", distinct=True)),
        "id bigint, name varchar(100), number bigint",
        set[str](),
    ),
}


def test_totals_that_annotate_writes_are_folded(database: Database) -> None:
    with database.connection.schema_editor() as editor:
        for model in (Supplier, Tag, Product, Review):
            editor.create_model(model)
    for name, (queryset, columns, sources) in ANNOTATED.items():
        database.tview(queryset_sql(queryset), columns, table=name)
        assert database.folding(name) == sources
    ann, bo = (Supplier.objects.create(name=name) for name in ("Ann", "Bo"))
    database.check("suppliers")
    bolt = Product.objects.create(name="bolt", price=9, supplier=ann)
    database.check("the first product")
    nut, *_ = Product.objects.bulk_create(
        Product(name=f"nut {price}", price=price, supplier=ann) for price in range(3, 8)
    )
    database.check("more of them")
    bolt.tags.set([Tag.objects.create(name="new")])
    database.check("a tag")
    reviews = Review.objects.bulk_create(Review(product=bolt, stars=n) for n in range(3))
    Review.objects.create(product=nut, stars=5)
    database.check("reviews")
    Product.objects.filter(price__gt=4).update(supplier=bo)
    database.check("products of another supplier")
    reviews[0].delete()
    with database.transaction():
        Supplier.objects.update(id=F("id") + 10)
        database.check("other keys")
        Product.objects.update(supplier_id=F("supplier_id") + 10)
    database.check("their products again")
    Supplier.objects.filter(name="Bo").update(name="Cy")
    database.check("another name")
    Product.objects.all().delete()
    database.check("nothing left")
