"""Mean IoU in both conventions, and the task loss, as published."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip('mmseg')
from mmengine.structures import PixelData  # noqa: E402
from mmseg.models.losses import CrossEntropyLoss  # noqa: E402
from mmseg.models.utils import resize  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402

from mmkd.evaluation.both_means_iou_metric import (  # noqa: E402
    BothMeansIoUMetric,
)


@pytest.mark.parametrize('nan_to_num', [None, 0])
def test_golden_of_three_images(golden: Any, nan_to_num: Any) -> None:
    case = golden('seg_baselines', '15_metric_miou')
    metric = BothMeansIoUMetric(ignore_index=-1, nan_to_num=nan_to_num)
    metric.dataset_meta = dict(classes=list('abcdef'))
    for k in range(3):
        sample = SegDataSample(
            gt_sem_seg=PixelData(
                data=torch.from_numpy(case[f'img{k}_labels'])
            ),
            pred_sem_seg=PixelData(
                data=torch.from_numpy(case[f'img{k}_logits']).argmax(1)
            ),
        )
        metric.process({}, [sample.to_dict()])
    found = metric.evaluate(3)
    both = dict(
        all=float(case['miou_reference']), present=float(case['miou_nanmean'])
    )
    for key, value in both.items():
        assert found[f'mIoU_{key}'] == pytest.approx(100 * value, abs=0.005)
    used = 'present' if nan_to_num is None else 'all'
    assert found['mIoU'] == found[f'mIoU_{used}']


def test_golden_task_loss(golden: Any) -> None:
    """As the heads of the configs compute it."""
    case = golden('seg_baselines', '14_task_loss')
    labels = torch.from_numpy(case['labels'])
    total = 0.0
    for kind, weight in (('main', 1.0), ('aux', float(case['aux_weight']))):
        logits = torch.from_numpy(case[f'{kind}_logits']).requires_grad_()
        large = resize(
            logits, labels.shape[1:], mode='bilinear', align_corners=True
        )
        loss = CrossEntropyLoss(avg_non_ignore=True)(
            large, labels, ignore_index=int(case['ignore_index'])
        )
        assert loss.item() == pytest.approx(
            float(case[f'loss_{kind}']), rel=1e-5
        )
        (grad,) = torch.autograd.grad(weight * loss, logits)
        wanted = torch.from_numpy(case[f'grad_{kind}'])
        assert (grad - wanted).abs().max() <= 3e-5 * wanted.abs().max()
        total += weight * loss.item()
    assert total == pytest.approx(float(case['loss_total']), rel=1e-5)
