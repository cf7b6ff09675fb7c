"""Builds what a config names, where it was inherited from mmkd.

    python children.py CONFIG...

Every CONFIG is a child, ``_base_ = 'mmkd::…'``, run outside a repository. Of
others than toy ones the data sets are not built, as their files are missing,
but all their transforms are.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATA_SAMPLERS, DATASETS, TRANSFORMS
from mmengine.runner import Runner

import mmkd  # noqa: F401  makes "mmkd::" known

#: one of each folder; toy ones need no files
CHILDREN = {
    'cirkd': 'cirkd/cpu_baseline_camvid.py',
    'cl_ilr': 'cl_ilr/toy_cl_ilr.py',
    'cls_baselines': 'cls_baselines/cpu_baseline_resnet8_25_cifar100.py',
    'afd': 'afd/toy_afd.py',
    'anchornet': 'anchornet/toy_proposal.py',
    'detection': 'detection/toy_baseline_faster_rcnn.py',
    'dml': 'dml/toy_dml.py',
    'feature_distillation': 'feature_distillation/'
    'cpu_tune_resnet18_imagenette.py',
    'ffl': 'ffl/toy_ffl.py',
    'hsjp': 'hsjp/toy_hsjp.py',
    'hssakd': 'hssakd/toy_online_x2.py',
    'kdcl': 'kdcl/toy_kdcl.py',
    'lmcl': 'lmcl/toy_lmcl_x2.py',
    'mcl': 'mcl/toy_mcl_x2.py',
    'mcl_moco': 'mcl_moco/toy_mcl_moco_x2.py',
    'mcl_okd': 'mcl_okd/toy_mcl_okd.py',
    'oem': 'oem/toy_oem.py',
    'okddip': 'okddip/toy_okddip.py',
    'okdhp': 'okdhp/toy_okdhp.py',
    'one': 'one/toy_one.py',
    'pcl': 'pcl/toy_pcl.py',
    'quickstart': 'quickstart/student.py',
    'seg_baselines': 'seg_baselines/toy_cwd.py',
    'soft_filter_pruning': 'soft_filter_pruning/'
    'cpu_dml_asrfp_resnet20_p30_cifar100.py',
    'transfer': 'transfer/cpu_deeplabv3_camvid.py',
}


def build(config: Config, with_data: bool) -> list[str]:
    """Build runner, hooks, loops, evaluators and what is said above.

    Returns:
        Names of the classes: model, visualizer, data set.
    """
    config.launcher = 'none'
    if 'teacher' in config.model:
        config.model.teacher.checkpoint = None  # its file is not there
    runner = Runner.from_cfg(config)
    loader = config.train_dataloader
    if with_data:
        built = Runner.build_dataloader(loader).dataset
        built[0]
        name = type(built).__name__
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.build_train_loop(config.train_cfg)
        if config.get('val_cfg') is not None:  # not without labels
            runner.build_val_loop(config.val_cfg)
    else:
        name = _resolve(loader)
        runner.build_evaluator(config.val_evaluator)
    return [
        type(runner.model).__name__,
        type(runner.visualizer).__name__,
        name,
    ]


def _resolve(loader: Any) -> str:
    dataset = loader.dataset
    while 'dataset' in dataset:  # e.g. one that repeats it
        dataset = dataset.dataset
    sampler = loader.sampler
    with DATA_SAMPLERS.switch_scope_and_registry(
        sampler.get('_scope_')
    ) as samplers:
        assert samplers.get(sampler.type)
    scope = dataset.get('_scope_')
    with TRANSFORMS.switch_scope_and_registry(scope) as transforms:
        for transform in dataset.get('pipeline', []):
            transforms.build(transform)
    with DATASETS.switch_scope_and_registry(scope) as datasets:
        return datasets.get(dataset.type).__name__


def stamped(config: Config) -> Config:
    """Return ``config`` as mmengine gives it to a child elsewhere."""
    plain = config.to_dict()
    return Config(Config._dict_to_config_dict(plain, scope='mmkd'))


def main(names: list[str]) -> None:
    lines = []
    for number, name in enumerate(names):
        path = Path(f'child{number}.py')
        path.write_text(f"_base_ = 'mmkd::{name}'\n")
        config = Config.fromfile(path)
        config.work_dir = f'run{number}'
        built = build(config, _has_data(name))
        lines.append(' '.join([name, *built]))
        Path('report.txt').write_text('\n'.join(lines) + '\n')


def _has_data(name: str) -> bool:
    return name.startswith('quickstart') or '/toy_' in name


if __name__ == '__main__':
    main(sys.argv[1:])
