SELECT wanted.signature, p.oid::bigint, p.prosrc,
    pg_catalog.obj_description(p.oid, 'pg_proc'),
    pg_catalog.has_function_privilege('public', p.oid, 'EXECUTE'),
    p.prosecdef, coalesce(p.proconfig, '{}')
FROM unnest(%s::text[]) AS wanted (signature)
JOIN pg_catalog.pg_proc AS p ON p.oid = pg_catalog.to_regprocedure(wanted.signature)
