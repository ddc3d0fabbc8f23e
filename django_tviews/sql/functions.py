"""The functions that keep a TView: a plan as PL/pgSQL."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from django_tviews.facts import RelationFacts, RelationKind
from django_tviews.plan.folds import Fold
from django_tviews.plan.patches import Patch
from django_tviews.plan.roots import Root
from django_tviews.plan.routes import Route
from django_tviews.text import indented

from .comparison import would_change
from .created import Function
from .folds import fold_values, shows_extremes
from .names import function_name, query_relation, quoted_function, source_function
from .one_row import (
    DECIDED,
    DECLARATION,
    DIFFER,
    ONE_ROW,
    images_of_row,
    keys_of_row,
    new_row,
    only_route,
    read_row,
    row_delta,
)
from .patches import decided_otherwise, given_rows, patch_values, rows_that_give
from .quoting import (
    complete,
    equals,
    identifier,
    literal,
    qualified,
    regclass,
    relation_name,
    typed,
)
from .routes import affected_keys, spooled_keys
from .shared import runtime_values
from .spooled import array_of, image, image_columns, requested_key, spool_delta
from .templates import render
from .transitions import (
    REMOVED,
    changed_twice,
    current_and_removed,
    expected_few,
    shown,
    transition_delta,
    transition_rows,
)
from .units import unit_matches, units_of_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_tviews.plan.patches import Given
    from django_tviews.plan.plan import Plan, SourcePlan

# The number of a row among those that the query gives for its key, NULL if it gives none. No output
# can be expected to have these names.
_FOUND = identifier("found?")
_PRESENT = identifier("present?")
# The row of one key, as the query has it.
_FRESH = identifier("fresh?")

# To plan a statement anew for every key costs more than to carry it out.
PLANNING = (("plan_cache_mode", "force_generic_plan"),)

ROW_EVENTS = ("INSERT", "UPDATE", "DELETE")


class Functions:
    """Writes the functions of one TView."""

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
            "affected_columns": ", ".join(self._key_of("affected")),
            "typed_key_of_fresh": ", ".join(
                f"CAST(fresh.{identifier(column.name)} AS {column.type})" for column in plan.key
            ),
            "found": _FOUND,
            "present": _PRESENT,
            "affected_matches_query": self._match("affected", "query"),
            "affected_matches_fresh": self._match("affected", "fresh"),
            "evaluated_matches_tview": self._match("evaluated", "tview"),
            "one_key_matches_query": self._match_one("query"),
            "one_key_matches_tview": self._match_one("tview"),
            "fresh_matches_tview": self._match("fresh", "tview"),
            "recompute": quoted_function(plan, "recompute"),
            "rebuild": quoted_function(plan, "rebuild"),
            "drain": quoted_function(plan, "drain"),
            "truncated": quoted_function(plan, "truncated"),
            "schema_literal": literal(plan.schema),
            "table_literal": literal(plan.table),
        }
        self.values["few_keys"] = render("few_keys", **self.values)
        self.values["number_of_key"] = render("number_of_key", **self.values)
        repeated = self._refuse_repeated("evaluated")
        differs = would_change(plan.columns, "evaluated")
        self.values["write"] = render(
            "write", **self.values, refuse_repeated=repeated, differs=differs
        )
        # As the setting lists it.
        ticket = f"' ' || CAST(CAST({self.values['tview']} AS oid) AS text) || ' '"
        self.announced = (
            render("deferred", **self.values, ticket=ticket)
            if plan.deferred
            else render("spooled", **self.values)
        )

    def _key_of(self, relation: str) -> list[str]:
        """Name the key in a relation of the templates."""
        if relation == "query":
            return [identifier(column.output) for column in self.plan.key]
        if relation in ("affected", "evaluated", "change", "folded"):
            # Beside the key that the query gives, which may look different and be equal.
            places = range(1, len(self.key) + 1)
            return [identifier(f"affected_{place}?") for place in places]
        return self.key

    def _match(self, left: str, right: str) -> str:
        """Equate the key of two relations."""
        return " AND ".join(
            f"{right}.{of_right} {equals(column.equality)} {left}.{of_left}"
            for column, of_left, of_right in zip(
                self.plan.key, self._key_of(left), self._key_of(right), strict=True
            )
        )

    def _match_one(self, relation: str) -> str:
        """Equate the key of a relation with the first one of the variables."""
        return " AND ".join(
            f"{relation}.{name} {equals(column.equality)} {variable}[1]"
            for column, name, variable in zip(
                self.plan.key, self._key_of(relation), self.variables, strict=True
            )
        )

    def functions(self) -> Iterator[Function]:
        """Yield all of them, callees first."""
        key_types = ", ".join(f"{column.type}[]" for column in self.plan.key)
        yield self._function("recompute", key_types, self._recompute())
        yield self._function("rebuild", "", self.rebuild())
        yield self._function("drain", "", self._drain())
        yield self._function("truncated", "", self._truncated())
        for source in self.plan.sources:
            for event in events_of(source):
                yield Function(
                    self.plan.schema,
                    source_function(self.plan, source, event),
                    "",
                    complete(self._on_change(source, event)),
                )
            if rows_move(source.relation):
                yield Function(
                    self.plan.schema,
                    source_function(self.plan, source, "row"),
                    "",
                    complete(self._on_row(source)),
                )

    def _function(self, suffix: str, arguments: str, create: str) -> Function:
        name = function_name(self.plan, suffix)
        return Function(self.plan.schema, name, arguments, complete(create))

    def _recompute(self) -> str:
        many = render("evaluate_whole", **self.values)
        unit = self.plan.unit
        if self.plan.by_key:
            of_more = render(
                "few_or_many",
                few=self.values["few_keys"],
                of_few=render("evaluate_by_key", **self.values),
                of_many=many,
            )
            one = f"{self.values['number_of_keys']} = 1"
            evaluation = self._one_or_more(self._write_one(), of_more, one)
            return render(
                "recompute", **self.values, declarations=f"{_FRESH} record;", evaluation=evaluation
            )
        if unit is not None:
            units = units_of_keys(self.plan, unit, str(self.values["key_variables"]))
            few = render("few_units", **self.values, units=units)
            evaluate_few = render(
                "evaluate_by_unit",
                **self.values,
                units=units,
                unit_matches_query=unit_matches(unit, "query", "units"),
            )
            evaluation = render("few_or_many", few=few, of_few=evaluate_few, of_many=many)
            return render("recompute", **self.values, declarations="", evaluation=evaluation)
        return render("recompute", **self.values, declarations="", evaluation=f"{many};")

    def _write_one(self) -> str:
        """Return the statements that recompute the row with one key."""
        columns = [identifier(column.name) for column in self.plan.columns]
        return render(
            "write_one",
            **{
                **self.values,
                "assignments": ", ".join(f"{name} = {_FRESH}.{name}" for name in columns),
            },
            fresh=_FRESH,
            fresh_columns=", ".join(f"{_FRESH}.{name}" for name in columns),
            types=self._types(),
            rows_found="1" if self.plan.single else "count(*) OVER ()",
            stored=identifier("stored?"),
            different=identifier("different?"),
            differs=would_change(self.plan.columns, "evaluated"),
            first_key_column=self.key[0],
            refuse_repeated=self._refuse_repeated(_FRESH),
        )

    def _types(self) -> str:
        """Write the types that those of everything the query computes follow from."""
        shown = ((column.output, column.computed) for column in self.plan.columns)
        read = (column for source in self.plan.sources for column in source.columns)
        return typed(chain(shown, read))

    def _refuse_repeated(self, relation: str) -> str:
        key = ", ".join(f"{relation}.{name}" for name in self.key)
        return (
            f"{self.values['runtime']}.django_tviews_repeated("
            f"{self.values['tview']}, {literal(', '.join(self.key))}, concat_ws(', ', {key}))"
        )

    def rebuild(self) -> str:
        """Return the statement that creates the one that compares everything."""
        return render("rebuild", **self.values)

    def rekey(self) -> str:
        """Return the statement that creates its stand-in for while the table has no key."""
        return render(
            "rekey",
            **self.values,
            refuse_repeated=self._refuse_repeated("fresh"),
            fresh_key=", ".join(f"fresh.{name}" for name in self.key),
            fresh_differs=would_change(self.plan.columns, "fresh"),
            key_matches_kept=self._match("kept", "fresh"),
        )

    def _truncated(self) -> str:
        own = RelationFacts(self.plan.schema, self.plan.table)
        strangers = [
            stranger(relation)
            for relation in (own, *(source.relation for source in self.plan.sources))
        ]
        return render(
            "truncated",
            **self.values,
            stranger="\nAND ".join(strangers),
            spooled=self._everything(),
            function_literal=literal(function_name(self.plan, "truncated")),
        )

    def _drain(self) -> str:
        spooled = (
            f"FROM {self.values['runtime']}.django_tviews_spool AS spool\n"
            "WHERE spool.transaction_id = pg_current_xact_id() "
            f"AND spool.tview = {self.values['tview']}"
        )
        few = f"changes <= {self.plan.bulk_threshold}"
        looks_rows_up = any(source.looks_rows_up for source in self.plan.sources if source.routed)
        if looks_rows_up:
            routes = self._routes_of_spooled(spooled)
            found = render(
                "few_or_many",
                few=few,
                of_few=routes["routes_into"],
                of_many=self._bulk_routes(routes["routes"]),
            )
            keys = render("look", **self.values, keys=found)
            found_keys = render("drain_look", **self.values, spooled=spooled, keys=keys)
        else:
            found_keys = self._look_once(
                spooled_keys(self.plan, self.variables, self.values),
                "CASE WHEN everything THEN '{0}' ELSE wanted END",
            )
        return render(
            "drain",
            **self.values,
            lock_declarations="\n".join(_lock_declarations(looks_rows_up)),
            found_keys=found_keys,
            taken=self._taken(spooled, few),
        )

    def _routes_of_spooled(self, spooled: str) -> dict[str, str]:
        """A query for the keys and locks of all that waits in the spool.

        Args:
            spooled: where it is found.
        """
        deltas, states = {}, {}
        tables: list[tuple[str, str, str]] = []
        # Materialized: no text of another source may be cast, whatever the query asks of a column.
        for source in self.plan.sources:
            if source.routed:
                delta, state = f"delta_{source.number}", f"states_{source.number}"
                tables.append((delta, "MATERIALIZED ", spool_delta(source, spooled)))
                tables.append((state, "NOT MATERIALIZED ", current_and_removed(source, delta)))
                deltas[source.number] = delta
                states[source.relation] = state
        requests = f"SELECT {', '.join(requested_key(self.plan))}\n{spooled} AND spool.source = 0"
        tables.append(("requests", "MATERIALIZED ", requests))
        ctes = [_cte(name, text, hint) for name, hint, text in tables]
        return self._routes(ctes, deltas, states, ("SELECT * FROM requests",))

    def _taken(self, spooled: str, few: str) -> str:
        """Take everything out of the spool, and fold it if that is possible."""
        taken = f"DELETE {spooled};"
        for source in self.plan.sources:
            if source.fold is not None:
                moved = self._moved(source, source.fold, f"DELETE {spooled}")
                folded = render(
                    "few_or_many",
                    few=few,
                    of_few=self._fold_statement(source.fold, moved),
                    of_many=self._bulk_fold(source.fold, moved),
                )
                taken = render(
                    "drain_fold",
                    **self.values,
                    number=source.number,
                    folding=render("folding", folded=folded),
                    otherwise=taken,
                )
        return taken

    def _moved(self, source: SourcePlan, fold: Fold, take: str) -> list[tuple[str, str]]:
        """Return tables for WITH: the changed rows of a source, taken out of the spool."""
        if not shows_extremes(fold):
            return [("moved", f"{take}\nRETURNING {image_columns(source)}")]
        # An image that a later change has replaced was never there, as far as an extreme can tell.
        return [
            ("taken", f"{take}\nRETURNING spool.removed, spool.image"),
            ("moved", f"SELECT {image_columns(source)}\n{render('difference')}"),
        ]

    def _routes(
        self,
        ctes: list[str],
        deltas: dict[int, str],
        states: dict[RelationFacts, str],
        extra: tuple[str, ...] = (),
        *,
        ordered: bool = True,
    ) -> dict[str, str]:
        """A query for keys and locks, once into the variables and once for EXECUTE."""
        variables = (*self.variables, "wanted")
        return {
            "routes_into": affected_keys(
                self.plan, ctes, deltas, states, extra, variables, ordered=ordered
            ),
            "routes": affected_keys(self.plan, ctes, deltas, states, extra, ordered=ordered),
        }

    def _bulk_routes(self, routes: str) -> str:
        return render("bulk_routes", **self.values, routes=routes)

    def _on_change(self, source: SourcePlan, event: str) -> str:
        delta = transition_delta(source, event)
        values = {
            **self.values,
            "event": event,
            "source": relation_name(source.relation),
            "source_literal": literal(relation_name(source.relation)),
            "stranger": stranger(source.relation),
            "others_open": self._others_open(source),
            "function": qualified(self.plan.schema, source_function(self.plan, source, event)),
            "function_literal": literal(source_function(self.plan, source, event)),
            "declarations": "\n".join(self._declared(source, event)),
        }
        spool = f"{self._spool(source, delta)};"
        if self.plan.deferred:
            compared = event == "UPDATE" and source.routed
            if compared:
                spool = self._unless_unchanged(source, event, self._spool_row(source, event, spool))
            reaction = spool
        elif source.routed:
            spool = self._spool_row(source, event, spool)
            maintenance = self._maintenance(source, event, delta, values)
            reaction = render("source_immediate", **values, spool=spool, maintenance=maintenance)
            reaction = self._unless_unchanged(source, event, reaction)
        else:
            maintenance = render("source_rebuild", **values)
            reaction = render("source_immediate", **values, spool=spool, maintenance=maintenance)
        if not source.routed:
            reaction = render("unless_unchanged", unchanged=_empty(delta), reaction=reaction)
        return render("source", **values, reaction=reaction)

    def _declared(self, source: SourcePlan, event: str) -> Iterator[str]:
        """Yield the declarations of the variables that a source's function uses.

        Each costs a little whenever the function is called, and an array that is not NULL most.

        Args:
            source: the source.
            event: ``INSERT``, ``UPDATE`` or ``DELETE``.
        """
        if source.routed and (event == "UPDATE" or not self.plan.deferred):
            yield DECLARATION
        if source.routed and not self.plan.deferred:
            yield str(self.values["key_declarations"])
            yield from _lock_declarations(source.looks_rows_up)
            match source.shortcut_of(event):
                case Patch(deciding=deciding) if deciding:
                    yield "decided boolean;"
                case Fold() if self.plan.bulk_threshold > 0:
                    yield "change record;"

    def _unless_unchanged(self, source: SourcePlan, event: str, reaction: str) -> str:
        """Look at a row before anything else is done about it.

        Args:
            source: of the row.
            event: ``INSERT``, ``UPDATE`` or ``DELETE``.
            reaction: what is done.
        """
        ends = []
        if not (event == "UPDATE" and rows_move(source.relation)):
            # A row that another partition does not take is shown as it was, and not as it is.
            ends.append("NOT FOUND")
        if event == "UPDATE":
            ends.append(f"{ONE_ROW} AND NOT {DIFFER}")
        unchanged = " OR ".join(ends)
        reaction = render("unless_unchanged", unchanged=unchanged, reaction=reaction)
        return f"{read_row(self.plan, source, event)}\n{reaction}"

    def _spool_row(self, source: SourcePlan, event: str, spool: str) -> str:
        """Put a row that has been read into the spool, or what else has changed."""
        rows: list[str] = []
        for removed, values in images_of_row(source, event):
            # To announce them once is enough.
            announced = "false" if rows else self.announced
            rows.append(self._spooled(source.number, removed, array_of(source, values), announced))
        of_row = render("spool_row", **self.values, rows=",\n".join(f"({row})" for row in rows))
        return self._one_or_more(of_row, spool)

    def _spool(self, source: SourcePlan, delta: str) -> str:
        """Put changed rows into the spool."""
        if not source.routed:
            return render("spool", **self.values, spooled=self._everything())
        rows = self._spooled(
            source.number, f"delta.{REMOVED}", image(source, "delta"), self.announced
        )
        spooled = f"WITH delta AS (\n{indented(delta)}\n)\nSELECT {rows}\nFROM delta"
        return render("spool", **self.values, spooled=spooled)

    def _maintenance(
        self, source: SourcePlan, event: str, delta: str, values: dict[str, str | int]
    ) -> str:
        # With what tells TViews over this one whether others come before them.
        passing = f"CAST({self.values['tview']} AS oid) || ' ' || TG_RELID || ' ' || TG_NAME"
        match source.shortcut_of(event):
            case Fold() as fold:
                written = self._fold(source, fold, event)
                # What it cannot settle of several groups is recomputed by a second statement.
                passing = f"CASE WHEN {self.values['number_of_keys']} = 1 THEN {passing} END"
            case Patch() as patch:
                written = self._patch(source, patch, self._with_delta(source, event, delta))
            case Root() as root:
                written = self._come_or_gone(source, root, event)
            case _:
                written = f"ignored := {self.values['recompute']}({self.values['key_variables']});"
        keys = self._keys(source, event, delta)
        reaction = render(
            "source_write",
            **values,
            keys=keys,
            pass_on=self._passing(passing),
            pass_no_more=self._passing("''"),
            written=written,
        )
        if event == "UPDATE" and source.looks_rows_up:
            # Looking would find out as well, but costs more.
            reaction = render(
                "unless_more_unchanged", one_row=ONE_ROW, empty=_empty(delta), reaction=reaction
            )
        return reaction

    def _passing(self, value: str) -> str:
        """Set which TView is passed on; inside of another one's maintenance that one still is."""
        name = self.values["passing_setting"]
        if self.plan.depth > 0:
            statements = f"current_setting({self.values['open_setting']}, true)"
            passed = f"current_setting({name}, true)"
            value = f"CASE {statements} WHEN '1' THEN {value} ELSE {passed} END"
        return f"set_config({name}, {value}, true)"

    def _keys(self, source: SourcePlan, event: str, delta: str) -> str:
        """Find the keys that changed rows affect, and lock them."""

        def routes(delta: str, *, ordered: bool = True) -> dict[str, str]:
            ctes = self._with_delta(source, event, delta)
            states = self._states(source, event)
            return self._routes(ctes, {source.number: "delta"}, states, ordered=ordered)

        of_row = routes(row_delta(source, event), ordered=False)["routes_into"]
        if source.looks_rows_up:
            of_rows = render(
                "few_or_many",
                few=self._few_rows(event),
                of_few=routes(expected_few(source, delta))["routes_into"],
                of_many=self._bulk_routes(routes(delta)["routes"]),
            )
            return render("look", **self.values, keys=self._one_or_more(of_row, of_rows))
        if only_route(self.plan, source) is not None:
            of_row = keys_of_row(self.plan, source, event, self.variables)
        of_rows = f"{routes(delta)['routes_into']};"
        return self._look_once(self._one_or_more(of_row, of_rows))

    def _one_or_more(self, of_one: str, of_more: str, one: str = ONE_ROW) -> str:
        """Do something else where there is only one, unless that is many."""
        if self.plan.bulk_threshold < 1:
            return of_more
        return render("one_or_more", one=one, of_one=of_one, of_more=of_more)

    def _fold(self, source: SourcePlan, fold: Fold, event: str) -> str:
        few = f"{self.values['number_of_keys']} <= {self.plan.bulk_threshold}"
        if fold.joins:
            few += f"\nAND {self._few_rows(event)}"
        row = row_delta(source, event)
        rows = transition_rows(source, event)
        twice = changed_twice(source, event)
        of_rows = render(
            "few_or_many",
            few=few,
            of_few=self._fold_statement(fold, [("moved", expected_few(source, rows))], twice),
            of_many=self._bulk_fold(fold, [("moved", rows)], twice),
        )
        of_row = self._fold_row(fold, [("moved", row)])
        folding = render("folding", folded=self._one_or_more(of_row, of_rows))
        return render("source_fold", **self.values, folding=folding)

    def _fold_row(self, fold: Fold, moved: list[tuple[str, str]]) -> str:
        """Return the statements that fold one changed row, and keep the keys that are left over.

        Args:
            fold: of its source.
            moved: tables for WITH, the last of which has its images.
        """
        return render(
            "fold_row",
            **self.values,
            **self._folded(fold, moved, "false"),
            no_keys=";\n".join(f"{variable} := NULL" for variable in self.variables),
            keep_key=";\n".join(
                f"{variable} := {variable} || ARRAY[change.{name}]"
                for variable, name in zip(self.variables, self._key_of("change"), strict=True)
            ),
            types=self._types(),
        )

    def _fold_statement(
        self, fold: Fold, moved: list[tuple[str, str]], twice: str = "false", into: str = "INTO"
    ) -> str:
        """Return the statement that folds changed rows, and gives the keys that are left over.

        Args:
            fold: of their source.
            moved: tables for WITH, the last of which has the changed rows.
            twice: tells that some of the rows that have come may be gone again.
            into: empty, or the keyword before the variables of the key.
        """
        return render(
            "fold",
            **self.values,
            **self._folded(fold, moved, twice),
            folded_key=", ".join(f"folded.{name}" for name in self._key_of("folded")),
            into=f"{into} {self.values['key_variables']}\n" if into else "",
        )

    def _folded(self, fold: Fold, moved: list[tuple[str, str]], twice: str) -> dict[str, str]:
        return {
            **fold_values(self.plan.key, fold, self._key_of("affected"), twice),
            "change_matches_tview": self._match("change", "tview"),
            "moved": ",\n".join(_cte(name, text) for name, text in moved),
        }

    def _bulk_fold(self, fold: Fold, moved: list[tuple[str, str]], twice: str = "false") -> str:
        statement = self._fold_statement(fold, moved, twice, into="")
        return render("bulk_fold", **self.values, fold=statement)

    def _patch(self, source: SourcePlan, patch: Patch, ctes: list[str]) -> str:
        values = {**self.values, **patch_values(self.plan, patch), "ctes": ",\n".join(ctes)}
        written = self._one_or_more(
            render("patch_one", **values),
            render("patch", **values),
            f"{self.values['number_of_keys']} = 1",
        )
        if (given := patch.given) is not None:
            rows = rows_that_give(source, given)
            straight = self._patch_given(given, rows, values)
            if given.by_changed_row:
                of_rows = render(
                    "patch_from_changed",
                    **values,
                    patch=straight,
                    patch_of_few=self._patch_given(given, expected_few(source, rows), values),
                )
                of_row = self._patch_given(given, new_row(source), values)
                found = f"{ONE_ROW} AND {self.variables[0]} IS NOT NULL"
                written = self._one_or_more(of_row, of_rows, found)
            else:
                written = render(
                    "patch_from_changed_or_query", **values, patch=straight, otherwise=written
                )
        if not patch.deciding:
            return written
        return render(
            "patch_or_recompute",
            **self.values,
            patch=written,
            one_row=ONE_ROW,
            decided=DECIDED,
            decided_otherwise=f"(\n{indented(decided_otherwise(source, patch))}\n)",
        )

    def _come_or_gone(self, source: SourcePlan, root: Root, event: str) -> str:
        """Insert or delete the row that goes with a changed row."""
        if event == "INSERT":
            written = render("insert_one", **self.values)
        else:
            has_key = " AND ".join(
                f"root.{identifier(name)} {equals(column.equality)} {variable}[1]"
                for name, column, variable in zip(
                    root.columns, self.plan.key, self.variables, strict=True
                )
            )
            relation = relation_name(source.relation)
            written = render("delete_one", **self.values, root=relation, root_has_key=has_key)
        return render("source_root", **self.values, one_row=ONE_ROW, written=written)

    def _patch_given(self, given: Given, rows: str, values: dict[str, str | int]) -> str:
        return render("patch_given", **values, given=given_rows(self.plan, given, rows))

    def _everything(self) -> str:
        return f"SELECT {self._spooled(0, 'false', 'NULL', self.announced)}"

    def _spooled(self, source: int, removed: str, image: str, announced: str) -> str:
        """Write what the spool holds of a change."""
        return f"{self.values['tview']}, {source}, {removed}, {image},\n{indented(announced)}"

    def _others_open(self, source: SourcePlan) -> str:
        """Tell whether the statement may change, or have changed, other sources, too."""
        if source.overlaps:
            return "true"
        others_open = render("others_open", **self.values)
        if self.plan.depth > 0:
            return render("passed_on", **self.values, others_open=others_open)
        return others_open

    def _on_row(self, source: SourcePlan) -> str:
        spooled = {}
        for row, removed in (("OLD", "true"), ("NEW", "false")):
            if source.routed:
                rows = shown(source, f"(SELECT {row}.*)")
                values = self._spooled(
                    source.number, removed, image(source, "changed"), self.announced
                )
                spooled[row] = f"SELECT {values}\nFROM {rows} AS changed"
            else:
                spooled[row] = self._everything()
        return render(
            "row",
            **self.values,
            source=relation_name(source.relation),
            source_literal=literal(relation_name(source.relation)),
            function=qualified(self.plan.schema, source_function(self.plan, source, "row")),
            spooled_old=spooled["OLD"],
            spooled_new=spooled["NEW"],
        )

    def _look_once(self, find: str, wanted: str = "wanted") -> str:
        return render("look_once", **self.values, find=find, wanted=wanted)

    def _few_rows(self, event: str) -> str:
        """Tell whether a plan made once will do for the changed rows."""
        rows = "old_rows" if event == "DELETE" else "new_rows"
        limit = self.plan.bulk_threshold
        counted = f"(SELECT count(*) FROM (SELECT FROM {rows} LIMIT {limit} + 1) AS counted)"
        return f"{counted} <= {limit}"

    def _states(self, source: SourcePlan, event: str) -> dict[RelationFacts, str]:
        joined = any(
            step.occurrence.relation == source.relation
            for route in source.routes
            if isinstance(route, Route)
            for step in route.steps
        )
        return {source.relation: "states"} if joined and event != "INSERT" else {}

    def _with_delta(self, source: SourcePlan, event: str, delta: str) -> list[str]:
        ctes = [_cte("delta", delta)]
        if self._states(source, event):
            states = current_and_removed(source, "delta")
            ctes.append(_cte("states", states, "NOT MATERIALIZED "))
        return ctes


