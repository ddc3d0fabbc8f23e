IF current_setting(@{ticket_setting}, true) IS DISTINCT FROM 'on' THEN
    PERFORM @{runtime}.django_tviews_defer();
END IF;
