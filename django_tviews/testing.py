"""For tests of projects with TViews: is every TView equal to its query?

    class LoanTests(TViewsExactMixin, TestCase):
        ...

verifies after each test, and `assert_tviews_exact` wherever it stands. Both work in TestCase and in
TransactionTestCase. ``pytest_plugin`` offers the same to pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections, router

from .maintenance import LISTED, DifferenceKind, verify

if TYPE_CHECKING:
    import unittest
    from collections.abc import Iterable, Iterator, Mapping

    from django.db.backends.base.base import BaseDatabaseWrapper

    from .maintenance import Difference, VerifyReport
    from .models import TView

    # To type checkers, the mixin is what it is mixed into.
    _TestCase = unittest.TestCase
else:
    _TestCase = object

__all__ = ["TViewsExactMixin", "assert_tviews_exact"]

_SHOWN: Final = 60
"""How many characters of a value a failed assertion shows."""


def assert_tviews_exact(
    *tviews: type[TView] | str, using: str = DEFAULT_DB_ALIAS, limit: int = LISTED
) -> None:
    """Fail unless TViews equal their queries.

    Args:
        *tviews: TViews, or labels of TViews or apps; by default all that the project declares
            for the database.
        using: alias of the database.
        limit: how many differing rows to show of each TView.

    Raises:
        AssertionError: one differs, and which rows of it; or one is declared, but not installed.
        MetadataNotFound: a label is not that of an installed TView.
        OutdatedTView: the table or the view of a TView is gone.
    """
    # A helper of the test, not the place to look at.
    __tracebackhide__ = True
    labels = [each if isinstance(each, str) else each._meta.label for each in tviews]
    reports = verify(*labels, using=using, limit=limit)
    if not labels:
        _assert_installed({report.label for report in reports}, using)
    drifted = [report for report in reports if not report.exact]
    if drifted:
        verb = "differs from its query" if len(drifted) == 1 else "differ from their queries"
        number = f"{len(drifted)} of {len(reports)} TViews" if len(reports) > 1 else "A TView"
        raise AssertionError(
            "\n\n".join([f"{number} {verb}.", *("\n".join(_lines(each)) for each in drifted)])
        )


def _assert_installed(installed: set[str], using: str) -> None:
    """Fail if a TView is not there to be verified, such as one whose migration is missing."""
    from .models import TView

    for model in apps.get_models():
        if (
            issubclass(model, TView)
            and not model._meta.proxy
            and router.allow_migrate_model(using, model)
            and model._meta.label not in installed
        ):
            raise AssertionError(
                f'TView {model._meta.label} is not installed in the database "{using}", so nothing '
                "keeps it. Is its migration missing? Run makemigrations; if the database was kept "
                "from an earlier run, create it anew."
            )


class TViewsExactMixin(_TestCase):
    """A test case that verifies after each test that all TViews equal their queries.

        class LoanTests(TViewsExactMixin, TestCase):
            ...

    It stands before Django's TestCase or TransactionTestCase, and verifies in each database that
    the test case may use, when the test and its ``tearDown`` are done and before Django takes
    back what they wrote. A test that has left a database in a broken transaction is not verified
    there: nothing of it can be committed.
    """

    def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        """Run the test, with the verification as the last of its cleanups."""
        # Cleanups run last in, first out.
        self.addCleanup(assert_exact_in, getattr(self, "databases", ()))
        return super().run(result)


def assert_exact_in(databases: Iterable[str]) -> None:
    """Fail unless all TViews equal their queries in each of some databases, as tests name them.

    Args:
        databases: aliases, or ``"__all__"``. Those are left out that are not PostgreSQL, that are
            mirrors of others, or whose transaction is broken.
    """
    __tracebackhide__ = True
    for alias in connections if databases == "__all__" else sorted(set(databases)):
        connection = connections[alias]
        mirror = connection.settings_dict["TEST"]["MIRROR"]
        if connection.vendor == "postgresql" and not mirror and not _is_broken(connection):
            assert_tviews_exact(using=alias)


def _is_broken(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the present transaction can only be rolled back."""
    return connection.in_atomic_block and (connection.needs_rollback or not connection.is_usable())


def _lines(report: VerifyReport) -> Iterator[str]:
    head, *_ = str(report).partition(" (")
    yield head
    for difference in report.differences:
        yield f"    {difference.kind:<9}  {difference.key}"
        yield from (f"        {line}" for line in _values(difference))
    if hidden := report.missing + report.extra + report.different - len(report.differences):
        yield f"    … and {hidden} more"


def _values(difference: Difference) -> Iterator[str]:
    match difference.kind:
        case DifferenceKind.DIFFERENT:
            for column in difference.columns:
                stored, queried = _contrasted(difference.stored[column], difference.queried[column])
                yield f"{column}: {stored} in the table, {queried} in the query"
        case DifferenceKind.MISSING:
            yield f"in the query: {_row(difference.queried)}"
        case DifferenceKind.EXTRA:
            yield f"in the table: {_row(difference.stored)}"


def _row(values: Mapping[str, str | None]) -> str:
    return ", ".join(f"{column}={_excerpt(value)}" for column, value in values.items())


def _contrasted(first: str | None, second: str | None) -> tuple[str, str]:
    """Write two values, where they are long from shortly before the place where they differ."""
    if first is None or second is None:
        return _excerpt(first), _excerpt(second)
    place = 0
    while first[place : place + 1] == second[place : place + 1] != "":
        place += 1
    start = max(0, place - _SHOWN // 3) if max(len(first), len(second)) > _SHOWN else 0
    return _excerpt(first, start), _excerpt(second, start)


def _excerpt(value: str | None, start: int = 0) -> str:
    if value is None:
        return "NULL"
    end = start + _SHOWN
    before, after = "…" if start else "", "…" if len(value) > end else ""
    return f"{before}{value[start:end]!r}{after}"
