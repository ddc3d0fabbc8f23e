"""The workloads, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import blog, ecommerce, objects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.workload import Workload

WORKLOADS: Final[Mapping[str, Workload]] = {
    workload.name: workload
    for workload in (
        blog.JOIN,
        blog.GROUPING,
        blog.JOINED_GROUPING,
        blog.ANNOTATED,
        blog.DOCUMENT,
        blog.DERIVED,
        blog.STACKED,
        ecommerce.PRODUCT,
        objects.JOIN,
        objects.GROUPING,
        objects.DOCUMENT,
    )
}
