"""Write the network that a distiller trained as a plain checkpoint.

    python tools/export_student.py CONFIG CHECKPOINT [--out student.pth]

The result has the original key names, loads strictly in the network's own
repository, and is checked to give the same outputs. Teachers are not needed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmkd.checkpoints.export import (  # noqa: E402
    ExportReport,
    export_deployed,
)
from mmkd.cli.arguments import (  # noqa: E402
    add_checkpoint_arguments,
    add_config_arguments,
    add_input_shape,
)
from mmkd.cli.config import read_config  # noqa: E402
from mmkd.cli.errors import one_line_errors  # noqa: E402


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Export a student.')
    add_config_arguments(parser)
    add_checkpoint_arguments(parser)
    parser.add_argument(
        '--out', help='default: student.pth beside the checkpoint'
    )
    parser.add_argument(
        '--onnx',
        nargs='?',
        const='',
        metavar='FILE',
        help='write ONNX too; default name: that of --out with .onnx',
    )
    add_input_shape(
        parser, 'input on which outputs are compared, and that of ONNX'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> ExportReport:
    args = parse_args(argv)
    with one_line_errors(full=args.traceback):
        config = read_config(args.config, args.cfg_options)
        out = Path(args.out or Path(args.checkpoint).parent / 'student.pth')
        if out.resolve() == Path(args.checkpoint).resolve():
            raise ValueError(
                f'--out {out} is the checkpoint itself: give another name'
            )
        onnx = args.onnx
        reports = export_deployed(
            config,
            args.checkpoint,
            out,
            input_shape=args.input_shape,
            onnx=out.with_suffix('.onnx') if onnx == '' else onnx,
            allow_pickle=args.allow_pickle,
            peer=args.peer,
        )
    for report in reports:
        print(
            f'{report.path}: {report.num_tensors} tensors, '
            f'{report.num_parameters / 1e6:.3f} M parameters; outputs on '
            f'{report.input_shape} equal those of the trained network'
        )
        if report.onnx_path is not None:
            print(
                f'{report.onnx_path}: outputs deviate by at most '
                f'{report.onnx_deviation:.1e} of the largest value'
            )
    return reports[0]


if __name__ == '__main__':
    main()
