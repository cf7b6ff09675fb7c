"""Rename the published proposal network of AnchorNet.

    python tools/model_converters/anchornet.py \\
        configs/anchornet/proposal_in1k.py anchornet.pth \\
        checkpoints/anchornet_in1k.pth

The result is a plain checkpoint of that config. Layers that the authors'
program creates but never uses are left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if (ROOT / 'mmkd' / '__init__.py').is_file():
    sys.path.insert(0, str(ROOT))  # a checkout works without installing

from mmkd.checkpoints.read import read_checkpoint  # noqa: E402
from mmkd.checkpoints.strict import fit_weights  # noqa: E402
from mmkd.checkpoints.write import plain_state, write_weights  # noqa: E402
from mmkd.models.backbones.anchornet_weights import (  # noqa: E402
    convert_anchornet,
)
from mmkd.networks import build_network  # noqa: E402


def main(argv: Sequence[str] | None = None) -> None:
    """Read, rename, fit and write."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='of the proposal network')
    parser.add_argument('source', type=Path)
    parser.add_argument('target', type=Path)
    args = parser.parse_args(argv)
    try:
        state = convert_anchornet(read_checkpoint(args.source)['state_dict'])
        network = build_network(args.config)
        fit_weights(network, state, args.source)
    except (OSError, ValueError, KeyError) as error:
        parser.exit(1, f'error: {args.source}: {error}\n')
    write_weights(args.target, plain_state(network))
    print(f'{args.target}: {len(state)} tensors')


if __name__ == '__main__':
    main()
