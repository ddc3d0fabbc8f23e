-- Unique, whole (no expression, no predicate), and checked at once. Whether NULL may stand in them,
-- columns.sql tells.
SELECT i.indrelid::bigint, pg_catalog.array_agg(a.attname::text ORDER BY place.number)
FROM pg_catalog.pg_index AS i
CROSS JOIN LATERAL pg_catalog.generate_series(0, i.indnkeyatts - 1) AS place (number)
JOIN pg_catalog.pg_attribute AS a
    ON a.attrelid = i.indrelid AND a.attnum = i.indkey[place.number]
WHERE i.indrelid = ANY (%s::oid[])
  AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indexprs IS NULL AND i.indpred IS NULL
GROUP BY i.indrelid, i.indexrelid, i.indisprimary, i.indnkeyatts
ORDER BY i.indrelid, i.indisprimary DESC, i.indnkeyatts, i.indexrelid
