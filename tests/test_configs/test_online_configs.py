"""Configs of cohorts: constants, sizes of the networks, training steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope
from mmengine.runner import Runner

pytest.importorskip('mmpretrain')
from mmpretrain.structures import DataSample  # noqa: E402

from mmkd.networks import build_network, network_dict  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402

ROOT = Path(__file__).parents[2]
FOLDERS = ('mcl', 'dml', 'cl_ilr', 'one', 'kdcl', 'okddip', 'mcl_okd')
NAMES = [
    f'{folder}/{path.stem}'
    for folder in FOLDERS
    for path in sorted((ROOT / 'configs' / folder).glob('*.py'))
]
COHORTS = [name for name in NAMES if 'baseline' not in name]
BASELINES = [name for name in NAMES if 'baseline' in name]
TOYS = [name for name in COHORTS if '/toy_' in name]
# all parameters of the peers, shared ones once: published implementations
FOUR_BRANCHES = dict(
    resnet32=1819552,
    resnet56=3318944,
    resnet110=4517344,
    wrn_16_2=2712864,
    wrn_40_2=8697632,
    wrn_28_4=22679776,
    shufflenet_v2_05x=1754272,
    shufflenet_v2_1x=5331752,
    hcgnet_a1=4057426,
    hcgnet_a2=11169209,
)
SINGLE = dict(
    resnet32=472756,
    resnet56=861620,
    resnet110=1170868,
    wrn_16_2=703284,
    wrn_40_2=2255156,
    wrn_28_4=5872180,
    shufflenet_v2_05x=444292,
    shufflenet_v2_1x=1356104,
    hcgnet_a1=1102651,
    hcgnet_a2=3133679,
)
# with what the exchange adds, for a number of branches: MCL-OKD's code
COMPARED = [
    ('dml/dml_x4_resnet32_cosine_cifar100', 2, 921688),
    ('dml/dml_x4_resnet32_cosine_cifar100', 4, 1819552),
    ('cl_ilr/cl_ilr_x4_resnet32_cosine_cifar100', 4, 1642016),
    ('one/one_x4_resnet32_cosine_cifar100', 2, 832990),
    ('one/one_x4_resnet32_cosine_cifar100', 4, 1553388),
    ('okddip/okddip_x4_resnet32_cosine_cifar100', 4, 1554272),
    ('dml/dml_x4_vgg16_cosine_cifar100', 4, 53884368),
    ('cl_ilr/cl_ilr_x4_vgg16_cosine_cifar100', 4, 42078672),
    ('one/one_x4_vgg16_cosine_cifar100', 4, 36177884),
    ('okddip/okddip_x4_vgg16_cosine_cifar100', 4, 36241360),
    ('dml/dml_x4_densenet_40_12_cosine_cifar100', 4, 592384),
    # theirs has two more transitions, 14880 in all, that nothing reads
    ('cl_ilr/cl_ilr_x4_densenet_40_12_cosine_cifar100', 4, 467344),
    ('one/one_x4_densenet_40_12_cosine_cifar100', 4, 405076),
    ('okddip/okddip_x4_densenet_40_12_cosine_cifar100', 4, 409048),
    ('dml/dml_x4_hcgnet_a1_cosine_cifar100', 4, 4057426),
    ('cl_ilr/cl_ilr_x4_hcgnet_a1_cosine_cifar100', 4, 3074584),
    ('one/one_x4_hcgnet_a1_cosine_cifar100', 4, 2583679),
    ('okddip/okddip_x4_hcgnet_a1_cosine_cifar100', 4, 2625391),
]


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def config_of(name):
    return Config.fromfile(ROOT / 'configs' / f'{name}.py')


def exchanges_of(config):
    given = config.model.exchange
    return given if isinstance(given, list) else [given]


def build(config, num_samples=500):
    """Build the distiller; banks of few samples, small images."""
    model = config.model
    for exchange in exchanges_of(config):
        for key in ('loss', 'contrast'):
            if 'num_samples' in exchange.get(key, {}):
                exchange[key].num_samples = num_samples
    if 'imagenet' in config.filename:
        model.input_shape = (3, 64, 64)
    return MODELS.build(
        dict(**model, data_preprocessor=config.data_preprocessor)
    )


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def network_of(name):
    """The network in the name of an MCL config."""
    for part in ('baseline_', 'mcl_x2_', 'mcl_x4_logit_', 'mcl_x4_'):
        stem = name.split('/')[1]
        if stem.startswith(part):
            return stem.removeprefix(part).removesuffix('_cifar100')
    return None


def train_one_step(config, size):
    distiller = build(config)
    labels = [0, 0, 1, 1, 2, 2]
    asking = [
        part
        for part in distiller.exchanges.modules()
        if hasattr(part, 'set_dataset_labels')
    ]
    for part in asking:
        part.num_negatives = 16
        part.set_dataset_labels(
            torch.arange(500) // 2 % 3, torch.device('cpu')
        )
    samples = [
        DataSample(metainfo=dict(sample_idx=2 * k)).set_gt_label(label)
        for k, label in enumerate(labels)
    ]
    if asking:
        samples = [
            DataSample(metainfo=dict(sample_idx=k)).set_gt_label(k // 2)
            for k in range(6)
        ]
    if getattr(distiller.exchanges[0], 'target', '') == 'general':
        distiller.exchanges[0].set_covariance(torch.eye(2), 0)
    views = getattr(distiller.data_preprocessor, 'num_views', 1)
    if 'MultiView' in type(distiller.data_preprocessor).__name__:
        views = 2
    images = [torch.randn(6, 3, size, size) for _ in range(views)]
    distiller.train()
    losses = distiller(
        images if views > 1 else images[0], samples, mode='loss'
    )
    total, _ = distiller.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    without = [
        name
        for name, parameter in distiller.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]
    assert without == []
    return losses


def test_folders_have_configs():
    assert len(COHORTS) > 70
    assert len(TOYS) == 8
    assert {name.split('/')[0] for name in TOYS} == set(FOLDERS)


@pytest.mark.slow
@pytest.mark.parametrize('folder', FOLDERS)
def test_common_settings(folder):
    for name in (n for n in NAMES if n.startswith(f'{folder}/')):
        config = config_of(name)
        cohort = name in COHORTS
        assert config.default_scope == 'mmpretrain', name
        assert config.randomness.seed is not None, name
        assert config.train_cfg.max_epochs == config.max_epochs, name
        if config.param_scheduler.type == 'CosineAnnealingLR':
            assert config.param_scheduler.T_max == config.max_epochs, name
        kind = 'mmkd.OnlineDistiller' if cohort else 'ImageClassifier'
        assert config.model.type == kind, name
        assert config.val_evaluator.type == (
            'mmkd.PeerMetric' if cohort else 'Accuracy'
        ), name
        if not cohort:
            continue
        for peer in config.model.cohort.peers:
            head = network_dict(peer).head
            assert head.num_classes == config.data_preprocessor.num_classes
        hooks = [hook.type for hook in config.custom_hooks]
        assert hooks[-1] == 'mmkd.ExportStudentHook', name
        memory = folder == 'mcl_okd' or (
            'imagenet' in name and folder == 'mcl'
        )
        assert ('mmkd.DatasetLabelsHook' in hooks) == memory, name
        views = config.data_preprocessor.get('num_views', 1)
        if config.data_preprocessor.type == 'mmkd.MultiViewPreprocessor':
            (multi,) = (
                step
                for step in config.train_dataloader.dataset.pipeline
                if step.type == 'MultiView'
            )
            views = multi.num_views[0]
        assert views == (2 if folder == 'kdcl' else 1), name


@pytest.mark.parametrize(
    'name', [n for n in COHORTS if n.startswith('mcl/') and 'cpu' not in n]
)
def test_mcl_constants(name):
    config = config_of(name)
    first, *others = exchanges_of(config)
    loss = first.loss
    memory = 'imagenet' in name
    assert loss.temperature == (0.07 if memory else 0.1)
    assert loss.kd_temperature == 3
    assert (loss.vcl_weight, loss.icl_weight) == (0.1, 0.1)
    assert (loss.soft_vcl_weight, loss.soft_icl_weight) == (1, 1)
    peers = len(config.model.cohort.peers)
    assert peers == (4 if '_x4_' in name or name.endswith('_x4') else 2)
    if memory:
        assert (first.num_positives, first.num_negatives) == (1, 8192)
        assert (loss.num_peers, loss.momentum) == (peers, 0.5)
        assert loss.num_samples == 1281167
    else:
        sampler = config.train_dataloader.sampler
        assert sampler.type == 'mmkd.ClassAwareSampler'
        assert sampler.batch_size == config.train_dataloader.batch_size
    if peers == 4:
        deepest = 'stage2' if memory else 'stage1'
        assert config.model.cohort.shared[-1] == deepest
    else:
        assert not config.model.cohort.get('shared')
    if '_logit_' in name:
        (logit,) = others
        assert (logit.targets, logit.temperature) == ('last', 3)
        assert config.model.deploy == -1
    else:
        assert others == []


def rates(config, epochs):
    """Learning rate at the start of every epoch."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=config.optim_wrapper.optimizer.lr)
    scheduler = PARAM_SCHEDULERS.build(
        dict(**config.param_scheduler, optimizer=optimizer)
    )
    found = []
    for _ in range(epochs):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    return np.array(found)


