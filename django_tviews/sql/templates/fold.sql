WITH @{moved},
change AS MATERIALIZED (
    @{change}
    WHERE @{changed}
),
folded AS (
    UPDATE @{table} AS tview
    SET @{new_values}
    FROM change
    WHERE @{settled}
    RETURNING @{change_key}
)
SELECT @{change_keys}
@{into}FROM change
WHERE @{known}
  -- Neither side is NULL; NOT EXISTS may be planned to compare each group with all others.
  AND (@{change_key}) NOT IN (SELECT @{folded_key} FROM folded)
