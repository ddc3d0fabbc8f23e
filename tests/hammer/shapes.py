"""Tables that writers share, and queries of every shape over them."""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA = """
CREATE TABLE country (id integer PRIMARY KEY, name text NOT NULL);
CREATE TABLE supplier (id integer PRIMARY KEY, name text NOT NULL, country_id integer);
CREATE TABLE product (
    id integer PRIMARY KEY, name text NOT NULL, supplier_id integer, category text NOT NULL,
    price integer NOT NULL
);
CREATE TABLE author (id integer PRIMARY KEY, name text NOT NULL, country_id integer);
CREATE TABLE review (
    id integer PRIMARY KEY, product_id integer NOT NULL, author_id integer, stars integer NOT NULL
);
CREATE TABLE note (id integer PRIMARY KEY, review_id integer NOT NULL, body text NOT NULL);
CREATE INDEX ON supplier (country_id);
CREATE INDEX ON product (supplier_id);
CREATE INDEX ON review (product_id);
CREATE INDEX ON review (author_id);
CREATE INDEX ON note (review_id);
CREATE VIEW rated AS
    SELECT p.id, p.supplier_id, count(r.id) AS reviews, sum(r.stars) AS stars
    FROM product p LEFT JOIN review r ON r.product_id = p.id GROUP BY p.id, p.supplier_id;
"""

TABLES = ("country", "supplier", "product", "author", "review", "note")


@dataclass(frozen=True)
class Shape:
    """A TView of the hammer.

    Attributes:
        name: its table.
        query: its query.
        columns: its columns, as `tests.harness.Database.tview` takes them.
        key: its key.
        allow_rebuild: some source has no route.
        reads: the names of the shapes that it reads.
        mode: when it is maintained, if not when a scenario says.
    """

    name: str
    query: str
    columns: str
    key: str = "id"
    allow_rebuild: bool = False
    reads: tuple[str, ...] = ()
    mode: str | None = None


