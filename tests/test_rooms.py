"""The modules of the package import downwards only: what a lower one knows of, it depends on."""

from __future__ import annotations

import ast
import importlib.util
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import django_tviews

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(django_tviews.__file__).parent
GROUND = {"conf", "errors", "facts", "sqltypes", "text"}
COMPILER = GROUND | {"relational", "plan", "sql"}
DECLARING = GROUND | {"definition", "model_facts", "models", "query", "relational"}
INSTALLING = COMPILER | DECLARING | {"catalog", "installer", "locks", "planning", "registry"}

ROOMS = {
    "errors": set[str](),
    "text": set[str](),
    "sqltypes": set[str](),
    "facts": {"sqltypes"},
    "conf": {"errors"},
    "relational": GROUND - {"conf"},
    "plan": GROUND - {"conf"} | {"relational"},
    "sql": GROUND - {"conf"} | {"relational", "plan"},
    "catalog": {"facts"},
    "locks": {"conf", "errors", "sql"},
    "definition": DECLARING,
    "model_facts": DECLARING,
    "models": DECLARING,
    "query": DECLARING,
    "graph": DECLARING | {"catalog"},
    "registry": COMPILER | {"catalog", "definition"},
    "planning": COMPILER | {"catalog", "registry"},
    "installer": INSTALLING,
    "maintenance": INSTALLING,
}
"""What the lower modules and packages may import, be it late, other than for types."""

FACES = {"apps", "checks", "management", "pytest_plugin", "testing"}
"""What only Django, pytest and people import, or another one of these."""


def _room(module: str) -> str:
    """Return the module or package right below the package that a module is, or is in."""
    return module.split(".")[1] if "." in module else ""


def _outside_of_type_checking(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            for other in child.orelse:
                yield from _outside_of_type_checking(other)
            continue
        yield child
        yield from _outside_of_type_checking(child)


def _modules(node: ast.AST, package: str) -> Iterator[str]:
    """Yield the modules that an import statement names."""
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            name = importlib.util.resolve_name("." * level + (module or ""), package)
            if name == PACKAGE.name:
                yield from (f"{name}.{alias.name}" for alias in names)
            else:
                yield name


@cache
def _imports() -> frozenset[tuple[str, str]]:
    """Return what each room of the package imports: rooms, and the names of other packages."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE.parent).with_suffix("").parts
        room = place[1] if place[1] != "__init__" else ""
        for node in _outside_of_type_checking(ast.parse(path.read_text("utf-8"))):
            for module in _modules(node, ".".join(place[:-1])):
                if module.split(".")[0] == PACKAGE.name:
                    found.add((room, _room(module)))
                else:
                    found.add((room, f"{module.split('.')[0]}."))
    return frozenset(found)


def test_the_modules_that_this_looks_for_are_there() -> None:
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix in ("", ".py")}
    assert ROOMS.keys() | FACES <= rooms
    assert ("installer", "planning") in _imports()
    assert ("relational", "postgast.") in _imports()


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_imports_only_from_those_below_it(room: str) -> None:
    imported = {module for by, module in _imports() if by == room and not module.endswith(".")}
    assert imported - {room} <= ROOMS[room]


def test_nothing_imports_a_face() -> None:
    assert {
        (by, module) for by, module in _imports() if module in FACES and by not in FACES
    } == set()


def test_only_one_room_knows_the_parser() -> None:
    assert {by for by, module in _imports() if module == "postgast."} == {"relational"}


@pytest.mark.parametrize("room", ["plan", "relational", "sql"])
def test_the_compiler_does_not_know_django(room: str) -> None:
    assert (room, "django.") not in _imports()
