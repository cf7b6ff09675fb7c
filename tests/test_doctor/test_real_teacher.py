"""A pretrained network under the usual normalisation, which is not its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from mmkd.apis.doctor import examine_config
from mmkd.doctor import Report
from mmkd.toys import toy_classifier

pytest.importorskip('mmpretrain')

from mmpretrain.models.classifiers import (  # noqa: E402
    BaseClassifier,
    TimmClassifier,
)
from mmpretrain.registry import MODELS  # noqa: E402

from tests.support.lite0 import Lite0  # noqa: E402

pytestmark = pytest.mark.slow

#: ImageNet's numbers of Imagenette's folders, in their order
NUMBERS = (0, 217, 482, 491, 497, 566, 569, 571, 574, 701)
USUAL = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
OWN = dict(mean=[127.0] * 3, std=[128.0] * 3)


@MODELS.register_module(force=True)
class Lite0Classifier(TimmClassifier):
    """`Lite0` as mmpretrain wraps networks of other libraries."""

    def __init__(self, data_preprocessor: Any, init_cfg: Any = None) -> None:
        BaseClassifier.__init__(
            self, init_cfg=init_cfg, data_preprocessor=data_preprocessor
        )
        self.model = Lite0()
        self.loss_module = MODELS.build(dict(type='CrossEntropyLoss'))
        self._register_state_dict_hook(self._remove_state_dict_prefix)
        self._register_load_state_dict_pre_hook(self._add_state_dict_prefix)


def report_of(
    root: Path,
    folder: Path,
    teacher: dict[str, Any],
    draw: int | None = None,
    **changes: Any,
) -> Report:
    """Examine a toy student under the teacher with these pixels.

    Args:
        root: of the data.
        folder: for a list of images.
        teacher: mean and std.
        draw: 0 to 9, five validation images of every class; None: training
            images.
        **changes: of the teacher's preprocessor.
    """
    images = root / 'imagenette' / ('train' if draw is None else 'val')
    chosen = slice(None) if draw is None else slice(5 * draw, 5 * draw + 5)
    lines = [
        f'{path.parent.name}/{path.name} {number}'
        for number, wnid in zip(NUMBERS, sorted(images.iterdir()), strict=True)
        for path in sorted(wnid.iterdir())[chosen]
    ]
    (folder / 'list.txt').write_text('\n'.join(lines))
    student = toy_classifier(4, num_classes=1000)
    student.data_preprocessor.update(USUAL)
    pixels = dict(type='ClsDataPreprocessor', to_rgb=True, num_classes=1000)
    loader = dict(
        batch_size=16,
        sampler=dict(type='DefaultSampler', shuffle=True),
        dataset=dict(
            type='CustomDataset',
            ann_file=str(folder / 'list.txt'),
            data_prefix=str(images),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='ResizeEdge', scale=256, edge='short'),
                dict(type='CenterCrop', crop_size=224),
                dict(type='PackInputs'),
            ],
        ),
    )
    model = dict(
        type='mmkd.OfflineDistiller',
        student=student,
        teacher=dict(
            config=dict(
                type='Lite0Classifier',
                _scope_='mmpretrain',
                data_preprocessor=pixels | teacher | changes,
            ),
            checkpoint=str(root / 'teachers/tf_efficientnet_lite0.pth'),
        ),
        taps=dict(logits=dict(student='head.fc', teacher='model.classifier')),
        losses=dict(
            kd=dict(type='mmkd.KLDivLoss', on='logits', temperature=4.0)
        ),
    )
    torch.manual_seed(0)
    return examine_config(
        Config(
            dict(
                default_scope='mmpretrain',
                model=model,
                train_dataloader=loader,
            )
        )
    )


def causes(report: Report) -> list[str]:
    assert not report.skipped
    return [finding.cause for finding in report.findings]


def test_usual_normalization_is_found_wrong(
    data_root: Path, tmp_path: Path
) -> None:
    report = report_of(data_root, tmp_path, USUAL)
    assert causes(report) == ['teacher-normalization']
    finding = report.findings[0]
    assert finding.right > report.scores['teacher']
    assert '127' in finding.text


def test_own_normalization_is_right(data_root: Path, tmp_path: Path) -> None:
    report = report_of(data_root, tmp_path, OWN)
    assert causes(report) == []
    assert report.scores['teacher'] > 0.6


def test_swapped_colours_are_found(data_root: Path, tmp_path: Path) -> None:
    report = report_of(data_root, tmp_path, OWN, to_rgb=False)
    assert causes(report) == ['teacher-colours-swapped']
