"""Synthetic scenes as an mmpose data set."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmpose.datasets.datasets.base import BaseCocoStyleDataset

from mmkd.registry import DATASETS
from mmkd.toys.scene_dataset import SceneDataset
from mmkd.toys.scenes import cached_scene
from mmkd.toys.shapes import JOINTS, LIMBS, OBJECTS


def _mirrored(joint: str) -> str:
    if joint.startswith('left_'):
        return joint.replace('left_', 'right_')
    if joint.startswith('right_'):
        return joint.replace('right_', 'left_')
    return ''


def _pose_metainfo() -> dict[str, Any]:
    lower = ('hip', 'knee', 'ankle')
    keypoints = {
        i: dict(
            name=joint,
            id=i,
            color=[255, 128, 0],
            type='lower' if joint.endswith(lower) else 'upper',
            swap=_mirrored(joint),
        )
        for i, joint in enumerate(JOINTS)
    }
    skeleton = {
        i: dict(link=(JOINTS[a], JOINTS[b]), id=i, color=[0, 255, 0])
        for i, (a, b) in enumerate(LIMBS)
    }
    return dict(
        dataset_name='synthetic_figures',
        keypoint_info=keypoints,
        skeleton_info=skeleton,
        joint_weights=[1.0] * len(JOINTS),
        sigmas=[0.05] * len(JOINTS),
    )


@DATASETS.register_module()
class SyntheticPoseDataset(SceneDataset, BaseCocoStyleDataset):
    """Scenes whose largest object is a stick figure with 14 joints.

    In 'topdown' mode a sample is the largest figure of a scene, so there
    are ``num_samples`` samples; in 'bottomup' mode all figures.

    Arguments: those of `SceneDataset`.
    """

    METAINFO = _pose_metainfo()
    default_objects = 4
    main_class = OBJECTS.index('figure')

    def load_data_list(self) -> list[dict[str, Any]]:
        data_list = super().load_data_list()
        for info in data_list:
            if isinstance(info['scene'], list):  # one entry per figure
                info['scene'] = info['scene'][0]
        return data_list

    def _load_annotations(self) -> tuple[list[dict], list[dict]]:
        instances: list[dict] = []
        images: list[dict] = []
        for request in self.requests:
            image = dict(img_id=request['index'], img_path='', scene=request)
            images.append(image)
            scene = cached_scene(**request)
            count = 1 if self.data_mode == 'topdown' else len(scene.keypoints)
            for i in range(count):
                instance = self._instance(request, i)
                instance['id'] = len(instances)
                instances.append(instance)
        return instances, images

    def _instance(self, request: dict[str, Any], i: int) -> dict[str, Any]:
        scene = cached_scene(**request)
        height, width = scene.seg_map.shape
        keypoints, visibility = scene.keypoints[i], scene.visibility[i]
        inside = keypoints[visibility > 0]
        if not len(inside):
            inside = keypoints
        margin = 0.05 * max(height, width)
        lower = np.clip(inside.min(0) - margin, 0, None)
        upper = np.minimum(inside.max(0) + margin, (width, height))
        box = np.concatenate([lower, upper]).astype(np.float32)
        area = np.float32(np.prod(np.maximum(upper - lower, 1)))
        return dict(
            img_id=request['index'],
            img_path='',
            scene=request,
            bbox=box[None],
            bbox_score=np.ones(1, np.float32),
            num_keypoints=int((visibility > 0).sum()),
            keypoints=keypoints[None].copy(),
            keypoints_visible=np.minimum(visibility, 1)[None].astype(
                np.float32
            ),
            area=area,
            iscrowd=0,
            category_id=np.array(1),
        )
