-- One statement about one row, chosen at random, that every TView over posts reads.
\set post random(1, :scale)
\set author random(4, 13)
UPDATE post SET score = score + 1, title = 'post ' || :author WHERE id = :post;
