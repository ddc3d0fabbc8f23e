UPDATE @{table} AS tview
SET @{patched}
FROM (
    @{given}
) AS fresh
WHERE @{fresh_matches_tview} AND @{different}
