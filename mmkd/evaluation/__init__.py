"""Metrics, and evaluation of frozen networks on other data."""

from mmkd.evaluation.dynamic_accuracy import DynamicAccuracy
from mmkd.evaluation.features import Features, collect_features
from mmkd.evaluation.few_shot import FewShotResult, few_shot_eval
from mmkd.evaluation.jigsaw_accuracy import JigsawAccuracy
from mmkd.evaluation.linear_eval import (
    PROTOCOLS,
    LinearProtocol,
    LinearResult,
    linear_eval,
)
from mmkd.evaluation.peer_distance import PeerDistance
from mmkd.evaluation.peer_metric import PeerMetric

__all__ = [
    'PROTOCOLS',
    'DynamicAccuracy',
    'Features',
    'FewShotResult',
    'JigsawAccuracy',
    'LinearProtocol',
    'LinearResult',
    'PeerDistance',
    'PeerMetric',
    'collect_features',
    'few_shot_eval',
    'linear_eval',
]
