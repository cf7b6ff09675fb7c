"""The configs of configs/hsjp: what they differ in, and that they train."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

pytest.importorskip('mmpose')
from mmengine.dataset import pseudo_collate  # noqa: E402
from mmpose.registry import MODELS as POSE_MODELS  # noqa: E402

from mmkd.models.pretrainers.publish import publish_backbone  # noqa: E402
from mmkd.networks import build_network, load_config  # noqa: E402
from mmkd.registry import DATASETS  # noqa: E402

FOLDER = Path(__file__).parents[2] / 'configs' / 'hsjp'
NETWORKS = ('res50', 'res101', 'res152', 'hrnet-w32', 'hrnet-w48')
SIZES = {'256x192': ((192, 256), (48, 64)), '384x288': ((288, 384), (72, 96))}
# stock configs of mmpose that pretraining was tried on
FAMILIES = {
    'resnet': 'td-hm_res50_8xb64-210e_coco-256x192',
    'hrnet': 'td-hm_hrnet-w32_8xb64-210e_coco-256x192',
    'mobilenetv2': 'td-hm_mobilenetv2_8xb64-210e_coco-256x192',
    'litehrnet': 'td-hm_litehrnet-18_8xb64-210e_coco-256x192',
    'swin': 'td-hm_swin-t-p4-w7_8xb32-210e_coco-256x192',
}
STOCK = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/'


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmpose'):
        yield


def load(name):
    return Config.fromfile(FOLDER / f'{name}.py')


def plain(config):
    """A config as a dict, without what mmengine adds."""
    content = copy.deepcopy(config.to_dict())

    def strip(value):
        if isinstance(value, dict):
            value.pop('_scope_', None)
            for entry in value.values():
                strip(entry)
        elif isinstance(value, (list, tuple)):
            for entry in value:
                strip(entry)

    strip(content)
    return content


@pytest.mark.parametrize('network', NETWORKS)
@pytest.mark.parametrize('size', SIZES)
def test_pretraining_and_fine_tuning(network, size):
    suffix = f'{network}_coco-{size}'
    stock = plain(load(f'imagenet_{suffix}'))
    puzzle = plain(load(f'hsjp_{suffix}'))
    for kind in ('finetune', 'scratch'):
        other = plain(load(f'{kind}_{suffix}'))
        init = other['model']['backbone'].pop('init_cfg')
        expected = copy.deepcopy(stock)
        imagenet = expected['model']['backbone'].pop('init_cfg')
        assert other == expected
        assert init != imagenet
        if kind == 'finetune':
            assert init['prefix'] == 'backbone.'
            assert f'hsjp_{suffix}/epoch_210.pth' in init['checkpoint']
        else:
            assert init == puzzle['model']['backbone']['init_cfg']

    own = copy.deepcopy(puzzle['model'])
    codec = own['head'].pop('decoder')
    assert (
        codec
        == puzzle['train_dataloader']['dataset']['pipeline'][6]['encoder']
    )
    assert (codec['input_size'], codec['heatmap_size']) == SIZES[size]
    assert codec['sigma'] == stock['model']['head']['decoder']['sigma']
    for key in ('optim_wrapper', 'param_scheduler', 'train_cfg'):
        assert puzzle[key] == stock[key]
    for part in ('train', 'val', 'test'):
        steps = puzzle[f'{part}_dataloader']['dataset']['pipeline']
        crop = next(s for s in steps if s['type'] == 'TopdownAffine')
        assert crop['input_size'] == SIZES[size][0]
        shuffle = next(s for s in steps if s['type'] == 'mmkd.JigsawShuffle')
        assert shuffle.get('deterministic', False) == (part != 'train')
    assert own['head']['out_channels'] == 12


@pytest.mark.parametrize('network', ['res50', 'hrnet-w32'])
def test_scratch_means_the_initialisers_of_the_backbone(network):
    """They are what the class itself uses without init_cfg."""
    config = load(f'scratch_{network}_coco-256x192').model.backbone
    given = [dict(entry) for entry in config.pop('init_cfg')]
    built = POSE_MODELS.build(config)
    own = [dict(entry) for entry in built.init_cfg]
    for entry in (*given, *own):
        entry.pop('_scope_', None)
    assert given == own


def puzzle_batch(count=2):
    """Person crops with shuffled patches, from synthetic scenes."""
    config = load('toy_hsjp')
    steps = load('hsjp_res50_coco-256x192').puzzle_train_pipeline
    dataset = dict(config.train_dataloader.dataset, num_samples=count)
    dataset['pipeline'] = [dict(type='mmkd.LoadScene'), *steps[1:]]
    built = DATASETS.build(dataset)
    return pseudo_collate([built[i] for i in range(count)])


@pytest.mark.slow
@pytest.mark.parametrize('family', FAMILIES)
def test_every_family_of_networks_can_be_pretrained(family, tmp_path):
    """Puzzles in a stock network; its backbone in the stock network."""
    stock = load_config(f'{STOCK}{FAMILIES[family]}.py').model
    stock.backbone.pop('init_cfg', None)
    network = copy.deepcopy(stock)
    network.head.update(
        type='mmkd.JigsawHeatmapHead',
        out_channels=12,
        decoder=load('hsjp_res50_coco-256x192').puzzle_codec,
    )
    network.test_cfg = dict(flip_test=False)
    model = build_network(network).train()
    data = model.data_preprocessor(puzzle_batch(), training=True)
    loss = model(**data, mode='loss')['loss_kpt']
    loss.backward()
    grads = [p.grad for p in model.backbone.parameters() if p.requires_grad]
    assert sum(g is not None for g in grads) > 0.9 * len(grads)
    found = model.eval()(**data, mode='predict')
    assert found[0].pred_instances.patch_slots.shape == (1, 12)

    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'run.pth')
    publish_backbone(tmp_path / 'run.pth', tmp_path / 'backbone.pth')
    stock.backbone.init_cfg = dict(
        type='Pretrained',
        prefix='backbone.',
        checkpoint=str(tmp_path / 'backbone.pth'),
    )
    if 'convert_weights' in stock.backbone:  # Swin: the keys are its own
        stock.backbone.convert_weights = False
    fine_tuned = build_network(stock)
    fine_tuned.backbone.init_weights()
    saved = model.backbone.state_dict()
    loaded = fine_tuned.backbone.state_dict()
    assert loaded.keys() == saved.keys()
    assert all(torch.equal(loaded[key], saved[key]) for key in saved)


@pytest.fixture
def train(tmp_path, data_root):
    """Train a CPU-scale config for two steps of four people."""

    def run(name, **options):
        config = load(name)
        config.merge_from_dict(
            {
                'work_dir': str(tmp_path / name),
                'train_cfg.max_iters': 2,
                'train_cfg.val_interval': 5,
                'train_dataloader.batch_size': 4,
                'default_hooks.checkpoint.interval': 2,
                'default_hooks.checkpoint.save_best': None,
                'log_level': 'ERROR',
                **options,
            }
        )
        runner = Runner.from_cfg(config)
        runner.train()
        return runner, tmp_path / name / 'iter_2.pth'

    return run


@pytest.mark.slow
def test_puzzles_then_joints_on_people(train, monkeypatch):
    runner, checkpoint = train('cpu_hsjp_lspet')
    assert len(runner.train_dataloader.dataset) == 1000
    monkeypatch.setenv('HSJP_CHECKPOINT', str(checkpoint))
    config = load('cpu_finetune_10_lspet')
    assert config.model.backbone.init_cfg.checkpoint == str(checkpoint)
    network = build_network(config.model)
    network.init_weights()
    for key, value in runner.model.backbone.state_dict().items():
        assert torch.equal(network.backbone.state_dict()[key], value), key
    runner, _ = train('cpu_finetune_10_lspet')
    assert len(runner.train_dataloader.dataset) == 100


@pytest.mark.slow
@pytest.mark.parametrize('name', ['mse', 'kl'])
def test_distillation_on_people(train, monkeypatch, name):
    _, teacher = train('cpu_teacher_lspet')
    monkeypatch.setenv('HSJP_TEACHER', str(teacher))
    monkeypatch.chdir(FOLDER.parents[1])
    runner, checkpoint = train(f'cpu_distill_{name}_lspet')
    loss = runner.message_hub.get_scalar(f'train/loss_{name}').current()
    assert loss > 0
    saved = torch.load(checkpoint, weights_only=False)['state_dict']
    assert {key.split('.')[0] for key in saved} == {'student'}
