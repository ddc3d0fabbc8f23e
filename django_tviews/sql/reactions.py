"""The functions that triggers on sources call: what a TView does about a change."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from django_tviews.plan.folds import Fold
from django_tviews.plan.patches import Patch
from django_tviews.plan.roots import Root
from django_tviews.plan.routes import Route
from django_tviews.text import indented

from .events import TRIGGER_TYPES, rows_move
from .folding import fold_many_rows, fold_row, fold_rows
from .names import source_function
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
from .phrases import lock_declarations, with_table
from .quoting import identifier, literal, qualified, regclass, relation_name
from .spooled import array_of, image
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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_tviews.facts import RelationFacts
    from django_tviews.plan.patches import Given
    from django_tviews.plan.plan import Plan, SourcePlan

    from .phrases import Phrases


@dataclass(frozen=True)
class Reaction:
    """Writes the function that a statement on a source calls.

    Attributes:
        phrases: of the TView.
        source: the source.
        event: ``INSERT``, ``UPDATE`` or ``DELETE``.
    """

    phrases: Phrases
    source: SourcePlan
    event: str

    @property
    def plan(self) -> Plan:
        """Of the TView."""
        return self.phrases.plan

    @cached_property
    def delta(self) -> str:
        """A query for the changed rows."""
        return transition_delta(self.source, self.event)

    def function(self) -> str:
        """Return the statement that creates the function."""
        spool = f"{self._spool()};"
        if self.plan.deferred:
            reaction = spool
            if self.event == "UPDATE" and self.source.routed:
                reaction = self._unless_unchanged(self._spool_row(spool))
        elif self.source.routed:
            reaction = self._at_once(self._spool_row(spool), self._maintenance())
            reaction = self._unless_unchanged(reaction)
        else:
            reaction = self._at_once(spool, self.phrases.render("source_rebuild"))
        if not self.source.routed:
            reaction = render("unless_unchanged", unchanged=_empty(self.delta), reaction=reaction)
        name = source_function(self.plan, self.source, self.event)
        return self.phrases.render(
            "source",
            event=self.event,
            source=relation_name(self.source.relation),
            source_literal=literal(relation_name(self.source.relation)),
            stranger=stranger(self.source.relation),
            function=qualified(self.plan.schema, name),
            function_literal=literal(name),
            declarations="\n".join(self._declared()),
            reaction=reaction,
        )

    def _at_once(self, spool: str, maintenance: str) -> str:
        """Maintain at once, or put what has changed into the spool if that would be too early."""
        return self.phrases.render(
            "source_immediate",
            others_open=self._others_open(),
            spool=spool,
            maintenance=maintenance,
        )

    def _declared(self) -> Iterator[str]:
        """Yield the declarations of the variables that the function uses.

        Each costs a little whenever the function is called, and an array that is not NULL most.
        """
        source = self.source
        if source.routed and (self.event == "UPDATE" or not self.plan.deferred):
            yield DECLARATION
        if source.routed and not self.plan.deferred:
            yield str(self.phrases.values["key_declarations"])
            yield from lock_declarations(source.looks_rows_up)
            match source.shortcut_of(self.event):
                case Patch(deciding=deciding) if deciding:
                    yield "decided boolean;"
                case Fold() if self.plan.bulk_threshold > 0:
                    yield "change record;"

    def _others_open(self) -> str:
        """Tell whether the statement may change, or have changed, other sources, too."""
        if self.source.overlaps:
            return "true"
        others_open = self.phrases.render("others_open")
        if self.plan.depth > 0:
            return self.phrases.render("passed_on", others_open=others_open)
        return others_open

    def _unless_unchanged(self, reaction: str) -> str:
        """Look at a row before anything else is done about it.

        Args:
            reaction: what is done.
        """
        ends = []
        if not (self.event == "UPDATE" and rows_move(self.source.relation)):
            # A row that another partition does not take is shown as it was, and not as it is.
            ends.append("NOT FOUND")
        if self.event == "UPDATE":
            ends.append(f"{ONE_ROW} AND NOT {DIFFER}")
        unchanged = " OR ".join(ends)
        reaction = render("unless_unchanged", unchanged=unchanged, reaction=reaction)
        return f"{read_row(self.plan, self.source, self.event)}\n{reaction}"

    def _spool_row(self, spool: str) -> str:
        """Put a row that has been read into the spool, or what else has changed."""
        rows: list[str] = []
        for removed, values in images_of_row(self.source, self.event):
            # To announce them once is enough.
            announced = "false" if rows else self.phrases.announced
            changed = array_of(self.source, values)
            rows.append(self.phrases.spooled(self.source.number, removed, changed, announced))
        of_row = self.phrases.render("spool_row", rows=",\n".join(f"({row})" for row in rows))
        return self.phrases.one_or_more(of_row, spool)

    def _spool(self) -> str:
        """Put changed rows into the spool."""
        if not self.source.routed:
            return self.phrases.render("spool", spooled=self.phrases.everything())
        rows = self.phrases.spooled(
            self.source.number,
            f"delta.{REMOVED}",
            image(self.source, "delta"),
            self.phrases.announced,
        )
        spooled = f"WITH delta AS (\n{indented(self.delta)}\n)\nSELECT {rows}\nFROM delta"
        return self.phrases.render("spool", spooled=spooled)

    def _maintenance(self) -> str:
        # With what tells TViews over this one whether others come before them.
        values = self.phrases.values
        fired = f"' {TRIGGER_TYPES[self.event]} ' || TG_NAME"
        passing = f"CAST({values['tview']} AS oid) || ' ' || TG_RELID || {fired}"
        match self.source.shortcut_of(self.event):
            case Fold() as fold:
                written = self._fold(fold)
                # What it cannot settle of several groups is recomputed by a second statement.
                passing = f"CASE WHEN {values['number_of_keys']} = 1 THEN {passing} END"
            case Patch() as patch:
                written = self._patch(patch)
            case Root() as root:
                written = self._come_or_gone(root)
            case _:
                written = f"ignored := {values['recompute']}({values['key_variables']});"
        reaction = self.phrases.render(
            "source_write",
            keys=self._keys(),
            pass_on=self._passing(passing),
            pass_no_more=self._passing("''"),
            written=written,
        )
        if self.event == "UPDATE" and self.source.looks_rows_up:
            # Looking would find out as well, but costs more.
            reaction = render(
                "unless_more_unchanged",
                one_row=ONE_ROW,
                empty=_empty(self.delta),
                reaction=reaction,
            )
        return reaction

    def _passing(self, value: str) -> str:
        """Set which TView is passed on; inside of another one's maintenance that one still is."""
        name = self.phrases.values["passing_setting"]
        if self.plan.depth > 0:
            statements = f"current_setting({self.phrases.values['open_setting']}, true)"
            passed = f"current_setting({name}, true)"
            value = f"CASE {statements} WHEN '1' THEN {value} ELSE {passed} END"
        return f"set_config({name}, {value}, true)"

    def _keys(self) -> str:
        """Find the keys that changed rows affect, and lock them."""

        def routes(delta: str, *, ordered: bool = True) -> dict[str, str]:
            deltas = {self.source.number: "delta"}
            ctes = self._with_delta(delta)
            return self.phrases.routes(ctes, deltas, self._states(), ordered=ordered)

        one_or_more = self.phrases.one_or_more
        of_row = routes(row_delta(self.source, self.event), ordered=False)["routes_into"]
        if self.source.looks_rows_up:
            of_rows = render(
                "few_or_many",
                few=self._few_rows(),
                of_few=routes(expected_few(self.source, self.delta))["routes_into"],
                of_many=self.phrases.bulk_routes(routes(self.delta)["routes"]),
            )
            return self.phrases.render("look", keys=one_or_more(of_row, of_rows))
        if only_route(self.plan, self.source) is not None:
            of_row = keys_of_row(self.plan, self.source, self.event, self.phrases.variables)
        of_rows = f"{routes(self.delta)['routes_into']};"
        return self.phrases.look_once(one_or_more(of_row, of_rows))

    def _fold(self, fold: Fold) -> str:
        few = f"{self.phrases.values['number_of_keys']} <= {self.plan.bulk_threshold}"
        if fold.joins:
            few += f"\nAND {self._few_rows()}"
        row = row_delta(self.source, self.event)
        rows = transition_rows(self.source, self.event)
        twice = changed_twice(self.source, self.event)
        expected = [("moved", expected_few(self.source, rows))]
        of_rows = render(
            "few_or_many",
            few=few,
            of_few=fold_rows(self.phrases, fold, expected, twice),
            of_many=fold_many_rows(self.phrases, fold, [("moved", rows)], twice),
        )
        of_row = fold_row(self.phrases, fold, [("moved", row)])
        folding = render("folding", folded=self.phrases.one_or_more(of_row, of_rows))
        return self.phrases.render("source_fold", folding=folding)

    def _patch(self, patch: Patch) -> str:
        one_or_more = self.phrases.one_or_more
        ctes = ",\n".join(self._with_delta(self.delta))
        values = {**patch_values(self.plan, patch), "ctes": ctes}
        written = one_or_more(
            self.phrases.render("patch_one", **values),
            self.phrases.render("patch", **values),
            f"{self.phrases.values['number_of_keys']} = 1",
        )
        if (given := patch.given) is not None:
            rows = rows_that_give(self.source, given)
            straight = self._patch_given(given, rows, values)
            if given.by_changed_row:
                few = expected_few(self.source, rows)
                of_rows = self.phrases.render(
                    "patch_from_changed",
                    **values,
                    patch=straight,
                    patch_of_few=self._patch_given(given, few, values),
                )
                of_row = self._patch_given(given, new_row(self.source), values)
                found = f"{ONE_ROW} AND {self.phrases.variables[0]} IS NOT NULL"
                written = one_or_more(of_row, of_rows, found)
            else:
                written = self.phrases.render(
                    "patch_from_changed_or_query", **values, patch=straight, otherwise=written
                )
        if not patch.deciding:
            return written
        return self.phrases.render(
            "patch_or_recompute",
            patch=written,
            one_row=ONE_ROW,
            decided=DECIDED,
            decided_otherwise=f"(\n{indented(decided_otherwise(self.source, patch))}\n)",
        )

    def _patch_given(self, given: Given, rows: str, values: dict[str, str]) -> str:
        return self.phrases.render(
            "patch_given", **values, given=given_rows(self.plan, given, rows)
        )

    def _come_or_gone(self, root: Root) -> str:
        """Insert or delete the row that goes with a changed row."""
        if self.event == "INSERT":
            written = self.phrases.render("insert_one")
        else:
            has_key = self.phrases.match_one("root", [*map(identifier, root.columns)])
            relation = relation_name(self.source.relation)
            written = self.phrases.render("delete_one", root=relation, root_has_key=has_key)
        return self.phrases.render("source_root", one_row=ONE_ROW, written=written)

    def _few_rows(self) -> str:
        """Tell whether a plan made once will do for the changed rows."""
        rows = "old_rows" if self.event == "DELETE" else "new_rows"
        limit = self.plan.bulk_threshold
        counted = f"(SELECT count(*) FROM (SELECT FROM {rows} LIMIT {limit} + 1) AS counted)"
        return f"{counted} <= {limit}"

    def _states(self) -> dict[RelationFacts, str]:
        relation = self.source.relation
        joined = any(
            step.occurrence.relation == relation
            for route in self.source.routes
            if isinstance(route, Route)
            for step in route.steps
        )
        return {relation: "states"} if joined and self.event != "INSERT" else {}

    def _with_delta(self, delta: str) -> list[str]:
        ctes = [with_table("delta", delta)]
        if self._states():
            states = current_and_removed(self.source, "delta")
            ctes.append(with_table("states", states, "NOT MATERIALIZED "))
        return ctes


