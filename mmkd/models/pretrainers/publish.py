"""A plain file with a pretrained backbone."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

from mmkd.checkpoints.read import describe_keys, read_checkpoint
from mmkd.checkpoints.write import write_weights
from mmkd.version import __version__

BACKBONE = 'backbone.'
DECONV = 'head.deconv_layers.'


def publish_backbone(
    checkpoint: str | Path, out: str | Path, keep_deconv: bool = False
) -> list[str]:
    """Write the backbone of a run, without head, optimizer and log.

    The keys keep their prefix: ``init_cfg=dict(type='Pretrained',
    prefix='backbone.', checkpoint=out)`` loads the file in any task
    repository, without mmkd and with torch's safe reading.

    Args:
        checkpoint: of a network with a ``backbone``.
        out: the file to write (``.pth`` or ``.safetensors``); its folder
            is made.
        keep_deconv: keep the deconvolutions of a SimpleBaseline head too;
            use the file as ``load_from`` then. The last layer, one map per
            patch, is always dropped.

    Returns:
        The keys in the file.

    Raises:
        FileNotFoundError: no such checkpoint.
        ValueError: no backbone, or no deconvolutions though asked for.
    """
    state: dict[str, Any] = read_checkpoint(checkpoint)['state_dict']
    prefixes = [BACKBONE, DECONV] if keep_deconv else [BACKBONE]
    for prefix in prefixes:
        if not any(key.startswith(prefix) for key in state):
            cure = (
                'leave out --keep-deconv (HRNet heads have none)'
                if prefix == DECONV
                else 'give a checkpoint of the network itself; for a '
                "distiller's use tools/export_student.py first"
            )
            raise ValueError(
                f'checkpoint="{checkpoint}" has no entries {prefix}*, only '
                f'{describe_keys(state)}: {cure}'
            )
    kept = OrderedDict(
        (key, value)
        for key, value in state.items()
        if key.startswith(tuple(prefixes))
    )
    write_weights(out, kept, dict(mmkd_version=__version__))
    return list(kept)
