"""Models of the blog's tables, without anything computed."""

from __future__ import annotations

from django.db import models


class Author(models.Model):
    name = models.TextField()
    motto = models.TextField(default="")

    class Meta:
        managed = False
        db_table = "author"

    def __str__(self) -> str:
        return self.name


class Post(models.Model):
    author = models.ForeignKey(Author, models.CASCADE)
    title = models.TextField()
    score = models.IntegerField(default=1)
    body = models.TextField(default="")
    seen = models.IntegerField(default=0)

    class Meta:
        managed = False
        db_table = "post"

    def __str__(self) -> str:
        return self.title


class Comment(models.Model):
    post = models.ForeignKey(Post, models.DO_NOTHING)
    text = models.TextField()
    rating = models.IntegerField(default=1)
    seen = models.IntegerField(default=0)

    class Meta:
        managed = False
        db_table = "comment"

    def __str__(self) -> str:
        return self.text
