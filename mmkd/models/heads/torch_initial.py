"""Heads that start from PyTorch's own initial weights."""

from __future__ import annotations

from typing import Any

from mmengine.model import initialize


class TorchInitial:
    """Start from what every layer of PyTorch draws when it is made.

    mmseg's heads draw the classifier from N(0, 0.01), and mmcv's
    ``ConvModule`` draws Kaiming's normal values; the published networks of
    CIRKD and their teachers do neither. Mix it in before a
    ``BaseDecodeHead``; an ``init_cfg`` that is given is applied afterwards.
    """

    init_cfg: Any

    def __init__(
        self, *args: Any, init_cfg: Any = None, **kwargs: Any
    ) -> None:
        kwargs['init_cfg'] = init_cfg
        super().__init__(*args, **kwargs)

    def init_weights(self) -> None:
        """Draw all weights anew."""
        for module in self.modules():  # type: ignore[attr-defined]
            reset = getattr(module, 'reset_parameters', None)
            if reset is not None:
                reset()
        if self.init_cfg:
            initialize(self, self.init_cfg)
        self._is_init = True
