written AS (
    INSERT INTO @{table} AS tview (@{columns})
    SELECT @{columns} FROM fresh
    ON CONFLICT (@{key_columns}) DO UPDATE
    SET @{assignments}
    WHERE record_image_ne(ROW(@{tview_columns}), ROW(@{excluded_columns}))
    -- A row version that has replaced none was inserted.
    RETURNING tview.xmax = 0 AS inserted
)
SELECT count(*) FILTER (WHERE written.inserted),
       count(*) FILTER (WHERE NOT written.inserted),
       (SELECT count(*) FROM deleted)
@{into}FROM written
