"""The page ``docs/internals/mutations.md``: which test notices each mutation.

The page is what is known: `python -m tests.mutations` reads it to try first the test that noticed
last time, and writes down what it has found.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from .rules import MUTATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGE = Path(__file__).parents[2] / "docs" / "internals" / "mutations.md"

_HEAD = """\
<!-- Written by `python -m tests.mutations`; the tests compare it. -->

# Mutations

The rules that maintenance rests on. Each is switched off in a copy of the package by an edit
(`tests/mutations/rules.py`), and a test has to fail: the one below the rule. Every rule has one;
`python -m tests.mutations` tries them all again, `--new` those that have just been added.

"""
_ENTRY = re.compile(r"^\* (?P<rule>.+) `(?P<path>[\w/.]+)`\n  `(?P<test>tests/.+)`$", re.MULTILINE)


def known_witnesses() -> Mapping[str, str]:
    """Return the test that notices, by rule, as far as the page tells."""
    return {entry["rule"]: entry["test"] for entry in _ENTRY.finditer(PAGE.read_text("utf-8"))}


def page(witnesses: Mapping[str, str]) -> str:
    """Return the text of the page.

    Args:
        witnesses: the test that notices, by rule.
    """
    return _HEAD + "".join(_entries(witnesses))


def _entries(witnesses: Mapping[str, str]) -> Iterator[str]:
    for mutation in MUTATIONS:
        if mutation.rule in witnesses:
            yield f"* {mutation.rule} `{mutation.path}`\n  `{witnesses[mutation.rule]}`\n"
