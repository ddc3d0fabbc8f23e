@{folding}
IF @{first_key_variable} IS NOT NULL THEN
    ignored := @{recompute}(@{key_variables});
END IF;
