-- Compare the whole of @{table} with its query while its key changes and no index supports it:
-- keep the rows that are already as they should be, replace the others.
CREATE OR REPLACE FUNCTION @{rebuild}(
    OUT inserted bigint, OUT updated bigint, OUT deleted bigint)
LANGUAGE plpgsql
    @{environment}
AS $function$
#variable_conflict use_column
DECLARE
    repeated text;
BEGIN
    WITH fresh AS MATERIALIZED (
        SELECT @{outputs}
        FROM @{view} AS query
    ),
    kept AS MATERIALIZED (
        SELECT DISTINCT ON (@{fresh_key}) tview.ctid AS place, @{fresh_key}
        FROM @{table} AS tview
        JOIN fresh ON @{fresh_matches_tview}
        WHERE NOT record_image_ne(ROW(@{tview_columns}), ROW(@{fresh_columns}))
    ),
    deleted AS (
        DELETE FROM @{table} AS tview
        WHERE NOT EXISTS (SELECT FROM kept WHERE kept.place = tview.ctid)
        RETURNING 1
    ),
    written AS (
        INSERT INTO @{table} AS tview (@{columns})
        SELECT @{columns} FROM fresh
        WHERE NOT EXISTS (SELECT FROM kept WHERE @{key_matches_kept})
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM written),
           0,
           (SELECT count(*) FROM deleted),
           (SELECT concat_ws(', ', @{key_columns}) FROM fresh
            GROUP BY @{key_columns} HAVING count(*) > 1 LIMIT 1)
    INTO inserted, updated, deleted, repeated;
    @{refuse_repeated}
END
$function$;
