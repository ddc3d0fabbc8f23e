"""Groups and aggregates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.fuzz.schema import COMPARABLE, FAMILIES, SORTABLE

from .choices import Choices
from .parts import ABSENT, Field, Joined

if TYPE_CHECKING:
    from collections.abc import Sequence


class Groups(Choices):
    """Writes what groups are made of, and aggregates over them."""

    def group(
        self, fields: Sequence[Field], outer: Sequence[Field], conditions: list[str]
    ) -> tuple[str, str, Field | None] | None:
        """Choose what to group by: text, type, and the field if it is one."""
        choices = self.comparable(fields)
        if not choices:
            return None
        shown = self.random.choice(choices)
        kind = self.weighted(field=50, computed=20, case=8, null=4)
        if kind == "computed":
            found = {
                "integer": (f"COALESCE({shown.sql}, -1) % 3", shown.type),
                "text": (f"lower(COALESCE({shown.sql}, '~'))", "text"),
                "time": (f"COALESCE({shown.sql}::date, '1900-01-01'::date)", "date"),
            }.get(shown.family)
            if found:
                self.note("group by expression")
                return (*found, None)
        if kind == "case":
            self.note("group by case")
            condition = self.predicate(fields, outer, 0)
            return f"CASE WHEN {condition} THEN 'yes' ELSE 'no' END", "text", None
        if kind == "null":
            self.note("group by null test")
            return f"({shown.sql} IS NULL)", "boolean", None
        if not shown.nullable:
            return shown.sql, shown.type, shown
        if self.chance(0.4):
            conditions.append(f"{shown.sql} IS NOT NULL")
            return shown.sql, shown.type, replace(shown, nullable=False)
        self.note("group by coalesce")
        if self.chance(0.3):
            others = [each for each in choices if each.type == shown.type and each != shown]
            if others:
                other = self.random.choice(others)
                sql = f"COALESCE({shown.sql}, {other.sql}, {ABSENT[shown.family]})"
                return sql, shown.type, None
        return f"COALESCE({shown.sql}, {ABSENT[shown.family]})", shown.type, None

    def aggregate(self, source: Joined) -> tuple[str, str]:
        """Write an aggregate over the rows of a FROM clause."""
        shown = self.random.choice(source.fields)
        sql, family = shown.sql, shown.family
        choices = [("count(*)", "bigint"), (f"count({sql})", "bigint")]
        choices.append((f"bool_or({sql} IS NULL)", "boolean"))
        if family in COMPARABLE:
            choices.append((f"count(DISTINCT {sql})", "bigint"))
            choices.append((f"array_agg(DISTINCT {sql})", "array"))
        if family in ("integer", "numeric"):
            whole = "bigint" if shown.type in ("integer", "small") else "numeric"
            choices += [(f"sum({sql})", whole), (f"sum(DISTINCT {sql})", whole)]
            choices += [(f"avg({sql})", "numeric"), (f"COALESCE(sum({sql}), 0)", whole)]
        if family == "integer":
            choices += [(f"bit_or({sql})", shown.type), (f"stddev_pop({sql})", "numeric")]
        if family == "float":
            choices += [(f"sum({sql})", shown.type)]
        if family == "boolean":
            choices += [(f"bool_and({sql})", "boolean"), (f"every({sql})", "boolean")]
        if family in SORTABLE:
            choices += [(f"min({sql})", shown.type), (f"max({sql})", shown.type)] * 2
        if family == "text":
            choices.append((f"string_agg({sql}, ',' ORDER BY {sql})", "text"))
            choices.append((f"string_agg(DISTINCT {sql}, ',')", "text"))
        if family in SORTABLE and family != "text":
            choices.append((f"percentile_disc(0.5) WITHIN GROUP (ORDER BY {sql})", shown.type))
            choices.append(
                (f"rank({self.literal(family)}) WITHIN GROUP (ORDER BY {sql})", "bigint")
            )
        choices += self.aggregates_in_order(shown, source)
        aggregate, type_ = self.random.choice(choices)
        if self.chance(0.2) and not aggregate.startswith("COALESCE"):
            self.note("filter")
            aggregate += f" FILTER (WHERE {self.predicate(source.fields, (), 0)})"
        return aggregate, type_

    def aggregates_in_order(self, shown: Field, source: Joined) -> list[tuple[str, str]]:
        """Write the aggregates whose value depends on the order of the rows."""
        if source.key is None:
            return []
        sql = shown.sql
        keys = ", ".join(each.sql for each in source.key) or "1"
        choices = [(f"jsonb_agg({sql} ORDER BY {keys})", "jsonb")]
        if shown.family in COMPARABLE:
            choices.append((f"array_agg({sql} ORDER BY {sql} DESC, {keys})", "array"))
        if shown.family == "text":
            call = f"jsonb_object_agg(COALESCE({sql}, '~'), 1 ORDER BY {keys})"
            choices.append((call, "jsonb"))
        if self.chance(0.05):
            self.note("open order")
            choices.append((f"array_agg({sql})", "array"))
        return choices

    def aggregate_value(
        self, source: Joined, outer: Sequence[Field], plain: Sequence[Field], depth: int
    ) -> tuple[str, str]:
        """Write an output of a SELECT with groups."""
        sql, type_ = self.aggregate(source)
        kind = self.weighted(
            aggregate=60, arithmetic=8, coalesced=8, sublink=14 * (depth > 0 and bool(plain))
        )
        if kind == "sublink":
            self.note("sublink over group")
            return self.scalar(plain, (), depth - 1)
        if kind == "arithmetic" and FAMILIES.get(type_) in ("integer", "numeric"):
            return f"{sql} + count(*)", "numeric"
        if kind == "coalesced" and FAMILIES.get(type_) in ABSENT:
            return f"COALESCE({sql}, {ABSENT[FAMILIES[type_]]})", type_
        return sql, type_

    def having(
        self, source: Joined, outer: Sequence[Field], plain: Sequence[Field], depth: int
    ) -> str:
        self.note("having")
        kind = self.weighted(count=50, null=20, sublink=20 * (depth > 0 and bool(plain)), field=10)
        if kind == "sublink":
            self.note("having sublink")
            operator = self.random.choice(["EXISTS", "NOT EXISTS"])
            return f"{operator} ({self.exists_query(plain, (), depth - 1)})"
        if kind == "field" and plain:
            return self.compare(self.random.choice(plain))
        if kind == "null":
            sql, _ = self.aggregate(source)
            return f"{sql} IS {self.random.choice(['', 'NOT '])}NULL"
        operator = self.random.choice([">", ">", "<", "="])
        return f"count(*) {operator} {self.random.randint(0, 3)}"
