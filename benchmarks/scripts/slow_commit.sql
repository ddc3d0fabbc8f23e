-- A transaction that goes on for a while after its statement, as a request does that calls others.
\set post random(1, :scale)
\set author random(4, 13)
BEGIN;
UPDATE post SET score = score + 1, title = 'post ' || :author WHERE id = :post;
\sleep :pause ms
COMMIT;
