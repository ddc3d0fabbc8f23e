PERFORM @{runtime}.django_tviews_lock(@{tview}, '{0}');
PERFORM @{rebuild}();
