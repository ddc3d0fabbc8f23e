"""Window functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .choices import Choices

if TYPE_CHECKING:
    from .parts import Joined

# What they count or compare: rows in their order.
RANKS = ("row_number()", "rank()", "dense_rank()", "ntile(2)", "percent_rank()", "cume_dist()")
FRAMES = (
    "",
    "",
    " ROWS BETWEEN 1 PRECEDING AND CURRENT ROW",
    " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW",
    " RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
    " GROUPS BETWEEN CURRENT ROW AND 1 FOLLOWING",
)


class Windows(Choices):
    """Writes window functions."""

    def window(self, source: Joined) -> tuple[str, str, str]:
        """Write a call; return it with its type, and the WINDOW clause it needs."""
        self.note("window")
        parts = []
        fields = self.comparable(source.fields) or list(source.fields)
        if self.chance(0.85):
            chosen = self.random.sample(fields, min(len(fields), self.random.choice([1, 1, 2])))
            parts.append(f"PARTITION BY {', '.join(each.sql for each in chosen)}")
        else:
            self.note("window over everything")
        kind = self.weighted(rank=40, offset=20, aggregate=40)
        ordered = kind != "aggregate" or self.chance(0.5)
        if ordered:
            parts.append(f"ORDER BY {', '.join(self.total_order(source))}")
        frame = self.random.choice(FRAMES) if ordered else ""
        shown = self.random.choice(source.fields)
        match kind:
            case "rank":
                call, type_, frame = self.random.choice(RANKS), "bigint", ""
            case "offset":
                functions = ["lag({0})", "lead({0}, 2)", "first_value({0})", "nth_value({0}, 2)"]
                call, type_ = self.random.choice(functions).format(shown.sql), shown.type
            case _:
                call, type_ = self.random.choice(["count(*)", f"count({shown.sql})"]), "bigint"
                if shown.family in ("integer", "numeric") and self.chance(0.6):
                    call, type_ = f"sum({shown.sql})", "numeric"
                if self.chance(0.2):
                    call += f" FILTER (WHERE {self.compare(shown)})"
        specification = f"{' '.join(parts)}{frame}"
        if self.chance(0.2) and specification:
            self.note("named window")
            return f"{call} OVER w", type_, f" WINDOW w AS ({specification})"
        return f"{call} OVER ({specification})", type_, ""

    def total_order(self, source: Joined) -> list[str]:
        """Write an order of the rows of a FROM clause that leaves no two of them tied."""
        orders = [
            f"{each.sql}{self.random.choice(['', ' DESC', ' DESC NULLS LAST', ' NULLS FIRST'])}"
            for each in self.sortable(source.fields)[: self.random.choice([0, 1, 1])]
        ]
        return [*orders, *(each.sql for each in source.key or ())] or [source.fields[0].sql]
