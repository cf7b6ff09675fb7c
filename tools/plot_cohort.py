"""Draw a cohort: curves of the peers, maps of features, similarities.

    python tools/plot_cohort.py curves RUN [RUN ...] --metric accuracy/top1
    python tools/plot_cohort.py maps DATA --network single CONFIG CHECKPOINT \\
        --network MCL CONFIG CHECKPOINT
    python tools/plot_cohort.py similarity DATA --cohort CONFIG CHECKPOINT

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
from mmkd.cli.config import read_config  # noqa: E402
from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.cli.transfer import (  # noqa: E402
    add_data_arguments,
    read_data_config,
)
from mmkd.evaluation.features import (  # noqa: E402
    SPLITS,
    Features,
    choose_classes,
    collect_features,
    data_loader,
    evaluation_split,
    frozen_network,
)
from mmkd.evaluation.similarity import (  # noqa: E402
    MEASURES,
    similarity_matrix,
)
from mmkd.visualization import (  # noqa: E402
    peer_curves,
    plot_curves,
    plot_embedding_maps,
    plot_matrix,
    project,
    read_scalars,
)
from mmkd.visualization.cohort_curves import DEPLOYED  # noqa: E402
from mmkd.visualization.embedding_maps import METHODS  # noqa: E402

TITLES = dict(
    cka='linear CKA of features',
    cosine='mean cosine of features',
    agreement='agreement of predictions',
)


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
    maps = tasks.add_parser('maps', help='features as points of the plane')
    maps.add_argument('--method', choices=METHODS, default='pca')
    similar = tasks.add_parser('similarity', help='every pair of networks')
    similar.add_argument('--measure', choices=MEASURES, default='cka')
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


def named_features(args: argparse.Namespace) -> dict[str, Features]:
    """Return the features of every network of the command line."""
    sources = [(n, c, path, None) for n, c, path in args.network]
    for number, (name, path) in enumerate(args.cohort):
        prefix = f'cohort{number} ' if len(args.cohort) > 1 else ''
        peers = read_config(name).model.get('cohort', {}).get('peers', ())
        if not peers:
            raise KeyError(
                f'--cohort {name}: model.cohort.peers is missing; give a '
                'plain network by --network'
            )
        for k in range(len(peers)):
            sources.append((f'{prefix}peer{k}', name, path, k))
    names = [source[0] for source in sources]
    if len(set(names)) != len(names) or not names:
        raise ValueError(
            f'--network and --cohort name {names}: give at least one '
            'network, and every one another name'
        )
    data = read_data_config(args)
    split = args.split or evaluation_split(data)
    loader = data_loader(data, split, pipeline_of=evaluation_split(data))
    found = {}
    for name, config, checkpoint, peer in sources:
        network = frozen_network(
            read_config(config),
            checkpoint,
            data,
            peer=peer,
            device=args.device,
            allow_pickle=args.allow_pickle,
        )
        features = collect_features(
            network,
            loader,
            with_predictions=getattr(args, 'measure', '') == 'agreement',
        )
        if args.classes:
            features = choose_classes(features, args.classes)
        found[name] = features
    return found


def draw_curves(args: argparse.Namespace) -> None:
    panels = {}
    for run in args.runs:
        name, _, path = run.rpartition('=')
        title = name or Path(path).name
        if f'{title}: {args.metric}' in panels:
            raise ValueError(f'two runs are called {title!r}: write NAME=PATH')
        curves = peer_curves(read_scalars(path), args.metric)
        panels[f'{title}: {args.metric}'] = curves
        for peer, (steps, values) in curves.items():
            print(f'{title}, {peer}: {values[-1]:.2f} at {steps[-1]}')
    plot_curves(
        panels,
        args.out,
        args.x_label,
        from_zero=args.from_zero,
        dashed=[DEPLOYED],
    )


def draw_maps(args: argparse.Namespace) -> None:
    networks = named_features(args)
    first = next(iter(networks.values()))
    maps = {
        name: project(features.feats.numpy(), args.method, args.seed)
        for name, features in networks.items()
    }
    plot_embedding_maps(maps, first.labels.numpy(), args.out, first.classes)


def draw_similarity(args: argparse.Namespace) -> None:
    networks = named_features(args)
    matrix = similarity_matrix(list(networks.values()), args.measure)
    plot_matrix(matrix, list(networks), args.out, TITLES[args.measure])
    for name, row in zip(networks, matrix, strict=True):
        print(name, *(f'{value:.4f}' for value in row))


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    draw = dict(curves=draw_curves, maps=draw_maps, similarity=draw_similarity)
    with one_line_errors(full=args.traceback):
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        draw[args.task](args)
    print(args.out)


if __name__ == '__main__':
    main()
