"""Train a network or a distiller from a config.

    python tools/train.py CONFIG [--work-dir DIR] [--resume] [...]

Several GPUs: tools/dist_train.sh.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmengine.config import Config  # noqa: E402
from mmengine.runner import Runner, find_latest_checkpoint  # noqa: E402

from mmkd.checkpoints.fit import OPTION, check_load_from  # noqa: E402
from mmkd.engine.hooks.safe_checkpoint_hook import (  # noqa: E402
    choose_resumed,
)
from mmkd.utils.checkpoints import read_checkpoint  # noqa: E402
from mmkd.utils.dist import unwrapped  # noqa: E402
from mmkd.utils.errors import one_line_errors  # noqa: E402
from mmkd.utils.pretrained import check_pretrained  # noqa: E402
from mmkd.utils.setup import (  # noqa: E402
    add_run_arguments,
    build_runner,
    load_run_config,
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a config.')
    add_run_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='continue from a checkpoint; without a value from the newest '
        'in the work directory, if there is one',
    )
    parser.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision: float16 on a GPU, bfloat16 on a CPU',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by batch size / base_batch_size',
    )
    parser.add_argument(
        '--no-validate', action='store_true', help='no validation runs'
    )
    parser.add_argument('--seed', type=int, help='sets randomness.seed')
    return parser.parse_args(argv)


def apply_arguments(config: Config, args: argparse.Namespace) -> None:
    if args.seed is not None:
        config.setdefault('randomness', {})
        config.randomness.seed = args.seed
    if args.no_validate:
        config.val_dataloader = config.val_cfg = config.val_evaluator = None
    if args.amp:
        use_mixed_precision(config)
    if args.auto_scale_lr:
        scaling = config.get('auto_scale_lr') or {}
        if 'base_batch_size' not in scaling:
            raise KeyError(
                '--auto-scale-lr: the config has no '
                'auto_scale_lr.base_batch_size; add auto_scale_lr='
                'dict(base_batch_size=...), the batch size of its lr'
            )
        config.auto_scale_lr.enable = True
    if args.resume is not None:
        config.resume = True
        config.load_from = None if args.resume == 'auto' else args.resume


def use_mixed_precision(config: Config) -> None:
    import torch

    wrapper = config.optim_wrapper.get('type', 'OptimWrapper')
    mixed = ('AmpOptimWrapper', 'mmkd.AutocastOptimWrapper')
    if wrapper not in ('OptimWrapper', *mixed):
        raise ValueError(
            f'--amp: optim_wrapper.type={wrapper} has no mixed precision; '
            'use type="OptimWrapper" in the config'
        )
    if wrapper == 'mmkd.AutocastOptimWrapper':
        return
    if torch.cuda.is_available():
        config.optim_wrapper.type = 'AmpOptimWrapper'
        config.optim_wrapper.setdefault('loss_scale', 'dynamic')
    else:  # mmengine's wrapper refuses CPUs; bfloat16 needs no loss scale
        config.optim_wrapper.type = 'mmkd.AutocastOptimWrapper'
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            config.optim_wrapper.pop(key, None)


def check_batch_size(config: Config) -> None:
    """Refuse a sampler that forms batches of another size than the loader."""
    loader = config.get('train_dataloader') or {}
    formed = (loader.get('sampler') or {}).get('batch_size')
    if formed not in (None, loader.get('batch_size')):
        raise ValueError(
            f'train_dataloader.sampler.batch_size={formed}, but '
            f'train_dataloader.batch_size={loader.get("batch_size")}: the '
            "sampler's groups would be torn apart; set both alike"
        )


def choose_start(runner: Runner, load_from: str | None) -> None:
    """Find the file to resume; without one the run starts as configured."""
    choose_resumed(runner)
    if not getattr(runner, '_resume', False) or runner._load_from is not None:
        return
    if find_latest_checkpoint(runner.work_dir) is None:
        runner.logger.info('nothing to resume: the run starts anew')
        runner._resume, runner._load_from = False, load_from


def check_resumed(runner: Runner) -> None:
    """Refuse to resume from a file of another model.

    mmengine would only warn and go on with what fits.
    """
    if not getattr(runner, '_resume', False):
        return
    path = runner._load_from or find_latest_checkpoint(runner.work_dir)
    if path is None:
        return
    saved = read_checkpoint(path)['state_dict']
    own = unwrapped(runner.model).state_dict()
    wrong = sorted(saved.keys() ^ own.keys()) + sorted(
        key
        for key in saved.keys() & own.keys()
        if saved[key].shape != own[key].shape
    )
    if wrong:
        raise ValueError(
            f'--resume {path}: {len(wrong)} entries do not fit the model of '
            f'the config ({", ".join(wrong[:3])}, ...); resume with the '
            'config of that run, or start anew in another --work-dir'
        )


def check_start(runner: Runner) -> None:
    """Refuse to start from a file of another model."""
    path = runner._load_from
    if path is not None and not getattr(runner, '_resume', False):
        partial = bool(runner.cfg.get(OPTION, False))
        model = unwrapped(runner.model)
        runner.logger.info(check_load_from(model, path, partial))


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        config = load_run_config(args)
        load_from = config.get('load_from')
        apply_arguments(config, args)
        check_batch_size(config)
        runner = build_runner(config)
        check_pretrained(unwrapped(runner.model))
        choose_start(runner, load_from)
        check_resumed(runner)
        check_start(runner)
        runner.train()


if __name__ == '__main__':
    main()
