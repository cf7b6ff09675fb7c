"""Cohorts: peers that are trained together, and what they share."""

from mmkd.models.cohorts.cohort import Cohort

__all__ = ['Cohort']
