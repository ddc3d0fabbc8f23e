"""Queries that others have published, as TViews: TPC-H, Nexmark, and what pg_ivm does not take.

``python -m tests.workloads`` writes the page that reports on them.
"""
