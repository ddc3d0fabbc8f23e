-- Recompute the rows of @{table} with the given keys: delete those that the query no longer
-- yields, insert the new ones, update those that differ. Rows that do not differ are not touched.
-- evaluated."found?" numbers the rows that the query has for a key; it is NULL if there is none.
-- Only functions that have set the maintenance environment call this one.
CREATE OR REPLACE FUNCTION @{recompute}(@{key_parameters}) RETURNS void
LANGUAGE plpgsql AS $function$
#variable_conflict use_column
DECLARE
    @{declarations}
BEGIN
    @{evaluation}
END
$function$;
