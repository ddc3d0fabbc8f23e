-- The relations that DROP ... CASCADE of a table, or of one column, would take along.
WITH RECURSIVE goes (classid, objid, objsubid) AS (
    SELECT 'pg_catalog.pg_class'::regclass::oid, wanted.oid, CASE
        WHEN wanted.name IS NULL THEN 0
        ELSE (
            SELECT a.attnum::integer FROM pg_catalog.pg_attribute AS a
            WHERE a.attrelid = wanted.oid AND a.attname = wanted.name)
        END
    FROM (VALUES (%s::oid, %s::text)) AS wanted (oid, name)
    UNION
    SELECT next.classid, next.objid, next.objsubid
    FROM goes
    CROSS JOIN LATERAL (
        SELECT d.classid, d.objid, d.objsubid
        FROM pg_catalog.pg_depend AS d
        WHERE d.refclassid = goes.classid AND d.refobjid = goes.objid
          AND goes.objsubid IN (0, d.refobjsubid)
        UNION ALL
        -- A rule goes only together with its view.
        SELECT 'pg_catalog.pg_class'::regclass, r.ev_class, 0
        FROM pg_catalog.pg_rewrite AS r
        WHERE goes.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = goes.objid
    ) AS next
)
SELECT DISTINCT objid::bigint
FROM goes
WHERE classid = 'pg_catalog.pg_class'::regclass AND objsubid = 0
