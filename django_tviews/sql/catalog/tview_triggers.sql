-- The triggers that depend on the tables of TViews, and go with them.
SELECT d.refobjid::bigint, t.tgrelid::bigint, t.tgname::text
FROM pg_catalog.pg_depend AS d
JOIN pg_catalog.pg_trigger AS t ON t.oid = d.objid
WHERE d.classid = 'pg_catalog.pg_trigger'::regclass
  AND d.refclassid = 'pg_catalog.pg_class'::regclass
  AND d.refobjid = ANY (%s::oid[])
  AND t.tgname LIKE 'tviews\_%%' AND NOT t.tgisinternal
