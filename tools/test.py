"""Evaluate the network of a config, plain or distilled.

    python tools/test.py CONFIG CHECKPOINT [--out FILE] [--show-dir DIR]

The config may be that of the network or of the distiller that trained it,
and so may the checkpoint. Teachers are not built and not needed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmengine.config import Config  # noqa: E402
from mmengine.dist import is_main_process  # noqa: E402

from mmkd.checkpoints.read import read_checkpoint  # noqa: E402
from mmkd.cli.arguments import (  # noqa: E402
    add_checkpoint_arguments,
    add_run_arguments,
)
from mmkd.cli.config import load_run_config  # noqa: E402
from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.cli.explain import explained  # noqa: E402
from mmkd.cli.runner import build_runner  # noqa: E402
from mmkd.cli.testing import (  # noqa: E402
    augment,
    draw_predictions,
    write_metrics,
    write_predictions,
)
from mmkd.deploy import (  # noqa: E402
    deployed_network,
    deploys_classifier,
    load_network_weights,
    resolve_peer,
    weights_of,
)
from mmkd.networks import networks_of  # noqa: E402
from mmkd.tasks import require_head  # noqa: E402
from mmkd.utils.dist import unwrapped  # noqa: E402
from mmkd.utils.types import type_name  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Evaluate a checkpoint.')
    add_run_arguments(parser)
    parser.add_argument(
        '--out', help='metrics to FILE.json, or all predictions to FILE.pkl'
    )
    parser.add_argument('--show-dir', help='draw the predictions into DIR')
    parser.add_argument(
        '--tta', action='store_true', help='with test-time augmentation'
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        '--all-peers',
        action='store_true',
        help='test the whole cohort in one pass (evaluator: mmkd.PeerMetric)',
    )
    add_checkpoint_arguments(parser, which)
    return parser.parse_args(argv)


TRAINING = ('train_dataloader', 'train_cfg', 'optim_wrapper')


def apply_arguments(
    config: Config, args: argparse.Namespace, state: dict[str, Any]
) -> None:
    if args.peer is None and deploys_classifier(config):
        args.all_peers = True  # it needs them
    if not args.all_peers:
        args.peer = resolve_peer(config, state, args.checkpoint, args.peer)
        args.weights = weights_of(config)
        config.model = deployed_network(config, args.peer)
    elif len(networks_of(config.model)) < 2:
        raise ValueError(
            f'--all-peers: model.type={type_name(config.model.type)} of '
            f'config="{args.config}" is no cohort; leave the option out'
        )
    config.load_from = None
    config.resume = False
    for key in ('test_dataloader', 'test_cfg', 'test_evaluator'):
        if config.get(key) is None:
            raise KeyError(
                f'config="{args.config}" has no {key}: add it, e.g. '
                f'{key} = {key.replace("test", "val")}'
            )
    if any(config.get(key) is None for key in TRAINING):
        # e.g. a cascade, whose networks are trained by their own configs
        for key in (*TRAINING, 'param_scheduler'):
            config[key] = None
    if args.out is not None:
        write_predictions(config, args.out)
    if args.show_dir is not None:
        draw_predictions(config, args.show_dir)
    if args.tta:
        augment(config)


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        config = load_run_config(args)
        state = read_checkpoint(
            args.checkpoint, allow_pickle=args.allow_pickle
        )['state_dict']
        apply_arguments(config, args, state)
        with explained(config):
            runner = build_runner(config)
            network = unwrapped(runner.model)
            if args.all_peers:
                network.load_state_dict(state)
            else:
                network = network.module if args.tta else network
                require_head(network)
                load_network_weights(
                    network,
                    args.checkpoint,
                    peer=args.peer,
                    weights=args.weights,
                    state=state,
                )
            metrics = runner.test()
    if args.out and args.out.endswith('.json') and is_main_process():
        write_metrics(metrics, Path(args.out))
    return metrics


if __name__ == '__main__':
    main()
