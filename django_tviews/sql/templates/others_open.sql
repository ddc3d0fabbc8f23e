current_setting(@{open_setting}, true) IS DISTINCT FROM '1'
    OR current_setting(@{spooled_setting}, true) = 'on'
