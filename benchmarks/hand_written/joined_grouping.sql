-- What an expert would write to keep author_rating equal to its query at READ COMMITTED: each
-- statement adds its difference to the groups, whose row locks keep writers of one group apart.
-- Whoever looks up the author of a post shares the lock on the post (a slot of 64); whoever gives a
-- post to another author excludes them. Keys of posts never change, and none goes with comments.
-- Statements over few rows keep their plan; those over many are planned for the true number.

CREATE FUNCTION add_to_author_rating(ids bigint[], comments bigint[], ratings bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    emptied bigint[];
BEGIN
    WITH added AS (
        INSERT INTO author_rating AS a (id, comments, rating, mean)
        SELECT d.id, d.comments, d.rating, coalesce(d.rating::numeric / nullif(d.comments, 0), 0)
        FROM unnest(ids, comments, ratings) AS d (id, comments, rating)
        ORDER BY d.id
        ON CONFLICT (id) DO UPDATE
        SET comments = a.comments + excluded.comments,
            rating = a.rating + excluded.rating,
            mean = coalesce(
                (a.rating + excluded.rating)::numeric
                    / nullif(a.comments + excluded.comments, 0),
                0)
        RETURNING a.id, a.comments
    )
    SELECT array_agg(added.id) FILTER (WHERE added.comments = 0) INTO emptied FROM added;
    IF emptied IS NOT NULL THEN
        DELETE FROM author_rating a WHERE a.id = ANY (emptied) AND a.comments = 0;
    END IF;
END $$;

CREATE FUNCTION comment_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[];
    counts bigint[];
    ratings bigint[];
BEGIN
    --: READ COMMITTED
    PERFORM pg_advisory_xact_lock_shared(1, slot)
    FROM (SELECT DISTINCT (post_id & 63)::integer AS slot FROM new_rows ORDER BY slot) AS slots;
    --: END
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('author_rating', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows c JOIN post p ON p.id = c.post_id,
                 LATERAL (VALUES (exclude(1, p.id)), (exclude(0, p.author_id))) AS wanted (lock)
            ORDER BY lock));
        --: END
        SELECT array_agg(d.id), array_agg(d.comments), array_agg(d.rating)
        INTO ids, counts, ratings
        FROM (SELECT p.author_id AS id, count(*) AS comments, sum(n.rating) AS rating
              FROM new_rows n JOIN post p ON p.id = n.post_id GROUP BY p.author_id) AS d;
    ELSE
        --: ALL LEVELS
        PERFORM django_tviews_lock('author_rating', '{0}');
        --: END
        EXECUTE 'SELECT array_agg(d.id), array_agg(d.comments), array_agg(d.rating)
        FROM (SELECT p.author_id AS id, count(*) AS comments, sum(n.rating) AS rating
              FROM new_rows n JOIN post p ON p.id = n.post_id GROUP BY p.author_id) AS d'
        INTO ids, counts, ratings;
    END IF;
    IF ids IS NOT NULL THEN
        PERFORM add_to_author_rating(ids, counts, ratings);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION comment_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[];
    counts bigint[];
    ratings bigint[];
