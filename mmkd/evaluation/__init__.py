"""Metrics, and evaluation of frozen networks on other data."""

from mmkd.evaluation.peer_metric import PeerMetric

__all__ = ['PeerMetric']