@pytest.mark.parametrize(
    ('name', 'key', 'decay'),
    [
        ('mcl/mcl_x4_wrn_16_2_cifar100', 'cifar_cosine', 5e-4),
        ('mcl/mcl_x2_resnet18_imagenet', 'imagenet_multistep', 1e-4),
    ],
)
def test_mcl_schedules_are_the_published_ones(name, key, decay):
    path = ROOT / 'tests/golden/mcl/lr_schedules.npz'
    config = config_of(name)
    length = config.train_cfg.max_epochs
    with np.load(path) as file:
        expected = file[f'{key}_lr_by_epoch'][:length]
    assert length == (300 if 'cifar' in key else 90)
    np.testing.assert_allclose(rates(config, length), expected, rtol=1e-6)
    assert config.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.1, momentum=0.9, weight_decay=decay, nesterov=True
    )


@pytest.mark.parametrize(
    ('name', 'batch', 'rate', 'decay', 'nesterov', 'drops', 'epochs'),
    [
        (
            'okddip/okddip_x4_resnet110_cifar100',
            128,
            0.1,
            5e-4,
            True,
            [150, 225],
            300,
        ),
        ('dml/dml_x4_resnet32_cifar10', 128, 0.1, 5e-4, True, [150, 225], 300),
        (
            'one/one_x3_resnet32_own_cifar100',
            128,
            0.1,
            1e-4,
            False,
            [151, 225],
            300,
        ),
        (
            'kdcl/kdcl_general_resnet32_wrn_16_2_cifar100',
            64,
            0.05,
            5e-4,
            False,
            [150, 180, 210],
            240,
        ),
        (
            'dml/dml_x2_resnet32_own_cifar100',
            64,
            0.1,
            5e-4,
            True,
            [60, 120, 180],
            200,
        ),
    ],
)
def test_recipes(name, batch, rate, decay, nesterov, drops, epochs):
    config = config_of(name)
    optimizer = config.optim_wrapper.optimizer
    assert config.train_dataloader.batch_size == batch
    assert config.train_cfg.max_epochs == epochs
    assert (optimizer.lr, optimizer.weight_decay) == (rate, decay)
    assert optimizer.get('nesterov', False) == nesterov
    found = rates(config, epochs)
    steps = [sum(e >= d for d in drops) for e in range(epochs)]
    expected = [rate * 0.1**k for k in steps]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ('name', 'temperature', 'ramp', 'detached', 'peers'),
    [
        ('dml/dml_x2_resnet32_own_cifar100', 1, 0, True, 2),
        ('dml/dml_x4_resnet32_cifar100', 3, 0, False, 4),
        ('dml/dml_x4_resnet32_cosine_cifar100', 2, 0, True, 4),
        ('cl_ilr/cl_ilr_x4_resnet32_cifar100', 3, 80, False, 4),
        ('cl_ilr/cl_ilr_x4_resnet32_cosine_cifar100', 2, 0, True, 4),
        ('one/one_x3_resnet110_own_cifar100', 3, 80, True, 3),
        ('one/one_x4_resnet32_cifar100', 3, 80, False, 4),
        ('one/one_x4_resnet32_cosine_cifar100', 3, 0, True, 4),
        ('okddip/okddip_x4_resnet32_cifar100', 3, 80, False, 4),
        ('okddip/okddip_x4_resnet32_cosine_cifar100', 3, 80, False, 4),
        ('kdcl/kdcl_linear_resnet32_wrn_16_2_cifar100', 4, 0, True, 2),
    ],
)
def test_constants_of_the_baselines(name, temperature, ramp, detached, peers):
    config = config_of(name)
    (exchange,) = exchanges_of(config)
    assert len(config.model.cohort.peers) == peers
    assert exchange.temperature == temperature
    assert exchange.get('ramp_epochs', 0) == ramp
    okddip = name.startswith('okddip')  # never detached, refused otherwise
    assert exchange.get('detach_target', not okddip) == detached
    assert config.model.get('deploy', 0) == (-1 if okddip else 0)


