"""Trainings and exports that follow each other, in one config."""

from mmkd.stages.plan import Stage, read_stages
from mmkd.stages.run import run_stages

__all__ = ['Stage', 'read_stages', 'run_stages']
