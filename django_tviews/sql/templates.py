"""Fill in the ``.sql`` templates beside this module."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

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
    return _PLACEHOLDER.sub(lambda match: str(values[match[1]]), _template(name)).rstrip()


def render_statements(name: str, /, **values: str | int) -> list[str]:
    """Return the statements of a template, which lines of ``--;;`` separate."""
    return [statement.strip() for statement in render(name, **values).split("--;;\n")]
