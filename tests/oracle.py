"""The oracle: a TView's table equals its query.

It knows nothing of plans, keys, routes or the backing view, and uses no SQL of the package: it
evaluates the text of the query where the TView was declared, lets PostgreSQL assign the result to
columns like those of the table, and compares the two as multisets of row images. To the text it
adds what hidden columns of the table hold, by their names.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django.db import transaction

from django_tviews.definition import Column
from django_tviews.relational.hidden import HiddenTotal, with_hidden
from django_tviews.relational.tree import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.backends.base.base import BaseDatabaseWrapper

    from django_tviews.definition import Declaration

# What the content of a TView may depend on besides rows. The search path is that of the session:
# names in the query mean what they meant to whoever wrote it.
MAINTENANCE_ENVIRONMENT = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "array_nulls": "on",
    "xmloption": "content",
    "timezone_abbreviations": "Default",
    "quote_all_identifiers": "off",
    "gin_fuzzy_search_limit": "0",
    "row_security": "off",
}


def quoted(name: str) -> str:
    """Write a name as SQL, whatever is in it. Django's own quote_name leaves a quote in it alone."""
    return '"' + name.replace('"', '""') + '"'


def with_hidden_columns(connection: BaseDatabaseWrapper, declaration: Declaration) -> Declaration:
    """Return what a TView says as if it showed its hidden columns.

    Args:
        connection: Django's connection, with the search path under which the query was written.
        declaration: what the TView says.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND starts_with(attname, %s)",
            [quoted(declaration.table), HIDDEN],
        )
        hidden = dict(cursor.fetchall())
    if not hidden:
        return declaration
    totals = [HiddenTotal("count")]
    for column in declaration.columns:
        totals += [HiddenTotal(function, column.output) for function in ("count", "sum")]
    return replace(
        declaration,
        query=with_hidden(declaration.query, [each for each in totals if each.name in hidden]),
        columns=(
            *declaration.columns,
            *(Column(name, type_sql, True, name) for name, type_sql in hidden.items()),
        ),
    )


def assert_equals_query(
    connection: BaseDatabaseWrapper,
    declaration: Declaration,
    *,
    step: str = "",
    by_value: Iterable[str] = (),
) -> None:
    """Fail unless the table of a TView equals its query.

    Query and table are read by one statement, so in one snapshot.

    Args:
        connection: Django's connection, with the search path under which the query was written.
        declaration: what the TView says.
        step: what has just happened, for the message.
        by_value: columns that may show any of several equal values, because they are grouped by
            (``GROUP BY`` shows 1.0 or 1.00, as it pleases); they are compared by ``=`` only.
    """
    table = quoted(declaration.table)
    declaration = with_hidden_columns(connection, declaration)
    columns = [quoted(column.name) for column in declaration.columns]
    outputs = ", ".join(f"query.{quoted(column.output)}" for column in declaration.columns)
    # A text in the collation "C" is an image: equal values with different looks stay apart.
    image = ", ".join(
        f"dense_rank() OVER (ORDER BY {quoted(column.name)})::text"
        if column.name in by_value
        else f'{quoted(column.name)}::text COLLATE "C"'
        for column in declaration.columns
    )
    names = ", ".join(columns)
    statement = f"""
        WITH assigned AS (
            INSERT INTO pg_temp.tviews_oracle ({names})
            SELECT {outputs} FROM ({declaration.query}) AS query
            RETURNING {names}
        ),
        both_sides AS (
            SELECT 0 AS in_table, 1 AS in_query, {names} FROM assigned
            UNION ALL
            SELECT 1, 0, {names} FROM {table}
        ),
        images AS (
            SELECT in_table, in_query, ARRAY[{image}]::text[] AS image FROM both_sides
        )
        SELECT sum(in_table), sum(in_query), image
        FROM images
        GROUP BY image
        HAVING sum(in_table) <> sum(in_query)
        ORDER BY image
    """
    settings = ", ".join(
        f"set_config('{name}', '{value}', true)" for name, value in MAINTENANCE_ENVIRONMENT.items()
    )
    # LIKE takes types and collations along and, without INCLUDING, no constraint but NOT NULL.
    create = f"CREATE TEMPORARY TABLE tviews_oracle (LIKE {table})"
    with transaction.atomic(connection.alias), connection.cursor() as cursor:
        # No parameters, so that a percent sign in the query is one.
        cursor.execute(f"SELECT {settings}; {create}; {statement}", None)
        while cursor.nextset():
            pass
        differences = cursor.fetchall()
        transaction.set_rollback(True, connection.alias)
    if differences:
        lines = [
            f"    {in_table} in the table, {in_query} in the query: {tuple(image)}"
            for in_table, in_query, image in differences[:10]
        ]
        if len(differences) > len(lines):
            lines.append(f"    ... and {len(differences) - len(lines)} more")
        listed = "\n".join(lines)
        raise AssertionError(
            f"{declaration.label} differs from its query{f' after: {step}' if step else ''}\n"
            f"{listed}\nquery: {declaration.query}"
        )


def difference(declaration: Declaration) -> str:
    """Return a query for the rows by which a TView differs from its query, read in one snapshot.

    It compares values, not images, and creates nothing: for many questions beside writers.

    Args:
        declaration: what the TView says.
    """
    names = column_names(declaration)
    query = f"SELECT {names} FROM ({declaration.query}) AS query"
    table = f"SELECT {names} FROM {declaration.table}"
    return f"({query} EXCEPT ALL {table}) UNION ALL ({table} EXCEPT ALL {query})"


def column_names(declaration: Declaration) -> str:
    """Return the names of a TView's columns, with commas."""
    return ", ".join(quoted(column.name) for column in declaration.columns)
