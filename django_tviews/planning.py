"""Make the plan of a TView from what a database knows: read the facts, refuse, compile."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from . import catalog
from .conf import settings
from .errors import DependencyDepthExceeded
from .facts import Facts
from .plan.planner import make_plan
from .registry import installed
from .relational.builder import build_tree
from .relational.canonical import called_functions, read_relations
from .relational.constructs import refuse, refuse_function
from .relational.functions import may_be_called
from .relational.parts import find_parts
from .relational.zones import reads_zone_abbreviations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper

    from .definition import Declaration
    from .facts import FunctionName, RelationFacts, RelationName
    from .plan.plan import Plan
    from .relational.tree import QueryTree


def plan_of(
    connection: BaseDatabaseWrapper,
    declaration: Declaration,
    schema: str,
    view: str | None = None,
) -> Plan:
    """Make the plan of a TView, from its backing view as the server has it.

    Args:
        connection: where the view is.
        declaration: what the TView says.
        schema: where its table and its view are.
        view: the name of a view that stands in for the backing view.

    Raises:
        DependencyDepthExceeded: it lies over too many TViews or helper views.
        TViewError: the query cannot be kept.
    """
    view = view or declaration.view
    query = catalog.view_definition(connection, schema, view)
    facts = read_facts(connection, query)
    views = list(catalog.resolve(connection, [(schema, view), *facts.relations]).values())
    _refuse_by_stored_rules(connection, views)
    (oid,) = catalog.resolve(connection, [(schema, view)]).values()
    output_types = {
        column.name: column.type for column in catalog.relations(connection, [oid])[oid].columns
    }
    tree = build_tree(query, facts)
    depth = _depth(declaration, tree, facts)
    declaration = _with_full_type_names(connection, declaration)
    types = {column.type for column in declaration.columns}
    schemas = {**facts.equality_schemas, **catalog.equality_schemas(connection, types)}
    reads_settings, reads_any_setting = catalog.read_settings(connection, views)
    plan = make_plan(
        declaration,
        tree,
        replace(
            facts,
            equality_schemas=schemas,
            container_types=catalog.container_types(connection, types),
        ),
        schema=schema,
        runtime_schema=catalog.runtime_schema(connection) or schema,
        depth=depth,
        bulk_threshold=settings.BULK_THRESHOLD,
        output_types=output_types,
        reads_settings=reads_settings,
        reads_zone_abbreviations=reads_any_setting
        or reads_zone_abbreviations(_texts(query, facts)),
        parts=find_parts(query, facts),
        query=query,
    )
    helpers = {each.definition for each in facts.relations.values() if each.definition}
    return replace(plan, definitions=(query, *sorted(helpers)))


def read_facts(connection: BaseDatabaseWrapper, query: str) -> Facts:
    """Read everything the compiler has to know about a query, helper views looked through.

    Args:
        connection: where.
        query: one SELECT.

    Raises:
        DependencyDepthExceeded: helper views are nested too deep.
    """
    relations: dict[RelationName, RelationFacts] = {}
    functions: set[FunctionName] = set()
    texts = [query]
    for _ in range(settings.DEPTH_LIMIT + 1):
        names = {name for text in texts for name in read_relations(text)} - relations.keys()
        functions |= {name for text in texts for name in called_functions(text)}
        if not names:
            break
        oids = catalog.resolve(connection, names)
        facts = catalog.relations(connection, oids.values())
        found = {name: facts[oid] for name, oid in oids.items()}
        relations |= found
        texts = [each.definition for each in found.values() if each.definition]
    else:
        raise DependencyDepthExceeded(
            f"Helper views are nested more than {settings.DEPTH_LIMIT} deep.",
            hint="Flatten them, or raise DJANGO_TVIEWS['DEPTH_LIMIT'].",
        )
    overloads = catalog.functions(connection, functions)
    types = {column.type for relation in relations.values() for column in relation.columns}
    return Facts(
        relations,
        functions={name: each.volatility for name, each in overloads.items()},
        aggregates=frozenset(name for name, each in overloads.items() if each.aggregate),
        equality_schemas=catalog.equality_schemas(connection, types),
        tview_depths={
            (each.schema, each.declaration.table): each.depth for each in installed(connection)
        },
        set_returning=frozenset(name for name, each in overloads.items() if each.set_returning),
    )


def _texts(query: str, facts: Facts) -> Iterator[str]:
    """Yield all that a query computes: itself, helper views, virtual columns."""
    yield query
    for relation in facts.relations.values():
        if relation.definition:
            yield relation.definition
        for column in relation.columns:
            if column.generation:
                yield f"SELECT {column.generation}"


def _depth(declaration: Declaration, tree: QueryTree, facts: Facts) -> int:
    """Return how many TViews lie below a TView.

    Raises:
        DependencyDepthExceeded: they are too many.
    """
    read = {
        (occurrence.relation.schema, occurrence.relation.name) for occurrence in tree.occurrences
    }
    depth = max((facts.tview_depths.get(relation, -1) for relation in read), default=-1) + 1
    if depth > settings.DEPTH_LIMIT:
        raise DependencyDepthExceeded(
            f"TView {declaration.label} lies over {depth} TViews, more than "
            f"{settings.DEPTH_LIMIT}.",
            hint="Flatten the chain, or raise DJANGO_TVIEWS['DEPTH_LIMIT'].",
            tview=declaration.label,
        )
    return depth


def _with_full_type_names(connection: BaseDatabaseWrapper, declaration: Declaration) -> Declaration:
    """Write types that are not PostgreSQL's own with their schemas: maintenance has no path."""
    full = catalog.full_type_names(connection, {column.type for column in declaration.columns})
    columns = tuple(
        replace(column, type=full.get(column.type, column.type)) for column in declaration.columns
    )
    return replace(declaration, columns=columns)


def _refuse_by_stored_rules(connection: BaseDatabaseWrapper, views: Iterable[int]) -> None:
    """Refuse what only the rules of views tell: the operators, casts and overloads chosen."""
    for schema, name, volatility in catalog.mutable_functions(connection, views):
        if not may_be_called(schema, name, volatility):
            refuse_function(name, volatility)
    for type_name in catalog.casts_of_text_to_time(connection, views):
        refuse("text-to-time", f"a cast to {type_name}")
    for type_name in catalog.casts_of_names(connection, views):
        refuse("unpinned-function", f"a cast between text and {type_name}")
    for name in catalog.float_aggregates(connection, views):
        refuse("float-aggregate", f"{name}()")
    for what, type_sql in catalog.unnamed_comparisons(connection, views):
        refuse("foreign-equality", f"{what} over {type_sql}")
    for name in catalog.dependencies_on_inherited_keys(connection, views):
        refuse("inherited-key", f"what is shown of {name}")
