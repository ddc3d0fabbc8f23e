-- What has changed may decide which rows there are, and what their other columns show.
IF @{one_row} THEN
    decided := @{decided};
ELSE
    decided := @{decided_otherwise};
END IF;
IF @{first_key_variable} IS NOT NULL AND decided THEN
    ignored := @{recompute}(@{key_variables});
ELSE
    @{patch}
END IF;
