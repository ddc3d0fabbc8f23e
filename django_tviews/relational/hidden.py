"""Totals that no field shows, computed beside those that the query shows.

    SELECT author_id, avg(pages) AS mean FROM book GROUP BY author_id

does not tell how many books an author has, nor how many pages these have together. Maintenance that
is to know it evaluates the query with more output columns, each with a column of its own in the
table of the TView:

    SELECT author_id, avg(pages) AS mean, count(*) AS "django_tviews:rows",
        count(pages) AS "django_tviews:count:mean", sum(pages) AS "django_tviews:sum:mean"
    FROM book GROUP BY author_id

The backing view stays what the user has written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django_tviews.text import bounded

from .canonical import formatted, output_name
from .syntax import Node, deparse_select, parse_select
from .totals import call_of
from .tree import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class HiddenTotal:
    """A total that no field shows.

    Attributes:
        function: ``count`` or ``sum``.
        of: the output column that is a total of the same values; None to count all rows.
    """

    function: str
    of: str | None = None

    @property
    def name(self) -> str:
        """The name of its column, which tells, for one query, what stands in it."""
        return bounded(HIDDEN + ("rows" if self.of is None else f"{self.function}:{self.of}"))


def with_hidden(sql: str, totals: Iterable[HiddenTotal]) -> str:
    """Return a query that shows more totals after what it shows.

    Args:
        sql: one SELECT of groups (see :mod:`.totals`).
        totals: those to add.
    """
    select = parse_select(sql)
    shown = {output_name(each.res_target): each.res_target.val for each in select.target_list}
    for total in totals:
        target = select.target_list.add().res_target
        target.name = total.name
        call = target.val.func_call
        if total.of is None:
            call.agg_star = True
        else:
            call.CopyFrom(call_of(shown[total.of]))
        _name(call, total.function)
    return formatted(deparse_select(select))


def _name(call: Node, function: str) -> None:
    from postgast import pg_query_pb2

    del call.funcname[:]
    call.funcname.add().string.sval = function
    call.funcformat = pg_query_pb2.COERCE_EXPLICIT_CALL
