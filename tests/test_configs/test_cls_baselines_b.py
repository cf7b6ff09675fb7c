"""KD, NST, CRD, SSKD, DKD, ReviewKD and OFD in the CRD benchmark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

pytest.importorskip('mmpretrain')
from mmpretrain.structures import DataSample  # noqa: E402

from mmkd.networks import build_network, network_dict  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402

FOLDER = Path(__file__).parents[2] / 'configs' / 'cls_baselines'
METHODS = (
    'kd', 'nst', 'crd', 'crd_kd', 'sskd', 'sskd_teacher', 'dkd', 'review_kd',
    'ofd',
)  # fmt: skip
COUNTS = dict(
    kd=13,
    nst=13,
    crd=13,
    crd_kd=13,
    dkd=11,
    review_kd=11,
    ofd=11,
    sskd=11,
    sskd_teacher=5,
)


def method_of(name: str) -> str:
    found = [m for m in METHODS if name.startswith(f'{m}_')]
    return max(found, key=len, default='')


NAMES = [
    path.stem
    for path in sorted(FOLDER.glob('*_cifar100.py'))
    if method_of(path.stem) and '_own_' not in path.stem
]
# of every method one pair, and two more with constants of their own
FAST = [
    name
    for name in NAMES
    if name.endswith('_wrn_40_2_wrn_16_2_cifar100')
    or name
    in (
        'sskd_teacher_wrn_40_2_cifar100',
        'dkd_resnet56_resnet20_cifar100',
        'crd_resnet50_mobilenet_v2_cifar100',
    )
]
SHORT = [
    path.stem
    for path in sorted(FOLDER.glob('cpu_*.py'))
    if not path.stem.startswith(('cpu_teacher_', 'cpu_baseline_'))
]
ALL = [
    pytest.param(name, marks=() if name in FAST else pytest.mark.slow)
    for name in NAMES
]
SAMPLES = 16


@pytest.fixture(autouse=True)
def _scope() -> Any:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


@pytest.fixture(scope='module')
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Checkpoint of a network, with the SSKD head of its width."""
    folder = tmp_path_factory.mktemp('teachers')

    def save(name: str) -> str:
        path = folder / f'{name}.pth'
        if not path.exists():
            config = f'mmkd::cls_baselines/{name}.py'
            network = build_network(network_dict(config))
            state = {
                f'student.{k}': v for k, v in network.state_dict().items()
            }
            width = network.head.fc.in_features
            head = dict(type='mmkd.EmbeddingMLP', in_channels=width)
            for key, value in MODELS.build(head).state_dict().items():
                state[f'aux_heads.embeds_t.{key}'] = value
            torch.save(dict(state_dict=state), path)
        return str(path)

    return save


def build(name: str, weights: Callable[..., str]) -> Any:
    config = Config.fromfile(FOLDER / f'{name}.py')
    model = config.model
    model.data_preprocessor = config.data_preprocessor
    if model.get('teacher'):
        model.teacher.checkpoint = weights(Path(model.teacher.config).stem)
    else:
        path = Path(model.frozen_student)
        is_run = path.stem.startswith('epoch_')
        model.frozen_student = weights(
            path.parent.name if is_run else path.stem
        )
    for loss in model.losses.values():
        if loss.type == 'mmkd.CRDLoss':
            loss.num_samples, loss.num_negatives = SAMPLES, 5
    return MODELS.build(model)


def train_one_step(distiller: Any) -> dict[str, torch.Tensor]:
    distiller.train()
    samples = []
    for k in range(4):
        sample = DataSample(metainfo=dict(sample_idx=k)).set_gt_label(k)
        samples.append(sample)
    images = [torch.randint(256, (3, 32, 32)).byte() for _ in range(4)]
    data = dict(inputs=images, data_samples=samples)
    data = distiller.data_preprocessor(data, True)
    losses = distiller(**data, mode='loss')
    distiller.parse_losses(losses)[0].backward()
    return losses


def test_all_published_pairs_are_there() -> None:
    found = [method_of(name) for name in NAMES]
    assert {method: found.count(method) for method in METHODS} == COUNTS


