"""What the tests, the example project and the checks of this repository share; not installed."""
