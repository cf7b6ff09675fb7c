"""All that is known of the four task repositories.

Which head gives a network's output and knows its classes, and where a batch
keeps its labels. How a head judges an output that it did not give stands in
`mmkd.head_outputs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

REPOSITORIES = ('mmpretrain', 'mmseg', 'mmpose', 'mmdet')

#: keys of a network's config; their presence in a distiller's is a mistake
NETWORK_KEYS = frozenset(
    {
        'backbone', 'neck', 'head', 'decode_head', 'auxiliary_head',
        'bbox_head', 'rpn_head', 'roi_head', 'train_cfg', 'test_cfg',
        'pretrained',
    }
)  # fmt: skip

# Where networks keep the head that knows the number of classes.
_CLASS_HEADS = ('decode_head', 'head', 'bbox_head', 'roi_head.bbox_head')
# Heads whose output is the network's. The predictions of detectors cannot be
# averaged, and cascades have several heads.
_MAIN_HEADS = ('decode_head', 'head')


def repository_of(module: nn.Module) -> str | None:
    """Return the repository whose class ``module`` is or inherits."""
    for cls in type(module).__mro__:
        package = cls.__module__.partition('.')[0]
        if package in REPOSITORIES:
            return package
    return None


# -- heads and classes -------------------------------------------------------


def class_head(network: nn.Module) -> tuple[str, Any]:
    """Return key and head that know the classes; ``('', None)`` if none."""
    for key in _CLASS_HEADS:
        head: Any = network
        for name in key.split('.'):
            head = getattr(head, name, None)
        if head is not None:
            return key, head[-1] if isinstance(head, nn.ModuleList) else head
    return '', None


def num_classes(network: nn.Module) -> int | None:
    """Return the number of classes, or None where there are none.

    A segmentation head with one output tells two classes apart, whether its
    ``num_classes`` is 2 or 1.
    """
    return _classes_of(*class_head(network))


def _classes_of(key: str, head: Any) -> int | None:
    if key == 'decode_head' and getattr(head, 'out_channels', None) == 1:
        return 2
    return getattr(head, 'num_classes', None)


def class_dim(
    network: nn.Module, path: str, ndim: int
) -> tuple[int, str] | None:
    """Return where the classes are that a softmax runs over, and the layout.

    Args:
        network: its task decides.
        path: of the tapped module; empty where there is none.
        ndim: dimensions of the tensor.

    Returns:
        None where nothing but the usual (N, classes, ...) is known.
    """
    head: Any = getattr(network, 'head', None)
    if ndim == 3 and hasattr(head, 'simcc_split_ratio'):
        return 2, '(N, joints, bins) in a SimCC network'
    queries = hasattr(network, 'num_queries')
    if ndim > 2 and queries and path.startswith('bbox_head.'):
        return ndim - 1, '(..., queries, classes) in a query detector'
    return None


def anchors_of(network: nn.Module, path: str) -> int:
    """Return how many anchors' scores the channels of a tap hold.

    Args:
        network: a detector.
        path: of the tapped module.

    Returns:
        1 where there are no anchors, or one.
    """
    key, _, module = path.partition('.')
    head: Any = getattr(network, key, None)
    if not module or not hasattr(head, 'cls_out_channels'):
        return 1
    anchors = getattr(head, 'num_base_priors', 1)
    layer = getattr(head, module, None)
    channels = getattr(layer, 'out_channels', None)
    return anchors if channels == anchors * head.cls_out_channels else 1


def common_classes(networks: Sequence[nn.Module]) -> int | None:
    """Return the number of classes that all networks have.

    Raises:
        ValueError: they differ.
    """
    counts = [num_classes(network) for network in networks]
    known = {count for count in counts if count is not None}
    if len(known) > 1:
        raise ValueError(
            'all peers must predict the same classes; cohort.peers have '
            f'num_classes={counts}: correct the heads'
        )
    return known.pop() if known else None


def main_head(network: nn.Module) -> Any:
    """Return the head whose output is the network's, or None.

    Classification, segmentation and pose networks have one.
    """
    for key in _MAIN_HEADS:
        head = getattr(network, key, None)
        if hasattr(head, 'predict'):
            return head
    return None


def has_own_loss(network: nn.Module) -> bool:
    """Return whether a network has a head, and so losses of its own.

    An ``ImageClassifier`` without one is an encoder, for learning without
    labels. ``TimmClassifier`` and the like have no ``head`` either, but the
    classifier of another library: they have no ``backbone``.
    """
    with_head = getattr(network, 'with_head', True)
    return bool(with_head) or not hasattr(network, 'backbone')


def require_head(network: nn.Module) -> None:
    """Refuse to ask an encoder for predictions.

    Raises:
        ValueError: the network has no head.
    """
    if not has_own_loss(network):
        raise ValueError(
            f'the {type(network).__name__} has no head, so it predicts '
            'nothing: remove val_dataloader, val_cfg and val_evaluator (and '
            'the test ones), and judge its features by tools/linear_eval.py'
        )


# -- labels ------------------------------------------------------------------


def stack_labels(data_samples: Sequence[Any] | None) -> torch.Tensor:
    """Return the labels of a batch.

    Args:
        data_samples: samples of mmpretrain (``gt_label``) or
            mmsegmentation (``gt_sem_seg``).

    Returns:
        (N,) class labels, or (N, H, W) label maps.

    Raises:
        ValueError: the samples carry neither.
    """
    for sample in data_samples or ():
        if 'gt_sem_seg' in sample:
            return torch.cat([s.gt_sem_seg.data for s in data_samples or ()])
        if 'gt_score' in sample:
            raise ValueError(
                'a loss asks for "labels", but the data samples carry mixed '
                'labels or soft ones ("gt_score"): remove Mixup or CutMix '
                '(data_preprocessor.batch_augments, model.train_cfg.augments) '
                'and data_preprocessor.to_onehot, or use a loss without '
                'labels'
            )
        if 'gt_label' in sample:
            return torch.cat([s.gt_label for s in data_samples or ()])
        break
    raise ValueError(
        'a loss asks for "labels", but the data samples carry neither '
        '"gt_label" (classification) nor "gt_sem_seg" (segmentation): use a '
        'loss without labels, or a pipeline that loads them'
    )


def stack_target_weights(
    data_samples: Sequence[Any] | None,
) -> torch.Tensor | None:
    """Return the weights of a batch's key points, (N, J, 1).

    None where the samples carry none (``GenerateTarget`` of mmpose does).
    """
    found = []
    for sample in data_samples or ():
        labels = sample.get('gt_instance_labels')
        weights = getattr(labels, 'keypoint_weights', None)
        if weights is None:
            return None
        found.append(weights)
    if not found:
        return None
    return torch.cat(found)[..., None]


def class_labels(data_samples: Sequence[Any]) -> torch.Tensor | None:
    """Return all labels of a batch that name a class, flat, or None."""
    first = data_samples[0]
    if 'gt_sem_seg' in first:
        found = [s.gt_sem_seg.data.flatten() for s in data_samples]
    elif 'gt_label' in first:
        found = [s.gt_label.flatten() for s in data_samples]
    elif 'gt_instances' in first and 'labels' in first.gt_instances:
        found = [s.gt_instances.labels for s in data_samples]
    else:
        return None
    return torch.cat(found)


def check_class_labels(
    network: nn.Module, data_samples: Sequence[Any], prefix: str = ''
) -> None:
    """Refuse labels outside the classes of ``network``.

    It reads values, so on a GPU it waits for the device.

    Args:
        network: its head knows the classes.
        data_samples: of the batch.
        prefix: of the head's key in messages.

    Raises:
        ValueError: names the values, the class number and the cure.
    """
    key, head = class_head(network)
    count = _classes_of(key, head)
    labels = None if count is None else class_labels(data_samples)
    if count is None or labels is None or not labels.numel():
        return
    ignore = getattr(head, 'ignore_index', None)
    low, high = (int(v) for v in torch.aminmax(labels))
    if low >= 0 and high < count:
        return
    wrong = labels[(labels < 0) | (labels >= count)]
    if ignore is not None:
        wrong = wrong[wrong != ignore]
    if wrong.numel():
        found = sorted({int(value) for value in wrong.unique()})[:5]
        setting = f'{prefix}{key}.num_classes={count}'
        if count != head.num_classes:
            setting = f'{prefix}{key}.out_channels=1 (labels 0 and 1)'
        raise ValueError(
            f'labels contain {found}, but {setting}'
            + (f' and ignore_index={ignore}' if ignore is not None else '')
            + ': correct num_classes, the data set (reduce_zero_label, '
            'label map) or ignore_index'
        )


def label_shape(network: nn.Module, size: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of one image's labels in a loss.

    Args:
        network: its task decides.
        size: (H, W) of the image.

    Returns:
        ``()`` for a class, (H, W) for a label map.
    """
    return tuple(size) if hasattr(network, 'decode_head') else ()
