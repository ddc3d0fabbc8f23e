-- The functions behind calls, operators, casts and aggregates of views, as their stored rules
-- name them by OID; IMMUTABLE ones are left out.
SELECT DISTINCT n.nspname, p.proname,
    CASE p.provolatile WHEN 's' THEN 'stable' ELSE 'volatile' END
FROM pg_catalog.pg_rewrite AS r
CROSS JOIN LATERAL pg_catalog.regexp_matches(
    r.ev_action::text, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)', 'g') AS called (oid)
JOIN pg_catalog.pg_proc AS p ON p.oid = called.oid[1]::oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE r.ev_class = ANY (%s::oid[]) AND p.provolatile <> 'i'
ORDER BY n.nspname, p.proname
