"""Resolved configs have the numbers of the authors' scripts.

They stand in published.yml, a block for a recipe; a slip shows as a diff.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from mmengine.config import Config

for package in ('mmpretrain', 'mmseg'):
    pytest.importorskip(package)

CONFIGS = Path(__file__).parents[2] / 'configs'
TABLE = yaml.safe_load(
    Path(__file__).with_name('published.yml').read_text(encoding='utf-8')
)
OWN = re.compile(r'(cpu|toy)_')


def expand(pattern: str) -> list[str]:
    """``{a,b}`` as in a shell, which `glob` lacks."""
    found = re.search(r'\{([^}]*)\}', pattern)
    if not found:
        return [pattern]
    return [
        name
        for choice in found[1].split(',')
        for name in expand(
            pattern[: found.start()] + choice + pattern[found.end() :]
        )
    ]


def names(block: Mapping[str, Any]) -> list[str]:
    """The configs of a block, small own ones apart."""
    found = {
        path
        for pattern in block['configs']
        for part in expand(pattern)
        for path in CONFIGS.glob(f'{part}.py')
        if not OWN.match(path.name)
        and not any(word in path.name for word in block.get('without', ()))
    }
    return sorted(str(p.relative_to(CONFIGS).with_suffix('')) for p in found)


@cache
def resolved(name: str) -> Any:
    return Config.fromfile(CONFIGS / f'{name}.py').to_dict()


def get(config: Any, path: str) -> Any:
    for key in path.split('.'):
        config = config[int(key)] if key.isdigit() else config.get(key)
    return config


def networks(model: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The dicts of the networks that a config trains."""
    if 'backbone' in model:
        yield model
    for part in (
        model.get('student'),
        *model.get('cohort', {}).get('peers', ()),
    ):
        if isinstance(part, Mapping) and 'backbone' in part:
            yield part


def differs(found: Any, wanted: Any) -> bool:
    """Dicts may have more keys than are wanted; 300.0 is 300."""
    if isinstance(wanted, Mapping):
        return not isinstance(found, Mapping) or any(
            differs(found.get(key), value) for key, value in wanted.items()
        )
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return list(found or ()) != pytest.approx(list(wanted))
    return found != wanted


def slips(name: str, block: Mapping[str, Any]) -> list[str]:
    config = resolved(name)
    rows = [
        (path, get(config, path), wanted)
        for path, wanted in block.get('values', {}).items()
    ]
    for key, values in block.get('pixels', {}).items():
        wanted = [255 * value for value in values]
        rows.append((key, get(config, f'data_preprocessor.{key}'), wanted))
    for path, wanted in block.get('networks', {}).items():
        for network in networks(config['model']):
            if path.startswith('backbone') and 'ResNet' not in get(
                network, 'backbone.type'
            ):
                continue  # no residual branches to zero
            rows.append((path, get(network, path), wanted))
    return [
        f'{name}: {path} is {found!r}, published: {wanted!r}'
        for path, found, wanted in rows
        if differs(found, wanted)
    ]


@pytest.mark.parametrize('title', TABLE)
def test_one_config_of_each_block(title: str) -> None:
    block = TABLE[title]
    found = names(block)
    assert found, f'no config for {block["configs"]}'
    assert slips(found[0], block) == []


@pytest.mark.slow
@pytest.mark.parametrize('title', TABLE)
def test_all_configs(title: str) -> None:
    block = TABLE[title]
    told = [slip for name in names(block) for slip in slips(name, block)]
    assert told == []


def test_a_slip_is_told() -> None:
    block = dict(values={'train_cfg.max_epochs': 299})
    (told,) = slips('dml/dml_x4_resnet32_cifar10', block)
    assert told == (
        'dml/dml_x4_resnet32_cifar10: train_cfg.max_epochs is 300, '
        'published: 299'
    )
