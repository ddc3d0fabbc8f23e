-- What is installed, those that others read first; a table that is gone has no name. The columns are
-- those of RegistryRow, in order.
SELECT r.tview::oid::bigint, n.nspname, c.relname, r.label, r.declaration, r.depth,
    r.format_version, r.fingerprint
FROM django_tviews_registry AS r
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = r.tview
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY r.depth, r.label
