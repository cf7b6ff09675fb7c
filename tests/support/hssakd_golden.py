"""Golden weights of HSAKD's small residual network, under our names."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

NETWORK = dict(
    type='ImageClassifier',
    _scope_='mmpretrain',
    backbone=dict(
        type='mmkd.CIFARResNet',
        depth=8,
        stem_channels=4,
        stage_channels=(4, 6, 8),
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=5,
        in_channels=8,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1,),
    ),
    data_preprocessor=dict(
        type='ClsDataPreprocessor', mean=[0.0] * 3, std=[1.0] * 3
    ),
)
TAPS = dict(stages='backbone.layer{1,2,3}', logits='head.fc')
BRANCHES = dict(type='mmkd.HierarchicalBranches', on='stages', num_classes=5)


def our_name(name: str) -> str:
    """Translate ``backbone/...`` and ``auxiliary_classifier/...``."""
    kind, *rest = name.split('/')
    if kind == 'backbone':
        if rest[0] == 'fc':
            return 'network.head.' + '.'.join(rest)
        return 'network.backbone.' + '.'.join(rest)
    part, *inner = rest
    if part.startswith('fc'):
        return f'joint.fcs.{int(part[2:]) - 1}.{inner[-1]}'
    branch = int(part.removeprefix('block_extractor'))
    # extractor b has stages b+1, ..., 3; the last one has stage 3
    stage = min(branch + 1, 3) + int(inner[0])
    return f'joint.branches.{branch - 1}.layer{stage}.' + '.'.join(inner[1:])


def state_of(
    case: dict[str, np.ndarray], prefix: str, network: str, heads: str
) -> dict[str, torch.Tensor]:
    """Return the arrays of ``prefix`` under the names of a distiller."""
    state = {}
    for key, value in case.items():
        if key.startswith(f'{prefix}/'):
            name = our_name(key.removeprefix(f'{prefix}/'))
            kind, _, rest = name.partition('.')
            start = network if kind == 'network' else f'{heads}joint.'
            state[start + rest] = torch.from_numpy(value).clone()
    return state


def load(model: Any, state: dict[str, torch.Tensor]) -> None:
    """Load ``state``; only batch counters and buffers may be missing."""
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    allowed = ('num_batches_tracked', 'deployed_peer')
    assert all(key.endswith(allowed) for key in missing), missing


def batches(case: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return the two batches: the images, and in reversed order."""
    from mmpretrain.structures import DataSample

    images = torch.from_numpy(case['images'])
    labels = case['target'].tolist()
    both = []
    for order in (1, -1):
        both.append(
            dict(
                inputs=images.flip(0) if order < 0 else images,
                data_samples=[
                    DataSample().set_gt_label(label) for label in labels
                ][::order],
            )
        )
    return both
