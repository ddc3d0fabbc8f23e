-- Only these columns can have changed.
IF cardinality(@{first_key_variable}) <= @{bulk_threshold} THEN
    -- OFFSET 0 keeps the planner from turning that into one join with the whole query.
    UPDATE @{table} AS tview
    SET @{patched}
    FROM unnest(@{key_variables}) AS affected (@{affected_columns})
    CROSS JOIN LATERAL (
        SELECT @{patch_outputs}
        FROM @{view} AS query
        WHERE @{affected_matches_query}
        OFFSET 0
    ) AS fresh
    WHERE @{fresh_matches_tview}@{different};
ELSIF @{first_key_variable} IS NOT NULL THEN
    -- Many keys: one join, planned afresh for their true number.
    EXECUTE $bulk$
    UPDATE @{table} AS tview
    SET @{patched}
    FROM unnest(@{key_positions}) AS affected (@{affected_columns})
    JOIN (
        SELECT @{patch_outputs}
        FROM @{view} AS query
    ) AS fresh ON @{affected_matches_fresh}
    WHERE @{fresh_matches_tview}@{different}
    $bulk$ USING @{key_variables};
END IF;
