"""bfloat16 training on a CPU."""

from __future__ import annotations

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmkd.engine import AutocastOptimWrapper


class Toy(BaseModel):
    """Records the type of its activations."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)
        )
        self.seen = None

    def forward(self, inputs, data_samples=None, mode='loss'):
        logits = self.layers(inputs)
        self.seen = logits.dtype
        loss = nn.functional.cross_entropy(logits, data_samples)
        return dict(loss=loss)


def build(kind, model, **options):
    optimizer = dict(type='SGD', lr=0.1, momentum=0.9)
    return build_optim_wrapper(
        model, dict(type=kind, optimizer=optimizer, **options)
    )


def train(kind, steps=20, **options):
    torch.manual_seed(0)
    model = Toy()
    wrapper = build(kind, model, **options)
    inputs, labels = torch.randn(32, 8), torch.arange(32) % 4
    data = dict(inputs=inputs, data_samples=labels)
    losses = [
        model.train_step(data, wrapper)['loss'].item() for _ in range(steps)
    ]
    return model, wrapper, losses


def test_trains_nearly_as_float32():
    model, wrapper, losses = train('mmkd.AutocastOptimWrapper')
    assert isinstance(wrapper, AutocastOptimWrapper)
    assert model.seen == torch.bfloat16
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    momenta = wrapper.optimizer.state.values()
    assert {m['momentum_buffer'].dtype for m in momenta} == {torch.float32}
    exact, _, expected = train('OptimWrapper')
    assert exact.seen == torch.float32
    assert losses != expected
    assert losses == pytest.approx(expected, rel=0.02)
    assert losses[-1] < 0.9 * losses[0]


def test_checkpoint_is_that_of_the_stock_wrapper():
    _, wrapper, _ = train('mmkd.AutocastOptimWrapper', steps=2)
    _, stock, _ = train('OptimWrapper', steps=2)
    assert wrapper.state_dict().keys() == stock.state_dict().keys()
    stock.load_state_dict(wrapper.state_dict())


def test_stock_options_work():
    _, wrapper, losses = train(
        'mmkd.AutocastOptimWrapper',
        accumulative_counts=2,
        clip_grad=dict(max_norm=1.0),
        dtype='bfloat16',
    )
    assert wrapper._inner_count == 20
    assert losses[0] == losses[1]  # no update after the first half
    assert losses[2] < losses[1]


def test_forward_without_gradients_before():
    model = Toy()
    wrapper = build('mmkd.AutocastOptimWrapper', model, cache_enabled=False)
    inputs, labels = torch.randn(4, 8), torch.arange(4)
    with wrapper.optim_context(model):
        assert not torch.is_autocast_cache_enabled()
        with torch.no_grad():
            model(inputs, labels)
        loss = model(inputs, labels)['loss']
    assert torch.is_autocast_cache_enabled()
    assert loss.dtype == torch.float32
    loss.backward()
    assert model.layers[0].weight.grad.abs().sum() > 0


def test_other_types_are_refused():
    with pytest.raises(ValueError, match="dtype='float16'.*AmpOptimWrapper"):
        build('mmkd.AutocastOptimWrapper', Toy(), dtype='float16')
