deleted AS (
            DELETE FROM @{table} AS tview
            USING unnest(@{key_arrays}) AS affected (@{key_columns})
            WHERE @{key_matches_tview}
              AND NOT EXISTS (SELECT FROM fresh WHERE @{key_matches_fresh})
            RETURNING 1
        ),
        written AS (
            INSERT INTO @{table} AS tview (@{columns})
            SELECT @{columns} FROM fresh
            ON CONFLICT (@{key_columns}) DO UPDATE
            SET @{assignments}
            WHERE record_image_ne(ROW(@{tview_columns}), ROW(@{excluded_columns}))
            RETURNING tview.xmax = 0 AS inserted
        )
        SELECT count(*) FILTER (WHERE written.inserted),
               count(*) FILTER (WHERE NOT written.inserted),
               (SELECT count(*) FROM deleted)
        @{into}FROM written
