"""Configs of OKDHP: structures, published settings, what is learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip('mmpose')

from mmengine.config import Config  # noqa: E402
from mmengine.registry import MODELS, DefaultScope  # noqa: E402

FOLDER = Path(__file__).parents[2] / 'configs' / 'okdhp'
NAMES = sorted(path.stem for path in FOLDER.glob('*.py'))
COHORTS = [name for name in NAMES if 'okdhp_hourglass' in name]
DATA = {
    'mpii': (16, (256, 256), (64, 64)),
    'coco-256x192': (17, (192, 256), (48, 64)),
}


@pytest.fixture(autouse=True)
def _scope() -> Any:
    with DefaultScope.overwrite_default_scope('mmpose'):
        yield


def config_of(name: str) -> Config:
    return Config.fromfile(FOLDER / f'{name}.py')


def test_every_published_row_has_a_config() -> None:
    assert len(COHORTS) == 6
    assert len([name for name in NAMES if name.startswith('baseline')]) == 9
    for target, own in ((2, 1), (4, 2), (8, 4)):
        for data, (joints, size, maps) in DATA.items():
            alone = config_of(f'baseline_hourglass{target}_{data}')
            config = config_of(f'okdhp_hourglass{target}_{data}')
            cohort = config.model.cohort
            assert cohort.shared_stacks == target // 2
            assert tuple(cohort.individual_stacks) == (own,) * 3
            assert cohort.peer.to_dict() == alone.model.to_dict()
            backbone, head = alone.model.backbone, alone.model.head
            assert backbone.num_stacks == head.num_stages == target
            assert backbone.out_channels == head.out_channels == joints
            assert head.decoder == config.codec
            pipeline = config.train_dataloader.dataset.pipeline
            assert pipeline[5].encoder == config.codec
            assert config.codec.input_size == size
            assert config.codec.heatmap_size == maps
            milestones = (
                [120, 140] if (target, joints) == (8, 16) else [90, 120]
            )
            assert config.param_scheduler[0].milestones == milestones
            assert config.train_cfg.max_epochs == (
                150 if joints == 16 else 140
            )


@pytest.mark.slow
@pytest.mark.parametrize(
    'name',
    [
        'okdhp_unbalanced_hourglass4_coco-256x192',
        'okdhp_released_hourglass4_mpii',
        'toy_okdhp',
        'cpu_okdhp_lspet',
    ],
)
def test_cohorts_of_hourglasses_are_built(name: str) -> None:
    config = config_of(name)
    config.model.cohort.peer.backbone.feat_channels = 8
    model = MODELS.build(config.model)
    cohort = config.model.cohort
    counts = [len(peer.backbone.stacks) for peer in model.cohort.peers]
    assert counts == [
        cohort.shared_stacks + n for n in cohort.individual_stacks
    ]
    shared = model.cohort[0].backbone.stacks[cohort.shared_stacks - 1]
    assert model.cohort[2].backbone.stacks[cohort.shared_stacks - 1] is shared


@pytest.mark.slow
@pytest.mark.parametrize('encoder', ['res18', 'mobilenetv2', 'shufflenetv2'])
def test_light_networks_share_the_whole_encoder(encoder: str) -> None:
    config = config_of(f'okdhp_{encoder}_mpii')
    for peer in config.model.cohort.peers:
        peer.backbone.init_cfg = None
    model = MODELS.build(config.model)
    first, *others = model.cohort.peers
    assert all(other.backbone is first.backbone for other in others)
    assert len({id(peer.head) for peer in model.cohort.peers}) == 3
    unit = model.exchanges[0].aggregation
    assert unit.convs[0][0].in_channels == first.head.in_channels


@pytest.mark.slow
@pytest.mark.parametrize('name', NAMES)
def test_every_config_is_built(name: str) -> None:
    """And its networks give one map for each joint of the codec's data."""
    config = config_of(name)
    cohort = config.model.get('cohort', dict(peers=[config.model]))
    for peer in cohort.get('peers', [cohort.get('peer')]):
        peer.backbone.pop('init_cfg', None)
    model = MODELS.build(config.model).eval()
    networks = (
        list(model.cohort.peers) if 'cohort' in config.model else [model]
    )
    joints = next((n for data, (n, *_) in DATA.items() if data in name), 14)
    with torch.no_grad():
        for network in networks:
            maps = network(torch.zeros(1, 3, 64, 64), None, mode='tensor')
            last = maps[-1] if isinstance(maps, list) else maps
            assert last.shape[1:] == (joints, 16, 16)
