"""A case of the fuzzer: SQL text only, so that it can be read, cut down and run again."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TViewText:
    """A TView of a case.

    Attributes:
        name: of its table, unquoted.
        query: one SELECT.
        key: the output columns that identify a row, unquoted.
        allow_rebuild: as in the inner class ``Maintenance``.
        mode: as there.
        features: what the grammar put into the query, for the statistics.
    """

    name: str
    query: str
    key: tuple[str, ...]
    allow_rebuild: bool = False
    mode: str = "immediate"
    features: frozenset[str] = field(default=frozenset(), compare=False)


@dataclass(frozen=True)
class Case:
    """What the fuzzer runs.

    Attributes:
        definitions: DDL, first writes and TViews, in order.
        statements: the writes, after each of which tables and queries are compared.
        bulk_threshold: the setting with which the TViews are installed.
    """

    definitions: tuple[str | TViewText, ...]
    statements: tuple[str, ...]
    bulk_threshold: int = 100

    def script(self) -> str:
        """Return the case as text to read, and to paste into a regression test."""
        lines = [f"-- bulk threshold {self.bulk_threshold}"]
        for definition in self.definitions:
            if isinstance(definition, TViewText):
                key = ", ".join(definition.key)
                rebuild = ", allow_rebuild" if definition.allow_rebuild else ""
                lines.append(f"-- TView {definition.name}, key ({key}), {definition.mode}{rebuild}")
                lines.append(f"{definition.query};")
            else:
                lines.append(f"{definition};")
        lines.append("-- statements")
        lines += [f"{statement};" for statement in self.statements]
        return "\n".join(lines)
