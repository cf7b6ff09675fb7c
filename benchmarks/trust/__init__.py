"""Whether a run can be trusted: the programme behind docs/benchmarks/trust.md.

python -m benchmarks.trust
"""
