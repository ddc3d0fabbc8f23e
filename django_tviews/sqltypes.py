"""SQL types as text: what a cast or an assignment to them may change."""

from __future__ import annotations

import re

_SYNONYMS = {
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "decimal": "numeric",
    "float8": "double precision",
    "float4": "real",
    "bool": "boolean",
    "varchar": "character varying",
    "char": "character",
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
    "timetz": "time with time zone",
    "time": "time without time zone",
}
_WITH_MODIFIER = re.compile(r"^([a-z0-9_ ]+?) ?\(([\d, ]+)\)(.*)$")
# A cast to varchar(n) cuts off what is too long, where an assignment fails.
_LENGTH = re.compile(r"^(varchar|character varying) *\(\d+\)")
_INTEGERS = frozenset({"smallint", "integer", "bigint"})
_FLOATS = frozenset({"real", "double precision"})
_STRINGS = frozenset({"text", "character varying", "character", "bpchar"})
# In each of these, a value of any type can be cast to any other.
_CAST_TO_EACH_OTHER = (
    _INTEGERS | _FLOATS | {"numeric"},
    _STRINGS,
    frozenset({"date", "timestamp with time zone", "timestamp without time zone"}),
)
# Blanks at the end do not count here; an assignment to these takes some away, and adds some.
_BLANK_PADDED = frozenset({"character", "bpchar"})
_WRITTEN_IN_ONE_WAY = _INTEGERS | _STRINGS | {"boolean", "jsonb", "numeric", "uuid"}
# Values of these have one order, and equal ones look the same.
_ORDERED = _INTEGERS | {
    *("date", "timestamp with time zone", "timestamp without time zone"),
}
# Values of these that are equal have equal hashes, too (an extended hash function in pg_amproc).
_HASHED_WITH_ONE_LOOK = _INTEGERS | {
    *("boolean", "bytea", "character varying", "date", "oid", "text", "uuid"),
    *("timestamp with time zone", "timestamp without time zone"),
    *("time with time zone", "time without time zone", "inet", "cidr", "macaddr", "name"),
    *('"char"', "pg_lsn", "xid8"),
}
# Equal values of these look the same, whatever their modifier, and under a deterministic collation.
# "anyenum" stands for every enum; bounds of a discrete range are kept in one form.
_ONE_LOOK = _HASHED_WITH_ONE_LOOK | {
    *("anyenum", "bit", "bit varying", "macaddr8", "money"),
    *("daterange", "int4range", "int8range", "tsrange", "tstzrange"),
}
# Those of these do if the modifier fixes the scale, or the length.
_ONE_LOOK_IF_MODIFIED = frozenset({"numeric", "character"})

_HASHED = _HASHED_WITH_ONE_LOOK | {"double precision", "interval", "jsonb", "numeric", "real"}

# Casts to these change what an assignment changes; those to bit and character cut off, or fill up,
# what an assignment refuses, and so may those to domains.
_CAST_AS_ASSIGNED = (_ONE_LOOK | _HASHED | {"json", "tsvector", "xml"}) - {
    *("bit", "bit varying", "anyenum"),
}

# Types without an order and a hash that PostgreSQL and Python agree on, or with values that are
# equal and look different.
_NO_KEY = re.compile(
    r".*\[\]|bit\b.*|box|circle|hstore|jsonb?|line|lseg|money|path|point|polygon|tsquery|tsvector|xml"
)


def without_length(type_sql: str) -> str:
    """Return a string type without its length: a cast to it cuts where assignment refuses.

    Args:
        type_sql: any type, ``varchar(20)``.
    """
    name, modifier = _parsed(type_sql)
    if name == "character" and modifier:
        return "bpchar"
    return name if name == "character varying" else type_sql


def unbounded(type_sql: str) -> str:
    """Return a type without its length, so that a cast to it leaves every value whole.

    Args:
        type_sql: the type as declared.
    """
    return _LENGTH.sub(r"\1", type_sql)


def compared_as(declared: str, computed: str) -> str | None:
    """Return what to cast a value to, to see whether assigning it would change a column.

    An assignment to a column raises an error where a cast to its type cuts a string off: then the
    value has to look different, so that it is assigned.

    Args:
        declared: the type of the column, with the schema unless PostgreSQL brings it along.
        computed: the type of the value, written in the same way.

    Returns:
        None if there is no such type.
    """
    if same_type(declared, computed):
        return declared
    name, _ = _parsed(declared.removesuffix("[]"))
    return unbounded(declared) if name in _CAST_AS_ASSIGNED else None


def keeps_values(declared: str, computed: str) -> bool:
    """Tell whether assignment keeps every value as it is, or raises an error.

    Args:
        declared: the type assigned to.
        computed: the type of the value.
    """
    (name, modifier), (other, other_modifier) = _parsed(declared), _parsed(computed)
    for family in (_INTEGERS, _BLANK_PADDED):
        if name in family:
            return other in family
    if name in _STRINGS and modifier:
        # What is too long by blanks alone is cut without an error.
        return (
            other in _STRINGS
            and other_modifier != ""
            and _length(other_modifier) <= _length(modifier)
        )
    return (name == other and modifier in ("", other_modifier)) or {name, other} <= _STRINGS


def _length(modifier: str) -> int:
    return int(modifier.strip("()"))


