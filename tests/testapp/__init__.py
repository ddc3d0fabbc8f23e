"""The app of the test project: a small catalog, and TViews of every kind of declaration."""

from __future__ import annotations
