"""The statements that fold: the changed rows of a source into the rows of groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .folds import fold_values
from .phrases import with_table
from .templates import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_tviews.plan.folds import Fold

    from .phrases import Phrases


def fold_row(phrases: Phrases, fold: Fold, moved: Sequence[tuple[str, str]]) -> str:
    """Return the statements that fold one changed row, and keep the keys that are left over.

    Args:
        phrases: of the TView.
        fold: of its source.
        moved: tables for WITH, the last of which has its images.
    """
    return phrases.render(
        "fold_row",
        **_values(phrases, fold, moved, "false"),
        no_keys=";\n".join(f"{variable} := NULL" for variable in phrases.variables),
        keep_key=";\n".join(
            f"{variable} := {variable} || ARRAY[change.{name}]"
            for variable, name in zip(phrases.variables, phrases.key_of("change"), strict=True)
        ),
        types=phrases.types(),
    )


def fold_rows(
    phrases: Phrases,
    fold: Fold,
    moved: Sequence[tuple[str, str]],
    twice: str = "false",
    into: str = "INTO",
) -> str:
    """Return the statement that folds changed rows, and gives the keys that are left over.

    Args:
        phrases: of the TView.
        fold: of their source.
        moved: tables for WITH, the last of which has the changed rows.
        twice: tells that some of the rows that have come may be gone again.
        into: empty, or the keyword before the variables of the key.
    """
    return phrases.render(
        "fold",
        **_values(phrases, fold, moved, twice),
        folded_key=", ".join(f"folded.{name}" for name in phrases.key_of("folded")),
        into=f"{into} {phrases.values['key_variables']}\n" if into else "",
    )


def fold_many_rows(
    phrases: Phrases, fold: Fold, moved: Sequence[tuple[str, str]], twice: str = "false"
) -> str:
    """Return the same, planned for the number of rows."""
    return phrases.render("bulk_fold", fold=fold_rows(phrases, fold, moved, twice, into=""))


def _values(
    phrases: Phrases, fold: Fold, moved: Sequence[tuple[str, str]], twice: str
) -> dict[str, str]:
    names, matches = phrases.key_of("affected"), phrases.match("change", "tview")
    values = fold_values(phrases.plan.key, fold, names, matches, twice)
    return {
        **values,
        "change": render("change", **values),
        "moved": ",\n".join(with_table(name, text) for name, text in moved),
    }
