"""The generated configs of segmentation: they parse, build and fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

pytest.importorskip('mmseg')
from mmkd.models.distillers import teacher as teacher_module  # noqa: E402
from mmkd.models.distillers.phases import MAIN  # noqa: E402
from mmkd.networks import build_network  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402
from tests.test_configs.test_cirkd_configs import write_camvid  # noqa: E402

CONFIGS = Path(__file__).parents[2] / 'configs'
PATHS = {
    path.stem: path
    for folder in ('cirkd', 'seg_baselines')
    for path in sorted((CONFIGS / folder).glob('*.py'))
    if path.read_text().startswith('# Generated')
}
NETWORKS = [n for n in PATHS if 'baseline_' in n or 'teacher_' in n]
DISTILLERS = [n for n in PATHS if n not in NETWORKS]
CLASSES = dict(camvid=11, cityscapes=19, voc=21, ade20k=150, coco_stuff=182)
CROPS = dict(camvid=(360, 360), cityscapes=(512, 1024))
TYPES = dict(
    skd='PairwiseSimilarityLoss',
    ifvd='IntraClassFeatureVariationLoss',
    cwd='ChannelWiseDivergenceLoss',
    dsd='PixelSimilarityResidualLoss',
    at='ATLoss',
    fitnet='FitNetLoss',
    kd='KLDivLoss',
)


@pytest.fixture(autouse=True)
def _scope() -> Any:
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def classes_of(name: str) -> int:
    return next(k for data, k in CLASSES.items() if name.endswith(data))


def config_of(name: str) -> Any:
    return Config.fromfile(PATHS[name])


def test_every_published_row_has_a_config() -> None:
    rows = {
        'cityscapes': [
            'deeplabv3_r101_r18',
            'deeplabv3_r101_r18_scratch',
            'deeplabv3_r101_mbv2',
            'pspnet_r101_r18',
            'segformer_b4_b0',
        ],
        'camvid': ['deeplabv3_r101_r18', 'pspnet_r101_r18'],
        'voc': ['deeplabv3_r101_r18', 'pspnet_r101_r18'],
        'ade20k': ['deeplabv3_r101_r18'],
        'coco_stuff': ['deeplabv3_r101_r18'],
    }
    for data, names in rows.items():
        for name in names:
            assert (CONFIGS / f'cirkd/{name}_{data}.py').is_file()
        assert list((CONFIGS / 'cirkd').glob(f'teacher_*_{data}.py'))
    for method in TYPES:
        for data in ('cityscapes', 'camvid'):
            assert f'{method}_deeplabv3_r101_r18_{data}' in PATHS


@pytest.mark.parametrize(
    'name',
    [
        'deeplabv3_r101_r18_voc',
        'deeplabv3_r101_r18_coco_stuff',
        'segformer_b4_b0_cityscapes',
        'v2_pspnet_mbv3_small_cityscapes',
        'ifvd_deeplabv3_r101_r18_camvid',
        'dsd_deeplabv3_r101_r18_cityscapes',
    ],
)
def test_some_configs(name: str) -> None:
    check_config(name)


@pytest.mark.slow
@pytest.mark.parametrize('name', [n for n in PATHS if 'toy' not in n])
def test_all_configs(name: str) -> None:
    check_config(name)


def check_config(name: str) -> None:
    config = config_of(name)
    cpu = name.startswith('cpu_')
    (poly,) = (
        config.param_scheduler[MAIN]
        if MAIN in config.optim_wrapper
        else config.param_scheduler
    )
    assert (poly.end, poly.eta_min) == (config.train_cfg.max_iters, 0)
    main = config.optim_wrapper.get(MAIN, config.optim_wrapper)
    if 'segformer' in name:
        assert main.optimizer == dict(type='AdamW', lr=2e-4, weight_decay=1e-4)
        assert (poly.end, config.crop_size) == (160000, (1024, 1024))
    elif 'mobilevit' in name:
        assert main.optimizer == dict(type='AdamW', lr=9e-4, weight_decay=0.01)
        assert (poly.end, config.auto_scale_lr.base_batch_size) == (80000, 8)
    elif not cpu:
        batch = config.auto_scale_lr.base_batch_size
        assert main.optimizer.weight_decay == 1e-4
        assert main.optimizer.lr == {8: 0.01, 16: 0.02}[batch]
        data = name.rpartition('_')[2]
        assert config.crop_size == CROPS.get(data, (512, 512))
    if 'discriminator' in config.optim_wrapper:
        adam = config.optim_wrapper.discriminator.optimizer
        assert adam == dict(type='Adam', lr=4e-4, betas=(0.9, 0.99))
        assert config.param_scheduler.discriminator == []
    crop = config.train_pipeline[-3]
    assert (crop.type, crop.crop_size) == ('RandomCrop', config.crop_size)
    assert config.data_preprocessor.size == config.crop_size
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        assert {'batch_size', 'sampler', 'dataset'} <= config[loader].keys()
    if name in DISTILLERS:
        check_losses(name, config.model)
    else:
        assert config.model.decode_head.num_classes == classes_of(name)


def check_losses(name: str, model: Any) -> None:
    method = name.removeprefix('cpu_').partition('_')[0]
    types = {loss.type.partition('.')[2] for loss in model.losses.values()}
    if method in TYPES:
        assert TYPES[method] in types
        assert ('KLDivLoss' in types) == (method != 'dsd')
        assert ('AdversarialLoss' in types) == (
            method in ('skd', 'ifvd', 'cwd')
        )
        return
    memory = model.losses.memory
    weight = 0.01 if name.endswith('voc') else 0.1
    assert memory.pixel_loss_weight == memory.region_loss_weight == weight
    assert memory.pixel_memory_size == (2000 if 'segformer' in name else 20000)
    assert ('ChannelRelationLoss' in types) == name.startswith('v2_')
    assert ('aux_heads' in model) == (
        name.startswith('v2_') and 'segformer' not in name
    )
    if name.startswith('v2_'):
        ones = (
            'v2_deeplabv3_r18_cityscapes',
            'v2_upernet_r18_cityscapes',
            'v2_deeplabv3_mbv3_small_cityscapes',
            'v2_pspnet_mobilevit_xxs_cityscapes',
            'v2_segformer_b4_b0_cityscapes',
            'v2_deeplabv3_r18_ade20k',
            'v2_pspnet_mbv3_large_ade20k',
            'v2_deeplabv3_mbv3_small_coco_stuff',
        )
        assert model.losses.fitnet.loss_weight == (1 if name in ones else 10)


@pytest.mark.slow
@pytest.mark.parametrize('name', NETWORKS)
def test_networks_build_and_run(name: str) -> None:
    """Logits and features before the classifier have the teacher's stride."""
    device = 'cpu' if 'segformer' in name else 'meta'  # reads numbers
    with torch.device(device):
        network = build_network(str(PATHS[name])).eval()
    seen: list[torch.Tensor] = []
    head = network.decode_head
    head.conv_seg.register_forward_pre_hook(lambda m, args: seen.extend(args))
    x = torch.zeros(1, 3, 128, 128, device=device)
    with torch.no_grad():
        logits = network(x, mode='tensor')
    stride = 4 if 'segformer' in name else 8
    side = 128 // stride
    assert logits.shape == (1, classes_of(name), side, side)
    assert seen[0].shape == (1, head.channels, side, side)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'millions'),
    [
        ('teacher_segformer_b4_cityscapes', 64.0),
        ('baseline_segformer_b0_cityscapes', 3.7),
        ('baseline_deeplabv3_r18_voc', 13.6),
        ('baseline_pspnet_r18_voc', 12.9),
    ],
)
def test_parameter_counts(name: str, millions: float) -> None:
    network = build_network(str(PATHS[name]))
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.06)


