"""EfficientNet-Lite0: size, layers, published names, a converter."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip('mmpretrain')

from mmkd.checkpoints.read import read_checkpoint  # noqa: E402
from mmkd.registry import MODELS  # noqa: E402

CONVERTERS = Path(__file__).parents[3] / 'tools' / 'model_converters'


def converter(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(
        name, CONVERTERS / f'{name}.py'
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_layers_of_lite0() -> None:
    net = MODELS.build(dict(type='mmkd.EfficientNetLite')).eval()
    names = [name for name, _ in net.named_modules()]
    assert not [name for name in names if name.endswith('.se')]
    kinds = {type(m).__name__ for m in net.modules()}
    assert 'ReLU6' in kinds
    assert 'Swish' not in kinds
    # published: 4,652,008 with the classifier of 1000 classes
    count = sum(p.numel() for p in net.parameters())
    assert count + 1280 * 1000 + 1000 == 4_652_008
    with torch.no_grad():
        (out,) = net(torch.zeros(1, 3, 47, 47))
    assert out.shape == (1, 1280, 2, 2)


def published(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights under other names, in order, with a classifier."""
    state = {
        f'layer{k}.{key.rpartition(".")[2]}': torch.rand_like(value.float())
        for k, (key, value) in enumerate(net.state_dict().items())
        if 'num_batches' not in key
    }
    state['classifier.weight'] = torch.rand(1000, 1280)
    state['classifier.bias'] = torch.rand(1000)
    return state


def test_converter_keeps_some_classes(tmp_path: Path, capsys: Any) -> None:
    net = MODELS.build(dict(type='mmkd.EfficientNetLite'))
    state = published(net)
    source, target = tmp_path / 'a.pth', tmp_path / 'b.pth'
    torch.save(state, source)
    main = converter('efficientnet_lite').main
    main([str(source), str(target), '--classes', '7', '3'])
    assert 'tensors' in capsys.readouterr().out
    found = read_checkpoint(target)['state_dict']
    rows = state['classifier.weight'][[7, 3]]
    assert torch.equal(found['head.fc.weight'], rows)
    plain = {
        k.removeprefix('backbone.'): v
        for k, v in found.items()
        if k.startswith('backbone.')
    }
    net.load_state_dict(plain, strict=True)
    wanted = list(state.values())[:-2]
    got = [v for k, v in plain.items() if 'num_batches' not in k]
    assert all(map(torch.equal, got, wanted))
    torch.save(dict(state_dict={'x': torch.zeros(1)}), source)
    with pytest.raises(SystemExit):
        main([str(source), str(target)])
    assert 'of another network' in capsys.readouterr().err


def test_converter_of_anchornet(tmp_path: Path, capsys: Any) -> None:
    from mmkd.networks import build_network

    config = 'mmkd::anchornet/toy_proposal.py'
    own = build_network(config).state_dict()
    names = {
        key.removeprefix('backbone.').replace('head.', ''): value
        for key, value in own.items()
    }
    unused = {'bneck.0.conv1.weight': torch.zeros(16, 16, 1, 1)}
    source, target = tmp_path / 'a.pth', tmp_path / 'b.pth'
    torch.save({**names, **unused}, source)
    main = converter('anchornet').main
    main([config, str(source), str(target)])
    found = read_checkpoint(target)['state_dict']
    assert found.keys() == own.keys()
    assert all(torch.equal(found[k], own[k]) for k in own)
    torch.save({'layer1.weight': torch.zeros(1)}, source)
    with pytest.raises(SystemExit):
        main([config, str(source), str(target)])
    assert 'is no weight of AnchorNet' in capsys.readouterr().err
