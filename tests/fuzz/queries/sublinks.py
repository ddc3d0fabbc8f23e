"""Subqueries in expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz.schema import ELEMENTS

from .choices import Choices
from .parts import Field, joined_by_and

if TYPE_CHECKING:
    from collections.abc import Sequence


class Sublinks(Choices):
    """Writes subqueries in expressions."""

    def exists_query(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> str:
        around = (*fields, *outer)
        source = self.from_clause(max(depth, 0), around, most=2)
        conditions = self.correlation(source.fields, around)
        if self.chance(0.5):
            conditions.append(self.predicate(source.fields, around, depth))
        where = joined_by_and(conditions)
        tail = " LIMIT 1" if self.chance(0.15) else ""
        if self.chance(0.1):
            self.note("exists grouped")
            tail = f" GROUP BY {source.fields[0].sql} HAVING count(*) > 1" + tail
        return f"SELECT 1 FROM {source.sql}{where}{tail}"

    def scalar(
        self, fields: Sequence[Field], outer: Sequence[Field], depth: int
    ) -> tuple[str, str]:
        """Write a subquery of one value, most often an aggregate."""
        self.note("scalar sublink")
        around = (*fields, *outer)
        source = self.from_clause(max(depth, 0), around, most=2)
        conditions = self.correlation(source.fields, around)
        if self.chance(0.4):
            conditions.append(self.predicate((*source.fields, *around), (), depth))
        where = joined_by_and(conditions)
        kind = self.weighted(aggregate=70, array=12, limit=18)
        shown = self.random.choice(source.fields)
        if (
            kind == "array"
            and source.key is not None
            and shown.family
            not in (
                *ELEMENTS,
                "other",
            )
        ):
            self.note("array sublink")
            keys = ", ".join(each.sql for each in source.key) or "1"
            return f"ARRAY(SELECT {shown.sql} FROM {source.sql}{where} ORDER BY {keys})", "array"
        if kind == "limit" and source.key is not None:
            self.note("scalar limit")
            orders = [each.sql for each in (*self.sortable(source.fields)[:1], *source.key)]
            order = ", ".join(orders)
            if self.chance(0.3):
                self.note("distinct on")
                first = source.key[0].sql if source.key else "1"
                inner = (
                    f"SELECT DISTINCT ON ({first}) {shown.sql} AS v, {first} AS o "
                    f"FROM {source.sql}{where} ORDER BY {first}, {order}"
                )
                return f"(SELECT max(d.o::text || d.v::text) FROM ({inner}) d)", "text"
            sql = f"(SELECT {shown.sql} FROM {source.sql}{where} ORDER BY {order} LIMIT 1)"
            return sql, shown.type
        sql, type_ = self.aggregate(source)
        if self.chance(0.1):
            conditions_having = f" HAVING count(*) > {self.random.randint(0, 2)}"
            return f"(SELECT {sql} FROM {source.sql}{where}{conditions_having})", type_
        return f"(SELECT {sql} FROM {source.sql}{where})", type_
