"""The arguments that tools share."""

from __future__ import annotations

import argparse
from typing import Any

from mmengine.config import DictAction


class ConfigOptions(DictAction):
    """KEY=VALUE pairs; what cannot be read ends the program with a line."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Read the pairs."""
        try:
            super().__call__(parser, namespace, values, option_string)
        except (AssertionError, RecursionError, ValueError):
            parser.error(
                f'{option_string} {" ".join(values)}: not KEY=VALUE with a '
                'number, a word, [a,b] or (a,b). A dict is given entry by '
                'entry, e.g. default_hooks.pruning.type=mmkd.'
                'SoftFilterPruningHook default_hooks.pruning.method=sfp'
            )


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of every tool that reads a config."""
    parser.add_argument('config', help='path, or package::path')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        default={},
        metavar='KEY=VALUE',
        help='changes to the config, e.g. train_dataloader.batch_size=4',
    )
    parser.add_argument(
        '--traceback',
        action='store_true',
        help='show where an error came from (also: MMKD_TRACEBACK=1)',
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the tools that run a config."""
    add_config_arguments(parser)
    parser.add_argument(
        '--work-dir', help='default: work_dirs/<name of the config>'
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how the processes of a distributed run are started',
    )
    # torch.distributed.launch writes one, torchrun none, old versions both.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def add_checkpoint_arguments(
    parser: argparse.ArgumentParser,
    peers: argparse._ActionsContainer | None = None,
) -> None:
    """Add the arguments of the tools that read a checkpoint.

    Args:
        parser: of the tool.
        peers: its group for the choice of a peer, if it has one.
    """
    parser.add_argument('checkpoint', help='of a network or of a distiller')
    (peers or parser).add_argument(
        '--peer', type=int, help='of a cohort; default: the deployed one'
    )
    add_allow_pickle(parser)


def add_allow_pickle(parser: argparse.ArgumentParser) -> None:
    """Add ``--allow-pickle`` (see `read_checkpoint`)."""
    parser.add_argument(
        '--allow-pickle',
        action='store_true',
        help='read a checkpoint that holds more than weights; only for files '
        'you trust',
    )


def add_input_shape(parser: argparse.ArgumentParser, purpose: str) -> None:
    """Add ``--input-shape``, an input for this purpose."""
    parser.add_argument(
        '--input-shape',
        nargs=3,
        type=int,
        metavar=('C', 'H', 'W'),
        help=purpose,
    )
