-- Compare the whole of @{table} with its query and apply the difference.
CREATE OR REPLACE FUNCTION @{rebuild}() RETURNS void
LANGUAGE plpgsql
    @{environment}
AS $function$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (SELECT FROM @{table}) THEN
        INSERT INTO @{table} (@{columns})
        SELECT @{outputs}
        FROM @{query} AS query;
        RETURN;
    END IF;
    WITH fresh AS MATERIALIZED (
        SELECT @{outputs}
        FROM @{query} AS query
    ),
    evaluated (@{affected_columns}, @{columns}, @{found}) AS MATERIALIZED (
        SELECT @{typed_key_of_fresh}, fresh.*,
            row_number() OVER (PARTITION BY @{typed_key_of_fresh})
        FROM fresh
        -- and the keys that the query no longer yields
        UNION ALL
        SELECT @{key_columns}, @{no_columns}, NULL
        FROM @{table} AS tview
        WHERE NOT EXISTS (SELECT FROM fresh WHERE @{fresh_matches_tview})
    )
    @{write};
END
$function$;
