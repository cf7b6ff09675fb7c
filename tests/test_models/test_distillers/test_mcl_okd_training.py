"""MCL-OKD in real runners: exact resuming, any peer as plain network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from mmkd.checkpoints.read import read_checkpoint
from mmkd.cli.training import check_resumed
from mmkd.deploy import load_network_weights
from mmkd.networks import build_network
from mmkd.toys import toy_network
from tests.support.toy_cohort import cohort_config
from tests.support.toy_runner import Diary, Interruption, make_runner

SAMPLES, WIDTH = 14, 8


def model_of(**contrast: Any) -> dict[str, Any]:
    peers = [toy_network('classification', 4) for _ in range(3)]
    return cohort_config(
        'classification',
        peers,
        cohort=dict(shared=['stem', 'stage1']),
        aux_heads=dict(
            embeds=dict(
                type='mmkd.EmbeddingProjection', on='feats', embedding_dim=8
            )
        ),
        exchange=dict(
            type='mmkd.MultiViewContrastExchange',
            contrast=dict(
                type='mmkd.MemoryNCELoss',
                num_samples=SAMPLES,
                num_negatives=6,
                **contrast,
            ),
        ),
        deploy=-1,
    )


def run(work_dir: Path, stop_after: int | None = None, **options: Any) -> Any:
    torch.manual_seed(len(str(work_dir)) + bool(stop_after))
    diary = Diary(stop_after)
    runner = make_runner(
        str(work_dir),
        model_of(),
        'classification',
        steps=14,
        by_epoch=True,
        num_samples=SAMPLES,
        diary=diary,
        hooks=[dict(type='mmkd.DatasetLabelsHook')],
        **options,
    )
    if stop_after is None:
        runner.train()
    else:
        with pytest.raises(Interruption):
            runner.train()
    return runner, diary


@pytest.mark.slow
def test_resumed_run_equals_straight_run(tmp_path: Path) -> None:
    """Banks and drawn negatives, too; and any peer exports strictly."""
    straight, whole = run(tmp_path / 'a')
    run(tmp_path / 'b', stop_after=9)
    resumed, after = run(tmp_path / 'b', resume=True)
    assert sorted(after.losses) == list(range(7, 14))
    for step in range(7, 14):
        assert after.losses[step] == whole.losses[step], step
        assert after.losses[step]['loss_contrast'] > 0
        assert {'peer2.loss_kd', 'loss'} < set(after.losses[step])
        assert 'peer0.loss_kd' not in after.losses[step]
    one, two = straight.model.state_dict(), resumed.model.state_dict()
    assert f'exchanges.0.contrast.bank_{2}' in one
    for key, value in one.items():
        assert torch.equal(value, two[key]), key

    plain = build_network(toy_network('classification', 4)).eval()
    images = torch.randn(2, 3, 32, 32)
    for peer in range(3):
        load_network_weights(plain, tmp_path / 'a/epoch_2.pth', peer=peer)
        own = straight.model.cohort[peer].eval()
        assert torch.equal(
            plain(images, mode='tensor')[0], own(images, mode='tensor')[0]
        )
    assert straight.model.deployed is straight.model.cohort[2]


def resuming(path: Path, **contrast: Any) -> Any:
    config = Config(dict(model=model_of(**contrast)))
    runner = make_runner(
        str(path.parent), config.model, 'classification', resume=True
    )
    runner._load_from = str(path)
    return runner


def test_resumed_files_with_bad_banks(tmp_path: Path) -> None:
    run(tmp_path)
    path = tmp_path / 'epoch_2.pth'
    check_resumed(resuming(path))
    saved = read_checkpoint(path)
    bank = saved['state_dict']['exchanges.0.contrast.bank_1']
    bank[3, 2] = torch.nan
    broken = tmp_path / 'broken.pth'
    torch.save(saved, broken)
    with pytest.raises(
        ValueError, match=r'broken.pth: .* not finite .*bank_1'
    ):
        check_resumed(resuming(broken))
    saved['state_dict']['exchanges.0.contrast.bank_1'] = bank[:9]
    torch.save(saved, broken)
    with pytest.raises(ValueError, match=r'1 entries do not fit .*bank_1'):
        check_resumed(resuming(broken))


def test_bank_of_another_data_set(tmp_path: Path) -> None:
    runner = make_runner(
        str(tmp_path),
        model_of(),
        'classification',
        num_samples=SAMPLES + 6,
        hooks=[dict(type='mmkd.DatasetLabelsHook')],
    )
    with pytest.raises(ValueError, match='num_samples=14, .* has 20 samples'):
        runner.train()
