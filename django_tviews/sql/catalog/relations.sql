-- Run with an empty search path, so that pg_get_viewdef writes out every schema.
SELECT c.oid::bigint, n.nspname, c.relname,
    CASE
        WHEN n.nspname IN ('pg_catalog', 'information_schema') THEN 'system catalog'
        WHEN c.relpersistence = 't' THEN 'temporary table'
        WHEN c.relpersistence = 'u' THEN 'unlogged table'
        WHEN c.relkind = 'p' THEN 'partitioned table'
        WHEN c.relkind = 'v' THEN 'view'
        WHEN c.relkind = 'm' THEN 'materialized view'
        WHEN c.relkind = 'f' THEN 'foreign table'
        WHEN c.relispartition THEN 'partition'
        WHEN EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = c.oid)
            THEN 'table with inheritance children'
        ELSE 'table'
    END,
    CASE WHEN c.relkind = 'v' THEN pg_catalog.pg_get_viewdef(c.oid) END,
    c.relkind IN ('r', 'p') AND pg_catalog.row_security_active(c.oid)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = ANY (%s::oid[])
