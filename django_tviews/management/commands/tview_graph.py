"""``manage.py tview_graph``: what each TView reads, and in which order they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from django_tviews import graph, renderers
from django_tviews.management.base import TViewCommand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RENDERERS: Final[Mapping[str, Callable[[graph.Graph], str]]] = {
    "text": renderers.render_text,
    "json": renderers.render_json,
    "dot": renderers.render_dot,
    "mermaid": renderers.render_mermaid,
}


class Command(TViewCommand):
    """Show TViews, helper views and sources as a graph."""

    help = "Shows what TViews read, directly and through helper views, and their order and depth."
    formats: ClassVar[tuple[str, ...]] = tuple(RENDERERS)
    labels_help = "TViews, sources or models to show the surroundings of. By default everything."

    def run(self, **options: Any) -> None:
        """Write the graph, and end with 2 if it has a circle or is too deep."""
        whole = graph.of_project(using=options["database"])
        shown = whole.around(*options["labels"]) if options["labels"] else whole
        self.stdout.write(RENDERERS[options["format"]](shown))
        shown.validate()
