-- Without the row that has its key no row of the query can have it. A trigger may have put it back.
DELETE FROM @{table} AS tview
WHERE @{one_key_matches_tview}
  AND NOT EXISTS (SELECT FROM @{root} AS root WHERE @{root_has_key})
