"""A project with TViews and tests of its own, which test_testing.py runs."""
