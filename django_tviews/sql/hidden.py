"""The hidden columns of a TView's table: those that it lacks, and those that nobody needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django_tviews.relational.tree import HIDDEN

from .quoting import identifier, qualified

if TYPE_CHECKING:
    from collections.abc import Collection

    from django_tviews.plan.plan import Plan


@dataclass(frozen=True)
class HiddenChange:
    """How the hidden columns of a table have to change.

    Attributes:
        table: its name, quoted.
        added: the columns that are missing, each with its type.
        dropped: the columns that are not needed any more.
    """

    table: str
    added: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...]

    def __bool__(self) -> bool:
        """Tell whether anything has to change."""
        return bool(self.added or self.dropped)

    @property
    def statement(self) -> str:
        """The statement that does it; the columns that are added have to be filled then."""
        clauses = [f"DROP COLUMN {identifier(name)}" for name in self.dropped]
        clauses += [f"ADD COLUMN {identifier(name)} {type_sql}" for name, type_sql in self.added]
        return f"ALTER TABLE {self.table} {', '.join(clauses)}"

    @property
    def words(self) -> tuple[str, ...]:
        """The changes in words."""
        return (
            *(f"dropped hidden column {identifier(name)}" for name in self.dropped),
            *(f"added hidden column {identifier(name)}" for name, _ in self.added),
        )


def hidden_change(plan: Plan, present: Collection[str]) -> HiddenChange:
    """Compare the hidden columns that a table has with those that it should have.

    Args:
        plan: of the TView.
        present: the names of the columns of its table.
    """
    needed = {column.name: column.type for column in plan.hidden}
    return HiddenChange(
        qualified(plan.schema, plan.table),
        tuple((name, type_sql) for name, type_sql in needed.items() if name not in present),
        tuple(name for name in present if name.startswith(HIDDEN) and name not in needed),
    )
