SELECT count(*), coalesce(bool_or(spool.source = 0 AND spool.image IS NULL), false),
    CASE WHEN min(spool.source) = max(spool.source) THEN min(spool.source) END
INTO changes, everything, alone
@{spooled};
IF everything THEN
    PERFORM @{runtime}.django_tviews_lock(@{tview}, '{0}');
ELSE
    @{keys}
END IF;
