-- What TViews stand on: their backing views and all that those read, views looked through.
WITH RECURSIVE stands_on (tview, view, relation) AS (
    SELECT own.oid, backing.oid, backing.oid
    FROM unnest(%s::oid[], %s::text[]) AS wanted (tview, view)
    JOIN pg_catalog.pg_class AS own ON own.oid = wanted.tview
    JOIN pg_catalog.pg_class AS backing
        ON backing.relnamespace = own.relnamespace AND backing.relname = wanted.view
    UNION
    SELECT stands_on.tview, stands_on.view, d.refobjid
    FROM stands_on
    JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = stands_on.relation AND r.ev_type = '1'
    JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> r.ev_class
)
SELECT tview::bigint, view::bigint, pg_catalog.array_agg(DISTINCT relation::bigint)
FROM stands_on
GROUP BY tview, view
