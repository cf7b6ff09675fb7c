"""Programs that measure: ``python -m benchmarks.step CONFIG`` and so on."""
