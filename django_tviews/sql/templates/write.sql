deleted AS (
    DELETE FROM @{table} AS tview
    USING unnest(@{key_arrays}) AS affected (@{key_columns})
    WHERE @{key_matches_tview}
      AND NOT EXISTS (SELECT FROM fresh WHERE @{key_matches_fresh})
    RETURNING 1
),
@{written}
