"""Draw a cohort: curves and sizes of peers, maps of features, similarities.

    python tools/plot_cohort.py curves RUN [RUN ...] --metric accuracy/top1
    python tools/plot_cohort.py sizes --cohort CONFIG RUN
    python tools/plot_cohort.py maps DATA --network single CONFIG CHECKPOINT \\
        --network MCL CONFIG CHECKPOINT
    python tools/plot_cohort.py similarity DATA --cohort CONFIG CHECKPOINT
    python tools/plot_cohort.py scores RUN [RUN ...]

RUN is a work directory (or its scalars.json), as PATH or NAME=PATH; DATA is
a config with a dataloader. --network and --cohort may be given several
times; a cohort stands for all its peers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmkd.cli.arguments import add_allow_pickle  # noqa: E402
from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.cli.transfer import (  # noqa: E402
    add_data_arguments,
    read_data_config,
)
from mmkd.evaluation.features import SPLITS, Features  # noqa: E402
from mmkd.evaluation.projection import METHODS  # noqa: E402
from mmkd.evaluation.similarity import MEASURES  # noqa: E402
from mmkd.results.cohort_pictures import (  # noqa: E402
    draw_curves,
    draw_maps,
    draw_similarity,
    draw_sizes,
    named_features,
    named_sources,
)
from mmkd.results.score_curves import draw_scores  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    tasks = parser.add_subparsers(dest='task', required=True)
    curves = tasks.add_parser('curves', help='metric of every peer')
    curves.add_argument('runs', nargs='+', metavar='RUN')
    curves.add_argument('--metric', default='accuracy/top1')
    curves.add_argument('--x-label', default='epoch')
    curves.add_argument(
        '--from-zero', action='store_true', help='vertical axes begin at 0'
    )
    sizes = tasks.add_parser('sizes', help='parameters and metric of peers')
    sizes.add_argument(
        '--cohort',
        nargs=2,
        action='append',
        required=True,
        metavar=('CONFIG', 'RUN'),
    )
    sizes.add_argument('--metric', default='accuracy/top1')
    maps = tasks.add_parser('maps', help='features as points of the plane')
    maps.add_argument('--method', choices=METHODS, default='pca')
    similar = tasks.add_parser('similarity', help='every pair of networks')
    similar.add_argument('--measure', choices=MEASURES, default='cka')
    scores = tasks.add_parser('scores', help="AFD's discriminators")
    scores.add_argument('runs', nargs='+', metavar='RUN')
    scores.add_argument(
        '--window', type=int, default=1, help='average so many logged values'
    )
    for each in (maps, similar):
        each.add_argument('data', help='config with the dataloaders')
        each.add_argument(
            '--network',
            nargs=3,
            action='append',
            default=[],
            metavar=('NAME', 'CONFIG', 'CHECKPOINT'),
        )
        each.add_argument(
            '--cohort',
            nargs=2,
            action='append',
            default=[],
            metavar=('CONFIG', 'CHECKPOINT'),
        )
        each.add_argument('--split', choices=SPLITS)
        each.add_argument(
            '--classes',
            nargs='+',
            help='names, labels or ranges (0-9); default: all',
        )
        add_data_arguments(each)
        add_allow_pickle(each)
    for name, each in tasks.choices.items():
        each.add_argument('--out', default=f'{name}.png', help='PNG file')
        each.add_argument('--traceback', action='store_true')
    return parser.parse_args(argv)


def features_of(args: argparse.Namespace) -> dict[str, Features]:
    sources = named_sources(args.network, args.cohort)
    return named_features(
        sources,
        read_data_config(args),
        split=args.split,
        classes=args.classes,
        with_predictions=getattr(args, 'measure', '') == 'agreement',
        device=args.device,
        allow_pickle=args.allow_pickle,
    )


def draw(args: argparse.Namespace) -> list[str]:
    if args.task == 'curves':
        return draw_curves(
            args.runs, args.metric, args.out, args.x_label, args.from_zero
        )
    if args.task == 'scores':
        return draw_scores(args.runs, args.out, args.window)
    if args.task == 'sizes':
        return draw_sizes(args.cohort, args.metric, args.out)
    if args.task == 'similarity':
        return draw_similarity(features_of(args), args.measure, args.out)
    draw_maps(features_of(args), args.out, args.method, args.seed)
    return []


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        lines = draw(args)
    print(*lines, args.out, sep='\n')


if __name__ == '__main__':
    main()
