"""A classifier whose state dict has the keys of another library."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from mmpretrain.models.classifiers import BaseClassifier, TimmClassifier
from mmpretrain.registry import MODELS
from torch import nn


def small_network(width: int, num_classes: int) -> nn.Sequential:
    """Return a network as a library might give it."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, width, 3, 2, 1, bias=False),
            bn1=nn.BatchNorm2d(width),
            act1=nn.ReLU(),
            conv2=nn.Conv2d(width, 2 * width, 3, 2, 1, bias=False),
            bn2=nn.BatchNorm2d(2 * width),
            act2=nn.ReLU(),
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            fc=nn.Linear(2 * width, num_classes),
        )
    )


@MODELS.register_module(force=True)
class LibraryClassifier(TimmClassifier):
    """``TimmClassifier`` with its hooks, around `small_network`."""

    def __init__(
        self,
        width: int = 8,
        num_classes: int = 7,
        data_preprocessor: Any = None,
        init_cfg: Any = None,
    ) -> None:
        preprocessor = dict(data_preprocessor or {})
        preprocessor.setdefault('type', 'mmpretrain.ClsDataPreprocessor')
        BaseClassifier.__init__(
            self, init_cfg=init_cfg, data_preprocessor=preprocessor
        )
        self.model = small_network(width, num_classes)
        self.loss_module = MODELS.build(dict(type='CrossEntropyLoss'))
        self._register_state_dict_hook(self._remove_state_dict_prefix)
        self._register_load_state_dict_pre_hook(self._add_state_dict_prefix)


@MODELS.register_module(force=True)
class ForgetfulBackbone(nn.Module):
    """Keeps one key and drops all others, as mmpretrain's LoRA does."""

    def __init__(self) -> None:
        super().__init__()
        self.fixed = nn.Conv2d(3, 4, 3)
        self.lora = nn.Conv2d(4, 4, 3)
        self._register_state_dict_hook(self._drop)

    @staticmethod
    def _drop(module: Any, state: Any, prefix: str, metadata: Any) -> None:
        for key in list(state):
            if 'lora' not in key:
                state.pop(key)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.lora(self.fixed(images))
