"""Train a linear classifier on a frozen network, on another data set.

    python tools/linear_eval.py CONFIG CHECKPOINT DATA [--protocol mcl]

CONFIG and CHECKPOINT are those of a network, e.g. an exported peer, or of the
run that trained it; CHECKPOINT random stands for a network that has learned
nothing. DATA is a config with train_dataloader and test_dataloader (or
val_dataloader).
By default the training images pass the test transforms and their features
are computed once. With --augment they pass the training transforms anew in
each epoch, as the published protocols do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmengine.runner import set_random_seed  # noqa: E402

from mmkd.cli.errors import one_line_errors  # noqa: E402
from mmkd.cli.transfer import (  # noqa: E402
    add_transfer_arguments,
    read_data_config,
    transfer_network,
    write_json,
)
from mmkd.evaluation.features import (  # noqa: E402
    collect_features,
    data_loader,
    evaluation_split,
)
from mmkd.evaluation.linear_eval import (  # noqa: E402
    PROTOCOLS,
    LinearProtocol,
    LinearResult,
    linear_eval,
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add_transfer_arguments(parser)
    parser.add_argument(
        '--protocol', choices=list(PROTOCOLS), default='hssakd'
    )
    parser.add_argument('--lr', type=float)
    parser.add_argument('--batch-size', type=int)
    parser.add_argument('--epochs', type=int)
    parser.add_argument('--milestones', type=int, nargs='*')
    parser.add_argument('--weight-decay', type=float)
    parser.add_argument(
        '--augment',
        action='store_true',
        help='training transforms, computed anew in each epoch',
    )
    return parser.parse_args(argv)


def protocol_of(args: argparse.Namespace) -> LinearProtocol:
    names = ('lr', 'batch_size', 'epochs', 'weight_decay', 'milestones')
    given = {name: getattr(args, name) for name in names}
    changes = {k: v for k, v in given.items() if v is not None}
    if 'milestones' in changes:
        changes['milestones'] = tuple(changes['milestones'])
    return replace(PROTOCOLS[args.protocol], **changes)


def show(epoch: int, result: LinearResult) -> None:
    if epoch == 1 or epoch % 10 == 0:
        print(
            f'epoch {epoch}: loss {result.loss[-1]:.4f}, '
            f'top-1 {result.top1[-1]:.2f}, top-5 {result.top5[-1]:.2f}'
        )


def main(argv: Sequence[str] | None = None) -> LinearResult:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        protocol = protocol_of(args)
        set_random_seed(args.seed)
        data = read_data_config(args)
        network = transfer_network(args, data)
        split = evaluation_split(data)
        test = collect_features(network, data_loader(data, split))
        loader = data_loader(
            data, 'train', pipeline_of=None if args.augment else split
        )
        draw = partial(
            collect_features, network, loader, augmented=args.augment
        )
        result = linear_eval(
            draw if args.augment else draw(),
            test,
            protocol,
            seed=args.seed,
            report=show,
        )
    best = max(range(protocol.epochs), key=lambda i: result.top1[i])
    print(
        f'last epoch: top-1 {result.top1[-1]:.2f}, '
        f'top-5 {result.top5[-1]:.2f} ({len(test.labels)} {split} images); '
        f'best epoch ({best + 1}): top-1 {result.top1[best]:.2f}'
    )
    write_json(
        args.out,
        dict(
            protocol=asdict(protocol),
            augmented=args.augment,
            seed=args.seed,
            top1=result.top1,
            top5=result.top5,
            loss=result.loss,
        ),
    )
    return result


if __name__ == '__main__':
    main()
