@{keys}
IF @{first_key_variable} IS NOT NULL THEN
    @{folding}
    IF @{first_key_variable} IS NOT NULL THEN
        ignored := @{recompute}(@{key_variables});
    END IF;
END IF;
