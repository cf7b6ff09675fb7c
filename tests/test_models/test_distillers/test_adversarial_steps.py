"""SKD's discriminator in training: its phase, resume, two processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.optim import build_optim_wrapper

from mmkd.networks import build_network
from mmkd.registry import MODELS
from mmkd.toys import toy_batch, toy_segmentor
from tests.support.toy_runner import Diary, Interruption, make_runner
from tests.support.two_processes import one_and_two_processes

OPTIMIZERS = dict(
    constructor='mmkd.PhasedOptimWrapperConstructor',
    main=dict(
        type='OptimWrapper',
        optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=1e-4),
    ),
    discriminator=dict(
        type='OptimWrapper',
        optimizer=dict(type='Adam', lr=4e-4, betas=(0.9, 0.99)),
    ),
)
LOSSES = dict(
    skd=dict(type='mmkd.PairwiseSimilarityLoss', on='feats', loss_weight=10.0),
    adv=dict(
        type='mmkd.AdversarialLoss',
        on='logits',
        generator_weight=0.001,
        discriminator_weight=0.1,
        discriminator=dict(
            type='mmkd.SelfAttentionDiscriminator', upsample_to=64
        ),
    ),
)


def skd(folder: Path, **changes: Any) -> dict[str, Any]:
    path = folder / 'teacher.pth'
    if not path.exists():
        torch.save(build_network(toy_segmentor(8)).state_dict(), path)
    return dict(
        type='mmkd.OfflineDistiller',
        student=toy_segmentor(4),
        teacher=dict(config=toy_segmentor(8), checkpoint=str(path)),
        taps=dict(
            feats='decode_head.conv_seg:input', logits='decode_head.conv_seg'
        ),
        losses=LOSSES,
        **changes,
    )


def test_a_step_calls_the_discriminator_three_times(tmp_path: Path) -> None:
    model = MODELS.build(skd(tmp_path)).train()
    judge = model.losses['adv'].judge
    assert judge.in_channels == 8  # filled in
    wrapper = build_optim_wrapper(model, OPTIMIZERS)
    assert {
        id(p)
        for p in wrapper['discriminator'].optimizer.param_groups[0]['params']
    } == {id(p) for p in judge.parameters()}
    seen = []
    judge.register_forward_hook(
        lambda module, args, out: seen.append(args[0].requires_grad)
    )
    before = [p.detach().clone() for p in judge.parameters()]
    for _ in range(2):
        logs = model.train_step(toy_batch('segmentation', 2), wrapper)
    assert seen == [True, False, False] * 2
    assert {'loss_adv', 'loss_adv_discriminator', 'discriminator'} <= set(logs)
    moved = [
        not torch.equal(a, b)
        for a, b in zip(before, judge.parameters(), strict=True)
    ]
    assert all(moved[:4]) and moved[-2]  # not the last bias


def test_rehearsal_names_small_logits(tmp_path: Path) -> None:
    model = skd(tmp_path)
    adv = dict(LOSSES['adv'])
    adv['discriminator'] = dict(type='mmkd.SelfAttentionDiscriminator')
    model['losses'] = dict(adv=adv)
    words = 'losses.adv .*discriminator needs logits of at least 64x64'
    with pytest.raises(ValueError, match=words):
        MODELS.build(model)
    adv['discriminator'] = dict(
        type='mmkd.SelfAttentionDiscriminator', upsample_to=64, in_channels=19
    )
    with pytest.raises(
        ValueError, match='in_channels=19, but .*set in_channels=8'
    ):
        MODELS.build(model)


def run(
    folder: Path, name: str, stop_after: int | None = None, **options: Any
) -> Any:
    diary = Diary(stop_after)
    runner = make_runner(
        str(folder / name),
        skd(folder, dry_run=False) | dict(losses=with_classes()),
        steps=4,
        save_every=2,
        diary=diary,
        optim_wrapper=OPTIMIZERS,
        **options,
    )
    if stop_after is None:
        runner.train()
    else:
        with pytest.raises(Interruption):
            runner.train()
    return runner, diary


def with_classes() -> dict[str, Any]:
    judge = dict(LOSSES['adv']['discriminator'], in_channels=8)
    return dict(LOSSES, adv=dict(LOSSES['adv'], discriminator=judge))


@pytest.mark.slow
def test_resumed_run_equals_straight_run(tmp_path: Path) -> None:
    straight, whole = run(tmp_path, 'a')
    run(tmp_path, 'b', stop_after=2)
    resumed, after = run(tmp_path, 'b', resume=True)
    assert sorted(after.losses) == [2, 3]
    for step in (2, 3):
        assert after.losses[step] == whole.losses[step]
    one, two = straight.model.state_dict(), resumed.model.state_dict()
    assert 'losses.adv.judge.conv1.u' in one
    for name, value in one.items():
        assert torch.equal(value, two[name]), name


SCRIPT = """
import sys
import torch
from torch import distributed
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from mmkd.models.distillers.phases import PhasedDistributedDataParallel
from mmkd.toys import toy_batch, toy_segmentor
from tests.test_models.test_distillers.test_adversarial_steps import (
    LOSSES, OPTIMIZERS)

torch.set_num_threads(1)
folder, rank, world = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if world > 1:
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank,
        world_size=world)
init_default_scope('mmseg')

def network(width):
    # Without dropout and batch statistics, two halves are one batch.
    model = toy_segmentor(width)
    model['decode_head']['dropout_ratio'] = 0
    return model

torch.manual_seed(rank)  # the wrapper must make the ranks agree
distiller = MODELS.build(dict(
    type='mmkd.OfflineDistiller', student=network(4),
    teacher=dict(config=network(8), checkpoint=f'{folder}/teacher.pth'),
    taps=dict(feats='decode_head.conv_seg:input',
              logits='decode_head.conv_seg'),
    losses=LOSSES))
model = distiller
if world > 1:
    model = PhasedDistributedDataParallel(distiller, broadcast_buffers=False)
# Adam would turn the rounding of tiny gradients into whole steps
SGD = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
optimizer = build_optim_wrapper(
    distiller, dict(OPTIMIZERS, discriminator=SGD))
batch = toy_batch('segmentation', 8)
logs = []
for step in range(2):
    model.train()
    for module in distiller.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    share = 4 // world
    first = 4 * step + rank * share
    part = {k: v[first:first + share] for k, v in batch.items()}
    logs.append({
        k: float(v.detach())
        for k, v in model.train_step(part, optimizer).items()})
torch.save(dict(state=distiller.state_dict(), logs=logs),
           f'{folder}/out_{world}_{rank}.pth')
"""


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path) -> None:
    skd(tmp_path)
    results = one_and_two_processes(SCRIPT, tmp_path)
    alone = results['1_0']
    ranks = results['2_0'], results['2_1']
    for key, value in ranks[0]['state'].items():
        assert torch.equal(value, ranks[1]['state'][key]), key
        torch.testing.assert_close(
            value, alone['state'][key], rtol=1e-4, atol=1e-5, msg=key
        )
    for step in (0, 1):
        for key, value in alone['logs'][step].items():
            mean = sum(rank['logs'][step][key] for rank in ranks) / 2
            assert mean == pytest.approx(value, rel=1e-3, abs=1e-5), key
