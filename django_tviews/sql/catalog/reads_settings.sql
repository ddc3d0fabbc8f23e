-- Whether views compute anything by what depends on settings, as far as PostgreSQL tells: STABLE
-- functions, casts to or from text by a type's own input and output, and whatever else is not
-- known to be free of it. And whether they call what is written in SQL or a language like it, where
-- nobody can tell. In the stored rule every node begins with its name, and a brace in a name of the
-- query is escaped.
WITH rule AS (
    SELECT r.ev_action::text AS tree
    FROM pg_catalog.pg_rewrite AS r
    WHERE r.ev_class = ANY (%s::oid[])
),
called AS (
    SELECT p.provolatile <> 'i' OR p.pronamespace <> 'pg_catalog'::regnamespace AS reads_settings,
        -- An aggregate is "internal", whatever its functions are written in.
        p.pronamespace <> 'pg_catalog'::regnamespace
            AND (p.prokind = 'a' OR l.lanname NOT IN ('internal', 'c')) AS has_body
    FROM rule
    CROSS JOIN LATERAL pg_catalog.regexp_matches(
        rule.tree, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)', 'g') AS found (oid)
    JOIN pg_catalog.pg_proc AS p ON p.oid = found.oid[1]::oid
    JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
)
SELECT EXISTS (
    SELECT FROM rule
    CROSS JOIN LATERAL pg_catalog.regexp_matches(
        rule.tree, '(?<!\\)\{([A-Z_0-9]+)', 'g') AS node (name)
    WHERE node.name[1] NOT IN (
        'AGGREF', 'ALIAS', 'BOOLEANTEST', 'BOOLEXPR', 'CASEEXPR', 'CASETESTEXPR', 'CASEWHEN',
        'COALESCEEXPR', 'COMMONTABLEEXPR', 'CONST', 'DISTINCTEXPR', 'FROMEXPR', 'FUNCEXPR',
        'JOINEXPR', 'MINMAXEXPR', 'NULLIFEXPR', 'NULLTEST', 'OPEXPR', 'PARAM', 'QUERY',
        'RANGETBLENTRY', 'RANGETBLFUNCTION', 'RANGETBLREF', 'RELABELTYPE', 'RTEPERMISSIONINFO',
        'SCALARARRAYOPEXPR', 'SETOPERATIONSTMT', 'SORTGROUPCLAUSE', 'SUBLINK', 'TARGETENTRY',
        'VAR', 'WINDOWCLAUSE', 'WINDOWFUNC')
) OR EXISTS (SELECT FROM called WHERE reads_settings),
    EXISTS (SELECT FROM called WHERE has_body)
