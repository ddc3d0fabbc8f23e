-- PostgreSQL clones row triggers of a partitioned table to its partitions.
SELECT n.nspname, c.relname, t.tgname
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE t.tgname LIKE 'tviews\_%%' AND t.tgparentid <> 0 AND t.tgenabled IN ('O', 'A')
