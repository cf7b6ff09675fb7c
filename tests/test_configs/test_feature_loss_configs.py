"""CRD benchmark: protocol, pairs, and the losses on features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

pytest.importorskip('mmpretrain')
from mmpretrain.structures import DataSample  # noqa: E402

from mmkd.cli.config import read_config  # noqa: E402
from mmkd.networks import build_network, load_config  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402
from mmkd.stages import read_stages  # noqa: E402

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'configs' / 'cls_baselines'
PAIRS = sorted(
    path.stem
    for path in (ROOT / 'configs/_base_/pairs').glob('*.py')
    if not path.stem.startswith(('cpu_', 'imagenet_'))
)
# method -> published weight
WEIGHTS = dict(
    fitnet=100, at=1000, sp=3000, cc=0.02, vid=1, rkd=1, pkt=30000, ft=200
)
FIRST = dict(ab='ab_init', fsp='fsp_init', ft='ft_init')
FLOWS = [
    'resnet110_resnet20',
    'resnet110_resnet32',
    'resnet32x4_resnet8x4',
    'resnet56_resnet20',
    'vgg13_vgg8',
    'wrn_40_2_wrn_16_2',
]
DISTILLED = [
    f'{m}_{pair}' for m in [*WEIGHTS, 'ab_init', 'ft_init'] for pair in PAIRS
] + [f'fsp_init_{pair}' for pair in FLOWS]
SLOW_STUDENTS = ('mobilenet_v2', 'shufflenet_v1', 'shufflenet_v2')
ALONE = sorted(
    path.stem.removesuffix('_cifar100')
    for kind in ('baseline', 'teacher')
    for path in FOLDER.glob(f'{kind}_*.py')
    if '_own_' not in path.stem  # ReviewKD's recipe
)


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def config_of(name: str) -> Config:
    return Config.fromfile(FOLDER / f'{name}_cifar100.py')


@pytest.fixture(scope='module')
def teacher_of(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Checkpoint with random weights for the teacher of a config."""
    folder = tmp_path_factory.mktemp('teachers')

    def make(config: Config) -> str:
        given = config.model.teacher
        path = folder / Path(given.checkpoint).name
        if not path.exists():
            network = build_network(load_config(given.config).model)
            torch.save(dict(state_dict=network.state_dict()), path)
        return str(path)

    return make


def build(name: str, teacher_of: Any) -> Any:
    config = config_of(name)
    model = config.model
    model.teacher.checkpoint = teacher_of(config)
    if name.startswith('ft_') and 'init' not in name:
        assert model.losses.ft.paraphraser.startswith('work_dirs/ft_init_')
        model.losses.ft.paraphraser = None
    return MODELS.build(
        dict(**model, data_preprocessor=config.data_preprocessor)
    )


def train_one_step(name: str, teacher_of: Any) -> dict[str, torch.Tensor]:
    distiller = build(name, teacher_of).train()
    samples = [DataSample().set_gt_label(k) for k in range(4)]
    losses = distiller(torch.randn(4, 3, 32, 32), samples, mode='loss')
    total, _ = distiller.parse_losses(losses)
    total.backward()
    assert total.isfinite()
    for key, parameter in distiller.named_parameters():
        if parameter.requires_grad and not key.startswith('student'):
            assert parameter.grad.abs().max() > 0, key
    return losses


def test_what_is_there():
    assert len(PAIRS) == 13
    assert len(ALONE) == 15
    files = {path.stem for path in FOLDER.glob('*.py')}
    assert {f'{name}_cifar100' for name in DISTILLED} <= files
    for pair in PAIRS:
        assert {f'ab_{pair}_cifar100', f'ft_{pair}_cifar100'} <= files


@pytest.mark.parametrize('name', ALONE)
def test_protocol(name):
    config = config_of(name)
    mobile = name.removeprefix('baseline_') in SLOW_STUDENTS
    assert config.model.type == 'ImageClassifier'
    assert config.train_dataloader.batch_size == 64
    assert config.train_cfg.max_epochs == 240
    assert config.param_scheduler.milestones == [150, 180, 210]
    assert config.optim_wrapper.optimizer == dict(
        type='SGD',
        lr=0.01 if mobile else 0.05,
        momentum=0.9,
        weight_decay=5e-4,
    )


@pytest.mark.slow
@pytest.mark.parametrize('pair', PAIRS)
def test_pairs_inherit_the_protocol(pair):
    for method, weight in WEIGHTS.items():
        config = config_of(f'{method}_{pair}')
        (loss,) = config.model.losses.values()
        assert loss.loss_weight == weight
        assert config.train_cfg.max_epochs == 240
        assert config.train_dataloader.batch_size == 64
        teacher = Path(config.model.teacher.config).stem
        assert pair.startswith(
            teacher.removeprefix('teacher_').removesuffix('_cifar100')
        )
        student = config_of(
            'baseline_'
            + pair.removeprefix(teacher[len('teacher_') : -len('cifar100')])
        )
        assert config.model.student == student.model
        assert config.optim_wrapper == student.optim_wrapper


