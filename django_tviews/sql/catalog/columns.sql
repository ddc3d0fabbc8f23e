-- The columns of relations: which one, then the attributes of ColumnFacts, in order. Run with an empty
-- search path, so that format_type writes out every schema.
SELECT a.attrelid::bigint, a.attname,
    pg_catalog.format_type(a.atttypid, a.atttypmod),
    a.attnotnull AND NOT EXISTS (
        -- NOT NULL NOT VALID (PostgreSQL 18): older rows may be.
        SELECT FROM pg_catalog.pg_constraint AS c
        WHERE c.conrelid = a.attrelid AND c.contype = 'n' AND NOT c.convalidated
          AND c.conkey = ARRAY[a.attnum]
    ),
    coalesce(collation_of.collisdeterministic, true),
    -- The text leaves out that the value is converted to the column's type, and its collation.
    CASE WHEN a.attgenerated = 'v' THEN
        'CAST((' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) || ') AS '
            || pg_catalog.format_type(a.atttypid, a.atttypmod) || ')'
            || coalesce(' COLLATE ' || nullif(a.attcollation, 0)::pg_catalog.regcollation, '')
    END,
    CASE
        WHEN base.kind = 'e' THEN 'anyenum'
        WHEN base.oid <> a.atttypid THEN pg_catalog.format_type(base.oid, base.modifier)
        ELSE ''
    END,
    CASE
        WHEN collation_of.collname <> 'default' THEN a.attcollation::pg_catalog.regcollation::text
        ELSE ''
    END
FROM pg_catalog.pg_attribute AS a
CROSS JOIN LATERAL (
    WITH RECURSIVE below (oid, modifier, depth) AS (
        SELECT a.atttypid, a.atttypmod, 0
        UNION ALL
        SELECT t.typbasetype, t.typtypmod, below.depth + 1
        FROM below
        JOIN pg_catalog.pg_type AS t ON t.oid = below.oid AND t.typtype = 'd'
    )
    SELECT below.oid, below.modifier, t.typtype AS kind
    FROM below
    JOIN pg_catalog.pg_type AS t ON t.oid = below.oid
    ORDER BY below.depth DESC
    LIMIT 1
) AS base
LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_catalog.pg_collation AS collation_of ON collation_of.oid = a.attcollation
WHERE a.attrelid = ANY (%s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