@pytest.mark.parametrize(
    ('name', 'branches', 'parameters'),
    [
        pytest.param(
            *case, marks=() if 'resnet32' in case[0] else pytest.mark.slow
        )
        for case in COMPARED
    ],
)
def test_sizes_of_the_comparison(name, branches, parameters):
    config = config_of(name)
    config.model.cohort.peers = config.model.cohort.peers[:branches]
    assert count(build(config)) == parameters


def test_held_out_images_are_not_trained_on():
    config = config_of('kdcl/kdcl_general_resnet32_wrn_16_2_cifar100')
    hook = config.custom_hooks[0]
    assert hook.type == 'mmkd.HeldOutWeightsHook'
    held_out, trained = (
        hook.dataloader.dataset,
        config.train_dataloader.dataset,
    )
    assert held_out.split == trained.split == 'train'
    assert trained.indices - held_out.indices == 50000
    assert held_out.indices == -5000  # counted from the end


@pytest.mark.parametrize('name', ['resnet32', 'wrn_16_2'])
def test_mcl_branches_have_the_published_size(name):
    distiller = build(config_of(f'mcl/mcl_x4_{name}_cifar100'))
    assert count(distiller.cohort) == FOUR_BRANCHES[name]
    assert [count(peer) for peer in distiller.cohort.peers] == [
        SINGLE[name]
    ] * 4


