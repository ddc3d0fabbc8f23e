WITH @{moved},
change AS MATERIALIZED (
    SELECT *
    FROM (
        SELECT @{grouped_by},
            @{changes}
        FROM @{joined}
        WHERE @{filter}
        GROUP BY @{places}
    ) AS change
    WHERE @{changed}
),
folded AS (
    UPDATE @{table} AS tview
    SET @{new_values}
    FROM change
    WHERE @{change_matches_tview}
      AND @{settled}
    RETURNING @{change_key}
)
SELECT @{change_keys}
@{into}FROM change
WHERE @{known}
  AND NOT EXISTS (SELECT FROM folded WHERE @{change_matches_folded})
