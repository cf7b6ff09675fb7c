"""Multiply-adds, counted and as published, and CPU time."""

from __future__ import annotations

import logging
import math
import re
import time
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.analysis import get_model_complexity_info
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from mmkd.pruning.compaction.constants import zero_filters
from mmkd.pruning.compaction.forward import Forward, tensors, watching
from mmkd.pruning.compaction.graph import ChannelGraph
from mmkd.pruning.compaction.modules import submodule
from mmkd.utils.modes import evaluating

_SHORTCUTS = re.compile('downsample|shortcut')


class Runnable(nn.Module):
    """A network as function from images to a tuple of tensors.

    Args:
        network: in eval mode.
        run: how it is run, see `choose_forward`.
    """

    def __init__(self, network: nn.Module, run: Forward) -> None:
        super().__init__()
        self.network = network
        self.run = run

    def forward(
        self, inputs: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, ...]:
        """Return all outputs; other arguments are ignored."""
        return tuple(tensors(self.run(self.network, inputs)))


def count_flops(network: nn.Module, inputs: Tensor, forward: Forward) -> float:
    """Return the multiply-adds for one image, as mmengine counts them.

    Convolutions, linear layers, batch norms (2 per value) and average
    pooling. Where mmengine cannot trace the network, the first two alone.
    It is run in eval mode and gets its own modes back.
    """
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), evaluating(network):
            warnings.simplefilter('ignore')
            counted = get_model_complexity_info(
                Runnable(network, forward).eval(),
                inputs=(inputs[:1],),
                show_table=False,
                show_arch=False,
            )
        return float(counted['flops'])
    except Exception:  # tracing raises all kinds
        return float(sum(layer_macs(network, inputs, forward).values()))
    finally:
        logging.disable(level)


def layer_macs(
    network: nn.Module, inputs: Tensor, forward: Forward
) -> dict[str, int]:
    """Return the multiply-adds for one image of convolutions and linears.

    The network is run in eval mode and gets its own modes back.
    """
    counts: dict[str, int] = {}
    layers = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, (_ConvNd, nn.Linear))
    }

    def count(name: str, layer: Any, args: Any, output: Tensor) -> None:
        spread = args[0] if getattr(layer, 'transposed', 0) else output
        pixels = math.prod(spread.shape[2:]) if spread.ndim > 2 else 1
        counts[name] = counts.get(name, 0) + pixels * layer.weight.numel()

    with evaluating(network), watching(layers, count):
        forward(network, inputs[:1])
    return counts


def analytic_saving(
    network: nn.Module,
    graph: ChannelGraph,
    inputs: Tensor,
    forward: Forward,
) -> float:
    """Return the share of multiply-adds that papers report as saved.

    Their way of counting: convolutions only. Zero filters count as gone
    everywhere, also in residual streams, where no plain network can leave
    them out; the inputs of a layer count as gone where one pruned layer
    alone gives them, but not those of shortcuts. Here with the true numbers
    of zero filters.
    """
    before = after = 0.0
    for name, macs in layer_macs(network, inputs, forward).items():
        conv = submodule(network, name)
        if not isinstance(conv, _ConvNd):
            continue
        left = 1 - float(zero_filters(conv).double().mean())
        reader = graph.readers.get(name)
        if _SHORTCUTS.search(name):
            reader = None
        if reader is not None and not reader.channels.summed:
            left *= 1 - float(reader.channels.const.double().mean())
        before += macs
        after += macs * left
    return 1 - after / before if before else 0.0


@torch.no_grad()
def cpu_times(
    networks: Mapping[str, nn.Module],
    inputs: Tensor,
    forward: Forward,
    rounds: int = 20,
) -> dict[str, float]:
    """Return the least CPU time of a forward pass, in seconds.

    One thread; the networks take turns, so that what else the machine does
    hits all of them alike.

    Args:
        networks: name -> network in eval mode.
        inputs: (N, C, H, W).
        forward: runs a network.
        rounds: how often each is run, after one run that does not count.
    """
    best = dict.fromkeys(networks, math.inf)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for network in networks.values():
            forward(network, inputs)
        for _ in range(rounds):
            for name, network in networks.items():
                start = time.process_time()
                forward(network, inputs)
                best[name] = min(best[name], time.process_time() - start)
    finally:
        torch.set_num_threads(threads)
    return best
