"""Measurements, each a module to run: ``python -m benchmarks.cold_connection``."""
