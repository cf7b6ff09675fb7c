"""What the programs that measure steps of a config have in common."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmkd.cli.config import read_config
from mmkd.cli.errors import one_line_errors

Result = dict[str, Any]


def run(
    args: argparse.Namespace,
    benchmark: Callable[[Config, argparse.Namespace], Result],
    describe: Callable[[Result], str],
) -> Result:
    """Measure, print, and write a JSON file if one is asked for.

    Args:
        args: ``config``, ``cfg_options``, ``traceback``, ``json``, and what
            ``benchmark`` reads.
        benchmark: measures a config.
        describe: makes the text of it.
    """
    with one_line_errors(full=args.traceback):
        config = read_config(args.config, args.cfg_options)
        result = benchmark(config, args)
    print(describe(result))
    if args.json is not None:
        Path(args.json).write_text(json.dumps(result, indent=2) + '\n')
    return result
