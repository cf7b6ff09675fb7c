"""How a teacher runs: precision, memory format, compiled parts."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from torch import nn

from mmkd.models.distillers.compiling import compile_between


def logits_of(distiller: Any, data: dict[str, Any]) -> torch.Tensor:
    """What the teacher's tap gives for a batch."""
    return distiller.run(**data).tensors['teacher']['logits']


@pytest.fixture
def compare(build: Any, batch: Any, teacher_of: Any) -> Any:
    """Taps of a teacher with other settings, and of the plain one."""

    def run(**settings: Any) -> tuple[torch.Tensor, torch.Tensor, Any]:
        plain = build().train()
        data = batch(plain, 'segmentation')
        teacher = dict(teacher_of('segmentation'), **settings)
        other = build(teacher=teacher).train()
        return logits_of(other, data), logits_of(plain, data), other

    return run


@pytest.mark.parametrize(
    ('settings', 'tolerance'),
    [
        (dict(channels_last=True), 1e-5),
        (dict(compile=dict(backend='eager')), 0),
        (dict(compile=dict(backend='eager'), channels_last=True), 1e-5),
        (dict(dtype='bfloat16', channels_last=True), 0.1),
    ],
)
def test_what_the_taps_read_stays(
    compare: Any, settings: dict, tolerance: float
) -> None:
    found, plain, other = compare(**settings)
    scale = float(plain.abs().max())
    torch.testing.assert_close(
        found.float(), plain, rtol=0, atol=tolerance * scale
    )
    network = other.teachers[0].network
    if settings.get('channels_last'):
        weight = network.backbone.conv1.weight
        assert weight.is_contiguous(memory_format=torch.channels_last)
    assert 'compil' not in str(other.state_dict().keys())


def test_parts_between_taps_are_compiled() -> None:
    torch.compiler.reset()  # what other tests have compiled
    inner = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    network = nn.Sequential(nn.Linear(2, 2), inner, nn.ModuleList([inner]))
    ran: list[int] = []

    def backend(graph: Any, inputs: Any) -> Any:
        ran.append(1)
        return graph.forward

    seen: list[torch.Tensor] = []
    found = compile_between(network, ['1.0'], dict(backend=backend))
    assert found == ['0', '1.0', '1.1']  # not 1, which holds the tap
    for path in found:
        network.get_submodule(path)
    handle = inner[0].register_forward_hook(
        lambda module, args, output: seen.append(output)
    )
    inputs = torch.randn(3, 2)
    output = nn.Sequential(network[0], network[1])(inputs)
    handle.remove()
    assert len(ran) == 3 and len(seen) == 1
    assert output.equal(seen[0].relu())


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(compile='fast'), "teacher.compile='fast' must be True"),
        (dict(compile=dict(speed=9)), 'teacher.compile=.*speed'),
        (dict(chanels_last=True), 'chanels_last; nearest: channels_last'),
    ],
)
def test_mistakes(
    build: Any, teacher_of: Any, settings: dict, words: str
) -> None:
    with pytest.raises((TypeError, KeyError), match=words):
        build(teacher=dict(teacher_of('segmentation'), **settings))


def test_activations_are_gone_before_the_student_runs(
    build: Any, batch: Any
) -> None:
    """Of a frozen teacher, only what the taps read stays."""
    distiller = build().train()
    data = batch(distiller, 'segmentation')
    teacher = distiller.teachers[0].network
    made: dict[str, Any] = {}
    alive: list[str] = []

    def note(name: str, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            made[name] = weakref.ref(output)

    def look(*args: Any) -> None:
        alive.extend(name for name, ref in made.items() if ref() is not None)

    handles = [
        module.register_forward_hook(
            lambda module, args, output, name=name: note(name, output)
        )
        for name, module in teacher.named_modules()
    ]
    backbone = distiller.student.backbone
    handles.append(backbone.register_forward_pre_hook(look))
    distiller.run(**data)
    for handle in handles:
        handle.remove()
    assert len(made) > 20
    # the head returns what its last layer, which is tapped, gave
    assert set(alive) <= {'', 'decode_head', 'decode_head.conv_seg'}


def test_taps_are_gone_before_backward(build: Any, batch: Any) -> None:
    """But for what the losses keep for their gradient."""
    distiller = build()
    data = batch(distiller.train(), 'segmentation')
    losses = distiller.loss(**data)
    assert distiller._last_run is not None  # for messages of what is wrong
    distiller.parse_losses(losses)
    assert distiller._last_run is None
