"""The four tasks: their words, and whose networks they are."""

from __future__ import annotations

#: task -> the repository of its networks
SCOPES = dict(
    classification='mmpretrain',
    segmentation='mmseg',
    pose='mmpose',
    detection='mmdet',
)
#: repository -> task
TASK_OF = {scope: task for task, scope in SCOPES.items()}
#: what the classes of a task are called
CLASSES = dict(
    classification='classes',
    segmentation='classes',
    pose='key points',
    detection='classes',
)
#: task -> how a folder of its data looks like
LAYOUTS = dict(
    classification='train/CLASS/*.jpg and val/CLASS/*.jpg',
    segmentation='images/train/*.jpg with masks/train/*.png, and the same '
    'for val',
    pose='annotations/train.json (COCO, with keypoints) with images/train, '
    'and the same for val',
    detection='annotations/train.json (COCO) with images/train, and the '
    'same for val',
)
