"""The documented way from a folder of CIFAR images to a backbone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from PIL import Image

pytest.importorskip('mmpretrain')
from mmkd.checkpoints.read import read_checkpoint  # noqa: E402
from mmkd.networks import build_network  # noqa: E402

FOLDER = Path(__file__).parents[2] / 'configs' / 'feature_distillation'
CHANGES = """
_base_ = [{base!r}]
backbone = dict(type='ResNet', depth=18, stem_channels=8, base_channels=8,
                out_indices=(3,))
model = dict(
    student=dict(backbone=backbone),
    teacher=dict(model=dict(_delete_=True, type='ImageClassifier',
                            backbone=dict(type='ResNet', depth=18)),
                 size=32, dtype=None),
    losses=dict(classes=dict(queue_size=32)), input_shape=(3, 64, 64))
train_dataloader = dict(batch_size=8, num_workers=0,
                        persistent_workers=False)
train_cfg = dict(max_epochs=1)
default_hooks = dict(logger=dict(interval=1))
"""


@pytest.mark.slow
def test_cifar_images_without_labels(
    tool: Callable[[str], Any],
    data_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ('00_apple', '01_aquarium_fish'):
        strip = Image.open(data_root / f'cifar100/train/{name}.webp')
        for k in range(8):
            path = tmp_path / 'photos' / f'{name}_{k}.png'
            path.parent.mkdir(exist_ok=True)
            strip.crop((0, 32 * k, 32, 32 * k + 32)).save(path)
    monkeypatch.setenv('DATA', str(tmp_path / 'photos'))
    config = tmp_path / 'cifar_folder.py'
    base = FOLDER / 'resnet50_dinov2_vits14_folder.py'
    config.write_text(CHANGES.format(base=str(base)))
    run = tmp_path / 'run'
    tool('train').main([str(config), '--work-dir', str(run)])
    tool('publish_backbone').main(
        [str(run / 'student.pth'), str(tmp_path / 'backbone.pth')]
    )
    student = Config.fromfile(config).model.student
    start = dict(
        type='Pretrained',
        checkpoint=str(tmp_path / 'backbone.pth'),
        prefix='backbone.',
    )
    student.backbone.init_cfg = start
    network: Any = build_network(student)
    network.init_weights()
    trained = read_checkpoint(run / 'student.pth')['state_dict']
    weights = network.backbone.state_dict()
    assert len(weights) > 50
    for key, value in weights.items():
        assert torch.equal(value, trained[f'backbone.{key}']), key
