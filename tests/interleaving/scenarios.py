"""Transactions that once left, or could leave, a row that neither would have left alone.

Each scenario has the name of what breaks under a weaker protocol; docs/internals/concurrency.md
refers to them by it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.hammer.shapes import SHAPES, Shape

COMMITTED, REPEATABLE, SERIALIZABLE = LEVELS = (
    "READ COMMITTED",
    "REPEATABLE READ",
    "SERIALIZABLE",
)

_BY_NAME = {shape.name: shape for shape in SHAPES}

# Further shapes over the tables of the hammer.
NOTES_BY_NAME = Shape(
    "notes_by_name",
    "SELECT p.name AS id, count(*) AS notes FROM note n JOIN review r ON r.id = n.review_id"
    " JOIN product p ON p.id = r.product_id GROUP BY p.name",
    "id text, notes bigint",
)
SIBLING = Shape(
    "sibling",
    "SELECT r.stars, c.name AS country, count(*) AS n, sum(a.id) AS authors FROM review r"
    " JOIN author a ON a.id = r.author_id JOIN product p ON p.id = r.product_id"
    " JOIN supplier s ON s.id = p.supplier_id JOIN country c ON c.id = s.country_id GROUP BY 1, 2",
    "stars integer, country text, n bigint, authors bigint NULL",
    "stars, country",
)
UNION = Shape("union_of_both", "SELECT id FROM product UNION SELECT id FROM author", "id integer")
RANKED = Shape(
    "ranked",
    "SELECT id, rank() OVER (PARTITION BY category ORDER BY price) AS place FROM product",
    "id integer, place bigint",
)
TWO_PARENTS = Shape(
    "two_parents",
    "SELECT p.id, s.name AS supplier, a.name AS author FROM product p"
    " LEFT JOIN supplier s ON s.id = p.supplier_id LEFT JOIN author a ON a.id = p.price",
    "id integer, supplier text NULL, author text NULL",
)
DATED = Shape(
    "dated",
    "SELECT p.id, (SELECT count(*) FROM event e WHERE e.at = p.day) AS n FROM product p",
    "id integer, n bigint",
)
BITS = Shape(
    "bits",
    "SELECT p.price::bit(4) AS id, count(*) AS n FROM product p GROUP BY 1",
    "id bit(4), n bigint",
)
COUNTS_INFO = Shape(
    "counts_info",
    "SELECT p.id, (SELECT count(*) FROM review r WHERE r.product_id = p.id) AS reviews,"
    " (SELECT count(*) FROM author a WHERE a.country_id = p.id) AS authors FROM product p",
    "id integer, reviews bigint, authors bigint",
)
PARTITIONED = Shape(
    "partitioned",
    "SELECT p.id, (SELECT count(*) FROM visit v WHERE v.product_id = p.id) AS visits FROM product p",
    "id integer, visits bigint",
)

SUPPLIES = Shape(
    "supplies",
    "SELECT s.id, s.name, (SELECT count(*) FROM product p WHERE p.supplier_id = s.id) AS products"
    " FROM supplier s",
    "id integer, name text, products bigint",
    mode="deferred",
)
SUPPLIES_NAMED = Shape(
    "supplies_named",
    "SELECT s.id, s.name, t.products FROM supplier s JOIN supplies t ON t.id = s.id",
    "id integer, name text, products bigint",
    reads=("supplies",),
)


@dataclass(frozen=True)
class Scenario:
    """What several sessions do.

    Attributes:
        name: what a weaker protocol would be, or what happens.
        shapes: the TViews.
        rows: the statements that fill the tables.
        transactions: the statements of each session, in one transaction.
        tables: further tables, and their statements.
        levels: the isolation levels of the sessions; all there are if none are named.
        modes: of the TViews.
        autocommit: the numbers of sessions, from 0, whose statements are transactions.
        deadlocks: some order ends in a deadlock, though each transaction is one statement.
        recomputed: no plan folds or patches. Patches of different columns agree without locks.
        drifted: a statement that makes a TView differ from its query at the beginning.
    """

    name: str
    shapes: tuple[Shape, ...]
    rows: str
    transactions: tuple[tuple[str, ...], ...]
    tables: tuple[str, ...] = ()
    levels: tuple[tuple[str, ...], ...] = ()
    modes: tuple[str, ...] = ("immediate", "deferred")
    autocommit: tuple[int, ...] = ()
    deadlocks: bool = False
    recomputed: bool = False
    drifted: str = "SELECT"

    @property
    def may_deadlock(self) -> bool:
        """Whether a deadlock is no fault: transactions are of several statements, or named."""
        return self.deadlocks or any(len(statements) > 1 for statements in self.transactions)


def _shapes(*names: str) -> tuple[Shape, ...]:
    return tuple(_BY_NAME[name] for name in names)


_SUPPLIED = (
    "INSERT INTO country VALUES (1, 'de'), (2, 'fr');"
    "INSERT INTO supplier VALUES (5, 'five', 1), (6, 'six', 2), (7, 'seven', 1);"
    "INSERT INTO product VALUES (1, 'one', 5, 'a', 1), (2, 'two', 6, 'a', 2);"
)
_REVIEWED = (
    _SUPPLIED + "INSERT INTO author VALUES (1, 'ann', 1), (2, 'bob', 2);"
    "INSERT INTO review VALUES (1, 1, 1, 5), (2, 2, 2, 3), (9, 1, 1, 1);"
    "INSERT INTO note VALUES (1, 1, 'x'), (2, 2, 'y');"
)
_NEW_PRODUCT = "INSERT INTO product VALUES (3, 'three', 5, 'a', 3)"
_CASCADES = (
    "ALTER TABLE review ADD FOREIGN KEY (product_id) REFERENCES product ON DELETE CASCADE;"
    "ALTER TABLE note ADD FOREIGN KEY (review_id) REFERENCES review ON DELETE CASCADE;",
)

COUNTER_EXAMPLES = (
    Scenario(
        "no locks",
        _shapes("counts"),
        _REVIEWED,
        (("INSERT INTO review VALUES (3, 1, 1, 4)",), ("INSERT INTO review VALUES (4, 1, 2, 2)",)),
    ),
    Scenario(
        "keys only",
        _shapes("grandchildren"),
        _SUPPLIED,
        (("INSERT INTO note VALUES (3, 8, 'z')",), ("INSERT INTO review VALUES (8, 1, 1, 4)",)),
    ),
    Scenario(
        "everybody shares",
        _shapes("parents"),
        _SUPPLIED,
        (("UPDATE supplier SET name = 'new' WHERE id = 5",), (_NEW_PRODUCT,)),
    ),
    Scenario(
        "one level only",
        (NOTES_BY_NAME,),
        _SUPPLIED + "INSERT INTO review VALUES (8, 3, 1, 4)",
        (("INSERT INTO note VALUES (3, 8, 'z')",), (_NEW_PRODUCT,)),
    ),
    Scenario(
        "one level only, downwards",
        _shapes("parents"),
        _SUPPLIED,
        (
            ("UPDATE country SET name = 'new' WHERE id = 1",),
            ("INSERT INTO product VALUES (3, 'three', 7, 'a', 3)",),
        ),
    ),
    Scenario(
        "one place only",
        (TWO_PARENTS,),
        _REVIEWED,
        (
            ("UPDATE author SET name = 'new' WHERE id = 2",),
            ("INSERT INTO product VALUES (3, 'three', 5, 'a', 2)",),
        ),
    ),
    Scenario(
        "no second look",
        _shapes("grandchildren"),
        _REVIEWED,
        (
            ("UPDATE review SET product_id = 2 WHERE id = 9",),
            ("INSERT INTO note VALUES (3, 9, 'z')",),
        ),
    ),
    Scenario(
        "a second look without its locks",
        _shapes("grandchildren"),
        _REVIEWED,
        (
            ("UPDATE review SET product_id = 2 WHERE id = 9",),
            ("INSERT INTO note VALUES (3, 9, 'z')",),
            ("INSERT INTO note VALUES (4, 2, 'w')",),
        ),
        levels=((COMMITTED, COMMITTED, COMMITTED),),
        modes=("immediate",),
    ),
    Scenario(
        "more locks without giving up the first",
        _shapes("grandchildren"),
        _REVIEWED,
        (
            # The lock on key 1 comes before that on key 2.
            ("UPDATE review SET product_id = 1 WHERE id = 2",),
            ("INSERT INTO note VALUES (3, 2, 'z')",),
            ("INSERT INTO review VALUES (3, 1, 1, 4), (4, 2, 1, 4)",),
        ),
        levels=((COMMITTED, COMMITTED, COMMITTED),),
        modes=("immediate",),
    ),
    Scenario(
        "no key lock between sibling branches",
        _shapes("branches"),
        _REVIEWED,
        (
            ("UPDATE supplier SET name = 'new' WHERE id = 5",),
            ("INSERT INTO review VALUES (3, 1, 1, 4)",),
        ),
        recomputed=True,
    ),
    Scenario(
        "group keys of the new image only",
        _shapes("by_grandparent"),
        _SUPPLIED,
        (("UPDATE country SET name = 'us' WHERE id = 1",), (_NEW_PRODUCT,)),
    ),
    Scenario(
        "group keys of a parent that moves",
        _shapes("by_grandparent"),
        _SUPPLIED,
        (("UPDATE supplier SET country_id = 2 WHERE id = 5",), (_NEW_PRODUCT,)),
    ),
    Scenario(
        "no lock on the way to the key",
        _shapes("two_branches"),
        _REVIEWED + "UPDATE supplier SET country_id = 3; UPDATE review SET author_id = 3",
        (("INSERT INTO author VALUES (3, 'cid', 1)",), ("INSERT INTO country VALUES (3, 'it')",)),
    ),
    Scenario(
        "no lock on the way to the key beside a branch",
        (SIBLING,),
        _REVIEWED + "UPDATE supplier SET country_id = 3; UPDATE review SET author_id = 3",
        (("INSERT INTO author VALUES (3, 'cid', 1)",), ("INSERT INTO country VALUES (3, 'it')",)),
    ),
    Scenario(
        "no key lock for one of two roots",
        _shapes("set_operation"),
        "",
        (("INSERT INTO product VALUES (1, 'one', 5, 'a', 1)",), ("INSERT INTO author VALUES (1)",)),
        tables=("ALTER TABLE author ALTER name DROP NOT NULL",),
    ),
    Scenario(
        "no key lock for one of two roots of a union",
        (UNION,),
        "INSERT INTO product VALUES (1, 'one', 5, 'a', 1); INSERT INTO author VALUES (1, 'a', 1)",
        (("DELETE FROM product WHERE id = 1",), ("DELETE FROM author WHERE id = 1",)),
    ),
    Scenario(
        "no key lock for one of two roots of a full join",
        _shapes("full_join"),
        "",
        (
            ("INSERT INTO product VALUES (1, 'one', 5, 'a', 1)",),
            ("INSERT INTO author VALUES (1, 'ann', 1)",),
        ),
    ),
    Scenario(
        "firing is depth first",
        _shapes("parents", "counts", "over_two_tviews"),
        _REVIEWED,
        (
            ("UPDATE product SET name = 'new', supplier_id = 6 WHERE id = 1",),
            ("INSERT INTO review VALUES (3, 1, 1, 4)",),
        ),
    ),
    Scenario(
        "triggers fire in another order than the drain maintains",
        (_BY_NAME["counts"], COUNTS_INFO),
        _REVIEWED,
        (
            # The lock on key 1 comes before that on key 2.
            ("DELETE FROM review WHERE id IN (1, 2)",),
            ("INSERT INTO review VALUES (3, 2, 1, 4)",),
            ("INSERT INTO author VALUES (3, 'cid', 1)",),
        ),
        levels=((COMMITTED, COMMITTED, COMMITTED),),
        modes=("immediate",),
    ),
    Scenario(
        "a cascade takes rows after keys",
        _shapes("grandchildren", "counts"),
        _REVIEWED,
        (
            ("DELETE FROM product WHERE id = 1",),
            ("UPDATE note SET review_id = 2 WHERE id = 1",),
        ),
        tables=_CASCADES,
    ),
    Scenario(
        "sharing first and excluding later",
        _shapes("parents"),
        _SUPPLIED,
        (
            (_NEW_PRODUCT, "UPDATE supplier SET name = name || '!' WHERE id = 5"),
            (
                "INSERT INTO product VALUES (4, 'four', 5, 'a', 3)",
                "UPDATE supplier SET name = name || '?' WHERE id = 5",
            ),
        ),
    ),
    Scenario(
        "a register of the last transaction",
        _shapes("parents"),
        _SUPPLIED,
        (
            ("UPDATE supplier SET name = 'older' WHERE id = 5",),
            ("UPDATE supplier SET name = 'newer' WHERE id = 6",),
            ("SELECT count(*) FROM product", _NEW_PRODUCT),
        ),
        levels=((COMMITTED, COMMITTED, REPEATABLE),),
        modes=("immediate",),
    ),
)

MORE = (
    Scenario(
        "keys only, of several rows",
        _shapes("grandchildren"),
        _REVIEWED,
        (
            ("INSERT INTO note VALUES (3, 8, 'z')",),
            ("INSERT INTO review VALUES (8, 1, 1, 4), (7, 2, 1, 4)",),
        ),
        modes=("immediate",),
    ),
    Scenario(
        "two parts of one document",
        _shapes("documents"),
        _REVIEWED,
        (
            ("UPDATE supplier SET name = name || '!'", "UPDATE product SET name = name || '!'"),
            ("INSERT INTO review VALUES (3, 1, 1, 4)",),
        ),
    ),
    Scenario(
        "a parent is renamed while children come and go",
        _shapes("documents", "parents", "annotated"),
        _SUPPLIED,
        (
            ("UPDATE supplier SET name = name || '!'",),
            ("UPDATE product SET supplier_id = 11 - supplier_id",),
            (_NEW_PRODUCT,),
        ),
    ),
    Scenario(
        "a row goes to another group while what it counts comes",
        _shapes("averages", "hidden_totals"),
        _REVIEWED,
        (
            ("UPDATE product SET supplier_id = 6 WHERE id = 1",),
            ("INSERT INTO review VALUES (3, 1, 1, 4)", "DELETE FROM review WHERE id = 1"),
        ),
    ),
    Scenario(
        "a parent comes while what it totals does",
        _shapes("annotated"),
        _REVIEWED,
        (
            ("INSERT INTO supplier VALUES (8, 'eight', 1)",),
            ("UPDATE product SET supplier_id = 8 WHERE id = 1",),
            ("INSERT INTO review VALUES (3, 1, 1, 4)", "DELETE FROM review WHERE id = 1"),
        ),
    ),
    Scenario(
        "children move in both directions",
        _shapes("grandchildren"),
        _REVIEWED,
        (
            ("UPDATE review SET product_id = 2 WHERE id = 1",),
            ("UPDATE review SET product_id = 1 WHERE id = 2",),
        ),
    ),
    Scenario(
        "parents move in both directions",
        _shapes("by_grandparent"),
        _SUPPLIED,
        (
            ("UPDATE supplier SET country_id = 3 - country_id WHERE id = 5",),
            ("UPDATE product SET supplier_id = 11 - supplier_id",),
        ),
    ),
    Scenario(
        "a child moves while its parent does",
        _shapes("by_grandparent", "parents"),
        _SUPPLIED,
        (
            ("UPDATE supplier SET country_id = 2 WHERE id = 5",),
            ("UPDATE product SET supplier_id = 6 WHERE id = 1",),
        ),
    ),
    Scenario(
        "a parent, its parent and a child",
        _shapes("inner_parents"),
        "INSERT INTO country VALUES (1, 'de')",
        (
            ("UPDATE country SET name = 'us' WHERE id = 1",),
            ("INSERT INTO supplier VALUES (5, 'five', 1)",),
            ("INSERT INTO product VALUES (1, 'one', 5, 'a', 5)",),
        ),
        modes=("immediate",),
    ),
    Scenario(
        "both sides of a self join",
        _shapes("self_join"),
        _SUPPLIED,
        (
            ("INSERT INTO product VALUES (3, 'three', 5, 'b', 3)",),
            ("UPDATE product SET category = 'b' WHERE id = 1",),
        ),
    ),
    Scenario(
        "partners of a self join go",
        _shapes("self_join"),
        _SUPPLIED,
        (
            ("DELETE FROM product WHERE id = 1",),
            ("UPDATE product SET price = 9 WHERE id = 2",),
        ),
    ),
    Scenario(
        "a window over rows of others",
        (RANKED,),
        _SUPPLIED,
        (
            ("INSERT INTO product VALUES (3, 'three', 5, 'a', 0)",),
            ("UPDATE product SET price = 0 WHERE id = 2",),
        ),
    ),
    Scenario(
        "an extreme leaves while another comes",
        _shapes("top_review"),
        _REVIEWED,
        (("DELETE FROM review WHERE id = 1",), ("INSERT INTO review VALUES (3, 1, 1, 4)",)),
    ),
    Scenario(
        "the last goes while the first comes",
        _shapes("anti_join", "exists"),
        _REVIEWED,
        (
            ("DELETE FROM review WHERE product_id = 2",),
            ("INSERT INTO review VALUES (3, 2, 1, 4)",),
        ),
    ),
    Scenario(
        "the last of a group goes while another comes",
        _shapes("by_parent", "distinct_names", "groups_of_two"),
        _REVIEWED,
        (
            ("DELETE FROM product WHERE supplier_id = 6",),
            ("INSERT INTO product VALUES (4, 'four', 6, 'c', 3)",),
        ),
    ),
    Scenario(
        "one row of everything",
        _shapes("one_row", "no_route"),
        _SUPPLIED,
        ((_NEW_PRODUCT,), ("INSERT INTO author VALUES (3, 'cid', 1)",)),
    ),
    Scenario(
        "a join by inequality",
        _shapes("inequality"),
        _SUPPLIED,
        (
            ("INSERT INTO supplier VALUES (1, 'one', 1)",),
            ("INSERT INTO product VALUES (3, 'three', 5, 'a', 6)",),
        ),
    ),
    Scenario(
        "what a fold reads changes while it adds",
        _shapes("priced_reviews"),
        _REVIEWED,
        (
            ("UPDATE product SET price = price + 10 WHERE id = 1",),
            ("INSERT INTO review VALUES (3, 1, 1, 4)",),
        ),
    ),
    Scenario(
        "what a fold reads goes while rows move to it",
        _shapes("priced_reviews"),
        _REVIEWED,
        (
            ("DELETE FROM product WHERE id = 1",),
            ("UPDATE review SET product_id = 3 - product_id",),
        ),
    ),
    Scenario(
        "a nullable side of the key",
        _shapes("coalesced_key"),
        "INSERT INTO product VALUES (1, 'one', 5, 'a', 1)",
        (
            ("INSERT INTO supplier VALUES (5, 'five', 1)",),
            ("INSERT INTO product VALUES (2, 'two', 5, 'a', 1)",),
        ),
    ),
    Scenario(
        "a helper view between them",
        _shapes("helper_view"),
        _REVIEWED,
        (
            ("UPDATE product SET supplier_id = 6 WHERE id = 1",),
            ("INSERT INTO review VALUES (3, 1, 1, 4)",),
        ),
    ),
    Scenario(
        "a tview over a tview",
        _shapes("parents", "over_a_tview"),
        _SUPPLIED,
        (
            ("UPDATE country SET name = 'fr' WHERE id = 1",),
            ("UPDATE product SET supplier_id = 6 WHERE id = 1",),
        ),
    ),
    Scenario(
        "a key changes while rows come under the old and the new",
        _shapes("counts"),
        _REVIEWED,
        (
            ("UPDATE product SET id = 4 WHERE id = 1",),
            ("INSERT INTO review VALUES (3, 1, 1, 4), (4, 4, 1, 4)",),
        ),
    ),
    Scenario(
        "keys that have no hash",
        (BITS,),
        _SUPPLIED,
        ((_NEW_PRODUCT,), ("UPDATE product SET price = 3 WHERE id = 2",)),
    ),
    Scenario(
        "columns whose types hash differently",
        (DATED,),
        _SUPPLIED,
        (
            ("INSERT INTO event VALUES (1, '2024-01-01 00:00')",),
            ("INSERT INTO product VALUES (3, 'three', 5, 'a', 3, '2024-01-01')",),
        ),
        tables=(
            "ALTER TABLE product ADD day date",
            "CREATE TABLE event (id integer PRIMARY KEY, at timestamp)",
        ),
    ),
    Scenario(
        "more locks than there may be",
        _shapes("parents"),
        _SUPPLIED + "INSERT INTO product SELECT n, 'p', 5, 'a', 1 FROM generate_series(10, 400) n",
        (
            ("UPDATE product SET name = 'new' WHERE id >= 10",),
            ("UPDATE supplier SET name = 'new' WHERE id = 5",),
        ),
    ),
    Scenario(
        "two statements each in opposite order",
        _shapes("counts"),
        _REVIEWED,
        (
            ("INSERT INTO review VALUES (3, 1, 1, 4)", "INSERT INTO review VALUES (4, 2, 1, 4)"),
            ("INSERT INTO review VALUES (5, 2, 1, 4)", "INSERT INTO review VALUES (6, 1, 1, 4)"),
        ),
    ),
    Scenario(
        "a first snapshot, then a write",
        _shapes("counts"),
        _REVIEWED,
        (
            ("SELECT count(*) FROM review", "INSERT INTO review VALUES (3, 1, 1, 4)"),
            ("SELECT count(*) FROM review", "INSERT INTO review VALUES (4, 1, 1, 4)"),
        ),
    ),
    Scenario(
        "a savepoint that is rolled back",
        _shapes("grandchildren"),
        _REVIEWED,
        (
            (
                "SAVEPOINT before; INSERT INTO review VALUES (3, 1, 1, 4);"
                " ROLLBACK TO SAVEPOINT before",
                "INSERT INTO note VALUES (3, 2, 'z')",
            ),
            ("UPDATE review SET product_id = 3 - product_id",),
        ),
    ),
    Scenario(
        "truncate beside a writer",
        _shapes("counts"),
        _REVIEWED,
        (("TRUNCATE review",), ("UPDATE product SET name = 'new' WHERE id = 1",)),
    ),
    Scenario(
        "truncate beside a writer of the same table",
        _shapes("grandchildren"),
        _REVIEWED,
        (("TRUNCATE review, note",), ("INSERT INTO review VALUES (3, 1, 1, 4)",)),
    ),
    Scenario(
        "refresh of a key beside a writer",
        _shapes("branches"),
        _REVIEWED,
        (
            ("INSERT INTO django_tviews_refresh (tview, keys) VALUES ('branches', '[[1]]')",),
            ("UPDATE supplier SET name = 'new' WHERE id = 5",),
        ),
    ),
    Scenario(
        "refresh of all beside a writer",
        _shapes("branches"),
        _REVIEWED,
        (
            ("INSERT INTO django_tviews_refresh (tview) VALUES ('branches')",),
            ("INSERT INTO review VALUES (3, 1, 1, 4)",),
        ),
        # It writes nothing else.
        drifted="UPDATE branches SET reviews = NULL WHERE id = 1",
    ),
    Scenario(
        "partitions of one source",
        (PARTITIONED,),
        _SUPPLIED + "INSERT INTO visit VALUES (1, 1), (11, 1)",
        (
            ("UPDATE visit SET id = 12 WHERE id = 1",),
            ("INSERT INTO visit_high VALUES (13, 1)",),
        ),
        tables=(
            "CREATE TABLE visit (id integer PRIMARY KEY, product_id integer) PARTITION BY RANGE (id)",
            "CREATE TABLE visit_low PARTITION OF visit FOR VALUES FROM (0) TO (10)",
            "CREATE TABLE visit_high PARTITION OF visit FOR VALUES FROM (10) TO (20)",
        ),
    ),
)

# The deadlocks of single statements that docs/internals/concurrency.md names, and why they remain.
NAMED_DEADLOCKS = (
    Scenario(
        "two truncates of one query",
        _shapes("counts"),
        _REVIEWED,
        (("TRUNCATE review",), ("TRUNCATE product",)),
        levels=((COMMITTED, COMMITTED),),
        modes=("deferred",),
        deadlocks=True,
    ),
    Scenario(
        "truncate beside a writer that has yet to read",
        _shapes("counts"),
        _REVIEWED,
        (("TRUNCATE review",), (_NEW_PRODUCT,)),
        levels=((COMMITTED, COMMITTED),),
        modes=("deferred",),
        deadlocks=True,
    ),
    Scenario(
        "an immediate tview over a deferred one",
        (SUPPLIES, SUPPLIES_NAMED),
        _SUPPLIED,
        (("UPDATE supplier SET name = 'new' WHERE id = 5",), (_NEW_PRODUCT,)),
        levels=((COMMITTED, COMMITTED),),
        modes=("immediate",),
        deadlocks=True,
    ),
)

SCENARIOS = COUNTER_EXAMPLES + MORE + NAMED_DEADLOCKS


@dataclass(frozen=True)
class Pair:
    """Two statements, and whether one waits for the other until it has committed.

    Attributes:
        shape: the form of the plan, in words.
        shapes: the TViews.
        statements: the two.
        waits: whether the second waits.
    """

    shape: str
    shapes: tuple[Shape, ...]
    statements: tuple[str, str]
    waits: bool

    @property
    def scenario(self) -> Scenario:
        """The two beside each other."""
        first, second = self.statements
        rows = _REVIEWED + "INSERT INTO note VALUES (9, 9, 'w')"
        return Scenario(self.shape, self.shapes, rows, ((first,), (second,)))


def _review(number: int, product: int) -> str:
    return f"INSERT INTO review VALUES ({number}, {product}, NULL, 4)"


def _product(number: int, supplier: int, category: str = "c") -> str:
    return f"INSERT INTO product VALUES ({number}, 'new', {supplier}, '{category}', 3)"


def _rename(table: str, number: int) -> str:
    return f"UPDATE {table} SET name = 'new' WHERE id = {number}"


def _pairs(
    shares: bool, *found: tuple[str, tuple[str, ...] | tuple[Shape, ...], str, str]
) -> tuple[Pair, ...]:
    return tuple(
        Pair(
            shape,
            tuple(each if isinstance(each, Shape) else _BY_NAME[each] for each in shapes),
            (first, second),
            not shares,
        )
        for shape, shapes, first, second in found
    )


SHARING = _pairs(
    True,
    ("children of different parents", ("counts",), _review(3, 1), _review(4, 2)),
    ("different rows of the root", ("counts",), _rename("product", 1), _rename("product", 2)),
    ("rows of the root under one parent", ("parents",), _product(3, 5), _product(4, 5)),
    ("different parents", ("parents",), _rename("supplier", 5), _rename("supplier", 6)),
    ("a parent and a row under another", ("parents",), _rename("supplier", 5), _product(3, 6)),
    (
        "grandchildren under different roots",
        ("grandchildren",),
        "INSERT INTO note VALUES (3, 1, 'z')",
        "INSERT INTO note VALUES (4, 2, 'z')",
    ),
    ("different groups", ("by_parent",), _product(3, 5), _product(4, 6)),
    ("different partitions of a window", (RANKED,), _product(3, 5, "c"), _product(4, 5, "d")),
    ("different categories of a self join", ("self_join",), _product(3, 5), _product(4, 5, "d")),
    (
        "different sides of a set operation",
        (UNION,),
        _product(3, 5),
        "INSERT INTO author VALUES (4, 'a')",
    ),
    (
        "different keys of a tview over a tview",
        ("parents", "over_a_tview"),
        _product(3, 5),
        _product(4, 6),
    ),
    ("a column that no query reads", ("by_parent",), _rename("product", 1), _rename("product", 2)),
    (
        "refresh of a key and a writer of another",
        ("counts",),
        "INSERT INTO django_tviews_refresh (tview, keys) VALUES ('counts', '[[1]]')",
        _review(3, 2),
    ),
)
EXCLUDING = _pairs(
    False,
    ("children of one parent", ("counts",), _review(3, 1), _review(4, 1)),
    ("a parent and a row under it", ("parents",), _rename("supplier", 5), _product(3, 5)),
    ("rows of one group", ("by_parent",), _product(3, 5), _product(4, 5)),
    ("rows of one category of a self join", ("self_join",), _product(3, 5), _product(4, 5)),
    ("rows of one partition of a window", (RANKED,), _product(3, 5), _product(4, 5)),
    ("all rows of a table that is counted", ("one_row",), _product(3, 5), _product(4, 6)),
    (
        "a join by inequality",
        ("inequality",),
        "INSERT INTO supplier VALUES (8, 'eight', 1)",
        _product(3, 5),
    ),
    (
        "a source without a route",
        ("no_route",),
        "INSERT INTO author VALUES (4, 'a')",
        _product(3, 5),
    ),
    (
        "refresh of all and a writer",
        ("counts",),
        "INSERT INTO django_tviews_refresh (tview) VALUES ('counts')",
        _review(3, 2),
    ),
    (
        "refresh of all groups and a writer",
        ("by_parent",),
        "INSERT INTO django_tviews_refresh (tview) VALUES ('by_parent')",
        _product(3, 5),
    ),
    (
        "a truncated source and a writer of another",
        ("counts",),
        "TRUNCATE review",
        _rename("product", 1),
    ),
)
