"""Encoders without a head in the tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from mmkd.deploy import deployed_network
from mmkd.networks import build_network

pytest.importorskip('mmpretrain')
ROOT = Path(__file__).parents[2]


def test_encoders_are_not_tested(
    tmp_path: Path, tool: Any, error_line: Any
) -> None:
    folder = ROOT / 'configs'
    config = Config.fromfile(folder / 'mcl_moco' / 'toy_moco.py')
    labelled = Config.fromfile(folder / 'mcl' / 'toy_baseline.py')
    for key in ('test_dataloader', 'test_evaluator', 'test_cfg'):
        config[key] = labelled[key]
    config.dump(tmp_path / 'config.py')
    network = build_network(deployed_network(config))
    torch.save(dict(state_dict=network.state_dict()), tmp_path / 'net.pth')
    line = error_line(
        tool('test').main,
        *(tmp_path / 'config.py', tmp_path / 'net.pth'),
        *('--work-dir', tmp_path / 'run'),
    )
    assert 'has no head' in line and 'tools/linear_eval.py' in line


def test_backbone_of_a_run_is_published(tmp_path: Path, tool: Any) -> None:
    """What ExportStudentHook wrote is such a file already."""
    config = Config.fromfile(ROOT / 'configs' / 'mcl_moco' / 'toy_moco.py')
    state = build_network(deployed_network(config)).state_dict()
    torch.save(dict(state_dict=state), tmp_path / 'student.pth')
    out = tmp_path / 'backbone.pth'
    tool('publish_backbone').main([str(tmp_path / 'student.pth'), str(out)])
    written = torch.load(out)['state_dict']
    assert written.keys() == state.keys()
