-- Compare the whole of @{table} with its query and apply the difference.
CREATE OR REPLACE FUNCTION @{rebuild}(
    OUT inserted bigint, OUT updated bigint, OUT deleted bigint)
LANGUAGE plpgsql
    @{environment}
AS $function$
#variable_conflict use_column
DECLARE
    repeated text;
BEGIN
    IF NOT EXISTS (SELECT FROM @{table}) THEN
        INSERT INTO @{table} (@{columns})
        SELECT @{outputs}
        FROM @{view} AS query;
        GET DIAGNOSTICS inserted = ROW_COUNT;
        updated := 0;
        deleted := 0;
        RETURN;
    END IF;
    WITH fresh AS MATERIALIZED (
        SELECT @{outputs}
        FROM @{view} AS query
    ),
    deleted AS (
        DELETE FROM @{table} AS tview
        WHERE NOT EXISTS (SELECT FROM fresh WHERE @{fresh_matches_tview})
        RETURNING 1
    ),
    @{written};
    @{refuse_repeated}
END
$function$;
