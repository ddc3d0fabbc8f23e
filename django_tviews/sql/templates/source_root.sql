IF @{one_row} THEN
    @{written};
    IF NOT FOUND THEN
        ignored := @{recompute}(@{key_variables});
    END IF;
ELSE
    ignored := @{recompute}(@{key_variables});
END IF;
