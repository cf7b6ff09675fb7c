"""Evaluate the network of a config, plain or distilled.

    python tools/test.py CONFIG CHECKPOINT [--out FILE] [--show-dir DIR]

The config may be that of the network or of the distiller that trained it,
and so may the checkpoint. Teachers are not built and not needed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmengine.config import Config  # noqa: E402
from mmengine.dist import is_main_process  # noqa: E402

from mmkd.checkpoints.export import deployed_network  # noqa: E402
from mmkd.checkpoints.read import read_checkpoint  # noqa: E402
from mmkd.cli.arguments import (  # noqa: E402
    add_checkpoint_arguments,
    add_run_arguments,
)
from mmkd.cli.config import load_run_config  # noqa: E402
from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.cli.runner import build_runner  # noqa: E402
from mmkd.networks import deployed_peer, load_network_weights  # noqa: E402
from mmkd.utils.dist import unwrapped  # noqa: E402

# Visualizer and hook of each repository, and how the hook is switched on.
DRAWING: dict[str, tuple[str, dict[str, Any]]] = dict(
    mmseg=('SegLocalVisualizer', dict(type='SegVisualizationHook', draw=True)),
    mmdet=('DetLocalVisualizer', dict(type='DetVisualizationHook', draw=True)),
    mmpretrain=(
        'UniversalVisualizer',
        dict(type='VisualizationHook', enable=True),
    ),
    mmpose=(
        'PoseLocalVisualizer',
        dict(type='PoseVisualizationHook', enable=True),
    ),
)


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


def apply_arguments(
    config: Config, args: argparse.Namespace, state: dict[str, Any]
) -> None:
    if not args.all_peers:
        peer = args.peer
        if 'cohort' in config.model and peer is None:
            peer = deployed_peer(state, args.checkpoint)
        config.model = deployed_network(config, peer)
    elif 'cohort' not in config.model:
        raise ValueError(
            f'--all-peers: model.type={config.model.type} of config="'
            f'{args.config}" is no cohort; leave the option out'
        )
    config.load_from = None
    config.resume = False
    for key in ('test_dataloader', 'test_cfg', 'test_evaluator'):
        if config.get(key) is None:
            raise KeyError(
                f'config="{args.config}" has no {key}: add it, e.g. '
                f'{key} = {key.replace("test", "val")}'
            )
    if args.out is not None:
        write_predictions(config, args.out)
    if args.show_dir is not None:
        draw_predictions(config, args.show_dir)
    if args.tta:
        augment(config)


def write_predictions(config: Config, out: str) -> None:
    suffix = Path(out).suffix
    if suffix not in ('.json', '.pkl', '.pickle'):
        raise ValueError(
            f'--out {out}: end the name in .json for the metrics or in .pkl '
            'for the predictions'
        )
    if suffix != '.json':
        evaluators = config.test_evaluator
        if not isinstance(evaluators, (list, tuple)):
            evaluators = [evaluators]
        dump = dict(type='DumpResults', out_file_path=out)
        config.test_evaluator = [*evaluators, dump]


def draw_predictions(config: Config, folder: str) -> None:
    scope = config.model['_scope_']
    if scope not in DRAWING:
        raise ValueError(
            f'--show-dir: a network of {scope} cannot be drawn; use '
            f'{", ".join(DRAWING)}'
        )
    visualizer, hook = DRAWING[scope]
    hook = dict(hook, _scope_=scope, interval=1)
    if scope in ('mmpretrain', 'mmpose'):
        hook['out_dir'] = folder
    config.setdefault('default_hooks', {})
    config.default_hooks.visualization = hook
    config.visualizer = dict(
        type=visualizer,
        _scope_=scope,
        name='visualizer',
        save_dir=folder,
        vis_backends=[dict(type='LocalVisBackend')],
    )


def augment(config: Config) -> None:
    for key in ('tta_model', 'tta_pipeline'):
        if config.get(key) is None:
            raise KeyError(f'--tta: the config has no {key}')
    config.test_dataloader.dataset.pipeline = config.tta_pipeline
    config.model = dict(config.tta_model, module=config.model)


def write_metrics(metrics: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {
        name: value.item() if hasattr(value, 'item') else value
        for name, value in metrics.items()
    }
    path.write_text(json.dumps(plain, indent=2) + '\n')


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        config = load_run_config(args)
        state = read_checkpoint(
            args.checkpoint, allow_pickle=args.allow_pickle
        )['state_dict']
        apply_arguments(config, args, state)
        runner = build_runner(config)
        network = unwrapped(runner.model)
        if args.all_peers:
            network.load_state_dict(state)
        else:
            load_network_weights(
                network.module if args.tta else network,
                args.checkpoint,
                peer=args.peer,
                state=state,
            )
        metrics = runner.test()
    if args.out and args.out.endswith('.json') and is_main_process():
        write_metrics(metrics, Path(args.out))
    return metrics


if __name__ == '__main__':
    main()
