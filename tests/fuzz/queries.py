"""A grammar of SELECT: what the compiler should keep, and some of what it should refuse.

A query is written from the inside out: FROM items, which may be queries themselves, then
predicates and outputs over the fields they show. The grammar knows which fields identify a row,
so that most queries have a key.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .schema import FAMILIES, LITERALS, Column, Relation, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from random import Random

# What stands for NULL in a key: a value that no row has.
ABSENT = {
    "integer": "-1",
    "text": "'~'",
    "numeric": "-1.00",
    "time": "'1900-01-01 00:00:00+00'::timestamptz",
    "date": "'1900-01-01'::date",
    "boolean": "false",
    "float": "(-1)::float8",
}

# Literals that a careless template would stumble over.
TRAPS = ("'$bulk$'", "'$function$'", "'@into@'", "'@{table}'", "'100%'", "'%s'", r"'a\b'")

SORTABLE = ("integer", "text", "numeric", "time", "date", "float")


@dataclass(frozen=True)
class Field:
    """A column that an expression can name."""

    sql: str
    type: str
    nullable: bool
    origin: tuple[str, str] | None = None

    @property
    def family(self) -> str:
        return FAMILIES.get(self.type, "other")


@dataclass(frozen=True)
class Joined:
    """Part of a FROM clause.

    Attributes:
        sql: its text.
        fields: the columns it shows.
        key: those that identify a row; None if none do.
        single: it is one item, whose key is worth comparing with a join condition.
    """

    sql: str
    fields: tuple[Field, ...]
    key: tuple[Field, ...] | None
    single: bool = True


@dataclass(frozen=True)
class Output:
    """An output column of a query."""

    name: str
    sql: str
    type: str
    in_key: bool = False
    origin: tuple[str, str] | None = None
    nullable: bool = True


@dataclass
class Select:
    """A finished query."""

    sql: str
    outputs: list[Output]
    # It has a key, which the outputs marked so make up; without any of them there is one row.
    keyed: bool = True

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(output.name for output in self.outputs if output.in_key)


@dataclass
class QueryWriter:
    """Writes random queries over given relations.

    Attributes:
        random: where choices come from.
        relations: what can be read.
        features: what the queries written since it was emptied are made of.
    """

    random: Random
    relations: list[Relation]
    features: set[str] = field(default_factory=set)
    _aliases: int = 0
    _ctes: list[Relation] = field(default_factory=list)

    # Choices

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def weighted(self, **weights: float) -> str:
        return self.random.choices(list(weights), list(weights.values()))[0]

    def alias(self) -> str:
        self._aliases += 1
        if self.chance(0.03):
            return self.random.choice(["Alias", "delta", "matched_or_not", "tview", "query"]) + str(
                self._aliases
            )
        return f"t{self._aliases}"

    def note(self, feature: str) -> None:
        self.features.add(feature)

    # Whole queries

    def tview(self) -> Select:
        """Write a query that has a key."""
        while True:
            self.features.clear()
            self._aliases = 0
            self._ctes = []
            prefix = ""
            if self.chance(0.15):
                prefix = self.with_clause()
            select = self.select(
                self.weighted(plain=48, grouped=35, one_row=6, distinct=8, set_operation=3),
                outer=(),
                depth=2,
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

    def with_clause(self) -> str:
        self.note("cte")
        parts = []
        for number in range(self.random.choice([1, 1, 2])):
            select = self.derived(depth=1)
            name = f"cte{number + 1}" if self.chance(0.8) else self.relations[0].name
            hint = self.random.choice(["", "", "MATERIALIZED ", "NOT MATERIALIZED "])
            parts.append(f"{quote(name)} AS {hint}({select.sql})")
            self._ctes = [each for each in self._ctes if each.name != name]
            self._ctes.append(relation_of(name, select))
        return f"WITH {', '.join(parts)} "

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
            case _:
                return self.set_operation(outer, depth)

    def derived(self, *, depth: int, outer: Sequence[Field] = ()) -> Select:
        """Write a query for FROM, WITH or a helper view."""
        shape = self.weighted(plain=40, grouped=35, distinct=10, one_row=8, set_operation=7)
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
        order = ""
        if top and self.chance(0.03) and source.key:
            self.note("top-level order")
            order = f" ORDER BY {', '.join(key.sql for key in source.key)}"
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

    def set_operation(self, outer: Sequence[Field], depth: int) -> Select:
        self.note("set operation")
        operator = self.random.choice(["UNION", "UNION", "UNION ALL", "EXCEPT", "INTERSECT"])
        first = self.from_clause(min(depth, 1), outer, most=1)
        second = self.from_clause(min(depth, 1), outer, most=1)
        pairs = self.pairs(first.fields, second.fields)
        sides = [
            (each.sql, self.where(each.fields, outer, 0), shown)
            for each, shown in zip(
                (first, second),
                self.random.choice(pairs) if pairs else (first.fields[0], first.fields[0]),
                strict=True,
            )
        ]
        texts = [
            f"SELECT {self.not_null(shown)} AS c1 FROM {sql}{where}" for sql, where, shown in sides
        ]
        shown = sides[0][2]
        output = Output("c1", "", shown.type, in_key=operator != "UNION ALL", nullable=False)
        return Select(f" {operator} ".join(texts), [output], keyed=operator != "UNION ALL")

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

    # FROM

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
        kind = self.weighted(relation=80, derived=12 if depth > 0 else 0, cte=20 * bool(self._ctes))
        alias = self.alias()
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
        kind = self.weighted(inner=34, left=38, right=7, full=5, cross=3, lateral=8, using=4)
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
            and lefts[name][0].family == rights[name][0].family != "jsonb"
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

    # Join conditions and correlation

    def pairs(self, lefts: Iterable[Field], rights: Iterable[Field]) -> list[tuple[Field, Field]]:
        """Fields that can be compared, those that a foreign key ties more often."""
        rights = list(rights)
        found: list[tuple[Field, Field]] = []
        for left in lefts:
            for right in rights:
                if left.family != right.family or left.family in ("jsonb", "other", "boolean"):
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

    # Predicates

    def where(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> str:
        conditions = self.conditions(fields, outer, depth)
        return joined_by_and(conditions)

    def conditions(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> list[str]:
        conditions = self.correlation(fields, outer) if outer else []
        for _ in range(self.random.choice([0, 0, 0, 1, 1, 2])):
            conditions.append(self.predicate(fields, outer, depth))
        return conditions

    def predicate(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> str:
        """Write a condition."""
        kinds = {
            self._null_test: 18,
            self._columns: 10,
            self._either: 12,
            self._negation: 4,
            self._boolean: 6,
            self._distinction: 4,
            self._pattern: 4,
            self._in_list: 6,
            self._any_of_array: 2,
            self._between: 3,
            self._json_test: 4,
            self._case: 3,
            self._exists: 14 * (depth > 0),
            self._in_sublink: 10 * (depth > 0),
            self._scalar_test: 6 * (depth > 0),
        }
        if self.chance(0.7):
            chosen = self.random.choices(list(kinds), list(kinds.values()))[0]
            found = chosen(fields, outer, depth - 1)
            if found is not None:
                return found
        return self.compare(self.random.choice(fields))

    def _null_test(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> str:
        self.note("is null")
        negation = self.random.choice(["", "NOT ", "NOT "])
        return f"{self.random.choice(fields).sql} IS {negation}NULL"

    def _columns(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> str | None:
        pairs = self.pairs(fields, (*fields, *outer))
        if not pairs:
            return None
        left, right = self.random.choice(pairs)
        return f"{left.sql} {self.random.choice(['=', '<>', '<>', '<', '<='])} {right.sql}"

    def _either(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> str:
        self.note("or")
        sides = [self.predicate(fields, outer, depth) for _ in range(2)]
        operator = self.random.choice(["OR", "OR", "AND"])
        return f"({sides[0]} {operator} {sides[1]})"

    def _negation(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> str:
        self.note("not")
        return f"NOT ({self.predicate(fields, outer, depth)})"

    def _boolean(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> str | None:
        shown = self.of_family(fields, "boolean")
        if shown is None:
            return None
        return shown.sql + self.random.choice(["", " IS TRUE", " IS NOT TRUE", " = false"])

    def _distinction(
        self, fields: Sequence[Field], outer: Sequence[Field], depth: int
    ) -> str | None:
        pairs = self.pairs(fields, fields)
        if not pairs:
            return None
        self.note("is distinct from")
        left, right = self.random.choice(pairs)
        return f"{left.sql} IS {self.random.choice(['', 'NOT '])}DISTINCT FROM {right.sql}"

    def _pattern(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> str | None:
        shown = self.of_family(fields, "text")
        if shown is None:
            return None
        if self.chance(0.15):
            self.note("literal traps")
            return f"{shown.sql} <> {self.random.choice(TRAPS)}"
        return f"{shown.sql} {self.random.choice(['LIKE', 'ILIKE', 'NOT LIKE'])} 'a%'"

    def _in_list(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> str | None:
        shown = self.random.choice(fields)
        if shown.family not in LITERALS or shown.family == "jsonb":
            return None
        first, second = self.literal(shown.family), self.literal(shown.family)
        return f"{shown.sql} {self.random.choice(['IN', 'NOT IN'])} ({first}, {second})"

    def _any_of_array(
        self, fields: Sequence[Field], outer: Sequence[Field], depth: int
    ) -> str | None:
        pairs = self.pairs(fields, (*fields, *outer))
        if not pairs:
            return None
        self.note("= any (array)")
        tested, other = self.random.choice(pairs)
        return f"{tested.sql} = ANY (ARRAY[{other.sql}, {self.literal(tested.family)}])"

    def _between(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> str | None:
        shown = self.random.choice(fields)
        if shown.family not in SORTABLE:
            return None
        first, second = sorted(self.random.sample(LITERALS[shown.family], 2))
        return f"{shown.sql} BETWEEN {first} AND {second}"

    def _json_test(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> str | None:
        shown = self.of_family(fields, "jsonb")
        if shown is None:
            return None
        return self.random.choice([f"{shown.sql} ? 'k'", f"{shown.sql} ->> 'k' = '1'"])

    def _case(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> str:
        condition = self.predicate(fields, outer, 0)
        return f"CASE WHEN {condition} THEN {self.compare(self.random.choice(fields))} END"

    def _exists(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> str:
        operator = self.random.choice(["EXISTS", "EXISTS", "NOT EXISTS"])
        self.note(operator.lower())
        return f"{operator} ({self.exists_query(fields, outer, depth)})"

    def _in_sublink(
        self, fields: Sequence[Field], outer: Sequence[Field], depth: int
    ) -> str | None:
        around = (*fields, *outer)
        source = self.from_clause(max(depth, 0), around, most=2)
        pairs = self.pairs(fields, source.fields)
        if not pairs:
            return None
        tested, found = self.random.choice(pairs)
        operator = self.random.choice(["IN", "IN", "NOT IN"])
        self.note(f"{operator.lower()} sublink")
        conditions = []
        if self.chance(0.4):
            conditions.append(self.predicate(source.fields, around, depth))
        if self.chance(0.2):
            conditions += self.correlation(source.fields, around)
        inner = f"SELECT {found.sql} FROM {source.sql}{joined_by_and(conditions)}"
        if operator == "IN" and self.chance(0.15):
            return f"{tested.sql} = ANY ({inner})"
        return f"{tested.sql} {operator} ({inner})"

    def _scalar_test(
        self, fields: Sequence[Field], outer: Sequence[Field], depth: int
    ) -> str | None:
        sql, type_ = self.scalar(fields, outer, depth)
        family = FAMILIES.get(type_, "")
        if family not in SORTABLE:
            return None
        return f"{sql} {self.random.choice(['=', '>', '<='])} {self.literal(family)}"

    def of_family(self, fields: Sequence[Field], family: str) -> Field | None:
        """Choose a field of a family; None if there is none."""
        found = [each for each in fields if each.family == family]
        return self.random.choice(found) if found else None

    def compare(self, shown: Field) -> str:
        if shown.family == "boolean":
            return shown.sql
        if shown.family not in LITERALS or shown.family == "jsonb":
            return f"{shown.sql} IS NOT NULL"
        operator = self.random.choice(["=", "<>", "<>", "<", ">", ">="])
        return f"{shown.sql} {operator} {self.literal(shown.family)}"

    def literal(self, family: str) -> str:
        return self.random.choice(LITERALS[family])

    # Sublinks

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
        if kind == "array" and source.key is not None and shown.family in LITERALS:
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

    # Values

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
            case "integer":
                return self.random.choice(
                    [
                        (f"{sql} + 1", shown.type),
                        (f"{sql} % 2", shown.type),
                        (f"COALESCE({sql}, 0)", shown.type),
                        (f"{sql}::text", "text"),
                        (f"NULLIF({sql}, 2)", shown.type),
                        (f"GREATEST({sql}, 2)", shown.type),
                        (f"abs({sql})", shown.type),
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
            case "jsonb":
                return self.random.choice([(f"{sql} -> 'k'", "jsonb"), (f"{sql} ->> 'k'", "text")])
        return sql, shown.type

    # Groups and aggregates

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
        if family != "jsonb":
            choices.append((f"count(DISTINCT {sql})", "bigint"))
            choices.append((f"array_agg(DISTINCT {sql})", "array"))
        if family in ("integer", "numeric"):
            whole = "bigint" if shown.type == "integer" else "numeric"
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
        if source.key is not None:
            keys = ", ".join(each.sql for each in source.key) or "1"
            choices.append((f"jsonb_agg({sql} ORDER BY {keys})", "jsonb"))
            choices.append((f"array_agg({sql} ORDER BY {sql}, {keys})", "array"))
            if self.chance(0.05):
                self.note("open order")
                choices.append((f"array_agg({sql})", "array"))
        aggregate, type_ = self.random.choice(choices)
        if self.chance(0.2) and not aggregate.startswith("COALESCE"):
            self.note("filter")
            aggregate += f" FILTER (WHERE {self.predicate(source.fields, (), 0)})"
        return aggregate, type_

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


def relation_of(name: str, select: Select) -> Relation:
    """Return the relation that a query is, under a name."""
    columns = tuple(
        Column(output.name, output.type, output.nullable, output.origin)
        for output in select.outputs
    )
    return Relation(name, columns, select.key if select.keyed else None)


def joined_by_and(conditions: Sequence[str]) -> str:
    """Return a WHERE clause, or nothing."""
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""
