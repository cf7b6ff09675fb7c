"""Modules between a student's features and a teacher's."""

from mmkd.models.necks.channel_transfer import ChannelTransfer
from mmkd.models.necks.conv_regressor import ConvRegressor
from mmkd.models.necks.factor_transfer import Paraphraser, Translator
from mmkd.models.necks.feature_aggregation_unit import (
    FeatureAggregationUnit,
)
from mmkd.models.necks.review_fusion import ReviewFusion

__all__ = [
    'ChannelTransfer',
    'ConvRegressor',
    'FeatureAggregationUnit',
    'Paraphraser',
    'ReviewFusion',
    'Translator',
]
