"""TPC-H: its eight tables, its 22 queries, its refresh functions, and updates everywhere.

    python -m tests.workloads.tpch --scale 10 --rounds 100

The queries are those of the specification (revision 3) with its validation parameters, but for
these changes: ORDER BY and LIMIT are left out; each has a key, so that 2 shows the supplier's key
and 6, 14, 17 and 19, which give one row, a constant; 18 asks for 150 pieces where the
specification asks for 300, of which orders of this size have none; 13 counts in two steps, since
a count cannot be a key; 15 has its view inside. Keys that some functions could make NULL (the day
of an infinite date has no number) stand in COALESCE.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tests.programs import add_strategies, django_beside_a_server

from .workload import Upkeep, View, declared

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = """
CREATE TABLE region (
    r_regionkey integer PRIMARY KEY, r_name char(25) NOT NULL, r_comment varchar(152)
);
CREATE TABLE nation (
    n_nationkey integer PRIMARY KEY, n_name char(25) NOT NULL,
    n_regionkey integer NOT NULL REFERENCES region ON UPDATE CASCADE ON DELETE CASCADE,
    n_comment varchar(152)
);
CREATE TABLE supplier (
    s_suppkey integer PRIMARY KEY, s_name char(25) NOT NULL, s_address varchar(40) NOT NULL,
    s_nationkey integer NOT NULL REFERENCES nation ON UPDATE CASCADE ON DELETE CASCADE,
    s_phone char(15) NOT NULL, s_acctbal numeric(15, 2) NOT NULL, s_comment varchar(101) NOT NULL
);
CREATE TABLE customer (
    c_custkey integer PRIMARY KEY, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL,
    c_nationkey integer NOT NULL REFERENCES nation ON UPDATE CASCADE ON DELETE CASCADE,
    c_phone char(15) NOT NULL, c_acctbal numeric(15, 2) NOT NULL, c_mktsegment char(10) NOT NULL,
    c_comment varchar(117) NOT NULL
);
CREATE TABLE part (
    p_partkey integer PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr char(25) NOT NULL,
    p_brand char(10) NOT NULL, p_type varchar(25) NOT NULL, p_size integer NOT NULL,
    p_container char(10) NOT NULL, p_retailprice numeric(15, 2) NOT NULL,
    p_comment varchar(23) NOT NULL
);
CREATE TABLE partsupp (
    ps_partkey integer NOT NULL REFERENCES part ON UPDATE CASCADE ON DELETE CASCADE,
    ps_suppkey integer NOT NULL REFERENCES supplier ON UPDATE CASCADE ON DELETE CASCADE,
    ps_availqty integer NOT NULL, ps_supplycost numeric(15, 2) NOT NULL,
    ps_comment varchar(199) NOT NULL,
    PRIMARY KEY (ps_partkey, ps_suppkey)
);
CREATE TABLE orders (
    o_orderkey integer PRIMARY KEY,
    o_custkey integer NOT NULL REFERENCES customer ON UPDATE CASCADE ON DELETE CASCADE,
    o_orderstatus char(1) NOT NULL, o_totalprice numeric(15, 2) NOT NULL,
    o_orderdate date NOT NULL, o_orderpriority char(15) NOT NULL, o_clerk char(15) NOT NULL,
    o_shippriority integer NOT NULL, o_comment varchar(79) NOT NULL
);
CREATE TABLE lineitem (
    l_orderkey integer NOT NULL REFERENCES orders ON UPDATE CASCADE ON DELETE CASCADE,
    l_partkey integer NOT NULL, l_suppkey integer NOT NULL, l_linenumber integer NOT NULL,
    l_quantity numeric(15, 2) NOT NULL, l_extendedprice numeric(15, 2) NOT NULL,
    l_discount numeric(15, 2) NOT NULL, l_tax numeric(15, 2) NOT NULL,
    l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL,
    l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL,
    l_shipmode char(10) NOT NULL, l_comment varchar(44) NOT NULL,
    PRIMARY KEY (l_orderkey, l_linenumber),
    FOREIGN KEY (l_partkey, l_suppkey) REFERENCES partsupp ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE INDEX ON nation (n_regionkey);
CREATE INDEX ON supplier (s_nationkey);
CREATE INDEX ON customer (c_nationkey);
CREATE INDEX ON partsupp (ps_suppkey);
CREATE INDEX ON orders (o_custkey);
CREATE INDEX ON lineitem (l_partkey, l_suppkey);
CREATE INDEX ON lineitem (l_suppkey);
"""

_GLOBAL = "It compares with an aggregate over everything, which any change may move."
_ONE_ROW = "It has one row, made of the whole table."

VIEWS = (
    View(
        "Q1",
        """
        SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty,
            sum(l_extendedprice) AS sum_base_price,
            sum(l_extendedprice * (1 - l_discount)) AS sum_disc_price,
            sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS sum_charge,
            avg(l_quantity) AS avg_qty, avg(l_extendedprice) AS avg_price,
            avg(l_discount) AS avg_disc, count(*) AS count_order
        FROM lineitem
        WHERE l_shipdate <= date '1998-12-01' - interval '90' day
        GROUP BY l_returnflag, l_linestatus
        """,
        "l_returnflag char(1), l_linestatus char(1), sum_qty numeric, sum_base_price numeric, "
        "sum_disc_price numeric, sum_charge numeric, avg_qty numeric, avg_price numeric, "
        "avg_disc numeric, count_order bigint",
        "l_returnflag, l_linestatus",
    ),
    View(
        "Q2",
        """
        SELECT s_acctbal, s_name, n_name, p_partkey, p_mfgr, s_address, s_phone, s_comment,
            s_suppkey
        FROM part, supplier, partsupp, nation, region
        WHERE p_partkey = ps_partkey AND s_suppkey = ps_suppkey AND p_size = 15
            AND p_type LIKE '%BRASS' AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey
            AND r_name = 'EUROPE'
            AND ps_supplycost = (
                SELECT min(ps_supplycost)
                FROM partsupp, supplier, nation, region
                WHERE p_partkey = ps_partkey AND s_suppkey = ps_suppkey
                    AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey
                    AND r_name = 'EUROPE'
            )
        """,
        "s_acctbal numeric(15,2), s_name char(25), n_name char(25), p_partkey integer, "
        "p_mfgr char(25), s_address varchar(40), s_phone char(15), s_comment varchar(101), "
        "s_suppkey integer",
        "p_partkey, s_suppkey",
    ),
    View(
        "Q3",
        """
        SELECT l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate,
            o_shippriority
        FROM customer, orders, lineitem
        WHERE c_mktsegment = 'BUILDING' AND c_custkey = o_custkey AND l_orderkey = o_orderkey
            AND o_orderdate < date '1995-03-15' AND l_shipdate > date '1995-03-15'
        GROUP BY l_orderkey, o_orderdate, o_shippriority
        """,
        "l_orderkey integer, revenue numeric, o_orderdate date, o_shippriority integer",
        "l_orderkey",
    ),
    View(
        "Q4",
        """
        SELECT o_orderpriority, count(*) AS order_count
        FROM orders
        WHERE o_orderdate >= date '1993-07-01'
            AND o_orderdate < date '1993-07-01' + interval '3' month
            AND EXISTS (
                SELECT * FROM lineitem
                WHERE l_orderkey = o_orderkey AND l_commitdate < l_receiptdate
            )
        GROUP BY o_orderpriority
        """,
        "o_orderpriority char(15), order_count bigint",
        "o_orderpriority",
    ),
    View(
        "Q5",
        """
        SELECT n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue
        FROM customer, orders, lineitem, supplier, nation, region
        WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND l_suppkey = s_suppkey
            AND c_nationkey = s_nationkey AND s_nationkey = n_nationkey
            AND n_regionkey = r_regionkey AND r_name = 'EUROPE'
            AND o_orderdate >= date '1994-01-01'
            AND o_orderdate < date '1994-01-01' + interval '1' year
        GROUP BY n_name
        """,
        "n_name char(25), revenue numeric",
        "n_name",
    ),
    View(
        "Q6",
        """
        SELECT 1 AS id, sum(l_extendedprice * l_discount) AS revenue
        FROM lineitem
        WHERE l_shipdate >= date '1994-01-01'
            AND l_shipdate < date '1994-01-01' + interval '1' year
            AND l_discount BETWEEN 0.06 - 0.01 AND 0.06 + 0.01 AND l_quantity < 24
        """,
        "id integer, revenue numeric NULL",
        upkeep=Upkeep.ONE_ROW,
        remark=_ONE_ROW,
    ),
    View(
        "Q7",
        """
        SELECT supp_nation, cust_nation, l_year, sum(volume) AS revenue
        FROM (
            SELECT n1.n_name AS supp_nation, n2.n_name AS cust_nation,
                coalesce(extract(year FROM l_shipdate), 0) AS l_year,
                l_extendedprice * (1 - l_discount) AS volume
            FROM supplier, lineitem, orders, customer, nation n1, nation n2
            WHERE s_suppkey = l_suppkey AND o_orderkey = l_orderkey AND c_custkey = o_custkey
                AND s_nationkey = n1.n_nationkey AND c_nationkey = n2.n_nationkey
                AND ((n1.n_name = 'FRANCE' AND n2.n_name = 'GERMANY')
                    OR (n1.n_name = 'GERMANY' AND n2.n_name = 'FRANCE'))
                AND l_shipdate BETWEEN date '1995-01-01' AND date '1996-12-31'
        ) AS shipping
        GROUP BY supp_nation, cust_nation, l_year
        """,
        "supp_nation char(25), cust_nation char(25), l_year numeric, revenue numeric",
        "supp_nation, cust_nation, l_year",
    ),
    View(
        "Q8",
        """
        SELECT o_year,
            sum(CASE WHEN nation = 'BRAZIL' THEN volume ELSE 0 END) / sum(volume) AS mkt_share
        FROM (
            SELECT coalesce(extract(year FROM o_orderdate), 0) AS o_year,
                l_extendedprice * (1 - l_discount) AS volume, n2.n_name AS nation
            FROM part, supplier, lineitem, orders, customer, nation n1, nation n2, region
            WHERE p_partkey = l_partkey AND s_suppkey = l_suppkey AND l_orderkey = o_orderkey
                AND o_custkey = c_custkey AND c_nationkey = n1.n_nationkey
                AND n1.n_regionkey = r_regionkey AND r_name = 'AMERICA'
                AND s_nationkey = n2.n_nationkey
                AND o_orderdate BETWEEN date '1995-01-01' AND date '1996-12-31'
                AND p_type = 'ECONOMY ANODIZED STEEL'
        ) AS all_nations
        GROUP BY o_year
        """,
        "o_year numeric, mkt_share numeric",
        "o_year",
    ),
    View(
        "Q9",
        """
        SELECT nation, o_year, sum(amount) AS sum_profit
        FROM (
            SELECT n_name AS nation, coalesce(extract(year FROM o_orderdate), 0) AS o_year,
                l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity AS amount
            FROM part, supplier, lineitem, partsupp, orders, nation
            WHERE s_suppkey = l_suppkey AND ps_suppkey = l_suppkey AND ps_partkey = l_partkey
                AND p_partkey = l_partkey AND o_orderkey = l_orderkey
                AND s_nationkey = n_nationkey AND p_name LIKE '%green%'
        ) AS profit
        GROUP BY nation, o_year
        """,
        "nation char(25), o_year numeric, sum_profit numeric",
        "nation, o_year",
    ),
    View(
        "Q10",
        """
        SELECT c_custkey, c_name, sum(l_extendedprice * (1 - l_discount)) AS revenue, c_acctbal,
            n_name, c_address, c_phone, c_comment
        FROM customer, orders, lineitem, nation
        WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey
            AND o_orderdate >= date '1993-10-01'
            AND o_orderdate < date '1993-10-01' + interval '3' month
            AND l_returnflag = 'R' AND c_nationkey = n_nationkey
        GROUP BY c_custkey, c_name, c_acctbal, c_phone, n_name, c_address, c_comment
        """,
        "c_custkey integer, c_name varchar(25), revenue numeric, c_acctbal numeric(15,2), "
        "n_name char(25), c_address varchar(40), c_phone char(15), c_comment varchar(117)",
        "c_custkey",
    ),
    View(
        "Q11",
        """
        SELECT ps_partkey, sum(ps_supplycost * ps_availqty) AS value
        FROM partsupp, supplier, nation
        WHERE ps_suppkey = s_suppkey AND s_nationkey = n_nationkey AND n_name = 'GERMANY'
        GROUP BY ps_partkey
        HAVING sum(ps_supplycost * ps_availqty) > (
            SELECT sum(ps_supplycost * ps_availqty) * 0.0001
            FROM partsupp, supplier, nation
            WHERE ps_suppkey = s_suppkey AND s_nationkey = n_nationkey AND n_name = 'GERMANY'
        )
        """,
        "ps_partkey integer, value numeric",
        "ps_partkey",
        Upkeep.REBUILD,
        _GLOBAL,
    ),
    View(
        "Q12",
        """
        SELECT l_shipmode,
            sum(CASE WHEN o_orderpriority = '1-URGENT' OR o_orderpriority = '2-HIGH'
                THEN 1 ELSE 0 END) AS high_line_count,
            sum(CASE WHEN o_orderpriority <> '1-URGENT' AND o_orderpriority <> '2-HIGH'
                THEN 1 ELSE 0 END) AS low_line_count
        FROM orders, lineitem
        WHERE o_orderkey = l_orderkey AND l_shipmode IN ('MAIL', 'SHIP')
            AND l_commitdate < l_receiptdate AND l_shipdate < l_commitdate
            AND l_receiptdate >= date '1994-01-01'
            AND l_receiptdate < date '1994-01-01' + interval '1' year
        GROUP BY l_shipmode
        """,
        "l_shipmode char(10), high_line_count bigint, low_line_count bigint",
        "l_shipmode",
    ),
    View(
        "Q13 orders",
        """
        SELECT c_custkey, count(o_orderkey) AS c_count
        FROM customer LEFT OUTER JOIN orders
            ON c_custkey = o_custkey AND o_comment NOT LIKE '%special%requests%'
        GROUP BY c_custkey
        """,
        "c_custkey integer, c_count bigint",
        "c_custkey",
        remark="The inner query of 13, which the outer one reads.",
    ),
    View(
        "Q13",
        "SELECT c_count, count(*) AS custdist FROM q13_orders GROUP BY c_count",
        "c_count bigint, custdist bigint",
        "c_count",
        remark="In two steps: a TView over another.",
    ),
    View(
        "Q14",
        """
        SELECT 1 AS id,
            100.00 * sum(CASE WHEN p_type LIKE 'PROMO%'
                THEN l_extendedprice * (1 - l_discount) ELSE 0 END)
            / sum(l_extendedprice * (1 - l_discount)) AS promo_revenue
        FROM lineitem, part
        WHERE l_partkey = p_partkey AND l_shipdate >= date '1995-09-01'
            AND l_shipdate < date '1995-09-01' + interval '1' month
        """,
        "id integer, promo_revenue numeric NULL",
        upkeep=Upkeep.ONE_ROW,
        remark=_ONE_ROW,
    ),
    View(
        "Q15",
        """
        WITH revenue AS (
            SELECT l_suppkey AS supplier_no,
                sum(l_extendedprice * (1 - l_discount)) AS total_revenue
            FROM lineitem
            WHERE l_shipdate >= date '1996-01-01'
                AND l_shipdate < date '1996-01-01' + interval '3' month
            GROUP BY l_suppkey
        )
        SELECT s_suppkey, s_name, s_address, s_phone, total_revenue
        FROM supplier, revenue
        WHERE s_suppkey = supplier_no
            AND total_revenue = (SELECT max(total_revenue) FROM revenue)
        """,
        "s_suppkey integer, s_name char(25), s_address varchar(40), s_phone char(15), "
        "total_revenue numeric",
        "s_suppkey",
        Upkeep.REBUILD,
        _GLOBAL,
    ),
    View(
        "Q16",
        """
        SELECT p_brand, p_type, p_size, count(DISTINCT ps_suppkey) AS supplier_cnt
        FROM partsupp, part
        WHERE p_partkey = ps_partkey AND p_brand <> 'Brand#45'
            AND p_type NOT LIKE 'MEDIUM POLISHED%' AND p_size IN (49, 14, 23, 45, 19, 3, 36, 9)
            AND ps_suppkey NOT IN (
                SELECT s_suppkey FROM supplier WHERE s_comment LIKE '%Customer%Complaints%'
            )
        GROUP BY p_brand, p_type, p_size
        """,
        "p_brand char(10), p_type varchar(25), p_size integer, supplier_cnt bigint",
        "p_brand, p_type, p_size",
    ),
    View(
        "Q17",
        """
        SELECT 1 AS id, sum(l_extendedprice) / 7.0 AS avg_yearly
        FROM lineitem, part
        WHERE p_partkey = l_partkey AND p_brand = 'Brand#23' AND p_container = 'MED BOX'
            AND l_quantity < (
                SELECT 0.2 * avg(l_quantity) FROM lineitem WHERE l_partkey = p_partkey
            )
        """,
        "id integer, avg_yearly numeric NULL",
        upkeep=Upkeep.ONE_ROW,
        remark=_ONE_ROW,
    ),
    View(
        "Q18",
        """
        SELECT c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity) AS quantity
        FROM customer, orders, lineitem
        WHERE o_orderkey IN (
                SELECT l_orderkey FROM lineitem GROUP BY l_orderkey HAVING sum(l_quantity) > 150
            )
            AND c_custkey = o_custkey AND o_orderkey = l_orderkey
        GROUP BY c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice
        """,
        "c_name varchar(25), c_custkey integer, o_orderkey integer, o_orderdate date, "
        "o_totalprice numeric(15,2), quantity numeric",
        "o_orderkey",
    ),
    View(
        "Q19",
        """
        SELECT 1 AS id, sum(l_extendedprice * (1 - l_discount)) AS revenue
        FROM lineitem, part
        WHERE (p_partkey = l_partkey AND p_brand = 'Brand#12'
                AND p_container IN ('SM CASE', 'SM BOX', 'SM PACK', 'SM PKG')
                AND l_quantity >= 1 AND l_quantity <= 1 + 10 AND p_size BETWEEN 1 AND 5
                AND l_shipmode IN ('AIR', 'AIR REG')
                AND l_shipinstruct = 'DELIVER IN PERSON')
            OR (p_partkey = l_partkey AND p_brand = 'Brand#23'
                AND p_container IN ('MED BAG', 'MED BOX', 'MED PKG', 'MED PACK')
                AND l_quantity >= 10 AND l_quantity <= 10 + 10 AND p_size BETWEEN 1 AND 10
                AND l_shipmode IN ('AIR', 'AIR REG')
                AND l_shipinstruct = 'DELIVER IN PERSON')
        """,
        "id integer, revenue numeric NULL",
        upkeep=Upkeep.ONE_ROW,
        remark=_ONE_ROW,
    ),
    View(
        "Q20",
        """
        SELECT s_suppkey, s_name, s_address
        FROM supplier, nation
        WHERE s_suppkey IN (
                SELECT ps_suppkey FROM partsupp
                WHERE ps_partkey IN (SELECT p_partkey FROM part WHERE p_name LIKE 'forest%')
                    AND ps_availqty > (
                        SELECT 0.5 * sum(l_quantity) FROM lineitem
                        WHERE l_partkey = ps_partkey AND l_suppkey = ps_suppkey
                            AND l_shipdate >= date '1994-01-01'
                            AND l_shipdate < date '1994-01-01' + interval '1' year
                    )
            )
            AND s_nationkey = n_nationkey AND n_name = 'CANADA'
        """,
        "s_suppkey integer, s_name char(25), s_address varchar(40)",
        "s_suppkey",
    ),
    View(
        "Q21",
        """
        SELECT s_name, count(*) AS numwait
        FROM supplier, lineitem l1, orders, nation
        WHERE s_suppkey = l1.l_suppkey AND o_orderkey = l1.l_orderkey AND o_orderstatus = 'F'
            AND l1.l_receiptdate > l1.l_commitdate
            AND EXISTS (
                SELECT * FROM lineitem l2
                WHERE l2.l_orderkey = l1.l_orderkey AND l2.l_suppkey <> l1.l_suppkey
            )
            AND NOT EXISTS (
                SELECT * FROM lineitem l3
                WHERE l3.l_orderkey = l1.l_orderkey AND l3.l_suppkey <> l1.l_suppkey
                    AND l3.l_receiptdate > l3.l_commitdate
            )
            AND s_nationkey = n_nationkey AND n_name = 'SAUDI ARABIA'
        GROUP BY s_name
        """,
        "s_name char(25), numwait bigint",
        "s_name",
    ),
    View(
        "Q22",
        """
        SELECT cntrycode, count(*) AS numcust, sum(c_acctbal) AS totacctbal
        FROM (
            SELECT coalesce(substring(c_phone FROM 1 FOR 2), '') AS cntrycode, c_acctbal
            FROM customer
            WHERE substring(c_phone FROM 1 FOR 2) IN ('13', '31', '23', '29', '30', '18', '17')
                AND c_acctbal > (
                    SELECT avg(c_acctbal) FROM customer
                    WHERE c_acctbal > 0.00 AND substring(c_phone FROM 1 FOR 2)
                        IN ('13', '31', '23', '29', '30', '18', '17')
                )
                AND NOT EXISTS (SELECT * FROM orders WHERE o_custkey = c_custkey)
        ) AS custsale
        GROUP BY cntrycode
        """,
        "cntrycode text, numcust bigint, totacctbal numeric",
        "cntrycode",
        Upkeep.REBUILD,
        _GLOBAL,
    ),
)

_REGIONS = ("AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST")
# Number, name and region, as in the specification, of those that the queries name.
_NATIONS = (
    (2, "BRAZIL", 1),
    (3, "CANADA", 1),
    (6, "FRANCE", 3),
    (7, "GERMANY", 3),
    (20, "SAUDI ARABIA", 4),
)
_SEGMENTS = ("BUILDING", "MACHINERY")
_TYPES = (
    "STANDARD POLISHED BRASS",
    "ECONOMY ANODIZED STEEL",
    "PROMO BURNISHED COPPER",
    "MEDIUM POLISHED TIN",
)
_BRANDS = ("Brand#12", "Brand#23", "Brand#45")
_CONTAINERS = ("SM CASE", "MED BOX", "LG BOX")
_PRIORITIES = ("1-URGENT", "2-HIGH", "3-MEDIUM")
_SHIP_MODES = ("MAIL", "SHIP", "AIR")
# Days about which the queries ask: orders are made on them or within the next twelve weeks.
_DAYS = (
    date(1993, 7, 1),
    date(1993, 10, 1),
    date(1994, 2, 1),
    date(1995, 1, 15),
    date(1995, 8, 1),
    date(1996, 1, 1),
)


class Generator:
    """Writes rows like those of the specification's generator, the same for the same seed.

    Args:
        scale: 1 for some dozens of orders; everything grows with it.
        seed: where choices come from.
    """

    def __init__(self, scale: int = 1, seed: int = 22) -> None:
        self.random = random.Random(seed)
        self.suppliers = 10 * scale
        self.customers = 18 * scale
        self.parts = 12 * scale
        self.orders = 45 * scale

    def contents(self) -> Iterator[str]:
        """Yield statements that fill the tables."""
        yield self._insert("region", [(n, name, "") for n, name in enumerate(_REGIONS)])
        yield self._insert("nation", [(*nation, "") for nation in _NATIONS])
        yield self._insert("supplier", [self._supplier(n) for n in range(1, self.suppliers + 1)])
        yield self._insert("customer", [self._customer(n) for n in range(1, self.customers + 1)])
        yield self._insert("part", [self._part(n) for n in range(1, self.parts + 1)])
        yield self._insert(
            "partsupp",
            [
                (part, supplier, self.random.randint(1, 99), self._money(1, 20), "")
                for part in range(1, self.parts + 1)
                for supplier in self._suppliers_of(part)
            ],
        )
        for number in range(1, self.orders + 1):
            yield from self.order(number)

    def order(self, number: int) -> Iterator[str]:
        """Yield the statements of the refresh function RF1 for one order."""
        day = self.random.choice(_DAYS) + timedelta(days=self.random.randint(0, 84))
        # As in the specification, a third of the customers has no orders.
        customer = 3 * self.random.randint(1, self.customers // 3) - self.random.randint(1, 2)
        comment = self.random.choice(("", "special handling requests", "as usual"))
        status, priority = self.random.choice("FFO"), self.random.choice(_PRIORITIES)
        price = self._money(1000, 9000)
        yield self._insert(
            "orders", [(number, customer, status, price, day, priority, "", 0, comment)]
        )
        lines = range(1, self.random.randint(1, 7) + 1)
        yield self._insert("lineitem", [self._line(number, line, day) for line in lines])

    def _line(self, order: int, line: int, day: date) -> tuple[object, ...]:
        part = self.random.randint(1, self.parts)
        quantity = self.random.randint(1, 50)
        shipped = day + timedelta(days=self.random.randint(1, 121))
        return (
            *(order, part, self.random.choice(self._suppliers_of(part)), line, quantity),
            *(quantity * 10, f"0.0{self.random.randint(0, 9)}", "0.05"),
            *(self.random.choice("RAN"), self.random.choice("OF")),
            *(shipped, day + timedelta(days=self.random.randint(30, 90))),
            shipped + timedelta(days=self.random.randint(1, 30)),
            *("DELIVER IN PERSON", self.random.choice(_SHIP_MODES), ""),
        )

    def _supplier(self, number: int) -> tuple[object, ...]:
        nation = _NATIONS[number % len(_NATIONS)][0]
        comment = "Customer x Complaints" if number % 4 == 0 else "fine"
        name, balance = f"Supplier#{number:09}", self._money(-999, 9999)
        return (number, name, f"Street {number}", nation, f"{nation + 10}-1", balance, comment)

    def _customer(self, number: int) -> tuple[object, ...]:
        nation = _NATIONS[number % len(_NATIONS)][0]
        return (
            *(number, f"Customer#{number:09}", f"Road {number}", nation, f"{nation + 10}-2"),
            *(self._money(-999, 9999), self.random.choice(_SEGMENTS), ""),
        )

    def _part(self, number: int) -> tuple[object, ...]:
        name = self.random.choice(("forest green", "ivory green", "puff"))
        return (
            *(number, name, "Manufacturer#1", _BRANDS[number % 3], _TYPES[number % 4]),
            *((15, 3, 9)[number % 5 % 3], _CONTAINERS[number % 3], 900 + number, ""),
        )

    def _suppliers_of(self, part: int) -> tuple[int, ...]:
        return tuple(1 + (part + step * 3) % self.suppliers for step in range(3))

    def _money(self, low: int, high: int) -> str:
        return f"{self.random.randint(low, high)}.{self.random.randint(0, 99):02}"

    @staticmethod
    def _insert(table: str, rows: list[tuple[object, ...]]) -> str:
        values = ", ".join("(" + ", ".join(f"'{value}'" for value in row) + ")" for row in rows)
        return f"INSERT INTO {table} VALUES {values}"

    def refresh(self, number: int) -> Iterator[str]:
        """Yield the statements of one round: RF1 for a new order, RF2 for an old one, an update."""
        yield from self.order(self.orders + number)
        yield f"DELETE FROM orders WHERE o_orderkey = {number}"
        yield self.random.choice(UPDATES).replace("% 4 = 0", f"% 9 = {number % 9}")


# One for each table and each way in which the queries depend on it.
UPDATES = (
    "UPDATE lineitem SET l_discount = 0.06, l_quantity = l_quantity / 2 WHERE l_orderkey % 4 = 0",
    "UPDATE lineitem SET l_shipdate = l_shipdate + 30, l_receiptdate = l_receiptdate + 45, "
    "l_returnflag = 'R', l_shipmode = 'SHIP' WHERE l_orderkey % 4 = 0",
    "UPDATE orders SET o_orderstatus = 'F', o_orderpriority = '1-URGENT', o_comment = 'x', "
    "o_orderdate = o_orderdate - 60 WHERE o_orderkey % 4 = 0",
    "UPDATE orders SET o_custkey = 3 WHERE o_orderkey % 4 = 0",
    "UPDATE customer SET c_acctbal = c_acctbal + 3000, c_mktsegment = 'BUILDING', "
    "c_name = c_name || '!' WHERE c_custkey % 4 = 0",
    "UPDATE customer SET c_nationkey = 6, c_phone = '13-3' WHERE c_custkey % 4 = 0",
    "UPDATE supplier SET s_nationkey = 20, s_comment = 'Customers send Complaints' "
    "WHERE s_suppkey % 4 = 0",
    "UPDATE part SET p_size = 15, p_type = 'PROMO POLISHED BRASS', p_brand = 'Brand#23', "
    "p_container = 'MED BOX', p_name = 'forest' WHERE p_partkey % 4 = 0",
    "UPDATE partsupp SET ps_supplycost = 1, ps_availqty = ps_availqty + 20 "
    "WHERE ps_partkey % 4 = 0",
    "UPDATE nation SET n_name = CASE n_name WHEN 'FRANCE' THEN 'GERMANY' ELSE 'FRANCE' END "
    "WHERE n_regionkey = 3",
    "UPDATE nation SET n_regionkey = 4 - n_regionkey WHERE n_nationkey % 4 = 0",
)

# The writes of the test: each statement is followed by the oracle for all queries.
WRITES = (
    "WITH o AS (INSERT INTO orders VALUES "
    "(901, 1, 'F', 1, '1995-03-01', '2-HIGH', '', 0, ''), (902, 4, 'O', 1, '1994-03-01', "
    "'1-URGENT', '', 0, 'special requests')) INSERT INTO lineitem SELECT 901 + n % 2, ps_partkey, "
    "ps_suppkey, n, 5 * n, 50 * n, 0.06, 0, 'R', 'F', date '1995-03-20' - 30 * n::integer, "
    "'1995-02-01', '1995-04-01', 'DELIVER IN PERSON', 'AIR', '' "
    "FROM (SELECT *, row_number() OVER (ORDER BY ps_partkey, ps_suppkey) AS n FROM partsupp) p "
    "WHERE n <= 12",
    *UPDATES,
    "UPDATE region SET r_name = CASE r_name WHEN 'EUROPE' THEN 'AMERICA' ELSE 'EUROPE' END "
    "WHERE r_regionkey IN (1, 3)",
    "MERGE INTO partsupp USING supplier ON ps_suppkey = s_suppkey AND ps_partkey = 1 "
    "WHEN MATCHED AND s_suppkey % 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET ps_supplycost = 2 "
    "WHEN NOT MATCHED THEN INSERT VALUES (1, s_suppkey, 50, 3, '')",
    "UPDATE supplier SET s_suppkey = s_suppkey + 100",
    "DELETE FROM orders WHERE o_orderkey % 3 = 0",
    "DELETE FROM part WHERE p_partkey % 3 = 0",
    "DELETE FROM nation WHERE n_name = 'CANADA'",
    "DELETE FROM customer WHERE c_custkey % 2 = 0",
    "TRUNCATE lineitem",
)


def main() -> int:
    """Run refresh rounds at a larger scale, with the oracle after every statement."""
    parser = argparse.ArgumentParser(prog="python -m tests.workloads.tpch", description=__doc__)
    parser.add_argument("--scale", type=int, default=10, help="1 has 45 orders")
    parser.add_argument("--rounds", type=int, default=20, help="RF1, RF2 and an update each")
    parser.add_argument("--seed", type=int, default=22, help="where choices come from")
    add_strategies(parser)
    arguments = parser.parse_args()
    with django_beside_a_server(arguments.without):
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    from django.conf import settings

    from support.database import database_settings
    from tests.harness import fresh_database

    for entry in settings.DATABASES.values():
        entry.update(database_settings(os.environ["TVIEWS_DATABASE_URL"]))
    generator = Generator(arguments.scale, arguments.seed)
    with fresh_database() as database:
        database.execute(SCHEMA)
        for statement in generator.contents():
            database.execute(statement)
        for view in VIEWS:
            database.install(declared(database, view))
        for number in range(1, arguments.rounds + 1):
            database.run(*generator.refresh(number))
            sys.stdout.write(f"round {number}: all {len(VIEWS)} equal\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
