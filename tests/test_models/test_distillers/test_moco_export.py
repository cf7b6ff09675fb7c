"""What momentum contrast leaves: plain backbones for four repositories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmkd.checkpoints.export import export_student
from mmkd.checkpoints.read import read_checkpoint
from tests.support.toy_moco import build, mcl_config, moco_config, views

pytest.importorskip('mmpretrain')
WIDTHS = dict(stem_channels=8, base_channels=8)
NORM = dict(type='mmkd.GroupedBatchNorm', group_size=4)
RESNET = dict(type='ResNet', depth=18, zero_init_residual=False, **WIDTHS)


def network() -> dict[str, Any]:
    return dict(
        type='ImageClassifier',
        _scope_='mmpretrain',
        backbone=dict(RESNET, norm_cfg=NORM),
        neck=dict(type='GlobalAveragePooling'),
        data_preprocessor=dict(type='mmkd.MultiViewPreprocessor'),
    )


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two runs of one step: config, model and checkpoint."""
    from mmengine.optim import OptimWrapper

    folder = tmp_path_factory.mktemp('moco')
    runs = {}
    for name, make in dict(mcl=mcl_config, moco=moco_config).items():
        config = Config(
            dict(
                model=make(network=network(), input_shape=(3, 32, 32)),
                default_scope='mmpretrain',
            )
        )
        model = build(config.model.to_dict())
        sgd = torch.optim.SGD(model.parameters(), lr=0.1)
        model.train_step(views(8), OptimWrapper(sgd))
        torch.save(dict(state_dict=model.state_dict()), folder / f'{name}.pth')
        runs[name] = config, model.eval(), folder / f'{name}.pth'
    return runs


def exported(
    run: tuple[Any, Any, Path], out: Path, peer: int | None
) -> dict[str, torch.Tensor]:
    config, _, checkpoint = run
    export_student(config, checkpoint, out, input_shape=(3, 32, 32), peer=peer)
    state: dict[str, torch.Tensor] = read_checkpoint(out)['state_dict']
    return state


@pytest.mark.parametrize(
    ('name', 'peer'), [('mcl', 0), ('mcl', 1), ('moco', None)]
)
def test_any_peer_is_exported_and_loads_strictly(
    trained: Any, tmp_path: Path, name: str, peer: int | None
) -> None:
    state = exported(trained[name], tmp_path / 'out.pth', peer)
    plain = dict(network(), backbone=dict(RESNET))
    plain['data_preprocessor'] = dict(type='ClsDataPreprocessor')
    found = MODELS.build(plain)
    found.load_state_dict(state, strict=True)
    assert all(key.startswith('backbone.') for key in state)
    model = trained[name][1]
    source = model.student if peer is None else model.cohort[peer]
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(
        found.eval()(images)[0], source(images)[0], rtol=0, atol=0
    )


@pytest.mark.parametrize('scope', ['mmpretrain', 'mmseg', 'mmdet', 'mmpose'])
def test_backbone_starts_networks_of_all_repositories(
    trained: Any, tmp_path: Path, scope: str
) -> None:
    pytest.importorskip(scope)
    path = tmp_path / 'out.pth'
    state = exported(trained['mcl'], path, 1)
    backbone = dict(
        **{k: v for k, v in RESNET.items() if k != 'zero_init_residual'},
        _scope_=scope,
        norm_cfg=dict(type='BN'),
        init_cfg=dict(
            type='Pretrained', checkpoint=str(path), prefix='backbone.'
        ),
    )
    with DefaultScope.overwrite_default_scope(scope):
        found = MODELS.build(backbone)
        found.init_weights()
    own = found.state_dict()
    assert len(own) == len(state)
    for key, value in own.items():
        assert torch.equal(value, state[f'backbone.{key}']), key
