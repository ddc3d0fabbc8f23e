"""Expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz.schema import FAMILIES, SORTABLE

from .choices import Choices
from .parts import ABSENT, Field

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Values(Choices):
    """Writes expressions."""

    def comparable(self, fields: Iterable[Field]) -> list[Field]:
        return [each for each in fields if each.family in ABSENT and each.family != "boolean"]

    def sortable(self, fields: Iterable[Field]) -> list[Field]:
        found = [each for each in fields if each.family in SORTABLE]
        self.random.shuffle(found)
        return found

    def value(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> tuple[str, str]:
        """Write an expression; return it with its type."""
        kind = self.weighted(
            field=40, computed=25, document=6, predicate=6, case=6, scalar=20 * (depth > 0)
        )
        shown = self.random.choice(fields)
        match kind:
            case "computed":
                return self.computed(shown, fields)
            case "document":
                self.note("json document")
                others = self.random.sample(list(fields), min(2, len(fields)))
                parts = ", ".join(f"'{place}', {each.sql}" for place, each in enumerate(others))
                return f"jsonb_build_object({parts})", "jsonb"
            case "predicate":
                return f"({self.predicate(fields, outer, depth - 1)})", "boolean"
            case "case":
                self.note("case")
                sql = f"CASE WHEN {self.predicate(fields, outer, depth - 1)} THEN {shown.sql}"
                return f"{sql} END", shown.type
            case "scalar":
                sql, type_ = self.scalar(fields, outer, depth - 1)
                if self.chance(0.3) and FAMILIES.get(type_) in ABSENT:
                    sql = f"COALESCE({sql}, {ABSENT[FAMILIES[type_]]})"
                return sql, type_
        return shown.sql, shown.type

    def computed(self, shown: Field, fields: Sequence[Field]) -> tuple[str, str]:
        sql = shown.sql
        match shown.family:
            case "integer" if self.chance(0.05):
                self.note("division")
                return f"6 / ({sql} - 5)", "integer"
            case "integer":
                return self.random.choice(
                    [
                        (f"{sql} + 1", shown.type),
                        (f"{sql} % 2", shown.type),
                        (f"COALESCE({sql}, 0)", shown.type),
                        (f"{sql}::text", "text"),
                        (f"NULLIF({sql}, 2)", shown.type),
                        (f"GREATEST({sql}, 2)", shown.type),
                        (f"LEAST({sql}, {self.literal('integer')}, 4)", shown.type),
                        (f"abs({sql})", shown.type),
                        (f"make_interval(days => {sql})", "interval"),
                    ]
                )
            case "text":
                return self.random.choice(
                    [
                        (f"upper({sql})", "text"),
                        (f"{sql} || '-'", "text"),
                        (f"length({sql})", "integer"),
                        (f"COALESCE({sql}, 'none')", "text"),
                        (f"concat({sql}, '/')", "text"),
                        (f'{sql} COLLATE "C"', "text"),
                    ]
                )
            case "numeric":
                return self.random.choice(
                    [(f"{sql} * 2", "numeric"), (f"round({sql}, 1)", "numeric")]
                )
            case "time":
                return self.random.choice(
                    [
                        (f"{sql}::date", "date"),
                        (f"{sql}::text", "text"),
                        (f"date_trunc('day', {sql})", shown.type),
                    ]
                )
            case "date":
                return f"{sql} + 1", "date"
            case "integers" | "texts":
                element = "integer" if shown.family == "integers" else "text"
                return self.random.choice(
                    [
                        (f"cardinality({sql})", "integer"),
                        (f"{sql}[1]", element),
                        (f"{sql}[2:3]", shown.type),
                        (f"array_to_string({sql}, '/')", "text"),
                        (f"{sql} || {sql}", shown.type),
                        (f"ARRAY[{sql}[1], {self.literal(element)}]", shown.type),
                    ]
                )
            case "range":
                return self.random.choice(
                    [(f"lower({sql})", "integer"), (f"{sql} * int4range(2, 5)", shown.type)]
                )
            case "mood":
                return self.random.choice(
                    [(f"{sql}::text", "text"), (f"{sql} > 'sad'::mood", "boolean")]
                )
            case "json":
                return self.random.choice([(f"{sql} ->> 'k'", "text"), (f"{sql}::text", "text")])
            case "jsonb":
                return self.random.choice([(f"{sql} -> 'k'", "jsonb"), (f"{sql} ->> 'k'", "text")])
        return sql, shown.type
