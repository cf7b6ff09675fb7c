"""Train a network or a distiller from a config, or run its stages.

    python tools/train.py CONFIG [--work-dir DIR] [--resume] [...]

Several GPUs: tools/dist_train.sh. A config with stages: docs/stages.md.
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

from mmkd.checkpoints.pretrained import check_pretrained  # noqa: E402
from mmkd.cli.arguments import add_run_arguments  # noqa: E402
from mmkd.cli.config import load_run_config  # noqa: E402
from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.cli.explain import explained  # noqa: E402
from mmkd.cli.runner import build_runner  # noqa: E402
from mmkd.cli.training import (  # noqa: E402
    check_batch_size,
    check_resumed,
    check_start,
    choose_start,
    train,
    use_mixed_precision,
    warn_of_ramps,
)
from mmkd.stages import run_stages  # noqa: E402
from mmkd.utils.dist import unwrapped  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a config.')
    add_run_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='continue from a checkpoint; without a value from the newest '
        'in the work directory, if there is one; of stages, from where they '
        'stopped',
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
    parser.add_argument(
        '--stages',
        nargs='+',
        metavar='NAME',
        help='run only these stages of the config',
    )
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


def train_one(config: Config, args: argparse.Namespace) -> None:
    load_from = config.get('load_from')
    apply_arguments(config, args)
    check_batch_size(config)
    with explained(config):
        runner = build_runner(config)
        check_pretrained(unwrapped(runner.model))
        choose_start(runner, load_from)
        check_resumed(runner)
        check_start(runner)
        warn_of_ramps(runner)
        train(runner)


def train_stages(config: Config, args: argparse.Namespace) -> None:
    """Run the stages of a config.

    Raises:
        ValueError: ``--resume`` has a file.
    """
    if args.resume not in (None, 'auto'):
        raise ValueError(
            f'--resume {args.resume}: the config has stages, and each has '
            'checkpoints of its own: --resume alone goes on where they '
            'stopped'
        )
    run_stages(
        config,
        lambda stage: train_one(stage, args),
        args.resume is not None,
        args.stages,
    )


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        config = load_run_config(args, stages=True)
        if 'stages' in config:
            train_stages(config, args)
            return
        if args.stages:
            raise ValueError(
                f'--stages {" ".join(args.stages)}: the config has no stages'
            )
        train_one(config, args)


if __name__ == '__main__':
    main()
