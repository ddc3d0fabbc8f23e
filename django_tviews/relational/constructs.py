"""The constructs of SELECT that are refused, or kept only by rebuilding: one table.

Refusals, the page ``docs/reference/queries.md`` and the tests all read it. A construct that is
not listed here and that the builder does not know is refused as ``unknown-syntax``: nothing is
accepted by falling through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from django_tviews.errors import UnsupportedQuery
from django_tviews.facts import Volatility

from .functions import TIME_DEPENDENT


@dataclass(frozen=True)
class Construct:
    """A construct that cannot be kept.

    Attributes:
        slug: its stable name, an anchor in the documentation.
        title: what it is called in messages, as the start of a sentence goes on.
        advice: what to write instead.
        example: the shortest query that contains it, over the relations of the documentation
            (``product``, ``category``, ``review``).
    """

    slug: str
    title: str
    advice: str
    example: str


CONSTRUCTS = {
    construct.slug: construct
    for construct in (
        Construct(
            "time-dependent",
            "a function whose result depends on time or the session",
            "Store the moment in a column, or filter by time when you read the TView.",
            "SELECT id, now() - created_at AS age FROM product",
        ),
        Construct(
            "volatile-function",
            "a volatile function",
            "Use functions that PostgreSQL knows to be IMMUTABLE.",
            "SELECT id, random() AS lottery FROM product",
        ),
        Construct(
            "unpinned-function",
            "a STABLE function that may read tables or settings",
            "Use an IMMUTABLE function, or declare this one IMMUTABLE if that is true of it.",
            "SELECT id, pg_catalog.obj_description(id::oid) AS note FROM product",
        ),
        Construct(
            "text-to-time",
            "a cast from text to a date or time, for which 'now' and 'today' are values, too",
            "Use to_date() or to_timestamp() with a format, or keep the column as a date.",
            "SELECT id, (data ->> 'day')::date AS day FROM product",
        ),
        Construct(
            "float-aggregate",
            "an aggregate that adds up floats, whose result depends on the order of the rows",
            "Cast the values to numeric: sum(weight::numeric).",
            "SELECT category_id, sum(weight) AS weight FROM product GROUP BY category_id",
        ),
        Construct(
            "default-argument",
            "a function that reads the clock or a session setting unless given one more argument",
            "Pass the argument: age(a, b), to_tsvector('english', text).",
            "SELECT id, age(created_at) AS age FROM product",
        ),
        Construct(
            "set-returning-function",
            "a set-returning function where one value is wanted",
            "Call it in FROM, or as an item of the select list of its own.",
            "SELECT id, unnest(regexp_matches(name, '(.)(.)', 'g')) AS pair FROM product",
        ),
        Construct(
            "rows-in-select-list",
            "a function that gives rows of several columns, in the select list",
            "Call it in FROM: CROSS JOIN LATERAL jsonb_each(data) AS entry, and name entry.key.",
            "SELECT id, (jsonb_each(data)).key AS part FROM product",
        ),
        Construct(
            "modifying-cte",
            "a data-modifying WITH",
            "A TView only reads: move the INSERT, UPDATE or DELETE out of the query.",
            "WITH gone AS (DELETE FROM review RETURNING id) SELECT id FROM gone",
        ),
        Construct(
            "row-locking",
            "FOR UPDATE or FOR SHARE",
            "Leave it out: maintenance takes the locks it needs.",
            "SELECT id FROM product FOR UPDATE",
        ),
        Construct(
            "select-into",
            "SELECT INTO",
            "Leave it out: the TView is the table.",
            "SELECT id INTO copied FROM product",
        ),
        Construct(
            "tablesample",
            "TABLESAMPLE",
            "A sample differs at every evaluation; filter by a column instead.",
            "SELECT id FROM product TABLESAMPLE SYSTEM (10)",
        ),
        Construct(
            "grouping-sets",
            "GROUPING SETS, CUBE or ROLLUP beside a function that gives rows in the select list",
            "Group in a subquery, and call the function outside of it.",
            "SELECT category_id, unnest(array_agg(name ORDER BY id)) AS name FROM product "
            "GROUP BY ROLLUP (category_id)",
        ),
        Construct(
            "whole-row",
            "a whole row used as a value",
            "Name the columns.",
            "SELECT p.id, to_jsonb(p) AS document FROM product p",
        ),
        Construct(
            "star",
            "* where the server has not expanded it",
            "Name the columns.",
            "SELECT * FROM product JOIN category USING (id)",
        ),
        Construct(
            "system-column",
            "a system column",
            "Use a column of your own: ctid, xmin and the like change without a trigger.",
            "SELECT id, ctid FROM product",
        ),
        Construct(
            "too-many-branches",
            "a query with too many ways from a source to a row",
            "Move some of the set operations into TViews of their own.",
            "SELECT 1 AS id FROM product p WHERE "
            + " AND ".join(["p.id IN (SELECT 1 UNION SELECT 2)"] * 7),
        ),
        Construct(
            "foreign-equality",
            "IN, NULLIF, IS DISTINCT FROM, JOIN USING, CASE x WHEN or a comparison of rows over a "
            "type whose equality is not PostgreSQL's own",
            "These cannot name their operator, or one for all columns of a row. Write comparisons "
            "of single values, with = or another operator, in its place.",
            "SELECT a.id FROM product a JOIN product b USING (code)",
        ),
        Construct(
            "open-look",
            "an expression that looks closer at one of several values that are equal though they "
            "look different",
            "Compute it before the values are put together, or cast them to a type whose equal "
            "values look the same: GROUP BY weight::numeric(10, 2).",
            "SELECT weight::text AS label, count(*) AS n FROM product GROUP BY weight",
        ),
        Construct(
            "open-order",
            "an aggregate or LIMIT whose result depends on the order of rows that its ORDER BY "
            "leaves open",
            "End the ORDER BY with the primary key of the rows.",
            "SELECT category_id, array_agg(name) AS names FROM product GROUP BY category_id",
        ),
        Construct(
            "inherited-key",
            "a column that is neither grouped nor aggregated, of a table with inheritance "
            "children, whose primary key does not hold for the rows of the children",
            "Name the column in GROUP BY, too.",
            "SELECT id, name, count(*) AS n FROM place GROUP BY id",
        ),
        Construct(
            "relation-kind",
            "a relation that can change without a trigger",
            "Read tables, partitioned or not, plain views over them, or other TViews.",
            "SELECT oid AS id, relname FROM pg_catalog.pg_class",
        ),
        Construct(
            "row-security",
            "a table whose row-level security would filter what is materialised",
            "Let the owner of the table own the TView, without FORCE ROW LEVEL SECURITY, or give "
            "the migrating role BYPASSRLS.",
            "SELECT id FROM secret",
        ),
        Construct(
            "unknown-syntax",
            "syntax that this version does not know",
            "Rewrite the query without it, and please report it.",
            "SELECT id, xmlelement(name product) AS element FROM product",
        ),
    )
}


def refuse_function(name: str, volatility: Volatility, *, position: int | None = None) -> NoReturn:
    """Refuse a function that may not be called.

    Raises:
        UnsupportedQuery: always.
    """
    if name in TIME_DEPENDENT:
        slug = "time-dependent"
    elif volatility is Volatility.VOLATILE:
        slug = "volatile-function"
    else:
        slug = "unpinned-function"
    refuse(slug, f"{name}()", position=position)


def refuse(slug: str, what: str, *, position: int | None = None) -> NoReturn:
    """Refuse a construct by name.

    Args:
        slug: a key of :data:`CONSTRUCTS`.
        what: the construct as it stands in the query: ``random()``, ``relation pg_class``.
        position: its zero-based place in the text, in characters, if known.

    Raises:
        UnsupportedQuery: always.
    """
    construct = CONSTRUCTS[slug]
    where = f", at character {position + 1}," if position is not None else ""
    raise UnsupportedQuery(
        f"The query cannot be kept: {what}{where} is {construct.title}.",
        hint=construct.advice,
        construct=construct.slug,
        position=position,
    )
