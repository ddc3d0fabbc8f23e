"""UNION, INTERSECT, EXCEPT, and WITH."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz.schema import LITERALS, Column, Relation, quote

from .choices import Choices
from .parts import Joined, Output, Select, joined_by_and, relation_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .parts import Field

OPERATORS = ("UNION", "UNION", "UNION ALL", "EXCEPT", "INTERSECT", "EXCEPT ALL", "INTERSECT ALL")


class Sets(Choices):
    """Writes set operations and common table expressions."""

    def set_operation(self, outer: Sequence[Field], depth: int) -> Select:
        """Write a set operation of two or three branches."""
        self.note("set operation")
        if self.chance(0.3):
            select = self.labelled_union(outer, depth)
            if select is not None:
                return select
        first = self.from_clause(min(depth, 1), outer, most=2)
        choices = self.comparable(first.fields) or list(first.fields)
        columns = self.random.sample(choices, min(len(choices), self.random.choice([1, 1, 2])))
        branches = [self.branch(first, columns, outer)]
        for _ in range(self.random.choice([1, 1, 1, 2])):
            other = self.from_clause(min(depth, 1), outer, most=2)
            branches.append(self.branch(other, columns, outer))
        operators = self.random.choices(OPERATORS, k=len(branches) - 1)
        sql = branches[0]
        for place, (operator, branch) in enumerate(zip(operators, branches[1:], strict=True)):
            self.note(operator.lower())
            if place == 0:
                sql = f"{sql} {operator} {branch}"
                continue
            self.note("nested set operation")
            sql = self.random.choice([f"({sql}) {operator} {branch}", f"{sql} {operator} {branch}"])
        keyed = operators[-1] in ("UNION", "EXCEPT", "INTERSECT")
        if self.chance(0.05):
            self.note("limit of a set operation")
            order = ", ".join(str(place + 1) for place in range(len(columns)))
            sql = f"({sql}) ORDER BY {order} LIMIT 3"
        outputs = [
            Output(f"c{place}", "", column.type, in_key=keyed, nullable=False)
            for place, column in enumerate(columns, start=1)
        ]
        return Select(sql, outputs, keyed=keyed)

    def branch(self, source: Joined, like: Sequence[Field], outer: Sequence[Field]) -> str:
        """Write a branch with columns of given types."""
        values = []
        for place, column in enumerate(like, start=1):
            fields = [each for each in source.fields if each.family == column.family]
            if column in source.fields:
                fields = [column]
            value = self.not_null(self.random.choice(fields)) if fields else None
            if value is None:
                literal = self.literal(column.family) if column.family in LITERALS else "NULL"
                value = f"CAST({literal} AS {column.type})"
            values.append(f"{value} AS c{place}")
        return f"SELECT {', '.join(values)} FROM {source.sql}{self.where(source.fields, outer, 0)}"

    def labelled_union(self, outer: Sequence[Field], depth: int) -> Select | None:
        """Write UNION ALL of branches whose rows a constant tells apart."""
        sources = [self.keyed_from(min(depth, 1), outer, most=2) for _ in range(2)]
        keys = [source.key or () for source in sources]
        families = [[each.family for each in key] for key in keys]
        if families[0] != families[1] or not keys[0]:
            return None
        self.note("union all with a label")
        branches = []
        for label, (source, key) in enumerate(zip(sources, keys, strict=True)):
            columns = [f"'{'ab'[label]}' AS label"]
            columns += [f"{self.not_null(each)} AS c{n}" for n, each in enumerate(key, start=1)]
            number = self.of_family(source.fields, "integer")
            columns.append(f"{number.sql if number else 'NULL::integer'} AS v")
            where = joined_by_and(self.conditions(source.fields, outer, 0))
            branches.append(f"SELECT {', '.join(columns)} FROM {source.sql}{where}")
        outputs = [Output("label", "", "text", in_key=True, nullable=False)]
        outputs += [
            Output(f"c{n}", "", each.type, in_key=True, nullable=False)
            for n, each in enumerate(keys[0], start=1)
        ]
        return Select(" UNION ALL ".join(branches), [*outputs, Output("v", "", "integer")])

    def with_clause(self) -> str:
        """Write common table expressions, which the query that follows can read."""
        self.note("cte")
        parts = []
        for number in range(self.random.choice([1, 1, 2])):
            name = f"cte{number + 1}" if self.chance(0.8) else self.relations[0].name
            recursive = self.closure(name) if self.chance(0.1) else None
            if recursive is not None:
                parts.append(recursive[0])
                relation = recursive[1]
            else:
                select = self.derived(depth=max(self.depth - 1, 1))
                relation = relation_of(name, select)
                hint = self.random.choice(["", "", "MATERIALIZED ", "NOT MATERIALIZED "])
                parts.append(f"{quote(name)} AS {hint}({select.sql})")
            self._ctes = [each for each in self._ctes if each.name != name]
            self._ctes.append(relation)
        recursion = "RECURSIVE " if "recursive cte" in self.features else ""
        return f"WITH {recursion}{', '.join(parts)} "

    def closure(self, name: str) -> tuple[str, Relation] | None:
        """Write a recursive query: from each row all rows that its reference leads to."""
        for relation in self.relations:
            for key in relation.foreign_keys:
                if key.table != relation.name or len(key.columns) != 1 or name == relation.name:
                    continue
                self.note("recursive cte")
                start, up = quote(key.targets[0]), quote(key.columns[0])
                table, type_ = quote(relation.name), relation.column(key.columns[0]).type
                union = self.random.choice(["UNION", "UNION", "UNION ALL"])
                # A row may lead to itself: UNION ALL needs an end of its own.
                depth = ", 1 AS n" if union == "UNION ALL" else ""
                deeper = ", way.n + 1" if depth else ""
                end = " WHERE way.n < 3" if depth else ""
                listed = f" (a, b{', n' if depth else ''})" if self.chance(0.5) else ""
                sql = (
                    f"{quote(name)}{listed} AS "
                    f"(SELECT {start} AS a, {up} AS b{depth} FROM {table} {union} "
                    f"SELECT way.a, next.{up}{deeper} FROM {quote(name)} AS way "
                    f"JOIN {table} AS next ON next.{start} = way.b{end})"
                )
                columns = [Column("a", type_, False), Column("b", type_, True)]
                names = ("a", "b")
                if depth:
                    columns.append(Column("n", "integer", False))
                    names = ("a", "n")
                return sql, Relation(name, tuple(columns), names)
        return None