BEGIN
    --: READ COMMITTED
    PERFORM pg_advisory_xact_lock_shared(1, slot)
    FROM (SELECT DISTINCT (post_id & 63)::integer AS slot FROM old_rows ORDER BY slot) AS slots;
    --: END
    IF (SELECT count(*) FROM (SELECT FROM old_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('author_rating', ARRAY(
            SELECT DISTINCT lock
            FROM old_rows c JOIN post p ON p.id = c.post_id,
                 LATERAL (VALUES (exclude(1, p.id)), (exclude(0, p.author_id))) AS wanted (lock)
            ORDER BY lock));
        --: END
        SELECT array_agg(d.id), array_agg(d.comments), array_agg(d.rating)
        INTO ids, counts, ratings
        FROM (SELECT p.author_id AS id, - count(*) AS comments, - sum(o.rating) AS rating
              FROM old_rows o JOIN post p ON p.id = o.post_id GROUP BY p.author_id) AS d;
    ELSE
        --: ALL LEVELS
        PERFORM django_tviews_lock('author_rating', '{0}');
        --: END
        EXECUTE 'SELECT array_agg(d.id), array_agg(d.comments), array_agg(d.rating)
        FROM (SELECT p.author_id AS id, - count(*) AS comments, - sum(o.rating) AS rating
              FROM old_rows o JOIN post p ON p.id = o.post_id GROUP BY p.author_id) AS d'
        INTO ids, counts, ratings;
    END IF;
    IF ids IS NOT NULL THEN
        PERFORM add_to_author_rating(ids, counts, ratings);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION comment_updated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[];
    counts bigint[];
    ratings bigint[];
BEGIN
    --: READ COMMITTED
    PERFORM pg_advisory_xact_lock_shared(1, slot)
    FROM (SELECT (post_id & 63)::integer AS slot FROM new_rows
          UNION
          SELECT (post_id & 63)::integer FROM old_rows
          ORDER BY slot) AS slots;
    --: END
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('author_rating', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows n JOIN old_rows o ON o.id = n.id
            JOIN post p ON p.id IN (n.post_id, o.post_id),
                 LATERAL (VALUES (exclude(1, p.id)), (exclude(0, p.author_id))) AS wanted (lock)
            WHERE (n.post_id, n.rating) <> (o.post_id, o.rating)
            ORDER BY lock));
        --: END
        SELECT array_agg(d.id), array_agg(d.comments), array_agg(d.rating)
        INTO ids, counts, ratings
        FROM (SELECT p.author_id AS id, sum(c.one)::bigint AS comments,
                     sum(c.rating)::bigint AS rating
              FROM (SELECT post_id, 1 AS one, rating FROM new_rows
                    UNION ALL
                    SELECT post_id, -1, - rating FROM old_rows) AS c
              JOIN post p ON p.id = c.post_id
              GROUP BY p.author_id
              HAVING sum(c.one) <> 0 OR sum(c.rating) <> 0) AS d;
    ELSE
        --: ALL LEVELS
        EXECUTE $bulk$SELECT django_tviews_lock('author_rating', '{0}')
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE (n.post_id, n.rating) <> (o.post_id, o.rating)
        HAVING count(*) > 0$bulk$;
        --: END
        EXECUTE 'SELECT array_agg(d.id), array_agg(d.comments), array_agg(d.rating)
        FROM (SELECT p.author_id AS id, sum(c.one)::bigint AS comments,
                     sum(c.rating)::bigint AS rating
              FROM (SELECT post_id, 1 AS one, rating FROM new_rows
                    UNION ALL
                    SELECT post_id, -1, - rating FROM old_rows) AS c
              JOIN post p ON p.id = c.post_id
              GROUP BY p.author_id
              HAVING sum(c.one) <> 0 OR sum(c.rating) <> 0) AS d'
        INTO ids, counts, ratings;
    END IF;
    IF ids IS NOT NULL THEN
        PERFORM add_to_author_rating(ids, counts, ratings);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION post_updated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[];
    counts bigint[];
    ratings bigint[];
BEGIN
    --: READ COMMITTED
    PERFORM pg_advisory_xact_lock(1, slot)
    FROM (SELECT DISTINCT (n.id & 63)::integer AS slot
          FROM new_rows n JOIN old_rows o ON o.id = n.id WHERE n.author_id <> o.author_id
          ORDER BY slot) AS slots;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    --: END
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('author_rating', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows n JOIN old_rows o ON o.id = n.id,
                 LATERAL (VALUES (share(1, n.id)), (exclude(0, n.author_id)),
                                  (exclude(0, o.author_id))) AS wanted (lock)
            WHERE n.author_id <> o.author_id
            ORDER BY lock));
        --: END
        SELECT array_agg(d.id), array_agg(d.comments), array_agg(d.rating)
        INTO ids, counts, ratings
        FROM (SELECT p.author_id AS id, sum(p.one)::bigint AS comments,
                     sum(p.one * c.rating)::bigint AS rating
              FROM (SELECT id, author_id, 1 AS one FROM new_rows
                    UNION ALL
                    SELECT id, author_id, -1 FROM old_rows) AS p
              JOIN comment c ON c.post_id = p.id
              GROUP BY p.author_id
              HAVING sum(p.one) <> 0 OR sum(p.one * c.rating) <> 0) AS d;
    ELSE
        --: ALL LEVELS
        EXECUTE $bulk$SELECT django_tviews_lock('author_rating', '{0}')
        FROM new_rows n JOIN old_rows o ON o.id = n.id
        WHERE n.author_id <> o.author_id
        HAVING count(*) > 0$bulk$;
        --: END
        EXECUTE 'SELECT array_agg(d.id), array_agg(d.comments), array_agg(d.rating)
        FROM (SELECT p.author_id AS id, sum(p.one)::bigint AS comments,
                     sum(p.one * c.rating)::bigint AS rating
              FROM (SELECT id, author_id, 1 AS one FROM new_rows
                    UNION ALL
                    SELECT id, author_id, -1 FROM old_rows) AS p
              JOIN comment c ON c.post_id = p.id
              GROUP BY p.author_id
              HAVING sum(p.one) <> 0 OR sum(p.one * c.rating) <> 0) AS d'
        INTO ids, counts, ratings;
    END IF;
    IF ids IS NOT NULL THEN
        PERFORM add_to_author_rating(ids, counts, ratings);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION keys_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'keys of % do not change', TG_TABLE_NAME;
END $$;

CREATE TRIGGER inserted AFTER INSERT ON comment REFERENCING NEW TABLE AS new_rows
    EXECUTE FUNCTION comment_inserted();
CREATE TRIGGER updated AFTER UPDATE ON comment
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows EXECUTE FUNCTION comment_updated();
CREATE TRIGGER deleted AFTER DELETE ON comment REFERENCING OLD TABLE AS old_rows
    EXECUTE FUNCTION comment_deleted();
CREATE TRIGGER updated AFTER UPDATE ON post
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows EXECUTE FUNCTION post_updated();
CREATE TRIGGER keys_stay BEFORE UPDATE OF id ON post FOR EACH ROW
    WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keys_stay();
--: ALL LEVELS
CREATE TRIGGER keys_stay BEFORE UPDATE OF id ON comment FOR EACH ROW
    WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keys_stay();
--: END
