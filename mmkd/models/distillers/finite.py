"""A non-finite loss stops the training before the step."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from mmengine.logging import MessageHub

from mmkd.taps import Tensors


def check_losses(
    values: Mapping[str, torch.Tensor],
    inputs_of: Callable[[str], Mapping[str, Tensors]],
) -> tuple[dict[str, torch.Tensor], str | None]:
    """Return ``values`` on the CPU, in one transfer, and what is wrong.

    Args:
        values: log name -> scalar; names with ``loss`` must be finite.
        inputs_of: what a loss was computed from.

    Returns:
        The values, and a text that names the first loss that is not finite,
        the range of its inputs and the learning rate.
    """
    values = {name: torch.as_tensor(value) for name, value in values.items()}
    kinds = [value.dtype for value in values.values()]
    kind = torch.float64 if torch.float64 in kinds else torch.float32
    places = [value.device for value in values.values()]
    device = next((p for p in places if p.type != 'cpu'), places[0])
    found = torch.stack(
        [value.detach().to(device, kind).mean() for value in values.values()]
    ).cpu()
    checked = {
        name: number.to(value.dtype)
        for (name, value), number in zip(values.items(), found, strict=True)
    }
    for name, value in checked.items():
        if name == 'loss' or 'loss' not in name or bool(value.isfinite()):
            continue
        ranges = '; '.join(
            f'{label} {describe_range(tensor)}'
            for label, tensor in inputs_of(name).items()
        )
        return checked, (
            f'{name} is {float(value)}: training stops before the step. '
            f'Inputs: {ranges}. Lower '
            f'optim_wrapper.optimizer.lr{_current_rates()}, clip gradients, '
            'or look for bad samples; without --amp, float32 is used'
        )
    return checked, None


def _current_rates() -> str:
    """Return the learning rates that a running loop has noted, as text."""
    scalars = MessageHub.get_current_instance().log_scalars
    rates = [
        f'{name.removeprefix("train/").removesuffix("lr")}{value.current():g}'
        for name, value in scalars.items()
        if name.endswith(('/lr', '.lr'))
    ]
    return f' (now {", ".join(rates)})' if rates else ''


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
