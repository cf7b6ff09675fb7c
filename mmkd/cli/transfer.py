"""What the tools that evaluate frozen networks share."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import nn

from mmkd.cli.arguments import (
    ConfigOptions,
    add_checkpoint_arguments,
    add_config_arguments,
)
from mmkd.cli.config import read_config
from mmkd.evaluation.features import frozen_network


def add_transfer_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a network's config and weights, the data, and the output."""
    add_config_arguments(parser)
    add_checkpoint_arguments(parser)
    parser.add_argument(
        'data',
        help='config with the dataloaders; its data_preprocessor, if any, '
        "replaces the network's",
    )
    parser.add_argument('--out', help='JSON file for the results')
    add_data_arguments(parser)


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what does not depend on the number of networks."""
    parser.add_argument(
        '--data-options',
        nargs='+',
        action=ConfigOptions,
        default={},
        metavar='KEY=VALUE',
        help='changes to the data config',
    )
    parser.add_argument('--device', default='cpu', help='e.g. cuda:0')
    parser.add_argument('--seed', type=int, default=0)


def read_data_config(args: argparse.Namespace) -> Config:
    """Return the data config with the changes of the command line."""
    return read_config(args.data, args.data_options)


def transfer_network(args: argparse.Namespace, data: Config) -> nn.Module:
    """Return the frozen network of the command line."""
    config = read_config(args.config, args.cfg_options)
    return frozen_network(
        config,
        args.checkpoint,
        data,
        peer=args.peer,
        device=args.device,
        allow_pickle=args.allow_pickle,
    )


def write_json(path: str | None, results: dict[str, Any]) -> None:
    """Write results if a path is given."""
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(json.dumps(results, indent=1) + '\n')
