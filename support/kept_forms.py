"""The forms of queries that are kept, each with an example: the counterpart of ``constructs``.

The page ``docs/reference/queries.md`` and its tests read this table. Examples are over the
relations of `SCHEMA`, as are those of the refused constructs.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

SCHEMA = """\
CREATE TABLE category (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    parent_id bigint REFERENCES category ON DELETE SET NULL
);
CREATE TABLE product (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    price numeric(10, 2) NOT NULL,
    category_id bigint REFERENCES category ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    labels text[] NOT NULL DEFAULT '{}',
    data jsonb NOT NULL DEFAULT '{}'
);
CREATE TABLE review (
    id bigint PRIMARY KEY,
    product_id bigint NOT NULL REFERENCES product ON DELETE CASCADE,
    rating integer NOT NULL,
    body text
);
CREATE TABLE tag (
    product_id bigint REFERENCES product ON DELETE CASCADE,
    name text,
    PRIMARY KEY (product_id, name)
);
CREATE TABLE discount (
    id bigint PRIMARY KEY,
    low numeric NOT NULL,
    high numeric NOT NULL
);
CREATE VIEW rated AS
    SELECT p.id, p.category_id, avg(r.rating) AS rating
      FROM product p JOIN review r ON r.product_id = p.id
     GROUP BY p.id;
