SELECT pg_catalog.to_regclass(%s) IS NOT NULL