def on_row(phrases: Phrases, source: SourcePlan) -> str:
    """Return the statement that creates the function for rows that no statement trigger sees."""
    spooled = {}
    for row, removed in (("OLD", "true"), ("NEW", "false")):
        if source.routed:
            rows = shown(source, f"(SELECT {row}.*)")
            changed = image(source, "changed")
            values = phrases.spooled(source.number, removed, changed, phrases.announced)
            spooled[row] = f"SELECT {values}\nFROM {rows} AS changed"
        else:
            spooled[row] = phrases.everything()
    return phrases.render(
        "row",
        source=relation_name(source.relation),
        source_literal=literal(relation_name(source.relation)),
        function=qualified(phrases.plan.schema, source_function(phrases.plan, source, "row")),
        spooled_old=spooled["OLD"],
        spooled_new=spooled["NEW"],
    )


def stranger(relation: RelationFacts) -> str:
    """Return a condition for a trigger function: it stands on a table that is none of a source's.

    Partitions and children are looked up when it is asked, so that a function outlives them.
    """
    source = regclass(relation.schema, relation.name)
    condition = f"TG_RELID <> {source}"
    if len(relation.targets) == 1:
        return condition
    return f"{condition}\nAND {render('unrelated', source=source)}"


def _empty(query: str) -> str:
    return f"NOT EXISTS (\n{indented(query)}\n)"
