"""All module paths of a config's networks, the places for taps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from mmkd.checkpoints.verify import random_inputs, raw_outputs
from mmkd.deploy import deployed_network
from mmkd.networks import build_network, network_dict, networks_of

NOT_CALLED = 'not called'
OVERWRITTEN = '(overwritten)'
LEGEND = (
    f'{NOT_CALLED}: a container, or serves training alone: no tap here\n'
    f'{OVERWRITTEN}: by an in-place layer that follows: tap its output'
)


@dataclass
class Row:
    """One module of a network."""

    path: str
    kind: str
    parameters: int
    inputs: str = ''
    outputs: str = NOT_CALLED
    kept: list[tuple[torch.Tensor, int]] = field(default_factory=list)

    def record(self, args: Any, result: Any) -> None:
        """Note a call; a tap on a module called several times is a list."""
        called = self.outputs != NOT_CALLED
        self.inputs = f'{self.inputs} {shapes(args)}'.lstrip()
        self.outputs = f'{self.outputs if called else ""} {shapes(result)}'
        self.outputs = self.outputs.lstrip()
        self.kept += [(t, t._version) for t in tensors(result)]

    def finish(self) -> None:
        """Note outputs that a later layer overwrote; free them."""
        if any(t._version != version for t, version in self.kept):
            self.outputs += f' {OVERWRITTEN}'
        self.kept = []


def tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from tensors(entry)


def shapes(value: Any) -> str:
    found = [str(tuple(tensor.shape)) for tensor in tensors(value)]
    return ' '.join(found) or type(value).__name__


def networks(config: Config) -> dict[str, dict[str, Any]]:
    """Return the config's networks by role."""
    model = config.model
    student = deployed_network(config)
    labels = list(networks_of(model))
    if not labels:
        return {'network': student}
    if len(labels) > 1:
        return {
            label: deployed_network(config, k)
            for k, label in enumerate(labels)
        }
    found = {'student': student}
    teachers = model.get('teacher') or []
    if isinstance(teachers, dict):
        teachers = [teachers]
    for index, teacher in enumerate(teachers):
        if 'config' not in teacher:
            continue  # it follows the student
        spec = teacher['config']
        if isinstance(spec, str):
            spec = dict(config=spec, cfg_options=teacher.get('cfg_options'))
        role = 'teacher' if len(teachers) == 1 else f'teacher{index}'
        found[role] = network_dict(spec, student['_scope_'])
    return found


def list_modules(
    spec: dict[str, Any], input_shape: Sequence[int] | None
) -> tuple[list[Row], tuple[int, ...]]:
    """Return a row for every module, and the shape of the input.

    Raises:
        ValueError: the network does not run on such an input.
    """
    network = build_network(spec)
    inputs = random_inputs(network, input_shape)
    try:
        rows = run(network.to('meta'), inputs.to('meta'))
    except Exception:  # an operator or a tensor without a meta form
        rows = run(build_network(spec), inputs)
    return rows, tuple(inputs.shape)


def run(network: nn.Module, inputs: torch.Tensor) -> list[Row]:
    rows = []
    for path, module in network.named_modules():
        if not path or path.startswith('data_preprocessor'):
            continue
        count = sum(p.numel() for p in module.parameters())
        row = Row(path, type(module).__name__, count)
        rows.append(row)
        module.register_forward_hook(
            lambda _, args, kwargs, result, row=row: row.record(
                args or tuple(kwargs.values()), result
            ),
            with_kwargs=True,
        )
    with torch.no_grad():
        raw_outputs(network.eval(), inputs)
    for row in rows:
        row.finish()
    return rows


def table(rows: list[Row]) -> str:
    header = ('path', 'class', 'parameters', 'input', 'output')
    cells = [
        (row.path, row.kind, f'{row.parameters:,}', row.inputs, row.outputs)
        for row in rows
    ]
    widths = [max(len(line[i]) for line in (header, *cells)) for i in range(5)]
    lines = [
        '  '.join(
            cell.rjust(width) if index == 2 else cell.ljust(width)
            for index, (cell, width) in enumerate(
                zip(line, widths, strict=True)
            )
        ).rstrip()
        for line in (header, *cells)
    ]
    return '\n'.join(lines)
