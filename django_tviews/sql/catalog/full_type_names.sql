-- Written like format_type does it under an empty search path, the modifier as declared.
SELECT wanted.type,
    pg_catalog.format('%%I.%%I', n.nspname, element.typname)
    || coalesce(pg_catalog.substring(wanted.type, '\(.*\)'), '')
    || CASE WHEN element.oid = t.oid THEN '' ELSE '[]' END
FROM unnest(%s::text[]) AS wanted (type)
JOIN pg_catalog.pg_type AS t ON t.oid = pg_catalog.to_regtype(wanted.type)
JOIN pg_catalog.pg_type AS element
    ON element.oid = CASE WHEN t.typcategory = 'A' AND t.typtype <> 'd' THEN t.typelem ELSE t.oid END
JOIN pg_catalog.pg_namespace AS n ON n.oid = element.typnamespace
WHERE n.nspname <> 'pg_catalog'
