-- Only these columns can have changed.
UPDATE @{table} AS tview
SET @{patched}
FROM (
    SELECT @{patch_outputs}
    FROM @{patch_query} AS query
    WHERE @{one_key_matches_query}
    -- Keeps the planner from computing a value anew wherever it stands above.
    OFFSET 0
) AS fresh
WHERE @{one_key_matches_tview} AND @{different}