@pytest.mark.slow
@pytest.mark.parametrize('method', FIRST)
def test_two_phases(method):
    for pair in FLOWS if method == 'fsp' else PAIRS:
        first = config_of(f'{FIRST[method]}_{pair}')
        assert first.train_cfg.max_epochs == 30
        assert first.param_scheduler.milestones == []
        assert first.model.student.head.loss.loss_weight == 0
        second = config_of(f'{method}_{pair}')
        assert second.train_cfg.max_epochs == 240
        folder = f'work_dirs/{FIRST[method]}_{pair}_cifar100'
        if method == 'ft':
            read = second.model.losses.ft.paraphraser
            assert read == f'{folder}/epoch_30.pth'
        else:
            assert second.load_from == f'{folder}/student.pth'
            assert second.model.type == 'ImageClassifier'


@pytest.mark.parametrize('method', FIRST)
def test_two_phases_are_stages_of_one_config(method):
    pair = 'wrn_40_2_wrn_16_2'
    file = FOLDER / f'{method}_{pair}_cifar100.py'
    first, second = read_stages(read_config(str(file)))
    alone = config_of(f'{FIRST[method]}_{pair}')
    assert first.config.to_dict() == alone.to_dict()
    assert second.uses == {'init'}
    if method == 'ft':
        assert second.config.model.losses.ft.paraphraser == 'stage:init'
    else:
        assert second.config.load_from == 'stage:init/student.pth'
    assert second.config.train_cfg.max_epochs == 240


QUICK = [f'{name}_wrn_40_2_wrn_16_2' for name in (*WEIGHTS, *FIRST.values())]


@pytest.mark.parametrize('name', QUICK)
def test_one_pair_trains_one_step(name, teacher_of):
    check_losses(name, train_one_step(name, teacher_of))


def check_losses(name: str, losses: dict[str, torch.Tensor]) -> None:
    (key,) = losses.keys() - {'loss_task'}
    assert key.removeprefix('loss_') in (*WEIGHTS, *FIRST, 'paraphrase')
    assert (losses['loss_task'] == 0) == ('_init_' in name)


BEHIND = ('bn_last.', 'conv_last.')  # layers after the stages


@pytest.mark.parametrize(
    'name',
    [
        'ab_init_wrn_40_2_wrn_16_2',
        'fsp_init_wrn_40_2_wrn_16_2',
        'ab_init_vgg13_mobilenet_v2',
        'ab_init_resnet32x4_shufflenet_v2',
        'ab_init_wrn_40_2_shufflenet_v1',
        'fsp_init_vgg13_vgg8',
        'ft_init_wrn_40_2_wrn_16_2',
    ],
)
def test_first_phase_leaves_what_its_loss_does_not_read(name, teacher_of):
    """Neither weight decay nor batch statistics touch it."""
    from mmengine.optim import build_optim_wrapper

    distiller = build(name, teacher_of).train()
    wrapper = build_optim_wrapper(distiller, config_of(name).optim_wrapper)
    student = distiller.student
    before = {k: v.clone() for k, v in student.state_dict().items()}
    samples = [DataSample().set_gt_label(k) for k in range(4)]
    losses = distiller(torch.randn(4, 3, 32, 32), samples, mode='loss')
    wrapper.update_params(distiller.parse_losses(losses)[0])
    changed = {
        k for k, v in student.state_dict().items() if not v.equal(before[k])
    }
    learns = {
        key
        for key in before
        if not key.startswith('head.')
        and not key.removeprefix('backbone.').startswith(BEHIND)
    }
    assert changed == (set() if name.startswith('ft_') else learns)


@pytest.mark.parametrize('method', ['ab', 'fsp'])
def test_second_phase_needs_the_first(method, tmp_path, monkeypatch):
    from mmengine.runner import Runner

    monkeypatch.chdir(tmp_path)
    config = config_of(f'{method}_wrn_40_2_wrn_16_2')
    config.work_dir = str(tmp_path)
    config.experiment_name = f'test_{method}'
    runner = Runner.from_cfg(config)
    with pytest.raises(FileNotFoundError, match=f'{method}_init'):
        runner.load_or_resume()


@pytest.mark.slow
@pytest.mark.parametrize('name', [n for n in DISTILLED if n not in QUICK])
def test_every_pair_trains_one_step(name, teacher_of):
    check_losses(name, train_one_step(name, teacher_of))
