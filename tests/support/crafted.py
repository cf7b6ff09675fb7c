"""Files that try to run code in whoever reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch


class Crafted:
    """Writes a marker file when it is unpickled by plain ``pickle``."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def crafted_checkpoint(path: Path, marker: Path, state: Any = None) -> Path:
    """Write a checkpoint whose weights are honest and whose rest is not."""
    state = state or {'backbone.conv1.weight': torch.zeros(1)}
    torch.save(dict(state_dict=state, extra=Crafted(marker)), path)
    return path


def old_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``torch.load`` run code by default, as before torch 2.6."""
    if hasattr(torch.serialization, '_default_to_weights_only'):
        monkeypatch.setattr(
            torch.serialization, '_default_to_weights_only', lambda _: False
        )
