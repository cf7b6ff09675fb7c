"""Few-shot evaluation of a frozen network on classes new to it.

    python tools/few_shot_eval.py CONFIG CHECKPOINT DATA --shots 1 5

CONFIG and CHECKPOINT are those of a network, e.g. an exported peer; DATA is
a config with a dataloader. Mean accuracy over episodes and its 95 %
interval; queries go to the nearest class mean by cosine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.cli.transfer import (  # noqa: E402
    add_transfer_arguments,
    read_data_config,
    transfer_network,
    write_json,
)
from mmkd.evaluation.features import (  # noqa: E402
    SPLITS,
    choose_classes,
    collect_features,
    data_loader,
    evaluation_split,
)
from mmkd.evaluation.few_shot import (  # noqa: E402
    FewShotResult,
    few_shot_eval,
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add_transfer_arguments(parser)
    parser.add_argument('--split', choices=SPLITS, help='default: test or val')
    parser.add_argument(
        '--classes',
        nargs='+',
        help='names, labels or ranges (80-99) of the new classes; default: '
        'all',
    )
    parser.add_argument('--ways', type=int, default=5)
    parser.add_argument('--shots', type=int, nargs='+', default=[1, 5])
    parser.add_argument('--queries', type=int, default=15)
    parser.add_argument('--episodes', type=int, default=600)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> dict[int, FewShotResult]:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        data = read_data_config(args)
        network = transfer_network(args, data)
        split = args.split or evaluation_split(data)
        loader = data_loader(data, split, pipeline_of=evaluation_split(data))
        features = collect_features(network, loader)
        if args.classes:
            features = choose_classes(features, args.classes)
        results = {
            shots: few_shot_eval(
                features,
                ways=args.ways,
                shots=shots,
                queries=args.queries,
                episodes=args.episodes,
                seed=args.seed,
            )
            for shots in args.shots
        }
    for shots, result in results.items():
        print(
            f'{args.ways}-way {shots}-shot: {result.mean:.2f} +- '
            f'{result.interval:.2f} % ({args.episodes} episodes, '
            f'{len(features.labels)} images of {features.num_classes} '
            f'classes, {split})'
        )
    write_json(
        args.out,
        {
            f'{args.ways}-way {shots}-shot': dict(
                mean=result.mean,
                interval=result.interval,
                queries=args.queries,
                episodes=args.episodes,
                seed=args.seed,
                split=split,
            )
            for shots, result in results.items()
        },
    )
    return results


if __name__ == '__main__':
    main()
