-- What an expert would write to keep post_document equal to its query at READ COMMITTED.
--
-- Of a document only the part that has changed is written anew. Whoever copies an author's name
-- shares the lock on the author (a slot of 64); whoever changes a name excludes them. Whoever
-- builds a list of comments holds the row of the document, and reads them after that.
-- Statements over few rows keep their plan; those over many are planned for the true number.

CREATE FUNCTION post_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    --: READ COMMITTED
    PERFORM pg_advisory_xact_lock_shared(1, slot)
    FROM (SELECT DISTINCT (author_id & 63)::integer AS slot FROM new_rows ORDER BY slot) AS slots;
    --: END
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_document', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows,
                 LATERAL (VALUES (exclude(0, id)), (share(1, author_id))) AS wanted (lock)
            ORDER BY lock));
        --: END
        INSERT INTO post_document (id, author_id, data)
        SELECT n.id, n.author_id, jsonb_build_object(
            'title', n.title, 'score', n.score,
            'author', jsonb_build_object('id', a.id, 'name', a.name), 'comments', '[]'::jsonb)
        FROM new_rows n JOIN author a ON a.id = n.author_id;
    ELSE
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_document', '{0}');
        --: END
        EXECUTE $bulk$INSERT INTO post_document (id, author_id, data)
        SELECT n.id, n.author_id, jsonb_build_object(
            'title', n.title, 'score', n.score,
            'author', jsonb_build_object('id', a.id, 'name', a.name), 'comments', '[]'::jsonb)
        FROM new_rows n JOIN author a ON a.id = n.author_id$bulk$;
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
        PERFORM django_tviews_lock('post_document', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows n JOIN old_rows o ON o.id = n.id,
                 LATERAL (VALUES (exclude(0, n.id)), (share(1, n.author_id)),
                                  (share(1, o.author_id))) AS wanted (lock)
            WHERE (n.title, n.score, n.author_id) <> (o.title, o.score, o.author_id)
            ORDER BY lock));
        --: END
        UPDATE post_document d
        SET data = d.data || jsonb_build_object('title', n.title, 'score', n.score)
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE d.id = n.id AND (o.title <> n.title OR o.score <> n.score);
        SELECT bool_or(o.author_id <> n.author_id) INTO moved
        FROM new_rows n JOIN old_rows o ON o.id = n.id;
    ELSE
        --: ALL LEVELS
        EXECUTE $bulk$SELECT django_tviews_lock('post_document', '{0}')
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE (n.title, n.score, n.author_id) <> (o.title, o.score, o.author_id)
        HAVING count(*) > 0$bulk$;
        --: END
        EXECUTE $bulk$UPDATE post_document d
        SET data = d.data || jsonb_build_object('title', n.title, 'score', n.score)
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE d.id = n.id AND (o.title <> n.title OR o.score <> n.score)$bulk$;
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
        UPDATE post_document d
        SET author_id = a.id,
            data = d.data || jsonb_build_object(
                'author', jsonb_build_object('id', a.id, 'name', a.name))
        FROM new_rows n JOIN author a ON a.id = n.author_id
        WHERE d.id = n.id AND d.author_id <> a.id;
    ELSE
        EXECUTE $bulk$UPDATE post_document d
        SET author_id = a.id,
            data = d.data || jsonb_build_object(
                'author', jsonb_build_object('id', a.id, 'name', a.name))
        FROM new_rows n JOIN author a ON a.id = n.author_id
        WHERE d.id = n.id AND d.author_id <> a.id$bulk$;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION post_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM old_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_document', ARRAY(
            SELECT DISTINCT lock
            FROM old_rows,
                 LATERAL (VALUES (exclude(0, id)), (share(1, author_id))) AS wanted (lock)
            ORDER BY lock));
        --: END
        DELETE FROM post_document d USING old_rows o WHERE d.id = o.id;
    ELSE
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_document', '{0}');
        --: END
        EXECUTE 'DELETE FROM post_document d USING old_rows o WHERE d.id = o.id';
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
        PERFORM django_tviews_lock('post_document', ARRAY(
            SELECT exclude(1, n.id) AS lock
            FROM new_rows n JOIN old_rows o ON o.id = n.id WHERE n.name <> o.name
            UNION
            SELECT exclude(0, p.id)
            FROM new_rows n JOIN old_rows o ON o.id = n.id JOIN post p ON p.author_id = n.id
            WHERE n.name <> o.name
            ORDER BY lock));
        --: END
        UPDATE post_document d
        SET data = jsonb_set(d.data, '{author,name}', to_jsonb(n.name))
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE d.author_id = n.id AND n.name <> o.name;
    ELSE
        --: ALL LEVELS
        EXECUTE $bulk$SELECT django_tviews_lock('post_document', '{0}')
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE n.name <> o.name
        HAVING count(*) > 0$bulk$;
        --: END
        EXECUTE $bulk$UPDATE post_document d
        SET data = jsonb_set(d.data, '{author,name}', to_jsonb(n.name))
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE d.author_id = n.id AND n.name <> o.name$bulk$;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION list_comments(posts bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(posts) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_document', ARRAY(
            SELECT exclude(0, post) FROM unnest(posts) AS post ORDER BY 1));
        --: END
        --: READ COMMITTED
        PERFORM FROM post_document WHERE id = ANY (posts) ORDER BY id FOR NO KEY UPDATE;
        --: END
        UPDATE post_document d
        SET data = jsonb_set(d.data, '{comments}', coalesce((
            SELECT jsonb_agg(
                jsonb_build_object('id', c.id, 'text', c.text, 'rating', c.rating) ORDER BY c.id)
            FROM comment c WHERE c.post_id = d.id), '[]'))
        WHERE d.id = ANY (posts);
    ELSE
        --: ALL LEVELS
        PERFORM django_tviews_lock('post_document', '{0}');
        --: END
        --: READ COMMITTED
        EXECUTE 'SELECT FROM post_document WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE'
        USING posts;
        --: END
        EXECUTE $bulk$UPDATE post_document d
        SET data = jsonb_set(d.data, '{comments}', coalesce(c.listed, '[]'))
        FROM unnest($1) AS p (id)
        LEFT JOIN (
            SELECT post_id, jsonb_agg(
                jsonb_build_object('id', id, 'text', text, 'rating', rating) ORDER BY id) AS listed
            FROM comment WHERE post_id = ANY ($1) GROUP BY post_id) AS c ON c.post_id = p.id
        WHERE d.id = p.id$bulk$
        USING posts;
    END IF;
