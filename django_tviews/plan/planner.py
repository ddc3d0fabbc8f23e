"""From a relational tree to a plan."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from django_tviews.errors import ColumnMismatch, KeyMissing, KeyNull, UnsupportedQuery
from django_tviews.relational.constructs import refuse
from django_tviews.relational.hidden import with_hidden
from django_tviews.relational.tree import HIDDEN
from django_tviews.sqltypes import compared_as, is_written_in_one_way, keeps_values, without_length

from .columns import KeyColumn, PlanColumn
from .folds import find_folds
from .group_parts import find_group_parts
from .patches import find_patch
from .plan import Plan, SourcePlan, Strategy, relevant_columns
from .roots import find_root, has_single_rows
from .routes import NoRoute, find_routes
from .units import evaluated_by_key, find_unit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from django_tviews.definition import Declaration
    from django_tviews.facts import Facts, RelationFacts
    from django_tviews.relational.parts import Parts
    from django_tviews.relational.tree import Output, QueryTree


def make_plan(
    declaration: Declaration,
    tree: QueryTree,
    facts: Facts,
    *,
    schema: str,
    runtime_schema: str,
    depth: int = 0,
    bulk_threshold: int = 1000,
    output_types: Mapping[str, str] | None = None,
    reads_settings: bool = True,
    reads_zone_abbreviations: bool = True,
    parts: Parts | None = None,
    strategies: Collection[Strategy] = tuple(Strategy),
    query: str | None = None,
) -> Plan:
    """Plan the maintenance of a TView.

    Args:
        declaration: what the TView says.
        tree: its query, flattened.
        facts: about the relations and types of the query.
        schema: where the TView's table is.
        runtime_schema: where the registry is.
        depth: how many TViews lie below this one.
        bulk_threshold: with more changed rows or keys than this, statements are planned afresh.
        output_types: the types of the query's output columns, where a server has told them.
        reads_settings: what the query computes may depend on settings such as TimeZone.
        reads_zone_abbreviations: likewise on what EST stands for.
        parts: what its output columns read, if they have no say in which rows there are, and each
            row is one combination of rows.
        strategies: those that may be used; what none of them does is recomputed, or rebuilt.
        query: the text of the query, if it is not the declared one, but what a server makes of it.

    Raises:
        ColumnMismatch: a column without an output, or NOT NULL without a proof.
        KeyMissing: a key column without an output.
        KeyNull: the key may be NULL.
        UnsupportedQuery: a source without a route, unless ``allow_rebuild`` is set.
    """
    text, deferred = query or declaration.query, declaration.mode == "deferred"
    computed = output_types or {}
    outputs = _outputs(declaration, tree)
    _check_columns(declaration, outputs, facts, output_types)
    key = _key(declaration, outputs, facts)
    key_outputs = [column.output for column in key]
    by_key = evaluated_by_key(tree, key_outputs)
    columns = _columns(declaration, tree, computed)
    sources = _sources(tree, facts, key_outputs)
    if Strategy.FOLD in strategies:
        folds = find_folds(tree, columns, key, computed)
        columns += folds.hidden
        sources = tuple(replace(each, fold=folds.by_source.get(each.relation)) for each in sources)
    if parts is None:
        parts = find_group_parts(tree, text, key_outputs)
    if Strategy.PATCH in strategies and not deferred and parts is not None and by_key:
        sources = tuple(
            replace(each, patch=find_patch(tree, parts, each, columns, key_outputs))
            for each in sources
        )
    single = has_single_rows(tree, parts, key_outputs)
    # What threshold no row is below, one is not either.
    if Strategy.PATCH in strategies and not deferred and bulk_threshold > 0:
        sources = tuple(
            replace(each, root=find_root(tree, each, key_outputs, single=single and by_key))
            for each in sources
        )
    hidden = [column.hidden for column in columns if column.hidden is not None]
    plan = Plan(
        label=declaration.label,
        schema=schema,
        table=declaration.table,
        view=declaration.view,
        columns=columns,
        key=key,
        sources=sources,
        runtime_schema=runtime_schema,
        depth=depth,
        deferred=deferred,
        bulk_threshold=bulk_threshold,
        by_key=by_key,
        unit=None if by_key else find_unit(tree, key_outputs, facts),
        single=single,
        reads_settings=reads_settings or _formats_images(declaration, computed, sources),
        reads_zone_abbreviations=reads_zone_abbreviations,
        query=with_hidden(text, hidden) if hidden else "",
    )
    if not declaration.allow_rebuild:
        _refuse_rebuilds(plan)
    return plan


def _key(
    declaration: Declaration, outputs: Mapping[str, Output], facts: Facts
) -> tuple[KeyColumn, ...]:
    types = {column.name: column.type for column in declaration.columns}
    return tuple(
        KeyColumn(
            name,
            without_length(types[name]),
            outputs[name].name,
            facts.equality_schemas.get(types[name], "pg_catalog"),
        )
        for name in declaration.key
    )


def _columns(
    declaration: Declaration, tree: QueryTree, output_types: Mapping[str, str]
) -> tuple[PlanColumn, ...]:
    """Return the columns that fields show; hidden ones follow from the folds."""
    columns = []
    for column in declaration.columns:
        computed = output_types.get(column.output, column.type)
        columns.append(
            PlanColumn(
                column.name,
                column.type,
                column.output,
                computed,
                value_equal=tree.open_look(column.output),
                compared_as=compared_as(column.type, computed),
            )
        )
    return tuple(columns)


def _formats_images(
    declaration: Declaration, output_types: Mapping[str, str], sources: Iterable[SourcePlan]
) -> bool:
    """Tell whether settings decide how values are written: in the spool, images of rows are text.

    Args:
        declaration: what the TView says.
        output_types: the types of the query's output columns, as far as a server has told them.
        sources: the sources.
    """
    types = chain(
        (column.type for column in declaration.columns),
        output_types.values(),
        (type_sql for source in sources for _, type_sql in source.columns),
    )
    return not all(map(is_written_in_one_way, types))


def _outputs(declaration: Declaration, tree: QueryTree) -> dict[str, Output]:
    found: dict[str, Output] = {}
    for column in declaration.columns:
        if column.name.startswith(HIDDEN):
            raise ColumnMismatch(
                f"{declaration.label}: column {column.name!r} has the name of a hidden column.",
                hint=f"Give the field a db_column that does not begin with {HIDDEN}",
                tview=declaration.label,
                column=column.name,
            )
        output = tree.output(column.output)
        if output is None:
            error = KeyMissing if column.name in declaration.key else ColumnMismatch
            names = ", ".join(output.name for output in tree.outputs)
            raise error(
                f"{declaration.label}: field column {column.name!r} is fed by output column "
                f"{column.output!r}, which the query does not have. It has: {names}.",
                hint="Name the output after the field's column, or map it in Maintenance.columns.",
                tview=declaration.label,
                column=column.name,
            )
        found[column.name] = output
    used = {output.name for output in found.values()}
    extra = [output.name for output in tree.outputs if output.name not in used]
    if extra:
        hint = "Add a field for it, or leave it out of the query."
        if extra[0].startswith(HIDDEN):
            hint = "It is a hidden column of a TView: name the columns to read of that one, not *."
        raise ColumnMismatch(
            f"{declaration.label}: no field takes output column {extra[0]!r} of the query.",
            hint=hint,
            tview=declaration.label,
            column=extra[0],
        )
    return found


def _check_columns(
    declaration: Declaration,
    outputs: Mapping[str, Output],
    facts: Facts,
    output_types: Mapping[str, str] | None,
) -> None:
    """Refuse columns that cannot hold what the query gives.

    Args:
        declaration: what the TView says.
        outputs: the output column of each column.
        facts: about the types of the columns.
        output_types: the types of the output columns; None where no server has told them.
    """
    for column in declaration.columns:
        _check_null(declaration, column.name, column.nullable, outputs[column.name])
    types = {column.name: column.type for column in declaration.columns}
    for name in declaration.key:
        _refuse_what_no_array_holds(declaration, name, types[name], facts)
        if output_types is not None:
            _check_key_type(declaration, name, types[name], output_types[outputs[name].name])


def _check_null(declaration: Declaration, name: str, nullable: bool, output: Output) -> None:
    if nullable or not output.nullable:
        return
    if name in declaration.key:
        raise KeyNull(
            f"{declaration.label}: key column {name!r} may be NULL.",
            hint="Add WHERE … IS NOT NULL for it, or COALESCE it to a value.",
            tview=declaration.label,
            column=name,
        )
    raise ColumnMismatch(
        f"{declaration.label}: column {name!r} is NOT NULL, but the query does not rule out "
        "NULL in every state of its tables.",
        hint="Declare the field with null=True, or write COALESCE(…, value) in the query. "
        "Foreign keys do not count as proof: they may be unfulfilled between two statements.",
        tview=declaration.label,
        column=name,
    )


def _refuse_what_no_array_holds(
    declaration: Declaration, name: str, declared: str, facts: Facts
) -> None:
    """Refuse a key that unnest() cannot give back: affected keys are passed on in arrays."""
    kind = "an array" if declared.endswith("]") else facts.container_types.get(declared)
    if kind is not None:
        raise ColumnMismatch(
            f"{declaration.label}: key column {name!r} is {kind}, which cannot be a key.",
            hint="Cast it in the query (CAST(… AS text)), or key the TView by another column.",
            tview=declaration.label,
            column=name,
        )


def _check_key_type(declaration: Declaration, name: str, declared: str, computed: str) -> None:
    """Refuse a key that assignment to its column would change: its rows could not be found."""
    if not keeps_values(declared, computed):
        raise ColumnMismatch(
            f"{declaration.label}: key column {name!r} is declared as {declared}, but the query "
            f"computes {computed}, which assignment may change.",
            hint=f"Cast it in the query (CAST(… AS {declared})), or declare a field of that type.",
            tview=declaration.label,
            column=name,
        )


def _sources(tree: QueryTree, facts: Facts, key: Sequence[str]) -> tuple[SourcePlan, ...]:
    relations: list[RelationFacts] = []
    for occurrence in tree.occurrences:
        if occurrence.relation not in relations:
            relations.append(occurrence.relation)
    sources = [
        _source(number, relation, tree, facts, key)
        for number, relation in enumerate(relations, start=1)
    ]
    read_through = Counter(
        target.full_name for relation in relations for target in relation.targets
    )
    return tuple(
        replace(
            source,
            overlaps=any(read_through[each.full_name] > 1 for each in source.relation.targets),
        )
        for source in sources
    )


def _source(
    number: int, relation: RelationFacts, tree: QueryTree, facts: Facts, key: Sequence[str]
) -> SourcePlan:
    # An update through the parent may move a row out of a partition.
    identity = relation.keys[0] if relation.keys and not relation.ancestors else ()
    relevant = relevant_columns(tree, relation)
    _refuse_hidden_columns(relation, relevant)
    image = dict.fromkeys((*identity, *relevant))
    return SourcePlan(
        number=number,
        relation=relation,
        columns=tuple(
            (column.name, column.type) for column in relation.columns if column.name in image
        ),
        identity=tuple(
            (name, facts.equality_schemas.get(relation.by_name[name].type, "pg_catalog"))
            for name in identity
        ),
        routes=tuple(
            {
                route.shape: route
                for occurrence in tree.occurrences
                if occurrence.relation == relation
                for route in find_routes(tree, occurrence.number, key)
            }.values()
        ),
    )


def _refuse_hidden_columns(relation: RelationFacts, relevant: Iterable[str]) -> None:
    """Refuse what a statement may change without showing it: columns that only a child has."""
    for ancestor in relation.ancestors:
        for name in relevant:
            if name not in ancestor.by_name:
                refuse(
                    "relation-kind",
                    f"{relation.full_name}, whose column {name} is none of its parent "
                    f"{ancestor.full_name}, through which its rows can change,",
                )


def _refuse_rebuilds(plan: Plan) -> None:
    for source, route in plan.rebuilds:
        raise UnsupportedQuery(
            f"{plan.label}: a change of {source.relation.full_name} may affect every row: there "
            f"is no route from it to the key, because {_lowered(route)}.",
            hint="Tie it to the key by a join condition, or accept that every such change "
            "recomputes the whole TView: Maintenance.allow_rebuild = True.",
            tview=plan.label,
            construct="no-route",
        )


def _lowered(route: NoRoute) -> str:
    return route.reason[:1].lower() + route.reason[1:]
