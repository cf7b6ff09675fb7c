"""The stages of AnchorNet, through tools/train.py and tools/test.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip('mmpretrain')

from mmkd.checkpoints.read import read_checkpoint  # noqa: E402
from mmkd.networks import build_network  # noqa: E402

pytestmark = pytest.mark.slow
SHORT = [
    '--cfg-options',
    'train_dataloader.dataset.num_samples=56',
    'val_dataloader.dataset.num_samples=20',
    'test_dataloader.dataset.num_samples=20',
    'train_cfg.max_epochs=1',
    'train_cfg.val_interval=1',
]


def test_the_toy_chain(tool: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    train, cascade = tool('train').main, tool('patch_cascade').main
    files = {}
    for stage in ('proposal', 'global', 'patch'):
        options = [*SHORT]
        if stage == 'patch':
            options.append(f'model.proposal.checkpoint={files["proposal"]}')
        train([f'mmkd::anchornet/toy_{stage}.py', *options])
        files[stage] = f'work_dirs/toy_{stage}/epoch_1.pth'
        assert Path(files[stage]).is_file()
    patch = read_checkpoint(files['patch'])['state_dict']
    proposal = read_checkpoint(files['proposal'])['state_dict']
    for key, value in proposal.items():
        assert torch.equal(patch[f'proposal.{key}'], value), key
    config = 'mmkd::anchornet/toy_dynamic.py'
    parts = [
        'test_dataloader.dataset.num_samples=20',
        f'model.proposal.checkpoint={files["proposal"]}',
        f'model.global_net.checkpoint={files["global"]}',
        f'model.patch_net.checkpoint={files["patch"]}',
    ]
    cascade(['assemble', config, 'cascade.pth', '--cfg-options', *parts])
    tool('test').main(
        [config, 'cascade.pth', '--out', 'test.json',
         '--cfg-options', *parts]
    )  # fmt: skip
    metrics = json.loads(Path('test.json').read_text())
    shares = [v for k, v in metrics.items() if 'exit' in k]
    assert sum(shares) == pytest.approx(100)
    assert 0 <= metrics['dynamic/top1'] <= 100
    dense = build_network('mmkd::anchornet/toy_full.py')
    plain = {k: v for k, v in patch.items() if not k.startswith('proposal.')}
    dense.load_state_dict(plain, strict=True)


def test_a_proposal_of_other_classes_stops_before_training(
    tool: Any, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    network = build_network(
        dict(
            config='mmkd::anchornet/toy_proposal.py',
            cfg_options={'model.head.num_classes': 5},
        )
    )
    torch.save(network.state_dict(), 'other.pth')
    main = tool('train').main
    config = 'mmkd::anchornet/toy_patch.py'
    for file, message in (
        ('other.pth', 'head.fc.weight is (5, 64)'),
        ('none.pth', 'none.pth'),
    ):
        with pytest.raises(SystemExit):
            main([config, *SHORT, f'model.proposal.checkpoint={file}'])
        assert message in capsys.readouterr().err