END $$;

CREATE FUNCTION comment_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM list_comments(array_agg(DISTINCT post_id)) FROM new_rows HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION comment_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM list_comments(array_agg(DISTINCT post_id)) FROM old_rows HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION comment_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM list_comments(array_agg(DISTINCT post_id))
    FROM (
        (SELECT id, post_id, text, rating FROM new_rows
         EXCEPT ALL SELECT id, post_id, text, rating FROM old_rows)
        UNION ALL
        (SELECT id, post_id, text, rating FROM old_rows
         EXCEPT ALL SELECT id, post_id, text, rating FROM new_rows)
    ) AS changed
    HAVING count(*) > 0;
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
CREATE TRIGGER inserted AFTER INSERT ON comment REFERENCING NEW TABLE AS new_rows
    EXECUTE FUNCTION comment_inserted();
CREATE TRIGGER updated AFTER UPDATE ON comment
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows EXECUTE FUNCTION comment_updated();
CREATE TRIGGER deleted AFTER DELETE ON comment REFERENCING OLD TABLE AS old_rows
    EXECUTE FUNCTION comment_deleted();
CREATE TRIGGER keys_stay BEFORE UPDATE OF id ON post FOR EACH ROW
    WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keys_stay();
CREATE TRIGGER keys_stay BEFORE UPDATE OF id ON author FOR EACH ROW
    WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keys_stay();
