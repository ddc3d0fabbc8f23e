"""TViews and what they read, as a graph.

An edge leads from the reader to what it reads: ``shop.ProductCard → shop_product``. The graph is a
plain value; `Graph.of` makes it from declarations and from what is known of the relations they
name. With that, helper views are looked through; without it, whatever is no TView is a source.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from typing import TYPE_CHECKING, Final

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections

from .conf import settings
from .errors import CircularDependency, DependencyDepthExceeded, MetadataNotFound
from .facts import RelationKind
from .model_facts import relation_called, table_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.db.backends.base.base import BaseDatabaseWrapper

    from .definition import Declaration
    from .facts import RelationFacts, RelationName

ARROW: Final = " → "

DEFAULT_SCHEMA: Final = "public"
"""The schema an unqualified name is taken to mean where no database says otherwise."""


class NodeKind(StrEnum):
    """What a node of the graph is."""

    TVIEW = "TView"
    HELPER_VIEW = "helper view"
    SOURCE = "source"


@dataclass(frozen=True, order=True)
class Node:
    """A TView, a helper view or a source.

    Attributes:
        name: the label of a TView, else the name of the relation; no two nodes share it.
        kind: what it is.
        relation: the name of its table or view, with the schema unless that is the default.
        model: the label of the Django model with that table, "" if there is none.
    """

    name: str
    kind: NodeKind
    relation: str
    model: str = ""


@dataclass(frozen=True, order=True)
class Edge:
    """One node reads another.

    Attributes:
        reader: the name of the node whose query names the other.
        read: the name of the node that it names.
    """

    reader: str
    read: str


@dataclass(frozen=True)
class Graph:
    """Which TView or helper view reads what.

    Attributes:
        nodes: sorted by name.
        edges: sorted, each once; both ends are among the nodes.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @classmethod
    def of(
        cls,
        declarations: Iterable[Declaration],
        relations: Mapping[RelationName, RelationFacts] | None = None,
        default_schema: str = DEFAULT_SCHEMA,
    ) -> Graph:
        """Make the graph of some TViews.

        Args:
            declarations: the TViews.
            relations: what a database says of the relations that the queries name, and of those
                that the definitions of helper views name in turn.
            default_schema: the schema of unqualified names that are not among the relations.

        Raises:
            InvalidQuery: a query is not one SELECT.
        """
        return _Builder(declarations, relations or {}, default_schema).graph()

    @cached_property
    def by_name(self) -> Mapping[str, Node]:
        """The nodes by their names."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def reads(self) -> Mapping[str, tuple[str, ...]]:
        """For the name of each node, the names of those it reads."""
        reads: dict[str, list[str]] = {node.name: [] for node in self.nodes}
        for edge in self.edges:
            reads[edge.reader].append(edge.read)
        return {name: tuple(read) for name, read in reads.items()}

    @cached_property
    def read_by(self) -> Mapping[str, tuple[str, ...]]:
        """For the name of each node, the names of those that read it."""
        read_by: dict[str, list[str]] = {node.name: [] for node in self.nodes}
        for edge in self.edges:
            read_by[edge.read].append(edge.reader)
        return {name: tuple(readers) for name, readers in read_by.items()}

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The names of all nodes, each after those it reads; the same for equal graphs.

        Raises:
            CircularDependency: there is no such order.
        """
        sorter = TopologicalSorter(self.reads)
        try:
            sorter.prepare()
        except CycleError as error:
            raise _circular(error.args[1]) from None
        order: list[str] = []
        while sorter.is_active():
            ready = sorted(sorter.get_ready())
            order.extend(ready)
            sorter.done(*ready)
        return tuple(order)

    @cached_property
    def tviews(self) -> tuple[str, ...]:
        """The labels of the TViews in the order in which they are kept: readers last.

        Raises:
            CircularDependency: there is no such order.
        """
        return tuple(name for name in self.order if self.by_name[name].kind is NodeKind.TVIEW)

    @cached_property
    def depths(self) -> Mapping[str, int]:
        """For the name of each node, how many TViews and helper views are stacked there.

        A source has depth 0, a TView that reads sources only has depth 1.

        Raises:
            CircularDependency: the stack has no bottom.
        """
        depths: dict[str, int] = {}
        for name in self.order:
            below = (depths[read] for read in self.reads[name])
            own = 0 if self.by_name[name].kind is NodeKind.SOURCE else 1
            depths[name] = own + max(below, default=0)
        return depths

    def validate(self, depth_limit: int | None = None) -> None:
        """Check that the TViews can be kept in some order, within the depth limit.

        Args:
            depth_limit: how many TViews and helper views may be stacked; by default the setting
                ``DEPTH_LIMIT``.

        Raises:
            CircularDependency: TViews read each other in a circle.
            DependencyDepthExceeded: a stack is too high.
        """
        limit = settings.DEPTH_LIMIT if depth_limit is None else depth_limit
        deepest = max(self.order, key=lambda name: (self.depths[name], name), default=None)
        if deepest is None or self.depths[deepest] <= limit:
            return
        path = self._deepest_path(deepest)
        raise DependencyDepthExceeded(
            f"{deepest} is {self.depths[deepest]} deep, over the limit of {limit}: "
            f"{ARROW.join(path)}.",
            hint=(
                f'Let {deepest} read what is further down, or raise DJANGO_TVIEWS["DEPTH_LIMIT"].'
            ),
            tview=deepest if self.by_name[deepest].kind is NodeKind.TVIEW else None,
            path=path,
            depth=self.depths[deepest],
            limit=limit,
        )

    def around(self, *names: str) -> Graph:
        """Return the part with these nodes, all that they read and all that read them.

        Args:
            *names: names of nodes, names of relations or labels of models; upper and lower case
                are the same where that is unambiguous.

        Raises:
            MetadataNotFound: there is no such node.
        """
        kept: set[str] = set()
        for name in names:
            start = self.find(name).name
            kept |= _reachable(start, self.reads) | _reachable(start, self.read_by)
        return Graph(
            tuple(node for node in self.nodes if node.name in kept),
            tuple(edge for edge in self.edges if {edge.reader, edge.read} <= kept),
        )

    def find(self, name: str) -> Node:
        """Return the node of that name, relation or model label.

        Args:
            name: what to look for; upper and lower case are the same where nothing fits exactly.

        Raises:
            MetadataNotFound: there is no such node; the hint has those whose name is near.
        """
        names = {
            known: node
            for node in self.nodes
            for known in (node.model, node.relation, node.name)
            if known
        }
        if name in names:
            return names[name]
        for known, node in names.items():
            if known.lower() == name.lower():
                return node
        raise MetadataNotFound.near(
            f'Neither a TView nor anything that a TView reads is called "{name}".',
            name,
            {known for node in self.nodes for known in (node.name, node.model) if known},
        )

    def _deepest_path(self, name: str) -> tuple[str, ...]:
        path = [name]
        while self.reads[path[-1]]:
            path.append(max(self.reads[path[-1]], key=lambda read: (self.depths[read], read)))
        return tuple(path)


