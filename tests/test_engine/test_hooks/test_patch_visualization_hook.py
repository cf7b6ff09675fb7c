"""Pictures of chosen patches in validation and testing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

pytest.importorskip('mmpretrain')
from mmpretrain.structures import DataSample  # noqa: E402

from mmkd.cli.config import read_config  # noqa: E402
from mmkd.engine.hooks import PatchVisualizationHook  # noqa: E402
from mmkd.networks import build_network  # noqa: E402
from mmkd.results.patch_explanation import propose  # noqa: E402
from mmkd.visualization import patches as drawing  # noqa: E402
from tests.support.patch_networks import (  # noqa: E402
    SIZE,
    build,
    cascade,
    classifier,
    patch_classifier,
)


class Pictures:
    """Keeps what is added."""

    dataset_meta = dict(classes=('cat', 'dog', 'cow'))

    def __init__(self) -> None:
        self.found: dict[tuple[str, int], np.ndarray] = {}

    def add_image(self, name: str, image: np.ndarray, step: int = 0) -> None:
        self.found[name, step] = image


def draw(
    model: Any, hook: PatchVisualizationHook, images: torch.Tensor
) -> Pictures:
    """Two batches of three images."""
    runner: Any = SimpleNamespace(
        model=model.float().eval(),
        visualizer=Pictures(),
        train_loop=None,
        epoch=4,
    )
    hook.before_run(runner)
    hook.before_val_epoch(runner)
    for turn, part in enumerate(images.split(3)):
        samples = [DataSample().set_gt_label(1) for _ in part]
        batch = dict(inputs=list(part), data_samples=samples)
        outputs = model.val_step(batch)
        hook.after_val_iter(runner, turn, batch, outputs)
    return runner.visualizer


@pytest.mark.parametrize('kind', ['patches', 'cascade'])
def test_every_nth_image_with_windows_and_scores(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = []
    panel = drawing.windows_panel

    def kept(row: Any) -> np.ndarray:
        rows.append(row)
        return panel(row)

    monkeypatch.setattr(drawing, 'windows_panel', kept)
    model = build(
        patch_classifier()
        if kind == 'patches'
        else cascade(exit_thresholds=[0, 0, 0, 0])
    )
    images = torch.randint(
        0, 256, (6, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(2)
    ).byte()
    found = draw(model, PatchVisualizationHook(interval=2), images).found
    assert list(found) == [(f'patches_{k}', 4) for k in (0, 2, 4)]
    for row, number in zip(rows, (0, 2, 4), strict=True):
        pixels = images[number].permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(row['image'], pixels)
        one = images[number][None].float()
        (features,) = model.proposal.backbone(one)
        fc = model.proposal.head.fc
        label = int(fc(features.mean((2, 3))).argmax())
        evidence = torch.einsum('chw,c->hw', features[0], fc.weight[label])
        cells = row['boxes'][:, :2] // 8
        wanted = evidence[cells[:, 0], cells[:, 1]] / evidence.numel()
        np.testing.assert_allclose(
            row['scores'], wanted.detach().numpy(), rtol=1e-4
        )
        assert row['scores'].argmax() == 0
        # all leave this cascade before the first window
        assert row['stage'] == (4 if kind == 'patches' else 1)
        truth, predicted = row['title'].split(': ')
        assert truth == 'dog'
        assert predicted in ('cat', 'dog', 'cow')
    picture = found['patches_0', 4]
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    moved = dict(rows[0], boxes=rows[0]['boxes'][::-1])
    assert not np.array_equal(panel(moved), picture)


def test_scores_and_bias_add_up_to_the_logit() -> None:
    model = build(patch_classifier())
    image = torch.rand(1, 3, SIZE, SIZE, dtype=torch.float64)
    found = propose(model, image)
    logits = model.proposal(image)[0]
    assert found.label == int(logits.argmax())
    total = found.evidence.sum() + found.bias
    assert total == pytest.approx(float(logits.max().detach()))


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r'interval=0.*number of images'):
        PatchVisualizationHook(interval=0)
    runner: Any = SimpleNamespace(model=build(classifier()))
    with pytest.raises(TypeError, match=r'ImageClassifier.*custom_hooks'):
        PatchVisualizationHook().before_run(runner)


@pytest.mark.slow
def test_pictures_of_a_run(tmp_path: Path) -> None:
    proposal = build_network('mmkd::anchornet/toy_proposal.py')
    torch.save(proposal.state_dict(), tmp_path / 'proposal.pth')
    config = read_config('mmkd::anchornet/toy_patch.py')
    config.merge_from_dict(
        dict(
            work_dir=str(tmp_path / 'run'),
            custom_hooks=[
                dict(type='mmkd.PatchVisualizationHook', interval=3)
            ],
            model=dict(
                proposal=dict(checkpoint=str(tmp_path / 'proposal.pth'))
            ),
            test_dataloader=dict(batch_size=2, dataset=dict(num_samples=7)),
            log_level='ERROR',
            experiment_name='pictures_of_patches',
        )
    )
    # files are written by the run's own visualizer
    config.visualizer.name = 'pictures_of_patches'
    Runner.from_cfg(config).test()
    files = sorted(p.name for p in tmp_path.rglob('vis_image/*.png'))
    assert files == [f'patches_{k}_0.png' for k in (0, 3, 6)]