"""


@dataclass(frozen=True)
class KeptForm:
    """A form of query that is kept.

    Attributes:
        title: what it is.
        query: an example, laid out for people.
        key: the output columns that identify a row.
        remark: what else there is to know, in Markdown.
        allow_rebuild: it is kept only with ``Maintenance.allow_rebuild``.
        table: the name of the TView, if another example reads it.
    """

    title: str
    query: str
    key: tuple[str, ...] = ("id",)
    remark: str = ""
    allow_rebuild: bool = False
    table: str = ""

    @property
    def sql(self) -> str:
        """The example without the margin it has in this file."""
        return dedent(self.query).strip()


KEPT: dict[str, tuple[KeptForm, ...]] = {
    "Tables and joins": (
        KeptForm(
            "One table, with conditions",
            """
            SELECT id, name, price * 2 AS doubled
              FROM product
             WHERE price > 100
            """,
        ),
        KeptForm(
            "Inner joins, by ON, USING, NATURAL or WHERE",
            """
            SELECT r.id, r.body, p.name
              FROM review r JOIN product p ON p.id = r.product_id
            """,
        ),
        KeptForm(
            "LEFT and RIGHT JOIN",
            """
            SELECT p.id, p.name, c.name AS category
              FROM product p LEFT JOIN category c ON c.id = p.category_id
            """,
            remark="Columns of the other side may be NULL: declare the field `null=True`, or use "
            "COALESCE.",
            table="product_page",
        ),
        KeptForm(
            "FULL JOIN",
            """
            SELECT COALESCE(p.id, r.product_id, 0) AS id, p.name, r.reviews
              FROM product p
                   FULL JOIN (SELECT product_id, count(*) AS reviews
                                FROM review GROUP BY product_id) r ON r.product_id = p.id
            """,
        ),
        KeptForm(
            "The same table several times",
            """
            SELECT c.id, c.name, parent.name AS parent, grand.name AS grandparent
              FROM category c
                   LEFT JOIN category parent ON parent.id = c.parent_id
                   LEFT JOIN category grand ON grand.id = parent.parent_id
            """,
        ),
        KeptForm(
            "Joins by something else than equality",
            """
            SELECT p.id AS product_id, d.id AS discount_id
              FROM product p JOIN discount d ON p.price BETWEEN d.low AND d.high
            """,
            ("product_id", "discount_id"),
            remark="The key has two columns: a `CompositePrimaryKey` in the model.",
        ),
        KeptForm(
            "Every row of one table with every row of another",
            """
            SELECT p.id AS product_id, d.id AS discount_id, p.price - d.low AS reduced
              FROM product p CROSS JOIN discount d
            """,
            ("product_id", "discount_id"),
            remark="The key has columns of both: a new discount has as many keys as there are "
            "products.",
        ),
        KeptForm(
            "Rows without a match",
            """
            SELECT p.id, p.name
              FROM product p LEFT JOIN review r ON r.product_id = p.id
             WHERE r.id IS NULL
            """,
        ),
    ),
    "Subqueries": (
        KeptForm(
            "Scalar subqueries",
            """
            SELECT p.id, (SELECT count(*) FROM review r WHERE r.product_id = p.id) AS reviews
              FROM product p
            """,
        ),
        KeptForm(
            "EXISTS and NOT EXISTS",
            """
            SELECT p.id, p.name
              FROM product p
             WHERE NOT EXISTS (SELECT FROM review r WHERE r.product_id = p.id AND r.rating < 3)
            """,
        ),
        KeptForm(
            "IN",
            """
            SELECT p.id, p.name
              FROM product p
             WHERE p.id IN (SELECT r.product_id FROM review r WHERE r.rating = 5)
            """,
        ),
        KeptForm(
            "NOT IN",
            """
            SELECT p.id, p.name
              FROM product p
             WHERE p.category_id NOT IN (SELECT c.parent_id FROM category c)
            """,
            remark="A NULL among the values of the subquery decides about every row; so such a "
            "row affects every key, and a route of its own leads there.",
        ),
        KeptForm(
            "ANY and ALL, by any operator",
            """
            SELECT p.id, p.price >= ALL (SELECT q.price FROM product q
                                          WHERE q.category_id = p.category_id) AS dearest
              FROM product p
            """,
        ),
        KeptForm(
            "Rows compared",
            """
            SELECT p.id, p.name
              FROM product p
             WHERE (p.id, p.name) IN (SELECT t.product_id, t.name FROM tag t)
            """,
        ),
        KeptForm(
            "ARRAY, also of the first few rows",
            """
            SELECT p.id,
                   ARRAY(SELECT r.body FROM review r WHERE r.product_id = p.id
                          ORDER BY r.rating DESC, r.id LIMIT 3) AS best
              FROM product p
            """,
            remark="The ORDER BY must leave no two rows tied. Where models tell the primary key, "
            "`makemigrations` adds it at the end.",
        ),
        KeptForm(
            "Subqueries in FROM, also LATERAL",
            """
            SELECT p.id, p.name, top.rating
              FROM product p
                   LEFT JOIN LATERAL (SELECT max(r.rating) AS rating
                                        FROM review r WHERE r.product_id = p.id) top ON true
            """,
        ),
        KeptForm(
            "The first rows beside each row",
            """
            SELECT p.id, best.id AS review_id, best.rating
              FROM product p
                   CROSS JOIN LATERAL (SELECT r.id, r.rating FROM review r
                                        WHERE r.product_id = p.id
                                        ORDER BY r.rating DESC, r.id LIMIT 3) best
            """,
            key=("id", "review_id"),
            remark="Whether a row is among the first depends on all the others beside it, so these "
            "appear once more.",
        ),
        KeptForm(
            "WITH",
            """
            WITH counted AS (
                SELECT product_id, count(*) AS reviews FROM review GROUP BY product_id
            )
            SELECT p.id, p.name, c.reviews
              FROM product p JOIN counted c ON c.product_id = p.id
            """,
        ),
        KeptForm(
            "WITH in a subquery",
            """
            SELECT p.id, (WITH rated AS (
                              SELECT r.rating FROM review r WHERE r.product_id = p.id
                          )
                          SELECT count(*) FROM rated WHERE rated.rating > 3) AS good
              FROM product p
            """,
        ),
        KeptForm(
            "JSON documents",
            """
            SELECT p.id,
                   jsonb_build_object(
                       'name', p.name,
                       'reviews', COALESCE(
                           (SELECT jsonb_agg(jsonb_build_object('rating', r.rating, 'body', r.body)
                                             ORDER BY r.id)
                              FROM review r WHERE r.product_id = p.id),
                           '[]')) AS document
              FROM product p
            """,
        ),
    ),
    "Groups": (
        KeptForm(
            "GROUP BY, with any aggregate, DISTINCT, FILTER and HAVING",
            """
            SELECT product_id, count(*) AS reviews, avg(rating) AS average,
                   count(DISTINCT rating) AS ratings, count(*) FILTER (WHERE rating = 5) AS best
              FROM review
             GROUP BY product_id
            HAVING count(*) > 1
            """,
            ("product_id",),
        ),
        KeptForm(
            "Groups over joins",
            """
            SELECT c.id, c.name, count(r.id) AS reviews
              FROM category c
                   LEFT JOIN product p ON p.category_id = c.id
                   LEFT JOIN review r ON r.product_id = p.id
             GROUP BY c.id
            """,
        ),
        KeptForm(
            "Groups by a computed value",
            """
            SELECT COALESCE(c.name, 'none') AS category, count(*) AS products,
                   sum(p.price) AS total
              FROM product p LEFT JOIN category c ON c.id = p.category_id
             GROUP BY COALESCE(c.name, 'none')
            """,
            ("category",),
        ),
        KeptForm(
            "Groups by time",
            """
            SELECT date_trunc('month', created_at) AS month, count(*) AS products
              FROM product
             GROUP BY date_trunc('month', created_at)
            """,
            ("month",),
            remark="Months in UTC, whatever the time zone of the session.",
        ),
        KeptForm(
            "GROUPING SETS, ROLLUP and CUBE",
            """
            SELECT COALESCE(category_id, 0) AS category_id, grouping(category_id) AS level,
                   count(*) AS products, max(price) AS highest
              FROM product
             GROUP BY ROLLUP (category_id)
            """,
            ("category_id", "level"),
            remark="The key is made NOT NULL by COALESCE; GROUPING() tells the groups of rows "
            "without a value from totals.",
        ),
        KeptForm(
            "Aggregates in an order",
            """
            SELECT product_id, array_agg(name ORDER BY name) AS tags
              FROM tag
             GROUP BY product_id
            """,
            ("product_id",),
            remark="The ORDER BY must leave no two rows tied, or the tied ones must be "
            "interchangeable, as here.",
        ),
        KeptForm(
            "DISTINCT",
            """
            SELECT DISTINCT p.category_id, t.name
              FROM product p JOIN tag t ON t.product_id = p.id
             WHERE p.category_id IS NOT NULL
            """,
            ("category_id", "name"),
        ),
        KeptForm(
            "DISTINCT ON",
            """
            SELECT DISTINCT ON (product_id) product_id, id, rating
              FROM review
             ORDER BY product_id, rating DESC, id
            """,
            ("product_id",),
            remark="The key consists of columns of the ON list, and the ORDER BY leaves no two "
            "rows tied.",
        ),
        KeptForm(
            "One row over a whole table",
            """
            SELECT 1 AS id, count(*) AS products, max(price) AS highest
              FROM product
            """,
            remark="Recomputed as a whole at every change of what it reads.",
        ),
    ),
    "Windows": (
        KeptForm(
            "Window functions with PARTITION BY",
            """
            SELECT id, category_id,
                   rank() OVER (PARTITION BY category_id ORDER BY price DESC) AS place
              FROM product
            """,
            remark="A changed row affects the rows of its partition, before and after. The rows "
            "of the partition appear as the table once more. Show the columns of PARTITION BY, as "
            "here: then only the partitions of the affected keys are evaluated. The order of "
            "`row_number`, `ntile`, `lag`, `lead`, `first_value`, `last_value`, `nth_value` and of "
            "frames of ROWS must leave no two rows tied; where it can, `makemigrations` adds the "
            "primary key.",
        ),
        KeptForm(
            "The first rows of each partition",
            """
            SELECT x.id, x.product_id, x.rating
              FROM (SELECT id, product_id, rating,
                           row_number() OVER (PARTITION BY product_id
                                              ORDER BY rating DESC, id) AS place
                      FROM review) x
             WHERE x.place <= 3
            """,
        ),
        KeptForm(
            "Windows over groups",
            """
            SELECT p.category_id, t.name, count(*) AS products,
                   sum(count(*)) OVER (PARTITION BY p.category_id) AS tags
              FROM product p JOIN tag t ON t.product_id = p.id
             WHERE p.category_id IS NOT NULL
             GROUP BY p.category_id, t.name
            """,
            ("category_id", "name"),
        ),
    ),
    "Rows that are computed": (
        KeptForm(
            "Functions that give rows, in FROM",
            """
            SELECT p.id, l.place, l.label
              FROM product p CROSS JOIN unnest(p.labels) WITH ORDINALITY AS l (label, place)
            """,
            ("id", "place"),
            remark="`unnest`, `jsonb_each`, `jsonb_array_elements`, `generate_series`, "
            "`string_to_table` and others, also functions of your own that are IMMUTABLE.",
        ),
        KeptForm(
            "Functions that give rows, in the select list",
            """
            SELECT id, jsonb_object_keys(data) AS name
              FROM product
            """,
            ("id", "name"),
        ),
        KeptForm(
            "Groups by the elements of arrays and documents",
            """
            SELECT l.label, count(*) AS products
              FROM product p CROSS JOIN unnest(p.labels) AS l (label)
             WHERE l.label IS NOT NULL
             GROUP BY l.label
            """,
            ("label",),
        ),
        KeptForm(
            "VALUES",
            """
            SELECT p.id, v.unit, p.price * v.factor AS price
              FROM product p
                   CROSS JOIN (VALUES ('piece'::text, 1), ('dozen', 12)) AS v (unit, factor)
            """,
            ("id", "unit"),
        ),
    ),
    "Set operations": (
        KeptForm(
            "UNION and UNION ALL",
            """
            SELECT 'product'::text AS kind, id, name FROM product
             UNION ALL
            SELECT 'category'::text, id, name FROM category
            """,
            ("kind", "id"),
            remark="Each branch has routes of its own. Columns of several types get the common "
            "one, as in PostgreSQL; that of a computed column is known if it is cast to it.",
        ),
        KeptForm(
            "INTERSECT and EXCEPT, also nested",
            """
            SELECT id FROM product
            EXCEPT
            (SELECT product_id FROM review INTERSECT SELECT product_id FROM tag)
            """,
        ),
        KeptForm(
            "Set operations in subqueries",
            """
            SELECT u.product_id, count(*) AS texts
              FROM (SELECT product_id, body FROM review WHERE body IS NOT NULL
                     UNION
                    SELECT product_id, name FROM tag) u
             GROUP BY u.product_id
            """,
            ("product_id",),
        ),
    ),
    "Views and TViews": (
        KeptForm(
            "Helper views",
            """
            SELECT c.id, c.name, avg(rated.rating) AS rating
              FROM category c LEFT JOIN rated ON rated.category_id = c.id
             GROUP BY c.id
            """,
            remark="They are looked through, at any depth; nothing is materialised for them.",
        ),
        KeptForm(
            "TViews that read TViews",
            """
            SELECT category, count(*) AS products
              FROM product_page
             WHERE category IS NOT NULL
             GROUP BY category
            """,
            ("category",),
            remark="`product_page` is the TView of [LEFT and RIGHT JOIN](#left-and-right-join). "
            "It is kept first, then the changes of its rows are followed further.",
        ),
    ),
    "By rebuilding": (
        KeptForm(
            "LIMIT of the whole query",
            """
            SELECT id, name, price
              FROM product
             ORDER BY price DESC, id
             LIMIT 10
            """,
            allow_rebuild=True,
        ),
        KeptForm(
            "Window functions without PARTITION BY",
            """
            SELECT id, name, rank() OVER (ORDER BY price DESC) AS place
              FROM product
            """,
            remark="So are those with a PARTITION BY over columns that an outer join may miss.",
            allow_rebuild=True,
        ),
        KeptForm(
            "WITH RECURSIVE",
            """
            WITH RECURSIVE above (id, ancestor_id) AS (
                SELECT id, parent_id FROM category WHERE parent_id IS NOT NULL
                 UNION
                SELECT a.id, c.parent_id
                  FROM above a JOIN category c ON c.id = a.ancestor_id
                 WHERE c.parent_id IS NOT NULL
            )
            SELECT id, ancestor_id FROM above WHERE ancestor_id IS NOT NULL
            """,
            ("id", "ancestor_id"),
            remark="Rows of any number make one row, so no join leads from one of them to the key.",
            allow_rebuild=True,
        ),
        KeptForm(
            "A value from a table that nothing ties to the key",
            """
            SELECT p.id, p.price * 100 / (SELECT sum(price) FROM product) AS share
              FROM product p
            """,
            allow_rebuild=True,
        ),
    ),
}


def kept_forms() -> tuple[KeptForm, ...]:
    """Return all forms, in the order of the page."""
    return tuple(form for forms in KEPT.values() for form in forms)
