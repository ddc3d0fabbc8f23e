-- The keys stand in the changed rows: whatever others commit, they stay the same.
@{routes_into};
PERFORM @{runtime}.django_tviews_lock(@{tview}, wanted);
