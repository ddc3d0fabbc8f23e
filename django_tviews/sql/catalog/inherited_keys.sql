-- A view depends on the primary key that lets it show columns it neither groups nor aggregates.
SELECT DISTINCT k.conrelid::regclass::text
FROM pg_catalog.pg_rewrite AS r
JOIN pg_catalog.pg_depend AS d
    ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
    AND d.refclassid = 'pg_catalog.pg_constraint'::regclass
JOIN pg_catalog.pg_constraint AS k ON k.oid = d.refobjid
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid AND c.relkind = 'r'
WHERE r.ev_class = ANY (%s::oid[])
  AND EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = k.conrelid)
ORDER BY 1
