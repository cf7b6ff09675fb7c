"""What tests of tools share."""

from tests.support.tool_runs import (
    _isolated_runs,
    cohort_config,
    error_line,
    tool,
    tools_folder,
    toy,
)

__all__ = [
    '_isolated_runs',
    'cohort_config',
    'error_line',
    'tool',
    'tools_folder',
    'toy',
]