def declarations() -> tuple[Declaration, ...]:
    """Return the declarations of all TViews of the project, sorted by label.

    Raises:
        InvalidQuery: a query does not compile to one SELECT with named output columns.
        UnsupportedQuery: a query uses a construct that cannot be kept.
    """
    from .definition import Declaration
    from .models import TView

    models = (model for model in apps.get_models() if issubclass(model, TView))
    found = (Declaration.from_model(model) for model in models if not model._meta.proxy)
    return tuple(sorted(found, key=lambda declaration: declaration.label))


def of_project(using: str = DEFAULT_DB_ALIAS) -> Graph:
    """Make the graph of all TViews of the project, asking a database what their sources are.

    Args:
        using: alias of the database.

    Raises:
        InvalidQuery: a query does not compile to one SELECT with named output columns.
        UnsupportedQuery: a query uses a construct that cannot be kept.
    """
    from . import catalog

    connection = connections[using]
    declared = declarations()
    return Graph.of(
        declared, relations_read(connection, declared), catalog.current_schema(connection)
    )


def relations_read(
    connection: BaseDatabaseWrapper, declarations: Iterable[Declaration]
) -> dict[RelationName, RelationFacts]:
    """Read what a database knows of TViews and what they read, through helper views, too.

    Relations that do not exist yet are left out.

    Args:
        connection: to the database.
        declarations: the TViews.
    """
    from . import catalog
    from .relational.canonical import read_relations

    found: dict[RelationName, RelationFacts] = {}
    named = {relation_called(declaration.table) for declaration in declarations}
    queries = [declaration.query for declaration in declarations]
    while named := (named | set(chain.from_iterable(map(read_relations, queries)))) - found.keys():
        oids = catalog.resolve(connection, named)
        facts = catalog.relations(connection, oids.values())
        found |= {name: facts[oid] for name, oid in oids.items()}
        named = set()
        queries = [
            read.definition
            for read in facts.values()
            if read.definition and read.kind is RelationKind.VIEW
        ]
    return found


