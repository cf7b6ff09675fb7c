"""Any network as a source of features."""

from mmkd.models.features.feature_teacher import FeatureTeacher

__all__ = ['FeatureTeacher']
