-- The keys stand in the changed rows: whatever others commit, they stay the same.
@{find}
PERFORM @{runtime}.django_tviews_lock(@{tview}, wanted);
