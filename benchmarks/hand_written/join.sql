-- What an expert would write to keep post_card equal to its query at READ COMMITTED.
--
-- Whoever copies an author's name into cards shares the lock on the author (a slot of 64); whoever
-- changes a name excludes them. Keys of rows never change: the last two triggers see to that.
-- Statements over few rows keep their plan; those over many are planned for the true number.

CREATE FUNCTION post_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    --: READ COMMITTED
    PERFORM pg_advisory_xact_lock_shared(1, slot)
    FROM (SELECT DISTINCT (author_id & 63)::integer AS slot FROM new_rows ORDER BY slot) AS slots;
    --: END
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_card', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows,
                 LATERAL (VALUES (exclude(0, id)), (share(1, author_id))) AS wanted (lock)
            ORDER BY lock));
        --: END
        INSERT INTO post_card (id, title, score, author_id, author_name)
        SELECT n.id, n.title, n.score, n.author_id, a.name
        FROM new_rows n JOIN author a ON a.id = n.author_id;
    ELSE
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_card', '{0}');
        --: END
        EXECUTE 'INSERT INTO post_card (id, title, score, author_id, author_name)
        SELECT n.id, n.title, n.score, n.author_id, a.name
        FROM new_rows n JOIN author a ON a.id = n.author_id';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION post_updated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    few boolean := (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100;
    moved boolean;
BEGIN
    IF few THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_card', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows n JOIN old_rows o ON o.id = n.id,
                 LATERAL (VALUES (exclude(0, n.id)), (share(1, n.author_id)),
                                  (share(1, o.author_id))) AS wanted (lock)
            WHERE (n.title, n.score, n.author_id) <> (o.title, o.score, o.author_id)
            ORDER BY lock));
        --: END
        UPDATE post_card c SET title = n.title, score = n.score
        FROM new_rows n
        WHERE c.id = n.id AND (c.title <> n.title OR c.score <> n.score);
        SELECT bool_or(o.author_id <> n.author_id) INTO moved
        FROM new_rows n JOIN old_rows o ON o.id = n.id;
    ELSE
        --: ALL LEVELS
        EXECUTE $bulk$SELECT django_tviews_lock('post_card', '{0}')
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE (n.title, n.score, n.author_id) <> (o.title, o.score, o.author_id)
        HAVING count(*) > 0$bulk$;
        --: END
        EXECUTE 'UPDATE post_card c SET title = n.title, score = n.score
        FROM new_rows n
        WHERE c.id = n.id AND (c.title <> n.title OR c.score <> n.score)';
        EXECUTE 'SELECT bool_or(o.author_id <> n.author_id)
                 FROM new_rows n JOIN old_rows o ON o.id = n.id' INTO moved;
    END IF;
    IF moved IS NOT TRUE THEN
        RETURN NULL;
    END IF;
    --: READ COMMITTED
    PERFORM pg_advisory_xact_lock_shared(1, slot)
    FROM (SELECT (author_id & 63)::integer AS slot FROM new_rows
          UNION
          SELECT (author_id & 63)::integer FROM old_rows
          ORDER BY slot) AS slots;
    --: END
    IF few THEN
        UPDATE post_card c SET author_id = a.id, author_name = a.name
        FROM new_rows n JOIN author a ON a.id = n.author_id
        WHERE c.id = n.id AND c.author_id <> a.id;
    ELSE
        EXECUTE 'UPDATE post_card c SET author_id = a.id, author_name = a.name
        FROM new_rows n JOIN author a ON a.id = n.author_id
        WHERE c.id = n.id AND c.author_id <> a.id';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION post_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM old_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_card', ARRAY(
            SELECT DISTINCT lock
            FROM old_rows,
                 LATERAL (VALUES (exclude(0, id)), (share(1, author_id))) AS wanted (lock)
            ORDER BY lock));
        --: END
        DELETE FROM post_card c USING old_rows o WHERE c.id = o.id;
    ELSE
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_card', '{0}');
        --: END
        EXECUTE 'DELETE FROM post_card c USING old_rows o WHERE c.id = o.id';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION author_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    --: READ COMMITTED
    PERFORM pg_advisory_xact_lock(1, slot)
    FROM (SELECT DISTINCT (n.id & 63)::integer AS slot
          FROM new_rows n JOIN old_rows o ON o.id = n.id WHERE n.name <> o.name
          ORDER BY slot) AS slots;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    --: END
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_card', ARRAY(
            SELECT exclude(1, n.id) AS lock
            FROM new_rows n JOIN old_rows o ON o.id = n.id WHERE n.name <> o.name
            UNION
            SELECT exclude(0, p.id)
            FROM new_rows n JOIN old_rows o ON o.id = n.id JOIN post p ON p.author_id = n.id
            WHERE n.name <> o.name
            ORDER BY lock));
        --: END
        UPDATE post_card c SET author_name = n.name
        FROM new_rows n
        WHERE c.author_id = n.id AND c.author_name <> n.name;
    ELSE
        --: ALL LEVELS
        EXECUTE $bulk$SELECT django_tviews_lock('post_card', '{0}')
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE n.name <> o.name
        HAVING count(*) > 0$bulk$;
        --: END
        EXECUTE 'UPDATE post_card c SET author_name = n.name
        FROM new_rows n
        WHERE c.author_id = n.id AND c.author_name <> n.name';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION keys_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'keys of % do not change', TG_TABLE_NAME;
END $$;

CREATE TRIGGER inserted AFTER INSERT ON post REFERENCING NEW TABLE AS new_rows
    EXECUTE FUNCTION post_inserted();
CREATE TRIGGER updated AFTER UPDATE ON post
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows EXECUTE FUNCTION post_updated();
CREATE TRIGGER deleted AFTER DELETE ON post REFERENCING OLD TABLE AS old_rows
    EXECUTE FUNCTION post_deleted();
CREATE TRIGGER updated AFTER UPDATE ON author
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows EXECUTE FUNCTION author_updated();
CREATE TRIGGER keys_stay BEFORE UPDATE OF id ON post FOR EACH ROW
    WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keys_stay();
CREATE TRIGGER keys_stay BEFORE UPDATE OF id ON author FOR EACH ROW
    WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keys_stay();
