"""Momentum contrast of one encoder and of several, in whole distillers."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from torch import nn
from torch.nn import functional

from mmkd.registry import MODELS
from tests.support import toy_moco
from tests.support.float64 import in_float64
from tests.support.toy_moco import build, encoder, mcl_config, moco_config

pytest.importorskip('mmpretrain')
TERMS = ('vcl', 'soft_vcl', 'icl', 'soft_icl')


def optimizer_of(model: nn.Module, lr: float = 0.1) -> OptimWrapper:
    return OptimWrapper(torch.optim.SGD(model.parameters(), lr=lr))


@MODELS.register_module(force=True)
class TinyVectors(nn.Module):
    """Pixels as features: what is trained is the embedding head alone."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        return (images,)


class Passing(nn.Module):
    """A data preprocessor that changes nothing."""

    def forward(self, data: dict, training: bool = False) -> dict:
        return {**data, 'data_samples': None}


def test_three_golden_steps(golden: Any) -> None:
    case = golden('mcl', 'moco_m2_three_steps')
    width, queue = len(case['init_weight_0'][0]), int(case['queue_len'])
    dim = len(case['init_weight_0'])
    network = dict(encoder(), backbone=dict(type='mmkd.TinyVectors'))
    model = build(
        mcl_config(
            network=network,
            key=dict(momentum=float(case['key_momentum'])),
            aux_heads=dict(
                embeds=dict(
                    type='mmkd.ContrastiveEmbedding',
                    on='feats',
                    in_channels=width,
                    feat_dim=dim,
                    num_layers=1,
                )
            ),
            exchange=dict(
                type='mmkd.LossExchange',
                on=dict(queries='embeds', keys='key.embeds'),
                loss=dict(
                    type='mmkd.MoCoMutualContrastiveLoss',
                    num_peers=2,
                    feat_dim=dim,
                    queue_size=queue,
                    temperature=float(case['temperature']),
                ),
            ),
            dry_run=False,
        )
    )
    model.data_preprocessor = Passing()
    model = model.double()
    heads = [heads['embeds'][0] for heads in model.aux_heads]
    with torch.no_grad():
        for i, head in enumerate(heads):
            head.weight.copy_(torch.from_numpy(case[f'init_weight_{i}']))
            head.bias.copy_(torch.from_numpy(case[f'init_bias_{i}']))
        loss = model.exchanges[0].loss
        loss.queue.copy_(torch.from_numpy(case['queue_before']))
    model.followers['key'].start()
    keys = [heads['embeds'][0] for heads in model.followers['key'].heads]
    optimizer = optimizer_of(model, float(case['sgd_lr']))
    for step in ('step0', 'step1', 'step2'):
        for i, key in enumerate(keys):
            wanted = torch.from_numpy(case[f'{step}_key_weight_after_{i}'])
            torch.testing.assert_close(key.weight, wanted)
        views = [
            torch.from_numpy(case[f'{step}_view_{name}'])[..., None, None]
            for name in ('query', 'key')
        ]
        logs = model.train_step(dict(inputs=views), optimizer)
        for term in TERMS:
            assert float(logs[f'loss_{term}']) == pytest.approx(
                float(case[f'{step}_loss_{term}']), rel=1e-9, abs=1e-9
            )
        for i, head in enumerate(heads):
            torch.testing.assert_close(
                head.weight.detach(),
                torch.from_numpy(case[f'{step}_query_weight_after_{i}']),
            )
        torch.testing.assert_close(
            loss.queue, torch.from_numpy(case[f'{step}_queue_after'])
        )
        assert loss.queue_ptr.tolist() == list(case[f'{step}_queue_ptr_after'])


