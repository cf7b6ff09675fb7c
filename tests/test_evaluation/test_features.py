from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmkd.evaluation.features import (
    Features,
    choose_classes,
    collect_features,
    data_loader,
    evaluation_split,
    frozen_network,
)
from mmkd.networks import build_network
from mmkd.registry import MODELS
from mmkd.toys import toy_classifier, toy_dataset, toy_segmentor

pytest.importorskip('mmpretrain')


def data_config(**changes: Any) -> Config:
    def loader(split: str, **data: Any) -> dict[str, Any]:
        return dict(
            batch_size=3,
            num_workers=0,
            drop_last=True,
            persistent_workers=False,
            sampler=dict(type='DefaultSampler', shuffle=True),
            dataset=toy_dataset('classification', 8, split=split, **data),
        )

    load, pack = toy_dataset('classification')['pipeline']
    noisy = [load, dict(type='RandomErasing', erase_prob=1.0), pack]
    return Config(
        dict(
            default_scope='mmpretrain',
            train_dataloader=loader('train', pipeline=noisy),
            val_dataloader=loader('val'),
            **changes,
        )
    )


@pytest.fixture
def checkpoint(tmp_path: Path) -> tuple[Config, str]:
    network = build_network(toy_classifier(width=4))
    for module in network.modules():  # statistics unlike those of a batch
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    path = str(tmp_path / 'network.pth')
    torch.save(dict(state_dict=network.state_dict()), path)
    return Config(dict(model=toy_classifier(width=4))), path


def test_features_are_what_the_classifier_reads(
    checkpoint: tuple[Config, str],
) -> None:
    network = frozen_network(*checkpoint)
    loader = data_loader(data_config(), 'val')
    found = collect_features(network, loader, with_predictions=True)
    assert found.feats.shape == (8, 32)
    batch = [loader.dataset[i] for i in range(8)]
    data = network.data_preprocessor(
        dict(
            inputs=[b['inputs'] for b in batch],
            data_samples=[b['data_samples'] for b in batch],
        )
    )
    samples = network.predict(data['inputs'], data['data_samples'])
    logits = network.head.fc(found.feats)
    for row, sample in enumerate(samples):
        assert int(found.labels[row]) == int(sample.gt_label)
        assert int(found.predictions[row]) == int(sample.pred_label)
        torch.testing.assert_close(logits[row].softmax(0), sample.pred_score)
    assert found.classes == loader.dataset.metainfo['classes']


def test_network_stays_as_it_is(checkpoint: tuple[Config, str]) -> None:
    network = frozen_network(*checkpoint)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    loader = data_loader(data_config(), 'train')
    collect_features(network, loader, augmented=True)
    assert not any(p.requires_grad for p in network.parameters())
    assert not network.training
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize('broken', [False, True])
def test_network_of_the_caller_keeps_mode_and_mixing(
    checkpoint: tuple[Config, str], broken: bool
) -> None:
    network = frozen_network(*checkpoint)
    network.data_preprocessor = MODELS.build(
        dict(
            type='mmpretrain.ClsDataPreprocessor',
            num_classes=100,
            batch_augments=dict(augments=dict(type='Mixup', alpha=1.0)),
        )
    )
    mixing = network.data_preprocessor.batch_augments
    network.train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    loader = data_loader(data_config(), 'train', pipeline_of='val')
    if broken:
        network.extract_feat = lambda inputs: inputs.flatten(2)
        with pytest.raises(ValueError, match='extract_feat gives'):
            collect_features(network, loader, augmented=True)
    else:
        found = collect_features(network, loader, augmented=True)
        again = collect_features(network, loader, augmented=True)
        assert torch.equal(found.feats, again.feats)  # nothing was mixed
    assert mixing is not None
    assert network.data_preprocessor.batch_augments is mixing
    assert network.training and network.backbone.training
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_normalization_of_the_data_config_is_used(
    checkpoint: tuple[Config, str],
) -> None:
    own = dict(mean=[10.0] * 3, std=[50.0] * 3)
    data = data_config(data_preprocessor=own)
    network = frozen_network(*checkpoint, data)
    plain = frozen_network(*checkpoint)
    assert network.data_preprocessor.mean.flatten().tolist() == [10.0] * 3
    assert plain.data_preprocessor.mean.flatten().tolist() == [127.5] * 3
    loader = data_loader(data, 'val')
    one = collect_features(network, loader).feats
    two = collect_features(plain, loader).feats
    assert not torch.allclose(one, two)


