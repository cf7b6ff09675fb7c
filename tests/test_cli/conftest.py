"""What tests of the command line share."""

from tests.support.tool_runs import _isolated_runs, error_line, tool, toy

__all__ = ['_isolated_runs', 'error_line', 'tool', 'toy']
