"""Mistakes put by hand into the bases of `fault_bases`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

DROP = object()


def in_folder(name: str, content: bytes | None = None) -> Callable:
    """Return the path of a file, made with ``content`` if there is one."""

    def path(folder: Path) -> str:
        file = folder / name
        if content is not None:
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
        return str(file)

    return path


# base, kind: what, path, value, words of a clear line
BY_HAND: list[tuple[str, str, str, Any, tuple[str, ...]]] = []


def by_hand(kind: str, name: str, path: str, value: Any, *names: str) -> None:
    last = path.rpartition('.')[2]
    BY_HAND.append((name, kind, path, value, names or (last,)))


K, C, P, M = 'kd_classification', 'cirkd', 'plain_classification', 'mcl'
T = 'plain_segmentation'

for path, value in {
    'model.losses': [dict(type='mmkd.KLDivLoss', on='logits')],
    'model.losses.kd': 'mmkd.KLDivLoss',
    'model.losses.kd.on': None,
    'model.losses.kd.temperature': 'four',
    'model.losses.kd.loss_weight': 'half',
    'model.losses.kd.teacher': 'first',
    'model.losses.dkd.alpha': 'one',
    'model.taps': ['head.fc'],
    'model.taps.logits': 3,
    'model.teacher': 'teacher.py',
    'model.teacher.checkpoint': 5,
    'model.teacher.config': 7,
    'model.student': 'no_such.py',
    'model.student.backbone': 'ResNet',
    'model.student.backbone.depth': '18',
    'model.student.head.num_classes': 'seven',
    'model.student.head.in_channels': 'many',
    'model.student.backbone.out_indices': 3,
    'model.student.head.loss': 'CrossEntropyLoss',
    'model.input_shape': 'large',
    'model.aux_heads': ['logits'],
}.items():
    last = path.rpartition('.')[2]
    by_hand('kind', K, path, value, last, path.split('.')[1] + '.', 'no_such')
for path, value in {
    'model.cohort': ['a'],
    'model.cohort.peers': 2,
    'model.exchange': 'MutualContrastiveExchange',
    'model.exchange.loss': 'mmkd.MutualContrastiveLoss',
    'model.exchange.loss.temperature': 'low',
    'model.aux_heads.embeds': 'ContrastiveEmbedding',
    'model.aux_heads.embeds.on': None,
    'model.aux_heads.embeds.feat_dim': 'wide',
    'model.deploy': 'first',
    'model.task_weight': 'heavy',
}.items():
    by_hand('kind', M, path, value)
for path, value in {
    'train_dataloader': [],
    'train_dataloader.batch_size': 'four',
    'train_dataloader.num_workers': 'two',
    'train_dataloader.sampler': 'DefaultSampler',
    'train_dataloader.dataset': 'SyntheticClsDataset',
    'train_dataloader.dataset.pipeline': 'LoadScene',
    'train_dataloader.dataset.num_samples': 'all',
    'optim_wrapper': 'SGD',
    'optim_wrapper.optimizer': 'SGD',
    'optim_wrapper.optimizer.lr': '0.1',
    'optim_wrapper.optimizer.momentum': 'high',
    'optim_wrapper.clip_grad': 10,
    'param_scheduler': 'LinearLR',
    'param_scheduler.1.milestones': 'end',
    'param_scheduler.0.start_factor': 'low',
    'train_cfg': 10,
    'train_cfg.max_iters': 'many',
    'train_cfg.val_interval': 'often',
    'val_evaluator': 'Accuracy',
    'default_hooks': ['LoggerHook'],
    'default_hooks.logger': 'LoggerHook',
    'default_hooks.logger.interval': 'often',
    'default_hooks.checkpoint.interval': 'often',
    'randomness': 3,
    'randomness.seed': 'lucky',
    'env_cfg': 'fast',
    'log_processor': 'LogProcessor',
    'model': 'resnet',
    'model.data_preprocessor': 'ClsDataPreprocessor',
    'model.data_preprocessor.mean': 'grey',
    'log_level': 'LOUD',
}.items():
    by_hand('kind', P, path, value)
for path, value in {
    'custom_hooks': dict(type='mmkd.SoftFilterPruningHook'),
    'custom_hooks.0.pruning_rate': 'third',
    'custom_hooks.0.include': 3,
    'custom_hooks.0.method': 7,
}.items():
    by_hand('kind', 'pruning', path, value)

for path, value in {
    'model.losses.kd.temperature': -1.0,
    'model.losses.dkd.temperature': 0.0,
    'model.losses.kd.teacher': 3,
    'model.teacher.dtype': 'float8',
    'model.student.backbone.depth': 19,
}.items():
    by_hand('range', K, path, value)
by_hand('range', M, 'model.deploy', 5)
by_hand('range', M, 'model.exchange.loss.temperature', -0.1)
by_hand('range', M, 'model.cohort.peers', [])
by_hand('range', M, 'model.aux_heads.embeds.feat_dim', 0)
by_hand('range', 'dml', 'model.followers.mean.momentum', 2.0)
by_hand('range', 'dml', 'model.exchange.ramp_epochs', -1)
by_hand('range', 'dml', 'model.exchange.temperature', 0)
by_hand('range', 'pruning', 'custom_hooks.0.pruning_rate', 1.5)
by_hand('range', 'pruning', 'custom_hooks.0.method', 'fancy')
by_hand('range', 'pruning', 'custom_hooks.0.include', ['^backbon$'])
by_hand('range', C, 'model.losses.memory.contrast_temperature', 0.0)
by_hand('range', C, 'model.losses.minibatch.temperature', -2.0)
for path, value in {
    'optim_wrapper.optimizer.lr': -0.1,
    'optim_wrapper.optimizer.momentum': -0.9,
    'train_dataloader.batch_size': 0,
    'train_dataloader.num_workers': -1,
    'train_cfg.max_iters': -1,
    'train_cfg.val_interval': 0,
    'param_scheduler.0.start_factor': 3.0,
    'default_hooks.logger.interval': 0,
    'model.head.num_classes': 0,
}.items():
    by_hand('range', P, path, value)

for path in (
    'model.losses', 'model.losses.kd.on', 'model.losses.kd.type',
    'model.student', 'model.taps', 'model.taps.logits',
    'model.teacher.config', 'model.teacher.checkpoint', 'model.student.type',
    'model.student.backbone.depth', 'model.student.backbone.type',
):  # fmt: skip
    by_hand('missing', K, path, DROP, path.rpartition('.')[2])
by_hand('missing', K, 'model.losses', {}, 'losses')
for path in (
    'model.cohort', 'model.cohort.peers', 'model.aux_heads',
    'model.aux_heads.embeds.on', 'model.taps',
):  # fmt: skip
    last = path.rpartition('.')[2]
    by_hand('missing', M, path, DROP, last, 'embeds', 'feats')
for path in (
    'model', 'model.type', 'model.backbone', 'model.head.in_channels',
    'optim_wrapper', 'optim_wrapper.optimizer', 'optim_wrapper.optimizer.type',
    'train_cfg', 'train_cfg.max_iters', 'train_dataloader',
    'train_dataloader.batch_size', 'train_dataloader.dataset',
    'train_dataloader.dataset.type', 'val_evaluator', 'val_dataloader',
    'val_cfg', 'param_scheduler.1.milestones', 'param_scheduler.0.type',
):  # fmt: skip
    by_hand('missing', P, path, DROP)

for task, path, value, words in (
    (P, 'model.head.in_channels', 63, ('head',)),
    (P, 'model.head.num_classes', 1, ('num_classes', 'class')),
    (P, 'model.backbone.in_channels', 4, ('backbone',)),
    (P, 'train_dataloader.batch_size', 1, ('batch_size',)),
    (T, 'model.decode_head.in_channels', 33, ('decode_head',)),
    (T, 'model.decode_head.num_classes', 2, ('num_classes', 'class')),
    (T, 'train_dataloader.batch_size', 1, ('batch_size',)),
    ('plain_pose', 'model.head.in_channels', 33, ('head',)),
    ('plain_pose', 'model.head.out_channels', 3, ('out_channels', 'head')),
    ('plain_detection', 'model.bbox_head.in_channels', 33, ('bbox_head',)),
    ('plain_detection', 'model.bbox_head.num_classes', 2, ('class', 'bbox')),
    ('plain_detection', 'model.neck.in_channels', [4, 8], ('neck',)),
    (K, 'model.student.head.in_channels', 63, ('head',)),
    (K, 'model.student.head.num_classes', 3, ('class', 'logits')),
    (K, 'model.taps.logits', 'head.fcc', ('head.fcc',)),
    (K, 'model.taps.logits', 'backbone', ('logits',)),
    (K, 'model.taps.logits', 'backbone.layer9', ('layer9',)),
    (K, 'model.taps.logits', 'head..fc:', ('head..fc:',)),
    (K, 'model.losses.kd.on', 'logit', ('logit',)),
    (K, 'model.losses.kd.on', ['logits', 'feats', 'x'], ('on=', '"x"')),
    (K, 'model.input_shape', (3, 32), ('input_shape',)),
    (C, 'model.losses.memory.num_classes', 5, ('num_classes',)),
    (C, 'model.taps.feats', 'decode_head.conv_seg:output[3]', ('feats',)),
    (M, 'model.exchange.on', 'embed', ('embed',)),
    (M, 'model.aux_heads.embeds.on', 'feat', ('feat',)),
    (M, 'model.task_weight', [1.0, 1.0, 1.0], ('task_weight',)),
    ('hsakd', 'model.aux_heads.joint.num_classes', 5, ('num_classes',)),
    ('kd_pose', 'model.losses.kd.on', 'feat', ('feat',)),
    ('kd_detection', 'model.taps.feats', 'neck[7]', ('neck[7]',)),
):
    by_hand('shape', task, path, value, *words)

for task, path, value, words in (
    (K, 'model.teacher.checkpoint', 'none.pth', ('tools/train.py',)),
    (K, 'model.teacher.config', 'none.py', ('none.py',)),
    (K, 'model.teacher.checkpoint', in_folder('a.pth', b'<html>'),
     ('a.pth',)),
    (K, 'model.teacher.checkpoint', in_folder('b.pth', b''), ('b.pth',)),
    (K, 'model.teacher.checkpoint', in_folder('segmentation.pth'),
     ('segmentation.pth',)),
    (C, 'model.teacher.config', 'mmseg::pspnet/none.py', ('none.py',)),
    (C, 'model.teacher.config', 'nopackage::x.py', ('nopackage',)),
    (P, 'load_from', 'none.pth', ('none.pth',)),
    (P, 'load_from', in_folder('c.pth', b'PK'), ('c.pth',)),
    (P, 'model.backbone.init_cfg',
     dict(type='Pretrained', checkpoint='none.pth'), ('none.pth',)),
    (P, 'model.backbone.init_cfg', dict(type='Pretraind', checkpoint='x'),
     ('Pretraind',)),
    (P, 'work_dir', in_folder('d.pth/x', None), ()),
    (P, 'custom_imports', ['mmkd'], ('custom_imports',)),
    (P, 'custom_imports', dict(imports=['no_such_module']),
     ('no_such_module',)),
    (P, 'default_scope', 'mmpretrian', ('mmpretrian',)),
    (P, 'default_scope', 'mmseg', ('mmseg',)),
    (P, 'model._scope_', 'mmseg', ('ImageClassifier',)),
    (T, 'default_scope', 'mmdet', ('default_scope', 'mmdet')),
    (K, 'model.student._scope_', 'mmdet', ('ImageClassifier',)),
):  # fmt: skip
    if words:
        by_hand('file or scope', task, path, value, *words)

for path, value, words in (
    ('train_dataloader.dataset',
     dict(type='CocoDataset', ann_file='none.json'), ('none.json',)),
    ('train_dataloader.dataset',
     lambda folder: dict(type='CocoDataset', ann_file=in_folder(
         'broken.json', b'{"images": [')(folder)), ('broken.json',)),
    ('train_dataloader.dataset',
     lambda folder: dict(type='CocoDataset', ann_file=in_folder(
         'empty.json', b'{}')(folder)), ('empty.json',)),
):  # fmt: skip
    by_hand('data', 'plain_detection', path, value, *words)
by_hand(
    'data', P, 'train_dataloader.dataset',
    dict(type='CustomDataset', data_root='no_folder', pipeline=[]),
    'no_folder',
)  # fmt: skip
by_hand(
    'data', P, 'train_dataloader.dataset',
    dict(type='mmkd.CIFAR100', data_root='no_folder', split='train',
         pipeline=[]), 'no_folder',
)  # fmt: skip
by_hand(
    'data', T, 'train_dataloader.dataset',
    dict(type='CityscapesDataset', data_root='no_folder',
         data_prefix=dict(img_path='a', seg_map_path='b'), pipeline=[]),
    'no_folder',
)  # fmt: skip


def _folder_of_images(folder: Path) -> dict[str, Any]:
    """A data set of one damaged image."""
    images = folder / 'images' / 'class'
    images.mkdir(parents=True, exist_ok=True)
    (images / 'damaged.jpg').write_bytes(b'\xff\xd8\xff\xe0 cut off')
    return dict(
        type='CustomDataset',
        data_root=str(folder / 'images'),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
    )


by_hand('data', P, 'train_dataloader.dataset', _folder_of_images, 'damaged')
