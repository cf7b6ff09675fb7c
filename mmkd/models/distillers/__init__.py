"""Distillers: the models that own networks, taps and losses."""

from mmkd.models.distillers.base import BaseDistiller
from mmkd.models.distillers.offline import OfflineDistiller
from mmkd.models.distillers.online import OnlineDistiller

__all__ = ['BaseDistiller', 'OfflineDistiller', 'OnlineDistiller']
