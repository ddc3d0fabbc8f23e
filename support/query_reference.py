"""Write ``docs/reference/queries.md`` from the tables of what is kept and what is refused.

``python -m support.query_reference`` asks a private server for the routes and writes the page.
"""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import django
from django.conf import settings
from django.db import connection as default_connection

from django_tviews import installer, planning
from django_tviews.definition import Column, Declaration
from django_tviews.plan.routes import NoRoute
from django_tviews.relational import functions
from django_tviews.relational.canonical import canonical_sql
from django_tviews.relational.constructs import CONSTRUCTS
from django_tviews.sql.quoting import identifier
from django_tviews.sql.routes import describe
from support.database import database_settings
from support.kept_forms import KEPT, SCHEMA, KeptForm, kept_forms
from support.postgres import PrivateServer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from django.db.backends.base.base import BaseDatabaseWrapper

# The functions behind the operators between times with and without time zone.
_COMPARISON = re.compile("_(eq|ne|lt|le|gt|ge|cmp)_")

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "queries.md"

_HEAD = f"""\
# Supported queries

<!-- Written by `python -m support.query_reference`; tests try every example. -->

A TView is kept exactly, or its query is refused by name when the migration is made or applied.
This page has every form that is kept, with an example and its *routes*: the ways from a changed
row to the keys it affects ([how it works](../explanation/how_it_works.md#from-the-tree-to-routes)).
Then it has [every construct that is refused](#refused), with what to write instead. What is on
neither list is refused, too, as [syntax that this version does not know](#unknown-syntax).

The queries are given as SQL. A QuerySet is compiled to SQL first, so the same holds for it. The
examples read these tables:

```sql
{SCHEMA.strip()}
```
"""

_RULES = """\
## Rules for all of them

**Output columns.** Each has a name, no name is there twice, and each feeds one field.

**The key.** The output columns that feed the primary key identify a row in every state of the
tables. If a key comes twice after all, the statement that led to it fails with
[KeyNotUnique](errors.md#key-not-unique). A constant is a key, too: that of a TView with one row.

**NOT NULL.** A field that is not `null=True` must be NOT NULL by the structure of the query: a
NOT NULL column of a relation that no outer join may miss; a column that a conjunct of WHERE
demands (`IS NOT NULL`, `=`, `<`, …); a constant; COALESCE with such a value; `count`, and, over
groups, other aggregates of such values; operators and functions that give NULL only for NULL;
CASE with ELSE. Foreign keys prove nothing, since a deferred one may be unfulfilled for a while.

**Functions, operators and casts** must give the same result for the same arguments for ever.
Those that are IMMUTABLE do by their own word. Of PostgreSQL's own STABLE ones those are kept that
depend on nothing but settings which maintenance
[pins](../explanation/how_it_works.md#what-equal-means). They are the comparisons of times with and
without time zone, and

{stable}.

These read the clock or a setting unless they get one more argument:

{arguments}.

**Order.** Rows of a table have no order, so an ORDER BY of the whole query is without effect. One
that decides a result, in an aggregate, in ARRAY(SELECT …) or before LIMIT, must leave no two rows
tied. The aggregates concerned are those that are not PostgreSQL's own, and

{sensitive}.

**Looks.** Equal values of some types look different: the numerics 1.0 and 1.00, the floats 0 and
-0, the intervals 1 day and 24 hours, the citexts Foo and foo. Where GROUP BY, DISTINCT or a set
operation puts such values together, any of them may be shown, as in PostgreSQL; it can be shown,
stored and compared, but [nothing may look closer](#open-look). What is computed counts as one of
them unless its type is known from the text of the query: a cast tells it, as do the operators and
functions of PostgreSQL for text, whole numbers and times.

**Sources** are ordinary tables, in any schema, whether Django manages them or not; plain views
over them; and other TViews. A source without a primary key is fine.
"""

_NO_ROUTE = """\
<a id="no-route"></a>
### A source without a route

`no-route`

A change of the source may affect every row, because no condition leads from it to what the key is
made of.

```sql
SELECT p.id, p.price * 100 / (SELECT sum(price) FROM product) AS share FROM product p
```

**Instead:** Tie it to the key by a join condition, or accept that every such change compares the
whole TView with its query: `allow_rebuild = True` in the inner class `Maintenance`. See [by
rebuilding](#by-rebuilding).
"""


