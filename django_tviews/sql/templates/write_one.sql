-- One key: see what the query has for it and whether that is stored, then do what is left to do.
-- MERGE would cost as much, and fire the triggers of all three events. A session keeps the types of
-- the first row that it sees here, until this text changes with them: @{types}.
SELECT evaluated.*, tview.@{first_key_column} IS NOT NULL AS @{stored}, @{differs} AS @{different}
INTO @{fresh}
FROM (SELECT) AS affected
LEFT JOIN (
    SELECT @{rows_found} AS @{found}, @{outputs}
    FROM @{query} AS query
    WHERE @{one_key_matches_query}
    -- Keeps the planner from computing a value anew wherever it stands above.
    OFFSET 0
) AS evaluated ON true
LEFT JOIN @{table} AS tview ON @{one_key_matches_tview}
LIMIT 1;
IF @{fresh}.@{found} > 1 THEN
    PERFORM @{refuse_repeated};
ELSIF @{fresh}.@{stored} THEN
    IF @{fresh}.@{found} IS NULL THEN
        DELETE FROM @{table} AS tview WHERE @{one_key_matches_tview};
    ELSIF @{fresh}.@{different} THEN
        UPDATE @{table} AS tview SET @{assignments} WHERE @{one_key_matches_tview};
    END IF;
ELSIF @{fresh}.@{found} = 1 THEN
    INSERT INTO @{table} (@{columns}) VALUES (@{fresh_columns});
END IF