def test_loader_is_in_order_and_complete() -> None:
    loader = data_loader(data_config(), 'val', batch_size=5)
    seen = [s.sample_idx for batch in loader for s in batch['data_samples']]
    assert seen == list(range(8))


@pytest.mark.slow
def test_transforms_of_another_split() -> None:
    config = data_config()
    first, second = (
        data_loader(config, 'train', pipeline_of='val').dataset
        for _ in range(2)
    )
    assert torch.equal(first[0]['inputs'], second[0]['inputs'])
    noisy = data_loader(config, 'train').dataset
    assert not torch.equal(noisy[0]['inputs'], first[0]['inputs'])
    # the images are those of the training set
    val = data_loader(config, 'val').dataset
    assert not torch.equal(val[0]['inputs'], first[0]['inputs'])


def test_data_set_wrappers_are_looked_through() -> None:
    config = data_config()
    inner = config.train_dataloader.dataset
    config.train_dataloader.dataset = dict(
        type='RepeatDataset', times=2, dataset=inner
    )
    loader = data_loader(config, 'train', pipeline_of='val')
    assert len(loader.dataset) == 16
    steps = loader.dataset.dataset.pipeline.transforms
    assert [type(s).__name__ for s in steps] == ['LoadScene', 'PackInputs']


def test_evaluation_split_prefers_test() -> None:
    config = data_config()
    assert evaluation_split(config) == 'val'
    config.test_dataloader = config.val_dataloader
    assert evaluation_split(config) == 'test'


def test_maps_are_pooled() -> None:
    pytest.importorskip('mmseg')
    network = build_network(toy_segmentor(width=4)).eval()
    network.data_preprocessor = build_network(
        toy_classifier()
    ).data_preprocessor
    found = collect_features(network, data_loader(data_config(), 'val'))
    assert found.feats.shape == (8, 32)


def numbered() -> Features:
    labels = torch.tensor([0, 1, 2, 3, 3, 1])
    feats = labels[:, None] + torch.tensor([0.0, 0.5])
    return Features(feats, labels, ('cat', 'dog', 'fox', 'owl'), labels + 10)


def test_chosen_classes_are_labelled_anew() -> None:
    found = choose_classes(numbered(), ['owl', '0-1'])
    assert found.classes == ('owl', 'cat', 'dog')
    assert found.labels.tolist() == [1, 2, 0, 0, 2]
    assert found.feats[:, 0].tolist() == [0, 1, 3, 3, 1]
    assert found.predictions.tolist() == [10, 11, 13, 13, 11]
    assert found.num_classes == 3


def test_mistakes_are_named(checkpoint: tuple[Config, str]) -> None:
    with pytest.raises(KeyError, match='"cow".*4 classes.*cat, dog'):
        choose_classes(numbered(), ['cow'])
    with pytest.raises(KeyError, match='"2-9"'):
        choose_classes(numbered(), ['2-9'])
    with pytest.raises(ValueError, match='twice'):
        choose_classes(numbered(), ['1', 'dog'])
    with pytest.raises(KeyError, match='no test_dataloader'):
        data_loader(data_config(), 'test')
    with pytest.raises(ValueError, match='split="all"'):
        data_loader(data_config(), 'all')
    with pytest.raises(TypeError, match='Linear has no extract_feat'):
        collect_features(nn.Linear(1, 1), data_loader(data_config(), 'val'))
    config, path = checkpoint
    config.model.neck = None
    network = frozen_network(config, path)
    network.backbone.forward = lambda inputs: (inputs.flatten(2),)
    with pytest.raises(ValueError, match=r'\(3, 3, 4096\).*neck'):
        collect_features(network, data_loader(data_config(), 'val'))


def test_unlabelled_data_are_refused(checkpoint: tuple[Config, str]) -> None:
    loader = data_loader(data_config(), 'val')
    dataset = loader.dataset
    for info in (dataset.get_data_info(0),):
        info.pop('gt_label')
        dataset.get_data_info = lambda index, info=info: dict(info)
    with pytest.raises(ValueError, match='no single gt_label'):
        collect_features(frozen_network(*checkpoint), loader)


def test_random_network_has_learned_nothing() -> None:
    config = Config(dict(model=toy_classifier(width=4)))
    torch.manual_seed(7)
    found = frozen_network(config, 'random').state_dict()
    torch.manual_seed(7)
    wanted = build_network(toy_classifier(width=4))
    wanted.init_weights()
    for key, value in wanted.state_dict().items():
        assert torch.equal(found[key], value), key
