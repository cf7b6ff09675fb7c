"""What tests of benchmarks share."""

from tests.support.tool_runs import (
    _isolated_runs,
    cohort_config,
    error_line,
    toy,
)

__all__ = ['_isolated_runs', 'cohort_config', 'error_line', 'toy']
