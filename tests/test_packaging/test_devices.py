"""No tensor of a step is made on the wrong device, and few wait for it.

A scan of the sources: no GPU is needed. What a module makes when it is built
is moved with the module; what is made later names its device.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAKERS = {
    'arange', 'empty', 'eye', 'full', 'linspace', 'normal', 'ones', 'rand',
    'randint', 'randn', 'randperm', 'tensor', 'zeros',
}  # fmt: skip
WAITS = {'cpu', 'item', 'numpy', 'tolist'}
#: where things are made when a module is built or imported
BUILDING = {'', '__init__', '__post_init__'}
#: file -> functions that may, and why
MAY_MAKE = {
    'distillers/batch.py': {'hard_loss'},  # the rehearsal's, on the CPU
    'distillers/deployment.py': {'set_deploy'},  # a buffer
    'distillers/exchange_parts.py': {'losses'},  # the ramp, logged only
    'distillers/normalization.py': {'pixel_constants'},  # before training
    'distillers/sample_index.py': {'__call__', 'read'},  # moved by the batch
    'distillers/shrink.py': {'__call__'},  # the rehearsal's, on the CPU
    'exchanges/knowledge_collaboration_exchange.py': {'setup'},  # buffers
    'losses/adversarial_loss.py': {'_penalty'},  # drawn on the CPU, moved
    'memory/class_queue.py': {'random_queue'},  # buffers
    'memory/sample_banks.py': {'random_banks'},  # buffers
}
MAY_WAIT = {
    'classifiers/dynamic_patch_classifier.py': {'predict'},
    'classifiers/patch_selector.py': {'check_maps'},  # in an error message
    'cohorts/build.py': {'_settings'},  # before training
    'distillers/finite.py': {'check_losses'},  # once per step, and only there
    'distillers/normalization.py': {'pixel_constants'},
    'distillers/sample_index.py': {'_identity'},  # labels on the CPU only
    'pretrainers/jigsaw_heatmap.py': {
        'encode',
        '_stamped',
        'decode_slots',
        '_best_permutations',
    },
    'features/sources.py': {'_mm_source'},  # before training
    'heads/jigsaw_heatmap_head.py': {'predict'},
    'losses/label_maps.py': {'class_labels'},  # in an error message
    'memory/class_selection.py': {'_given'},  # draws that a test gives
}


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call of a file with the function that it stands in."""

    def walk(node: ast.AST, where: str) -> Iterator[tuple[str, ast.Call]]:
        if isinstance(node, ast.FunctionDef):
            where = node.name
        if isinstance(node, ast.Call):
            yield where, node
        for child in ast.iter_child_nodes(node):
            yield from walk(child, where)

    yield from walk(ast.parse(path.read_text(encoding='utf-8')), '')


def told(path: Path, makes: set[str], waits: set[str]) -> list[str]:
    found = []
    for where, call in calls(path):
        name = call.func
        if not isinstance(name, ast.Attribute):
            continue
        of_torch = (
            isinstance(name.value, ast.Name) and name.value.id == 'torch'
        )
        if of_torch and name.attr in MAKERS:
            given = {keyword.arg for keyword in call.keywords}
            if not given & {'device', None} and where not in makes | BUILDING:
                found.append(f'{path}:{call.lineno} makes without device')
        elif name.attr in WAITS and where not in waits:
            found.append(f'{path}:{call.lineno} waits by .{name.attr}()')
    return found


def test_steps_name_their_device_and_do_not_wait() -> None:
    models = ROOT / 'mmkd' / 'models'
    found = []
    for path in sorted(models.rglob('*.py')):
        key = path.relative_to(models).as_posix()
        found += told(path, MAY_MAKE.get(key, set()), MAY_WAIT.get(key, set()))
    assert found == []


def test_the_scan_finds_both(tmp_path: Path) -> None:
    path = tmp_path / 'loss.py'
    path.write_text(
        'def forward(x):\n'
        '    a = torch.zeros(3, device=x.device)\n'
        '    b = torch.zeros(3)\n'
        '    return (a + b).sum().item()\n'
    )
    assert [line.split(':')[1] for line in told(path, set(), set())] == [
        '3 makes without device',
        '4 waits by .item()',
    ]
