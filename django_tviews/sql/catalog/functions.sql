-- What the functions of a name are, taken together: the worst volatility, whether one aggregates,
-- whether one gives rows. Without a schema they are PostgreSQL's own, or on the search path.
SELECT wanted.schema, wanted.name,
    CASE
        WHEN pg_catalog.bool_or(p.provolatile = 'v') THEN 'volatile'
        WHEN pg_catalog.bool_or(p.provolatile = 's') THEN 'stable'
        ELSE 'immutable'
    END,
    pg_catalog.bool_or(p.prokind = 'a'),
    pg_catalog.bool_or(p.proretset)
FROM unnest(%s::text[], %s::text[]) AS wanted (schema, name)
JOIN pg_catalog.pg_proc AS p ON p.proname = wanted.name
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = coalesce(wanted.schema, 'pg_catalog')
   OR (wanted.schema IS NULL AND pg_catalog.pg_function_is_visible(p.oid))
GROUP BY wanted.schema, wanted.name
