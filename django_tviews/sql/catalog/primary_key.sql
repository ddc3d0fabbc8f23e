-- A table's primary key constraint, whether replicas tell its rows apart by it, and the tablespace of
-- its index, if that has one of its own.
SELECT con.conname,
    c.relreplident = 'd' OR (c.relreplident = 'i' AND i.indisreplident),
    (
        SELECT tablespace.spcname
        FROM pg_catalog.pg_class AS index
        JOIN pg_catalog.pg_tablespace AS tablespace ON tablespace.oid = index.reltablespace
        WHERE index.oid = con.conindid
    )
FROM pg_catalog.pg_constraint AS con
JOIN pg_catalog.pg_class AS c ON c.oid = con.conrelid
JOIN pg_catalog.pg_index AS i ON i.indexrelid = con.conindid
WHERE con.conrelid = pg_catalog.to_regclass(%s) AND con.contype = 'p'
