"""Published workloads are kept as the report says, and stay equal under their writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from django_tviews.errors import TViewError

from .workloads import nexmark, pg_ivm, tpch
from .workloads.report import PAGE, page
from .workloads.workload import Upkeep, declared, upkeep_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .harness import Database
    from .workloads.workload import View


def fill(database: Database, schema: str, contents: Iterable[str]) -> None:
    database.execute(schema)
    for statement in contents:
        database.execute(statement)


def install(database: Database, views: Iterable[View]) -> None:
    declarations = {view: declared(database, view) for view in views}
    database.install_all(declarations.values())
    for view, declaration in declarations.items():
        assert upkeep_of(database, declaration) is view.upkeep, view.name


def test_tpch(database: Database) -> None:
    fill(database, tpch.SCHEMA, tpch.Generator().contents())
    install(database, tpch.VIEWS)
    empty = [
        each.declaration.label for each in database.tviews if not database.rows(each.declaration)
    ]
    assert empty == []
    database.run(*tpch.WRITES)


def test_tpch_is_kept_by_affected_keys_where_it_can_be() -> None:
    kept = [view.name for view in tpch.VIEWS if view.upkeep is Upkeep.KEYS]
    # The inner query of 13 does not count.
    assert len(kept) - 1 >= 15


def test_nexmark(database: Database) -> None:
    fill(database, nexmark.SCHEMA, nexmark.CONTENTS)
    install(database, nexmark.VIEWS)
    database.run(*nexmark.WRITES)


KEPT = [view for view in pg_ivm.VIEWS if view.upkeep is not Upkeep.REFUSED]


# In parts, since each statement is followed by the oracle for all of them.
@pytest.mark.parametrize("first", range(0, len(KEPT), 15))
def test_what_pg_ivm_does_not_take(database: Database, first: int) -> None:
    fill(database, pg_ivm.SCHEMA, pg_ivm.CONTENTS)
    install(database, KEPT[first : first + 15])
    database.run(*pg_ivm.WRITES)


def test_what_pg_ivm_and_we_refuse(database: Database) -> None:
    with database.rolled_back():
        database.execute(pg_ivm.SCHEMA + pg_ivm.FOREIGN)
        for view in pg_ivm.VIEWS:
            if view.upkeep is Upkeep.REFUSED:
                with pytest.raises(TViewError) as refused:
                    database.install(declared(database, view))
                assert refused.value.context.get("construct", "") == view.construct, view.name


def test_the_report_says_so() -> None:
    assert page() == PAGE.read_text(), "run python -m tests.workloads"