@pytest.mark.parametrize('name', ALL)
def test_constants(name: str) -> None:
    """Weights as published; the schedule is the protocol's."""
    config = Config.fromfile(FOLDER / f'{name}.py')
    method, losses = method_of(name), config.model.losses
    slow = 'mobilenet' in name or 'shufflenet' in name
    assert config.optim_wrapper.optimizer.lr == (0.01 if slow else 0.05)
    assert config.train_dataloader.batch_size == 64
    epochs = 60 if method == 'sskd_teacher' else 240
    assert config.train_cfg.max_epochs == epochs
    hooks = [hook.type for hook in config.get('custom_hooks', [])]
    assert ('mmkd.DatasetLabelsHook' in hooks) == ('crd' in method)
    task = config.model.student.head.loss.get('loss_weight', 1.0)
    assert task == (0.1 if method in ('kd', 'sskd') else 1.0)
    if method in ('kd', 'crd_kd'):
        assert losses.kd.temperature == 4.0
        assert losses.kd.loss_weight == (0.9 if method == 'kd' else 1.0)
    if method == 'dkd':
        betas = dict.fromkeys(
            ('resnet56_resnet20', 'resnet110_resnet32'), 2.0
        ) | dict.fromkeys(
            (
                'wrn_40_2_wrn_16_2',
                'wrn_40_2_wrn_40_1',
                'vgg13_vgg8',
                'vgg13_mobilenet_v2',
            ),
            6.0,
        )
        pair = name.removeprefix('dkd_').removesuffix('_cifar100')
        assert losses.dkd.beta == betas.get(pair, 8.0)
    review = dict(
        resnet56_resnet20=0.6,
        resnet110_resnet32=1.0,
        resnet32x4_shufflenet_v2=8.0,
    ).get(name.removeprefix('review_kd_').removesuffix('_cifar100'), 5.0)
    expected = dict(nst=50.0, crd=0.8, crd_kd=0.8, review_kd=review, ofd=1e-3)
    if method in expected:
        key = dict(crd_kd='crd', review_kd='review').get(method, method)
        assert losses[key].loss_weight == expected[method]
    if 'sskd' in method:
        views, pixels = config.model.views, config.data_preprocessor
        assert (views.mean, views.std) == (pixels.mean, pixels.std)
        assert (views.crop_padding, pixels.crop_padding) == (4, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    'name',
    [*ALL, *(pytest.param(name, marks=pytest.mark.slow) for name in SHORT)],
)
def test_one_step(name: str, weights: Callable[..., str]) -> None:
    distiller = build(name, weights)
    before = {k: v.clone() for k, v in distiller.student.state_dict().items()}
    losses = train_one_step(distiller)
    assert all(value.isfinite().all() for value in losses.values())
    trained = {n for n, p in distiller.named_parameters() if p.requires_grad}
    for key, parameter in distiller.named_parameters():
        if key in trained:
            assert parameter.grad is not None, key
    if 'sskd_teacher' in name:
        assert trained == {
            f'aux_heads.embeds_t.{k}'
            for k in ('0.weight', '0.bias', '2.weight', '2.bias')
        }
        after = distiller.student.state_dict()
        assert all(torch.equal(after[k], v) for k, v in before.items())


def test_short_runs_are_alike() -> None:
    """The same student, teacher and budget for every method."""
    assert len(SHORT) == 12
    first = Config.fromfile(FOLDER / f'{SHORT[0]}.py')
    for name in SHORT:
        config = Config.fromfile(FOLDER / f'{name}.py')
        assert config.optim_wrapper == first.optim_wrapper
        if 'teacher' not in name:
            assert config.train_cfg == first.train_cfg
            assert config.model.student.backbone.depth == 8
            teacher = config.model.teacher.config
            assert teacher == first.model.teacher.config


def test_crd_refuses_another_data_set() -> None:
    """What DatasetLabelsHook says when training starts."""
    name = 'crd_wrn_40_2_wrn_16_2_cifar100'
    config = Config.fromfile(FOLDER / f'{name}.py').model.losses.crd
    config.pop('on')
    loss = MODELS.build(dict(config, student_dim=128, teacher_dim=128))
    with pytest.raises(ValueError, match='set num_samples=12500 in the loss'):
        loss.set_dataset_labels(torch.arange(12500) % 100, 'cpu')
