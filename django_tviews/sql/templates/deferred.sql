strpos(coalesce(current_setting(@{ticket_setting}, true), ''), @{ticket}) = 0
    AND set_config(
        @{ticket_setting}, coalesce(current_setting(@{ticket_setting}, true), '') || @{ticket}, true) IS NOT NULL
