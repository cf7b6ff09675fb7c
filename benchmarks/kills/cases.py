"""The toy run of each method, a few dozen steps long."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

from benchmarks.measure.data import write_noise_archive
from mmkd.cli.config import read_config
from mmkd.cli.frames import walk
from mmkd.networks import build_network, load_config
from mmkd.registry import MODELS

#: a config for each method; those of CIFAR-100 train on noise of its form
CASES = {
    'CIRKD': 'quickstart/cirkd',
    'segmentation baseline': 'quickstart/student',
    **{
        f'{loss.upper()}, segmentation': f'seg_baselines/toy_{loss}'
        for loss in ('skd', 'ifvd', 'cwd', 'dsd', 'at', 'fitnet')
    },
    'classification baseline': 'mcl/toy_baseline',
    'MCL': 'mcl/toy_mcl_x2',
    'L-MCL': 'lmcl/toy_lmcl_x2',
    'DML': 'dml/toy_dml',
    'CL-ILR': 'cl_ilr/toy_cl_ilr',
    'ONE': 'one/toy_one',
    'KDCL': 'kdcl/toy_kdcl',
    'OKDDip': 'okddip/toy_okddip',
    'MCL-OKD': 'mcl_okd/toy_mcl_okd',
    'FFL': 'ffl/toy_ffl',
    'FFL, pose': 'ffl/toy_ffl_pose',
    'AFD': 'afd/toy_afd',
    'PCL': 'pcl/toy_pcl',
    'OEM': 'oem/toy_oem',
    'pose baseline': 'okdhp/toy_baseline',
    'OKDHP': 'okdhp/toy_okdhp',
    'HSAKD': 'hssakd/toy_hsakd',
    'HSAKD, teacher': 'hssakd/toy_teacher_joint',
    'HSSAKD online': 'hssakd/toy_online_x2',
    'HSJP': 'hsjp/toy_hsjp',
    'MoCo': 'mcl_moco/toy_moco',
    'MCL on MoCo': 'mcl_moco/toy_mcl_moco_x2',
    'features': 'feature_distillation/toy_features_all',
    'AnchorNet': 'anchornet/toy_proposal',
    **{
        f'{name.upper()}, pruning': (
            f'soft_filter_pruning/cpu_{name}_resnet20_p30_cifar100'
        )
        for name in ('sfp', 'asfp', 'srfp', 'asrfp', 'ghfp')
    },
    **{
        f'{loss.upper()}, CRD benchmark': (
            f'cls_baselines/{loss}_resnet56_resnet20_cifar100'
        )
        for loss in (
            'kd', 'fitnet', 'at', 'sp', 'cc', 'vid', 'rkd', 'pkt', 'ab_init',
            'ft', 'fsp_init', 'nst', 'crd', 'sskd', 'dkd', 'review_kd', 'ofd',
        )
    },
    'detection baseline': 'detection/toy_baseline_retinanet',
    'FitNet, detection': 'detection/toy_fitnet_retinanet',
    'PKD, detection': 'detection/toy_pkd_retinanet',
    'PKD, Faster R-CNN': 'detection/toy_pkd_faster_rcnn',
}  # fmt: skip

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
EPOCHS, BATCH, NOISE_IMAGES = 4, 8, 400


def shortened(
    name: str, steps: int, workers: int, folder: Path, *, mid_epoch: bool
) -> Config:
    """Return the config of a case, ``steps`` steps long, all met in them.

    It saves and validates several times, logs every step, and has random
    weights for teachers, which are written into ``folder``.

    Args:
        name: of a config in `CASES`, or a path.
        steps: a multiple of `EPOCHS`.
        workers: of the training's data loader.
        folder: for teachers and noise.
        mid_epoch: loops of epochs save by iterations, within epochs.
    """
    path = CONFIGS / f'{name}.py'
    path = path if path.is_file() else Path(name)
    config = read_config(str(path))
    init_default_scope(config.get('default_scope', 'mmengine'))
    by_epoch = 'max_epochs' in config.train_cfg
    per_epoch = max(steps // EPOCHS, 1)
    _shrink_data(config, per_epoch, by_epoch, folder)
    config.train_dataloader.num_workers = workers
    config.train_dataloader.persistent_workers = False
    if by_epoch:
        config.train_cfg.update(max_epochs=EPOCHS, val_interval=1)
    else:
        config.train_cfg.update(max_iters=steps, val_interval=per_epoch)
    _shrink_schedule(config, steps, by_epoch)
    hooks = config.setdefault('default_hooks', ConfigDict())
    hooks.logger = dict(
        hooks.get('logger') or dict(type='LoggerHook'), interval=1
    )
    hooks.checkpoint = dict(
        hooks.get('checkpoint') or dict(type='CheckpointHook'),
        by_epoch=by_epoch and not mid_epoch,
        interval=1 if by_epoch and not mid_epoch else max(per_epoch - 2, 1),
        max_keep_ckpts=2,
    )
    if config.get('val_dataloader') is None:
        hooks.checkpoint.pop('save_best', None)
    if 'pruning' in hooks and not hooks.pruning.get('by_epoch', True):
        hooks.pruning.interval = per_epoch
    config.pop('stages', None)  # what a first phase leaves is made below
    for number, spec in enumerate(teachers(config.model)):
        first = path.with_name(Path(spec['checkpoint']).stem + '.py')
        spec['checkpoint'] = random_weights(
            str(first) if first.is_file() else spec['config'],
            folder / f'teacher{number}.pth',
        )
    for loss in typed(config.model):
        if 'num_samples' in loss and loss.type.endswith('Loss'):
            data = config.train_dataloader.dataset  # a bank of all its images
            loss.num_samples = data.get('num_samples') or data.indices
    for loss in (config.model.get('losses') or {}).values():
        if loss.get('paraphraser'):  # work_dirs/NAME OF A CONFIG/…
            first = path.with_name(Path(loss.paraphraser).parent.name + '.py')
            loss.paraphraser = random_weights(
                str(first), folder / 'paraphraser.pth'
            )
        if 'num_negatives' in loss:
            loss.num_negatives = loss.num_samples // 2
    config.load_from = None
    return config


def _shrink_data(
    config: Config, per_epoch: int, by_epoch: bool, folder: Path
) -> None:
    noise = folder / 'noise'
    batch = max([BATCH, *_group_sizes(config.model)])
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = config.get(key)
        if loader is None:
            continue
        training = key == 'train_dataloader'
        data = loader.dataset
        if 'data_root' in data:
            if not noise.exists():
                write_noise_archive(noise, NOISE_IMAGES)
            data.data_root = str(noise)
            data.check_hash = False
        loader.batch_size = min(loader.batch_size, batch)
        if 'batch_size' in loader.get('sampler', {}):
            loader.sampler.batch_size = loader.batch_size
        count = per_epoch * loader.batch_size
        if not training:
            count = 2 * batch
        elif not by_epoch:
            count = count * 3 // 2
        if 'num_samples' in data:
            data.num_samples = count
        else:
            data.indices = count


def _group_sizes(value: Any) -> Iterator[int]:
    """Yield every ``group_size``, which a batch is a multiple of."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == 'group_size' and isinstance(inner, int):
                yield inner
            yield from _group_sizes(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _group_sizes(inner)


def _shrink_schedule(config: Config, steps: int, by_epoch: bool) -> None:
    """Let every scheduler end with the run, so that all of them act."""
    schedulers = config.get('param_scheduler') or []
    if isinstance(schedulers, dict):
        schedulers = [schedulers]
    for scheduler in schedulers:
        length = EPOCHS if scheduler.get('by_epoch', True) else steps
        for key in ('end', 'T_max', 'begin'):
            if scheduler.get(key):
                scheduler[key] = min(scheduler[key], max(length // 2, 1))
        if 'T_max' in scheduler:
            scheduler.T_max = length
        if 'end' in scheduler and scheduler.get('begin'):
            scheduler.end = length
        if 'milestones' in scheduler:
            scheduler.milestones = [length // 2]


def typed(config: Any) -> Iterator[Any]:
    """Yield all dicts with a type."""
    for _, value in walk(config, 'config'):
        if isinstance(value, dict) and isinstance(value.get('type'), str):
            yield value


def teachers(model: Any) -> Iterator[Any]:
    given = model.get('teacher') or []
    for spec in given if isinstance(given, list) else [given]:
        if spec.get('config') and spec.get('checkpoint'):
            yield spec


def random_weights(name: str, path: Path) -> str:
    """Write what a training of a config would, without training.

    Args:
        name: of the config, of a network or of a distiller, whose heads and
            losses belong to what a second phase reads.
        path: of the file.
    """
    torch.manual_seed(0)
    if not path.exists():
        model = load_config(name).model
        if 'Distiller' in model.type:
            for spec in teachers(model):
                spec['checkpoint'] = None
            model.pop('frozen_student', None)
            network = MODELS.build(model)
        else:
            network = build_network(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(dict(state_dict=network.state_dict()), path)
    return str(path)


def clear(folder: Path) -> Path:
    """Return an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
