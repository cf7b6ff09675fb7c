"""FeatureTeacher: a dense map and a vector of whatever network."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope
from torch import nn

pytest.importorskip('mmpretrain')
from mmkd.checkpoints.export import save_plain  # noqa: E402
from mmkd.models.features import FeatureTeacher  # noqa: E402
from mmkd.models.features.tokens import (  # noqa: E402
    last_tensor,
    pad_to_multiple,
    split_tokens,
)
from mmkd.networks import build_network  # noqa: E402
from mmkd.toys import toy_classifier, toy_network  # noqa: E402

TINY = dict(embed_dims=48, num_layers=2, num_heads=3, feedforward_channels=96)


def vit(**changes: Any) -> dict[str, Any]:
    """A small ViT of mmpretrain that gives all its tokens."""
    return dict(
        dict(
            type='VisionTransformer',
            _scope_='mmpretrain',
            arch=TINY,
            img_size=28,
            patch_size=14,
            out_type='raw',
        ),
        **changes,
    )


@pytest.fixture
def no_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    real = find_spec
    monkeypatch.setattr(
        'mmkd.models.features.sources.find_spec',
        lambda name: None if name in ('timm', 'transformers') else real(name),
    )


# -- outputs to maps ---------------------------------------------------------


def test_tokens_become_a_map_row_by_row() -> None:
    patches = torch.arange(6.0).view(1, 6, 1)
    prefix = torch.full((1, 5, 1), -1.0)  # class and four registers
    prefix[:, 0] = 7
    dense, token = split_tokens(torch.cat([prefix, patches], 1), (2, 3))
    assert dense.tolist() == [[[[0, 1, 2], [3, 4, 5]]]]
    assert token.tolist() == [[7]]
    dense, token = split_tokens(patches, (2, 3), prefix=0)
    assert dense.shape == (1, 1, 2, 3) and token is None


def test_maps_stay_as_they_are() -> None:
    maps = torch.randn(2, 3, 4, 5)
    assert split_tokens(maps, None)[0].equal(maps)
    moved = maps.permute(0, 2, 3, 1)
    assert split_tokens(moved, (9, 9), channels_last=True)[0].equal(maps)


def test_features_are_found_in_any_output() -> None:
    class Output(dict):
        last_hidden_state = torch.ones(1, 2, 3)

    maps = torch.ones(1, 2, 3, 4), torch.zeros(1, 2, 3, 4)
    assert last_tensor(maps) is maps[1]
    assert last_tensor(Output(a=1)) is Output.last_hidden_state
    with pytest.raises(ValueError, match='gave a NoneType without a tensor'):
        last_tensor(None)


@pytest.mark.parametrize('patch', [14, 16])
def test_images_are_padded_to_whole_patches(patch: int) -> None:
    images = torch.ones(1, 3, 28, 33)
    padded = pad_to_multiple(images, (patch, patch))
    assert padded.shape[2] % patch == padded.shape[3] % patch == 0
    assert padded[..., :28, :33].equal(images)
    assert padded.sum() == images.sum()
    whole = torch.ones(1, 3, 2 * patch, patch)
    assert pad_to_multiple(whole, (patch, patch)) is whole


@pytest.mark.parametrize(
    ('features', 'grid', 'prefix', 'words'),
    [
        (torch.ones(1, 5, 2), (2, 3), None, '5 tokens are no 2 x 3'),
        (torch.ones(1, 8, 2), (2, 3), 1, 'prefix_tokens'),
        (torch.ones(1, 8, 2), None, None, 'set patch_size'),
        (torch.ones(1, 8), (2, 2), None, "out_type='featmap'"),
    ],
)
def test_tokens_that_fill_no_grid(
    features: Any, grid: Any, prefix: Any, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        split_tokens(features, grid, prefix)


# -- networks of the task repositories ---------------------------------------


def test_a_convolutional_network(tmp_path: Any) -> None:
    model = toy_classifier(width=4)
    network = build_network(model).eval()
    path = tmp_path / 'weights.pth'
    torch.save(dict(state_dict=network.state_dict()), path)
    teacher = FeatureTeacher(model, checkpoint=str(path)).eval()
    images = torch.randn(2, 3, 64, 96)
    dense, pooled = teacher(images)
    (wanted,) = network.backbone(images)
    torch.testing.assert_close(dense, wanted)
    torch.testing.assert_close(pooled, wanted.mean((2, 3)))
    assert teacher.data_preprocessor.mean.flatten().tolist() == (
        network.data_preprocessor.mean.flatten().tolist()
    )
    assert str(path) in teacher.origin


def test_a_transformer_without_its_class_token() -> None:
    torch.manual_seed(0)
    teacher = FeatureTeacher(vit()).eval()
    images = torch.randn(2, 3, 28, 28)
    dense, pooled = teacher(images)
    (tokens,) = teacher.network(images)
    assert tokens.shape == (2, 5, 48)
    torch.testing.assert_close(pooled, tokens[:, 0])
    torch.testing.assert_close(dense[..., 1, 0], tokens[:, 3])
    teacher.pooling = 'mean'
    torch.testing.assert_close(teacher(images)[1], tokens[:, 1:].mean(1))
    # smaller images are brought to its own size
    assert teacher(torch.randn(2, 3, 20, 24))[0].shape == (2, 48, 2, 2)


def test_images_of_the_students_size_are_padded() -> None:
    teacher = FeatureTeacher(vit(), size='images').eval()
    dense, pooled = teacher(torch.randn(1, 3, 30, 56))
    assert dense.shape == (1, 48, 3, 4) and pooled.shape == (1, 48)


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (dict(pooling='max'), 'pooling="max" is none of auto'),
        (dict(size='big'), "size='big' is neither"),
        (dict(size=(3, -1)), 'is neither "own"'),
        (dict(checkpoint='no.pth'), 'no.pth'),
        (dict(model=3), 'must be "timm:NAME"'),
        (dict(model='timm:resnet18'), 'needs timm.*pip install timm'),
        (dict(model='hf:a/b'), 'needs transformers.*pip install'),
    ],
)
def test_mistakes(no_timm: None, changes: dict, words: str) -> None:
    kinds = (ValueError, TypeError, ImportError, FileNotFoundError)
    with pytest.raises(kinds, match=words):
        FeatureTeacher(**{'model': toy_classifier(width=4), **changes})


def test_no_class_token() -> None:
    teacher = FeatureTeacher(toy_classifier(width=4), pooling='token').eval()
    with pytest.raises(ValueError, match='has no class token'):
        teacher(torch.randn(1, 3, 32, 32))


# -- in a distiller ----------------------------------------------------------


STUDENTS = dict(
    mmpretrain=dict(type='mmpretrain.ResNet', depth=18, base_channels=8),
    mmdet=dict(
        type='mmdet.ResNet', depth=18, base_channels=8, out_indices=(3,)
    ),
    mmseg=dict(
        type='mmseg.MixVisionTransformer',
        embed_dims=8,
        num_layers=[1, 1, 1, 1],
        num_heads=[1, 1, 1, 1],
        out_indices=(3,),
    ),
    mmpose=dict(type='mmpose.MobileNetV2', widen_factor=0.25),
)


def distiller(backbone: dict, teacher: dict, **changes: Any) -> Any:
    student = dict(
        type='ImageClassifier',
        _scope_='mmpretrain',
        backbone=backbone,
        data_preprocessor=dict(
            type='ClsDataPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            to_rgb=True,
        ),
    )
    model = dict(
        type='mmkd.OfflineDistiller',
        student=student,
        teacher=teacher,
        taps=dict(
            dense=dict(student='backbone', teacher='dense'),
            pooled=dict(student='backbone', teacher='pooled'),
        ),
        losses=dict(
            dense=dict(type='mmkd.DenseCosineLoss', on='dense'),
            whole=dict(type='mmkd.GlobalCosineLoss', on='pooled'),
            classes=dict(
                type='mmkd.PseudoClassLoss', on='pooled', queue_size=8
            ),
        ),
        input_shape=(3, 64, 64),
    )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return ROOT_MODELS.build({**model, **changes})


@pytest.mark.parametrize('repository', STUDENTS)
def test_any_backbone_learns_without_labels(repository: str) -> None:
    pytest.importorskip('mmdet' if repository == 'mmdet' else repository)
    teacher = dict(type='mmkd.FeatureTeacher', model=vit(), size='own')
    model = distiller(STUDENTS[repository], teacher).train()
    losses = model(torch.randn(4, 3, 64, 64), None, mode='loss')
    assert losses.keys() == {'loss_dense', 'loss_whole', 'loss_classes'}
    total, _ = model.parse_losses(losses)
    total.backward()
    grads = [p.grad for p in model.student.parameters() if p.requires_grad]
    assert sum(g.abs().sum() for g in grads if g is not None) > 0
    assert not any(key.startswith('teacher') for key in model.state_dict())
    assert 'licence of the published weights' in model.summary()


@pytest.mark.parametrize('repository', STUDENTS)
def test_the_backbone_starts_a_network_of_its_repository(
    repository: str, tmp_path: Any
) -> None:
    pytest.importorskip(repository)
    teacher = dict(type='mmkd.FeatureTeacher', model=vit(), size='own')
    model = distiller(STUDENTS[repository], teacher)
    path = tmp_path / 'student.pth'
    save_plain(model.deployed, path)
    start = dict(type='Pretrained', checkpoint=str(path), prefix='backbone.')
    kind = STUDENTS[repository]['type'].partition('.')[2]
    with DefaultScope.overwrite_default_scope(repository):
        backbone = ROOT_MODELS.build(
            dict(STUDENTS[repository], type=kind, init_cfg=start)
        )
        backbone.init_weights()
    wanted = model.student.backbone.state_dict()
    found = backbone.state_dict()
    assert found.keys() == wanted.keys()
    assert all(found[key].equal(wanted[key]) for key in wanted)


def test_images_get_the_teachers_normalisation() -> None:
    teacher = dict(
        type='mmkd.FeatureTeacher',
        model=toy_classifier(width=4),
        mean=[127.0, 127.0, 127.0],
        std=[128.0, 128.0, 128.0],
    )
    model = distiller(STUDENTS['mmpretrain'], teacher)
    found = model.teachers[0].renormalize(torch.zeros(1, 3, 1, 1)).flatten()
    wanted = (torch.tensor([123.675, 116.28, 103.53]) - 127) / 128
    torch.testing.assert_close(found, wanted)


# -- timm --------------------------------------------------------------------

timm_only = pytest.mark.skipif(
    find_spec('timm') is None, reason='timm is not installed'
)


@timm_only
@pytest.mark.parametrize(
    ('name', 'patch'),
    [('vit_tiny_patch16_224', 16), ('resnet18', None), ('convnext_atto', None),
     ('swin_tiny_patch4_window7_224', None)],
)  # fmt: skip
def test_timm_networks(name: str, patch: int | None, tmp_path: Any) -> None:
    import timm

    network = timm.create_model(name, pretrained=False).eval()
    path = tmp_path / 'weights.pth'
    torch.save(network.state_dict(), path)  # with its classifier
    teacher = FeatureTeacher(f'timm:{name}', checkpoint=str(path)).eval()
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        dense, pooled = teacher(images)
        features = network.forward_features(images)
    assert dense.ndim == 4 and pooled.shape == (1, dense.shape[1])
    if patch is not None:
        assert dense.shape[2:] == (14, 14)
        torch.testing.assert_close(pooled, features[:, 0])
        torch.testing.assert_close(dense[..., 0, 1], features[:, 2])
    licence = 'mit' if name.startswith('swin') else 'apache-2.0'
    assert teacher.origin.endswith(f'weights: {licence}')


@timm_only
def test_timm_names_and_files_that_do_not_fit(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match='names like it'):
        FeatureTeacher('timm:resnet19', checkpoint='no.pth')
    path = tmp_path / 'other.pth'
    torch.save(nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(ValueError, match='does not fit'):
        FeatureTeacher('timm:resnet18', checkpoint=str(path))


# -- transformers ------------------------------------------------------------

hf_only = pytest.mark.skipif(
    find_spec('transformers') is None, reason='transformers is not installed'
)
SMALL = dict(
    hidden_size=48,
    num_hidden_layers=1,
    num_attention_heads=3,
    intermediate_size=96,
)
STAGES = dict(depths=[1, 1, 1, 1])
#: class -> settings, tokens before the patches, pixels under a place
HF: dict[str, tuple[dict[str, Any], int, int]] = {
    'ViT': (dict(SMALL, image_size=32), 1, 16),
    'DeiT': (dict(SMALL, image_size=32), 2, 16),
    'IJepa': (dict(SMALL, image_size=32), 0, 16),
    'SiglipVision': (dict(SMALL, image_size=32, patch_size=16), 0, 16),
    'CLIPVision': (dict(SMALL, image_size=32, patch_size=16), 1, 16),
    'Dinov2': (dict(SMALL, image_size=28, patch_size=14), 1, 14),
    'Dinov2WithRegisters': (
        dict(SMALL, image_size=28, patch_size=14), 5, 14,
    ),
    'Swin': (
        dict(STAGES, image_size=64, embed_dim=4, num_heads=[1, 1, 1, 1],
             window_size=2), 0, 32,
    ),
    'ConvNext': (
        dict(STAGES, hidden_sizes=[4, 4, 8, 8], image_size=64), 0, 32,
    ),
    'ResNet': (
        dict(STAGES, embedding_size=4, hidden_sizes=[4, 4, 8, 8]), 0, 32,
    ),
}  # fmt: skip


@hf_only
@pytest.mark.parametrize('name', HF)
def test_networks_of_transformers(name: str, tmp_path: Any) -> None:
    import transformers

    settings, prefix, cell = HF[name]
    torch.manual_seed(0)
    config = getattr(transformers, f'{name}Config')(**settings)
    network = getattr(transformers, f'{name}Model')(config).eval()
    network.save_pretrained(tmp_path)
    (tmp_path / 'preprocessor_config.json').write_text(
        '{"image_processor_type": "ViTImageProcessor",'
        ' "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}'
    )
    teacher = FeatureTeacher(f'hf:{tmp_path}').eval()
    assert teacher.data_preprocessor.mean.flatten().tolist() == [127.5] * 3
    assert teacher.data_preprocessor.std.flatten().tolist() == [63.75] * 3
    side = settings.get('image_size', 64)
    images = torch.randn(2, 3, side, side)
    with torch.no_grad():
        dense, pooled = teacher(images)
        wanted = network(pixel_values=images).last_hidden_state
    rows = side // cell
    if wanted.ndim == 3:
        if prefix:
            torch.testing.assert_close(pooled, wanted[:, 0])
        wanted = wanted[:, prefix:].transpose(1, 2).unflatten(2, (rows, rows))
    torch.testing.assert_close(dense, wanted)
    if not prefix:
        torch.testing.assert_close(pooled, wanted.mean((2, 3)))
    # images of the student's size
    teacher = FeatureTeacher(f'hf:{tmp_path}', size='images').eval()
    with torch.no_grad():
        dense, _ = teacher(torch.randn(1, 3, 4 * cell - 3, 2 * cell))
    assert dense.shape[2:] == (4, 2)


@hf_only
def test_files_of_transformers_that_do_not_fit(tmp_path: Any) -> None:
    import transformers

    network = transformers.ViTModel(
        transformers.ViTConfig(**SMALL, image_size=32)
    )
    network.save_pretrained(tmp_path)
    config = tmp_path / 'config.json'
    one = '"num_hidden_layers": 1'
    assert one in config.read_text()
    config.write_text(config.read_text().replace(one, one[:-1] + '2'))
    with pytest.raises(ValueError, match='has no weights for 1. tensors'):
        FeatureTeacher(f'hf:{tmp_path}')
    text = transformers.BertModel(
        transformers.BertConfig(vocab_size=8, **SMALL)
    )
    text.save_pretrained(tmp_path / 'text')
    with pytest.raises(ValueError, match='BertModel, which takes no images'):
        FeatureTeacher(f'hf:{tmp_path}/text')
    with pytest.raises(ValueError, match=f'hf:{tmp_path}/nowhere'):
        FeatureTeacher(f'hf:{tmp_path}/nowhere')


@hf_only
def test_a_network_of_transformers_teaches(tmp_path: Any) -> None:
    import transformers

    transformers.ViTModel(
        transformers.ViTConfig(**SMALL, image_size=32)
    ).save_pretrained(tmp_path)
    teacher = dict(type='mmkd.FeatureTeacher', model=f'hf:{tmp_path}')
    model = distiller(STUDENTS['mmpretrain'], teacher).train()
    losses = model(torch.randn(4, 3, 64, 64), None, mode='loss')
    assert all(value.isfinite() for value in losses.values())
    assert losses.keys() == {'loss_dense', 'loss_whole', 'loss_classes'}


def test_toys_have_backbones() -> None:
    """What the other tests rely on, for every task."""
    for task in ('classification', 'segmentation', 'pose', 'detection'):
        assert FeatureTeacher(toy_network(task, 4)).pooling == 'auto'
