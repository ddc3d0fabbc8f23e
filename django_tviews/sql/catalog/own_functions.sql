-- The functions of a TView say in their comments whose they are.
SELECT p.oid::bigint, p.oid::regprocedure::text
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = %s
  AND pg_catalog.obj_description(p.oid, 'pg_proc') LIKE 'django_tviews {%%'
  AND substr(pg_catalog.obj_description(p.oid, 'pg_proc'), 14)::jsonb ->> 'tview' = %s
ORDER BY p.proname
