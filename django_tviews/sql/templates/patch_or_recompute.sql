-- What has changed may decide which rows there are, and what their other columns show.
IF @{first_key_variable} IS NOT NULL AND @{decided_otherwise} THEN
    PERFORM @{recompute}(@{key_variables});
ELSE
    @{patch}
END IF;
