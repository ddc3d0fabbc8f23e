-- The views that group by the key of a table, and so depend on the constraint.
SELECT DISTINCT r.ev_class::bigint
FROM pg_catalog.pg_constraint AS c
JOIN pg_catalog.pg_depend AS d
    ON d.refclassid = 'pg_catalog.pg_constraint'::regclass AND d.refobjid = c.oid
JOIN pg_catalog.pg_rewrite AS r
    ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid
WHERE c.conrelid = %s::oid
