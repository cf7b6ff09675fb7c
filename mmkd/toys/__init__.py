"""Synthetic scenes, toy data sets and toy networks of the four tasks.

For tests, examples and the quickstart. The data sets need their task
repositories and are imported by the registry when they are first used.
"""

from mmkd.toys.data import TASKS, toy_batch, toy_dataset
from mmkd.toys.loading import LoadScene, LoadSceneSegMap
from mmkd.toys.networks import (
    toy_classifier,
    toy_detector,
    toy_network,
    toy_pose_estimator,
    toy_segmentor,
)
from mmkd.toys.scenes import SEG_CLASSES, Scene, cached_scene, make_scene
from mmkd.toys.shapes import JOINTS, LIMBS, OBJECTS

__all__ = [
    'JOINTS',
    'LIMBS',
    'OBJECTS',
    'SEG_CLASSES',
    'TASKS',
    'LoadScene',
    'LoadSceneSegMap',
    'Scene',
    'cached_scene',
    'make_scene',
    'toy_batch',
    'toy_classifier',
    'toy_dataset',
    'toy_detector',
    'toy_network',
    'toy_pose_estimator',
    'toy_segmentor',
]
