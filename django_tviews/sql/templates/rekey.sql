-- Compare the whole of @{table} with its query while its key changes and no index supports it:
-- keep the rows that are already as they should be, replace the others.
CREATE OR REPLACE FUNCTION @{rebuild}() RETURNS void
LANGUAGE plpgsql
    @{environment}
AS $function$
#variable_conflict use_column
BEGIN
    WITH fresh AS MATERIALIZED (
        SELECT query.*, row_number() OVER (PARTITION BY @{key_columns}) AS @{found}
        FROM (SELECT @{outputs} FROM @{query} AS query) AS query
    ),
    kept AS MATERIALIZED (
        SELECT DISTINCT ON (@{fresh_key}) tview.ctid AS place, @{fresh_key}
        FROM @{table} AS tview
        JOIN fresh ON @{fresh_matches_tview}
        WHERE NOT @{fresh_differs}
    ),
    deleted AS (
        DELETE FROM @{table} AS tview
        WHERE NOT EXISTS (SELECT FROM kept WHERE kept.place = tview.ctid)
    )
    INSERT INTO @{table} (@{columns})
    SELECT @{columns} FROM fresh
    WHERE CASE WHEN fresh.@{found} > 1 THEN @{refuse_repeated} ELSE true END
      AND NOT EXISTS (SELECT FROM kept WHERE @{key_matches_kept});
END
$function$;
