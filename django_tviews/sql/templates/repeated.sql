IF repeated IS NOT NULL THEN
    RAISE EXCEPTION 'the query of TView % gives several rows for one key', @{tview}
        USING ERRCODE = '21000',
              SCHEMA = @{schema_literal},
              TABLE = @{table_literal},
              DETAIL = format('The key is (%s) = (%s).', @{key_literal}, repeated),
              HINT = 'Group the query by the key, or add the columns that tell the rows apart to the key.';
END IF;
