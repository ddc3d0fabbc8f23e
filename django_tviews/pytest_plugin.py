"""The pytest plugin: the fixture, the mark and the ini option ``tviews_exact``.

pytest loads it in every project in whose environment the package is installed, also where there
is no Django. So it imports nothing but pytest until a test asks for a verification, and works
beside pytest-django, whose fixtures it uses, without importing it.
"""

from __future__ import annotations

import unittest
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from typing import Protocol

    from .models import TView

    class AssertTViewsExact(Protocol):
        """`django_tviews.testing.assert_tviews_exact`."""

        def __call__(self, *tviews: type[TView] | str, using: str = ..., limit: int = ...) -> None:
            """Fail unless TViews equal their queries."""


NAME: Final = "tviews_exact"
"""The name of the fixture, of the mark and of the ini option."""

# As pytest-django itself tells which tests use a database.
_DATABASE_FIXTURES: Final = frozenset({"db", "transactional_db", "live_server"})


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini option."""
    parser.addini(
        NAME,
        "Verify after each test with a database that all TViews equal their queries.",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark."""
    config.addinivalue_line(
        "markers",
        f"{NAME}(wanted=True): verify after the test that all TViews equal their queries, "
        "if it uses a database.",
    )


@pytest.fixture
def tviews_exact(request: pytest.FixtureRequest) -> AssertTViewsExact:
    """Give the test a database, and verify after it that all TViews equal their queries.

    The fixture is `django_tviews.testing.assert_tviews_exact`, for use in the middle of a test.
    """
    # What kind of database it is, other fixtures and the mark django_db say.
    request.getfixturevalue("db")
    from .testing import assert_tviews_exact

    return assert_tviews_exact


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Verify at the end of a test, while what it has written is still there."""
    __tracebackhide__ = True
    if not _is_wanted(item):
        return (yield)
    if issubclass(getattr(item, "cls", None) or object, unittest.TestCase):
        # Its runner takes back what the test has written. Cleanups run last in, first out.
        databases = getattr(item.cls, "databases", ())  # type: ignore[attr-defined]
        item.instance.addCleanup(_verify, databases)  # type: ignore[attr-defined]
        return (yield)
    result = yield
    _verify(_databases(item))
    return result


def _is_wanted(item: pytest.Item) -> bool:
    if NAME in getattr(item, "fixturenames", ()):
        return True
    mark = item.get_closest_marker(NAME)
    return _wanted(*mark.args, **mark.kwargs) if mark else bool(item.config.getini(NAME))


def _wanted(wanted: bool = True) -> bool:
    """Read the arguments of the mark."""
    return wanted


def _databases(item: pytest.Item) -> Iterable[str]:
    """Return the aliases that pytest-django lets a test function use."""
    mark = item.get_closest_marker("django_db")
    if mark:
        return _databases_of(*mark.args, **mark.kwargs)
    uses_one = not {NAME, *_DATABASE_FIXTURES}.isdisjoint(getattr(item, "fixturenames", ()))
    return ("default",) if uses_one else ()


def _databases_of(
    _transaction: object = None,
    _reset_sequences: object = None,
    databases: Iterable[str] | None = None,
    **_: object,
) -> Iterable[str]:
    """Read the arguments of the mark ``django_db``."""
    return ("default",) if databases is None else databases


def _verify(databases: Iterable[str]) -> None:
    __tracebackhide__ = True
    if databases:
        from .testing import assert_exact_in

        assert_exact_in(databases)
