-- What an expert would write to keep post_activity and author_activity equal to their queries at
-- READ COMMITTED: each statement adds its difference to the rows it concerns, whose row locks are
-- all the locks there are. A comment holds its post by the foreign key, so a post has no comments
-- yet when it is inserted, and none any more when it is deleted.
-- Statements over few rows keep their plan; those over many are planned for the true number.

CREATE FUNCTION post_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    --: ALL LEVELS
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        PERFORM django_tviews_lock('post_activity', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows,
                 LATERAL (VALUES (exclude(0, id))) AS wanted (lock)
            ORDER BY lock));
    ELSE
        PERFORM django_tviews_lock('post_activity', '{0}');
    END IF;
    --: END
    INSERT INTO post_activity (id, author_id, comments) SELECT id, author_id, 0 FROM new_rows;
    RETURN NULL;
END $$;

CREATE FUNCTION post_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_activity', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows n JOIN old_rows o ON o.id = n.id,
                 LATERAL (VALUES (exclude(0, n.id))) AS wanted (lock)
            WHERE n.author_id <> o.author_id
            ORDER BY lock));
        --: END
        UPDATE post_activity p SET author_id = n.author_id
        FROM new_rows n WHERE p.id = n.id AND p.author_id <> n.author_id;
    ELSE
        --: ALL LEVELS
        EXECUTE $bulk$SELECT django_tviews_lock('post_activity', '{0}')
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE n.author_id <> o.author_id
        HAVING count(*) > 0$bulk$;
        --: END
        EXECUTE 'UPDATE post_activity p SET author_id = n.author_id
        FROM new_rows n WHERE p.id = n.id AND p.author_id <> n.author_id';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION post_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM old_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_activity', ARRAY(
            SELECT DISTINCT lock
            FROM old_rows,
                 LATERAL (VALUES (exclude(0, id))) AS wanted (lock)
            ORDER BY lock));
        --: END
        DELETE FROM post_activity p USING old_rows o WHERE p.id = o.id;
    ELSE
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_activity', '{0}');
        --: END
        EXECUTE 'DELETE FROM post_activity p USING old_rows o WHERE p.id = o.id';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION comment_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_activity', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows,
                 LATERAL (VALUES (exclude(0, post_id))) AS wanted (lock)
            ORDER BY lock));
        --: END
        UPDATE post_activity p SET comments = p.comments + d.comments
        FROM (SELECT post_id, count(*) AS comments
              FROM new_rows GROUP BY post_id ORDER BY post_id) AS d
        WHERE p.id = d.post_id;
    ELSE
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_activity', '{0}');
        --: END
        --: READ COMMITTED
        EXECUTE 'SELECT FROM post_activity WHERE id IN (SELECT post_id FROM new_rows)
                 ORDER BY id FOR NO KEY UPDATE';
        --: END
        EXECUTE 'UPDATE post_activity p SET comments = p.comments + d.comments
        FROM (SELECT post_id, count(*) AS comments FROM new_rows GROUP BY post_id) AS d
        WHERE p.id = d.post_id';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION comment_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM old_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_activity', ARRAY(
            SELECT DISTINCT lock
            FROM old_rows,
                 LATERAL (VALUES (exclude(0, post_id))) AS wanted (lock)
            ORDER BY lock));
        --: END
        UPDATE post_activity p SET comments = p.comments - d.comments
        FROM (SELECT post_id, count(*) AS comments
              FROM old_rows GROUP BY post_id ORDER BY post_id) AS d
        WHERE p.id = d.post_id;
    ELSE
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_activity', '{0}');
        --: END
        --: READ COMMITTED
        EXECUTE 'SELECT FROM post_activity WHERE id IN (SELECT post_id FROM old_rows)
                 ORDER BY id FOR NO KEY UPDATE';
        --: END
        EXECUTE 'UPDATE post_activity p SET comments = p.comments - d.comments
        FROM (SELECT post_id, count(*) AS comments FROM old_rows GROUP BY post_id) AS d
        WHERE p.id = d.post_id';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION comment_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_activity', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows n JOIN old_rows o ON o.id = n.id,
                 LATERAL (VALUES (exclude(0, n.post_id)), (exclude(0, o.post_id))) AS wanted (lock)
            WHERE n.post_id <> o.post_id
            ORDER BY lock));
        --: END
        UPDATE post_activity p SET comments = p.comments + d.comments
        FROM (SELECT post_id, sum(comments) AS comments
              FROM (SELECT post_id, 1 AS comments FROM new_rows
                    UNION ALL
                    SELECT post_id, -1 FROM old_rows) AS difference
              GROUP BY post_id HAVING sum(comments) <> 0 ORDER BY post_id) AS d
        WHERE p.id = d.post_id;
    ELSE
        --: ALL LEVELS
        EXECUTE $bulk$SELECT django_tviews_lock('post_activity', '{0}')
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE n.post_id <> o.post_id
        HAVING count(*) > 0$bulk$;
        --: END
        --: READ COMMITTED
        EXECUTE 'SELECT FROM post_activity
        WHERE id IN (SELECT post_id FROM (SELECT post_id, 1 AS comments FROM new_rows
                                          UNION ALL
                                          SELECT post_id, -1 FROM old_rows) AS difference
                     GROUP BY post_id HAVING sum(comments) <> 0)
        ORDER BY id FOR NO KEY UPDATE';
        --: END
        EXECUTE 'UPDATE post_activity p SET comments = p.comments + d.comments
        FROM (SELECT post_id, sum(comments) AS comments
              FROM (SELECT post_id, 1 AS comments FROM new_rows
                    UNION ALL
                    SELECT post_id, -1 FROM old_rows) AS difference
              GROUP BY post_id HAVING sum(comments) <> 0) AS d
        WHERE p.id = d.post_id';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION activity_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    --: ALL LEVELS
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        PERFORM django_tviews_lock('author_activity', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows,
                 LATERAL (VALUES (exclude(0, author_id))) AS wanted (lock)
            ORDER BY lock));
    ELSE
        PERFORM django_tviews_lock('author_activity', '{0}');
    END IF;
    --: END
    INSERT INTO author_activity AS a (id, posts, comments)
    SELECT author_id, count(*), sum(comments) FROM new_rows GROUP BY author_id ORDER BY author_id
    ON CONFLICT (id) DO UPDATE
    SET posts = a.posts + excluded.posts, comments = a.comments + excluded.comments;
    RETURN NULL;