def declare(connection: BaseDatabaseWrapper, form: KeptForm, number: int) -> Declaration:
    """Return the declaration of an example, with columns of the types that the server finds.

    Args:
        connection: to a database with the tables of `SCHEMA`.
        form: the form.
        number: of the form, to name its table by.
    """
    table = form.table or f"kept_{number}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY VIEW described AS {form.sql}")
        cursor.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = 'described'::regclass ORDER BY attnum"
        )
        types = dict(cursor.fetchall())
        cursor.execute("DROP VIEW described")
    return Declaration(
        label=f"docs.{table}",
        table=table,
        query=canonical_sql(form.query),
        columns=tuple(
            Column(name, type_, nullable=name not in form.key, output=name)
            for name, type_ in types.items()
        ),
        key=form.key,
        allow_rebuild=form.allow_rebuild,
    )


def install(connection: BaseDatabaseWrapper, declaration: Declaration) -> None:
    """Install an example.

    Args:
        connection: to a database with the tables of `SCHEMA`, and the runtime of django_tviews.
        declaration: of the example.
    """
    columns = [
        f"{identifier(column.name)} {column.type}{'' if column.nullable else ' NOT NULL'}"
        for column in declaration.columns
    ]
    columns.append(f"PRIMARY KEY ({', '.join(map(identifier, declaration.key))})")
    table = f"CREATE TABLE {identifier(declaration.table)} ({', '.join(columns)})"
    with connection.schema_editor() as editor:
        installer.create(editor, declaration, lambda: editor.execute(table))


def routes(connection: BaseDatabaseWrapper, declaration: Declaration, schema: str) -> list[str]:
    """Return the routes of an installed example, in words.

    Args:
        connection: to the database where it is installed.
        declaration: of the example.
        schema: where it is installed.
    """
    plan = planning.plan_of(connection, declaration, schema)
    return [
        f"{source.relation.name} → every key" if isinstance(route, NoRoute) else describe(route)
        for source in plan.sources
        for route in source.routes
    ]


def page(routes_of: Mapping[str, Iterable[str]]) -> str:
    """Return the text of the page.

    Args:
        routes_of: the routes of each kept form, by its title.
    """
    parts = [_HEAD, "## Kept\n"]
    for section, forms in KEPT.items():
        parts.append(f"### {section}\n")
        parts += [_kept(form, routes_of[form.title]) for form in forms]
    parts.append(_RULES.format(**_listed_functions()))
    parts.append(
        '## Refused\n\nThe name below each title is what the error has in `context["construct"]`.\n'
    )
    parts.append(_NO_ROUTE)
    parts += _refused()
    return "\n".join(parts)


def _kept(form: KeptForm, found: Iterable[str]) -> str:
    lines = [f"#### {form.title}\n", _code(form.sql)]
    if form.remark:
        lines.append(f"{form.remark}\n")
    key = ", ".join(f"`{name}`" for name in form.key)
    shown = ", ".join(f"`{route}`" for route in found)
    rebuilt = " With `allow_rebuild = True`." if form.allow_rebuild else ""
    lines.append(f"Key: {key}. Routes: {shown}.{rebuilt}\n")
    return "\n".join(lines)


def _refused() -> Iterator[str]:
    for construct in CONSTRUCTS.values():
        title = construct.title[:1].upper() + construct.title[1:]
        yield "\n".join(
            [
                f'<a id="{construct.slug}"></a>',
                f"### {title}\n",
                f"`{construct.slug}`\n",
                _code(construct.example),
                f"**Instead:** {construct.advice}\n",
            ]
        )


def _code(query: str) -> str:
    return f"```sql\n{query}\n```\n"


def _listed_functions() -> dict[str, str]:
    def listed(names: Iterable[str]) -> str:
        return fill(", ".join(f"`{name}`" for name in sorted(names)), width=100)

    return {
        "stable": listed(
            name for name in functions.STABLE_BUT_PINNED if not _COMPARISON.search(name)
        ),
        "arguments": listed(functions.LEAST_ARGUMENTS),
        "sensitive": listed(functions.ORDER_SENSITIVE_AGGREGATES),
    }


def main() -> None:
    """Write the page."""
    with PrivateServer() as server:
        settings.configure(
            INSTALLED_APPS=["django_tviews"],
            DATABASES={"default": database_settings(server.url)},
        )
        django.setup()
        with default_connection.schema_editor() as editor:
            installer.install_runtime(editor)
        with default_connection.cursor() as cursor:
            cursor.execute(SCHEMA)
        routes_of = {}
        for number, form in enumerate(kept_forms(), start=1):
            declaration = declare(default_connection, form, number)
            install(default_connection, declaration)
            routes_of[form.title] = routes(default_connection, declaration, "public")
        default_connection.close()
    PAGE.write_text(page(routes_of))
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
