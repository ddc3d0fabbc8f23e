-- Only these columns can have changed.
IF @{few_keys} THEN
    -- OFFSET 0 keeps the planner from turning that into one join with the whole query.
    UPDATE @{table} AS tview
    SET @{patched}
    FROM unnest(@{key_variables}) AS affected (@{affected_columns})
    CROSS JOIN LATERAL (
        SELECT @{patch_outputs}
        FROM @{patch_query} AS query
        WHERE @{affected_matches_query}
        OFFSET 0
    ) AS fresh
    WHERE @{fresh_matches_tview} AND @{different};
ELSIF @{first_key_variable} IS NOT NULL THEN
    -- Many keys: one join, planned afresh for their true number.
    EXECUTE $bulk$
    WITH fresh AS MATERIALIZED (
        SELECT @{patch_outputs}
        FROM unnest(@{key_positions}) AS affected (@{affected_columns})
        JOIN @{patch_query} AS query ON @{affected_matches_query}
    )
    UPDATE @{table} AS tview
    SET @{patched}
    FROM fresh
    WHERE @{fresh_matches_tview} AND @{different}
    $bulk$ USING @{key_variables};
END IF;