END $$;

CREATE FUNCTION activity_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    emptied bigint[];
BEGIN
    --: ALL LEVELS
    IF (SELECT count(*) FROM (SELECT FROM old_rows LIMIT 100) AS few) < 100 THEN
        PERFORM django_tviews_lock('author_activity', ARRAY(
            SELECT DISTINCT lock
            FROM old_rows,
                 LATERAL (VALUES (exclude(0, author_id))) AS wanted (lock)
            ORDER BY lock));
    ELSE
        PERFORM django_tviews_lock('author_activity', '{0}');
    END IF;
    --: END
    WITH folded AS (
        INSERT INTO author_activity AS a (id, posts, comments)
        SELECT author_id, - count(*), - sum(comments) FROM old_rows GROUP BY author_id
        ORDER BY author_id
        ON CONFLICT (id) DO UPDATE
        SET posts = a.posts + excluded.posts, comments = a.comments + excluded.comments
        RETURNING a.id, a.posts
    )
    SELECT array_agg(id) FILTER (WHERE posts = 0) INTO emptied FROM folded;
    IF emptied IS NOT NULL THEN
        DELETE FROM author_activity WHERE id = ANY (emptied) AND posts = 0;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION activity_updated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    emptied bigint[];
BEGIN
    --: ALL LEVELS
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        PERFORM django_tviews_lock('author_activity', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows n JOIN old_rows o ON o.id = n.id,
                 LATERAL (VALUES (exclude(0, n.author_id)),
                                  (exclude(0, o.author_id))) AS wanted (lock)
            WHERE (n.author_id, n.comments) <> (o.author_id, o.comments)
            ORDER BY lock));
    ELSE
        EXECUTE $bulk$SELECT django_tviews_lock('author_activity', '{0}')
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE (n.author_id, n.comments) <> (o.author_id, o.comments)
        HAVING count(*) > 0$bulk$;
    END IF;
    --: END
    WITH folded AS (
        INSERT INTO author_activity AS a (id, posts, comments)
        SELECT author_id, sum(posts), sum(comments)
        FROM (SELECT author_id, 1 AS posts, comments FROM new_rows
              UNION ALL
              SELECT author_id, -1, - comments FROM old_rows) AS difference
        GROUP BY author_id
        HAVING sum(posts) <> 0 OR sum(comments) <> 0
        ORDER BY author_id
        ON CONFLICT (id) DO UPDATE
        SET posts = a.posts + excluded.posts, comments = a.comments + excluded.comments
        RETURNING a.id, a.posts
    )
    SELECT array_agg(id) FILTER (WHERE posts = 0) INTO emptied FROM folded;
    IF emptied IS NOT NULL THEN
        DELETE FROM author_activity WHERE id = ANY (emptied) AND posts = 0;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION keys_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'keys of % do not change', TG_TABLE_NAME;
END $$;

CREATE TRIGGER inserted AFTER INSERT ON post REFERENCING NEW TABLE AS new_rows
    EXECUTE FUNCTION post_inserted();
--: READ COMMITTED
CREATE TRIGGER updated AFTER UPDATE ON post REFERENCING NEW TABLE AS new_rows
    EXECUTE FUNCTION post_updated();
--: END
--: ALL LEVELS
CREATE TRIGGER updated AFTER UPDATE ON post
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows EXECUTE FUNCTION post_updated();
--: END
CREATE TRIGGER deleted AFTER DELETE ON post REFERENCING OLD TABLE AS old_rows
    EXECUTE FUNCTION post_deleted();
CREATE TRIGGER inserted AFTER INSERT ON comment REFERENCING NEW TABLE AS new_rows
    EXECUTE FUNCTION comment_inserted();
CREATE TRIGGER updated AFTER UPDATE ON comment
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows EXECUTE FUNCTION comment_updated();
CREATE TRIGGER deleted AFTER DELETE ON comment REFERENCING OLD TABLE AS old_rows
    EXECUTE FUNCTION comment_deleted();
CREATE TRIGGER inserted AFTER INSERT ON post_activity REFERENCING NEW TABLE AS new_rows
    EXECUTE FUNCTION activity_inserted();
CREATE TRIGGER updated AFTER UPDATE ON post_activity
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows EXECUTE FUNCTION activity_updated();
CREATE TRIGGER deleted AFTER DELETE ON post_activity REFERENCING OLD TABLE AS old_rows
    EXECUTE FUNCTION activity_deleted();
CREATE TRIGGER keys_stay BEFORE UPDATE OF id ON post FOR EACH ROW
    WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keys_stay();
--: ALL LEVELS
CREATE TRIGGER keys_stay BEFORE UPDATE OF id ON comment FOR EACH ROW
    WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keys_stay();
--: END
