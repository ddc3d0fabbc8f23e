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
       (SELECT count(*) FROM deleted),
       -- An upsert notices that a key comes twice only if it has to write both times.
       (SELECT concat_ws(', ', @{key_columns}) FROM fresh
        GROUP BY @{key_columns} HAVING count(*) > 1 LIMIT 1)
@{into}FROM written
