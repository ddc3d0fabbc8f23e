"""Fill in the ``.sql`` templates beside this module."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from .quoting import on_one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

_DOLLAR_TAG = re.compile(r"\$[a-z]+\$")
_PLACEHOLDER = re.compile(r"@\{(\w+)\}")


@cache
def _template(name: str) -> str:
    return (resources.files(__package__) / "templates" / f"{name}.sql").read_text("utf-8")


def render(name: str, /, **values: str | int) -> str:
    """Return a template with every ``@{placeholder}`` replaced.

    Args:
        name: the template's file name without ``.sql``.
        values: SQL text for the placeholders, quoted already.

    Raises:
        KeyError: the template has a placeholder without a value.
    """
    template = _template(name)
    for tag in set(_DOLLAR_TAG.findall(template)):
        template = template.replace(tag, _unused(tag, values))
    return "\n".join(_filled(line, values) for line in template.splitlines())


def _unused(tag: str, values: Mapping[str, str | int]) -> str:
    """Lengthen a dollar quote until no value contains it."""
    while any(tag in str(value) for value in values.values()):
        tag = f"{tag[:-1]}_$"
    return tag


def _filled(line: str, values: Mapping[str, str | int]) -> str:
    """Replace the placeholders of a line; what has several lines is indented like the first."""
    margin = "\n" + " " * (len(line) - len(line.lstrip()))
    if line.lstrip().startswith("--"):
        # A name with a line break in it would end the comment.
        return _PLACEHOLDER.sub(lambda match: on_one_line(str(values[match[1]])), line)
    return _PLACEHOLDER.sub(lambda match: str(values[match[1]]).replace("\n", margin), line)


def render_statements(name: str, /, **values: str | int) -> list[str]:
    """Return the statements of a template, which lines of ``--;;`` separate."""
    return [statement.strip() for statement in render(name, **values).split("--;;\n")]
