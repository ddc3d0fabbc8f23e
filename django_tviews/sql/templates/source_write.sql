@{keys}
IF @{first_key_variable} IS NOT NULL THEN
    -- Where one statement writes all of the difference, the triggers on @{table} can maintain what
    -- reads it at once. This lets them: see django_tviews_passed_on().
    ignored := @{pass_on};
    @{written}
    ignored := @{pass_no_more};
END IF;
