INSERT INTO @{runtime}.django_tviews_spool (tview, source, removed, image, ticket)
VALUES @{rows}
