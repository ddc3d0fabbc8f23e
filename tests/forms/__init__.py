"""A project whose TViews are those that tview_inspect writes for every kept form."""
