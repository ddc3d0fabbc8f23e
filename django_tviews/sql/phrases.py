"""What the functions of one TView are written with: names, conditions, and what several hold."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from django_tviews.text import indented

from .comparison import would_change
from .names import query_relation, quoted_function
from .one_row import ONE_ROW
from .quoting import equals, identifier, literal, qualified, regclass, typed
from .routes import affected_keys
from .shared import runtime_values
from .templates import render

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from django_tviews.facts import RelationFacts
    from django_tviews.plan.plan import Plan

# The number of a row among those that the query gives for its key, NULL if it gives none. No output
# can be expected to have these names.
_FOUND = identifier("found?")
_PRESENT = identifier("present?")

# To plan a statement anew for every key costs more than to carry it out.
PLANNING = (("plan_cache_mode", "force_generic_plan"),)


class Phrases:
    """What the functions of one TView are written with.

    Attributes:
        plan: of the TView.
        key: the columns of its key.
        variables: the arrays that functions keep affected keys in, one for each column.
        values: of the placeholders that templates share.
        announced: what a row is put into the spool with, so that it is maintained when it is time.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.key = [identifier(column.name) for column in plan.key]
        # Columns win over variables of the same name; no column can be expected to have these.
        self.variables = [identifier(f"key_{place}?") for place in range(1, len(plan.key) + 1)]
        columns = [identifier(column.name) for column in plan.columns]
        self.values: dict[str, str | int] = {
            **runtime_values(plan.runtime_schema),
            "table": qualified(plan.schema, plan.table),
            "tview": regclass(plan.schema, plan.table),
            "query": query_relation(plan),
            "environment": environment_clauses(plan),
            "bulk_threshold": plan.bulk_threshold,
            "columns": ", ".join(columns),
            "outputs": ", ".join(
                f"query.{identifier(column.output)} AS {identifier(column.name)}"
                for column in plan.columns
            ),
            "no_columns": ", ".join("NULL" for _ in columns),
            "assignments": ", ".join(f"{name} = evaluated.{name}" for name in columns),
            "evaluated_columns": ", ".join(f"evaluated.{name}" for name in columns),
            "key_columns": ", ".join(self.key),
            "key_parameters": ", ".join(
                f"{variable} {column.type}[]"
                for variable, column in zip(self.variables, plan.key, strict=True)
            ),
            "key_declarations": "\n".join(
                f"{variable} {column.type}[];"
                for variable, column in zip(self.variables, plan.key, strict=True)
            ),
            "key_variables": ", ".join(self.variables),
            "first_key_variable": self.variables[0],
            "number_of_keys": f"cardinality({self.variables[0]})",
            "key_positions": ", ".join(f"${place}" for place in range(1, len(self.variables) + 1)),
            "affected_columns": ", ".join(self.key_of("affected")),
            "typed_key_of_fresh": ", ".join(
                f"CAST(fresh.{identifier(column.name)} AS {column.type})" for column in plan.key
            ),
            "found": _FOUND,
            "present": _PRESENT,
            "affected_matches_query": self.match("affected", "query"),
            "affected_matches_fresh": self.match("affected", "fresh"),
            "evaluated_matches_tview": self.match("evaluated", "tview"),
            "one_key_matches_query": self.match_one("query", self.key_of("query")),
            "one_key_matches_tview": self.match_one("tview", self.key_of("tview")),
            "fresh_matches_tview": self.match("fresh", "tview"),
            "recompute": quoted_function(plan, "recompute"),
            "rebuild": quoted_function(plan, "rebuild"),
            "drain": quoted_function(plan, "drain"),
            "truncated": quoted_function(plan, "truncated"),
            "schema_literal": literal(plan.schema),
            "table_literal": literal(plan.table),
        }
        self.values["few_keys"] = self.render("few_keys")
        self.values["number_of_key"] = self.render("number_of_key")
        self.values["write"] = self.render(
            "write",
            refuse_repeated=self.refuse_repeated("evaluated"),
            differs=would_change(plan.columns, "evaluated"),
        )
        # As the setting lists it.
        ticket = f"' ' || CAST(CAST({self.values['tview']} AS oid) AS text) || ' '"
        self.announced = (
            self.render("deferred", ticket=ticket) if plan.deferred else self.render("spooled")
        )

    def render(self, template: str, **values: str | int) -> str:
        """Return a template with every ``@{placeholder}`` replaced.

        Args:
            template: its name.
            values: of the placeholders that are not shared, or have another value here.
        """
        return render(template, **{**self.values, **values})

    def key_of(self, relation: str) -> list[str]:
        """Name the key in a relation of the templates."""
        if relation == "query":
            return [identifier(column.output) for column in self.plan.key]
        if relation in ("affected", "evaluated", "change", "folded"):
            # Beside the key that the query gives, which may look different and be equal.
            places = range(1, len(self.key) + 1)
            return [identifier(f"affected_{place}?") for place in places]
        return self.key

    def match(self, left: str, right: str) -> str:
        """Equate the key of two relations."""
        return " AND ".join(
            f"{right}.{of_right} {equals(column.equality)} {left}.{of_left}"
            for column, of_left, of_right in zip(
                self.plan.key, self.key_of(left), self.key_of(right), strict=True
            )
        )

    def match_one(self, relation: str, columns: Sequence[str]) -> str:
        """Equate columns, in the order of the key, with the first key in the variables."""
        return " AND ".join(
            f"{relation}.{name} {equals(column.equality)} {variable}[1]"
            for column, name, variable in zip(self.plan.key, columns, self.variables, strict=True)
        )

    def types(self) -> str:
        """Write the types that those of everything the query computes follow from."""
        shown = ((column.output, column.computed) for column in self.plan.columns)
        read = (column for source in self.plan.sources for column in source.columns)
        return typed(chain(shown, read))

    def refuse_repeated(self, relation: str) -> str:
        """Call what refuses a key that the query gives twice."""
        key = ", ".join(f"{relation}.{name}" for name in self.key)
        return (
            f"{self.values['runtime']}.django_tviews_repeated("
            f"{self.values['tview']}, {literal(', '.join(self.key))}, concat_ws(', ', {key}))"
        )

    def one_or_more(self, of_one: str, of_more: str, one: str = ONE_ROW) -> str:
        """Do something else where there is only one, unless that is many."""
        if self.plan.bulk_threshold < 1:
            return of_more
        return render("one_or_more", one=one, of_one=of_one, of_more=of_more)

    def routes(
        self,
        ctes: list[str],
        deltas: Mapping[int, str],
        states: Mapping[RelationFacts, str],
        extra: tuple[str, ...] = (),
        *,
        ordered: bool = True,
    ) -> dict[str, str]:
        """A query for keys and locks, once into the variables and once for EXECUTE.

        The arguments are those of `affected_keys`.
        """
        variables = (*self.variables, "wanted")
        return {
            "routes_into": affected_keys(
                self.plan, ctes, deltas, states, extra, variables, ordered=ordered
            ),
            "routes": affected_keys(self.plan, ctes, deltas, states, extra, ordered=ordered),
        }

    def bulk_routes(self, routes: str) -> str:
        """Ask for the keys of many rows by a query that is planned for their number."""
        return self.render("bulk_routes", routes=routes)

    def look_once(self, find: str, wanted: str = "wanted") -> str:
        """Lock keys that cannot become others while that is waited for."""
        return self.render("look_once", find=find, wanted=wanted)

    def spooled(self, source: int, removed: str, image: str, announced: str) -> str:
        """Write what the spool holds of a change."""
        return f"{self.values['tview']}, {source}, {removed}, {image},\n{indented(announced)}"

    def everything(self) -> str:
        """Write what the spool holds when everything is to be compared."""
        return f"SELECT {self.spooled(0, 'false', 'NULL', self.announced)}"


def environment_clauses(plan: Plan) -> str:
    """Return the environment of a TView's maintenance as SET clauses of a function."""
    clauses = []
    for name, value in (*plan.environment, *PLANNING):
        text = value if name in ("search_path", "DateStyle") else literal(value)
        clauses.append(f"SET {name} = {text}")
    return "\n".join(clauses)


def lock_declarations(looks_rows_up: bool) -> Iterator[str]:
    """Yield the declarations of the variables with which keys are locked."""
    if looks_rows_up:
        yield "held integer[] := '{}';"
    yield "wanted integer[];"
    yield "-- To assign what a function returns costs a tenth of what PERFORM does."
    yield "ignored text;"


def with_table(name: str, query: str, hint: str = "") -> str:
    """Return a table for WITH.

    Args:
        name: what it is called.
        query: what it holds.
        hint: ``MATERIALIZED``, ``NOT MATERIALIZED``, with a space after it, or nothing.
    """
    return f"{name} AS {hint}(\n{indented(query)}\n)"
