-- Arrays and rows, and domains over them.
WITH RECURSIVE base (type, oid) AS (
    SELECT wanted.type, pg_catalog.to_regtype(wanted.type)::oid
    FROM unnest(%s::text[]) AS wanted (type)
    UNION ALL
    SELECT base.type, t.typbasetype
    FROM base
    JOIN pg_catalog.pg_type AS t ON t.oid = base.oid AND t.typtype = 'd'
)
SELECT base.type, CASE t.typcategory WHEN 'A' THEN 'an array' ELSE 'a row' END
FROM base
JOIN pg_catalog.pg_type AS t ON t.oid = base.oid AND t.typtype <> 'd'
WHERE t.typcategory IN ('A', 'C')
