"""Objects of Django's ORM, one after the other and in bulk, over the tables of the blog."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.workload import ObjectOperation, Rename

from . import blog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import Model

    from benchmarks.tables import Tables

LOOP = 100
"""For more objects than this nobody writes a loop."""


def _new_posts(tables: Tables, parameters: Mapping[str, int]) -> list[Model]:
    authors = max(parameters["scale"] // 20, 10)
    return [
        tables.post(pk=number, author_id=4 + number % authors, title=f"post {number}", body="word")
        for number in _numbers(parameters)
    ]


def _new_comments(tables: Tables, parameters: Mapping[str, int]) -> list[Model]:
    return [
        tables.comment(pk=number, post_id=1 + number % parameters["scale"], text=f"text {number}")
        for number in _numbers(parameters)
    ]


def _numbers(parameters: Mapping[str, int]) -> range:
    return range(parameters["first"], parameters["last"] + 1)


def _create_posts_in_bulk(tables: Tables, parameters: Mapping[str, int]) -> None:
    with tables.changing(tables.post.objects.filter(pk__in=_numbers(parameters))):
        tables.post.objects.bulk_create(_new_posts(tables, parameters))


def _create_posts(tables: Tables, parameters: Mapping[str, int]) -> None:
    for post in _new_posts(tables, parameters):
        post.save(force_insert=True)


def _save_posts(tables: Tables, parameters: Mapping[str, int]) -> None:
    for post in tables.post.objects.filter(pk__in=_numbers(parameters)):
        post.title = f"now {parameters['number']}"
        post.score += 1
        post.save()


def _update_posts(tables: Tables, parameters: Mapping[str, int]) -> None:
    posts = tables.post.objects.filter(pk__in=_numbers(parameters))
    with tables.changing(posts):
        posts.update(title=f"then {parameters['number']}", score=3)


def _delete_posts(tables: Tables, parameters: Mapping[str, int]) -> None:
    tables.post.objects.filter(pk__in=_numbers(parameters)).delete()


def _delete_each_post(tables: Tables, parameters: Mapping[str, int]) -> None:
    for post in tables.post.objects.filter(pk__in=_numbers(parameters)):
        post.delete()


def _create_comments_in_bulk(tables: Tables, parameters: Mapping[str, int]) -> None:
    with tables.changing(tables.comment.objects.filter(pk__in=_numbers(parameters))):
        tables.comment.objects.bulk_create(_new_comments(tables, parameters))


def _save_comments(tables: Tables, parameters: Mapping[str, int]) -> None:
    for comment in tables.comment.objects.filter(pk__in=_numbers(parameters)):
        comment.text = f"now {parameters['number']}"
        comment.save()


def _delete_comments(tables: Tables, parameters: Mapping[str, int]) -> None:
    tables.comment.objects.filter(pk__in=_numbers(parameters)).delete()


def _rename_author(tables: Tables, parameters: Mapping[str, int]) -> None:
    author = tables.author.objects.get(pk=parameters["parent"])
    author.name = f"now {parameters['number']}"
    author.save()


_POSTS = (
    ObjectOperation("bulk_create() posts", _create_posts_in_bulk),
    ObjectOperation("save() each post", _save_posts, LOOP),
    ObjectOperation("update() posts", _update_posts),
)
_GONE_POSTS = (
    ObjectOperation("delete() posts", _delete_posts),
    ObjectOperation("create each post", _create_posts, LOOP),
    ObjectOperation("delete() each post", _delete_each_post, LOOP),
)
_COMMENTS = (
    ObjectOperation("bulk_create() comments", _create_comments_in_bulk),
    ObjectOperation("save() each comment", _save_comments, LOOP),
    ObjectOperation("delete() comments", _delete_comments),
)
_RENAMES = (Rename(ObjectOperation("save() an author", _rename_author), {10: 1, 1_000: 2}),)

JOIN = replace(
    blog.JOIN,
    name="join_objects",
    title="the same, written by objects of the ORM",
    changes=(*_POSTS, *_GONE_POSTS),
    renames=_RENAMES,
)
GROUPING = replace(
    blog.GROUPING,
    name="grouping_objects",
    title="the same, written by objects of the ORM",
    changes=(*_POSTS, *_GONE_POSTS),
)
DOCUMENT = replace(
    blog.DOCUMENT,
    name="document_objects",
    title="the same, written by objects of the ORM",
    changes=(*_POSTS, *_COMMENTS, *_GONE_POSTS),
    renames=_RENAMES,
)
