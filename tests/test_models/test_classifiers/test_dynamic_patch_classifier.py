"""The cascade: the rule on the table, costs, files, mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmpretrain')
from mmpretrain.structures import DataSample  # noqa: E402

from mmkd.evaluation import DynamicAccuracy  # noqa: E402
from mmkd.evaluation.early_exit import (  # noqa: E402
    ExitTable,
    apply_thresholds,
    exit_stages,
    fixed_exit,
)
from mmkd.models.classifiers.cascade_cost import count_macs  # noqa: E402
from tests.support.patch_networks import (  # noqa: E402
    PATCH,
    build,
    cascade,
    classifier,
    images,
    patch_classifier,
    proposal,
)

COUNT = 12


def thresholds_of(confidence: torch.Tensor) -> list[float]:
    """Thresholds by which some leave at every stage."""
    return [*confidence.quantile(0.5, 0).tolist()[:-1], 0.0]


@torch.no_grad()
def test_early_exit_is_the_rule_on_the_table() -> None:
    network = build(cascade())
    x = images(COUNT)
    confidence, classes = network(x)
    limits = thresholds_of(confidence)
    network.exit_thresholds = tuple(limits)
    logits, stages = network.run(x)
    wanted = exit_stages(confidence.numpy(), limits)
    assert (stages - 1).tolist() == wanted.tolist()
    assert len(set(wanted.tolist())) > 2
    picked = classes[torch.arange(COUNT), stages - 1]
    assert logits.argmax(1).tolist() == picked.tolist()
    network.exit_thresholds = None
    logits, stages = network.run(x)
    assert set(stages.tolist()) == {4}
    assert logits.argmax(1).tolist() == classes[:, -1].tolist()


@torch.no_grad()
def test_stages_add_up_by_hand() -> None:
    network = build(cascade())
    x = images(2)
    boxes, _ = network.selector(_maps(network, x))
    patches = network.selector.crop(x, boxes)
    small = torch.nn.functional.interpolate(
        x, (PATCH, PATCH), mode='bicubic', align_corners=True
    )
    total = network.global_net(small).float()
    stages = network.stage_logits(x)
    torch.testing.assert_close(stages[:, 0], total)
    for k in range(3):
        own = patches[[k, 3 + k]]
        total = total + network.patch_net(own).float()
        torch.testing.assert_close(stages[:, k + 1], total)


def _maps(network: Any, x: torch.Tensor) -> torch.Tensor:
    (features,) = network.proposal.backbone(x)
    fc = network.proposal.head.fc
    predicted = fc(features.mean((2, 3))).argmax(1)
    return torch.einsum('nchw,nc->nhw', features, fc.weight[predicted])


@torch.no_grad()
def test_only_undecided_images_go_on() -> None:
    network = build(cascade())
    x = images(COUNT)
    limits = thresholds_of(network(x)[0])
    network.exit_thresholds = tuple(limits)
    seen: list[tuple[str, int]] = []
    for name in ('proposal', 'global_net', 'patch_net'):
        module = getattr(network, name).backbone
        module.register_forward_hook(
            lambda _, args, __, name=name: seen.append((name, len(args[0])))
        )
    _, stages = network.run(x)
    left = [int((stages > s).sum()) for s in range(4)]
    after = [('patch_net', count) for count in left[1:] if count]
    assert seen == [('global_net', COUNT), ('proposal', left[1]), *after]


@torch.no_grad()
def test_costs_and_metric() -> None:
    network = build(cascade())
    x = images(COUNT)
    small = torch.zeros(1, 3, PATCH, PATCH, dtype=torch.float64)
    m = count_macs(network.patch_net, small)
    a = count_macs(network.proposal, x)
    assert network.costs(x) == [m, a + 2 * m, a + 3 * m, a + 4 * m]
    confidence, classes = network(x)
    limits = thresholds_of(confidence)
    network.exit_thresholds = tuple(limits)
    labels = classes[:, 1].tolist()
    data = [DataSample().set_gt_label(label) for label in labels]
    found = network.predict(x, data)
    metric = DynamicAccuracy(topk=(1, 3))
    metric.process({}, [sample.to_dict() for sample in found])
    got = metric.evaluate(COUNT)
    correct = classes.numpy() == np.asarray(labels)[:, None]
    table = ExitTable(confidence.numpy(), correct)
    wanted = apply_thresholds(table, limits, network.costs(x))
    assert got['dynamic/top1'] == pytest.approx(100 * wanted.accuracy)
    assert got['dynamic/top3'] == 100
    assert got['dynamic/giga_macs'] == pytest.approx(wanted.cost / 1e9)
    shares = [got.get(f'dynamic/exit{s + 1}', 0.0) for s in range(4)]
    counts = [round(share * COUNT / 100) for share in shares]
    assert tuple(counts) == wanted.stage_count
    network.exit_thresholds = fixed_exit(4, 0)
    assert {s.macs for s in network.predict(x)} == {m}


def test_given_costs() -> None:
    macs = dict(proposal=0.06, global_net=0.79, patch_net=0.79)
    network = build(cascade(macs=macs))
    costs = network.costs(images(1))
    assert costs == pytest.approx([0.79, 1.64, 2.43, 3.22])


def test_parts_are_loaded_whole(tmp_path: Path) -> None:
    sources = dict(
        proposal=build(proposal(), 1),
        global_net=build(classifier(), 2),
        patch_net=build(patch_classifier(), 3),
    )
    config = cascade()
    for name, source in sources.items():
        path = tmp_path / f'{name}.pth'
        torch.save(dict(state_dict=source.state_dict()), path)
        config[name]['init_cfg'] = dict(
            type='Pretrained', checkpoint=str(path)
        )
    network = build(config)
    network.load_parts()
    state = network.patch_net.state_dict()
    for key, value in sources['patch_net'].state_dict().items():
        if not key.startswith('proposal.'):
            torch.testing.assert_close(state[key], value)
    torch.save(dict(state_dict=build(proposal(5)).state_dict()), path)
    with pytest.raises(ValueError, match=r'patch_net checkpoint='):
        network.load_parts()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(exit_thresholds=[0.9] * 3), r'3 entries, but there are 4'),
        (dict(exit_thresholds=[0.9, -1, 0.9, 0]), r'holds \[-1\.0\]'),
        (dict(exit_thresholds=[float('nan')] * 4), r'nan'),
        (dict(macs=dict(patch=1)), r"\['patch'\].*global_net"),
        (dict(patch_net=classifier(7)), r'patch_net: 7'),
        (
            dict(selector=dict(num_patches=26)),
            r'num_patches=26, but maps of 5x5 have 25',
        ),
    ],
)
def test_mistakes_of_the_config(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(cascade(**options))(images(1))


def test_a_cascade_has_no_loss() -> None:
    with pytest.raises(TypeError, match=r'no loss of its own'):
        build(cascade())(images(1), [], mode='loss')


def test_half_precision_sums_in_float32() -> None:
    network = build(cascade()).bfloat16()
    with torch.no_grad():
        logits = network.stage_logits(images(2).bfloat16())
    assert logits.dtype == torch.float32
