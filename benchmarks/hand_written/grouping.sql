-- What an expert would write to keep author_score equal to its query at READ COMMITTED: each
-- statement adds its difference to the groups. A group's row is the lock on it; ON CONFLICT takes
-- these locks in the order of the groups, and finds each by its key, however many there are.

CREATE FUNCTION post_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    --: ALL LEVELS
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        PERFORM django_tviews_lock('author_score', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows,
                 LATERAL (VALUES (exclude(0, author_id))) AS wanted (lock)
            ORDER BY lock));
    ELSE
        PERFORM django_tviews_lock('author_score', '{0}');
    END IF;
    --: END
    INSERT INTO author_score AS a (id, posts, score)
    SELECT author_id, count(*), sum(score) FROM new_rows GROUP BY author_id ORDER BY author_id
    ON CONFLICT (id) DO UPDATE
    SET posts = a.posts + excluded.posts, score = a.score + excluded.score;
    RETURN NULL;
END $$;

CREATE FUNCTION post_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    emptied bigint[];
BEGIN
    --: ALL LEVELS
    IF (SELECT count(*) FROM (SELECT FROM old_rows LIMIT 100) AS few) < 100 THEN
        PERFORM django_tviews_lock('author_score', ARRAY(
            SELECT DISTINCT lock
            FROM old_rows,
                 LATERAL (VALUES (exclude(0, author_id))) AS wanted (lock)
            ORDER BY lock));
    ELSE
        PERFORM django_tviews_lock('author_score', '{0}');
    END IF;
    --: END
    WITH folded AS (
        INSERT INTO author_score AS a (id, posts, score)
        SELECT author_id, - count(*), - sum(score) FROM old_rows GROUP BY author_id
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

CREATE FUNCTION post_updated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    emptied bigint[];
BEGIN
    --: ALL LEVELS
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        PERFORM django_tviews_lock('author_score', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows n JOIN old_rows o ON o.id = n.id,
                 LATERAL (VALUES (exclude(0, n.author_id)),
                                  (exclude(0, o.author_id))) AS wanted (lock)
            WHERE (n.author_id, n.score) <> (o.author_id, o.score)
            ORDER BY lock));
    ELSE
        EXECUTE $bulk$SELECT django_tviews_lock('author_score', '{0}')
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE (n.author_id, n.score) <> (o.author_id, o.score)
        HAVING count(*) > 0$bulk$;
    END IF;
    --: END
    WITH folded AS (
        INSERT INTO author_score AS a (id, posts, score)
        SELECT author_id, sum(posts), sum(score)
        FROM (SELECT author_id, 1 AS posts, score FROM new_rows
              UNION ALL
              SELECT author_id, -1, - score FROM old_rows) AS difference
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
--: ALL LEVELS
CREATE FUNCTION keys_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'keys of % do not change', TG_TABLE_NAME;
END $$;

CREATE TRIGGER keys_stay BEFORE UPDATE OF id ON post FOR EACH ROW
    WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keys_stay();
--: END
