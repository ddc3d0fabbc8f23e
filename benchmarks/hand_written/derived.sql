-- What an expert would write to keep post_statistics equal to its query at READ COMMITTED: each
-- statement adds its difference to the row of the post, which is also the lock on it. A comment
-- holds its post by the foreign key, so a post has no comments yet when it is inserted, and none
-- any more when it is deleted.
-- Statements over few rows keep their plan; those over many are planned for the true number.

CREATE FUNCTION post_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    --: ALL LEVELS
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        PERFORM django_tviews_lock('post_statistics', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows,
                 LATERAL (VALUES (exclude(0, id))) AS wanted (lock)
            ORDER BY lock));
    ELSE
        PERFORM django_tviews_lock('post_statistics', '{0}');
    END IF;
    --: END
    INSERT INTO post_statistics (id, title, comments, rating, weight)
    SELECT id, title, 0, 0, 0 FROM new_rows;
    RETURN NULL;
END $$;

CREATE FUNCTION post_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_statistics', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows n JOIN old_rows o ON o.id = n.id,
                 LATERAL (VALUES (exclude(0, n.id))) AS wanted (lock)
            WHERE n.title <> o.title
            ORDER BY lock));
        --: END
        UPDATE post_statistics s SET title = n.title
        FROM new_rows n WHERE s.id = n.id AND s.title <> n.title;
    ELSE
        --: ALL LEVELS
        EXECUTE $bulk$SELECT django_tviews_lock('post_statistics', '{0}')
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE n.title <> o.title
        HAVING count(*) > 0$bulk$;
        --: END
        EXECUTE 'UPDATE post_statistics s SET title = n.title
        FROM new_rows n WHERE s.id = n.id AND s.title <> n.title';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION post_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM old_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_statistics', ARRAY(
            SELECT DISTINCT lock
            FROM old_rows,
                 LATERAL (VALUES (exclude(0, id))) AS wanted (lock)
            ORDER BY lock));
        --: END
        DELETE FROM post_statistics s USING old_rows o WHERE s.id = o.id;
    ELSE
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_statistics', '{0}');
        --: END
        EXECUTE 'DELETE FROM post_statistics s USING old_rows o WHERE s.id = o.id';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION comment_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_statistics', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows,
                 LATERAL (VALUES (exclude(0, post_id))) AS wanted (lock)
            ORDER BY lock));
        --: END
        UPDATE post_statistics s
        SET comments = s.comments + d.comments, rating = s.rating + d.rating
        FROM (SELECT post_id, count(*) AS comments, sum(rating) AS rating
              FROM new_rows GROUP BY post_id ORDER BY post_id) AS d
        WHERE s.id = d.post_id;
    ELSE
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_statistics', '{0}');
        --: END
        --: READ COMMITTED
        EXECUTE 'SELECT FROM post_statistics WHERE id IN (SELECT post_id FROM new_rows)
                 ORDER BY id FOR NO KEY UPDATE';
        --: END
        EXECUTE 'UPDATE post_statistics s
        SET comments = s.comments + d.comments, rating = s.rating + d.rating
        FROM (SELECT post_id, count(*) AS comments, sum(rating) AS rating
              FROM new_rows GROUP BY post_id) AS d
        WHERE s.id = d.post_id';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION comment_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM old_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_statistics', ARRAY(
            SELECT DISTINCT lock
            FROM old_rows,
                 LATERAL (VALUES (exclude(0, post_id))) AS wanted (lock)
            ORDER BY lock));
        --: END
        UPDATE post_statistics s
        SET comments = s.comments - d.comments, rating = s.rating - d.rating
        FROM (SELECT post_id, count(*) AS comments, sum(rating) AS rating
              FROM old_rows GROUP BY post_id ORDER BY post_id) AS d
        WHERE s.id = d.post_id;
    ELSE
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_statistics', '{0}');
        --: END
        --: READ COMMITTED
        EXECUTE 'SELECT FROM post_statistics WHERE id IN (SELECT post_id FROM old_rows)
                 ORDER BY id FOR NO KEY UPDATE';
        --: END
        EXECUTE 'UPDATE post_statistics s
        SET comments = s.comments - d.comments, rating = s.rating - d.rating
        FROM (SELECT post_id, count(*) AS comments, sum(rating) AS rating
              FROM old_rows GROUP BY post_id) AS d
        WHERE s.id = d.post_id';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION comment_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_statistics', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows n JOIN old_rows o ON o.id = n.id,
                 LATERAL (VALUES (exclude(0, n.post_id)), (exclude(0, o.post_id))) AS wanted (lock)
            WHERE (n.post_id, n.rating) <> (o.post_id, o.rating)
            ORDER BY lock));
        --: END
        UPDATE post_statistics s
        SET comments = s.comments + d.comments, rating = s.rating + d.rating
        FROM (SELECT post_id, sum(comments) AS comments, sum(rating) AS rating
              FROM (SELECT post_id, 1 AS comments, rating FROM new_rows
                    UNION ALL
                    SELECT post_id, -1, - rating FROM old_rows) AS difference
              GROUP BY post_id
              HAVING sum(comments) <> 0 OR sum(rating) <> 0
              ORDER BY post_id) AS d
        WHERE s.id = d.post_id;
    ELSE
        --: ALL LEVELS
        EXECUTE $bulk$SELECT django_tviews_lock('post_statistics', '{0}')
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE (n.post_id, n.rating) <> (o.post_id, o.rating)
        HAVING count(*) > 0$bulk$;
        --: END
        --: READ COMMITTED
        EXECUTE 'SELECT FROM post_statistics
        WHERE id IN (SELECT post_id
                     FROM (SELECT post_id, 1 AS comments, rating FROM new_rows
                           UNION ALL
                           SELECT post_id, -1, - rating FROM old_rows) AS difference
                     GROUP BY post_id
                     HAVING sum(comments) <> 0 OR sum(rating) <> 0)
        ORDER BY id FOR NO KEY UPDATE';
        --: END
        EXECUTE 'UPDATE post_statistics s
        SET comments = s.comments + d.comments, rating = s.rating + d.rating
        FROM (SELECT post_id, sum(comments) AS comments, sum(rating) AS rating
              FROM (SELECT post_id, 1 AS comments, rating FROM new_rows
                    UNION ALL
                    SELECT post_id, -1, - rating FROM old_rows) AS difference
              GROUP BY post_id
              HAVING sum(comments) <> 0 OR sum(rating) <> 0) AS d
        WHERE s.id = d.post_id';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION reaction_written() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign CONSTANT integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    --: ALL LEVELS
    IF (SELECT count(*) FROM (SELECT FROM changed_rows LIMIT 100) AS few) < 100 THEN
        PERFORM django_tviews_lock('post_statistics', ARRAY(
            SELECT DISTINCT lock
            FROM changed_rows,
                 LATERAL (VALUES (exclude(0, post_id))) AS wanted (lock)
            ORDER BY lock));
    ELSE
        PERFORM django_tviews_lock('post_statistics', '{0}');
    END IF;
    --: END
    --: READ COMMITTED
    PERFORM FROM post_statistics WHERE id IN (SELECT post_id FROM changed_rows)
    ORDER BY id FOR NO KEY UPDATE;
    --: END
    UPDATE post_statistics s SET weight = s.weight + sign * d.weight
    FROM (SELECT post_id, sum(weight) AS weight FROM changed_rows GROUP BY post_id) AS d
    WHERE s.id = d.post_id;
    RETURN NULL;
END $$;

CREATE FUNCTION does_not_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'rows of % do not change in this way', TG_TABLE_NAME;
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
CREATE TRIGGER inserted AFTER INSERT ON reaction REFERENCING NEW TABLE AS changed_rows
    EXECUTE FUNCTION reaction_written();
CREATE TRIGGER deleted AFTER DELETE ON reaction REFERENCING OLD TABLE AS changed_rows
    EXECUTE FUNCTION reaction_written();
CREATE TRIGGER keys_stay BEFORE UPDATE OF id ON post FOR EACH ROW
    WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION does_not_change();
CREATE TRIGGER stays BEFORE UPDATE ON reaction FOR EACH ROW EXECUTE FUNCTION does_not_change();
--: ALL LEVELS
CREATE TRIGGER keys_stay BEFORE UPDATE OF id ON comment FOR EACH ROW
    WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION does_not_change();
--: END
