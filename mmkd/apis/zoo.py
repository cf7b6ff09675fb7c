"""Published weights of the task repositories, from their metafiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from mmkd.apis.tasks import SCOPES


@dataclass(frozen=True)
class Published:
    """A network whose weights can be downloaded.

    Args:
        name: of its config, ``package::path``.
        weights: address.
        dataset: on which it was trained.
        score: e.g. ``'mIoU 77.85'``.
    """

    name: str
    weights: str
    dataset: str
    score: str


def configs_of(package: str) -> Path | None:
    """Return the folder of a package's configs, if it is installed."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0])
    for place in (folder / '.mim' / 'configs', folder.parent / 'configs'):
        if place.is_dir():
            return place
    return None


def published_weights(name: str) -> str | None:
    """Return the address of the weights of ``package::path``, or None."""
    package, _, path = name.partition('::')
    root = configs_of(package)
    if root is None:
        return None
    folder = (root / path).parent
    for entry in _read(package, root, sorted(folder.glob('*.y*ml'))):
        if entry.name == name:
            return entry.weights
    return None


def published(task: str, match: str = '') -> Iterator[Published]:
    """Return the networks of a task that have weights.

    Args:
        task: a task of `SCOPES`.
        match: what name or data set must contain, in any case.
    """
    package = SCOPES[task]
    root = configs_of(package)
    if root is None:
        return
    for entry in _read(package, root, sorted(root.rglob('*.y*ml'))):
        if match.lower() in f'{entry.name} {entry.dataset}'.lower():
            yield entry


def _read(
    package: str, root: Path, metafiles: list[Path]
) -> Iterator[Published]:
    for path in metafiles:
        with path.open(encoding='utf-8') as file:
            content = yaml.safe_load(file)
        models = content.get('Models') if isinstance(content, dict) else None
        for model in models or ():
            config, weights = model.get('Config'), model.get('Weights')
            if not config or not weights:
                continue
            relative = str(config).removeprefix('configs/')
            if (root / relative).is_file():
                yield Published(
                    f'{package}::{relative}', weights, *_results(model)
                )


def _results(model: dict[str, Any]) -> tuple[str, str]:
    results = model.get('Results') or {}
    if isinstance(results, list):
        results = results[0] if results else {}
    metrics = results.get('Metrics') or {}
    if isinstance(metrics, list):
        metrics = metrics[0] if metrics else {}
    score = next((f'{k} {v}' for k, v in metrics.items()), '')
    return str(results.get('Dataset', '')), score
