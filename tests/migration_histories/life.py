"""The life of a project: its migrations are made, applied, reversed, and applied in other orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.migrations.operations import RemoveField, RenameModel
from django.db.migrations.writer import MigrationWriter

from django_tviews.autodetector import RUNTIME_MIGRATION
from django_tviews.errors import TViewError
from tests.histories import History, Key, read_back

from .database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from random import Random

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.migrations.migration import Migration
    from django.db.migrations.operations.base import Operation
    from django.db.migrations.state import ProjectState


class RefusedError(Exception):
    """The migrations of a step were refused, and are deleted. The refusal is the cause."""


class Life:
    """A project with its migrations and its database, which are watched all the time.

    Args:
        connection: Django's connection, in autocommit mode.
        random: where choices come from.

    Attributes:
        phase: what is going on.
    """

    def __init__(self, connection: BaseDatabaseWrapper, random: Random) -> None:
        self.random = random
        self.history = History()
        self.database = Database(connection, random)
        self.phase = "beginning"
        self._made: list[set[Key]] = []

    def begin(self) -> None:
        """Install what all TViews share."""
        self.database.migrate(self.history.migrations, RUNTIME_MIGRATION)

    def advance(
        self,
        state: ProjectState,
        renames: Iterable[str] = (),
        by_hand: Sequence[tuple[str, Operation]] = (),
        edit: Callable[[Migration], None] | None = None,
        *,
        revocable: bool = False,
    ) -> list[Operation]:
        """Make the migrations for another state of the project, and apply them.

        Args:
            state: where the project shall be.
            renames: the old names of what is renamed.
            by_hand: operations of migrations that are written by hand before, and their apps.
            edit: what is done to migrations that makemigrations has written.
            revocable: whether to delete the migrations if django_tviews refuses one.

        Returns:
            The operations.

        Raises:
            RefusedError: the migrations were refused, and deleted.
        """
        self.phase = "advancing"
        before = set(self.history.migrations)
        for app_label, operation in by_hand:
            self.history.write(app_label, operation)
        for migration in self.history.go_to(state, renames):
            if edit:
                edit(migration)
            edited = read_back(migration)
            edited.atomic = migration.atomic
            self._tie_to_renames(edited, before)
            self.history.migrations[migration.app_label, migration.name] = edited
        made = self.history.migrations.keys() - before
        try:
            self.database.migrate(self.history.migrations)
        except TViewError as error:
            if not revocable:
                raise
            self._give_up(made)
            raise RefusedError from error
        self._made.append(made)
        self.database.check_state(self.history.state, f"step {len(self._made)}")
        self.database.write("between steps")
        return [step for key in made for step in self.history.migrations[key].operations]

    def _tie_to_renames(self, migration: Migration, before: Iterable[Key]) -> None:
        """Let what removes fields come after what has renamed the models that they may lead to.

        Django gives it no such edge, and, if the graph has it come first, reverses it with a
        foreign key to a table that has another name by then.
        """
        if not any(isinstance(each, RemoveField) for each in migration.operations):
            return
        migration.dependencies += [
            key
            for key in sorted(before)
            if key[0] != migration.app_label
            and any(
                isinstance(each, RenameModel) for each in self.history.migrations[key].operations
            )
        ]

    def _give_up(self, made: set[Key]) -> None:
        """Delete migrations that were refused."""
        migrations = self.history.migrations
        if all(migrations[key].atomic for key in made):
            self.database.unmigrate(migrations, self.database.applied(migrations) & made)
        else:
            self.database.assert_as_before("what was refused")
            # What an operation before the refusal has done is nobody's to undo.
            self.database.empty()
        for key in made:
            del migrations[key]
        self.database.migrate(migrations)
        self.database.check_state(self.history.state, "after giving up")

    def go_back(self) -> None:
        """Reverse everything, step by step."""
        self.phase = "reversing"
        migrations = self.history.migrations
        for keys in reversed(self._made):
            self.database.unmigrate(migrations, keys)
            self.database.check_state(self.database.state(migrations), "one step back")
            self.database.write("between steps back")
        self.database.unmigrate(migrations, {RUNTIME_MIGRATION})
        self.database.assert_empty("reversing everything")

    def go_again(self) -> None:
        """Build everything from nothing, and reverse it, in any order."""
        self.phase = "building from nothing"
        graph, migrations = self.history.graph, self.history.migrations
        waiting = set(migrations)
        while waiting:
            key = self.random.choice(sorted(waiting))
            waiting -= set(graph.forwards_plan(key))
            self.database.migrate(migrations, key)
        self.database.check_state(self.history.state, "building everything again")
        self.phase = "reversing in another order"
        waiting = set(migrations)
        while waiting:
            keys = set(graph.backwards_plan(self.random.choice(sorted(waiting)))) & waiting
            waiting -= keys
            self.database.unmigrate(migrations, keys)
        self.database.assert_empty("reversing everything again")

    def written(self) -> str:
        """Return the migrations as text."""
        return "\n".join(
            f"# {key[0]} {key[1]}{'' if migration.atomic else ' (not atomic)'}\n"
            + MigrationWriter(migration, include_header=False).as_string()
            for key, migration in self.history.migrations.items()
            if key != RUNTIME_MIGRATION
        )
