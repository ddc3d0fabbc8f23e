-- The role with whose rights what TViews share calls their functions, and whether it is the current one.
SELECT pg_catalog.pg_get_userbyid(p.proowner)::text,
    pg_catalog.pg_get_userbyid(p.proowner) = current_user
FROM pg_catalog.pg_class AS registry
JOIN pg_catalog.pg_proc AS p
    ON p.pronamespace = registry.relnamespace AND p.proname = 'django_tviews_close'
WHERE registry.oid = pg_catalog.to_regclass('django_tviews_registry')
