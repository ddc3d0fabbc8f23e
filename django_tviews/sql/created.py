"""Functions and triggers as values that can be compared with those of a database."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .quoting import identifier, qualified


@dataclass(frozen=True)
class Function:
    """A function of a TView.

    Attributes:
        schema: its schema.
        name: its name, unquoted.
        arguments: the types of its input arguments, as DROP FUNCTION wants them.
        create: the CREATE OR REPLACE statement.
        called_by_shared: the functions that TViews share call it, with the rights of their owner.
    """

    schema: str
    name: str
    arguments: str
    create: str
    called_by_shared: bool = False

    @property
    def signature(self) -> str:
        """The function with its argument types, quoted."""
        return f"{qualified(self.schema, self.name)}({self.arguments})"

    @property
    def body(self) -> str:
        """What pg_proc.prosrc holds."""
        # The server keeps the body of a function in standard SQL elsewhere, as a tree.
        return self.create.split(self._quote)[1] if self._quote else ""

    @property
    def settings(self) -> frozenset[str]:
        """What pg_proc.proconfig holds, in lower case: PostgreSQL folds what is not quoted."""
        found = re.findall(r"\bSET (\w+) = (.+?)(?= AS |$)", self._head, re.MULTILINE)
        return frozenset(f"{name}={value}".replace("'", "").lower() for name, value in found)

    @property
    def security_definer(self) -> bool:
        """What pg_proc.prosecdef holds."""
        return "SECURITY DEFINER" in self._head

    @property
    def locks(self) -> bool:
        """Whether it takes locks on the TView, by numbers that mean nothing to other versions."""
        return ".django_tviews_lock(" in self.body

    @property
    def _quote(self) -> str:
        found = re.search(r"\bAS (\$\w+\$)$", self.create, re.MULTILINE)
        return found[1] if found else ""

    @property
    def _head(self) -> str:
        head = self.create.split(self._quote)[0] if self._quote else self.create
        lines = head.splitlines()
        return "\n".join(line for line in lines if not line.startswith("--"))


@dataclass(frozen=True)
class Trigger:
    """A trigger of a TView, or one that TViews share.

    Attributes:
        relation: the table it stands on, quoted.
        name: its name, unquoted.
        create: the CREATE OR REPLACE statement.
        shared: other TViews of the table use it, too.
        disabled_on: partitions, quoted, on which the clone of a row trigger has nothing to do.
        source: the number of the source that it serves; 0 where it serves all alike.
    """

    relation: str
    name: str
    create: str
    shared: bool = False
    disabled_on: tuple[str, ...] = ()
    source: int = 0

    @property
    def disabling(self) -> dict[str, str]:
        """The statements that disable its clones, by partition."""
        return {
            partition: f"ALTER TABLE {partition} DISABLE TRIGGER {identifier(self.name)}"
            for partition in self.disabled_on
        }

    @property
    def statements(self) -> tuple[str, ...]:
        """What creates it as it should be."""
        return (self.create, *self.disabling.values())
