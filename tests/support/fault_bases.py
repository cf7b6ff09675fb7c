"""Small runs of all methods, as plain dicts: what faults are put into."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict

from mmkd.networks import build_network
from mmkd.toys import toy_dataset, toy_network
from tests.support.hssakd_toy import method as hssakd

SIZE = (32, 32)
CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
METRICS: dict[str, dict[str, Any]] = dict(
    classification=dict(type='Accuracy', topk=(1,)),
    segmentation=dict(type='IoUMetric', iou_metrics=['mIoU']),
    detection=dict(type='VOCMetric'),
    pose=dict(type='PCKAccuracy'),
)
SCOPES = dict(
    classification='mmpretrain',
    segmentation='mmseg',
    pose='mmpose',
    detection='mmdet',
)
FEATS = dict(
    classification='neck',
    segmentation='decode_head.conv_seg:input',
    pose='backbone.layer4',
    detection='neck[0]',
)
LOGITS = dict(
    classification='head.fc',
    segmentation='decode_head.conv_seg',
    pose='head.final_layer',
    detection='bbox_head.conv_cls',
)


def run(task: str, model: Any, metric: Any = None, **more: Any) -> Any:
    """Return the config of one step of ``model``."""
    size = (64, 64) if task in ('pose', 'detection') else SIZE

    def loader(split: str, sampler: str) -> dict[str, Any]:
        return dict(
            batch_size=4,
            num_workers=0,
            sampler=dict(type=sampler, shuffle=split == 'train'),
            dataset=toy_dataset(task, 8, size=size, split=split),
        )

    metric = metric or METRICS[task]
    return dict(
        default_scope=SCOPES[task],
        model=model,
        train_dataloader=loader('train', 'InfiniteSampler'),
        val_dataloader=loader('val', 'DefaultSampler'),
        val_evaluator=copy.deepcopy(metric),
        optim_wrapper=dict(
            type='OptimWrapper',
            optimizer=dict(
                type='SGD', lr=0.01, momentum=0.9, weight_decay=1e-4
            ),
            clip_grad=dict(max_norm=10.0),
        ),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.1, end=1, by_epoch=False),
            dict(type='MultiStepLR', milestones=[1], by_epoch=False),
        ],
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=2, val_interval=2),
        val_cfg=dict(type='ValLoop'),
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=1),
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2),
        ),
        log_processor=dict(by_epoch=False, window_size=10),
        env_cfg=dict(cudnn_benchmark=False),
        randomness=dict(seed=0),
        log_level='ERROR',
        **more,
    )


def teacher(task: str, folder: Path) -> dict[str, Any]:
    """Return a teacher with weights and a config on disk."""
    network = toy_network(task, 4)
    file, weights = folder / f'teacher_{task}.py', folder / f'{task}.pth'
    if not weights.is_file():
        torch.manual_seed(0)
        state = build_network(copy.deepcopy(network)).state_dict()
        torch.save(dict(state_dict=state), weights)
        Config(dict(model=network, default_scope=SCOPES[task])).dump(file)
    return dict(config=str(file), checkpoint=str(weights))


def offline(
    task: str, losses: Any, folder: Path, **more: Any
) -> dict[str, Any]:
    """Return the run of a student under a teacher."""
    taps = dict(logits=LOGITS[task], feats=FEATS[task])
    side = 64 if task in ('pose', 'detection') else 32
    model = dict(
        type='mmkd.OfflineDistiller',
        student=toy_network(task, 4),
        teacher=teacher(task, folder),
        taps=taps,
        losses=losses,
        input_shape=(3, side, side),
        **more,
    )
    return run(task, model)


def kd_classification(folder: Path) -> Any:
    losses = dict(
        kd=dict(
            type='mmkd.KLDivLoss', on='logits', temperature=4.0,
            loss_weight=0.9,
        ),
        sp=dict(type='mmkd.SPLoss', on='feats', loss_weight=3000.0),
        dkd=dict(
            type='mmkd.DKDLoss', on='logits', alpha=1.0, beta=8.0,
            temperature=4.0,
        ),
        rkd=dict(type='mmkd.RKDLoss', on='feats'),
    )  # fmt: skip
    return offline('classification', losses, folder)


def cirkd(folder: Path) -> Any:
    losses = dict(
        kd=dict(type='mmkd.KLDivLoss', on='logits', temperature=1.0),
        minibatch=dict(
            type='mmkd.MiniBatchPixelRelationLoss', on='feats',
            temperature=0.1,
        ),
        memory=dict(
            type='mmkd.PixelRegionMemoryLoss', on='feats', num_classes=8,
            contrast_temperature=0.1,
        ),
    )  # fmt: skip
    return offline('segmentation', losses, folder)


def kd_pose(folder: Path) -> Any:
    losses = dict(kd=dict(type='mmkd.FitNetLoss', on='logits'))
    return offline('pose', losses, folder)


def kd_detection(folder: Path) -> Any:
    losses = dict(hint=dict(type='mmkd.FitNetLoss', on='feats'))
    return offline('detection', losses, folder)


def mcl(folder: Path) -> Any:
    loss = dict(
        type='mmkd.MutualContrastiveLoss', temperature=0.1, ignore_lonely=True
    )
    model = dict(
        type='mmkd.OnlineDistiller',
        cohort=dict(
            type='mmkd.Cohort', peers=[toy_network('classification', 4)] * 2
        ),
        taps=dict(feats='neck', logits='head.fc'),
        aux_heads=dict(
            embeds=dict(
                type='mmkd.ContrastiveEmbedding', on='feats', feat_dim=8
            )
        ),
        exchange=dict(
            type='mmkd.MutualContrastiveExchange', on='embeds', loss=loss
        ),
        deploy=1,
        input_shape=(3, *SIZE),
    )
    metric = dict(type='mmkd.PeerMetric', metric=METRICS['classification'])
    return run('classification', model, metric)


def dml(folder: Path) -> Any:
    model = dict(
        type='mmkd.OnlineDistiller',
        cohort=dict(
            type='mmkd.Cohort', peers=[toy_network('classification', 4)] * 2
        ),
        taps=dict(logits='head.fc'),
        exchange=dict(
            type='mmkd.MutualExchange', on='logits', temperature=3.0,
            ramp_epochs=2,
        ),
        followers=dict(mean=dict(momentum=0.99)),
        input_shape=(3, *SIZE),
    )  # fmt: skip
    return run('classification', model)


def pruning(folder: Path) -> Any:
    hook = dict(
        type='mmkd.SoftFilterPruningHook',
        method='asfp',
        pruning_rate=0.3,
        include=['^backbone'],
    )
    config = run(
        'classification',
        toy_network('classification', 4),
        custom_hooks=[hook],
    )
    config['train_cfg'] = dict(by_epoch=True, max_epochs=2)
    config['train_dataloader']['sampler']['type'] = 'DefaultSampler'
    config['log_processor'] = dict(by_epoch=True)
    config['default_hooks']['checkpoint'].update(by_epoch=True)
    return config


def hsakd(folder: Path) -> Any:
    return run('classification', hssakd('teacher', folder))


def hssakd_online(folder: Path) -> Any:
    return run(
        'classification',
        hssakd('online', folder),
        dict(type='mmkd.PeerMetric', metric=METRICS['classification']),
    )


def plain(task: str) -> Callable[[Path], Any]:
    """Return a run of the toy network of a task."""
    return lambda folder: run(task, toy_network(task, 4))


def of_file(name: str) -> Callable[[Path], Any]:
    """Return a toy config of the repository."""

    def load(folder: Path) -> Any:
        config = Config.fromfile(CONFIGS / name).to_dict()
        config['log_level'] = 'ERROR'
        if 'teacher' in config['model']:
            _give_weights(config['model']['teacher'], folder)
        return config

    return load


def _give_weights(teacher: dict[str, Any], folder: Path) -> None:
    """Let a teacher have random weights, written into ``folder``."""
    path = folder / f'{Path(teacher["config"]).stem}.pth'
    if not path.is_file():
        torch.manual_seed(0)
        network = build_network(teacher['config'])
        torch.save(dict(state_dict=network.state_dict()), path)
    teacher['checkpoint'] = str(path)


BASES: dict[str, Callable[[Path], Any]] = dict(
    plain_classification=plain('classification'),
    plain_segmentation=plain('segmentation'),
    plain_pose=plain('pose'),
    plain_detection=plain('detection'),
    kd_classification=kd_classification,
    cirkd=cirkd,
    kd_pose=kd_pose,
    kd_detection=kd_detection,
    mcl=mcl,
    dml=dml,
    pruning=pruning,
    hsakd=hsakd,
    hssakd_online=hssakd_online,
    hsjp=of_file('hsjp/toy_hsjp.py'),
    one=of_file('one/toy_one.py'),
    okddip=of_file('okddip/toy_okddip.py'),
    kdcl=of_file('kdcl/toy_kdcl.py'),
    cl_ilr=of_file('cl_ilr/toy_cl_ilr.py'),
    ffl=of_file('ffl/toy_ffl.py'),
    afd=of_file('afd/toy_afd.py'),
    lmcl=of_file('lmcl/toy_lmcl_x2.py'),
    mcl_okd=of_file('mcl_okd/toy_mcl_okd.py'),
    moco=of_file('mcl_moco/toy_mcl_moco_x2.py'),
    pcl=of_file('pcl/toy_pcl.py'),
    oem=of_file('oem/toy_oem.py'),
    okdhp=of_file('okdhp/toy_okdhp.py'),
    skd=of_file('seg_baselines/toy_skd.py'),
    pkd=of_file('detection/toy_pkd_retinanet.py'),
)


def base(name: str, folder: Path) -> dict[str, Any]:
    """Return a fresh config, nested plain dicts."""
    return copy.deepcopy(_plain(BASES[name](folder)))


def _plain(value: Any) -> Any:
    if isinstance(value, (dict, ConfigDict)):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(v) for v in value)
    return value