SHAPES = (
    Shape(
        "parents",
        "SELECT p.id, p.name, s.name AS supplier, c.name AS country FROM product p"
        " LEFT JOIN supplier s ON s.id = p.supplier_id LEFT JOIN country c ON c.id = s.country_id",
        "id integer, name text, supplier text NULL, country text NULL",
    ),
    Shape(
        "inner_parents",
        "SELECT p.id, s.name AS supplier, c.name AS country FROM product p"
        " JOIN supplier s ON s.id = p.supplier_id JOIN country c ON c.id = s.country_id"
        " WHERE p.price > 2",
        "id integer, supplier text, country text",
    ),
    Shape(
        "counts",
        "SELECT p.id, p.name, (SELECT count(*) FROM review r WHERE r.product_id = p.id) AS reviews"
        " FROM product p",
        "id integer, name text, reviews bigint",
    ),
    Shape(
        "grandchildren",
        "SELECT p.id, (SELECT count(*) FROM review r JOIN note n ON n.review_id = r.id"
        " WHERE r.product_id = p.id) AS notes FROM product p",
        "id integer, notes bigint",
    ),
    Shape(
        "branches",
        "SELECT p.id, s.name AS supplier, (SELECT jsonb_agg(jsonb_build_object("
        "'stars', r.stars, 'author', a.name) ORDER BY r.id) FROM review r"
        " LEFT JOIN author a ON a.id = r.author_id WHERE r.product_id = p.id) AS reviews"
        " FROM product p LEFT JOIN supplier s ON s.id = p.supplier_id",
        "id integer, supplier text NULL, reviews jsonb NULL",
    ),
    Shape(
        # Writers of every table patch a path of one document.
        "documents",
        "SELECT p.id, jsonb_build_object('name', p.name, 'price', p.price, 'supplier',"
        " jsonb_build_object('name', s.name, 'country', c.name), 'reviews', (SELECT count(*)"
        " FROM review r WHERE r.product_id = p.id), 'authors', (SELECT jsonb_agg(a.name"
        " ORDER BY r.id) FROM review r LEFT JOIN author a ON a.id = r.author_id"
        " WHERE r.product_id = p.id)) AS data FROM product p"
        " LEFT JOIN supplier s ON s.id = p.supplier_id LEFT JOIN country c ON c.id = s.country_id",
        "id integer, data jsonb NULL",
    ),
    Shape(
        "by_parent",
        "SELECT supplier_id AS id, count(*) AS products, sum(price) AS price FROM product"
        " WHERE supplier_id IS NOT NULL GROUP BY supplier_id",
        "id integer, products bigint, price bigint NULL",
    ),
    Shape(
        "by_grandparent",
        "SELECT c.name AS id, count(*) AS products, sum(p.price) AS price FROM product p"
        " JOIN supplier s ON s.id = p.supplier_id JOIN country c ON c.id = s.country_id"
        " GROUP BY c.name",
        "id text, products bigint, price bigint NULL",
    ),
    Shape(
        # As annotate() writes it: suppliers are there without products, and these without reviews.
        "annotated",
        "SELECT s.id, s.name, sum(r.stars) AS stars, max(r.stars) AS best,"
        " count(r.stars) FILTER (WHERE p.price > 2) AS dear FROM supplier s"
        " LEFT JOIN product p ON p.supplier_id = s.id LEFT JOIN review r ON r.product_id = p.id"
        " GROUP BY s.id, s.name",
        "id integer, name text, stars bigint NULL, best integer NULL, dear bigint",
    ),
    Shape(
        # The key stands in the review; what is summed up does not.
        "priced_reviews",
        "SELECT r.author_id AS id, count(*) AS reviews, sum(p.price) AS price,"
        " max(p.price) AS best FROM review r JOIN product p ON p.id = r.product_id"
        " WHERE r.author_id IS NOT NULL GROUP BY r.author_id",
        "id integer, reviews bigint, price bigint NULL, best integer NULL",
    ),
    Shape(
        "star",
        "SELECT s.country_id AS country, r.author_id AS author, count(*) AS n FROM review r"
        " JOIN product p ON p.id = r.product_id JOIN supplier s ON s.id = p.supplier_id"
        " WHERE s.country_id IS NOT NULL AND r.author_id IS NOT NULL GROUP BY 1, 2",
        "country integer, author integer, n bigint",
        "country, author",
    ),
    Shape(
        "two_branches",
        "SELECT c.name AS country, a.name AS author, count(*) AS n FROM review r"
        " JOIN author a ON a.id = r.author_id JOIN product p ON p.id = r.product_id"
        " JOIN supplier s ON s.id = p.supplier_id JOIN country c ON c.id = s.country_id"
        " GROUP BY 1, 2",
        "country text, author text, n bigint",
        "country, author",
    ),
    Shape(
        "self_join",
        "SELECT a.id AS a, b.id AS b, a.price + b.price AS price FROM product a"
        " JOIN product b ON b.category = a.category AND a.id < b.id",
        "a integer, b integer, price integer",
        "a, b",
    ),
    Shape(
        "exists",
        "SELECT p.id, EXISTS (SELECT FROM review r WHERE r.product_id = p.id AND r.stars > 2)"
        " AS liked FROM product p WHERE NOT EXISTS (SELECT FROM supplier s"
        " WHERE s.id = p.supplier_id AND s.name = 'a')",
        "id integer, liked boolean",
    ),
    Shape(
        "anti_join",
        "SELECT p.id, p.name FROM product p LEFT JOIN review r ON r.product_id = p.id"
        " WHERE r.id IS NULL",
        "id integer, name text",
    ),
    Shape(
        "coalesced_key",
        "SELECT coalesce(s.name, 'none') AS id, count(*) AS n FROM product p"
        " LEFT JOIN supplier s ON s.id = p.supplier_id GROUP BY 1",
        "id text, n bigint",
    ),
    Shape(
        "full_join",
        "SELECT coalesce(p.id, a.id, 0) AS id, p.name AS product, a.name AS author FROM product p"
        " FULL JOIN author a ON a.id = p.id",
        "id integer, product text NULL, author text NULL",
    ),
    Shape(
        "top_review",
        "SELECT p.id, top.stars, top.review FROM product p LEFT JOIN LATERAL ("
        "SELECT r.stars, r.id AS review FROM review r WHERE r.product_id = p.id"
        " ORDER BY r.stars DESC, r.id LIMIT 1) top ON true",
        "id integer, stars integer NULL, review integer NULL",
    ),
    Shape(
        # Folded, all of it, while products go from one group to another.
        "averages",
        "SELECT p.supplier_id AS id, count(*) AS n, sum(r.stars) AS stars, avg(r.stars) AS mean,"
        " min(r.stars) AS worst, max(r.stars) AS best, bool_or(r.stars > 2) AS liked"
        " FROM review r JOIN product p ON p.id = r.product_id"
        " WHERE p.supplier_id IS NOT NULL GROUP BY p.supplier_id",
        "id integer, n bigint, stars bigint NULL, mean numeric NULL, worst integer NULL,"
        " best integer NULL, liked boolean NULL",
    ),
    Shape(
        # What these follow from no field shows.
        "hidden_totals",
        "SELECT p.supplier_id AS id, avg(r.stars) AS mean, sum(r.stars) AS stars"
        " FROM review r JOIN product p ON p.id = r.product_id"
        " WHERE p.supplier_id IS NOT NULL GROUP BY p.supplier_id",
        "id integer, mean numeric NULL, stars bigint NULL",
    ),
    Shape("distinct_names", "SELECT DISTINCT category AS id FROM product", "id text"),
    Shape(
        "one_row",
        "SELECT 1 AS id, count(*) AS n, sum(price) AS price FROM product",
        "id integer, n bigint, price bigint NULL",
    ),
    Shape(
        "groups_of_two",
        "SELECT product_id AS id, count(*) AS n FROM review GROUP BY product_id"
        " HAVING count(*) > 1 AND bool_or(stars > 1)",
        "id integer, n bigint",
    ),
    Shape(
        "inequality",
        "SELECT p.id, (SELECT count(*) FROM supplier s WHERE s.id < p.price) AS cheaper"
        " FROM product p",
        "id integer, cheaper bigint",
    ),
    Shape(
        "helper_view",
        "SELECT s.id, s.name, (SELECT sum(v.stars) FROM rated v WHERE v.supplier_id = s.id) AS stars"
        " FROM supplier s",
        "id integer, name text, stars numeric NULL",
    ),
    Shape(
        "over_a_tview",
        "SELECT country AS id, count(*) AS products FROM parents WHERE country IS NOT NULL"
        " GROUP BY country",
        "id text, products bigint",
        reads=("parents",),
    ),
    Shape(
        "over_two_tviews",
        "SELECT p.id, p.supplier, c.reviews FROM parents p JOIN counts c ON c.id = p.id",
        "id integer, supplier text NULL, reviews bigint",
        reads=("parents", "counts"),
    ),
    Shape(
        "no_route",
        "SELECT p.id, (SELECT count(*) FROM author) AS authors FROM product p",
        "id integer, authors bigint",
        allow_rebuild=True,
    ),
    Shape(
        "set_operation",
        "SELECT id FROM product EXCEPT SELECT id FROM author",
        "id integer",
        allow_rebuild=True,
    ),
)


def grouped(shapes: tuple[Shape, ...], size: int) -> list[tuple[Shape, ...]]:
    """Divide shapes into groups that are installed together."""
    return [shapes[start : start + size] for start in range(0, len(shapes), size)]
