"""Classifiers of patches: steps, frozen parts, files, mistakes."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmpretrain')
from mmpretrain.structures import DataSample  # noqa: E402

from mmkd.models.classifiers.patch_classifier import five_crops  # noqa: E402
from mmkd.models.classifiers.proposals import activation_maps  # noqa: E402
from tests.references import anchornet as reference  # noqa: E402
from tests.support.patch_networks import (  # noqa: E402
    PATCH,
    build,
    classifier,
    images,
    patch_classifier,
    proposal,
)


def samples(labels: list[int]) -> list[DataSample]:
    return [DataSample().set_gt_label(label) for label in labels]


def test_loss_is_that_of_all_patches_by_hand() -> None:
    network = build(patch_classifier())
    x = images()
    maps = activation_maps(network.proposal, x)[0]
    boxes = [reference.select(m, 3, [0.4] * 2, True, PATCH)[0] for m in maps]
    patches = reference.crop(x, torch.tensor(boxes))
    plain = network.head(network.neck(network.backbone(patches)))
    labels = torch.tensor([0, 2, 1, 1])
    wanted = torch.nn.functional.cross_entropy(
        plain, labels.repeat_interleave(3)
    )
    losses = network.loss(x, samples(labels.tolist()))
    torch.testing.assert_close(losses['loss'], wanted)
    logits = network(x)
    torch.testing.assert_close(logits, plain.view(4, 3, -1).mean(1))
    predicted = network.predict(x, samples(labels.tolist()))
    assert [int(s.pred_label) for s in predicted] == logits.argmax(1).tolist()


def test_a_step_leaves_the_proposal_network_alone() -> None:
    network = build(patch_classifier()).train()
    before = copy.deepcopy(network.proposal.state_dict())
    network.loss(images(), samples([0, 1, 2, 0]))['loss'].backward()
    assert not network.proposal.training
    assert all(p.grad is None for p in network.proposal.parameters())
    for key, value in network.proposal.state_dict().items():
        assert torch.equal(value, before[key]), key
    trained = [p for p in network.parameters() if p.requires_grad]
    assert all(p.grad is not None for p in trained)


def test_equal_patches_count_once() -> None:
    network = build(patch_classifier())
    x = torch.ones(2, 3, 63, 63, dtype=torch.float64)
    one = build(patch_classifier(selector=dict(num_patches=1)))
    one.load_state_dict(network.state_dict())
    labels = samples([1, 2])
    torch.testing.assert_close(
        network.loss(x, labels)['loss'], one.loss(x, labels)['loss']
    )


def test_proposal_can_learn_beside() -> None:
    network = build(patch_classifier(freeze_proposal=False)).train()
    losses = network.loss(images(), samples([0, 1, 2, 0]))
    losses['loss_proposal'].backward()
    assert network.proposal.training
    assert all(p.grad is not None for p in network.proposal.parameters())


def test_five_crops() -> None:
    network = build(patch_classifier(test_patches='five_crops'))
    x = images(2)
    boxes = five_crops(x, PATCH)
    assert boxes[0, :, :2].tolist() == [
        [0, 0], [0, 32], [32, 0], [32, 32], [16, 16],
    ]  # fmt: skip
    patches = reference.crop(x, boxes)
    wanted = network.patch_logits(patches).view(2, 5, -1).mean(1)
    torch.testing.assert_close(network(x), wanted)


def test_resized_classifier_shrinks() -> None:
    network = build(
        classifier(type='mmkd.ResizedClassifier', input_size=PATCH)
    )
    x = images(2)
    small = torch.nn.functional.interpolate(
        x, (PATCH, PATCH), mode='bicubic', align_corners=True
    )
    torch.testing.assert_close(network(x), network(small))
    plain = build(classifier())
    plain.load_state_dict(network.state_dict())
    torch.testing.assert_close(network(x), plain(small))


def test_patches_of_several_scales() -> None:
    config = patch_classifier(
        proposal=proposal(num_stride1_blocks=2, out_indices=(2, 3)),
        selector=dict(type='mmkd.MultiScalePatchSelector', num_patches=2),
    )
    config['proposal']['head'] = dict(
        type='mmkd.BranchClsHead',
        num_classes=3,
        in_channels=16,
        num_branches=2,
        topk=(1,),
    )
    network = build(config)
    x = images(2)
    assert network.selector.patch_sizes == (31, 47)
    feats = network.proposal.extract_feat(x, stage='backbone')
    logits = network.proposal(x)
    k = int(logits[1].argmax())
    maps = activation_maps(network.proposal, x)
    for scale, fc, own in zip(
        feats, network.proposal.head.fcs, maps, strict=True
    ):
        evidence = torch.einsum('chw,c->hw', scale[1], fc.weight[k])
        torch.testing.assert_close(own[1], evidence / 16)
        total = evidence.mean() + fc.bias[k]
        torch.testing.assert_close(total, fc(scale.mean((2, 3)))[1, k])
    assert network.patches(x).shape == (4, 3, 47, 47)
    losses = network.proposal.loss(x, samples([0, 1]))
    wanted = [
        torch.nn.functional.cross_entropy(
            fc(scale.mean((2, 3))), torch.tensor([0, 1])
        )
        for scale, fc in zip(feats, network.proposal.head.fcs, strict=True)
    ]
    torch.testing.assert_close(losses['loss_branch0'], wanted[0])
    torch.testing.assert_close(losses['loss_branch1'], wanted[1])


def save(path: Path, network: torch.nn.Module) -> str:
    torch.save(dict(state_dict=network.state_dict()), path)
    return str(path)


def test_file_of_the_proposal_network_is_loaded_whole(tmp_path: Path) -> None:
    source = build(proposal(), seed=5)
    path = save(tmp_path / 'proposal.pth', source)
    config = proposal()
    config['init_cfg'] = dict(type='Pretrained', checkpoint=path)
    network = build(patch_classifier(proposal=config))
    network.init_weights()
    for key, value in network.proposal.state_dict().items():
        torch.testing.assert_close(value, source.state_dict()[key])
    other = save(tmp_path / 'other.pth', build(proposal(classes=5)))
    config['init_cfg']['checkpoint'] = other
    network = build(patch_classifier(proposal=config)).float()
    with pytest.raises(ValueError, match=r'proposal checkpoint=.*head\.fc'):
        network.init_weights()


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r'proposal: 5, head: 3'):
        build(patch_classifier(proposal=proposal(classes=5)))
    with pytest.raises(ValueError, match=r"test_patches='all'.*five_crops"):
        build(patch_classifier(test_patches='all'))
    with pytest.raises(ValueError, match=r'patch_size=95.*patch_size=31'):
        build(patch_classifier(selector=dict(patch_size=95)))
    with pytest.raises(TypeError, match=r'proposal=3 is no network'):
        build(patch_classifier(proposal=3))
    with pytest.raises(ValueError, match=r'input_size=0'):
        build(classifier(type='mmkd.ResizedClassifier', input_size=0))
    small = images(1, 30)
    with pytest.raises(ValueError, match=r'at least 31x31.*30x30'):
        build(patch_classifier())(small)
    wide = build(patch_classifier())
    assert wide(torch.zeros(1, 3, 63, 95).double()).shape == (1, 3)
