"""Where choices come from, and what every part of the grammar needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from tests.fuzz.schema import Relation


@dataclass
class Choices:
    """What every part of the grammar has at hand.

    Attributes:
        random: where choices come from.
        relations: what can be read.
        features: what the queries written since it was emptied are made of.
        depth: how many queries may stand in each other.
    """

    random: Random
    relations: list[Relation]
    features: set[str] = field(default_factory=set)
    depth: int = 2
    _aliases: int = 0
    _ctes: list[Relation] = field(default_factory=list)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def weighted(self, **weights: float) -> str:
        return self.random.choices(list(weights), list(weights.values()))[0]

    def alias(self) -> str:
        self._aliases += 1
        if self.chance(0.03):
            return self.random.choice(["Alias", "delta", "matched_or_not", "tview", "query"]) + str(
                self._aliases
            )
        return f"t{self._aliases}"

    def note(self, feature: str) -> None:
        self.features.add(feature)
