"""What a definition that the server has written down says, whoever wrote it first."""

from __future__ import annotations

import re
from typing import Final

# Timing, events, transition tables, level, condition and function of a CREATE TRIGGER.
_TRIGGER: Final = re.compile(
    r"TRIGGER .+? (BEFORE|AFTER) (.+?) ON .+? (?:REFERENCING (.+?) )?"
    r"FOR EACH (ROW|STATEMENT) (WHEN .+ )?EXECUTE FUNCTION (.+)"
)


def trigger_shape(definition: str) -> tuple[object, ...]:
    """Return what a CREATE TRIGGER says, whoever wrote it down.

    pg_get_triggerdef writes events in its own order, and names with a schema or quotes only where
    they need them.

    Args:
        definition: the statement.
    """
    timing, events, transitions, level, condition, function = _TRIGGER.findall(
        " ".join(definition.split())
    )[0]
    return (
        timing,
        frozenset(events.split(" OR ")),
        transitions,
        level,
        bool(condition),
        function.rpartition(".")[2].replace('"', ""),
    )
