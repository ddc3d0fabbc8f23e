-- Aggregates that add up floats: the sum depends on the order in which they are added.
SELECT DISTINCT p.proname
FROM pg_catalog.pg_rewrite AS r
CROSS JOIN LATERAL pg_catalog.regexp_matches(
    r.ev_action::text, ':(?:aggfnoid|winfnoid) (\d+)', 'g') AS called (oid)
JOIN pg_catalog.pg_proc AS p ON p.oid = called.oid[1]::oid
WHERE r.ev_class = ANY (%s::oid[])
  AND p.pronamespace = 'pg_catalog'::regnamespace
  AND p.proname NOT IN ('count', 'max', 'min', 'array_agg', 'json_agg', 'jsonb_agg', 'any_value')
  AND p.proargtypes::oid[] && ARRAY['float4'::regtype, 'float8'::regtype]::oid[]
  AND p.proname NOT LIKE 'percentile%%'
ORDER BY p.proname
