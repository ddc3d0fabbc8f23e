"""Queries for which maintenance has shorter ways than to evaluate everything for a key again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.fuzz.schema import quote

from .choices import Choices
from .parts import ABSENT, Field, Joined, Output, Select, joined_by_and

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fuzz.schema import ForeignKey, Relation


class Shortcuts(Choices):
    """Writes totals and cards over a table and the rows that its foreign keys lead to."""

    def totals(self) -> Select:
        """Write totals by group, or in one row."""
        self.note("totals")
        if self.chance(0.4):
            source, totalled = self.parent_and_children()
        else:
            source = self.child_and_parents()
            totalled = source.fields
        found = self.comparable(source.fields)
        grouped = self.random.sample(found, min(len(found), self.random.choice([0, 1, 1, 1, 2])))
        if totalled != source.fields and source.key is not None and self.chance(0.7):
            grouped = self.comparable(source.key)
        outputs: list[Output] = []
        conditions: list[str] = []
        for shown in grouped:
            sql = shown.sql
            if shown.nullable and self.chance(0.5):
                sql = f"COALESCE({sql}, {ABSENT[shown.family]})"
            elif shown.nullable:
                conditions.append(f"{sql} IS NOT NULL")
            outputs.append(
                self.output(outputs, sql, shown.type, (shown,), in_key=True, nullable=False)
            )
        tail = f" GROUP BY {', '.join(output.sql for output in outputs)}" if outputs else ""
        if not outputs:
            outputs.append(Output("id", "1", "integer", in_key=True, nullable=False))
        if self.chance(0.3):
            conditions.append(self.predicate(source.fields, (), 0))
        for _ in range(self.random.randint(1, 3)):
            for sql, type_ in self.total(self.random.choice(totalled), totalled):
                outputs.append(self.output(outputs, sql, type_, ()))
        return self.finish(outputs, source, joined_by_and(conditions), tail)

    def total(self, shown: Field, fields: Sequence[Field]) -> list[tuple[str, str]]:
        """Write a total, often without what it is computed from."""
        sql, family = shown.sql, shown.family
        choices: list[list[tuple[str, str]]] = [
            [("count(*)", "bigint")],
            [(f"count({sql})", "bigint")],
            [(f"bool_and({sql} IS NOT NULL)", "boolean"), (f"bool_or({sql} IS NULL)", "boolean")],
        ]
        if family in ("integer", "numeric"):
            whole = "bigint" if shown.type in ("integer", "small") else "numeric"
            sums = [(f"sum({sql})", whole), (f"count({sql})", "bigint")]
            choices += [sums, sums[:1], [*sums, (f"avg({sql})", "numeric")]]
            choices.append([(f"avg({sql})", "numeric")])
            choices.append([(f"COALESCE(sum({sql}), 0)", whole), (f"sum({sql} * 2)", whole)])
            choices.append([(f"min({sql})", shown.type), (f"max({sql})", shown.type)])
        found = self.random.choice(choices)
        if len(found) == 1 and self.chance(0.25):
            self.note("filter")
            found = [(f"{found[0][0]} FILTER (WHERE {self.predicate(fields, (), 0)})", found[0][1])]
        return found

    def cards(self) -> Select:
        """Write a row for each row of a table, with what belongs to it."""
        self.note("cards")
        source = self.child_and_parents()
        outputs = self.key_outputs(source.key or ())
        for _ in range(self.random.randint(1, 2)):
            sql, type_ = self.value(source.fields, (), 1)
            outputs.append(self.output(outputs, sql, type_, source.fields))
        if self.chance(0.7):
            self.note("json document")
            shown = [self.random.choice(source.fields).sql for _ in range(3)]
            below = (
                f"jsonb_build_object('c', {shown[2]}, 'd', {self.value(source.fields, (), 1)[0]})"
            )
            sql = f"jsonb_build_object('a', {shown[0]}, 'b', {shown[1]}, 'below', {below})"
            outputs.append(self.output(outputs, sql, "jsonb", ()))
        where = joined_by_and([self.predicate(source.fields, (), 0)] if self.chance(0.3) else [])
        return self.finish(outputs, source, where, "", keyed=source.key is not None)

    def parent_and_children(self) -> tuple[Joined, tuple[Field, ...]]:
        """Join the rows of a table with those whose foreign keys lead to them, mostly if any do.

        Returns:
            The join, with the key of the first table, and the fields that are mostly totalled.
        """
        tables = {each.name: each for each in self.relations if each.name[:3] != "hv_"}
        references = [(child, key) for child in tables.values() for key in child.foreign_keys]
        if not references:
            source = self.child_and_parents()
            return source, source.fields
        self.note("totals of children")
        first = tables[self.random.choice(references)[1].table]
        joined, _ = self.table(first)
        known = [(first, joined)]
        for _ in range(self.random.choice([1, 1, 1, 2, 2, 3])):
            parent, above, child, key = self.random.choice(
                [
                    (relation, shown, *reference)
                    for relation, shown in known
                    for reference in references
                    if reference[1].table == relation.name
                ]
            )
            below, _ = self.table(child)
            known.append((child, below))
            own, at = self.by_name(child, below), self.by_name(parent, above)
            on = " AND ".join(
                f"{at[target].sql} = {own[column].sql}"
                for column, target in zip(key.columns, key.targets, strict=True)
            )
            if self.chance(0.15):
                on += f" AND {self.predicate(below.fields, (), 0)}"
            operator = self.random.choice(["LEFT JOIN"] * 4 + ["JOIN"])
            missable = operator == "LEFT JOIN"
            fields = tuple(
                replace(each, nullable=each.nullable or missable) for each in below.fields
            )
            joined = Joined(
                f"{joined.sql} {operator} {below.sql} ON {on}",
                joined.fields + fields,
                joined.key,
                single=False,
            )
        _, last = self.random.choice(known[1:])
        return joined, last.fields if self.chance(0.8) else joined.fields

    def child_and_parents(self) -> Joined:
        """Join the rows of a table with those that its foreign keys, and theirs, lead to."""
        tables = {each.name: each for each in self.relations if each.name[:3] != "hv_"}
        children = [each for each in tables.values() if each.foreign_keys]
        child = self.random.choice(
            children if children and self.chance(0.8) else [*tables.values()]
        )
        joined, pending = self.table(child)
        for _ in range(self.random.choice([0, 1, 1, 2])):
            if not pending:
                break
            own, key = pending.pop(self.random.randrange(len(pending)))
            parent, further = self.table(tables[key.table])
            at = self.by_name(tables[key.table], parent)
            on = " AND ".join(
                f"{at[target].sql} = {own[column].sql}"
                for column, target in zip(key.columns, key.targets, strict=True)
            )
            operator = self.random.choice(["JOIN", "JOIN", "LEFT JOIN"])
            missable = operator == "LEFT JOIN"
            fields = tuple(
                replace(each, nullable=each.nullable or missable) for each in parent.fields
            )
            joined = Joined(
                f"{joined.sql} {operator} {parent.sql} ON {on}",
                joined.fields + fields,
                joined.key,
                single=False,
            )
            pending += further
        return joined

    def table(self, relation: Relation) -> tuple[Joined, list[tuple[dict[str, Field], ForeignKey]]]:
        """Show a table, and its foreign keys, each with the fields of the table."""
        alias = self.alias()
        shown = self.shown(f"{quote(relation.name)} {quote(alias)}", alias, relation)
        return shown, [(self.by_name(relation, shown), key) for key in relation.foreign_keys]

    @staticmethod
    def by_name(relation: Relation, shown: Joined) -> dict[str, Field]:
        return {
            column.name: each for column, each in zip(relation.columns, shown.fields, strict=True)
        }
