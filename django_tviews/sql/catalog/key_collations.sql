-- Key columns that the table compares by another collation than the query, where that decides
-- what is equal, or leaves open by which collation to compare the two.
SELECT key.name, stored_by.collname, queried_by.collname
FROM unnest(%s::text[], %s::text[]) AS key (name, output)
JOIN pg_catalog.pg_attribute AS stored
    ON stored.attrelid = %s::regclass AND stored.attname = key.name
JOIN pg_catalog.pg_attribute AS queried
    ON queried.attrelid = %s::regclass AND queried.attname = key.output
JOIN pg_catalog.pg_collation AS stored_by ON stored_by.oid = stored.attcollation
JOIN pg_catalog.pg_collation AS queried_by ON queried_by.oid = queried.attcollation
WHERE stored_by.oid <> queried_by.oid
  AND (
    NOT stored_by.collisdeterministic
    OR NOT queried_by.collisdeterministic
    OR 'default' NOT IN (stored_by.collname, queried_by.collname)
  )
