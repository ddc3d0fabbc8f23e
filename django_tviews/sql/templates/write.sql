MERGE INTO @{table} AS tview
USING evaluated ON @{evaluated_matches_tview}
WHEN MATCHED AND evaluated.@{found} IS NULL THEN
    DELETE
WHEN MATCHED AND CASE
    WHEN evaluated.@{found} > 1 THEN @{refuse_repeated}
    ELSE @{differs}
END THEN
    UPDATE SET @{assignments}
WHEN NOT MATCHED AND CASE
    WHEN evaluated.@{found} > 1 THEN @{refuse_repeated}
    ELSE evaluated.@{found} = 1
END THEN
    INSERT (@{columns}) VALUES (@{evaluated_columns})
