"""FROM: relations, joins, subqueries beside them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.fuzz.schema import COMPARABLE, ELEMENTS, Relation, quote

from .choices import Choices
from .parts import Field, Joined, joined_by_and, relation_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class FromItems(Choices):
    """Writes FROM clauses."""

    def from_clause(
        self, depth: int, outer: Sequence[Field], *, most: int = 4, lateral: bool = True
    ) -> Joined:
        """Write a FROM clause of one to ``most`` items."""
        joined = self.item(depth, outer)
        for _ in range(self.random.choice([0, 0, 1, 1, 1, 2, 2, 3][: most * 2])):
            joined = self.join(joined, depth, outer)
        return joined

    def item(self, depth: int, outer: Sequence[Field]) -> Joined:
        """Write one FROM item that does not depend on others."""
        kind = self.weighted(
            relation=80,
            derived=12 if depth > 0 else 0,
            cte=20 * bool(self._ctes),
            values=2,
        )
        alias = self.alias()
        if kind == "values":
            return self.values_item(alias)
        if kind == "derived":
            select = self.derived(depth=depth - 1)
            return self.shown(f"({select.sql}) {quote(alias)}", alias, relation_of(alias, select))
        tables = [each for each in self.relations if each.name[:3] not in ("tv_", "hv_")]
        relation = self.random.choice(
            self._ctes if kind == "cte" else tables if self.chance(0.55) else self.relations
        )
        if not any(each.name == relation.name for each in self._ctes):
            if relation.name.startswith("tv_"):
                self.note("tview on tview")
            if relation.name.startswith("hv_"):
                self.note("helper view")
        if kind == "relation" and any(each.name == relation.name for each in self._ctes):
            relation = next(each for each in self._ctes if each.name == relation.name)
        return self.shown(f"{quote(relation.name)} {quote(alias)}", alias, relation)

    def shown(self, sql: str, alias: str, relation: Relation) -> Joined:
        """Show a relation under an alias, sometimes with its columns renamed."""
        names = [column.name for column in relation.columns]
        if self.chance(0.04):
            self.note("column aliases")
            names[0] = "renamed"
            sql += f" ({quote(names[0])})"
        fields = tuple(
            Field(f"{quote(alias)}.{quote(name)}", column.type, column.nullable, column.origin)
            for name, column in zip(names, relation.columns, strict=True)
        )
        key = None
        if relation.key is not None:
            places = [
                [column.name for column in relation.columns].index(name) for name in relation.key
            ]
            key = tuple(fields[place] for place in places)
        return Joined(sql, fields, key)

    def join(self, left: Joined, depth: int, outer: Sequence[Field]) -> Joined:
        """Join one more item, or a join in parentheses."""
        kind = self.weighted(
            inner=34, left=38, right=7, full=5, cross=3, lateral=8, using=4, function=5
        )
        if kind == "function":
            expanded = self.join_function(left)
            if expanded is not None:
                return expanded
        if kind == "lateral" and depth > 0:
            return self.lateral(left, depth, outer)
        right = self.item(depth, outer)
        if kind in ("inner", "left") and self.chance(0.1):
            self.note("nested join")
            right = self.join_of(right, self.item(depth, outer), "LEFT JOIN", depth, outer)
            right = replace(right, sql=f"({right.sql})", single=False)
        if kind == "cross":
            self.note("cross join")
            key = None if left.key is None or right.key is None else left.key + right.key
            return Joined(
                f"{left.sql} CROSS JOIN {right.sql}", left.fields + right.fields, key, single=False
            )
        if kind == "using":
            joined = self.join_using(left, right)
            if joined is not None:
                return joined
        operator = {"left": "LEFT JOIN", "right": "RIGHT JOIN", "full": "FULL JOIN"}.get(
            kind, "JOIN"
        )
        return self.join_of(left, right, operator, depth, outer)

    def keyed_from(self, depth: int, outer: Sequence[Field], *, most: int = 4) -> Joined:
        """Write a FROM clause whose rows have a key."""
        while True:
            joined = self.from_clause(depth, outer, most=most)
            if joined.key is not None:
                return joined
            depth = 0

    def values_item(self, alias: str) -> Joined:
        """Write VALUES as a relation."""
        self.note("values")
        numbers = self.random.sample(range(1, 6), self.random.choice([1, 2, 3]))
        rows = ", ".join(f"({number}, {self.literal('text')})" for number in numbers)
        fields = (
            Field(f"{quote(alias)}.v1", "integer", True),
            Field(f"{quote(alias)}.v2", "text", True),
        )
        return Joined(f"(VALUES {rows}) {quote(alias)} (v1, v2)", fields, fields[:1])

    def expansions(self, fields: Iterable[Field]) -> list[tuple[str, str]]:
        """Write the functions that make several rows of a field; return them with the type."""
        found = []
        for each in fields:
            sql = each.sql
            match each.family:
                case "integers" | "texts":
                    found.append((f"unnest({sql})", ELEMENTS[each.family]))
                case "jsonb":
                    array = f"CASE WHEN jsonb_typeof({sql}) = 'array' THEN {sql} ELSE '[]' END"
                    found.append((f"jsonb_array_elements({array})", "jsonb"))
                    found.append((f"jsonb_array_elements_text({array})", "text"))
                case "integer":
                    found.append((f"generate_series(1, {sql} % 4)", "integer"))
                case "text":
                    found.append((f"regexp_split_to_table({sql}, '')", "text"))
                    found.append((f"unnest(string_to_array({sql}, 't'))", "text"))
        return found

    def join_function(self, left: Joined) -> Joined | None:
        """Join the rows that a function makes of a row."""
        calls = self.expansions(left.fields)
        if not calls:
            return None
        self.note("function in from")
        alias = self.alias()
        name = quote(alias)
        call, type_ = self.random.choice(calls)
        shown = [Field(f"{name}.v", type_, True)]
        text, key = f"{call} AS {name} (v)", None
        if call.startswith("generate_series") and self.chance(0.7):
            key = shown[0]
        elif self.chance(0.6):
            self.note("with ordinality")
            text = f"{call} WITH ORDINALITY AS {name} (v, n)"
            key = Field(f"{name}.n", "bigint", False)
            shown.append(key)
        operator = self.random.choice([" CROSS JOIN LATERAL", " LEFT JOIN LATERAL", ",", " JOIN"])
        if operator == "," and not left.single:
            operator = " CROSS JOIN"
        on = " ON true" if operator in (" LEFT JOIN LATERAL", " JOIN") else ""
        right = Joined(text, tuple(shown), (key,) if key is not None else None)
        joining = "LEFT JOIN" if "LEFT" in operator else "JOIN"
        return self.combined(f"{left.sql}{operator} {text}{on}", left, right, joining, set())

    def join_of(
        self, left: Joined, right: Joined, operator: str, depth: int, outer: Sequence[Field]
    ) -> Joined:
        self.note(operator.lower())
        equated, conditions = self.join_pairs(left.fields, right.fields)
        if not conditions and operator == "FULL JOIN":
            operator = "LEFT JOIN"
        if operator != "FULL JOIN" and (not conditions or self.chance(0.15)):
            extra = self.predicate((*left.fields, *right.fields), outer, min(depth, 1))
            conditions.append(extra)
        sql = f"{left.sql} {operator} {right.sql} ON {' AND '.join(conditions)}"
        return self.combined(sql, left, right, operator, equated)

    def join_using(self, left: Joined, right: Joined) -> Joined | None:
        """Join by columns of one name, where no others have it."""

        def names(joined: Joined) -> dict[str, list[Field]]:
            found: dict[str, list[Field]] = {}
            for each in joined.fields:
                found.setdefault(each.sql.rsplit(".", 1)[-1], []).append(each)
            return found

        lefts, rights = names(left), names(right)
        common = [
            name
            for name in lefts
            if len(lefts[name]) == len(rights.get(name, ())) == 1
            and lefts[name][0].family == rights[name][0].family in COMPARABLE
        ]
        if not common:
            return None
        self.note("using")
        name = self.random.choice(common)
        operator = self.random.choice(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
        sql = f"{left.sql} {operator} {right.sql} USING ({name})"
        joined = self.combined(sql, left, right, operator, {rights[name][0].sql})
        if self.chance(0.5):
            merged = Field(name, lefts[name][0].type, True, lefts[name][0].origin)
            joined = replace(joined, fields=(*joined.fields, merged))
        return joined

    def combined(
        self, sql: str, left: Joined, right: Joined, operator: str, equated: set[str]
    ) -> Joined:
        """What a join shows and what identifies its rows."""
        lefts_may_miss = operator in ("RIGHT JOIN", "FULL JOIN")
        rights_may_miss = operator in ("LEFT JOIN", "FULL JOIN")
        one = (
            right.single
            and right.key is not None
            and {each.sql for each in right.key} <= equated
            and not lefts_may_miss
        )

        def hidden(fields: Iterable[Field], may_miss: bool) -> tuple[Field, ...]:
            return tuple(
                replace(each, nullable=each.nullable or may_miss) if may_miss else each
                for each in fields
            )

        key: tuple[Field, ...] | None = None
        if left.key is not None and (one or right.key is not None):
            key = hidden(left.key, lefts_may_miss)
            if not one and right.key is not None:
                key += hidden(right.key, rights_may_miss)
        fields = hidden(left.fields, lefts_may_miss) + hidden(right.fields, rights_may_miss)
        return Joined(sql, fields, key, single=False)

    def lateral(self, left: Joined, depth: int, outer: Sequence[Field]) -> Joined:
        """Join a subquery that reads the items before it."""
        self.note("lateral")
        alias = self.alias()
        around = (*left.fields, *outer)
        kind = self.weighted(limit=45, one_row=35, any=20)
        single_row = True
        if kind == "limit":
            self.note("lateral limit")
            source = self.from_clause(0, around, most=2)
            while source.key is None:
                source = self.from_clause(0, around, most=1)
            conditions = self.correlation(source.fields, around)
            if self.chance(0.4):
                conditions.append(self.predicate(source.fields, around, 0))
            outputs = self.key_outputs(source.key)
            sql, type_ = self.value(source.fields, (), 0)
            outputs.append(self.output(outputs, sql, type_, source.fields))
            orders = [
                f"{each.sql}{self.random.choice(['', ' DESC', ' DESC NULLS LAST'])}"
                for each in self.sortable(source.fields)[:1]
            ]
            orders += [each.sql for each in source.key]
            limit = self.random.choice([1, 1, 2])
            single_row = limit == 1
            offset = " OFFSET 1" if self.chance(0.15) else ""
            where = joined_by_and(conditions)
            select = self.finish(
                outputs, source, where, f" ORDER BY {', '.join(orders)} LIMIT {limit}{offset}"
            )
        elif kind == "one_row":
            self.note("lateral one row")
            source = self.from_clause(0, around, most=2)
            conditions = self.correlation(source.fields, around)
            if self.chance(0.4):
                conditions.append(self.predicate((*source.fields, *around), (), 0))
            outputs = []
            for _ in range(self.random.randint(1, 2)):
                sql, type_ = self.aggregate(source)
                outputs.append(self.output(outputs, sql, type_, ()))
            where = joined_by_and(conditions)
            select = self.finish(outputs, source, where, "")
        else:
            select = self.derived(depth=0, outer=around)
            single_row = not select.key and select.keyed
        shown = self.shown(f"({select.sql}) {quote(alias)}", alias, relation_of(alias, select))
        operator = self.random.choice(["LEFT JOIN", "CROSS JOIN", "JOIN"])
        sql = f"{left.sql} {operator} LATERAL {shown.sql}"
        if operator != "CROSS JOIN":
            condition = "true"
            if self.chance(0.2):
                condition = self.predicate((*left.fields, *shown.fields), outer, 0)
            sql += f" ON {condition}"
        equated = {each.sql for each in shown.key or ()} if single_row else set[str]()
        return self.combined(
            sql, left, shown, "JOIN" if operator == "CROSS JOIN" else operator, equated
        )

    def pairs(self, lefts: Iterable[Field], rights: Iterable[Field]) -> list[tuple[Field, Field]]:
        """Fields that can be compared, those that a foreign key ties more often."""
        rights = list(rights)
        found: list[tuple[Field, Field]] = []
        for left in lefts:
            for right in rights:
                if left.family != right.family or left.family not in COMPARABLE:
                    continue
                found += [(left, right)] * (60 if self.related(left, right) else 1)
        return found

    def related(self, first: Field, second: Field) -> bool:
        for one, other in ((first, second), (second, first)):
            for relation in self.relations:
                for key in relation.foreign_keys:
                    for column, target in zip(key.columns, key.targets, strict=True):
                        if one.origin == (relation.name, column) and other.origin == (
                            key.table,
                            target,
                        ):
                            return True
        return first.origin is not None and first.origin == second.origin

    def join_pairs(
        self, lefts: Sequence[Field], rights: Sequence[Field]
    ) -> tuple[set[str], list[str]]:
        """Choose a join condition; return the fields of the right that it fixes, and its text."""
        pairs = self.pairs(lefts, rights)
        if not pairs:
            return set(), []
        left, right = self.random.choice(pairs)
        if self.chance(0.05):
            self.note("join without equality")
            operator = self.random.choice(["<", ">=", "<>"])
            return set(), [f"{left.sql} {operator} {right.sql}"]
        chosen = [(left, right)]
        # The other columns of a foreign key, so that composite keys are joined as a whole.
        prefix = (left.sql.rsplit(".", 1)[0], right.sql.rsplit(".", 1)[0])
        for other in dict.fromkeys(pairs):
            if (
                (other[0].sql.rsplit(".", 1)[0], other[1].sql.rsplit(".", 1)[0]) == prefix
                and other[0].sql != left.sql
                and other[1].sql != right.sql
                and self.related(*other)
                and self.related(left, right)
                and self.chance(0.8)
            ):
                chosen.append(other)
                break
        conditions = [
            f"{one.sql} = {other.sql}" if self.chance(0.5) else f"{other.sql} = {one.sql}"
            for one, other in chosen
        ]
        return {other.sql for _, other in chosen}, conditions

    def correlation(self, inner: Sequence[Field], outer: Sequence[Field]) -> list[str]:
        """Write the conjuncts that tie a subquery to what is around it; rarely none."""
        if self.chance(0.06):
            self.note("uncorrelated")
            return []
        _, conditions = self.join_pairs(outer, inner)
        return conditions
