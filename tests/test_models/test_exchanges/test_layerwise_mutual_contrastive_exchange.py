from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope
from torch.nn import functional

from tests.references import lmcl
from tests.support.lmcl_toy import (
    build_lmcl,
    heterogeneous_config,
    lmcl_batch,
    lmcl_config,
    small_network,
)

LABELS = torch.tensor([0, 1, 0, 1])
UNIT = dict(
    vcl_weight=1.0, soft_vcl_weight=1.0, icl_weight=1.0, soft_icl_weight=1.0
)


def build(config: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return ROOT_MODELS.build(config).train()


@pytest.mark.parametrize('kind', ['equal', 'three', 'heterogeneous'])
def test_losses_of_a_step(kind: str) -> None:
    """All terms, written down from what the networks give."""
    if kind == 'heterogeneous':
        model = build(heterogeneous_config(loss=UNIT))
    else:
        model = build_lmcl(2 if kind == 'equal' else 3, loss=UNIT)
    batch = lmcl_batch(model)
    losses = model(**batch, mode='loss')
    model.load_state_dict(model.state_dict())
    peers = model.parts[0].peers(model.observe(**batch).tensors)
    count = len(peers)
    ce = functional.cross_entropy
    for i, peer in enumerate(peers):
        assert len(peer['logits']) == 3
        named = {
            f'peer{i}.loss_task': peer['logits'][2],
            f'peer{i}.stage1.loss_task': peer['logits'][0],
            f'peer{i}.stage2.loss_task': peer['logits'][1],
            f'peer{i}.aggregated.loss_task': peer['aggregated'],
        }
        for name, logits in named.items():
            torch.testing.assert_close(losses[name], ce(logits, LABELS))
    weights = model.exchanges[0].pair_weights(peers)
    terms = lmcl.batch_terms(
        [peer['embeds'] for peer in peers], LABELS, weights
    )
    for name, value in terms.items():
        torch.testing.assert_close(losses[name], value, rtol=1e-4, atol=1e-5)
    kd = sum(
        lmcl.kl_rows(b['aggregated'], a['logits'][2], 3.0).mean()
        for a in peers
        for b in peers
    )
    torch.testing.assert_close(losses['loss_logit_kd'], kd)
    found = [name for name in losses if 'loss' in name]
    assert len(found) == 4 * count + 5


def test_a_step_trains_all_but_phi() -> None:
    model = build_lmcl()
    losses = model(**lmcl_batch(model), mode='loss')
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    for name, parameter in model.named_parameters():
        if '.matching.' in name:
            assert parameter.grad is None and not parameter.requires_grad
        else:
            assert parameter.grad is not None, name


def test_stages_and_ensembles_are_evaluated() -> None:
    model = build_lmcl().eval()
    batch = lmcl_batch(model)
    with torch.no_grad():
        samples = model(**batch, mode='predict')
        peers = model.parts[0].peers(model.observe(**batch).tensors)
    found = samples[1].peer_samples
    names = [
        f'peer{i}{end}'
        for i in (0, 1)
        for end in ('', '.stage1', '.stage2', '.aggregated')
    ]
    assert set(found) == {*names, 'ensemble'}
    for i, peer in enumerate(peers):
        for end, logits in (
            ('', peer['logits'][2]),
            ('.stage1', peer['logits'][0]),
            ('.stage2', peer['logits'][1]),
            ('.aggregated', peer['aggregated']),
        ):
            torch.testing.assert_close(
                found[f'peer{i}{end}'].pred_score, logits.softmax(1)[1]
            )


def test_weights_are_one_without_matching() -> None:
    model = build_lmcl(exchange=dict(matching=None, logit_loss=None))
    batch = lmcl_batch(model)
    losses = model(**batch, mode='loss')
    peers = model.parts[0].peers(model.observe(**batch).tensors)
    terms = lmcl.batch_terms(
        [peer['embeds'] for peer in peers], LABELS, torch.ones(2, 3, 2, 3, 4)
    )
    torch.testing.assert_close(
        losses['loss_icl'], 0.1 * terms['loss_icl'], rtol=1e-4, atol=1e-5
    )
    assert 'loss_logit_kd' not in losses


# -- against banks ------------------------------------------------------------


def memory_config(num_samples: int = 9, **changes: Any) -> dict[str, Any]:
    exchange = dict(
        type='mmkd.MemoryLayerwiseMutualContrastiveExchange',
        num_negatives=3,
        loss=dict(
            type='mmkd.MemoryLayerwiseMutualContrastiveLoss',
            num_peers=2,
            num_samples=num_samples,
            feat_dim=8,
        ),
    )
    return lmcl_config(exchange={**exchange, **changes})


def told(model: Any, labels: Any = (0, 1, 0, 1, 0, 1, 2, 2, 2)) -> Any:
    model.exchanges[0].set_dataset_labels(
        torch.tensor(labels), torch.device('cpu')
    )
    return model


def test_banks_are_read_again_but_not_written_in_the_meta_step() -> None:
    from tests.support.lmcl_toy import main_groups, meta_hook

    model = told(build(memory_config()))
    loss = model.exchanges[0].loss
    batch = lmcl_batch(model)
    start = loss.banks.clone()
    losses = model(**batch, mode='loss')
    assert {'loss_vcl', 'loss_soft_icl', 'peer1.stage2.loss_task'} < {*losses}
    rows = (loss.banks != start).any(2)
    assert rows.tolist() == [[True] * 4 + [False] * 5] * 2
    drawn = model.exchanges[0]._drawn
    after = {k: v.clone() for k, v in model.state_dict().items()}
    meta_hook(model).step(model, batch, main_groups(model))
    assert model.exchanges[0]._drawn is drawn and loss.training
    for key, value in model.state_dict().items():
        assert torch.equal(value, after[key]) != ('.matching.' in key), key


def test_memory_messages() -> None:
    model = build(memory_config())
    with pytest.raises(ValueError, match='add custom_hooks='):
        model(**lmcl_batch(model), mode='loss')
    with pytest.raises(ValueError, match='num_samples=9, but the training s'):
        told(model, (0, 1, 0, 1))
    config = memory_config()
    config['exchange']['loss']['num_peers'] = 3
    with pytest.raises(ValueError, match='set num_peers=2 in the loss'):
        build(config)
    model = told(build(memory_config()))
    state = model.state_dict()
    state['exchanges.0.loss.banks'][1, 2, 0] = float('nan')
    with pytest.raises(ValueError, match=r'exchanges\.0\.loss\.banks.*not fi'):
        build(memory_config()).load_state_dict(state)


# -- messages -----------------------------------------------------------------


def test_messages() -> None:
    config = lmcl_config()
    del config['exchange']['on']['aggregated']
    with pytest.raises(ValueError, match='must name the tensors feats'):
        build(config)
    config = lmcl_config([small_network(4), small_network(4)])
    refined = config['aux_heads']['refined']
    config['taps']['stages'] = dict(
        peer0=['backbone.layer{1,2}'], peer1=['backbone.layer2']
    )
    config['aux_heads']['refined'] = dict(
        peer0=dict(refined), peer1={**refined, 'stages': ['layer2']}
    )
    with pytest.raises(ValueError, match=r'the shapes of "embeds"|stages'):
        build(config)
    config = lmcl_config(dry_run=False)
    for name in ('stage_logits', 'embeds', 'aggregated'):
        config['aux_heads'][name]['in_channels'] = [16] * 3
    with pytest.raises(ValueError, match='were not seen before training'):
        build(config)
    with pytest.raises(TypeError, match='exchange.matching'):
        build(lmcl_config(exchange=dict(matching='network')))


def test_widths_of_the_config_without_a_dry_run() -> None:
    config = lmcl_config(dry_run=False)
    widths = [[16] * 3] * 2
    config['exchange']['matching']['in_channels'] = widths
    for name in ('stage_logits', 'embeds', 'aggregated'):
        config['aux_heads'][name]['in_channels'] = [16] * 3
    model = build(config)
    losses = model(**lmcl_batch(model), mode='loss')
    assert all(torch.as_tensor(v).isfinite().all() for v in losses.values())
