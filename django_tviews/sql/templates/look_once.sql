-- The keys stand in the changed rows: whatever others commit, they stay the same.
@{find}
ignored := @{runtime}.django_tviews_lock(@{tview}, @{wanted});
