-- The columns of a view: name, type, collation.
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attcollation::bigint
FROM pg_catalog.pg_attribute AS a
WHERE a.attrelid = pg_catalog.to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
