-- Run with an empty search path, so that format_type writes out every schema.
SELECT a.attrelid::bigint, a.attname,
    pg_catalog.format_type(a.atttypid, a.atttypmod),
    a.attnotnull,
    coalesce(collation_of.collisdeterministic, true),
    a.attgenerated = 'v'
FROM pg_catalog.pg_attribute AS a
LEFT JOIN pg_catalog.pg_collation AS collation_of ON collation_of.oid = a.attcollation
WHERE a.attrelid = ANY (%s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
