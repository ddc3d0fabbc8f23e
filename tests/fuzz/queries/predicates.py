"""Conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz.schema import FAMILIES, LITERALS, SORTABLE

from .choices import Choices
from .parts import EQUATED, TRAPS, Field, joined_by_and

if TYPE_CHECKING:
    from collections.abc import Sequence


class Predicates(Choices):
    """Writes conditions."""

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
            self._element_test: 3,
            self._rows: 4,
            self._case: 3,
            self._exists: 14 * (depth > 0),
            self._in_sublink: 10 * (depth > 0),
            self._scalar_test: 6 * (depth > 0),
            self._quantified: 5 * (depth > 0),
            self._row_in_sublink: 4 * (depth > 0),
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
        tests = ["", " IS TRUE", " IS NOT TRUE", " = false", " IS UNKNOWN", " IS NOT FALSE"]
        return shown.sql + self.random.choice(tests)

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
        if self.chance(0.2):
            operator = self.random.choice(["~", "!~*", "SIMILAR TO"])
            return f"{shown.sql} {operator} 'a+'"
        return f"{shown.sql} {self.random.choice(['LIKE', 'ILIKE', 'NOT LIKE'])} 'a%'"

    def _in_list(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> str | None:
        shown = self.random.choice(fields)
        if shown.family not in EQUATED:
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
        symmetric = self.random.choice(["", "", " SYMMETRIC"])
        negation = self.random.choice(["", "", "NOT "])
        return f"{shown.sql} {negation}BETWEEN{symmetric} {first} AND {second}"

    def _json_test(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> str | None:
        shown = self.of_family(fields, "jsonb")
        if shown is None:
            return None
        return self.random.choice([f"{shown.sql} ? 'k'", f"{shown.sql} ->> 'k' = '1'"])

    def _element_test(
        self, fields: Sequence[Field], outer: Sequence[Field], depth: int
    ) -> str | None:
        """Write a test of what an array or a range has in it."""
        family = self.random.choice(["integers", "texts", "range"])
        shown = self.of_family(fields, family)
        if shown is None:
            return None
        element = self.literal("text" if family == "texts" else "integer")
        if family == "range":
            return f"{shown.sql} @> {element}"
        self.note("any (array column)")
        operator = self.random.choice(["= ANY", "<> ALL", "< ANY"])
        return f"{element} {operator} ({shown.sql})"

    def _rows(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> str | None:
        """Compare several columns at once."""
        pairs = self.pairs(fields, (*fields, *outer))
        if not pairs:
            return None
        self.note("row comparison")
        chosen = [self.random.choice(pairs) for _ in range(2)]
        lefts = ", ".join(left.sql for left, _ in chosen)
        rights = ", ".join(right.sql for _, right in chosen)
        if self.chance(0.25):
            self.note("row in list")
            literals = ", ".join(self.literal(left.family) for left, _ in chosen)
            return f"({lefts}) IN (({literals}), ({rights}))"
        operator = self.random.choice(["=", "=", "<>", "<", ">=", "IS DISTINCT FROM"])
        return f"ROW({lefts}) {operator} ROW({rights})"

    def _case(self, fields: Sequence[Field], outer: Sequence[Field], depth: int) -> str:
        condition = self.predicate(fields, outer, 0)
        shown = self.random.choice(fields)
        if shown.family in EQUATED and self.chance(0.3):
            self.note("case of a value")
            return f"CASE {shown.sql} WHEN {self.literal(shown.family)} THEN false ELSE true END"
        return f"CASE WHEN {condition} THEN {self.compare(shown)} END"

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

    def _quantified(
        self, fields: Sequence[Field], outer: Sequence[Field], depth: int
    ) -> str | None:
        """Compare a value with every, or with any, value of a subquery."""
        around = (*fields, *outer)
        source = self.from_clause(max(depth, 0), around, most=2)
        pairs = self.pairs(fields, source.fields)
        if not pairs:
            return None
        tested, found = self.random.choice(pairs)
        quantifier = self.random.choice(["ALL", "ALL", "ANY", "SOME"])
        self.note("all sublink" if quantifier == "ALL" else "any sublink")
        conditions = self.correlation(source.fields, around)
        if self.chance(0.4):
            conditions.append(self.predicate(source.fields, around, depth))
        operator = self.random.choice(["<", ">=", "<>", "="])
        inner = f"SELECT {found.sql} FROM {source.sql}{joined_by_and(conditions)}"
        return f"{tested.sql} {operator} {quantifier} ({inner})"

    def _row_in_sublink(
        self, fields: Sequence[Field], outer: Sequence[Field], depth: int
    ) -> str | None:
        """Look for several columns at once among the rows of a subquery."""
        around = (*fields, *outer)
        source = self.from_clause(max(depth, 0), around, most=2)
        pairs = self.pairs(fields, source.fields)
        if not pairs:
            return None
        self.note("row sublink")
        chosen = [self.random.choice(pairs) for _ in range(2)]
        conditions = []
        if self.chance(0.4):
            conditions.append(self.predicate(source.fields, around, depth))
        tested = ", ".join(left.sql for left, _ in chosen)
        found = ", ".join(right.sql for _, right in chosen)
        where = joined_by_and(conditions)
        if self.chance(0.2) and source.key is not None:
            keys = ", ".join(each.sql for each in source.key) or "1"
            tail = f"{where} ORDER BY {keys} LIMIT 1"
            return f"({tested}) = (SELECT {found} FROM {source.sql}{tail})"
        operator = self.random.choice(["IN", "IN", "NOT IN"])
        return f"({tested}) {operator} (SELECT {found} FROM {source.sql}{where})"

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
        if shown.family not in EQUATED:
            return f"{shown.sql} IS NOT NULL"
        operator = self.random.choice(["=", "<>", "<>", "<", ">", ">="])
        return f"{shown.sql} {operator} {self.literal(shown.family)}"

    def literal(self, family: str) -> str:
        return self.random.choice(LITERALS[family])