@pytest.mark.slow
@pytest.mark.parametrize('name', DISTILLERS)
def test_distillers_build_and_fit(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rehearsal runs networks, heads and losses at the crop's size."""
    monkeypatch.setattr(
        teacher_module, 'load_network_weights', lambda *args, **kwargs: {}
    )
    model = config_of(name).model
    if 'memory' in model.losses:
        model.losses.memory.update(
            pixel_memory_size=400, region_memory_size=100
        )
    distiller = MODELS.build(model)
    assert distiller.rehearse() is not None
    assert len(distiller.parts) == len(model.losses)
    adversarial = 'adv' in model.losses
    assert distiller.phases == (('discriminator',) if adversarial else ())


@pytest.mark.slow
@pytest.mark.parametrize('method', [m for m in TYPES if m != 'kd'])
def test_cpu_configs_train_on_files(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps, validation and export, on files like CamVid's."""
    monkeypatch.setenv('MMKD_DATA', str(tmp_path))
    write_camvid(tmp_path)
    teacher = build_network(str(CONFIGS / 'cirkd/cpu_teacher_camvid.py'))
    torch.save(teacher.state_dict(), tmp_path / 'teacher.pth')
    config = config_of(f'cpu_{method}_camvid')
    config.work_dir = str(tmp_path / 'work')
    config.model.teacher.checkpoint = str(tmp_path / 'teacher.pth')
    config.train_dataloader.batch_size = 2
    config.train_cfg.update(max_iters=2, val_interval=2)
    config.default_hooks.checkpoint.interval = 2
    config.default_hooks.logger.interval = 1
    config.experiment_name = f'test_cpu_{method}'
    runner = Runner.from_cfg(config)
    runner.train()
    logged = runner.message_hub.log_scalars
    for name in config.model.losses:
        values = logged[f'train/loss_{name}'].data[0]
        assert len(values) == 2 and all(v == v for v in values), name
    assert ('train/discriminator' in logged) == ('adv' in config.model.losses)
    assert 'val/mIoU' in logged
    network = build_network(str(CONFIGS / 'cirkd/cpu_baseline_camvid.py'))
    state = torch.load(tmp_path / 'work/student.pth', weights_only=True)
    network.load_state_dict(state['state_dict'])
