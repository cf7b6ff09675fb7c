"""mmengine reads checkpoints by the reader of mmkd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mmengine.runner.checkpoint as stock
from mmengine.runner import CheckpointLoader
from torch.hub import download_url_to_file, get_dir

from mmkd.checkpoints.read import read_file


def load_from_local(path: str | Path, map_location: Any = None) -> Any:
    """Read a local file, for ``load_from``, ``resume`` and ``init_cfg``.

    Raises:
        FileNotFoundError, ValueError: see `read_file`.
    """
    path = Path(path).expanduser()
    content = read_file(path, map_location=map_location)
    meta = content.get('meta') if isinstance(content, dict) else None
    if isinstance(meta, dict):
        meta.pop('config', None)  # mmengine would run it as a program
    return content


def _read_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
) -> Any:
    """Download a file once, as torch does, and read it.

    Raises:
        ValueError: that is not possible.
    """
    folder = Path(model_dir or Path(get_dir()) / 'checkpoints')
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / url.partition('?')[0].rstrip('/').rpartition('/')[2]
    if not path.exists():
        try:
            download_url_to_file(url, str(path), progress=progress)
        except (OSError, ValueError) as error:  # no network, no such page
            raise ValueError(
                f'checkpoint="{url}" cannot be downloaded ({error}): correct '
                f'the address, or put the file at {path}'
            ) from error
    return load_from_local(path, map_location)


def read_for_all_of_mmengine() -> None:
    """Replace the readers of mmengine.

    Paths, ``http(s)://``, ``torchvision://``, ``open-mmlab://`` and
    ``mmcls://`` are then read without running code, and ``.safetensors``
    is understood.
    """
    CheckpointLoader.register_scheme('', load_from_local, force=True)
    stock.load_url = _read_url
