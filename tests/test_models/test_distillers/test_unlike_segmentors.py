"""Segmentation losses on networks of many forms, as student and teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope

pytest.importorskip('mmseg')
from mmkd.checkpoints.export import save_plain  # noqa: E402
from mmkd.checkpoints.verify import verify_export  # noqa: E402
from mmkd.networks import build_network  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402
from mmkd.toys import toy_batch, toy_segmentor  # noqa: E402
from tests.support.seg_networks import (  # noqa: E402
    NETWORKS,
    SIZE,
    mask2former,
)

TOY = 'decode_head.conv_seg'
SGD = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.001))


@pytest.fixture(autouse=True)
def _scope() -> Any:
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def losses(resize: str | None = 'teacher') -> dict[str, Any]:
    """One of every kind: logits, features, labels, with an adapter."""
    same = dict(on='feats', resize=resize)
    return dict(
        kd=dict(type='mmkd.KLDivLoss', on='logits', resize=resize),
        skd=dict(type='mmkd.PairwiseSimilarityLoss', **same),
        ifvd=dict(type='mmkd.IntraClassFeatureVariationLoss', **same),
        cwd=dict(
            type='mmkd.ChannelWiseDivergenceLoss',
            student_channels='auto',
            teacher_channels='auto',
            **same,
        ),
        csd=dict(type='mmkd.CategorySimilarityLoss', on='logits',
                 resize=resize),
    )  # fmt: skip


def distiller(
    student: Any, teacher: Any, folder: Path, paths: tuple[str, str], **k: Any
) -> Any:
    path = folder / 'teacher.pth'
    torch.save(build_network(teacher).state_dict(), path)
    sides = dict(zip(('student', 'teacher'), paths, strict=True))
    return MODELS.build(
        dict(
            type='mmkd.OfflineDistiller',
            student=student,
            teacher=dict(config=teacher, checkpoint=str(path)),
            taps=dict(
                logits=sides,
                feats={side: f'{p}:input' for side, p in sides.items()},
            ),
            losses=losses(**k),
            input_shape=(3, SIZE, SIZE),
        )
    )


def check_training_and_export(
    model: Any, plain: Any, folder: Path, names: Any = None
) -> None:
    wrapper = build_optim_wrapper(model, SGD)
    model.train()
    for _ in range(2):
        logs = model.train_step(
            toy_batch('segmentation', 2, (SIZE, SIZE)), wrapper
        )
        for name in losses() if names is None else names:
            assert logs[f'loss_{name}'].isfinite(), name
    path = folder / 'student.pth'
    save_plain(model.deployed, path)
    inputs = torch.randn(2, 3, SIZE, SIZE)
    verify_export(path, model.deployed, build_network(plain), inputs)


@pytest.mark.slow
@pytest.mark.parametrize('name', NETWORKS)
def test_as_student(name: str, tmp_path: Path) -> None:
    make, path = NETWORKS[name]
    model = distiller(make(), toy_segmentor(4), tmp_path, (path, TOY))
    check_training_and_export(model, make(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('name', NETWORKS)
def test_as_teacher(name: str, tmp_path: Path) -> None:
    make, path = NETWORKS[name]
    model = distiller(toy_segmentor(4), make(), tmp_path, (TOY, path))
    check_training_and_export(model, toy_segmentor(4), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('role', ['student', 'teacher'])
def test_mask2former_gives_dense_features(role: str, tmp_path: Path) -> None:
    """It has no logits per pixel; the decoder's mask features are dense."""
    taught = role == 'student'
    networks = [mask2former(), toy_segmentor(4)]
    paths = ['decode_head.pixel_decoder[0]', f'{TOY}:input']
    if not taught:
        networks.reverse()
        paths.reverse()
    path = tmp_path / 'teacher.pth'
    torch.save(build_network(networks[1]).state_dict(), path)
    own = {k: v for k, v in losses().items() if v['on'] == 'feats'}
    model = MODELS.build(
        dict(
            type='mmkd.OfflineDistiller',
            student=networks[0],
            teacher=dict(config=networks[1], checkpoint=str(path)),
            taps=dict(feats=dict(student=paths[0], teacher=paths[1])),
            losses=own,
            input_shape=(3, SIZE, SIZE),
        )
    )
    plain = mask2former() if taught else toy_segmentor(4)
    check_training_and_export(model, plain, tmp_path, own)


def test_unequal_maps_name_the_cure(tmp_path: Path) -> None:
    """Stride 4 under stride 8."""
    make, path = NETWORKS['segformer']
    words = (
        r'losses.kd .*strides of the maps .*student logits 4; '
        r"teacher logits 8.*resize='teacher'"
    )
    with pytest.raises(ValueError, match=words):
        distiller(make(), toy_segmentor(4), tmp_path, (path, TOY), resize=None)
