"""The teacher's doctor: what is wrong before a long training starts.

Each file of checks has functions that take a `Patient` and give findings.
"""

from mmkd.doctor.examine import Report, examine
from mmkd.doctor.finding import Finding

__all__ = ['Finding', 'Report', 'examine']