def test_keys_are_those_of_shuffled_groups() -> None:
    """One process with groups of 4: statistics by hand."""
    model = in_float64(build(mcl_config()))
    batch = toy_moco.views(8)
    data = model.data_preprocessor(copy.copy(batch), True)
    torch.manual_seed(3)
    run = model.run(data['inputs'], None)
    torch.manual_seed(3)
    order = torch.randperm(8)
    images = data['inputs'][1]
    for k, peer in enumerate(model.cohort.peers):
        with torch.no_grad():
            maps = peer.backbone.conv(images)
            normed = torch.empty_like(maps)
            for group in (order[0::2], order[1::2]):
                part = maps[group]
                mean = part.mean((0, 2, 3), keepdim=True)
                var = part.var((0, 2, 3), unbiased=False, keepdim=True)
                normed[group] = (part - mean) / (var + 1e-5).sqrt()
            feats = normed.relu().mean((2, 3))
            head = model.aux_heads[k]['embeds'][0]
            wanted = functional.normalize(head(feats), dim=1)
        found = run.tensors[f'peer{k}.key']['embeds']
        torch.testing.assert_close(found, wanted)
        assert not found.requires_grad
        assert run.tensors[f'peer{k}']['embeds'].requires_grad


def test_shared_trunk_runs_once_per_view() -> None:
    model = build(
        mcl_config(
            peers=3,
            cohort=dict(
                type='mmkd.Cohort',
                peers=[encoder()] * 3,
                shared=['backbone.conv', 'backbone.bn'],
            ),
        )
    )
    logs = model.train_step(toy_moco.views(), optimizer_of(model))
    assert all(value.isfinite() for value in logs.values())
    trunks = [model.cohort[0], model.followers['key'][0]]
    for network in trunks:
        assert int(network.backbone.bn.num_batches_tracked) == 1
    copies = [copied.backbone.conv for copied in model.followers['key']]
    assert copies[0] is copies[2]


def test_in_eval_mode_nothing_is_shuffled() -> None:
    model = build(mcl_config()).eval()
    batch = toy_moco.views(6)  # no multiple of the groups
    seen = model.observe(batch['inputs'])
    wanted = model.followers['key'][0].extract_feat(batch['inputs'][1])[0]
    head = model.followers['key'].heads[0]['embeds']
    torch.testing.assert_close(
        seen.tensors['peer0.key']['embeds'], head(wanted)
    )


def test_one_encoder_steps_as_mmpretrain_does() -> None:
    """Without shuffle, in one process, mmpretrain's MoCo is the same."""
    ours = build(
        moco_config(
            encoder(group_size=None),
            losses=dict(
                moco=dict(
                    toy_moco.LOSS, on='embeds', num_peers=1, temperature=0.2
                )
            ),
        )
    )
    ours.following[0].shuffle = False
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        theirs = MODELS.build(
            dict(
                type='mmpretrain.MoCo',
                queue_len=24,
                feat_dim=5,
                momentum=0.1,
                backbone=dict(type='mmkd.TinyBackbone', group_size=None),
                neck=dict(
                    type='LinearNeck',
                    in_channels=4,
                    out_channels=5,
                    gap_dim=2,
                    norm_cfg=None,
                ),
                head=dict(
                    type='ContrastiveHead',
                    loss=dict(type='CrossEntropyLoss'),
                    temperature=0.2,
                ),
            )
        ).train()
    theirs.backbone.load_state_dict(ours.student.backbone.state_dict())
    theirs.neck.fc.load_state_dict(ours.aux_heads['embeds'][0].state_dict())
    theirs.encoder_k.module[0].load_state_dict(theirs.backbone.state_dict())
    theirs.encoder_k.module[1].load_state_dict(theirs.neck.state_dict())
    theirs.encoder_k.steps.fill_(1)  # at 0 it would copy
    queue = ours.losses['moco'].queue
    theirs.queue.copy_(queue[0])
    for step in range(3):
        batch = toy_moco.views(8, seed=step)
        one = ours.train_step(copy.copy(batch), optimizer_of(ours))
        wanted = theirs.loss(batch['inputs'], [])['loss']
        torch.testing.assert_close(one['loss_vcl'], wanted.detach())
        theirs.zero_grad()
        wanted.backward()
        with torch.no_grad():
            for module in (theirs.backbone, theirs.neck):
                for value in module.parameters():
                    value -= 0.1 * value.grad
    torch.testing.assert_close(queue[0], theirs.queue)


