"""Networks of timm, of transformers and of the task repositories."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from torch import nn

from mmkd.checkpoints.pretrained import check_pretrained
from mmkd.checkpoints.read import read_checkpoint
from mmkd.checkpoints.strict import fit_weights
from mmkd.deploy import network_state
from mmkd.networks import build_network, network_dict

_CURES = dict(timm='pip install timm', transformers='pip install transformers')


@dataclass
class Source:
    """A network and what it says of itself.

    Args:
        network: with its weights.
        call: how it is asked for features: ``'forward_features'`` (timm),
            ``'pixel_values'`` (transformers) or ``'backbone'``.
        mean, std: of its images, RGB, 0 to 255; None if it does not say.
        size: (H, W) of its images.
        patch: (height, width) of its patches.
        prefix: number of class and register tokens.
        channels_last: its maps are (N, H, W, C).
        licence: of its published weights.
        any_size: it runs on images of other sizes.
        resizes: it has to be told when images are of another size.
    """

    network: nn.Module
    call: str
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    size: tuple[int, int] | None = None
    patch: tuple[int, int] | None = None
    prefix: int | None = None
    channels_last: bool = False
    licence: str | None = None
    any_size: bool = True
    resizes: bool = False


def find_source(
    model: str | Mapping[str, Any],
    checkpoint: str | None,
    options: Mapping[str, Any],
) -> Source:
    """Build the network of a `FeatureTeacher`.

    Raises:
        ImportError: the library is not installed.
        TypeError, ValueError: another kind of name, or weights that do not
            fit.
    """
    if isinstance(model, Mapping):
        return _mm_source(dict(model), checkpoint)
    if not isinstance(model, str):
        raise TypeError(
            f'FeatureTeacher: model={model!r} must be "timm:NAME", '
            '"hf:NAME", a config name or a model dict'
        )
    library, colon, name = model.partition(':')
    if colon and library == 'timm':
        return _timm_source(name, checkpoint, dict(options))
    if colon and library == 'hf':
        return _hf_source(name, checkpoint, dict(options))
    return _mm_source(dict(network_dict(model)), checkpoint)


def _require(library: str, model: str) -> None:
    if find_spec(library) is None:
        raise ImportError(
            f'FeatureTeacher: model="{model}" needs {library}, which is not '
            f'installed: {_CURES[library]}'
        )


def _timm_source(
    name: str, checkpoint: str | None, options: dict[str, Any]
) -> Source:
    _require('timm', f'timm:{name}')
    import timm

    options = dict(pretrained=checkpoint is None, num_classes=0, **options)
    flexible = dict(options, dynamic_img_size=True)
    network: Any
    try:
        try:
            network = timm.create_model(name, **flexible)
        except TypeError:  # convolutional networks have no such argument
            network = timm.create_model(name, **options)
    except RuntimeError as error:
        known = timm.list_models()
        near = difflib.get_close_matches(name.partition('.')[0], known, n=3)
        raise ValueError(
            f'FeatureTeacher: model="timm:{name}": {error}'
            + (f'; names like it: {", ".join(near)}' if near else '')
        ) from error
    facts = network.pretrained_cfg
    if checkpoint is not None:
        state = dict(read_checkpoint(checkpoint)['state_dict'])
        heads = facts.get('classifier') or ()
        heads = (heads,) if isinstance(heads, str) else tuple(heads)
        starts = tuple(f'{head}.' for head in heads)
        kept = {k: v for k, v in state.items() if not k.startswith(starts)}
        fit_weights(network, kept, checkpoint, role='FeatureTeacher')
    embed = getattr(network, 'patch_embed', None)
    patch = getattr(embed, 'patch_size', None)
    tokens = hasattr(network, 'num_prefix_tokens')
    return Source(
        network,
        'forward_features',
        mean=[255 * value for value in facts['mean']],
        std=[255 * value for value in facts['std']],
        size=tuple(facts['input_size'][1:]),
        patch=_pair(patch) if tokens else None,
        prefix=network.num_prefix_tokens if tokens else None,
        channels_last=getattr(network, 'output_fmt', 'NCHW') == 'NHWC',
        licence=facts.get('license'),
        any_size=not facts.get('fixed_input_size', False)
        or bool(getattr(embed, 'dynamic_img_pad', False))
        or not getattr(embed, 'strict_img_size', True),
    )


def _hf_source(
    name: str, checkpoint: str | None, options: dict[str, Any]
) -> Source:
    _require('transformers', f'hf:{name}')
    import transformers

    try:
        if checkpoint is None:
            network, told = transformers.AutoModel.from_pretrained(
                name,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **options,
            )
            missing = told['missing_keys']
        else:
            config = transformers.AutoConfig.from_pretrained(
                name, trust_remote_code=False
            )
            network = transformers.AutoModel.from_config(config, **options)
            state = read_checkpoint(checkpoint)['state_dict']
            fit_weights(network, state, checkpoint, role='FeatureTeacher')
            missing = ()
    except (OSError, ValueError) as error:  # no such name, no such file
        raise ValueError(
            f'FeatureTeacher: model="hf:{name}": {str(error).splitlines()[0]}'
        ) from error
    _check_whole(name, missing)
    facts = getattr(network.config, 'vision_config', network.config)
    network = getattr(network, 'vision_model', network)
    asked = inspect.signature(network.forward).parameters
    if 'pixel_values' not in asked:
        raise ValueError(
            f'FeatureTeacher: model="hf:{name}" is a {type(network).__name__}'
            ', which takes no images: name a network of images'
        )
    mean, std = _hf_pixels(name)
    size = getattr(facts, 'image_size', None)
    size = size if isinstance(size, int | None) else tuple(size)
    return Source(
        network,
        'pixel_values',
        mean=mean,
        std=std,
        size=None if size is None else _pair(size),
        patch=_hf_patch(facts),
        resizes='interpolate_pos_encoding' in asked,
    )


def _check_whole(name: str, missing: Iterable[str]) -> None:
    """Refuse random weights, of which transformers merely warns.

    The pooling layer is not used: files of classifiers have none.
    """
    absent = sorted(key for key in missing if 'pooler.' not in key)
    if absent:
        raise ValueError(
            f'FeatureTeacher: model="hf:{name}": its file has no weights for '
            f'{len(absent)} tensors of the network ({absent[0]}, ...): name '
            'a folder whose config.json belongs to its weights'
        )


def _hf_patch(facts: Any) -> tuple[int, int] | None:
    """Return the pixels under a token of the last stage."""
    patch = getattr(facts, 'patch_size', None)
    if patch is None:
        return None
    halved = len(getattr(facts, 'depths', None) or [0]) - 1
    height, width = _pair(patch)
    return height << halved, width << halved


def _hf_pixels(name: str) -> tuple[Any, Any]:
    """Return mean and std, 0 to 255, as its image processor says."""
    from transformers.models.auto.image_processing_auto import (
        get_image_processor_config,
    )

    facts = get_image_processor_config(name)
    mean, std = facts.get('image_mean'), facts.get('image_std')
    if mean is None or std is None:
        return None, None
    return [255 * value for value in mean], [255 * value for value in std]


def _mm_source(model: dict[str, Any], checkpoint: str | None) -> Source:
    """A network of the task repositories, or a bare backbone of them."""
    network = build_network(model)
    if checkpoint is None:
        check_pretrained(network)
        initialize: Any = getattr(network, 'init_weights', None)
        if initialize is not None:
            initialize()
    else:
        state, _ = network_state(
            read_checkpoint(checkpoint)['state_dict'], checkpoint
        )
        fit_weights(network, state, checkpoint, role='FeatureTeacher')
    backbone: Any = getattr(network, 'backbone', network)
    pixels: Any = getattr(network, 'data_preprocessor', None)
    known = model.get('data_preprocessor') is not None
    mean = getattr(pixels, 'mean', None) if known else None
    std = getattr(pixels, 'std', None) if known else None
    size = getattr(backbone, 'img_size', None)
    embed: Any = getattr(backbone, 'patch_embed', None)
    patch = getattr(backbone, 'patch_size', None)
    if patch is None:
        patch = getattr(getattr(embed, 'projection', None), 'stride', None)
    return Source(
        network,
        'backbone',
        mean=None if mean is None else mean.flatten().tolist(),
        std=None if std is None else std.flatten().tolist(),
        size=None if size is None else _pair(size),
        patch=_pair(patch),
    )


def _pair(value: Any) -> Any:
    if value is None or isinstance(value, (tuple, list)):
        return None if value is None else tuple(value)
    return value, value
