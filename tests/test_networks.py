"""Networks from names, paths and dicts; their weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmkd.deploy import load_network_weights
from mmkd.networks import build_network, freeze, load_config, network_dict
from mmkd.toys import toy_classifier, toy_network, toy_segmentor

PSPNET = 'mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py'
RESNET = 'mmpretrain::resnet/resnet18_8xb16_cifar10.py'

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a config of keywords and return its path."""

    def write(name: str, **content: Any) -> str:
        Config(content).dump(tmp_path / name)
        return str(tmp_path / name)

    return write


@pytest.fixture
def scope() -> Any:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


# -- configs ---------------------------------------------------------------


@pytest.mark.parametrize('name', ['none.py', 'mmseg::pspnet/none.py'])
def test_missing_config(name: str) -> None:
    with pytest.raises(FileNotFoundError, match=f'config="{name}"'):
        load_config(name)


def test_package_that_is_not_installed() -> None:
    with pytest.raises(ImportError, match='package mmnothing'):
        load_config('mmnothing::a/b.py')


def test_config_of_a_package() -> None:
    config = load_config(PSPNET)
    assert config.model.decode_head.type == 'PSPHead'
    assert config.default_scope == 'mmseg'


# -- specs -----------------------------------------------------------------


def test_name_brings_its_scope_and_preprocessor(scope: None) -> None:
    model = network_dict(PSPNET)
    assert model['_scope_'] == 'mmseg'
    assert model['data_preprocessor']['type'] == 'SegDataPreProcessor'
    model = network_dict(RESNET)
    assert model['_scope_'] == 'mmpretrain'
    assert model['data_preprocessor']['mean'] == [125.307, 122.961, 113.8575]


def test_network_of_another_repository(scope: None) -> None:
    network = build_network(PSPNET)
    assert type(network).__module__.startswith('mmseg')
    assert float(network.data_preprocessor.mean[0]) == pytest.approx(123.675)


def test_options_change_the_config(scope: None) -> None:
    model = network_dict(
        dict(
            config=PSPNET,
            cfg_options={'model.decode_head.num_classes': 7},
        )
    )
    assert model['decode_head']['num_classes'] == 7
    assert network_dict(PSPNET)['decode_head']['num_classes'] == 19


def test_path(write: Write, scope: None) -> None:
    path = write('a.py', model=toy_segmentor(4), default_scope='mmpose')
    assert network_dict(path) == toy_segmentor(4)
    plain = dict(toy_segmentor(4))
    del plain['_scope_']
    path = write('b.py', model=plain, default_scope='mmseg')
    assert network_dict(path) == toy_segmentor(4)
    path = write('c.py', model=plain)
    assert network_dict(path)['_scope_'] == 'mmpretrain'
    assert network_dict(path, 'mmseg')['_scope_'] == 'mmseg'


def test_dict_is_copied_and_gets_the_scope(scope: None) -> None:
    plain = dict(toy_classifier(4))
    del plain['_scope_']
    model = network_dict(plain)
    assert model['_scope_'] == 'mmpretrain'
    model['head']['num_classes'] = 99
    assert plain['head']['num_classes'] != 99
    assert '_scope_' not in plain


def test_inherited_model_of_an_external_base(
    write: Write, tmp_path: Path, scope: None
) -> None:
    """``student=_base_.model`` works under any default scope."""
    (tmp_path / 'kd.py').write_text(
        f"_base_ = '{PSPNET}'\nstudent = _base_.model\n"
    )
    student = Config.fromfile(tmp_path / 'kd.py').student
    assert type(build_network(student)).__module__.startswith('mmseg')


@pytest.mark.parametrize('task', ['classification', 'segmentation'])
def test_prefix_without_scope_is_the_documented_trap(task: str) -> None:
    """The prefix of a type does not reach nested dicts; `_scope_` does."""
    model = dict(toy_network(task, 4))
    home = model.pop('_scope_')
    model['type'] = f'{home}.{model["type"]}'
    with (
        DefaultScope.overwrite_default_scope('mmpose'),
        pytest.raises(KeyError),
    ):
        build_network(model)
    with DefaultScope.overwrite_default_scope('mmpose'):
        assert build_network(model, scope=home) is not None


