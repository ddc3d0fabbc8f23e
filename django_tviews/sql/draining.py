"""The function that maintains a TView from the spool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .folding import fold_many_rows, fold_rows
from .folds import shows_extremes
from .phrases import lock_declarations, with_table
from .routes import spooled_keys
from .spooled import image_columns, requested_key, spool_delta
from .templates import render
from .transitions import current_and_removed

if TYPE_CHECKING:
    from django_tviews.plan.folds import Fold
    from django_tviews.plan.plan import SourcePlan

    from .phrases import Phrases


def drain(phrases: Phrases) -> str:
    """Return the statement that creates the function."""
    plan = phrases.plan
    spooled = (
        f"FROM {phrases.values['runtime']}.django_tviews_spool AS spool\n"
        "WHERE spool.transaction_id = pg_current_xact_id() "
        f"AND spool.tview = {phrases.values['tview']}"
    )
    few = f"changes <= {plan.bulk_threshold}"
    looks_rows_up = any(source.looks_rows_up for source in plan.sources if source.routed)
    if looks_rows_up:
        routes = _routes(phrases, spooled)
        found = render(
            "few_or_many",
            few=few,
            of_few=routes["routes_into"],
            of_many=phrases.bulk_routes(routes["routes"]),
        )
        keys = phrases.render("look", keys=found)
        found_keys = phrases.render("drain_look", spooled=spooled, keys=keys)
    else:
        found_keys = phrases.look_once(
            spooled_keys(plan, phrases.variables, phrases.values),
            "CASE WHEN everything THEN '{0}' ELSE wanted END",
        )
    return phrases.render(
        "drain",
        lock_declarations="\n".join(lock_declarations(looks_rows_up)),
        found_keys=found_keys,
        taken=_taken(phrases, spooled, few),
    )


def _routes(phrases: Phrases, spooled: str) -> dict[str, str]:
    """A query for the keys and locks of all that waits in the spool.

    Args:
        phrases: of the TView.
        spooled: where it is found.
    """
    plan = phrases.plan
    deltas, states = {}, {}
    tables: list[tuple[str, str, str]] = []
    # Materialized: no text of another source may be cast, whatever the query asks of a column.
    for source in plan.sources:
        if source.routed:
            delta, state = f"delta_{source.number}", f"states_{source.number}"
            tables.append((delta, "MATERIALIZED ", spool_delta(source, spooled)))
            tables.append((state, "NOT MATERIALIZED ", current_and_removed(source, delta)))
            deltas[source.number] = delta
            states[source.relation] = state
    requests = f"SELECT {', '.join(requested_key(plan))}\n{spooled} AND spool.source = 0"
    tables.append(("requests", "MATERIALIZED ", requests))
    ctes = [with_table(name, text, hint) for name, hint, text in tables]
    return phrases.routes(ctes, deltas, states, ("SELECT * FROM requests",))


def _taken(phrases: Phrases, spooled: str, few: str) -> str:
    """Take everything out of the spool, and fold it if that is possible."""
    taken = f"DELETE {spooled};"
    for source in phrases.plan.sources:
        if source.fold is not None:
            moved = _moved(source, source.fold, f"DELETE {spooled}")
            folded = render(
                "few_or_many",
                few=few,
                of_few=fold_rows(phrases, source.fold, moved),
                of_many=fold_many_rows(phrases, source.fold, moved),
            )
            taken = phrases.render(
                "drain_fold",
                number=source.number,
                folding=render("folding", folded=folded),
                otherwise=taken,
            )
    return taken


def _moved(source: SourcePlan, fold: Fold, take: str) -> list[tuple[str, str]]:
    """Return tables for WITH: the changed rows of a source, taken out of the spool."""
    if not shows_extremes(fold):
        return [("moved", f"{take}\nRETURNING {image_columns(source)}")]
    # An image that a later change has replaced was never there, as far as an extreme can tell.
    return [
        ("taken", f"{take}\nRETURNING spool.removed, spool.image"),
        ("moved", f"SELECT {image_columns(source)}\n{render('difference')}"),
    ]
