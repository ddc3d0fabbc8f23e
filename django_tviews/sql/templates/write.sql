fresh AS NOT MATERIALIZED (
    SELECT @{columns} FROM evaluated WHERE evaluated.@{found}
),
deleted AS (
    DELETE FROM @{table} AS tview
    USING evaluated
    WHERE @{evaluated_matches_tview} AND evaluated.@{found} IS NULL
    RETURNING 1
),
@{written}
