-- All triggers of ours, recognised by their names. That of a TView depends on the TView's table, which
-- those that TViews share do not. The columns are those of InstalledTrigger, in order.
SELECT n.nspname, c.relname, t.tgname, pg_catalog.pg_get_triggerdef(t.oid),
    t.tgenabled IN ('O', 'A'),
    (
        SELECT d.refobjid::bigint
        FROM pg_catalog.pg_depend AS d
        WHERE d.classid = 'pg_catalog.pg_trigger'::regclass AND d.objid = t.oid
          AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'n'
          AND t.tgname LIKE 'tviews\_2\_%%' AND d.refobjid <> t.tgrelid
        LIMIT 1
    ),
    called_in.nspname
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
JOIN pg_catalog.pg_namespace AS called_in ON called_in.oid = p.pronamespace
-- Clones of row triggers go with the trigger on the partitioned table.
WHERE t.tgname LIKE 'tviews\_%%' AND NOT t.tgisinternal AND t.tgparentid = 0
ORDER BY n.nspname, c.relname, t.tgname
