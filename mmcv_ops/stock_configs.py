"""Which operators of mmcv do stock configs reach, in training and testing?

Of every folder of configs of mmseg, mmdet and mmpose it takes one config
for each set of operators that the folder names, makes the network without
weights, trains one step on random images and predicts. Prints one line a
config: what was called, and what went wrong.

usage: python mmcv_ops/stock_configs.py [mmdet ...] [--folder dcn] [--list]
"""

from __future__ import annotations

import argparse
import gc
import importlib
import re
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from torch import nn

NAMES = re.compile(
    r'DCN\w*|\w*Deform\w*|carafe|CARAFE\w*|\w*RoIPool\w*|RoIAlign|PSAMask'
    r'|PSAHead|MaskedConv\w*|soft_nms|nms|\w*CrissCross\w*|CCHead|PointRend\w*'
    r'|PointHead|\w*FocalLoss|CornerPool|CornerHead|MMSyncBN|\w*TOOD\w*'
    r'|VFNetHead|ScoreHLRSampler|GARetinaHead|GuidedAnchor\w*|MergeCell\w*'
    r'|Mask2Former\w*|NASFPN|DyHead|RepPointsHead|FoveaHead|YOLACT\w*'
    r'|\w*CascadeRPN\w*|EDPose\w*|DEKR\w*|PoseWarper\w*'
)
SIDE = 128
PATIENCE = 600  # seconds for one config
FEW = dict(nms_pre=64, max_per_img=16, max_num=64, num=32, num_queries=40)


def configs_of(package: str, folder: str | None) -> Iterator[tuple[Path, str]]:
    """Configs of each folder, one for every set of operators it names."""
    root = Path(importlib.import_module(package).__file__).parent
    root = root / '.mim' / 'configs'
    folders: dict[Path, list[Path]] = {}
    for path in sorted(root.rglob('*.py')):
        if '_base_' not in path.parts:
            folders.setdefault(path.parent, []).append(path)
    for place, paths in folders.items():
        if folder and not re.search(folder, place.as_posix()):
            continue
        seen: set[frozenset[str]] = set()
        # short names are the plain variants
        for path in sorted(paths, key=lambda path: len(path.name)):
            try:
                text = repr(Config.fromfile(path).get('model', {}))
            except Exception as error:
                print(f'{path.relative_to(root)}: unread: {error!r:.90}')
                continue
            names = frozenset(
                word
                for word in re.findall(r"'(\w+)'", text)
                if NAMES.fullmatch(word)
            )
            if names and not any(names <= other for other in seen):
                seen.add(names)
                yield path, str(path.relative_to(root))


def count_calls() -> Counter[str]:
    """Count the calls of operators from now on."""
    import mmcv.ops

    calls: Counter[str] = Counter()

    class Counting:
        def __init__(self, module: object) -> None:
            self.module = module

        def __getattr__(self, name: str) -> Callable:
            function = getattr(self.module, name)

            def call(*args: object, **kwargs: object) -> object:
                calls[name] += 1
                return function(*args, **kwargs)

            return call

    for name, module in list(sys.modules.items()):
        if name.startswith(mmcv.ops.__name__) and hasattr(
            module, 'ext_module'
        ):
            module.ext_module = Counting(module.ext_module)
    return calls


def make_light(node: object) -> None:
    """No weights are read, few boxes, batch norms work on one machine."""
    if isinstance(node, dict):
        if node.get('type') == 'SyncBN':
            node['type'] = 'BN'
        for key in ('init_cfg', 'pretrained'):
            if key in node:
                node[key] = None
        for key, few in FEW.items():  # as many boxes as show the way
            if isinstance(node.get(key), int):
                node[key] = min(node[key], few)
        for value in node.values():
            make_light(value)
    elif isinstance(node, list | tuple):
        for value in node:
            make_light(value)


def try_mmdet(model: nn.Module, config: Config) -> None:
    from mmdet.testing import demo_mm_inputs

    text = repr(config.model)
    size = [3, SIDE, SIDE]
    batch = demo_mm_inputs(
        2,
        [size, size],
        num_classes=2,
        with_mask=True,
        with_semantic='anoptic' in text or 'semantic' in text,
        use_box_type=False,
    )
    step(model, batch)


def try_mmseg(model: nn.Module, config: Config) -> None:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    samples = []
    for _ in range(2):
        sample = SegDataSample()
        sample.gt_sem_seg = PixelData(data=torch.randint(2, (1, SIDE, SIDE)))
        sample.set_metainfo(
            dict(
                img_shape=(SIDE, SIDE),
                ori_shape=(SIDE, SIDE),
                pad_shape=(SIDE, SIDE),
                scale_factor=1.0,
                flip=False,
            )
        )
        samples.append(sample)
    images = [torch.randint(255, (3, SIDE, SIDE)).byte() for _ in samples]
    step(model, dict(inputs=images, data_samples=samples))


def try_mmpose(model: nn.Module, config: Config) -> None:
    from mmpose.testing import get_packed_inputs

    size = config.codec.get('input_size', (SIDE, SIDE))
    batch = get_packed_inputs(1, num_instances=1, input_size=size)
    area = dict(
        input_size=size,
        input_center=np.array([64.0, 64.0]),
        input_scale=np.array([128.0, 128.0]),
    )
    for sample in batch['data_samples']:
        sample.set_metainfo(area)
    step(model, batch, train=False)


def step(model: nn.Module, batch: dict, train: bool = True) -> None:
    """One training step and one prediction."""
    if train:
        model.train()
        data = model.data_preprocessor(batch, True)
        losses = model(**data, mode='loss')
        total, _ = model.parse_losses(losses)
        total.backward()
    model.eval()
    one = {key: values[:1] for key, values in batch.items()}
    with torch.no_grad():
        model(**model.data_preprocessor(one, False), mode='predict')


class TookTooLong(Exception):
    """The alarm of one config."""


def stop(*_: object) -> None:
    raise TookTooLong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('packages', nargs='*')
    parser.add_argument('--folder', help='pattern: only folders that match')
    parser.add_argument('--list', action='store_true', help='do not run')
    options = parser.parse_args()
    packages = options.packages or ['mmseg', 'mmdet', 'mmpose']
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, stop)
    calls, total = count_calls(), Counter()
    for package in packages:
        importlib.import_module(f'{package}.models')
        for path, name in configs_of(package, options.folder):
            if options.list:
                print(f'{package} {name}')
                continue
            calls.clear()
            problem = ''
            signal.alarm(PATIENCE)
            try:
                config = Config.fromfile(path)
                make_light(config._cfg_dict)
                init_default_scope(package)
                torch.manual_seed(0)
                model = MODELS.build(config.model)
                {
                    'mmdet': try_mmdet,
                    'mmseg': try_mmseg,
                    'mmpose': try_mmpose,
                }[package](model, config)
            except TookTooLong:
                problem = f'took longer than {PATIENCE} s'
            except Exception as error:  # a config may fail in any way
                first = str(error).strip().splitlines() or ['']
                problem = f'{type(error).__name__}: {first[0]:.110}'
            signal.alarm(0)
            model = None
            gc.collect()
            total.update(calls)
            print(
                f'{package} {name}: {" ".join(sorted(calls)) or "-"}'
                f'{" | " + problem if problem else ""}',
                flush=True,
            )
    print('all:', ' '.join(sorted(total)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
