-- A table's primary key constraint, and whether replicas tell its rows apart by it.
SELECT con.conname,
    c.relreplident = 'd' OR (c.relreplident = 'i' AND i.indisreplident)
FROM pg_catalog.pg_constraint AS con
JOIN pg_catalog.pg_class AS c ON c.oid = con.conrelid
JOIN pg_catalog.pg_index AS i ON i.indexrelid = con.conindid
WHERE con.conrelid = pg_catalog.to_regclass(%s) AND con.contype = 'p'