@pytest.mark.parametrize(
    ('spec', 'error', 'message'),
    [
        (None, TypeError, 'a network is a config name or a dict'),
        (3, TypeError, 'int'),
        ({}, KeyError, 'neither "type" nor "config", only nothing'),
        (dict(backbone={}), KeyError, 'only backbone: give'),
        (
            dict(config=PSPNET, checkpoint='x.pth'),
            KeyError,
            'unknown key checkpoint',
        ),
        (dict(config=PSPNET, options={}), KeyError, 'unknown key options'),
    ],
)
def test_bad_specs(spec: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        network_dict(spec)


def test_config_without_model(write: Write) -> None:
    with pytest.raises(KeyError, match='has no key "model"'):
        network_dict(write('a.py', a=1))


# -- distillers as networks ------------------------------------------------


def distiller(**kwargs: Any) -> dict[str, Any]:
    return dict(
        type='mmkd.OfflineDistiller', student=toy_segmentor(4), **kwargs
    )


def test_distiller_config_stands_for_its_student(write: Write) -> None:
    path = write('a.py', model=distiller(), default_scope='mmseg')
    assert network_dict(path) == toy_segmentor(4)
    assert network_dict(distiller()) == toy_segmentor(4)


def test_student_given_by_name(write: Write) -> None:
    inner = write('student.py', model=toy_segmentor(4))
    for student in (inner, dict(config=inner)):
        path = write(
            'kd.py',
            model=dict(type='mmkd.OfflineDistiller', student=student),
            default_scope='mmpose',
        )
        assert network_dict(path) == toy_segmentor(4)


def test_distillers_preprocessor_wins(write: Write) -> None:
    """The student was trained with the distiller's, not with its own."""
    other = dict(type='SegDataPreProcessor', mean=[1.0] * 3, std=[2.0] * 3)
    path = write('a.py', model=distiller(data_preprocessor=other))
    assert network_dict(path)['data_preprocessor'] == other


def test_top_level_preprocessor_is_a_default(write: Write) -> None:
    """As in mmengine, for networks that have none of their own."""
    other = dict(type='SegDataPreProcessor', mean=[1.0] * 3, std=[2.0] * 3)
    bare = distiller()
    bare['student'] = {
        k: v for k, v in toy_segmentor(4).items() if k != 'data_preprocessor'
    }
    path = write('a.py', model=bare, data_preprocessor=other)
    assert network_dict(path)['data_preprocessor'] == other
    own = dict(toy_segmentor(4)['data_preprocessor'], size_divisor=8)
    path = write('b.py', model=distiller(), data_preprocessor=own)
    assert network_dict(path)['data_preprocessor']['size_divisor'] == 8
    path = write('c.py', model=toy_segmentor(4), data_preprocessor=other)
    assert network_dict(path) == toy_segmentor(4)


def test_top_level_preprocessor_that_differs(write: Write) -> None:
    other = dict(type='SegDataPreProcessor', mean=[1.0] * 3, std=[2.0] * 3)
    path = write('a.py', model=distiller(), data_preprocessor=other)
    words = (
        r'top level\) and that of student differ: mean is \[1.0, 1.0, 1.0\] '
        r'and \[127.5.*model.data_preprocessor='
    )
    with pytest.raises(ValueError, match=words):
        network_dict(path)
    cohort = dict(
        type='mmkd.OnlineDistiller',
        cohort=dict(type='mmkd.Cohort', peers=[toy_segmentor(4)] * 2),
    )
    path = write('b.py', model=cohort, data_preprocessor=other)
    with pytest.raises(ValueError, match='that of peer0 differ: mean'):
        network_dict(path)
    cohort['data_preprocessor'] = other
    path = write('c.py', model=cohort, data_preprocessor=other)
    assert network_dict(path)['data_preprocessor'] == other


# -- weights ---------------------------------------------------------------


@pytest.fixture
def network() -> Any:
    return build_network(toy_segmentor(4))


def save(path: Path, state: Any, **more: Any) -> Path:
    torch.save(dict(state_dict=state, **more), path)
    return path


def zeroed(network: Any) -> Any:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    return network


@pytest.mark.parametrize('prefix', ['', 'module.', 'student.'])
def test_weights_are_loaded(tmp_path: Path, network: Any, prefix: str) -> None:
    state = {f'{prefix}{k}': v for k, v in network.state_dict().items()}
    if prefix == 'student.':
        state['aux_heads.joint.weight'] = torch.ones(2)
        state['losses.memory.pixel_queue'] = torch.ones(2)
    path = save(tmp_path / 'x.pth', state)
    other = zeroed(build_network(toy_segmentor(4)))
    aux = load_network_weights(other, path)
    for key, value in network.state_dict().items():
        assert torch.equal(other.state_dict()[key], value)
    assert list(aux) == ['aux_heads.joint.weight'] * (prefix == 'student.')


def test_weights_of_another_network(tmp_path: Path, network: Any) -> None:
    state = build_network(toy_network('pose', 4)).state_dict()
    state = {f'x.{k}': v for k, v in state.items()}
    path = save(tmp_path / 'x.pth', state)
    for strict in (True, False):  # nothing fits: never what is wanted
        with pytest.raises(ValueError, match='of another network') as error:
            load_network_weights(network, path, strict=strict, role='teacher')
        assert 'teacher checkpoint=' in str(error.value)
        assert 'EncoderDecoder' in str(error.value)


def test_weights_of_other_classes(tmp_path: Path, network: Any) -> None:
    path = save(
        tmp_path / 'x.pth',
        build_network(toy_segmentor(4, num_classes=3)).state_dict(),
    )
    with pytest.raises(ValueError, match='other class numbers') as error:
        load_network_weights(network, path)
    assert 'conv_seg.weight is (3, 8, 1, 1) in the file' in str(error.value)
    assert '(8, 8, 1, 1) in the network' in str(error.value)


def test_missing_and_extra_keys(tmp_path: Path, network: Any) -> None:
    state = network.state_dict()
    gone = state.pop('backbone.conv1.weight')
    state['backbone.conv0.weight'] = gone
    path = save(tmp_path / 'x.pth', state)
    with pytest.raises(ValueError, match='does not fit') as error:
        load_network_weights(network, path, role='teacher')
    message = str(error.value)
    assert '1 missing: backbone.conv1.weight' in message
    assert '1 unexpected: backbone.conv0.weight' in message
    assert 'teacher=dict(strict=False)' in message


def test_not_strict_loads_what_fits(
    tmp_path: Path, network: Any, caplog: pytest.LogCaptureFixture
) -> None:
    state = build_network(toy_segmentor(4, num_classes=3)).state_dict()
    del state['backbone.conv1.weight']
    path = save(tmp_path / 'x.pth', state)
    own = {k: v.clone() for k, v in network.state_dict().items()}
    load_network_weights(network, path, strict=False)
    after = network.state_dict()
    for kept in ('backbone.conv1.weight', 'decode_head.conv_seg.weight'):
        assert torch.equal(after[kept], own[kept])
    key = 'backbone.layer1.0.conv1.weight'
    assert torch.equal(after[key], state[key])
    assert not torch.equal(after[key], own[key])


def test_old_key_names_are_converted_by_the_network(tmp_path: Path) -> None:
    """Loading hooks of a network run before anything is refused."""

    class Renamed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.new = torch.nn.Linear(2, 2)
            self._register_load_state_dict_pre_hook(self._rename)

        def _rename(self, state: Any, *args: Any) -> None:
            for name in ('weight', 'bias'):
                if f'old.{name}' in state:
                    state[f'new.{name}'] = state.pop(f'old.{name}')

    linear = torch.nn.Linear(2, 2).state_dict()
    path = save(tmp_path / 'x.pth', {f'old.{k}': v for k, v in linear.items()})
    network = Renamed()
    load_network_weights(network, path)
    assert torch.equal(network.new.weight, linear['weight'])


def test_freeze(network: Any) -> None:
    assert freeze(network) is network
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
