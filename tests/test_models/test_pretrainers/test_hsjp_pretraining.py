"""A whole HSJP run: it learns, and its backbone loads in stock mmpose."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
import torch

from tests.support.toy_runner import make_runner

pytest.importorskip('mmpose')
from mmengine.registry import DefaultScope  # noqa: E402

from mmkd.checkpoints.read import read_checkpoint  # noqa: E402
from mmkd.models.pretrainers.publish import publish_backbone  # noqa: E402
from mmkd.networks import build_network  # noqa: E402
from mmkd.registry import DATASETS, METRICS  # noqa: E402
from mmkd.toys import toy_dataset, toy_pose_estimator  # noqa: E402

CODEC = dict(
    type='JigsawHeatmap',
    input_size=(64, 64),
    heatmap_size=(16, 16),
    sigma=1,
    grid_size=(2, 2),
)


def puzzle_network(width=8):
    model = toy_pose_estimator(width)
    model.head.update(
        type='mmkd.JigsawHeatmapHead', out_channels=4, decoder=dict(CODEC)
    )
    return model


def puzzle_pipeline():
    return [
        dict(type='mmkd.LoadScene'),
        dict(type='GetBBoxCenterScale'),
        dict(type='TopdownAffine', input_size=(64, 64)),
        dict(type='mmkd.JigsawShuffle', grid_size=(2, 2), deterministic=True),
        dict(type='GenerateTarget', encoder=dict(CODEC)),
        dict(
            type='PackPoseInputs',
            meta_keys=(
                'id', 'sample_idx', 'input_size', 'input_center',
                'input_scale', 'jigsaw_permutation',
            ),
        ),
    ]  # fmt: skip


@pytest.mark.slow
def test_over_fits_eight_fixed_puzzles():
    with DefaultScope.overwrite_default_scope('mmpose'):
        network = build_network(puzzle_network()).train()
        network.init_weights()
        dataset = DATASETS.build(
            toy_dataset('pose', num_samples=8, pipeline=puzzle_pipeline())
        )
        samples = [dataset[i] for i in range(8)]
        data = network.data_preprocessor(
            dict(
                inputs=[one['inputs'] for one in samples],
                data_samples=[one['data_samples'] for one in samples],
            ),
            training=True,
        )
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        for _ in range(100):
            losses = network(**data, mode='loss')
            optimizer.zero_grad()
            losses['loss_kpt'].backward()
            optimizer.step()
        with torch.no_grad():  # still with the statistics of these images
            found = network(**data, mode='predict')
        metric = METRICS.build(dict(type='mmkd.JigsawAccuracy'))
        metric.process(None, [one.to_dict() for one in found])
    assert metric.evaluate(8)['jigsaw/patch_accuracy'] == 1


def run_puzzles(folder, steps=2):
    with DefaultScope.overwrite_default_scope('mmpose'):
        runner = make_runner(
            str(folder),
            puzzle_network(4),
            'pose',
            steps=steps,
            save_every=steps,
            pipeline=puzzle_pipeline(),
        )
        runner.train()
    return runner.model, folder / f'iter_{steps}.pth'


@pytest.mark.slow
def test_backbone_loads_in_stock_mmpose_without_mmkd(tmp_path):
    """In a process that never imports mmkd, into a network with joints."""
    _, checkpoint = run_puzzles(tmp_path)
    out = tmp_path / 'published' / 'backbone.pth'
    keys = publish_backbone(checkpoint, out)
    assert keys
    assert all(key.startswith('backbone.') for key in keys)
    model = toy_pose_estimator(4).to_dict()
    model['backbone']['init_cfg'] = dict(
        type='Pretrained', prefix='backbone.', checkpoint=str(out)
    )
    code = f"""
        import sys, torch
        from mmengine.registry import init_default_scope
        from mmpose.registry import MODELS
        init_default_scope('mmpose')
        network = MODELS.build({model!r})
        fresh = {{k: v.clone() for k, v in network.head.state_dict().items()}}
        network.init_weights()
        saved = torch.load({str(out)!r}, weights_only=True)['state_dict']
        own = network.backbone.state_dict()
        assert own.keys() == {{k[len('backbone.'):] for k in saved}}
        for key, value in own.items():
            assert torch.equal(value, saved['backbone.' + key]), key
        final = network.head.final_layer.weight
        assert final.shape[0] == 14
        assert 'mmkd' not in sys.modules
        print('equal')
    """
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().splitlines()[-1] == 'equal'
    assert 'missing keys' not in done.stdout + done.stderr


def test_keeping_the_deconvolutions(tmp_path):
    network, checkpoint = run_puzzles(tmp_path)
    out = tmp_path / 'pose.pth'
    keys = publish_backbone(checkpoint, out, keep_deconv=True)
    dropped = set(network.state_dict()) - set(keys)
    assert dropped == {'head.final_layer.weight', 'head.final_layer.bias'}
    with DefaultScope.overwrite_default_scope('mmpose'):
        joints = build_network(toy_pose_estimator(4))
    state = read_checkpoint(out)['state_dict']
    left = joints.load_state_dict(state, strict=False)
    assert set(left.missing_keys) == dropped
    assert left.unexpected_keys == []
    for key in keys:
        assert torch.equal(joints.state_dict()[key], network.state_dict()[key])


def test_publishing_messages(tmp_path):
    torch.save(dict(weight=torch.zeros(1)), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=r'no entries backbone\.\*'):
        publish_backbone(tmp_path / 'other.pth', tmp_path / 'out.pth')
    torch.save({'backbone.weight': torch.zeros(1)}, tmp_path / 'hr.pth')
    with pytest.raises(ValueError, match='leave out --keep-deconv'):
        publish_backbone(tmp_path / 'hr.pth', tmp_path / 'out.pth', True)
    with pytest.raises(FileNotFoundError, match='does not exist'):
        publish_backbone(tmp_path / 'no.pth', tmp_path / 'out.pth')
    assert not (tmp_path / 'out.pth').exists()
