"""Names of what is generated for a TView."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from django_tviews.errors import FUNCTION_PREFIXES
from django_tviews.text import bounded, object_name

from .quoting import qualified, subquery

if TYPE_CHECKING:
    from django_tviews.facts import RelationFacts
    from django_tviews.plan.plan import Plan, SourcePlan

# The trigger on a TView that refuses direct writes.
GUARD = "tviews_0_guard"

# What the names of the triggers that maintain begin with: after those that count a statement as
# open, and before those that close it.
MAINTENANCE_PREFIX = "tviews_2_"

# By which errors that come out of them are recognised.
_FUNCTION_PREFIX = FUNCTION_PREFIXES[1]


def function_name(plan: Plan, suffix: str) -> str:
    """Name a function of a TView, unquoted."""
    return object_name(_FUNCTION_PREFIX + plan.table, suffix)


def quoted_function(plan: Plan, suffix: str) -> str:
    """Name a function of a TView with its schema, quoted."""
    return qualified(plan.schema, function_name(plan, suffix))


def query_relation(plan: Plan) -> str:
    """Write what gives the rows of a TView's query, with all that its table holds."""
    return subquery(plan.query) if plan.query else qualified(plan.schema, plan.view)


def source_function(plan: Plan, source: SourcePlan, event: str) -> str:
    """Name the function that maintains a TView when rows of a source change, unquoted."""
    same_name = Counter(each.relation.name for each in plan.sources)
    number = f"_{source.number}" if same_name[source.relation.name] > 1 else ""
    suffix = f"on_{source.relation.name}{number}_{event.lower()}"
    return bounded(f"{_FUNCTION_PREFIX}{plan.table}_{suffix}")


def trigger_name(
    plan: Plan, relation: RelationFacts, suffix: str, source: SourcePlan | None = None
) -> str:
    """Name a trigger that maintains a TView, unquoted."""
    foreign = "" if relation.schema == plan.schema else f"{plan.schema}_"
    number = f"_{source.number}" if source is not None and source.overlaps else ""
    # The table comes last: the triggers on one event fire in the order of their names, and the
    # drain maintains in the order of depths and tables.
    return bounded(f"{MAINTENANCE_PREFIX}{plan.depth:02}_{suffix}_{foreign}{plan.table}{number}")


def digest(text: str) -> str:
    """Shorten text to what tells it from others: 16 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
