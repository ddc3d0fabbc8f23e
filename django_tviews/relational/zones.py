"""Whether a query may look up abbreviations of time zones.

What EST stands for is up to the setting timezone_abbreviations, also in functions that PostgreSQL
calls IMMUTABLE. To set it, PostgreSQL reads a file each time, so that is worth avoiding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django_tviews.text import words

from .syntax import children, content, kind, names, parse_select, type_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .syntax import Node

# The place of the argument that names a zone. With fewer arguments none does.
_ZONE: Final[Mapping[str, int]] = {
    "date_add": 2,
    "date_subtract": 2,
    "date_trunc": 2,
    "generate_series": 3,
    "make_timestamptz": 6,
    "timezone": 0,
}
# The place of the argument that says how to read a text.
_TEMPLATE: Final[Mapping[str, int]] = {"to_date": 1, "to_timestamp": 1}

# They mean the same in every set of abbreviations.
_ALWAYS_THE_SAME: Final = words("GMT UTC")


def reads_zone_abbreviations(queries: Iterable[str]) -> bool:
    """Tell whether one of some queries may.

    Args:
        queries: SELECT statements.
    """
    pending = [parse_select(query) for query in queries]
    while pending:
        message = pending.pop()
        name = message.DESCRIPTOR.name
        if name == "FuncCall" and _call_may(message):
            return True
        if name == "A_Expr" and _operator_may(message):
            return True
        pending.extend(children(message))
    return False


def _call_may(call: Node) -> bool:
    name = names(call.funcname)[-1]
    arguments = len(call.args)
    if name in _ZONE:
        place = _ZONE[name]
        # AT LOCAL is timezone() of one argument, which is no zone.
        return place < arguments > 1 and not _is_certain(_constant(call.args[place]))
    if name in _TEMPLATE and arguments > _TEMPLATE[name]:
        template = _constant(call.args[_TEMPLATE[name]])
        return template is None or "TZ" in template.upper()
    return name.startswith("jsonb_path_") and arguments > 1 and _path_may(call.args[1])


def _operator_may(expression: Node) -> bool:
    operator = names(expression.name)[-1]
    if operator == "@@" and _is_text_search(expression.rexpr):
        return False
    return operator in ("@?", "@@") and _path_may(expression.rexpr)


def _is_text_search(query: Node) -> bool:
    """Tell whether what stands after ``@@`` cannot be a JSON path: no function returns one."""
    if kind(query) == "type_cast":
        return type_name(content(query).type_name) == "tsquery"
    return kind(query) == "func_call"


def _path_may(path: Node) -> bool:
    """Tell whether a JSON path may read a time: by a template, or any way it finds."""
    text = _constant(path)
    return text is None or "date" in text or "time" in text


def _is_certain(zone: str | None) -> bool:
    """Tell whether a zone is none of the abbreviations, which are letters and nothing else."""
    return zone is not None and (not zone.isalpha() or zone.upper() in _ALWAYS_THE_SAME)


def _constant(node: Node) -> str | None:
    """Return the text of a constant, whatever it is cast to; None for anything else."""
    while kind(node) == "type_cast":
        node = content(node).arg
    if kind(node) == "a_const" and content(node).WhichOneof("val") == "sval":
        return str(content(node).sval.sval)
    return None