@pytest.mark.parametrize('config', [mcl_config, moco_config])
def test_a_step_trains_the_queries_alone(config: Any) -> None:
    model = build(config())
    before = copy.deepcopy(model.state_dict())
    model.train_step(toy_moco.views(), optimizer_of(model))
    after = model.state_dict()
    for key in before:
        assert torch.equal(before[key], after[key]) == (
            key in ('deployed_peer',)
        ), key
    for followers in model.followers_of_all():
        assert all(p.grad is None for p in followers.parameters())


def test_images_need_no_labels_and_no_head() -> None:
    model = build(mcl_config())
    logs = model.train_step(toy_moco.views(), optimizer_of(model))
    assert set(logs) == {'loss', *(f'loss_{term}' for term in TERMS)}
    samples: list[Any] = [object()] * 8
    for given in (None, samples):
        with pytest.raises(ValueError, match='no head.*remove val_dataloader'):
            model(toy_moco.views()['inputs'][0], given, mode='predict')


@pytest.mark.parametrize('config', [mcl_config, moco_config])
def test_one_view_where_two_are_needed(config: Any) -> None:
    model = build(config())
    one = dict(inputs=toy_moco.views()['inputs'][0])
    for inputs in (one, dict(inputs=toy_moco.views()['inputs'][:1])):
        with pytest.raises(
            ValueError, match=r'1 view.*\.view names view 1: .*num_views=2'
        ):
            model.train_step(copy.copy(inputs), optimizer_of(model))


def test_batch_smaller_than_the_shuffled_group() -> None:
    model = build(mcl_config())
    with pytest.raises(ValueError, match='group_size=4.*batch of 2 samples'):
        model.train_step(toy_moco.views(2), optimizer_of(model))


@pytest.mark.parametrize(
    ('key', 'words'),
    [
        (dict(buffers='copy'), "key.shuffle=True has no.*buffers='own'"),
        (dict(view='other'), "key.view='other' must be 'own' or the index"),
        (dict(mixed=True), 'unknown key mixed.*shuffle'),
    ],
)
def test_mistakes(key: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        build(mcl_config(key=key))


def test_teacher_with_a_view_of_its_own_sees_it() -> None:
    model = build(moco_config()).eval()
    one, two = toy_moco.views()['inputs']
    seen = model.observe([one, two])
    for label, network, images in (
        ('student', model.student, one),
        ('teacher', model.followers['teacher'][0], two),
    ):
        torch.testing.assert_close(
            seen.outputs[label][0], network.extract_feat(images)[0]
        )


@pytest.mark.parametrize('config', [mcl_config, moco_config])
def test_resumed_state_goes_on_bit_for_bit(
    config: Any, tmp_path: Path
) -> None:
    straight = build(config())
    optimizer = optimizer_of(straight)
    for step in range(4):
        if step == 2:
            torch.save(
                [straight.state_dict(), optimizer.state_dict()],
                tmp_path / 'run.pth',
            )
        torch.manual_seed(step)
        wanted = straight.train_step(toy_moco.views(8, step), optimizer)
    torch.manual_seed(99)
    resumed = build(config())
    second = optimizer_of(resumed)
    state, saved = torch.load(tmp_path / 'run.pth')
    resumed.load_state_dict(state)
    second.load_state_dict(saved)
    for step in (2, 3):
        torch.manual_seed(step)
        found = resumed.train_step(toy_moco.views(8, step), second)
    assert found == wanted
    for key, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key
    assert any('queue_ptr' in key for key in state)
