"""Slow, obvious versions of losses, for tests and benchmarks."""
