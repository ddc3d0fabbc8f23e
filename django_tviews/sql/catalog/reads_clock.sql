-- Views that cast text to a date or time, where 'now' and 'today' are values, too. Such a cast is
-- a CoerceViaIO node; of the nodes with a result type only that has no :resulttypmod after it.
SELECT DISTINCT pg_catalog.format_type(cast_of.type[1]::oid, NULL)
FROM pg_catalog.pg_rewrite AS r
CROSS JOIN LATERAL pg_catalog.regexp_matches(
    r.ev_action::text, ':resulttype (1082|1083|1114|1184|1266) :resultcollid', 'g') AS cast_of (type)
WHERE r.ev_class = ANY (%s::oid[])
ORDER BY 1
