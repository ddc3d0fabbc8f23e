"""Random edits, and random projects to begin with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from .edits import Add, Edit, Remove, Rename, Set, Step, Write, is_sensible
from .project import ALTERED_KINDS, APPS, Column, Many, Project, Seen, Table, keep, quoted
from .views import AGGREGATES, CONDITIONS, SCALARS, Helper, Output, Source, View

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

MODEL_NAMES: Final = ("Author", "Book", "City", "Dish", "Event", "Film", "Guest", "Hotel")
TVIEW_NAMES: Final = ("Card", "Digest", "Ledger", "Summary", "Tally", "Overview", "Board")
FIELD_NAMES: Final = ("name", "size", "order", "note", "Rank", "state", "value", "weight", "größe")
OUTPUT_NAMES: Final = ("label", "total", "first", "user", "Amount", "title", "group", "mark")
KINDS: Final = (
    "text",
    "text",
    "char",
    "integer",
    "integer",
    "bigint",
    "decimal",
    "boolean",
    "code",
)
KEY_KINDS: Final = ("text", "char", "code", "integer", "bigint", "fk")


class Proposer:
    """Thinks of edits.

    Args:
        random: where choices come from.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self._made = 0
        self._settled: set[str] = set()

    def key(self, letter: str) -> str:
        """Return a key that nothing has had yet."""
        self._made += 1
        return f"{letter}{self._made}"

    def chance(self, probability: float) -> bool:
        """Return True with a probability."""
        return self.random.random() < probability

    # Steps

    def first_step(self) -> Step:
        """Make a small project out of nothing."""
        project = Project()
        edits: list[Edit] = []
        wanted = [(self.new_table, self.random.choice([2, 3, 3, 4]))]
        wanted += [(self.new_view, self.random.choice([1, 2, 2, 3]))]
        for make, number in wanted:
            for _ in range(number):
                edit = self._first_sensible(project, edits, [make])
                if edit:
                    edits.append(edit)
        return Step(tuple(edits))

    def step(self, before: Project) -> Step:
        """Think of the next step."""
        self._settled = {table.key for table in before.tables}
        for _ in range(50):
            edits: list[Edit] = []
            for _ in range(self.random.choice([1, 1, 1, 2, 2, 3])):
                edit = self._first_sensible(before, edits, self.kinds)
                if edit:
                    edits.append(edit)
            step = Step(
                tuple(edits),
                careful=self.chance(0.85),
                data=self.random.choice(["", "", "before", "after", "between"]),
                atomic=self.chance(0.8),
            )
            if edits and is_sensible(before, step):
                return step
        return Step(())

    def _first_sensible(
        self,
        before: Project,
        edits: list[Edit],
        kinds: Sequence[Callable[[Project], Edit | None]],
    ) -> Edit | None:
        now = Step(tuple(edits)).project(before)
        for _ in range(20):
            edit = self.random.choice(kinds)(now)
            if edit is not None and is_sensible(before, Step((*edits, edit))):
                return edit
        return None

    @property
    def kinds(self) -> list[Callable[[Project], Edit | None]]:
        """Everything that may be thought of, more often what is more likely to hurt."""
        return [
            *(self.new_table, self.new_column, self.new_column, self.new_many, self.new_view),
            *(self.new_view, self.new_output, self.new_output, self.new_source, self.new_helper),
            *(self.removed_column, self.removed_column, self.removed_table, self.removed_view),
            *(self.removed_output, self.removed_many),
            *(self.altered_column,) * 5,
            *(self.renamed_column,) * 3,
            *(self.renamed_table, self.renamed_table, self.renamed_many, self.renamed_view),
            *(self.altered_table,) * 3,
            *(self.altered_view,) * 4,
            *(self.altered_output,) * 3,
            self.by_hand,
        ]

    # Base models

    def new_table(self, project: Project) -> Edit | None:
        """Add a model with a few fields."""
        app = self.random.choice(APPS)
        columns: list[Column] = []
        for _ in range(self.random.randint(1, 4)):
            column = self._column(project)
            # Django may add a relation only after the table, when that has rows.
            if column.target in self._settled and self.chance(0.5):
                column = replace(column, null=False)
            if column.name not in [each.name for each in columns]:
                columns.append(column)
        table = Table(
            self.key("t"),
            app,
            self.random.choice(MODEL_NAMES),
            tuple(columns),
            big_key=self.chance(0.8),
        )
        return Add(table)

    def _column(self, project: Project) -> Column:
        name = self.random.choice(FIELD_NAMES)
        if project.tables and self.chance(0.4):
            target = self.random.choice(project.tables)
            return Column(self.key("c"), target.name.lower(), "fk", target=target.key)
        kind = self.random.choice(KINDS)
        prefix = "code_" if kind == "code" else ""
        return Column(
            self.key("c"),
            prefix + name,
            kind,
            null=kind == "code" or self.chance(0.5),
            default=self.random.randrange(2),
            db_column=self.random.choice([None, None, None, f"{prefix}Odd Column"]),
            collation=self.random.choice([None, None, "C"]) if kind in ("text", "char") else None,
            indexed=self.chance(0.2),
        )

    def new_column(self, project: Project) -> Edit | None:
        """Add a field to a model."""
        table = self._any(project.tables)
        return table and Add(self._column(project), table.key)

    def new_many(self, project: Project) -> Edit | None:
        """Add a relation to many to a model."""
        table, target = self._any(project.tables), self._any(project.tables)
        return table and Add(
            Many(self.key("m"), self.random.choice(FIELD_NAMES), target.key), table.key
        )

    def removed_column(self, project: Project) -> Edit | None:
        """Remove a field that can be added again with rows in the table."""
        column = self._any(keep(self._columns(project), lambda each: each.null or not each.target))
        return column and Remove(column.key)

    def removed_many(self, project: Project) -> Edit | None:
        """Remove a relation to many."""
        many = self._any([each for table in project.tables for each in table.many])
        return many and Remove(many.key)

    def removed_table(self, project: Project) -> Edit | None:
        """Delete a model."""
        required = {each.target for each in self._columns(project) if not each.null}
        table = self._any(keep(project.tables, lambda each: each.key not in required))
        return table and Remove(table.key)

    def renamed_column(self, project: Project) -> Edit | None:
        """Rename a field."""
        column = self._any(self._columns(project))
        if column is None:
            return None
        prefix = "code_" if column.kind == "code" else ""
        name = prefix + self.random.choice(FIELD_NAMES)
        return Rename(column.key, name) if self.chance(0.3) else Set(column.key, "name", name)

    def renamed_many(self, project: Project) -> Edit | None:
        """Rename a relation to many."""
        many = self._any([each for table in project.tables for each in table.many])
        return many and Set(many.key, "name", self.random.choice(FIELD_NAMES))

    def renamed_table(self, project: Project) -> Edit | None:
        """Rename a model."""
        table = self._any(project.tables)
        return table and Set(table.key, "name", self.random.choice(MODEL_NAMES))

    def altered_column(self, project: Project) -> Edit | None:
        """Alter one thing about a field."""
        column = self._any(self._columns(project))
        if column is None:
            return None
        prefix = "code_" if column.kind == "code" else ""
        names = [None, f"{prefix}Odd Column", f"{prefix}other"]
        changes: list[Edit] = [
            Set(column.key, "db_column", self.random.choice(names)),
            Set(column.key, "indexed", not column.indexed),
        ]
        changes += [Set(column.key, "kind", kind) for kind in ALTERED_KINDS[column.kind]] * 2
        if column.kind not in ("fk", "code"):
            changes += [Set(column.key, "null", not column.null)] * 2
            changes.append(Set(column.key, "default", 1 - column.default))
        if column.kind in ("text", "char"):
            collation = self.random.choice([None, "C", "POSIX"])
            changes += [Set(column.key, "collation", collation)] * 2
        return self.random.choice(changes)

    def altered_table(self, project: Project) -> Edit | None:
        """Alter something in Meta, or the type of the primary key."""
        table = self._any(project.tables)
        if table is None:
            return None
        column = self._any(table.columns)
        return self.random.choice(
            [
                Set(table.key, "db_table", self.random.choice([None, f"{table.app}_x", "Odd T"])),
                Set(table.key, "indexed", column and column.key),
                Set(table.key, "checked", column and column.key),
                Set(table.key, "big_key", not table.big_key),
            ]
        )

    def by_hand(self, project: Project) -> Edit | None:
        """Write DDL by hand that no model says anything of."""
        table = self._any(project.tables)
        name = self.key("x")
        statements = [
            (
                f"ALTER TABLE {{}} ADD COLUMN {name} integer",
                f"ALTER TABLE {{}} DROP COLUMN IF EXISTS {name}",
            ),
            (f"CREATE INDEX {name} ON {{}} (id, (id + 1))", f"DROP INDEX IF EXISTS {name}"),
            (f"COMMENT ON TABLE {{}} IS '{name}'", "COMMENT ON TABLE {} IS NULL"),
            (
                f"ALTER TABLE {{}} ADD CONSTRAINT {name} CHECK (id >= 0)",
                f"ALTER TABLE {{}} DROP CONSTRAINT IF EXISTS {name}",
            ),
        ]
        return table and Write(table.key, *self.random.choice(statements))

    def new_helper(self, project: Project) -> Edit | None:
        """Make a plain view over a table as it is before the step."""
        table = self._any(project.tables)
        if table is None:
            return None
        columns = [("id", Seen("id", "bigint"))]
        selected = ["h.id"]
        read = ["id"]
        for column in self.random.sample(table.columns, min(2, len(table.columns))):
            name = f"h{len(columns)}"
            seen = Seen(name, column.kind, column.null, column.collation)
            columns.append((self.key("h"), seen))
            selected.append(f"h.{quoted(column.sql_name)} AS {name}")
            read.append(column.key)
        key = self.key("h")
        definition = f"SELECT {', '.join(selected)} FROM {quoted(table.sql_name)} h"
        return Add(
            Helper(
                key, table.app, f"plain_{key}", table.key, tuple(columns), tuple(read), definition
            )
        )

    # TViews

    def new_view(self, project: Project) -> Edit | None:
        """Add a TView."""
        shapes = [self._rows, self._rows, self._grouped, self._grouped, self._by_parent]
        shapes += [self._over, self._over, self._through, self._single]
        shape = self.random.choice(shapes)(project)
        if shape is None:
            return None
        helpers = {helper.key: helper.app for helper in project.helpers}
        apps = [helpers[key] for key in shape["reads"] if key in helpers] or list(APPS)
        view = View(
            self.key("v"),
            self.random.choice(apps),
            self.random.choice(TVIEW_NAMES),
            shape["sources"],
            shape["identity"],
            identity_name=self.random.choice(["id", "id", "key", "Key"]),
            grouped=shape["grouped"],
            conditions=shape["conditions"],
            db_table=self.random.choice([None, None, None, "Odd TView"]),
        )
        for _ in range(self.random.randint(0, 4)):
            output = self._output(project, view)
            if output is not None:
                view = replace(view, outputs=(*view.outputs, output))
        return Add(view)

    def _shape(
        self,
        sources: list[Source],
        identity: tuple[str, str] | None,
        *,
        grouped: bool = False,
        conditions: Sequence[tuple[str, str, str]] = (),
    ) -> dict[str, Any]:
        return {
            "sources": tuple(sources),
            "identity": identity,
            "grouped": grouped,
            "conditions": tuple(conditions),
            "reads": [source.relation for source in sources],
        }

    def _rows(self, project: Project) -> dict[str, Any] | None:
        """One row for each row of a table, with columns of what it points to."""
        table = self._any(project.tables)
        if table is None:
            return None
        sources = [Source("s0", table.key)]
        for _ in range(self.random.choice([0, 1, 1, 2])):
            source = self._parent(project, sources)
            if source:
                sources.append(source)
        conditions = []
        column = self._any(table.columns)
        if column and self.chance(0.3):
            fitting = [text for text, fits in CONDITIONS.items() if fits(column.kind)]
            conditions.append((self.random.choice(fitting), "s0", column.key))
        return self._shape(sources, ("s0", "id"), conditions=conditions)

    def _parent(self, project: Project, sources: Sequence[Source]) -> Source | None:
        pointing = [
            (source.alias, column)
            for source in sources
            if isinstance(table := project.find(source.relation), Table)
            for column in table.columns
            if column.target
        ]
        if not pointing:
            return None
        alias, column = self.random.choice(pointing)
        join = self.random.choice(["JOIN", "LEFT JOIN", "LEFT JOIN"])
        return Source(f"s{len(sources)}", column.target, join, alias, column.key, "id")

    def _grouped(self, project: Project) -> dict[str, Any] | None:
        """One row for each value of a column."""
        column = self._any(keep(self._columns(project), lambda each: each.kind in KEY_KINDS))
        if column is None:
            return None
        table = next(each for each in project.tables if column in each.columns)
        sources = [Source("s0", table.key)]
        if self.chance(0.3) and (parent := self._parent(project, sources)):
            sources.append(parent)
        return self._shape(sources, ("s0", column.key), grouped=True)

    def _by_parent(self, project: Project) -> dict[str, Any] | None:
        """One row for each row of a table that others point to, with what these give together."""
        column = self._any(keep(self._columns(project), lambda each: each.target is not None))
        if column is None:
            return None
        table = next(each for each in project.tables if column in each.columns)
        join = self.random.choice(["JOIN", "LEFT JOIN"])
        child = Source("s1", table.key, join, "s0", "id", column.key)
        return self._shape([Source("s0", column.target), child], ("s0", "id"), grouped=True)

    def _over(self, project: Project) -> dict[str, Any] | None:
        """One row for each row of another TView or of a helper view."""
        below = self._any((*project.views, *project.helpers, *project.helpers))
        if below is None:
            return None
        sources = [Source("s0", below.key)]
        table = self._any(project.tables)
        identity = project.readables()[below.key].columns.get("id")
        if identity is None:
            # What it reads goes in the same step.
            return None
        if table and identity.kind in ("bigint", "fk") and self.chance(0.4):
            join = self.random.choice(["JOIN", "LEFT JOIN"])
            sources.append(Source("s1", table.key, join, "s0", "id", "id"))
        return self._shape(sources, ("s0", "id"))

    def _through(self, project: Project) -> dict[str, Any] | None:
        """One row for each pair that a relation to many has."""
        pairs = [(table, many) for table in project.tables for many in table.many]
        if not pairs:
            return None
        table, many = self.random.choice(pairs)
        sources = [Source("s0", many.key), Source("s1", table.key, "JOIN", "s0", "left", "id")]
        if self.chance(0.6):
            sources.append(Source("s2", many.target, "JOIN", "s0", "right", "id"))
        if self.chance(0.5):
            return self._shape(sources, ("s1", "id"), grouped=True)
        return self._shape(sources, ("s0", "id"))

    def _single(self, project: Project) -> dict[str, Any] | None:
        """One row in all."""
        table = self._any(project.tables)
        return table and self._shape([Source("s0", table.key)], None, grouped=True)

    def _output(self, project: Project, view: View) -> Output | None:
        readables = project.readables()
        if any(source.relation not in readables for source in view.sources):
            return None
        source = self.random.choice(view.sources)
        key, seen = self.random.choice(list(readables[source.relation].columns.items()))
        templates = AGGREGATES if view.grouped else SCALARS
        fitting = [text for text, kind_after in templates.items() if kind_after(seen.kind)]
        output = Output(
            self.key("o"),
            self.random.choice(OUTPUT_NAMES),
            self.random.choice(fitting),
            source.alias,
            key,
            counted=None if view.grouped else self._counted(project, source.relation, key),
            output=self.random.choice([None, None, None, "Odd Output"]),
            wide=self.chance(0.3),
            strict=self.chance(0.4),
        )
        taken = [each.name for each in view.outputs] + [each.output for each in view.outputs]
        if output.name in taken or (output.output and output.output in taken):
            return None
        target = project.target_of(source.relation, key)
        if target and output.template == "{}" and not output.output and self.chance(0.6):
            output = replace(output, pointing=True)
        return output

    def _counted(self, project: Project, relation: str, key: str) -> tuple[str, str] | None:
        if key != "id" or self.chance(0.4):
            return None
        children = [
            (table.key, column.key)
            for table in project.tables
            for column in table.columns
            if column.target == relation
        ]
        return self._any(children)

    def new_output(self, project: Project) -> Edit | None:
        """Add a field to a TView."""
        view = self._any(project.views)
        output = view and self._output(project, view)
        return output and Add(output, view.key)

    def new_source(self, project: Project) -> Edit | None:
        """Let a TView read one more table."""
        view = self._any(project.views)
        if view is None or view.grouped:
            return None
        source = self._parent(project, view.sources)
        return source and Add(source, view.key)

    def removed_output(self, project: Project) -> Edit | None:
        """Remove a field of a TView."""
        output = self._any([output for view in project.views for output in view.outputs])
        return output and Remove(output.key)

    def removed_view(self, project: Project) -> Edit | None:
        """Delete a TView."""
        view = self._any(project.views)
        return view and Remove(view.key)

    def renamed_view(self, project: Project) -> Edit | None:
        """Rename a TView, or move it to the other app."""
        view = self._any(project.views)
        if view is None:
            return None
        if self.chance(0.2):
            return Set(view.key, "app", self.random.choice(APPS))
        return Set(view.key, "name", self.random.choice(TVIEW_NAMES))

    def altered_view(self, project: Project) -> Edit | None:
        """Alter something about a TView besides its fields."""
        view = self._any(project.views)
        if view is None:
            return None
        output = self._any(view.outputs)
        changes: list[Edit] = [
            Set(view.key, "indexed", output and output.key),
            Set(view.key, "unique", output and output.key),
            Set(view.key, "checked", not view.checked),
            Set(view.key, "comment", self.random.choice(["", "it's kept", "kept"])),
            Set(view.key, "allow_rebuild", not view.allow_rebuild),
            Set(view.key, "db_table", self.random.choice([None, "Odd TView", f"{view.app}_y"])),
            Set(view.key, "identity_name", self.random.choice(["id", "key", "Key"])),
        ]
        if view.sources and (table := project.find(view.sources[0].relation)):
            column = isinstance(table, Table) and self._any(table.columns)
            if column:
                fitting = [text for text, fits in CONDITIONS.items() if fits(column.kind)]
                condition = (self.random.choice(fitting), "s0", column.key)
                changes += [Set(view.key, "conditions", (*view.conditions, condition))] * 2
                changes.append(Set(view.key, "conditions", ()))
        return self.random.choice(changes)

    def altered_output(self, project: Project) -> Edit | None:
        """Alter a field of a TView, or what the query gives for it."""
        pairs = [(view, output) for view in project.views for output in view.outputs]
        pair = self._any(pairs)
        if pair is None:
            return None
        view, output = pair
        seen = view.column(output.alias, output.column, project.readables())
        changes: list[Edit] = [
            Set(output.key, "name", self.random.choice(OUTPUT_NAMES)),
            Set(output.key, "wide", not output.wide),
            Set(output.key, "strict", not output.strict),
            Set(output.key, "verbose", self.random.choice([None, "in words"])),
        ]
        if not output.pointing:
            changes.append(Set(output.key, "output", self.random.choice([None, "Odd Output"])))
        if seen and not output.counted and not output.pointing:
            templates = AGGREGATES if view.grouped else SCALARS
            fitting = [text for text, kind_after in templates.items() if kind_after(seen.kind)]
            changes += [Set(output.key, "template", self.random.choice(fitting))] * 3
        return self.random.choice(changes)

    # Choices

    def _columns(self, project: Project) -> list[Column]:
        return [column for table in project.tables for column in table.columns]

    def _any(self, things: Sequence[Any]) -> Any:
        return self.random.choice(things) if things else None
