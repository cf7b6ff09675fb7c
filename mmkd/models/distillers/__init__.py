"""Distillers: the models that own networks, taps and losses."""

from mmkd.models.distillers.base import BaseDistiller
from mmkd.models.distillers.offline import OfflineDistiller

__all__ = ['BaseDistiller', 'OfflineDistiller']
