IF alone = @{number} AND @{first_key_variable} IS NOT NULL THEN
    @{folding}
ELSE
    @{otherwise}
END IF;
