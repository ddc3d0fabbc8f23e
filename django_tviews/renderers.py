"""The graph of TViews in the formats that ``tview_graph`` writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from .graph import NodeKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .graph import Graph


def render_text(graph: Graph) -> str:
    """Draw the graph as a tree for people, from the TViews that nothing reads down to the sources.

    What several TViews read is drawn below the first of them and named below the others.

    Raises:
        CircularDependency: the graph is no tree.
    """
    if not graph.nodes:
        return "There are no TViews."
    lines: list[str] = []
    drawn: set[str] = set()
    for root in (name for name in graph.order if not graph.read_by[name]):
        lines.extend(_branch(graph, root, drawn))
        lines.append("")
    lines.append(_summary(graph))
    if len(graph.tviews) > 1:
        lines.append(f"Kept in this order: {', '.join(graph.tviews)}.")
    return "\n".join(lines)


def _branch(graph: Graph, name: str, drawn: set[str]) -> Iterator[str]:
    reads = graph.reads[name]
    again = name in drawn and bool(reads)
    drawn.add(name)
    yield f"{name}{_remark(graph, name)}{', as above' if again else ''}"
    if again:
        return
    for read in reads:
        last = read == reads[-1]
        below = _branch(graph, read, drawn)
        yield f"{'└── ' if last else '├── '}{next(below)}"
        for line in below:
            yield f"{'    ' if last else '│   '}{line}"


def _remark(graph: Graph, name: str) -> str:
    node = graph.by_name[name]
    match node.kind:
        case NodeKind.SOURCE:
            return f" ({node.model})" if node.model else ""
        case kind:
            return f" ({kind}, depth {graph.depths[name]})"


def _summary(graph: Graph) -> str:
    kinds = [node.kind for node in graph.nodes]
    tviews, views, sources = (
        _counted(kinds.count(kind), kind)
        for kind in (NodeKind.TVIEW, NodeKind.HELPER_VIEW, NodeKind.SOURCE)
    )
    through = f" through {views}" if NodeKind.HELPER_VIEW in kinds else ""
    return f"{tviews} over {sources}{through}."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def render_json(graph: Graph) -> str:
    """Write the graph as JSON; ``format`` changes whenever a program would have to.

    Raises:
        CircularDependency: there is no order in which to keep the TViews.
    """
    return json.dumps(
        {
            "format": 1,
            "nodes": [
                {
                    "name": node.name,
                    "kind": node.kind,
                    "relation": node.relation,
                    "model": node.model or None,
                    "depth": graph.depths[node.name],
                }
                for node in graph.nodes
            ],
            "edges": [{"reader": edge.reader, "read": edge.read} for edge in graph.edges],
            "order": graph.tviews,
        },
        indent=2,
        ensure_ascii=False,
    )


_DOT_STYLES: Final = {
    NodeKind.TVIEW: "shape=box, style=filled, fillcolor=lightblue",
    NodeKind.HELPER_VIEW: "shape=box, style=dashed",
    NodeKind.SOURCE: "shape=cylinder",
}


def render_dot(graph: Graph) -> str:
    """Write the graph in the DOT language of Graphviz; arrows lead to what is read."""
    lines = ["digraph tviews {", "    rankdir=LR;"]
    lines += [f"    {_dot(node.name)} [{_DOT_STYLES[node.kind]}];" for node in graph.nodes]
    lines += [f"    {_dot(edge.reader)} -> {_dot(edge.read)};" for edge in graph.edges]
    return "\n".join([*lines, "}"])


def _dot(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_MERMAID_SHAPES: Final = {
    NodeKind.TVIEW: ('["', '"]'),
    NodeKind.HELPER_VIEW: ('(["', '"])'),
    NodeKind.SOURCE: ('[("', '")]'),
}


def render_mermaid(graph: Graph) -> str:
    """Write the graph as a Mermaid flowchart; arrows lead to what is read."""
    numbers = {node.name: f"n{number}" for number, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes:
        opening, closing = _MERMAID_SHAPES[node.kind]
        lines.append(f"    {numbers[node.name]}{opening}{_mermaid(node.name)}{closing}")
    lines += [f"    {numbers[edge.reader]} --> {numbers[edge.read]}" for edge in graph.edges]
    return "\n".join(lines)


def _mermaid(name: str) -> str:
    return name.replace("#", "#35;").replace('"', "#quot;")
