"""Products of a shop as documents: the scenario that pg_tviews publishes figures of.

Same tables, query and writes, with an index on the documents; products have five reviews.
Category 1 has 100 products, 2 has 1 000; supplier 1 has 90, 2 has 1 800, as far as the scale (the
number of products) has room for them. A tenth of the products has no supplier.
"""

from __future__ import annotations

from benchmarks.workload import Rename, StatementOperation, View, Workload

PRODUCT = Workload(
    name="ecommerce",
    title="the product documents of a shop",
    queries="ecommerce",
    schema="""
CREATE TABLE tb_category (
    pk_category bigint,
    fk_parent bigint,
    name text NOT NULL,
    slug text NOT NULL
);
CREATE TABLE tb_supplier (
    pk_supplier bigint,
    name text NOT NULL,
    country text NOT NULL
);
CREATE TABLE tb_product (
    pk_product bigint,
    fk_category bigint NOT NULL,
    fk_supplier bigint,
    name text NOT NULL,
    description text NOT NULL,
    base_price numeric(10, 2) NOT NULL,
    current_price numeric(10, 2) NOT NULL
);
CREATE TABLE tb_inventory (
    pk_inventory bigint,
    fk_product bigint NOT NULL,
    quantity integer NOT NULL,
    reserved integer NOT NULL
);
CREATE TABLE tb_review (
    pk_review bigint,
    fk_product bigint NOT NULL,
    rating integer NOT NULL,
    title text NOT NULL,
    content text NOT NULL
);
""",
    contents=(
        """
        INSERT INTO tb_category
        SELECT g, NULL, 'category ' || g, 'category-' || g
        FROM generate_series(1, 2 + greatest(%(scale)s / 1000, 10)) AS g
        """,
        """
        INSERT INTO tb_supplier
        SELECT g, 'supplier ' || g, 'country ' || mod(g, 20)
        FROM generate_series(1, 2 + greatest(%(scale)s / 2000, 10)) AS g
        """,
        """
        INSERT INTO tb_product
        SELECT g,
               CASE WHEN g <= 100 AND %(scale)s >= 200 THEN 1
                    WHEN g <= 1100 AND %(scale)s >= 2000 THEN 2
                    ELSE 3 + mod(g, greatest(%(scale)s / 1000, 10)) END,
               CASE WHEN mod(g, 10) = 0 THEN NULL
                    WHEN g <= 100 AND %(scale)s >= 180 THEN 1
                    WHEN g <= 2100 AND %(scale)s >= 3600 THEN 2
                    ELSE 3 + mod(g, greatest(%(scale)s / 2000, 10)) END,
               'product ' || g, repeat('description of product ' || g || ' ', 10),
               10 + mod(g, 90), 5 + mod(g, 90)
        FROM generate_series(1, %(scale)s) AS g
        """,
        """
        INSERT INTO tb_inventory
        SELECT g, g, mod(g, 100), mod(g, 10) FROM generate_series(1, %(scale)s) AS g
        """,
        """
        INSERT INTO tb_review
        SELECT g, 1 + mod(g, %(scale)s), 1 + mod(g, 5), 'review ' || g,
               repeat('content of review ' || g || ' ', 14)
        FROM generate_series(1, 5 * %(scale)s) AS g
        """,
    ),
    keys=(
        "ALTER TABLE tb_category ADD PRIMARY KEY (pk_category)",
        "ALTER TABLE tb_category ADD FOREIGN KEY (fk_parent) REFERENCES tb_category",
        "ALTER TABLE tb_supplier ADD PRIMARY KEY (pk_supplier)",
        "ALTER TABLE tb_product ADD PRIMARY KEY (pk_product)",
        "ALTER TABLE tb_product ADD FOREIGN KEY (fk_category) REFERENCES tb_category",
        "ALTER TABLE tb_product ADD FOREIGN KEY (fk_supplier) REFERENCES tb_supplier",
        "ALTER TABLE tb_inventory ADD PRIMARY KEY (pk_inventory), ADD UNIQUE (fk_product)",
        "ALTER TABLE tb_inventory ADD FOREIGN KEY (fk_product) REFERENCES tb_product",
        "ALTER TABLE tb_review ADD PRIMARY KEY (pk_review)",
        "ALTER TABLE tb_review ADD FOREIGN KEY (fk_product) REFERENCES tb_product",
        "CREATE INDEX ON tb_product (fk_category)",
        "CREATE INDEX ON tb_product (fk_supplier)",
        "CREATE INDEX ON tb_review (fk_product)",
    ),
    views=(
        View(
            "product_document",
            """
            SELECT p.pk_product, p.fk_category, jsonb_build_object(
                'name', p.name,
                'description', p.description,
                'price', jsonb_build_object(
                    'base', p.base_price,
                    'current', p.current_price,
                    'discount_pct', round(100 * (1 - p.current_price / p.base_price), 2)),
                'category', jsonb_build_object('id', c.pk_category, 'name', c.name, 'slug', c.slug),
                'supplier', CASE WHEN s.pk_supplier IS NOT NULL THEN
                    jsonb_build_object('id', s.pk_supplier, 'name', s.name, 'country', s.country)
                    END,
                'inventory', jsonb_build_object(
                    'quantity', i.quantity, 'available', i.quantity - i.reserved),
                'reviews', jsonb_build_object(
                    'count', (SELECT count(*) FROM tb_review r WHERE r.fk_product = p.pk_product),
                    'average_rating', (SELECT round(avg(r.rating), 2) FROM tb_review r
                                       WHERE r.fk_product = p.pk_product),
                    'recent', coalesce((
                        SELECT jsonb_agg(
                            jsonb_build_object('id', recent.pk_review, 'rating', recent.rating,
                                               'title', recent.title)
                            ORDER BY recent.pk_review DESC)
                        FROM (SELECT r.pk_review, r.rating, r.title FROM tb_review r
                              WHERE r.fk_product = p.pk_product
                              ORDER BY r.pk_review DESC LIMIT 5) recent), '[]'))) AS data
            FROM tb_product p
            JOIN tb_category c ON c.pk_category = p.fk_category
            LEFT JOIN tb_supplier s ON s.pk_supplier = p.fk_supplier
            LEFT JOIN tb_inventory i ON i.fk_product = p.pk_product
            """,
            {"pk_product": "bigint", "fk_category": "bigint", "data": "jsonb"},
            key=("pk_product",),
            indexes=("(fk_category)", "USING gin (data)"),
        ),
    ),
    changes=(
        StatementOperation(
            "change prices",
            "UPDATE tb_product SET current_price = base_price - mod(pk_product + %(number)s, 5)"
            " WHERE pk_product BETWEEN %(scale)s - %(size)s + 1 AND %(scale)s",
        ),
        StatementOperation(
            "insert reviews",
            """
            INSERT INTO tb_review
            SELECT g, 1 + mod(g, %(scale)s), 1 + mod(g, 5), 'review ' || g, repeat('content ', 40)
            FROM generate_series(%(first)s, %(last)s) AS g
            """,
        ),
        StatementOperation(
            "delete reviews", "DELETE FROM tb_review WHERE pk_review BETWEEN %(first)s AND %(last)s"
        ),
    ),
    renames=(
        Rename(
            StatementOperation(
                "rename a category",
                "UPDATE tb_category SET name = 'now ' || %(number)s WHERE pk_category = %(parent)s",
            ),
            {100: 1, 1_000: 2},
        ),
        Rename(
            StatementOperation(
                "rename a supplier",
                "UPDATE tb_supplier SET name = 'now ' || %(number)s WHERE pk_supplier = %(parent)s",
            ),
            {90: 1, 1_800: 2},
        ),
    ),
)
