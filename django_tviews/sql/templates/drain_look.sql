@{counted}
INTO changes, everything, alone
@{spooled};
IF everything THEN
    PERFORM @{runtime}.django_tviews_lock(@{tview}, '{0}');
ELSE
    @{keys}
END IF;
