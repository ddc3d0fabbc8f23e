current_setting(@{spooled_setting}, true) IS DISTINCT FROM 'on'
    AND set_config(@{spooled_setting}, 'on', true) IS NULL
