-- The views whose rules read a column: PostgreSQL does not change its type under them.
SELECT DISTINCT r.ev_class::bigint
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_depend AS d
    ON d.refclassid = 'pg_catalog.pg_class'::regclass
    AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
JOIN pg_catalog.pg_rewrite AS r
    ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid
WHERE a.attrelid = %s::oid AND a.attname = %s
