-- Unique, not null, whole (no expression, no predicate), and checked at once or at COMMIT.
SELECT i.indrelid::bigint, pg_catalog.array_agg(a.attname::text ORDER BY place.number)
FROM pg_catalog.pg_index AS i
CROSS JOIN LATERAL pg_catalog.generate_series(0, i.indnkeyatts - 1) AS place (number)
JOIN pg_catalog.pg_attribute AS a
    ON a.attrelid = i.indrelid AND a.attnum = i.indkey[place.number]
WHERE i.indrelid = ANY (%s::oid[])
  AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indexprs IS NULL AND i.indpred IS NULL
GROUP BY i.indrelid, i.indexrelid, i.indisprimary, i.indnkeyatts
HAVING pg_catalog.bool_and(a.attnotnull AND NOT EXISTS (
    -- NOT NULL NOT VALID (PostgreSQL 18): older rows may be.
    SELECT FROM pg_catalog.pg_constraint AS c
    WHERE c.conrelid = a.attrelid AND c.contype = 'n' AND NOT c.convalidated
      AND c.conkey = ARRAY[a.attnum]
))
ORDER BY i.indrelid, i.indisprimary DESC, i.indnkeyatts, i.indexrelid