class _Builder:
    """Collects nodes and edges; relations are known by schema and name, nodes by their names."""

    def __init__(
        self,
        declarations: Iterable[Declaration],
        relations: Mapping[RelationName, RelationFacts],
        default_schema: str,
    ) -> None:
        self.default_schema = default_schema
        self.schemas = {
            named: facts.schema for named, facts in relations.items() if facts.schema is not None
        }
        self.definitions = {
            self.resolve(named): facts.definition
            for named, facts in relations.items()
            if facts.kind is RelationKind.VIEW
        }
        self.declarations = {
            self.resolve(relation_called(declaration.table)): declaration
            for declaration in declarations
        }
        self.labels = {declaration.label for declaration in self.declarations.values()}
        self.models = {
            table_of(model): model._meta.label
            for model in apps.get_models(include_auto_created=True)
        }
        self.nodes: dict[tuple[str, str], Node] = {}
        self.edges: set[Edge] = set()

    def graph(self) -> Graph:
        for relation in self.declarations:
            self.visit(relation)
        return Graph(tuple(sorted(self.nodes.values())), tuple(sorted(self.edges)))

    def visit(self, relation: tuple[str, str]) -> Node:
        """Return the node of a relation, adding it and everything below it if it is new."""
        if relation in self.nodes:
            return self.nodes[relation]
        from .relational.canonical import read_relations

        name = self.display(*relation)
        declaration = self.declarations.get(relation)
        if declaration is not None:
            query: str | None = declaration.query
            node = Node(declaration.label, NodeKind.TVIEW, name, declaration.label)
        else:
            query = self.definitions.get(relation)
            node = Node(
                # A schema may be called like an app, and a table in it like a model.
                _quoted(*relation) if name in self.labels else name,
                NodeKind.HELPER_VIEW if query else NodeKind.SOURCE,
                name,
                self.model(*relation),
            )
        self.nodes[relation] = node
        for named in read_relations(query) if query else ():
            self.edges.add(Edge(node.name, self.visit(self.resolve(named)).name))
        return node

    def resolve(self, named: RelationName) -> tuple[str, str]:
        """Return the schema and name of a relation that a query names, as far as is known."""
        schema, name = named
        return schema or self.schemas.get(named, self.default_schema), name

    def display(self, schema: str, name: str) -> str:
        return name if schema == self.default_schema else f"{schema}.{name}"

    def model(self, schema: str, name: str) -> str:
        """Return the label of the model with a table, "" if there is none."""
        label = self.models.get((schema, name), "")
        if not label and schema in (self.default_schema, DEFAULT_SCHEMA):
            label = self.models.get((None, name), "")
        return label


def _quoted(schema: str, name: str) -> str:
    return f'"{schema}"."{name}"'


def _circular(cycle: list[str]) -> CircularDependency:
    """Make the error from graphlib's cycle, where each node is read by the one after it."""
    members = cycle[::-1][:-1]
    first = members.index(min(members))
    path = (*members[first:], *members[:first], members[first])
    return CircularDependency(
        f"TViews depend on each other in a circle: {ARROW.join(path)}.",
        hint="Let one of them read the tables that the next one reads instead.",
        path=path,
    )


def _reachable(start: str, neighbours: Mapping[str, tuple[str, ...]]) -> set[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(neighbours[name])
    return reached
