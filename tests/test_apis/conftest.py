"""What tests of the one call share."""

from tests.support.tool_runs import _isolated_runs, error_line, tool

__all__ = ['_isolated_runs', 'error_line', 'tool']
