"""Two processes (gloo) train a cohort as one does, in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.two_processes import one_and_two_processes

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import sys
import torch
from torch import distributed
folder, rank, world, root = (
    sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
sys.path.insert(0, root)
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmkd.models.distillers.phases import PhasedDistributedDataParallel
from mmkd.toys import toy_batch, toy_network
from tests.support.float64 import in_float64
from tests.support.toy_cohort import build_cohort

torch.set_num_threads(1)
if world > 1:
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank,
        world_size=world)

def network():
    config = toy_network('classification', 4)
    config.backbone.norm_eval = True  # halves are one batch
    return config

CASES = dict(
    mutual=dict(cohort=dict(shared=['stem', 'stage1'])),
    contrast=dict(
        taps=dict(feats='neck', logits='head.fc'),
        aux_heads=dict(embeds=dict(
            type='mmkd.ContrastiveEmbedding', on='feats', feat_dim=8)),
        exchange=[
            dict(type='mmkd.MutualExchange'),
            dict(type='mmkd.MutualContrastiveExchange', on='embeds',
                 loss=dict(type='mmkd.MutualContrastiveLoss', gather=True))]),
    memory=dict(
        taps=dict(feats='neck', logits='head.fc'),
        aux_heads=dict(embeds=dict(
            type='mmkd.EmbeddingProjection', on='feats', embedding_dim=8)),
        exchange=dict(
            type='mmkd.MultiViewContrastExchange', contrast=dict(
                type='mmkd.MemoryNCELoss', num_samples=12, num_negatives=6,
                sync_normalizer=True))),
    moving=dict(exchange=dict(type='mmkd.TinyRecordingExchange')),
    followers=dict(
        followers=dict(mean=dict(momentum=0.5)),
        exchange=dict(type='mmkd.MutualExchange',
                      on=dict(logits='logits', mean='mean.logits'))),
    pcl=dict(
        cohort=dict(shared=['stem', 'stage1']),
        taps=dict(feats='neck', logits='head.fc'),
        followers=dict(mean=dict(warmup=True, buffers='own')),
        exchange=dict(type='mmkd.PeerCollaborativeExchange', on=dict(
            feats='feats', logits='logits', mean='mean.logits'))),
    oem=dict(
        cohort=dict(
            type='mmkd.CompressedCohort', peer=network(), num_students=3),
        taps=dict(maps=['backbone.layer{1,2,3,4}'], logits='head.fc'),
        exchange=dict(type='mmkd.OnlineEnsembleExchange', on=dict(
            maps='maps', logits='logits'))),
    phases=dict(exchange=dict(type='mmkd.TinyAdversarialExchange')))
sgd = dict(optimizer=dict(type='SGD', lr=0.05))

def train(name):
    distiller = in_float64(
        build_cohort(peers=[network(), network()], **CASES[name]))
    if name == 'memory':  # the negatives are all samples of the other class
        distiller.exchanges[0].contrast.set_dataset_labels(
            torch.arange(12) % 2, torch.device('cpu'))
    if rank == 1:  # the wrapper must make the ranks agree
        with torch.no_grad():
            for value in distiller.parameters():
                value.add_(1)
    model = distiller
    if world > 1:
        own = name in ('moving', 'phases', 'followers', 'pcl')
        wrapper = (
            PhasedDistributedDataParallel if own
            else MMDistributedDataParallel)
        model = wrapper(distiller, broadcast_buffers=False)
    if name == 'phases':
        optimizer = build_optim_wrapper(model, dict(
            constructor='mmkd.PhasedOptimWrapperConstructor', main=dict(sgd),
            discriminator=dict(sgd), adversarial=dict(sgd)))
    else:
        optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.05))
    batch = toy_batch('classification', 12, (32, 32))
    for index, sample in enumerate(batch['data_samples']):
        sample.set_gt_label(index % 2)
        sample.set_metainfo(dict(sample_idx=index))
    logs = []
    for step in range(3):
        model.train()
        share = 4 // world
        first = 4 * step + rank * share
        part = {k: v[first:first + share] for k, v in batch.items()}
        logs.append({k: float(v.detach())
                     for k, v in model.train_step(part, optimizer).items()})
    steps = getattr(distiller.exchanges[0], 'steps', None)
    return dict(state=distiller.state_dict(), logs=logs, steps=steps)

torch.save({name: train(name) for name in CASES},
           f'{folder}/out_{world}_{rank}.pth')
"""
CASES = (
    'mutual', 'contrast', 'memory', 'moving', 'followers', 'pcl', 'oem',
    'phases',
)  # fmt: skip


@pytest.fixture(scope='module')
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """States and logs of 1 x 4 and of 2 x 2 images, three steps."""
    folder = tmp_path_factory.mktemp('distributed')
    return one_and_two_processes(SCRIPT, folder, ROOT)


@pytest.mark.parametrize('case', CASES)
def test_two_processes_equal_one(results: dict[str, Any], case: str) -> None:
    alone = results['1_0'][case]
    one, two = (results[name][case] for name in ('2_0', '2_1'))
    for key, value in alone['state'].items():
        assert torch.equal(one['state'][key], two['state'][key]), key
        torch.testing.assert_close(
            one['state'][key], value, rtol=1e-9, atol=1e-11, msg=key
        )
    for step in range(3):
        for key, value in alone['logs'][step].items():
            mean = (one['logs'][step][key] + two['logs'][step][key]) / 2
            wanted = pytest.approx(value, rel=1e-9, abs=1e-11)
            assert mean == wanted, (step, key)
    assert alone['steps'] == one['steps'] == (3 if case == 'moving' else None)


def test_weights_moved(results: dict[str, Any]) -> None:
    """The comparison above is of trained networks."""
    mutual, contrast = (
        results['1_0'][case]['state']['cohort.peers.1.head.fc.weight']
        for case in ('mutual', 'contrast')
    )
    assert not torch.allclose(mutual, contrast)
