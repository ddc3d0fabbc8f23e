current_setting(@{ticket_setting}, true) IS DISTINCT FROM 'on'
    AND set_config(@{ticket_setting}, 'on', true) IS NOT NULL
