"""Nexmark's queries 0 to 8, over people who put things up for auction and bid for them.

They are those of the Beam and Flink suites as views over the three tables. Bids have a number
here, since a row of a TView has a key. Windows of time are computed by `date_bin`; a bid falls
into five of the overlapping windows of query 5. Ties are settled by the number.
"""

from __future__ import annotations

from .workload import View

SCHEMA = """
CREATE TABLE person (
    id integer PRIMARY KEY, name text NOT NULL, city text NOT NULL, state text NOT NULL,
    date_time timestamp NOT NULL
);
CREATE TABLE auction (
    id integer PRIMARY KEY, item_name text NOT NULL, seller integer NOT NULL,
    category integer NOT NULL, date_time timestamp NOT NULL, expires timestamp NOT NULL
);
CREATE TABLE bid (
    id integer PRIMARY KEY, auction integer NOT NULL, bidder integer NOT NULL,
    price bigint NOT NULL, date_time timestamp NOT NULL
);
CREATE INDEX ON auction (seller);
CREATE INDEX ON bid (auction);
"""

CONTENTS = (
    """
    INSERT INTO person SELECT n, 'person ' || n, 'city ' || n % 3, (ARRAY['OR', 'ID', 'NY'])[1 + n % 3],
        timestamp '2024-01-01' + n * interval '3 s'
    FROM generate_series(1, 12) AS n
    """,
    """
    INSERT INTO auction SELECT 1098 + n, 'item ' || n, 1 + n * 5 % 12, 9 + n % 3,
        timestamp '2024-01-01' + n * interval '2 s', timestamp '2024-01-01' + n * interval '7 s'
    FROM generate_series(1, 15) AS n
    """,
    """
    INSERT INTO bid SELECT n, 1099 + n * 7 % 15, 1 + n % 12, 10 + n * 13 % 40,
        timestamp '2024-01-01' + n * interval '1.3 s'
    FROM generate_series(1, 60) AS n
    """,
)

VIEWS = (
    View(
        "q0",
        "SELECT id, auction, bidder, price, date_time FROM bid",
        "id integer, auction integer, bidder integer, price bigint, date_time timestamp",
        remark="Pass through.",
    ),
    View(
        "q1",
        "SELECT id, auction, bidder, 0.908 * price AS price, date_time FROM bid",
        "id integer, auction integer, bidder integer, price numeric, date_time timestamp",
        remark="Currency conversion.",
    ),
    View(
        "q2",
        "SELECT id, auction, price FROM bid WHERE auction % 123 = 0",
        "id integer, auction integer, price bigint",
        remark="Selection.",
    ),
    View(
        "q3",
        """
        SELECT p.name, p.city, p.state, a.id
        FROM auction a JOIN person p ON a.seller = p.id
        WHERE a.category = 10 AND (p.state = 'OR' OR p.state = 'ID' OR p.state = 'CA')
        """,
        "name text, city text, state text, id integer",
        remark="Local item suggestion.",
    ),
    View(
        "q4",
        """
        SELECT q.category, avg(q.final) AS average
        FROM (
            SELECT max(b.price) AS final, a.category
            FROM auction a, bid b
            WHERE a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires
            GROUP BY a.id, a.category
        ) AS q
        GROUP BY q.category
        """,
        "category integer, average numeric",
        "category",
        remark="Average price for a category.",
    ),
    View(
        "q5",
        """
        WITH hops AS (
            SELECT b.auction, coalesce(
                date_bin('2 s', b.date_time, timestamp '2000-01-01') - hop.n * interval '2 s',
                b.date_time
            ) AS start_time
            FROM bid b CROSS JOIN (
                SELECT 0 AS n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3
                UNION ALL SELECT 4
            ) AS hop
        ),
        auction_bids AS (
            SELECT auction, start_time, count(*) AS num FROM hops GROUP BY auction, start_time
        )
        SELECT auction_bids.auction, auction_bids.start_time, auction_bids.num
        FROM auction_bids JOIN (
            SELECT start_time, max(num) AS most FROM auction_bids GROUP BY start_time
        ) AS count_bids
            ON auction_bids.start_time = count_bids.start_time
            AND auction_bids.num >= count_bids.most
        """,
        "auction integer, start_time timestamp, num bigint",
        "auction, start_time",
        remark="Hot items, in overlapping windows.",
    ),
    View(
        "q6",
        """
        SELECT a.id, a.seller, avg((
            SELECT max(b.price) FROM bid b
            WHERE b.auction = a.id AND b.date_time BETWEEN a.date_time AND a.expires
        )) OVER (
            PARTITION BY a.seller ORDER BY a.expires, a.id ROWS BETWEEN 10 PRECEDING AND CURRENT ROW
        ) AS average
        FROM auction a
        """,
        "id integer, seller integer, average numeric NULL",
        remark="Average selling price by seller, over the last ten.",
    ),
    View(
        "q7",
        """
        SELECT b.id, b.auction, b.price, b.bidder
        FROM bid b JOIN (
            SELECT max(price) AS most, date_bin('10 s', date_time, timestamp '2000-01-01') AS start
            FROM bid GROUP BY date_bin('10 s', date_time, timestamp '2000-01-01')
        ) AS highest
            ON b.price = highest.most
            AND date_bin('10 s', b.date_time, timestamp '2000-01-01') = highest.start
        """,
        "id integer, auction integer, price bigint, bidder integer",
        remark="Highest bid of each window.",
    ),
    View(
        "q8",
        """
        SELECT p.id, p.name, p.start_time
        FROM (
            SELECT id, name, date_bin('10 s', date_time, timestamp '2000-01-01') AS start_time
            FROM person
            GROUP BY id, name, date_bin('10 s', date_time, timestamp '2000-01-01')
        ) AS p
        JOIN (
            SELECT seller, date_bin('10 s', date_time, timestamp '2000-01-01') AS start_time
            FROM auction
            GROUP BY seller, date_bin('10 s', date_time, timestamp '2000-01-01')
        ) AS a ON p.id = a.seller AND p.start_time = a.start_time
        """,
        "id integer, name text, start_time timestamp NULL",
        remark="New users who sell in the window in which they came.",
    ),
)

WRITES = (
    "INSERT INTO bid VALUES (100, 1107, 3, 99, '2024-01-01 00:00:21'), "
    "(101, 1107, 4, 99, '2024-01-01 00:00:21'), (102, 1099, 4, 5, '2024-01-01 00:00:03')",
    "WITH a AS (INSERT INTO auction VALUES "
    "(1230, 'new', 2, 10, '2024-01-01 00:00:05', '2024-01-01 00:01:00')) "
    "INSERT INTO bid SELECT 110 + n, 1230, n, n, timestamp '2024-01-01 00:00:06' + n * interval '1 s' "
    "FROM generate_series(1, 12) AS n",
    "UPDATE bid SET price = price + 20 WHERE id % 5 = 0",
    "UPDATE bid SET date_time = date_time - interval '4 s' WHERE id % 7 = 0",
    "UPDATE bid SET auction = 1107 WHERE id % 11 = 0",
    "UPDATE auction SET expires = expires - interval '9 s', category = 10 WHERE id % 2 = 0",
    "UPDATE auction SET seller = 1 + seller % 5",
    "UPDATE person SET state = 'CA', date_time = date_time - interval '8 s' WHERE id % 2 = 0",
    "UPDATE auction SET id = id + 1000 WHERE id % 4 = 0",
    "DELETE FROM bid WHERE price > 60",
    "DELETE FROM auction WHERE id % 3 = 0",
    "DELETE FROM person WHERE id < 5",
    "TRUNCATE bid",
)
