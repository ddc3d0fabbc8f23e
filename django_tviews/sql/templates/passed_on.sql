(@{others_open})
    -- Unless it is the one that brings the source up to date.
    AND NOT @{runtime}.django_tviews_passed_on(TG_RELID)