def _lock_declarations(looks_rows_up: bool) -> Iterator[str]:
    """Yield the declarations of the variables with which keys are locked."""
    if looks_rows_up:
        yield "held integer[] := '{}';"
    yield "wanted integer[];"
    yield "-- To assign what a function returns costs a tenth of what PERFORM does."
    yield "ignored text;"


def _cte(name: str, text: str, hint: str = "") -> str:
    return f"{name} AS {hint}(\n{indented(text)}\n)"


def _empty(query: str) -> str:
    return f"NOT EXISTS (\n{indented(query)}\n)"


def events_of(source: SourcePlan) -> Iterator[str]:
    """Yield the events on rows of a source that may change a TView."""
    for event in ROW_EVENTS:
        # An update changes nothing that is read of a source of which no column is read.
        if event != "UPDATE" or source.columns:
            yield event


def environment_clauses(plan: Plan) -> str:
    """Return the environment of a TView's maintenance as SET clauses of a function."""
    clauses = []
    for name, value in (*plan.environment, *PLANNING):
        text = value if name in ("search_path", "DateStyle") else literal(value)
        clauses.append(f"SET {name} = {text}")
    return "\n".join(clauses)


def rows_move(relation: RelationFacts) -> bool:
    """Tell whether an update can move a row of a relation to another partition."""
    return relation.kind in (RelationKind.PARTITIONED_TABLE, RelationKind.PARTITION)


def stranger(relation: RelationFacts) -> str:
    """Return a condition for a trigger function: it stands on a table that is none of a source's.

    Partitions and children are looked up when it is asked, so that a function outlives them.
    """
    source = regclass(relation.schema, relation.name)
    condition = f"TG_RELID <> {source}"
    if len(relation.targets) == 1:
        return condition
    return f"{condition}\nAND {render('unrelated', source=source)}"
