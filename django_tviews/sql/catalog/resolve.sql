-- Relations by their names, by the search path without a schema; those that do not exist are left
-- out.
SELECT wanted.schema, wanted.name, c.oid::bigint
FROM unnest(%s::text[], %s::text[]) AS wanted (schema, name)
JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(
    CASE WHEN wanted.schema IS NULL THEN pg_catalog.quote_ident(wanted.name)
         ELSE pg_catalog.format('%%I.%%I', wanted.schema, wanted.name) END)
