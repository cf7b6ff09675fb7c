"""Cohorts: peers that are trained together, and what they share."""

from mmkd.models.cohorts.cohort import Cohort
from mmkd.models.cohorts.compressed_cohort import CompressedCohort
from mmkd.models.cohorts.hourglass_cohort import HourglassCohort
from mmkd.models.cohorts.widths import scale_width

__all__ = ['Cohort', 'CompressedCohort', 'HourglassCohort', 'scale_width']
