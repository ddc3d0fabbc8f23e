"""What it costs to keep the result of a query, in several ways: ``python -m benchmarks``."""
