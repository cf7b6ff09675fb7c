"""What offline and online distillers have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import nn

from mmkd.taps import Tensors
from mmkd.utils.indices import FirstGpuBatches

# Keys of ordinary networks: their presence means a missing ``_delete_=True``.
_NETWORK_KEYS = {
    'backbone',
    'neck',
    'head',
    'decode_head',
    'auxiliary_head',
    'bbox_head',
    'rpn_head',
    'roi_head',
    'train_cfg',
    'test_cfg',
    'pretrained',
}

# Where networks keep the head that knows the number of classes.
_HEADS = ('decode_head', 'head', 'bbox_head')


class BaseDistiller(BaseModel):
    """A model that trains networks and behaves like one of them.

    ``mode='loss'`` runs a distillation step; ``'predict'`` and ``'tensor'``
    are those of the deployed network.

    Args:
        data_preprocessor: module or dict; see mmengine's BaseModel.
        check_labels: compare labels with the network's class number (every
            step on the CPU; the first 10 steps elsewhere, where it waits
            for the device).
        init_cfg: see mmengine's BaseModule.
    """

    def __init__(
        self,
        data_preprocessor: nn.Module | dict | None = None,
        check_labels: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            data_preprocessor=data_preprocessor, init_cfg=init_cfg
        )
        self.check_labels = check_labels
        self._may_look = FirstGpuBatches()

    @property
    def deployed(self) -> nn.Module:
        """The network that is evaluated and exported."""
        raise NotImplementedError

    def forward(
        self,
        inputs: torch.Tensor,
        data_samples: list | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Run one step in ``mode``: ``'loss'``, ``'predict'``, ``'tensor'``.

        Shape:
            inputs: (N, C, H, W), already preprocessed.
            returns: dict of scalar losses, or what the deployed network
                returns.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        return self.deployed(inputs, data_samples, mode=mode)

    def loss(self, inputs: torch.Tensor, data_samples: list | None) -> dict:
        """Return the losses of one step, by log name."""
        raise NotImplementedError

    def refuse_network_keys(self, keys: Mapping[str, Any]) -> None:
        """Explain constructor keys that do not belong to a distiller."""
        if not keys:
            return
        name = type(self).__name__
        inherited = sorted(set(keys) & _NETWORK_KEYS)
        if inherited:
            raise ValueError(
                f'{name} got keys of an ordinary network: '
                f'{", ".join(inherited)}. The config inherits `model` from '
                'its base: add `_delete_=True` to model=dict(...) and give '
                'the network as student=_base_.model'
            )
        raise TypeError(
            f'{name} does not know model.{", model.".join(sorted(keys))}'
        )

    def validate_labels(
        self, network: nn.Module, samples: Any, prefix: str = ''
    ) -> None:
        """Refuse labels outside the classes of ``network``.

        Args:
            network: its head knows the classes.
            samples: of the batch.
            prefix: of the head's key in messages.

        Raises:
            ValueError: names the values, the class number and the cure.
        """
        if not self.check_labels or not samples:
            return
        key, head = next(
            ((k, getattr(network, k)) for k in _HEADS if hasattr(network, k)),
            ('', None),
        )
        if isinstance(head, nn.ModuleList):
            head = head[-1]
        num_classes = getattr(head, 'num_classes', None)
        labels = None if num_classes is None else _labels_or_none(samples)
        if num_classes is None or labels is None or not labels.numel():
            return
        if not self._may_look(labels):
            return
        ignore = getattr(head, 'ignore_index', None)
        low, high = (int(v) for v in torch.aminmax(labels))
        if low >= 0 and high < num_classes:
            return
        wrong = labels[(labels < 0) | (labels >= num_classes)]
        if ignore is not None:
            wrong = wrong[wrong != ignore]
        if wrong.numel():
            found = sorted({int(value) for value in wrong.unique()})[:5]
            raise ValueError(
                f'labels contain {found}, but {prefix}{key}.num_classes='
                f'{num_classes}'
                + (f' and ignore_index={ignore}' if ignore is not None else '')
                + ': correct num_classes, the data set (reduce_zero_label, '
                'label map) or ignore_index'
            )

    def require_finite(
        self,
        losses: Mapping[str, Any],
        sources: Mapping[str, Mapping[str, Tensors]],
    ) -> None:
        """Stop at the first non-finite loss.

        Args:
            losses: log name -> scalar or list of scalars.
            sources: log name -> the tensors it was computed from.

        Raises:
            FloatingPointError: names the loss and the range of its inputs.
        """
        flat: dict[str, Any] = {
            name: sum(value) if isinstance(value, (list, tuple)) else value
            for name, value in losses.items()
        }
        values = [value.detach().float().mean() for value in flat.values()]
        if not values or bool(torch.stack(values).isfinite().all()):
            return
        for name, value in zip(flat, values, strict=True):
            if not value.isfinite():
                ranges = '; '.join(
                    f'{label} {describe_range(tensor)}'
                    for label, tensor in sources.get(name, {}).items()
                )
                raise FloatingPointError(
                    f'{name} is {float(value)}: training stops before the '
                    f'step, the last checkpoint is intact. Inputs: {ranges}. '
                    'Lower optim_wrapper.optimizer.lr, clip gradients, or '
                    'look for bad samples; without --amp, float32 is used'
                )


def describe_range(tensors: Tensors | None) -> str:
    """Return shape, minimum and maximum as text."""
    if tensors is None:
        return 'none'
    if isinstance(tensors, (list, tuple)):
        return ', '.join(describe_range(tensor) for tensor in tensors)
    values = tensors.detach()
    finite = values[values.isfinite()]
    text = f'{tuple(values.shape)}'
    if finite.numel():
        text += f' in [{float(finite.min()):.4g}, {float(finite.max()):.4g}]'
    bad = values.numel() - finite.numel()
    return text + (f', {bad} of {values.numel()} not finite' if bad else '')


def _labels_or_none(samples: Any) -> torch.Tensor | None:
    first = samples[0]
    if 'gt_sem_seg' in first:
        return torch.cat([s.gt_sem_seg.data.flatten() for s in samples])
    if 'gt_label' in first:
        return torch.cat([s.gt_label.flatten() for s in samples])
    if 'gt_instances' in first and 'labels' in first.gt_instances:
        return torch.cat([s.gt_instances.labels for s in samples])
    return None
