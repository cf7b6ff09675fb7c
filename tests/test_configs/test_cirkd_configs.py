"""Every CIRKD config: it parses, its networks are the published ones, and
the distillations fit and run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from PIL import Image

pytest.importorskip('mmseg')
from mmkd.checkpoints.read import read_checkpoint  # noqa: E402
from mmkd.networks import build_network, load_config  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs' / 'cirkd'
PATHS = [  # test_seg_configs.py has those that are generated
    path
    for path in sorted(FOLDER.glob('*.py'))
    if not path.read_text().startswith('# Generated')
]
NAMES = [path.stem for path in PATHS]
DISTILLED = [
    name
    for name in NAMES
    if not name.startswith(('baseline', 'teacher'))
    and name not in ('cpu_baseline_camvid', 'cpu_teacher_camvid')
]


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def config_of(name):
    return Config.fromfile(FOLDER / f'{name}.py')


@pytest.mark.parametrize('name', NAMES)
def test_common_settings(name):
    config = config_of(name)
    length = config.train_cfg.max_iters
    (poly,) = config.param_scheduler
    assert (poly.type, poly.power, poly.eta_min) == ('PolyLR', 0.9, 0)
    assert (poly.begin, poly.end) == (0, length)
    assert length % config.train_cfg.val_interval == 0
    assert config.default_hooks.checkpoint.interval == (
        config.train_cfg.val_interval
    )
    assert config.randomness.seed is not None
    assert config.default_scope == 'mmseg'
    assert config.data_preprocessor.pad_val == 0
    assert config.data_preprocessor.size == config.crop_size
    pad, crop = config.train_pipeline[-4], config.train_pipeline[-3]
    assert pad.size == config.crop_size[::-1]
    assert pad.pad_val.img == config.data_preprocessor.mean
    assert crop.crop_size == config.crop_size
    published = not name.startswith('cpu')
    if published:
        cityscapes_teacher = name == 'teacher_deeplabv3_r101_cityscapes'
        assert config.optim_wrapper.optimizer == dict(
            type='SGD',
            lr=0.01 if cityscapes_teacher else 0.02,
            momentum=0.9,
            weight_decay=1e-4,
        )
        assert length == (80000 if cityscapes_teacher else 40000)
        assert config.data_preprocessor.std == (1, 1, 1)


@pytest.mark.parametrize('name', DISTILLED)
def test_distilled_configs_fit_their_networks(name):
    config = config_of(name)
    model = config.model
    assert model.type == 'mmkd.OfflineDistiller'
    student = model.student
    if isinstance(student, str):
        student = load_config(student).model
    teacher = load_config(model.teacher.config).model
    assert student._scope_ == teacher._scope_ == 'mmseg'
    assert student.data_preprocessor == teacher.data_preprocessor
    classes = student.decode_head.num_classes
    assert teacher.decode_head.num_classes == classes
    assert classes == (19 if 'cityscapes' in name else 11)
    memory = model.losses.get('memory')
    if memory is not None:
        assert memory.num_classes == classes
        assert not {'student_channels', 'teacher_channels'} & set(memory)
        assert memory.pixel_loss_weight == memory.region_loss_weight == 0.1
        assert model.losses.minibatch.group_size == 2
    if not name.startswith('cpu'):
        assert memory.pixel_sampling == 'leading'
        assert (memory.pixel_memory_size, memory.region_memory_size) == (
            20000,
            2000,
        )


@pytest.mark.parametrize(
    ('name', 'millions'),
    [
        ('teacher_deeplabv3_r101_cityscapes', 61.12),
        ('baseline_deeplabv3_r18_cityscapes', 13.61),
        ('baseline_pspnet_r18_cityscapes', 12.92),
        ('baseline_deeplabv3_mbv2_cityscapes', 3.23),
    ],
)
def test_published_parameter_counts(name, millions):
    with torch.device('meta'):
        network = build_network(str(FOLDER / f'{name}.py'))
    count = sum(parameter.numel() for parameter in network.parameters())
    assert round(count / 1e6, 2) == millions


@pytest.mark.parametrize(
    ('name', 'giga'),
    [
        ('teacher_deeplabv3_r101_cityscapes', 516),
        ('baseline_deeplabv3_r18_cityscapes', 129),
    ],
)
def test_convolution_macs_at_the_cityscapes_crop(name, giga):
    with torch.device('meta'):
        network = build_network(str(FOLDER / f'{name}.py'))
    network.eval()
    macs = []
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(
                lambda conv, args, out: macs.append(
                    out.numel() * conv.weight[0].numel()
                )
            )
    feats = network.backbone(torch.empty(1, 3, 512, 1024, device='meta'))
    network.decode_head(feats)
    network.auxiliary_head(feats)
    assert round(sum(macs) / 1e9) == giga


@pytest.mark.parametrize(
    'name', [name for name in NAMES if name not in DISTILLED]
)
def test_networks_run_on_cpu(name):
    """One forward pass; taps of the distillation exist and fit."""
    network = build_network(str(FOLDER / f'{name}.py'))
    network.eval()
    seen = []
    head = network.decode_head
    head.conv_seg.register_forward_pre_hook(lambda m, args: seen.extend(args))
    with torch.no_grad():
        logits = network(torch.zeros(1, 3, 64, 96), mode='tensor')
    assert logits.shape == (1, head.num_classes, 8, 12)
    assert seen[0].shape == (1, head.channels, 8, 12)


def write_camvid(root):
    rng = np.random.default_rng(0)
    for split in ('train', 'val', 'test'):
        for index in range(2):
            image = root / f'camvid/images/{split}/{index}.png'
            label = root / f'camvid/annotations/{split}/{index}.png'
            for path, shape, top in (
                (image, (36, 48, 3), 256),
                (label, (36, 48), 12),
            ):
                path.parent.mkdir(parents=True, exist_ok=True)
                array = rng.integers(0, top, shape, dtype=np.uint8)
                Image.fromarray(array).save(path)


@pytest.mark.slow
def test_cpu_config_trains_and_validates(tmp_path, monkeypatch):
    monkeypatch.setenv('MMKD_DATA', str(tmp_path))
    write_camvid(tmp_path)
    teacher = build_network(str(FOLDER / 'cpu_teacher_camvid.py'))
    torch.save(dict(state_dict=teacher.state_dict()), tmp_path / 'teacher.pth')
    config = config_of('cpu_cirkd_class_camvid')
    config.work_dir = str(tmp_path / 'work')
    config.model.teacher.checkpoint = str(tmp_path / 'teacher.pth')
    config.model.losses.memory.pixel_memory_size = 100
    config.train_dataloader.batch_size = 2
    config.train_cfg.update(max_iters=2, val_interval=2)
    config.default_hooks.checkpoint.interval = 2
    config.default_hooks.logger.interval = 1
    config.experiment_name = 'test_cpu_config'
    runner = Runner.from_cfg(config)
    runner.train()
    logged = runner.message_hub.log_scalars
    for key in (
        'decode.loss_ce',
        'loss_kd',
        'loss_minibatch',
        'loss_memory_p2p',
        'loss_memory_p2r',
    ):
        values = np.array(logged[f'train/{key}'].data[0])
        assert len(values) == 2, key
        assert np.isfinite(values).all()
        assert (values > 0).all(), key
    assert 'val/mIoU' in logged
    state = read_checkpoint(tmp_path / 'work' / 'iter_2.pth')['state_dict']
    prefixes = {key.split('.')[0] for key in state}
    assert prefixes == {'student', 'losses'}


@pytest.mark.slow
@pytest.mark.parametrize('name', [n for n in DISTILLED if 'cpu' not in n])
def test_published_distillers_train_one_step(name, tmp_path):
    config = config_of(name)
    teacher = build_network(config.model.teacher.config)
    path = tmp_path / 'teacher.pth'
    torch.save(dict(state_dict=teacher.state_dict()), path)
    config.model.teacher.checkpoint = str(path)
    config.model.losses.memory.pixel_memory_size = 400
    distiller = MODELS.build(dict(**config.model, input_shape=(3, 64, 64)))
    distiller.train()
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    classes = config.model.losses.memory.num_classes
    samples = [
        SegDataSample(
            gt_sem_seg=PixelData(data=torch.randint(0, classes, (1, 64, 64)))
        )
        for _ in range(2)
    ]
    losses = distiller(torch.randn(2, 3, 64, 64), samples, mode='loss')
    total, logged = distiller.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    expected = {'loss_kd', 'loss_minibatch', 'loss_memory_p2p'}
    assert expected <= set(logged)
    first = next(distiller.student.backbone.parameters())
    assert first.grad.abs().sum() > 0
