"""Authors, their posts, and comments and reactions on these: the shape of most databases.

Authors 1, 2 and 3 have 10, 1 000 and 100 000 posts, as far as the scale (the number of posts) has
room for them; the others have about 20. A post has three comments and two reactions.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.workload import Rename, StatementOperation, View, Workload

_AUTHOR_AND_POST = """
CREATE TABLE author (
    id bigint,
    name text NOT NULL,
    motto text NOT NULL
);
CREATE TABLE post (
    id bigint,
    author_id bigint NOT NULL,
    title text NOT NULL,
    score integer NOT NULL,
    body text NOT NULL,
    seen integer NOT NULL DEFAULT 0
);
"""

_AUTHOR_AND_POST_KEYS = (
    "ALTER TABLE author ADD PRIMARY KEY (id)",
    "ALTER TABLE post ADD PRIMARY KEY (id), ADD FOREIGN KEY (author_id) REFERENCES author",
    "CREATE INDEX ON post (author_id)",
)

_COMMENT = """
CREATE TABLE comment (
    id bigint,
    post_id bigint NOT NULL,
    text text NOT NULL,
    rating integer NOT NULL,
    seen integer NOT NULL DEFAULT 0
);
"""

_COMMENT_KEYS = (
    "ALTER TABLE comment ADD PRIMARY KEY (id), ADD FOREIGN KEY (post_id) REFERENCES post",
    "CREATE INDEX ON comment (post_id)",
)

_REACTION = """
CREATE TABLE reaction (
    id bigint,
    post_id bigint NOT NULL,
    weight integer NOT NULL
);
"""

_REACTION_KEYS = (
    "ALTER TABLE reaction ADD PRIMARY KEY (id), ADD FOREIGN KEY (post_id) REFERENCES post",
    "CREATE INDEX ON reaction (post_id)",
)

_AUTHORS = """
INSERT INTO author
SELECT g, 'author ' || g, 'motto of author ' || g
FROM generate_series(1, 3 + greatest(%(scale)s / 20, 10)) AS g
"""

_POSTS = """
INSERT INTO post (id, author_id, title, score, body)
SELECT g,
       CASE WHEN g <= 10 THEN 1
            WHEN g <= 1010 AND %(scale)s >= 2000 THEN 2
            WHEN g <= 101010 AND %(scale)s >= 200000 THEN 3
            ELSE 4 + mod(g, greatest(%(scale)s / 20, 10)) END,
       'post ' || g, mod(g, 7), repeat('word ' || g || ' ', 20)
