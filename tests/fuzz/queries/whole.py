"""Whole queries."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.fuzz.schema import quote

from .choices import Choices
from .parts import ABSENT, Field, Joined, Output, Select, joined_by_and

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class WholeQueries(Choices):
    """Writes whole queries."""

    def tview(self) -> Select:
        """Write a query that has a key."""
        while True:
            self.features.clear()
            self._aliases = 0
            self._ctes = []
            self.depth = self.random.choice([1, 2, 2, 2, 2, 3, 3, 4])
            prefix = ""
            if self.chance(0.15):
                prefix = self.with_clause()
            select = self.select(
                self.weighted(
                    plain=44,
                    grouped=30,
                    one_row=6,
                    distinct=6,
                    distinct_on=4,
                    grouping_sets=4,
                    set_operation=6,
                    totals=14,
                    cards=10,
                ),
                outer=(),
                depth=self.depth,
                top=True,
            )
            if select.keyed and select.key:
                return replace(select, sql=prefix + select.sql)

    def view(self) -> Select:
        """Write the query of a helper view."""
        self.features.clear()
        self._aliases = 0
        self._ctes = []
        return self.derived(depth=1)

    def select(
        self, shape: str, *, outer: Sequence[Field], depth: int, top: bool = False
    ) -> Select:
        """Write one SELECT of a shape."""
        match shape:
            case "plain":
                return self.plain(outer, depth, top=top)
            case "grouped":
                return self.grouped(outer, depth)
            case "one_row":
                return self.one_row(outer, depth, top=top)
            case "distinct":
                return self.distinct(outer, depth)
            case "distinct_on":
                return self.distinct_on(outer, depth)
            case "grouping_sets":
                return self.grouping_sets(outer, depth)
            case "totals":
                return self.totals()
            case "cards":
                return self.cards()
            case "expanded":
                return self.expanded(outer, depth)
            case _:
                return self.set_operation(outer, depth)

    def derived(self, *, depth: int, outer: Sequence[Field] = ()) -> Select:
        """Write a query for FROM, WITH or a helper view."""
        shape = self.weighted(
            plain=40,
            grouped=35,
            distinct=8,
            distinct_on=4,
            one_row=8,
            set_operation=9,
            grouping_sets=2,
            expanded=4,
        )
        self.note(f"derived {shape}")
        return self.select(shape, outer=outer, depth=depth)

    def plain(self, outer: Sequence[Field], depth: int, *, top: bool) -> Select:
        self.note("plain")
        source = self.from_clause(depth, outer)
        where = self.where(source.fields, outer, depth)
        outputs = self.key_outputs(source.key or ())
        for _ in range(self.random.randint(1, 3)):
            sql, type_ = self.value(source.fields, outer, depth)
            outputs.append(self.output(outputs, sql, type_, source.fields))
        if len(source.key or ()) > 1 and self.chance(0.03):
            self.note("key that may come twice")
            outputs[0] = replace(outputs[0], in_key=False)
        windows = ""
        if self.chance(0.12):
            sql, type_, windows = self.window(source)
            outputs.append(self.output(outputs, sql, type_, ()))
        order = windows
        if top and self.chance(0.03) and source.key:
            self.note("top-level order")
            order += f" ORDER BY {', '.join(key.sql for key in source.key)}"
            if self.chance(0.4):
                self.note("top-level limit")
                order += f" LIMIT {self.random.randint(1, 5)}"
        return self.finish(outputs, source, where, order, keyed=source.key is not None)

    def grouped(self, outer: Sequence[Field], depth: int) -> Select:
        self.note("grouped")
        source = self.from_clause(depth, outer)
        conditions = self.conditions(source.fields, outer, depth)
        groups: list[tuple[str, str]] = []
        plain: list[Field] = []
        outputs: list[Output] = []
        for _ in range(self.random.choice([1, 1, 1, 2, 2, 3])):
            found = self.group(source.fields, outer, conditions)
            if found is None or found[0] in [sql for sql, _ in groups]:
                continue
            sql, type_, shown = found
            groups.append((sql, type_))
            outputs.append(
                self.output(outputs, sql, type_, source.fields, in_key=True, nullable=False)
            )
            if shown is not None:
                plain.append(shown)
        if not groups:
            return self.one_row(outer, depth, top=False)
        if self.chance(0.15):
            outputs += self.dependent(outputs, source, groups, plain)
        for _ in range(self.random.randint(1, 3)):
            sql, type_ = self.aggregate_value(source, outer, plain, depth)
            outputs.append(self.output(outputs, sql, type_, ()))
        if plain and self.chance(0.06):
            self.note("window over groups")
            by_sql = ", ".join(sql for sql, _ in groups)
            sql = f"rank() OVER (PARTITION BY {plain[0].sql} ORDER BY count(*), {by_sql})"
            outputs.append(self.output(outputs, sql, "bigint", ()))
        by = [self.group_reference(outputs, place, sql) for place, (sql, _) in enumerate(groups)]
        tail = f" GROUP BY {', '.join(by)}"
        if self.chance(0.3):
            tail += f" HAVING {self.having(source, outer, plain, depth)}"
        where = joined_by_and(conditions)
        return self.finish(outputs, source, where, tail)

    def dependent(
        self,
        outputs: list[Output],
        source: Joined,
        groups: list[tuple[str, str]],
        plain: list[Field],
    ) -> list[Output]:
        """Group by a table's primary key, too, and show a column that depends on it."""
        tables = {each.name: each for each in self.relations if each.foreign_keys or each.key}
        for shown in source.fields:
            relation = tables.get(shown.origin[0]) if shown.origin else None
            if relation is None or shown.nullable or relation.key != (shown.origin or ("", ""))[1:]:
                continue
            if relation.name[:3] in ("tv_", "hv_"):
                continue
            prefix = shown.sql.rsplit(".", 1)[0]
            others = [
                each
                for each in source.fields
                if each.sql.rsplit(".", 1)[0] == prefix
                and each.origin is not None
                and each.origin[0] == relation.name
                and each != shown
            ]
            if not others or shown.sql in [sql for sql, _ in groups]:
                continue
            self.note("functional dependency")
            groups.append((shown.sql, shown.type))
            key = self.output(outputs, shown.sql, shown.type, (shown,), in_key=True, nullable=False)
            outputs.insert(len(groups) - 1, key)
            other = self.random.choice(others)
            plain.append(other)
            return [self.output(outputs, other.sql, other.type, (other,))]
        return []

    def group_reference(self, outputs: list[Output], place: int, sql: str) -> str:
        return str(place + 1) if self.chance(0.2) else sql

    def one_row(self, outer: Sequence[Field], depth: int, *, top: bool) -> Select:
        self.note("one row")
        source = self.from_clause(depth, outer)
        where = self.where(source.fields, outer, depth)
        outputs: list[Output] = []
        if top:
            outputs.append(Output("id", "1", "integer", in_key=True, nullable=False))
        for _ in range(self.random.randint(1, 3)):
            sql, type_ = self.aggregate_value(source, outer, (), depth)
            outputs.append(self.output(outputs, sql, type_, ()))
        tail = ""
        if self.chance(0.15):
            tail = f" HAVING {self.having(source, outer, (), depth)}"
        return self.finish(outputs, source, where, tail)

    def distinct(self, outer: Sequence[Field], depth: int) -> Select:
        self.note("distinct")
        source = self.from_clause(depth, outer)
        where = self.where(source.fields, outer, depth)
        outputs: list[Output] = []
        for _ in range(self.random.choice([1, 2, 2, 3])):
            shown = self.random.choice(self.comparable(source.fields) or source.fields)
            outputs.append(
                self.output(
                    outputs,
                    self.not_null(shown),
                    shown.type,
                    source.fields,
                    in_key=True,
                    nullable=False,
                )
            )
        select = self.finish(outputs, source, where, "")
        return replace(select, sql=select.sql.replace("SELECT", "SELECT DISTINCT", 1))

    def distinct_on(self, outer: Sequence[Field], depth: int) -> Select:
        """Write the first row of each group."""
        self.note("distinct on")
        source = self.keyed_from(depth, outer)
        where = self.where(source.fields, outer, depth)
        outputs: list[Output] = []
        groups = self.comparable(source.fields) or list(source.fields)
        for shown in self.random.sample(groups, min(len(groups), self.random.choice([1, 1, 2]))):
            sql = self.not_null(shown)
            outputs.append(
                self.output(outputs, sql, shown.type, source.fields, in_key=True, nullable=False)
            )
        by = [output.sql for output in outputs]
        for _ in range(self.random.randint(1, 2)):
            sql, type_ = self.value(source.fields, outer, depth)
            outputs.append(self.output(outputs, sql, type_, source.fields))
        order = ", ".join([*by, *self.total_order(source)])
        select = self.finish(outputs, source, where, f" ORDER BY {order}")
        head = f"SELECT DISTINCT ON ({', '.join(by)})"
        return replace(select, sql=select.sql.replace("SELECT", head, 1))

    def grouping_sets(self, outer: Sequence[Field], depth: int) -> Select:
        """Write several groupings at once, told apart by GROUPING."""
        self.note("grouping sets")
        source = self.from_clause(depth, outer)
        conditions = self.conditions(source.fields, outer, depth)
        found = self.comparable(source.fields)
        if not found:
            return self.one_row(outer, depth, top=False)
        groups = [
            each.sql
            for each in self.random.sample(found, min(len(found), self.random.choice([1, 2])))
        ]
        shown = [each for sql in groups for each in found if each.sql == sql]
        outputs: list[Output] = []
        for each in dict.fromkeys(shown):
            sql = f"GROUPING({each.sql})"
            outputs.append(self.output(outputs, sql, "integer", (), in_key=True, nullable=False))
            sql = f"COALESCE({each.sql}, {ABSENT[each.family]})"
            outputs.append(self.output(outputs, sql, each.type, (), in_key=True, nullable=False))
            if each.nullable:
                conditions.append(f"{each.sql} IS NOT NULL")
        for _ in range(self.random.randint(1, 2)):
            sql, type_ = self.aggregate_value(source, outer, (), depth)
            outputs.append(self.output(outputs, sql, type_, ()))
        listed = ", ".join(groups)
        sets = ", ".join(f"({sql})" for sql in groups)
        tail = self.random.choice(
            [f"ROLLUP ({listed})", f"CUBE ({listed})", f"GROUPING SETS ({sets}, ())"]
        )
        return self.finish(outputs, source, joined_by_and(conditions), f" GROUP BY {tail}")

    def expanded(self, outer: Sequence[Field], depth: int) -> Select:
        """Write a row for each element of a column, by a function in the select list."""
        source = self.from_clause(depth, outer)
        calls = self.expansions(source.fields)
        if not calls:
            return self.plain(outer, depth, top=False)
        self.note("function in the select list")
        where = self.where(source.fields, outer, depth)
        outputs = self.key_outputs(source.key or ())
        sql, type_ = self.random.choice(calls)
        outputs.append(self.output(outputs, sql, type_, ()))
        return self.finish(outputs, source, where, "", keyed=False)

    def finish(
        self,
        outputs: list[Output],
        source: Joined,
        where: str,
        tail: str,
        *,
        keyed: bool = True,
    ) -> Select:
        listed = ", ".join(f"{output.sql} AS {quote(output.name)}" for output in outputs)
        return Select(f"SELECT {listed} FROM {source.sql}{where}{tail}", outputs, keyed)

    def output(
        self,
        outputs: Sequence[Output],
        sql: str,
        type_: str,
        fields: Iterable[Field],
        *,
        in_key: bool = False,
        nullable: bool = True,
    ) -> Output:
        name = f"c{len(outputs) + 1}"
        if self.chance(0.04):
            name = self.random.choice(["key_1", "Key", "order", "inserted", "image"])
            if name in [output.name for output in outputs]:
                name = f"c{len(outputs) + 1}"
        origin = next((each.origin for each in fields if each.sql == sql), None)
        return Output(name, sql, type_, in_key, origin, nullable)

    def key_outputs(self, key: Sequence[Field]) -> list[Output]:
        outputs: list[Output] = []
        for each in key:
            sql = self.not_null(each)
            outputs.append(self.output(outputs, sql, each.type, key, in_key=True, nullable=False))
        return outputs

    def not_null(self, shown: Field) -> str:
        """Write a field so that it cannot be NULL."""
        if not shown.nullable or shown.family not in ABSENT:
            return shown.sql
        if self.chance(0.02):
            return shown.sql
        return f"COALESCE({shown.sql}, {ABSENT[shown.family]})"
