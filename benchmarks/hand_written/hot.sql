-- What an expert would write to keep author_score equal to its query, with as few locks for as short
-- as can be: each statement notes the differences it makes, and COMMIT adds them to the groups. A
-- group's row is the lock on it; ON CONFLICT takes these locks in the order of the groups.

CREATE UNLOGGED TABLE difference (
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    author_id bigint NOT NULL,
    posts bigint NOT NULL,
    score bigint NOT NULL
);
CREATE INDEX ON difference (transaction_id);

CREATE FUNCTION post_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO difference (author_id, posts, score)
    SELECT author_id, count(*), sum(score) FROM new_rows GROUP BY author_id;
    RETURN NULL;
END $$;

CREATE FUNCTION post_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO difference (author_id, posts, score)
    SELECT author_id, - count(*), - sum(score) FROM old_rows GROUP BY author_id;
    RETURN NULL;
END $$;

CREATE FUNCTION post_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO difference (author_id, posts, score)
    SELECT author_id, sum(posts), sum(score)
    FROM (SELECT author_id, 1 AS posts, score FROM new_rows
          UNION ALL
          SELECT author_id, -1, - score FROM old_rows) AS difference
    GROUP BY author_id
    HAVING sum(posts) <> 0 OR sum(score) <> 0;
    RETURN NULL;
END $$;

CREATE FUNCTION differences_committed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    emptied bigint[];
BEGIN
    WITH taken AS (
        DELETE FROM difference WHERE transaction_id = pg_current_xact_id()
        RETURNING author_id, posts, score
    ),
    folded AS (
        INSERT INTO author_score AS a (id, posts, score)
        SELECT author_id, sum(posts), sum(score) FROM taken
        GROUP BY author_id
        HAVING sum(posts) <> 0 OR sum(score) <> 0
        ORDER BY author_id
        ON CONFLICT (id) DO UPDATE
        SET posts = a.posts + excluded.posts, score = a.score + excluded.score
        RETURNING a.id, a.posts
    )
    SELECT array_agg(id) FILTER (WHERE posts = 0) INTO emptied FROM folded;
    IF emptied IS NOT NULL THEN
        DELETE FROM author_score WHERE id = ANY (emptied) AND posts = 0;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER inserted AFTER INSERT ON post REFERENCING NEW TABLE AS new_rows
    EXECUTE FUNCTION post_inserted();
CREATE TRIGGER updated AFTER UPDATE ON post
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows EXECUTE FUNCTION post_updated();
CREATE TRIGGER deleted AFTER DELETE ON post REFERENCING OLD TABLE AS old_rows
    EXECUTE FUNCTION post_deleted();
-- The first takes all that its transaction has noted; the others find nothing.
CREATE CONSTRAINT TRIGGER committed AFTER INSERT ON difference DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION differences_committed();
