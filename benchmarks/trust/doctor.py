"""The doctor on every shipped config with a teacher: false alarms.

    python -m benchmarks.trust.doctor [CONFIG ...] [--json FILE]

Published weights are not at hand, so teachers have random weights, with batch
norms that have seen some of the images; that such a teacher knows nothing is
a true finding and left out. The images are those of the config where
MMKD_DATA has them, else synthetic ones of its task.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from benchmarks.kills.cases import CONFIGS, random_weights, teachers, typed
from benchmarks.trust.toys import forgotten_globals, seed_all
from mmkd.apis.doctor import examine_config
from mmkd.cli.config import read_config
from mmkd.toys import toy_dataset

#: what is true of a teacher that was never trained
UNTRAINED = {
    'teacher-at-chance', 'teacher-flat', 'teacher-one-answer',
    'teacher-worse-than-student',
}  # fmt: skip
_TASKS = dict(
    mmpretrain='classification', mmseg='segmentation', mmpose='pose',
    mmdet='detection',
)  # fmt: skip
_SIZES = dict(
    classification=(64, 64), segmentation=(64, 64), pose=(256, 192),
    detection=(128, 128),
)  # fmt: skip
IMAGES = 64  # of a synthetic data set


def with_teacher() -> list[Path]:
    """Return all configs whose model has a teacher."""
    found = []
    for path in sorted(CONFIGS.glob('[!_]*/*.py')):
        model = read_config(str(path), stages=True).get('model') or {}
        if model.get('teacher'):
            found.append(path)
    return found


def prepared(path: Path, folder: Path) -> Config:
    """Return a config whose files are all there.

    Args:
        path: of a shipped config.
        folder: for weights, kept from one config to the next.
    """
    config = read_config(str(path))
    scope = config.default_scope
    task = _TASKS[scope]
    data = config.train_dataloader
    with DefaultScope.overwrite_default_scope(scope):
        if not _is_there(data.dataset):
            data.dataset = _synthetic(task, data.dataset)
            for part in typed([config.model, config.get('data_preprocessor')]):
                if part.get('size') and 'PreProcessor' in part.type:
                    part.size = _SIZES[task]
    for part in typed(config.model):
        start = part.get('init_cfg') or {}
        if isinstance(start, dict) and start.get('type') == 'Pretrained':
            part.init_cfg = None  # what the teacher says of it is not asked
    for spec in teachers(config.model):
        first = path.with_name(Path(spec['checkpoint']).stem + '.py')
        name = str(first) if first.is_file() else spec['config']
        file = folder / f'{Path(name).stem}.pth'
        if not file.exists():
            random_weights(name, file)
            _settle_norms(file)
        spec['checkpoint'] = str(file)
    for loss in typed(config.model):
        if 'num_samples' in loss and data.dataset.get('num_samples'):
            loss.num_samples = data.dataset['num_samples']
            if 'num_negatives' in loss:
                loss.num_negatives = loss.num_samples // 2
        if loss.get('paraphraser'):
            first = path.with_name(Path(loss.paraphraser).parent.name + '.py')
            file = folder / f'{first.stem}_paraphraser.pth'
            loss.paraphraser = random_weights(str(first), file)
    return config


def _is_there(dataset: Any) -> bool:
    """Whether the images are there, and of a size for a CPU."""
    if 'Cityscapes' in dataset.type:
        return False
    try:
        DATASETS.build(dataset)
    except Exception:  # each repository says it in its own way
        return False
    return True


def _synthetic(task: str, dataset: Any) -> dict[str, Any]:
    """Return a synthetic data set; images of classes keep their transforms."""
    found = toy_dataset(task, IMAGES, size=_SIZES[task])
    if task == 'classification' and dataset.get('pipeline'):
        found['pipeline'] = [found['pipeline'][0], *dataset.pipeline[1:]]
    return found


def _settle_norms(file: Path) -> None:
    """Give running statistics the spread that training leaves them with.

    The scale of what random layers give is not known without running them:
    means near zero and variances near one, of every channel its own.
    """
    content = torch.load(file, weights_only=True)
    generator = torch.Generator().manual_seed(0)
    for key, value in content['state_dict'].items():
        noise = torch.rand(value.shape, generator=generator)
        if key.endswith('running_mean'):
            value.add_(noise * 0.02 - 0.01)
        if key.endswith('running_var'):
            value.mul_(noise * 0.2 + 0.9)
    torch.save(content, file)


def look(path: Path, folder: Path) -> dict[str, Any]:
    """Return causes that the doctor names, and seconds."""
    seed_all(0)
    config = prepared(path, folder)
    began = time.monotonic()
    report = examine_config(config)
    return dict(
        findings=sorted(
            f'{finding}'
            for finding in report.findings
            if finding.cause not in UNTRAINED
        ),
        skipped=report.skipped,
        images=report.images,
        seconds=round(time.monotonic() - began, 1),
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line for each config; fail if there was an alarm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('configs', nargs='*', type=Path)
    parser.add_argument('--json', type=Path)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in args.configs or with_teacher():
            name = f'{path.parent.name}/{path.stem}'
            with forgotten_globals():
                try:
                    found[name] = look(path, Path(folder))
                except Exception as error:  # the other configs go on
                    found[name] = dict(error=f'{error}')
            print(name, found[name], sep=': ', flush=True)
            if args.json:
                args.json.write_text(json.dumps(found, indent=1) + '\n')
    quiet = [e for e in found.values() if e.get('findings') == []]
    print(f'{len(quiet)} of {len(found)} configs without a finding')
    sys.exit(len(quiet) < len(found))


if __name__ == '__main__':
    main()