FROM generate_series(1, %(scale)s) AS g
"""

_COMMENTS = """
INSERT INTO comment (id, post_id, text, rating)
SELECT g, 1 + mod(g, %(scale)s), 'comment ' || g, mod(g, 5)
FROM generate_series(1, %(scale)s * 3) AS g
"""

_REACTIONS = """
INSERT INTO reaction (id, post_id, weight)
SELECT g, 1 + mod(g, %(scale)s), mod(g, 3)
FROM generate_series(1, %(scale)s * 2) AS g
"""

_NEW_POSTS = StatementOperation(
    "insert posts",
    """
    INSERT INTO post (id, author_id, title, score, body)
    SELECT g, 4 + mod(g, greatest(%(scale)s / 20, 10)), 'post ' || g, 1, repeat('word ', 40)
    FROM generate_series(%(first)s, %(last)s) AS g
    """,
)
_UPDATED_POSTS = StatementOperation(
    "update posts",
    "UPDATE post SET title = 'now ' || %(number)s, score = score + 1"
    " WHERE id BETWEEN %(first)s AND %(last)s",
)
_SEEN_POSTS = StatementOperation(
    "update unread columns of posts",
    "UPDATE post SET seen = seen + 1 WHERE id BETWEEN %(first)s AND %(last)s",
)
_MOVED_POSTS = StatementOperation(
    "give posts another author",
    "UPDATE post SET author_id = 4 + mod(id + 1, greatest(%(scale)s / 20, 10))"
    " WHERE id BETWEEN %(first)s AND %(last)s",
)
_MOVED_POSTS_WITH_COMMENTS = StatementOperation(
    "give posts with comments another author",
    "UPDATE post SET author_id = 4 + mod(author_id + 1, greatest(%(scale)s / 20, 10))"
    " WHERE id BETWEEN 11 AND 10 + %(size)s",
    largest=1_000,
)
_GONE_POSTS = StatementOperation(
    "delete posts", "DELETE FROM post WHERE id BETWEEN %(first)s AND %(last)s"
)
_POST_CHANGES = (_NEW_POSTS, _UPDATED_POSTS, _SEEN_POSTS, _MOVED_POSTS, _GONE_POSTS)

_COMMENT_CHANGES = (
    StatementOperation(
        "insert comments",
        """
        INSERT INTO comment (id, post_id, text, rating)
        SELECT g, 1 + mod(g, %(scale)s), 'comment ' || g, 1
        FROM generate_series(%(first)s, %(last)s) AS g
        """,
    ),
    StatementOperation(
        "update comments",
        "UPDATE comment SET text = 'now ' || %(number)s, rating = rating + 1"
        " WHERE id BETWEEN %(first)s AND %(last)s",
    ),
    StatementOperation(
        "update unread columns of comments",
        "UPDATE comment SET seen = seen + 1 WHERE id BETWEEN %(first)s AND %(last)s",
    ),
    StatementOperation(
        "move comments to another post",
        "UPDATE comment SET post_id = 1 + mod(id + 1, %(scale)s)"
        " WHERE id BETWEEN %(first)s AND %(last)s",
    ),
    StatementOperation(
        "delete comments", "DELETE FROM comment WHERE id BETWEEN %(first)s AND %(last)s"
    ),
)

_RENAMED_AUTHOR = Rename(
    StatementOperation(
        "rename an author", "UPDATE author SET name = 'now ' || %(number)s WHERE id = %(parent)s"
    ),
    {10: 1, 1_000: 2, 100_000: 3},
)

JOIN = Workload(
    name="join",
    title="a join of child and parent",
    queries="join",
    schema=_AUTHOR_AND_POST,
    contents=(_AUTHORS, _POSTS),
    keys=_AUTHOR_AND_POST_KEYS,
    views=(
        View(
            "post_card",
            "SELECT p.id, p.title, p.score, p.author_id, a.name AS author_name"
            " FROM post p JOIN author a ON a.id = p.author_id",
            {
                "id": "bigint",
                "title": "text",
                "score": "integer",
                "author_id": "bigint",
                "author_name": "text",
            },
            indexes=("(author_id)",),
        ),
    ),
    changes=_POST_CHANGES,
    renames=(_RENAMED_AUTHOR,),
)

GROUPING = Workload(
    name="grouping",
    title="count and sum by group",
    queries="grouping",
    schema=_AUTHOR_AND_POST,
    contents=(_AUTHORS, _POSTS),
    keys=_AUTHOR_AND_POST_KEYS,
    views=(
        View(
            "author_score",
            "SELECT author_id AS id, count(*) AS posts, sum(score) AS score"
            " FROM post GROUP BY author_id",
            {"id": "bigint", "posts": "bigint", "score": "bigint"},
        ),
    ),
    changes=_POST_CHANGES,
)

JOINED_GROUPING = Workload(
    name="joined_grouping",
    title="count, sum and average by group of a parent",
    queries="joined_grouping",
    schema=_AUTHOR_AND_POST + _COMMENT,
    contents=(_AUTHORS, _POSTS, _COMMENTS),
    keys=_AUTHOR_AND_POST_KEYS + _COMMENT_KEYS,
    views=(
        View(
            "author_rating",
            "SELECT p.author_id AS id, count(*) AS comments, sum(c.rating) AS rating,"
            " avg(c.rating) AS mean FROM comment c JOIN post p ON p.id = c.post_id"
            " GROUP BY p.author_id",
            {"id": "bigint", "comments": "bigint", "rating": "bigint", "mean": "numeric"},
        ),
    ),
    changes=(
        _NEW_POSTS,
        _UPDATED_POSTS,
        *_COMMENT_CHANGES,
        _MOVED_POSTS_WITH_COMMENTS,
        _GONE_POSTS,
    ),
)

ANNOTATED = Workload(
    name="annotated",
    title="parents with count and sum of their children, those without any included",
    queries="annotated",
    schema=_AUTHOR_AND_POST,
    contents=(_AUTHORS, _POSTS),
    keys=_AUTHOR_AND_POST_KEYS,
    views=(
        View(
            "author_total",
            "SELECT a.id, a.name, count(p.id) AS posts, coalesce(sum(p.score), 0) AS score"
            " FROM author a LEFT JOIN post p ON p.author_id = a.id GROUP BY a.id, a.name",
            {"id": "bigint", "name": "text", "posts": "bigint", "score": "bigint"},
        ),
    ),
    changes=_POST_CHANGES,
    renames=(_RENAMED_AUTHOR,),
)

DOCUMENT = Workload(
    name="document",
    title="a jsonb document with parent and aggregated children",
    queries="document",
    schema=_AUTHOR_AND_POST + _COMMENT,
    contents=(_AUTHORS, _POSTS, _COMMENTS),
    keys=_AUTHOR_AND_POST_KEYS + _COMMENT_KEYS,
    views=(
        View(
            "post_document",
            """
            SELECT p.id, p.author_id, jsonb_build_object(
                'title', p.title,
                'score', p.score,
                'author', jsonb_build_object('id', a.id, 'name', a.name),
                'comments', coalesce((
                    SELECT jsonb_agg(
                        jsonb_build_object('id', c.id, 'text', c.text, 'rating', c.rating)
                        ORDER BY c.id)
                    FROM comment c WHERE c.post_id = p.id), '[]')) AS data
            FROM post p JOIN author a ON a.id = p.author_id
            """,
            {"id": "bigint", "author_id": "bigint", "data": "jsonb"},
            indexes=("(author_id)",),
        ),
    ),
    changes=(*_POST_CHANGES[:-1], *_COMMENT_CHANGES, _GONE_POSTS),
    renames=(_RENAMED_AUTHOR,),
)

DERIVED = Workload(
    name="derived",
    title="a join of two aggregated derived tables",
    queries="derived",
    schema=_AUTHOR_AND_POST + _COMMENT + _REACTION,
    contents=(_AUTHORS, _POSTS, _COMMENTS, _REACTIONS),
    keys=_AUTHOR_AND_POST_KEYS + _COMMENT_KEYS + _REACTION_KEYS,
    views=(
        View(
            "post_statistics",
            """
            SELECT p.id, p.title, coalesce(c.comments, 0) AS comments,
                   coalesce(c.rating, 0) AS rating, coalesce(r.weight, 0) AS weight
            FROM post p
            LEFT JOIN (SELECT post_id, count(*) AS comments, sum(rating) AS rating
                       FROM comment GROUP BY post_id) c ON c.post_id = p.id
            LEFT JOIN (SELECT post_id, sum(weight) AS weight
                       FROM reaction GROUP BY post_id) r ON r.post_id = p.id
            """,
            {
                "id": "bigint",
                "title": "text",
                "comments": "bigint",
                "rating": "bigint",
                "weight": "bigint",
            },
        ),
    ),
    changes=(_NEW_POSTS, _UPDATED_POSTS, *_COMMENT_CHANGES, _GONE_POSTS),
)

STACKED = Workload(
    name="stacked",
    title="a TView on a TView",
    queries="stacked",
    schema=_AUTHOR_AND_POST + _COMMENT,
    contents=(_AUTHORS, _POSTS, _COMMENTS),
    keys=_AUTHOR_AND_POST_KEYS + _COMMENT_KEYS,
    views=(
        View(
            "post_activity",
            "SELECT p.id, p.author_id,"
            " (SELECT count(*) FROM comment c WHERE c.post_id = p.id) AS comments FROM post p",
            {"id": "bigint", "author_id": "bigint", "comments": "bigint"},
            indexes=("(author_id)",),
        ),
        View(
            "author_activity",
            "SELECT author_id AS id, count(*) AS posts, sum(comments)::bigint AS comments"
            " FROM post_activity GROUP BY author_id",
            {"id": "bigint", "posts": "bigint", "comments": "bigint"},
        ),
    ),
    changes=(_NEW_POSTS, _MOVED_POSTS, *_COMMENT_CHANGES, _GONE_POSTS),
)

HOT = replace(
    GROUPING,
    name="hot",
    title="count and sum of 12 groups",
    queries="hot",
    contents=(
        "INSERT INTO author SELECT g, 'author ' || g, '' FROM generate_series(1, 12) AS g",
        """
        INSERT INTO post (id, author_id, title, score, body)
        SELECT g, 1 + mod(g, 12), 'post ' || g, mod(g, 7), ''
        FROM generate_series(1, %(scale)s) AS g
        """,
    ),
)
