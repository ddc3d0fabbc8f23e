-- One row changes few groups, and to write to each by itself costs less than one statement for all.
-- A session keeps the types of the first change, until this text changes with them: @{types}.
@{no_keys};
FOR change IN
    WITH @{moved}
    @{change}
    WHERE (@{changed})
      AND @{known}
LOOP
    UPDATE @{table} AS tview
    SET @{new_values}
    WHERE @{settled};
    IF NOT FOUND THEN
        @{keep_key};
    END IF;
END LOOP
