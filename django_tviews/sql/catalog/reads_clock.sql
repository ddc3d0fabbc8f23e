-- Views that cast text to a date or time, where 'now' and 'today' are values, too, or to what may
-- hold one: an array, a range, a row. Such a cast is a CoerceViaIO node; of the nodes with a result
-- type only that has nothing but :resultcollid after it.
WITH RECURSIVE held (type, oid) AS (
    SELECT found.type[1]::oid, found.type[1]::oid
    FROM pg_catalog.pg_rewrite AS r
    CROSS JOIN LATERAL pg_catalog.regexp_matches(
        r.ev_action::text, ':resulttype (\d+) :resultcollid', 'g') AS found (type)
    WHERE r.ev_class = ANY (%s::oid[])
    UNION
    SELECT held.type, part.oid
    FROM held
    JOIN pg_catalog.pg_type AS t ON t.oid = held.oid
    CROSS JOIN LATERAL (
        SELECT t.typelem WHERE t.typcategory = 'A'
        UNION ALL
        SELECT t.typbasetype WHERE t.typtype = 'd'
        UNION ALL
        SELECT ranged.rngsubtype
        FROM pg_catalog.pg_range AS ranged
        WHERE t.oid IN (ranged.rngtypid, ranged.rngmultitypid)
        UNION ALL
        SELECT a.atttypid
        FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = t.typrelid AND t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped
    ) AS part (oid)
)
SELECT DISTINCT pg_catalog.format_type(held.type, NULL)
FROM held
WHERE held.oid IN (
    'date'::regtype, 'time'::regtype, 'timetz'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)
ORDER BY 1
