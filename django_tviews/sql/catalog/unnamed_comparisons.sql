-- Comparisons in the stored rules of views whose operators their text cannot name, by an operator
-- that is not PostgreSQL's own.
SELECT DISTINCT found.what, pg_catalog.format_type(o.oprleft, NULL)
FROM pg_catalog.pg_rewrite AS r
CROSS JOIN LATERAL (
    SELECT 'IS DISTINCT FROM', operator[1]
    FROM pg_catalog.regexp_matches(
        r.ev_action::text, '\{DISTINCTEXPR :opno (\d+)', 'g') AS operator
    UNION ALL
    SELECT 'NULLIF', operator[1]
    FROM pg_catalog.regexp_matches(
        r.ev_action::text, '\{NULLIFEXPR :opno (\d+)', 'g') AS operator
    UNION ALL
    -- What is tested stands for CASETESTEXPR, perhaps inside a cast.
    SELECT 'CASE x WHEN', operator[1]
    FROM pg_catalog.regexp_matches(
        r.ev_action::text,
        '\{CASEWHEN :expr \{OPEXPR :opno (\d+) [^{}]*:args \((?:\{[A-Z]+ [^{}]*)*\{CASETESTEXPR',
        'g') AS operator
    UNION ALL
    -- The comparisons of USING are all that stands between its columns and the next alias.
    SELECT 'JOIN USING', operator[1]
    FROM pg_catalog.regexp_matches(
        r.ev_action::text, ':usingClause \("(.*?) :alias ', 'g') AS using_clause
    CROSS JOIN LATERAL pg_catalog.regexp_matches(
        using_clause[1], '\{OPEXPR :opno (\d+)', 'g') AS operator
    UNION ALL
    -- Rows compared by < and the like: one operator for each of their columns.
    SELECT 'a comparison of rows', operator
    FROM pg_catalog.regexp_matches(
        r.ev_action::text, '\{ROWCOMPAREEXPR [^{}]*:opnos \(o ([\d ]+)\)', 'g') AS compared
    CROSS JOIN LATERAL pg_catalog.string_to_table(compared[1], ' ') AS operator
    UNION ALL
    -- Rows compared with those of a subquery: between it and the name of the operator.
    SELECT 'a comparison of rows', operator[1]
    FROM pg_catalog.regexp_matches(
        r.ev_action::text, '\{SUBLINK [^{}]*?:testexpr \{BOOLEXPR (.*?) :operName ', 'g') AS compared
    CROSS JOIN LATERAL pg_catalog.regexp_matches(
        compared[1], '\{OPEXPR :opno (\d+)', 'g') AS operator
) AS found (what, operator)
JOIN pg_catalog.pg_operator AS o ON o.oid = found.operator::oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace
WHERE r.ev_class = ANY (%s::oid[]) AND n.nspname <> 'pg_catalog'
ORDER BY 1, 2
