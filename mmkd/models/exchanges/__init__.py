"""Exchanges: what the peers of a cohort do to each other, one per method."""

from mmkd.models.exchanges.base import Exchange
from mmkd.models.exchanges.transfer import CohortSpec, Transfer

__all__ = ['CohortSpec', 'Exchange', 'Transfer']
