"""Configs of AnchorNet: published constants, costs, a run of the toys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip('mmpretrain')
from mmengine.config import Config  # noqa: E402
from mmengine.optim import OptimWrapper  # noqa: E402
from mmengine.registry import PARAM_SCHEDULERS as SCHEDULERS  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402

from mmkd.registry import MODELS  # noqa: E402

FOLDER = Path(__file__).parents[2] / 'configs' / 'anchornet'
GOLDEN = Path(__file__).parents[1] / 'golden' / 'anchornet'
NAMES = sorted(path.stem for path in FOLDER.glob('*.py'))
# 10^9 multiply-adds of a classifier at 95x95
MACS = dict(
    resnet18=0.334,
    resnet34=0.673,
    resnet50=0.753,
    densenet121=0.521,
    densenet169=0.618,
    densenet201=0.790,
)


@pytest.fixture(autouse=True)
def _scope() -> Any:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def load(name: str) -> Config:
    return Config.fromfile(FOLDER / f'{name}.py')


def build(config: Config) -> Any:
    preprocessor = config.data_preprocessor
    return MODELS.build(dict(config.model, data_preprocessor=preprocessor))


def rates(config: Config, epochs: int) -> list[float]:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = dict(config.optim_wrapper.optimizer)
    optimizer.pop('type')
    wrapper = OptimWrapper(torch.optim.SGD([parameter], **optimizer))
    scheduler = SCHEDULERS.build(
        dict(config.param_scheduler), default_args=dict(optimizer=wrapper)
    )
    found = []
    for _ in range(epochs):
        found.append(wrapper.param_groups[0]['lr'])
        parameter.grad = torch.zeros(1)
        wrapper.step()
        scheduler.step()
    return found


def test_rates_are_the_authors() -> None:
    import numpy as np

    with np.load(GOLDEN / 'schedules.npz') as case:
        steps = case['anchornet_multistep'].tolist()
        cosine = case['downstream_cosine'].tolist()
    assert rates(load('proposal_in1k'), 100) == pytest.approx(steps, abs=1e-9)
    for name in ('global_resnet50_in1k', 'patch_densenet201_in1k'):
        assert rates(load(name), 30) == pytest.approx(cosine, abs=1e-9)


def test_published_settings() -> None:
    proposal = load('proposal_in1k')
    patch, cascade = (
        load('patch_densenet201_in1k'),
        load('dynamic_densenet201_in1k'),
    )
    for config in (proposal, patch, load('global_densenet201_in1k')):
        assert config.train_dataloader.batch_size == 256
        assert config.optim_wrapper.optimizer.weight_decay == 1e-4
        assert 'paramwise_cfg' not in config.optim_wrapper
        resize = config.train_dataloader.dataset.pipeline[1]
        assert (resize.scale, resize.backend) == (224, 'pillow')
    assert proposal.optim_wrapper.optimizer.nesterov
    assert 'nesterov' not in patch.optim_wrapper.optimizer
    for model in (patch.model, cascade.model):
        assert model.selector.num_patches == 4
        assert model.selector.iou_thresholds == 0.3
        assert model.selector.accept_top_left
    assert patch.model.test_patches == 'five_crops'
    network = build(proposal)
    count = sum(p.numel() for p in network.parameters())
    assert count == 674_696


@pytest.mark.slow
@pytest.mark.parametrize('network', MACS)
def test_costs_are_the_published(network: str) -> None:
    cascade = build(load(f'dynamic_{network}_in1k'))
    first, *later = cascade.costs(torch.zeros(1, 3, 224, 224))
    assert first / 1e9 == pytest.approx(MACS[network], abs=6e-4)
    assert later[0] == 2 * first + 60_538_544


@pytest.mark.parametrize(
    'name', [n for n in NAMES if 'densenet' not in n and 'resnet' not in n]
)
def test_builds(name: str) -> None:
    network = build(load(name))
    assert network.data_preprocessor is not None


def test_every_network_has_its_stages() -> None:
    for network in MACS:
        for stage in ('global', 'patch', 'dynamic'):
            assert f'{stage}_{network}_in1k' in NAMES
    for stage in ('proposal', 'full', 'global', 'patch', 'dynamic'):
        assert {f'toy_{stage}', f'cpu_{stage}_imagenette'} <= set(NAMES)