@pytest.mark.parametrize('name', TOYS)
def test_toys_train_one_step(name):
    losses = train_one_step(config_of(name), 32)
    assert any('loss_kd' in key or 'icl' in key for key in losses)


def test_a_toy_runs_and_validates_every_peer(tmp_path):
    config = config_of('mcl/toy_mcl_x2')
    config.work_dir = str(tmp_path)
    config.train_dataloader.dataset.num_samples = 140
    config.val_dataloader.dataset.num_samples = 20
    config.train_cfg.max_epochs = 1
    config.default_hooks.logger.interval = 1
    config.experiment_name = 'test_online_toy'
    runner = Runner.from_cfg(config)
    runner.train()
    metrics = runner.message_hub.log_scalars
    for key in ('peer0', 'peer1', 'ensemble'):
        assert f'val/{key}/accuracy/top1' in metrics
    for key in ('vcl', 'soft_vcl', 'icl', 'soft_icl'):
        values = metrics[f'train/loss_{key}'].data[0]
        assert np.isfinite(values).all()
        assert len(values) == 5
    assert (tmp_path / 'student.pth').is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    'name', [n for n in NAMES if n.startswith('mcl/') and 'cifar' in n]
)
def test_mcl_sizes(name):
    network = network_of(name)
    if network not in SINGLE:
        pytest.skip('no published size')
    config = config_of(name)
    if name in BASELINES:
        assert count(build_network(config.model)) == SINGLE[network]
        return
    distiller = build(config)
    peers = len(distiller.cohort)
    assert count(distiller.cohort) == (
        FOUR_BRANCHES[network] if peers == 4 else 2 * SINGLE[network]
    )
    width = distiller.cohort[0].head.in_channels
    head = width * 128 + 128 + 128 * 128 + 128
    assert count(distiller) - count(distiller.cohort) == peers * head


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'parameters'), [('resnet18', 44708832), ('resnet34', 83146976)]
)
def test_mcl_sizes_on_imagenet(name, parameters):
    distiller = build(config_of(f'mcl/mcl_x4_{name}_imagenet'))
    assert count(distiller.cohort) == parameters


@pytest.mark.slow
@pytest.mark.parametrize('name', [n for n in COHORTS if n not in TOYS])
def test_cohorts_train_one_step(name):
    config = config_of(name)
    losses = train_one_step(config, 64 if 'imagenet' in name else 32)
    peers = range(len(config.model.cohort.peers))
    own = {f'peer{k}.loss_task' for k in peers}
    assert own < losses.keys()
    others = losses.keys() - own
    kinds = ('loss_kd', 'icl', 'contrast')
    assert any(kind in key for key in others for kind in kinds)
