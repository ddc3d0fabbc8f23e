INSERT INTO @{runtime}.django_tviews_spool (tview, source, removed, image)
@{spooled};
-- Nothing, if nothing that the query reads has changed.
IF FOUND THEN
    @{announce}
END IF;
