"""Plain checkpoints, their checks, and ONNX."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmkd.checkpoints import onnx
from mmkd.checkpoints.export import export_student, save_plain, verify_export
from mmkd.checkpoints.onnx import export_onnx
from mmkd.checkpoints.verify import random_inputs, raw_outputs
from mmkd.networks import build_network
from tests.support.other_networks import faster_rcnn


class Network(nn.Module):
    """A convolution with an OpenMMLab forward."""

    def __init__(self, bias: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.bias = bias

    def forward(self, inputs, data_samples=None, mode='tensor'):
        maps = self.norm(self.conv(inputs))
        return dict(maps=[maps + self.bias], pooled=maps.mean((2, 3)))


def test_only_plain_types_are_written(tmp_path):
    path = tmp_path / 'folder' / 'plain.pth'
    meta = dict(
        classes=('a', 'b'), colours=np.eye(2), share=np.float32(0.5), f=print
    )
    network = Network()
    save_plain(network, path, meta)
    saved = torch.load(path, weights_only=True)
    assert saved['meta']['dataset_meta'] == dict(
        classes=['a', 'b'],
        colours=[[1.0, 0.0], [0.0, 1.0]],
        share=0.5,
        f=str(print),
    )
    assert list(saved['state_dict']) == list(network.state_dict())
    assert saved['state_dict']._metadata['norm']['version'] == 2
    assert list(path.parent.iterdir()) == [path]  # no partial file


def test_saved_weights_are_a_copy(tmp_path):
    network = Network()
    save_plain(network, tmp_path / 'plain.pth')
    before = network.conv.weight.detach().clone()
    with torch.no_grad():
        network.conv.weight.zero_()
    saved = torch.load(tmp_path / 'plain.pth', weights_only=True)
    assert torch.equal(saved['state_dict']['conv.weight'], before)


def test_different_outputs_are_refused(tmp_path):
    source = Network()
    save_plain(source, tmp_path / 'plain.pth')
    inputs = random_inputs(source, (3, 8, 8))
    verify_export(tmp_path / 'plain.pth', source, Network(), inputs)
    with pytest.raises(ValueError, match='output 0 .* differs'):
        verify_export(
            tmp_path / 'plain.pth', source, Network(bias=0.1), inputs
        )


def test_raw_outputs_are_flat():
    found = raw_outputs(Network().eval(), torch.zeros(2, 3, 8, 8))
    assert [tuple(t.shape) for t in found] == [(2, 4, 6, 6), (2, 4)]
    with pytest.raises(ValueError, match='--input-shape'):
        raw_outputs(Network(), torch.zeros(2, 5, 8, 8))


def test_random_inputs_repeat():
    network = Network()
    assert random_inputs(network).shape == (2, 3, 224, 224)
    assert torch.equal(
        random_inputs(network, (3, 8, 8)), random_inputs(network, (3, 8, 8))
    )
    network.data_preprocessor = nn.Module()
    network.data_preprocessor.size = (16, 24)
    assert random_inputs(network).shape == (2, 3, 16, 24)


def test_preprocessor_of_the_distiller_is_exported(tmp_path):
    pytest.importorskip('mmseg')
    from mmkd.checkpoints.export import deployed_network
    from mmkd.networks import build_network
    from mmkd.toys import toy_segmentor

    student = toy_segmentor(width=4)
    wanted = dict(student.pop('data_preprocessor'), std=[2.0, 2.0, 2.0])
    config = Config(
        dict(
            default_scope='mmseg',
            data_preprocessor=wanted,
            model=dict(
                type='mmkd.OfflineDistiller',
                student=student,
                teacher=dict(config='no.py', checkpoint='no.pth'),
            ),
        )
    )
    network = build_network(deployed_network(config))
    assert network.data_preprocessor.std.flatten().tolist() == [2.0] * 3
    torch.save(network.state_dict(), tmp_path / 'trained.pth')
    report = export_student(
        config,
        tmp_path / 'trained.pth',
        tmp_path / 'plain.pth',
        input_shape=(3, 32, 32),
    )
    assert report.input_shape == (2, 3, 32, 32)
    assert report.num_tensors == len(network.state_dict())


def _has_onnx() -> bool:
    return all(map(importlib.util.find_spec, ('onnx', 'onnxruntime')))


@pytest.mark.skipif(not _has_onnx(), reason='onnx is not installed')
def test_onnx_gives_the_same(tmp_path):
    network = Network().eval()
    inputs = random_inputs(network, (3, 8, 8))
    deviation = export_onnx(network, inputs, tmp_path / 'network.onnx')
    assert deviation < 1e-5
    assert (tmp_path / 'network.onnx').is_file()


@pytest.mark.skipif(not _has_onnx(), reason='onnx is not installed')
def test_onnx_that_differs_is_refused(tmp_path, monkeypatch):
    network = Network().eval()
    run = onnx._run_onnx
    monkeypatch.setattr(
        onnx,
        '_run_onnx',
        lambda *args: [output * 1.1 for output in run(*args)],
    )
    with pytest.raises(ValueError, match='differ'):
        export_onnx(
            network, random_inputs(network, (3, 8, 8)), tmp_path / 'x.onnx'
        )


@pytest.mark.skipif(not _has_onnx(), reason='onnx is not installed')
def test_what_has_no_onnx_form_is_named(tmp_path):
    """Two-stage detectors of mmdetection need mmdeploy for it."""
    pytest.importorskip('mmdet')
    network = build_network(faster_rcnn(4)).eval()
    inputs = random_inputs(network, (3, 64, 64))
    with pytest.raises(ValueError, match='FasterRCNN has no ONNX.*mmdeploy'):
        export_onnx(network, inputs, tmp_path / 'x.onnx')


def test_missing_onnx_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(
        onnx, 'find_spec', lambda name: name != 'onnxruntime' or None
    )
    with pytest.raises(ImportError, match='pip install onnxruntime'):
        export_onnx(Network(), torch.zeros(1), tmp_path / 'x.onnx')
