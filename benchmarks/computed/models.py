"""Models whose fields django-computedfields keeps: one set for each workload.

They stand on the tables of the blog, with the columns that `COLUMNS` adds to them.
"""

from __future__ import annotations

from typing import Any, Final

from computedfields.models import ComputedFieldsModel, computed
from django.db import models

from benchmarks import models as models_without

COLUMNS: Final = {
    "join": "ALTER TABLE post ADD COLUMN author_name text NOT NULL DEFAULT ''",
    "grouping": "ALTER TABLE author ADD COLUMN posts bigint NOT NULL DEFAULT 0,"
    " ADD COLUMN score bigint NOT NULL DEFAULT 0",
    "document": "ALTER TABLE post ADD COLUMN data jsonb NOT NULL DEFAULT '{}'",
}
"""The statement that adds the columns of a workload's computed fields."""

FILL: Final = {
    "join": "UPDATE post SET author_name = v.author_name FROM ({query}) v WHERE v.id = post.id",
    "grouping": "UPDATE author SET posts = v.posts, score = v.score"
    " FROM ({query}) v WHERE v.id = author.id",
    "document": "UPDATE post SET data = v.data FROM ({query}) v WHERE v.id = post.id",
}
"""The statement that gives them their first values, from the query of the workload."""

STORED: Final = {
    "join": "SELECT id, title, score, author_id, author_name FROM post",
    "grouping": "SELECT id, posts, score FROM author WHERE posts > 0",
    "document": "SELECT id, author_id, data FROM post",
}
"""The query that shows what they hold, in the order of the view's columns."""


class JoinAuthor(ComputedFieldsModel):
    name = models.TextField()
    motto = models.TextField(default="")

    class Meta:
        managed = False
        db_table = "author"

    def __str__(self) -> str:
        return self.name


class JoinPost(ComputedFieldsModel):
    author = models.ForeignKey(JoinAuthor, models.CASCADE, related_name="posts_of")
    title = models.TextField()
    score = models.IntegerField(default=1)
    body = models.TextField(default="")
    seen = models.IntegerField(default=0)

    class Meta:
        managed = False
        db_table = "post"

    def __str__(self) -> str:
        return self.title

    @computed(
        models.TextField(default=""),
        depends=[("self", ["author"]), ("author", ["name"])],
        select_related=["author"],
    )
    def author_name(self) -> str:
        return self.author.name


class GroupingAuthor(ComputedFieldsModel):
    name = models.TextField()
    motto = models.TextField(default="")

    class Meta:
        managed = False
        db_table = "author"

    def __str__(self) -> str:
        return self.name

    @computed(
        models.BigIntegerField(default=0),
        depends=[("posts_of", ["author"])],
        prefetch_related=["posts_of"],
    )
    def posts(self) -> int:
        return len(self.posts_of.all())

    @computed(
        models.BigIntegerField(default=0),
        depends=[("posts_of", ["author", "score"])],
        prefetch_related=["posts_of"],
    )
    def score(self) -> int:
        return sum(post.score for post in self.posts_of.all())


class GroupingPost(ComputedFieldsModel):
    author = models.ForeignKey(GroupingAuthor, models.CASCADE, related_name="posts_of")
    title = models.TextField()
    score = models.IntegerField(default=1)
    body = models.TextField(default="")
    seen = models.IntegerField(default=0)

    class Meta:
        managed = False
        db_table = "post"

    def __str__(self) -> str:
        return self.title


class DocumentAuthor(ComputedFieldsModel):
    name = models.TextField()
    motto = models.TextField(default="")

    class Meta:
        managed = False
        db_table = "author"

    def __str__(self) -> str:
        return self.name


class DocumentPost(ComputedFieldsModel):
    author = models.ForeignKey(DocumentAuthor, models.CASCADE, related_name="posts_of")
    title = models.TextField()
    score = models.IntegerField(default=1)
    body = models.TextField(default="")
    seen = models.IntegerField(default=0)

    class Meta:
        managed = False
        db_table = "post"

    def __str__(self) -> str:
        return self.title

    @computed(
        models.JSONField(default=dict),
        depends=[
            ("self", ["title", "score", "author"]),
            ("author", ["name"]),
            ("comments", ["post", "text", "rating"]),
        ],
        select_related=["author"],
        prefetch_related=["comments"],
    )
    def data(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "score": self.score,
            "author": {"id": self.author.pk, "name": self.author.name},
            "comments": [
                {"id": comment.pk, "text": comment.text, "rating": comment.rating}
                for comment in sorted(self.comments.all(), key=lambda comment: comment.pk)
            ],
        }


class DocumentComment(ComputedFieldsModel):
    post = models.ForeignKey(DocumentPost, models.DO_NOTHING, related_name="comments")
    text = models.TextField()
    rating = models.IntegerField(default=1)
    seen = models.IntegerField(default=0)

    class Meta:
        managed = False
        db_table = "comment"

    def __str__(self) -> str:
        return self.text


TABLES: Final = {
    "join": (JoinAuthor, JoinPost, models_without.Comment),
    "grouping": (GroupingAuthor, GroupingPost, models_without.Comment),
    "document": (DocumentAuthor, DocumentPost, DocumentComment),
}
"""The models of authors, posts and comments, by workload."""
