-- Recompute the rows of @{table} with the given keys: delete those that the query no longer
-- yields, insert the new ones, update those that differ. Rows that do not differ are not touched.
-- Only functions that have set the maintenance environment call this one.
CREATE OR REPLACE FUNCTION @{recompute}(
    @{key_parameters},
    OUT inserted bigint, OUT updated bigint, OUT deleted bigint)
LANGUAGE plpgsql AS $function$
#variable_conflict use_column
DECLARE
    repeated text;
BEGIN
    @{evaluation}
    @{refuse_repeated}
END
$function$;
