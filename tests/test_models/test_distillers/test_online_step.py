"""A step of a cohort: losses, gradients, names."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper

from mmkd.models.exchanges import Exchange
from mmkd.models.exchanges.base import ramp_up
from mmkd.models.losses import KLDivLoss
from mmkd.toys import toy_batch, toy_network
from tests.support.toy_cohort import batch_for, build_cohort, total

MUTUAL = dict(type='mmkd.MutualExchange')
MEAN = dict(type='mmkd.TinyMeanExchange')
CONTRAST = dict(
    type='mmkd.MutualContrastiveExchange',
    on='embeds',
    loss=dict(type='mmkd.MutualContrastiveLoss'),
)
EMBEDS = dict(type='mmkd.ContrastiveEmbedding', on='feats', feat_dim=8)


def sgd(model: torch.nn.Module) -> OptimWrapper:
    return OptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    )


def test_without_exchange_equals_trainings_apart() -> None:
    """Bit for bit, over several steps of other images."""
    cohort = build_cohort(peers=2, exchange=None).train()
    alone = [copy.deepcopy(peer).train() for peer in cohort.cohort.peers]
    start = {k: v.clone() for k, v in alone[0].state_dict().items()}
    optimizer, optimizers = sgd(cohort), [sgd(peer) for peer in alone]
    batch = toy_batch('classification', 6, (32, 32))
    for step in range(3):
        part = {k: v[2 * step : 2 * step + 2] for k, v in batch.items()}
        logs = cohort.train_step(part, optimizer)
        own = [
            peer.train_step(part, wrapper)['loss']
            for peer, wrapper in zip(alone, optimizers, strict=True)
        ]
        assert float(logs['peer0.loss_task']) == float(own[0])
        assert float(logs['peer1.loss_task']) == float(own[1])
    for peer, plain in zip(cohort.cohort.peers, alone, strict=True):
        for key, value in plain.state_dict().items():
            assert torch.equal(value, peer.state_dict()[key]), key
    key = 'backbone.conv1.weight'
    assert not torch.equal(start[key], alone[0].state_dict()[key])


def test_total_is_own_losses_and_transfers() -> None:
    cohort = build_cohort().eval()
    batch = batch_for(cohort)
    losses = cohort(**batch, mode='loss')
    assert set(losses) == {
        'peer0.loss_task',
        'peer1.loss_task',
        'peer0.loss_kd',
        'peer1.loss_kd',
    }
    logits = [
        peer.head.fc(peer.neck(peer.backbone(batch['inputs']))[0])
        for peer in cohort.cohort.peers
    ]
    expected = KLDivLoss(1.0)(logits[0], logits[1])
    torch.testing.assert_close(losses['peer0.loss_kd'], expected)
    loss, logs = cohort.parse_losses(losses)
    torch.testing.assert_close(loss, total(losses))
    assert 'loss' in logs


def test_exchanges_of_a_list_add_up() -> None:
    def run(exchange: Any) -> dict[str, Any]:
        model = build_cohort(exchange=exchange).eval()
        return model(**batch_for(model), mode='loss')

    none, mutual, mean, both = (
        run(e) for e in (None, MUTUAL, MEAN, [MUTUAL, MEAN])
    )
    added = total(mutual) + total(mean) - total(none)
    torch.testing.assert_close(total(both), added)
    assert {'loss_size', 'mean.loss_task'} < set(both)


def test_names_of_two_like_exchanges_differ() -> None:
    model = build_cohort(exchange=[MUTUAL, dict(MUTUAL, loss_weight=3.0)])
    losses = model.eval()(**batch_for(model), mode='loss')
    torch.testing.assert_close(
        losses['peer0.loss_kd_1'], 3 * losses['peer0.loss_kd']
    )


@pytest.mark.parametrize('weight', [0.5, (0.5, 2.0)])
def test_task_weight(weight: Any) -> None:
    plain = build_cohort().eval()
    model = build_cohort(task_weight=weight).eval()
    batch = batch_for(plain)
    before = plain(**batch, mode='loss')
    after = model(**batch, mode='loss')
    for index in (0, 1):
        factor = weight if isinstance(weight, float) else weight[index]
        key = f'peer{index}.loss_task'
        torch.testing.assert_close(after[key], factor * before[key])
        key = f'peer{index}.loss_kd'
        assert torch.equal(after[key], before[key])


def test_task_weight_of_dense_detectors() -> None:
    """Their losses may be lists, one entry per level."""
    plain = build_cohort('detection').eval()
    model = build_cohort('detection', task_weight=0.0).eval()
    batch = batch_for(plain, 'detection', size=(64, 64))
    assert total(plain(**batch, mode='loss')) > 0
    losses = model(**batch, mode='loss')
    own = {k: v for k, v in losses.items() if 'loss_kd' not in k}
    assert float(total(own)) == 0


def test_ramp_weighs_transfers_and_is_logged() -> None:
    exchange = dict(MUTUAL, ramp_epochs=4)
    hub = MessageHub.get_current_instance()
    plain, model = build_cohort(), build_cohort(exchange=exchange)
    batch = batch_for(model)
    full = plain.eval()(**batch, mode='loss')['peer0.loss_kd']
    for epoch in (0, 2, 4, 9):
        hub.update_info('epoch', epoch)
        losses = model.eval()(**batch, mode='loss')
        factor = ramp_up(epoch, 4)
        torch.testing.assert_close(losses['peer0.loss_kd'], factor * full)
        assert float(losses['ramp']) == pytest.approx(factor)
        loss, logs = model.parse_losses(losses)
        torch.testing.assert_close(loss, total(losses))
        assert float(logs['ramp']) == pytest.approx(factor)
    hub.update_info('epoch', 0)
    assert factor == 1.0
    assert 'ramp' not in plain(**batch, mode='loss')


def test_every_peer_sees_its_own_view() -> None:
    model = build_cohort(taps=dict(logits='head.fc', images='backbone:input'))
    model.eval()
    batch = batch_for(model)
    images = batch['inputs']
    seen = []
    for peer in model.cohort.peers:
        peer.backbone.register_forward_pre_hook(
            lambda _, args: seen.append(args[0])
        )
    model([images, images + 1], batch['data_samples'], mode='loss')
    assert torch.equal(seen[0], images)
    assert torch.equal(seen[1], images + 1)


@pytest.mark.parametrize('count', [1, 3])
def test_wrong_number_of_views_is_refused(count: int) -> None:
    model = build_cohort()
    batch = batch_for(model)
    words = f'gives {count} views.*has 2 peers: set num_views=2'
    with pytest.raises(ValueError, match=words):
        model([batch['inputs']] * count, batch['data_samples'], mode='loss')


def test_rotated_views() -> None:
    """Task losses see the unrotated rows, the exchange all of them."""
    plain = build_cohort(exchange=None).eval()
    model = build_cohort(
        views=dict(type='mmkd.RotationViews'),
        exchange=dict(MEAN, type='mmkd.TinyRecordingExchange'),
        cohort=dict(shared=['stem', 'stage1']),
    ).eval()
    plain.load_state_dict(
        {k: v for k, v in model.state_dict().items() if 'exchange' not in k}
    )
    batch = batch_for(model)
    losses = model(**batch, mode='loss')
    expected = plain(**batch, mode='loss')
    for key, value in expected.items():
        torch.testing.assert_close(losses[key], value)
    peers, labels, view_labels = model.exchanges[0].seen
    assert [tuple(peer['logits'].shape) for peer in peers] == [(8, 7)] * 2
    wanted = labels[:, None] * 4 + torch.arange(4)
    assert torch.equal(view_labels, wanted.flatten())
    total(losses).backward()
    for parameter in model.parameters():
        assert parameter.grad is not None


@pytest.mark.parametrize('shared', [(), ('stem',)])
def test_peers_of_different_backbones(shared: Any) -> None:
    """Widths of auxiliary heads follow from each peer."""
    small = toy_network('classification', 4)
    other = toy_network('classification', 4 if shared else 8)
    other.backbone.depth = 34
    model = build_cohort(
        peers=[small, other],
        cohort=dict(shared=list(shared)),
        taps=dict(feats='neck', logits='head.fc'),
        aux_heads=dict(embeds=EMBEDS),
        exchange=[CONTRAST, MUTUAL],
    )
    widths = [
        next(heads['embeds'].parameters()).shape[1]
        for heads in model.aux_heads
    ]
    assert widths == [32, 32 if shared else 64]
    batch = batch_for(model, num=4)
    for sample, label in zip(batch['data_samples'], (0, 1) * 2, strict=True):
        sample.set_gt_label(label)
    total(model.train()(**batch, mode='loss')).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key


def test_taps_and_heads_may_differ_between_peers() -> None:
    model = build_cohort(
        taps=dict(
            feats=dict(peer0='neck', peer1='backbone.layer4'),
        ),
        aux_heads=dict(
            logits=dict(
                peer0=dict(type='mmkd.TinyLinear', on='feats'),
                peer1=dict(type='mmkd.TinyLinear', on='feats', pool=True),
            )
        ),
    ).eval()
    assert [heads['logits'].pool for heads in model.aux_heads] == [False, True]
    losses = model(**batch_for(model), mode='loss')
    assert losses['peer1.loss_kd'] > 0


def test_after_step_is_called_once_per_step() -> None:
    model = build_cohort(exchange=[dict(type='mmkd.TinyRecordingExchange')])
    weight = model.cohort[0].head.fc.weight
    before = weight.detach().clone()
    optimizer = sgd(model)
    model.train()
    for step in (1, 2):
        model.train_step(toy_batch('classification', 2, (32, 32)), optimizer)
        assert model.exchanges[0].steps == step
    assert not torch.equal(model.exchanges[0].weight_seen, before)
    assert torch.equal(model.exchanges[0].weight_seen, weight)


def test_non_finite_losses_name_peer_and_key() -> None:
    model = build_cohort()
    batch = batch_for(model)
    with torch.no_grad():
        model.cohort[1].head.fc.weight.fill_(float('inf'))
    words = r'peer1\.loss_task is nan.*Inputs: images \(2, 3, 32, 32\) in \['
    with pytest.raises(FloatingPointError, match=words):
        model.parse_losses(model(**batch, mode='loss'))
    model.check_finite = False
    assert model(**batch, mode='loss')['peer1.loss_task'].isnan()


def test_non_finite_exchanges_show_what_they_read() -> None:
    model = build_cohort(exchange=dict(type='mmkd.TinyRecordingExchange'))
    model.exchanges[0].factor = float('inf')
    words = r'loss_size is inf.*peer0 logits \(2, 7\) in \[.*peer1 logits'
    with pytest.raises(FloatingPointError, match=words):
        model.parse_losses(model(**batch_for(model), mode='loss'))


def test_wrong_labels_name_the_peer_and_the_key() -> None:
    model = build_cohort()
    batch = batch_for(model)
    batch['data_samples'][0].set_gt_label(9)
    words = r'labels contain \[9\], but cohort\.peers\[0\]\.head\.num_classes='
    with pytest.raises(ValueError, match=words):
        model(**batch, mode='loss')


def test_missing_sample_idx_is_named() -> None:
    model = build_cohort(
        exchange=dict(type='mmkd.TinyRecordingExchange', keys=('sample_idx',))
    )
    batch = batch_for(model)
    model(**batch, mode='loss')
    assert model.exchanges[0].found['sample_idx'].tolist() == [0, 1]
    for sample in batch['data_samples']:
        del sample.sample_idx
    with pytest.raises(ValueError, match='add "sample_idx" to meta_keys'):
        model(**batch, mode='loss')


def test_step_leaves_nothing_behind() -> None:
    model = build_cohort(
        cohort=dict(shared=['stem']), views=dict(type='mmkd.RotationViews')
    )
    before = {id(m): set(vars(m)) for m in model.modules()}
    hooks = sum(len(m._forward_hooks) for m in model.modules())
    model(**batch_for(model), mode='loss')
    assert {id(m): set(vars(m)) for m in model.modules()} == before
    assert hooks == sum(len(m._forward_hooks) for m in model.modules())


def test_base_exchange_does_nothing() -> None:
    exchange = Exchange()
    assert exchange([{}, {}], {}) == {}
    with pytest.raises(ValueError, match='ramp_epochs=-1 must not be neg'):
        Exchange(ramp_epochs=-1)
