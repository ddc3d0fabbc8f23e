-- Two statements about two of twelve groups, in random order: every post is a row of its own, so
-- that without maintenance nobody waits for long.
\set one random(1, :scale)
\set other random(1, :scale)
BEGIN;
UPDATE post SET score = score + 1 WHERE id = :one;
UPDATE post SET score = score + 1 WHERE id = :other;
COMMIT;
