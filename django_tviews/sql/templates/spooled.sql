PERFORM set_config(@{spooled_setting}, 'on', true);
