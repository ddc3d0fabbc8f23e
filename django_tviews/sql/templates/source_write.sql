@{keys}
IF @{first_key_variable} IS NOT NULL THEN
    -- If one statement does, its triggers can maintain what reads @{table}.
    ignored := @{pass_on};
    @{written}
    ignored := @{pass_no_more};
END IF;
