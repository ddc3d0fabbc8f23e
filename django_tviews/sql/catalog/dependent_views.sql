-- The view's rule is what depends, the relation what it needs; the view itself is left out.
SELECT DISTINCT d.refobjid::bigint, r.ev_class::bigint
FROM pg_catalog.pg_depend AS d
JOIN pg_catalog.pg_rewrite AS r ON r.oid = d.objid
WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass
  AND d.refclassid = 'pg_catalog.pg_class'::regclass
  AND d.refobjid = ANY (%s::oid[])
  AND r.ev_class <> d.refobjid
