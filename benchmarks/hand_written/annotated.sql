-- What an expert would write to keep author_total equal to its query at READ COMMITTED: an author's
-- row comes and goes with the author, and each statement adds the difference of his posts to it.
-- Rows are locked in the order of their keys. The foreign key sees to it that there are no posts
-- before their author, and none after him. Keys never change.
-- Statements over few rows keep their plan; those over many are planned for the true number.

CREATE FUNCTION add_to_author_total(ids bigint[], numbers bigint[], scores bigint[])
RETURNS void LANGUAGE sql AS $$
    UPDATE author_total AS a SET posts = a.posts + d.posts, score = a.score + d.score
    FROM (SELECT t.id, d.posts, d.score
          FROM unnest(ids, numbers, scores) AS d (id, posts, score)
          JOIN author_total t ON t.id = d.id
          ORDER BY t.id FOR UPDATE OF t) AS d
    WHERE a.id = d.id
$$;

CREATE FUNCTION post_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    --: ALL LEVELS
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        PERFORM django_tviews_lock('author_total', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows, LATERAL (VALUES (exclude(0, author_id))) AS wanted (lock)
            ORDER BY lock));
    ELSE
        PERFORM django_tviews_lock('author_total', '{0}');
    END IF;
    --: END
    PERFORM add_to_author_total(array_agg(d.author_id), array_agg(d.posts), array_agg(d.score))
    FROM (SELECT author_id, count(*) AS posts, sum(score) AS score
          FROM new_rows GROUP BY author_id) AS d
    HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION post_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    --: ALL LEVELS
    IF (SELECT count(*) FROM (SELECT FROM old_rows LIMIT 100) AS few) < 100 THEN
        PERFORM django_tviews_lock('author_total', ARRAY(
            SELECT DISTINCT lock
            FROM old_rows, LATERAL (VALUES (exclude(0, author_id))) AS wanted (lock)
            ORDER BY lock));
    ELSE
        PERFORM django_tviews_lock('author_total', '{0}');
    END IF;
    --: END
    PERFORM add_to_author_total(array_agg(d.author_id), array_agg(d.posts), array_agg(d.score))
    FROM (SELECT author_id, - count(*) AS posts, - sum(score) AS score
          FROM old_rows GROUP BY author_id) AS d
    HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION post_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    --: ALL LEVELS
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        PERFORM django_tviews_lock('author_total', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows n JOIN old_rows o ON o.id = n.id,
                 LATERAL (VALUES (exclude(0, n.author_id)),
                                  (exclude(0, o.author_id))) AS wanted (lock)
            WHERE (n.author_id, n.score) <> (o.author_id, o.score)
            ORDER BY lock));
    ELSE
        EXECUTE $bulk$SELECT django_tviews_lock('author_total', '{0}')
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE (n.author_id, n.score) <> (o.author_id, o.score)
        HAVING count(*) > 0$bulk$;
    END IF;
    --: END
    PERFORM add_to_author_total(array_agg(d.author_id), array_agg(d.posts), array_agg(d.score))
    FROM (SELECT author_id, sum(posts)::bigint AS posts, sum(score)::bigint AS score
          FROM (SELECT author_id, 1 AS posts, score FROM new_rows
                UNION ALL
                SELECT author_id, -1, - score FROM old_rows) AS difference
          GROUP BY author_id
          HAVING sum(posts) <> 0 OR sum(score) <> 0) AS d
    HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION author_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    --: ALL LEVELS
    PERFORM django_tviews_lock('author_total', ARRAY(
        SELECT DISTINCT lock FROM new_rows, LATERAL (VALUES (exclude(0, id))) AS wanted (lock)
        ORDER BY lock));
    --: END
    INSERT INTO author_total (id, name, posts, score) SELECT id, name, 0, 0 FROM new_rows;
    RETURN NULL;
END $$;

CREATE FUNCTION author_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    --: ALL LEVELS
    PERFORM django_tviews_lock('author_total', ARRAY(
        SELECT DISTINCT lock
        FROM new_rows n JOIN old_rows o ON o.id = n.id,
             LATERAL (VALUES (exclude(0, n.id))) AS wanted (lock)
        WHERE n.name <> o.name
        ORDER BY lock));
    --: END
    UPDATE author_total AS a SET name = d.name
    FROM (SELECT t.id, n.name
          FROM new_rows n JOIN old_rows o ON o.id = n.id JOIN author_total t ON t.id = n.id
          WHERE n.name <> o.name
          ORDER BY t.id FOR UPDATE OF t) AS d
    WHERE a.id = d.id;
    RETURN NULL;
END $$;

CREATE FUNCTION author_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    --: ALL LEVELS
    PERFORM django_tviews_lock('author_total', ARRAY(
        SELECT DISTINCT lock FROM old_rows, LATERAL (VALUES (exclude(0, id))) AS wanted (lock)
        ORDER BY lock));
    --: END
    DELETE FROM author_total WHERE id IN (SELECT id FROM old_rows);
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
CREATE TRIGGER inserted AFTER INSERT ON author REFERENCING NEW TABLE AS new_rows
    EXECUTE FUNCTION author_inserted();
CREATE TRIGGER updated AFTER UPDATE ON author
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows EXECUTE FUNCTION author_updated();
CREATE TRIGGER deleted AFTER DELETE ON author REFERENCING OLD TABLE AS old_rows
    EXECUTE FUNCTION author_deleted();
CREATE TRIGGER keys_stay BEFORE UPDATE OF id ON author FOR EACH ROW
    WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keys_stay();
--: ALL LEVELS
CREATE TRIGGER keys_stay BEFORE UPDATE OF id ON post FOR EACH ROW
    WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keys_stay();
--: END
