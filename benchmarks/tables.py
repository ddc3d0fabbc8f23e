"""The models through which object operations write the blog's tables."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model, QuerySet


@dataclass(frozen=True)
class Tables:
    """Models of the blog's tables.

    Attributes:
        author: of authors.
        post: of posts.
        comment: of comments.
        computed: django-computedfields keeps fields of them, and must be told of bulk writes.
    """

    author: type[Model]
    post: type[Model]
    comment: type[Model]
    computed: bool = False

    @contextmanager
    def changing(self, rows: QuerySet[Any]) -> Iterator[None]:
        """Write many rows at once inside, as the documentation of django-computedfields tells.

        Args:
            rows: what is written.
        """
        if not self.computed:
            yield
            return
        from computedfields.models import preupdate_dependent, update_dependent

        before = preupdate_dependent(rows)
        yield
        update_dependent(rows, old=before)
