"""Many writers at once over many TViews, and a checker that compares them in single snapshots.

``python -m tests.hammer --minutes 10`` runs it for long; ``tests/test_hammer.py`` for seconds.
"""
