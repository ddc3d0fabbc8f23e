-- Views that cast the name of a relation, a role or the like to its number or back, which follows
-- whoever renames it. The names of text search configurations count as constants.
SELECT DISTINCT pg_catalog.format_type(named.type[1]::oid, NULL)
FROM pg_catalog.pg_rewrite AS r
CROSS JOIN LATERAL (
    SELECT of_result.type
    FROM pg_catalog.regexp_matches(
        r.ev_action::text, ':resulttype (\d+) :resultcollid', 'g') AS of_result (type)
    UNION ALL
    SELECT of_argument.type
    FROM pg_catalog.regexp_matches(
        r.ev_action::text,
        '\{COERCEVIAIO :arg \{[A-Z]+ [^{}]*:(?:var|funcresult|opresult|result)type (\d+)',
        'g') AS of_argument (type)
) AS named
JOIN pg_catalog.pg_type AS t ON t.oid = named.type[1]::oid
WHERE r.ev_class = ANY (%s::oid[])
  AND coalesce(nullif(t.typelem, 0), t.oid) IN (
    'regclass'::regtype, 'regcollation'::regtype, 'regnamespace'::regtype, 'regoper'::regtype,
    'regoperator'::regtype, 'regproc'::regtype, 'regprocedure'::regtype, 'regrole'::regtype,
    'regtype'::regtype)
ORDER BY 1