def are_equal_alike(first: str, second: str) -> bool:
    """Tell whether two types tell values apart alike: what is equal to a value of both is equal.

    Args:
        first: a type.
        second: another one.
    """
    names = {_parsed(first)[0], _parsed(second)[0]}
    families = (_INTEGERS, _BLANK_PADDED, _STRINGS - _BLANK_PADDED)
    return any(names <= family for family in families) or same_type(first, second)


def same_type(first: str, second: str) -> bool:
    """Tell whether two texts name one type, with one modifier."""
    return _parsed(first) == _parsed(second)


def has_cast_of_its_own(source: str, target: str) -> bool:
    """Tell whether PostgreSQL itself has a function for a cast, so that nobody can define another.

    Args:
        source: the type of what is cast.
        target: the type that it is cast to.
    """
    names = {_parsed(source)[0], _parsed(target)[0]}
    return any(names <= family for family in _CAST_TO_EACH_OTHER)


def has_one_look(type_sql: str) -> bool:
    """Tell whether equal values of a type look the same, as far as the type is known.

    1.0 and 1.00 are equal numerics, 1 day and 24 hours equal intervals; a cast to text tells
    them apart.

    Args:
        type_sql: any type.
    """
    # Equal arrays have the same bounds, and equal elements.
    name, modifier = _parsed(type_sql.removesuffix("[]"))
    return name in _ONE_LOOK or (name in _ONE_LOOK_IF_MODIFIED and modifier != "")


def hashed_as(type_sql: str) -> str | None:
    """Return what types share that hash equal values alike, None if a type is not known to hash.

    Args:
        type_sql: any type.
    """
    name, _ = _parsed(type_sql)
    if name in _INTEGERS:
        return "integer"
    if name in ("text", "character varying"):
        return "string"
    return name if name in _HASHED else None


def has_equality(type_sql: str) -> bool:
    """Tell whether PostgreSQL's own ``=`` compares values of a type, as far as it is known.

    Args:
        type_sql: any type.
    """
    return hashed_as(type_sql) is not None or has_one_look(type_sql)


def can_be_key(type_sql: str) -> bool:
    """Tell whether the values of a type can say which row is meant.

    Args:
        type_sql: any type.
    """
    return _NO_KEY.fullmatch(type_sql) is None


def is_string(type_sql: str) -> bool:
    """Tell whether a type is one of PostgreSQL's own string types, whose values have a collation.

    Args:
        type_sql: any type.
    """
    return _parsed(type_sql)[0] in _STRINGS


def is_varchar(type_sql: str) -> bool:
    """Tell whether a type is ``varchar``, whose values a cast to ``text`` leaves as they are.

    Args:
        type_sql: any type.
    """
    return _parsed(type_sql)[0] == "character varying"


def wider_integer(first: str, second: str) -> str:
    """Return the wider one of two integer types; an empty string if one of them is another type.

    Args:
        first: any type.
        second: any type.
    """
    names = {_parsed(first)[0], _parsed(second)[0]}
    if not names <= _INTEGERS:
        return ""
    return next(name for name in ("bigint", "integer", "smallint") if name in names)


def is_integer(type_sql: str) -> bool:
    """Tell whether a type is one of the integers.

    Args:
        type_sql: any type.
    """
    return _parsed(type_sql)[0] in _INTEGERS


def is_numeric(type_sql: str) -> bool:
    """Tell whether a type is numeric, with a fixed scale or without.

    Args:
        type_sql: any type.
    """
    return _parsed(type_sql)[0] == "numeric"


def is_float(type_sql: str) -> bool:
    """Tell whether a type is one of the floating-point numbers.

    Args:
        type_sql: any type.
    """
    return _parsed(type_sql)[0] in _FLOATS


def scale_of(type_sql: str) -> int | None:
    """Return how many decimals every value of a numeric type has; None if that is open.

    Args:
        type_sql: any type.
    """
    name, modifier = _parsed(type_sql)
    if name != "numeric" or not modifier:
        return None
    _, _, scale = modifier.partition(",")
    return int(scale or 0)


def is_written_in_one_way(type_sql: str) -> bool:
    """Tell whether no setting decides how values of a type are written as text, and read.

    Args:
        type_sql: any type.
    """
    return _parsed(type_sql)[0] in _WRITTEN_IN_ONE_WAY


def is_ordered_by_looks(type_sql: str) -> bool:
    """Tell whether values of a type have one order everywhere, and equal ones look the same.

    Strings have an order for each collation.

    Args:
        type_sql: any type.
    """
    name, modifier = _parsed(type_sql)
    return name in _ORDERED or (name == "numeric" and modifier != "")


def rounds_alike(type_sql: str) -> bool:
    """Tell whether a cast to a type makes equal numbers look the same.

    Args:
        type_sql: any type.
    """
    name, modifier = _parsed(type_sql)
    return name in _INTEGERS or (name == "numeric" and modifier != "")


def _parsed(type_sql: str) -> tuple[str, str]:
    """The name PostgreSQL gives the type, and its modifier."""
    found = _WITH_MODIFIER.match(type_sql)
    if found is None:
        return _SYNONYMS.get(type_sql, type_sql), ""
    name = found[1] + found[3]
    return _SYNONYMS.get(name, name), found[2].replace(" ", "")
