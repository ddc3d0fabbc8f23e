-- After a MERGE that has inserted rows as well, PostgreSQL shows an inserted row in place of each
-- updated one of a partitioned table (seen in 18.6). Then a row is still there of which no new image is.
IF EXISTS (
    SELECT FROM old_rows AS o
    JOIN @{source} AS n ON @{pairing}
    WHERE NOT EXISTS (SELECT FROM new_rows AS n WHERE @{pairing})
) THEN
    RAISE EXCEPTION 'TView % cannot follow a MERGE that inserts and updates rows of partitioned table %', @{tview}, @{source_literal}
        USING ERRCODE = '0A000',
              SCHEMA = @{schema_literal},
              TABLE = @{table_literal},
              HINT = 'PostgreSQL does not show triggers the updated rows: update and insert in two statements, or use INSERT ... ON CONFLICT.';
END IF;
