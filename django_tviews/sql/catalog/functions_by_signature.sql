-- Functions by their signatures; those that do not exist are left out.
SELECT wanted.signature, p.oid::bigint, p.prosrc,
    pg_catalog.obj_description(p.oid, 'pg_proc'),
    pg_catalog.has_function_privilege('public', p.oid, 'EXECUTE'),
    (
        SELECT pg_catalog.bool_and(
            pg_catalog.has_function_privilege(shared.proowner, p.oid, 'EXECUTE')) IS NOT FALSE
        FROM pg_catalog.pg_class AS registry
        JOIN pg_catalog.pg_proc AS shared
            ON shared.pronamespace = registry.relnamespace
            AND shared.proname = 'django_tviews_close'
        WHERE registry.oid = pg_catalog.to_regclass('django_tviews_registry')
    ),
    p.prosecdef, coalesce(p.proconfig, '{}')
FROM unnest(%s::text[]) AS wanted (signature)
JOIN pg_catalog.pg_proc AS p ON p.oid = pg_catalog.to_regprocedure(wanted.signature)
